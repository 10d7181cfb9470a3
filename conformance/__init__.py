"""The judge: decides whether an implementation of involution does what the specification says.

From Python::

    import conformance

    report = conformance.check(my_operator)
    print(report)

and in a test suite of one's own::

    @conformance.parametrize(my_operator)
    def test_involution(check):
        check()

From a shell: ``python -m conformance --implementation=package.module:attribute``, or in a checkout
``pytest conformance``. See docs/conformance.md.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Hypothesis is not to be imported before pytest is: what needs it is imported where it is used.
if TYPE_CHECKING:
    from conformance.cases.shapes import Shape
    from conformance.claims.loading import Where
    from conformance.judging.checks import Check
    from conformance.judging.record import Record
    from conformance.judging.session import Session
    from conformance.reporting.report import Report

__all__ = ["BoundCheck", "Report", "check", "checks", "parametrize", "shapes_of"]


def check(
    target: Any,
    *,
    layer: bool = False,
    clauses: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    capabilities: Mapping[str, Any] | None = None,
    profile: str = "default",
    seed: int | None = None,
    budget: float | None = None,
    in_process: bool = False,
    timeout: float | None = None,
    memory: float | None = None,
    shapes: Any = (),
    diagnosis: bool = True,
    power: bool = False,
    until_failure: bool = False,
    waivers: Any = None,
    done: Callable[["Record"], None] | None = None,
) -> "Report":
    """Judge an implementation.

    Parameters
    ----------
    target : object
        An implementation: any object with `forward` and `backward` of the signature of
        `refimpl.involution` (or of `refimpl.layer`), a module for example; a class or a function
        without arguments that makes one; or a name ``"package.module:attribute"`` of one of these.
    layer : bool, default False
        Whether it is a whole layer.
    clauses : iterable of str, optional
        Run only the checks that decide one of these: ``"GEO-7"``, or a chapter, ``"GEO"``.
    dtypes : iterable of str, optional
        Judge only these of the formats that are claimed.
    capabilities : mapping, optional
        What is claimed, in the place of what the implementation declares itself.
    profile : str, default "default"
        How hard it is tried: "default", "quick" (certificates and exact sums alone), "ci" (the
        same cases each time), "network" and "nightly" (full sizes too), "survey".
    seed : int, optional
        Repeats the run of a report.
    budget : float, optional
        Seconds; what is not reached by then is reported as not run.
    in_process : bool, default False
        Whether what has a name is judged in this process too, as an object is, and not in one of
        its own. A debugger can follow it there; it can also crash or forge the judge.
    timeout : float, optional
        Seconds for one call, in a process of its own; 60 by default.
    memory : float, optional
        GiB of address space that a process of its own may have.
    shapes : path or iterable of Shape, optional
        Shapes of a network of one's own, each judged at its full size: a file as ``--shapes`` reads
        it, or what `shapes_of` gives.
    diagnosis : bool, default True
        Whether to compare what fails with known faults.
    power : bool, default False
        Whether to measure how many known faults the cases of the run would have shown.
    until_failure : bool, default False
        Whether to stop at the first failure.
    waivers : path or iterable of mappings, optional
        Deviations that are known and stay: a TOML file of tables ``[[waiver]]``, or such tables,
        with ``clause``, ``condition``, ``reason``, ``link``, ``expires``, ``implementation``. See
        docs/guides/waivers.md.
    done : callable, optional
        Is given the record of each check when it is done.

    Returns
    -------
    Report
        ``.conforms``, ``.verdict``, ``.clauses``, ``.failures``, ``.diagnosis``; ``str()`` gives
        one screen, ``.write(folder)`` a page and files for machines, and
        ``assert conformance.check(...)`` demands that it conforms.

    Raises
    ------
    conformance.claims.loading.LoadError
        Nothing that can be judged was found; the message says what to do.
    ValueError
        A clause, dtype or profile that there is not, or a waiver that cannot be understood.
    RuntimeError
        Source files of the judge were changed while it ran, so that there is no verdict.

    Examples
    --------
    >>> import conformance
    >>> from refimpl import involution
    >>> report = conformance.check(involution, clauses=["GRP"], seed=0)
    >>> report.conforms, list(report.clauses)
    (True, ['GRP-1', 'GRP-2', 'GRP-3', 'GRP-4', 'FWD-1', 'GRD-1', 'GRD-2'])
    """
    from conformance.claims.loading import Where
    from conformance.judging.intact import Seal
    from conformance.reporting.report import Report

    where = Where(in_process, timeout, memory)
    session = _session(
        target, layer, dtypes, capabilities, profile, seed, budget, where, waivers, shapes
    )
    seal = Seal()
    session.until_failure = until_failure
    records = []
    for one in _chosen(session, clauses):
        records.append(session.run(one))
        if done is not None:
            done(records[-1])
    report = Report.of(session, records, diagnosed=diagnosis, power=power)
    session.close()
    if broken := seal.broken():
        raise RuntimeError(f"while it ran, files of the judge were changed: {', '.join(broken)}")
    return report


class BoundCheck:
    """One named check of one implementation; calling it runs it.

    Attributes
    ----------
    name : str
        The check's.
    clauses : tuple of str
        What it decides.
    """

    def __init__(self, session: "Session", check: "Check") -> None:
        self._session, self._check = session, check
        self.name, self.clauses = check.name, check.of(session.judged.kind.chapters)

    def __call__(self) -> None:
        """Run it.

        Raises
        ------
        conformance.judging.failing.ConformanceError
            (An AssertionError.) A clause is broken; the message says everything.
        unittest.SkipTest
            What it is about is not claimed, or it could not be run. pytest and unittest report
            that as skipped.
        """
        __tracebackhide__ = True
        from conformance.judging.failing import ConformanceError
        from conformance.judging.scope import NotClaimedError

        record = self._session.run(self._check)
        if record.failures:
            raise ConformanceError(record.failures)
        if record.outcome != "passed":
            raise NotClaimedError(record.reason)

    def __repr__(self) -> str:
        return f"<check {self.name} of {self._session.judged.name}>"


def checks(
    target: Any,
    *,
    layer: bool = False,
    clauses: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    capabilities: Mapping[str, Any] | None = None,
    profile: str = "default",
    seed: int | None = None,
    in_process: bool = False,
    timeout: float | None = None,
    memory: float | None = None,
    shapes: Any = (),
) -> list[BoundCheck]:
    """List the checks that `check` would run, each to be called on its own.

    Parameters are those of `check`.
    """
    from conformance.claims.loading import Where

    where = Where(in_process, timeout, memory)
    endless = float("inf")
    session = _session(
        target, layer, dtypes, capabilities, profile, seed, endless, where, shapes=shapes
    )
    return [BoundCheck(session, one) for one in _chosen(session, clauses)]


def parametrize(
    target: Any, *, expected_failures: Mapping[str, str] | None = None, **options: Any
) -> Any:
    """Turn the checks of an implementation into tests of one's own pytest suite.

    Parameters
    ----------
    target : object
        As for `check`.
    expected_failures : mapping of str to str, optional
        Reasons by the names of checks, or by clauses. Such a test is expected to fail, and it is
        an error if it does not.
    **options
        As for `checks`.

    Returns
    -------
    pytest.MarkDecorator
        For a test function with the argument ``check``.

    Raises
    ------
    ValueError
        An expected failure that is no check and no clause.
    """
    import pytest

    reasons, listed = dict(expected_failures or {}), checks(target, **options)
    known = {name for one in listed for name in (one.name, *one.clauses)}
    if unknown := sorted(set(reasons) - known):
        raise ValueError(f"expected_failures must name checks or clauses, got {unknown}")

    def marks(one: BoundCheck) -> Any:
        reason = next((reasons[n] for n in (one.name, *one.clauses) if n in reasons), None)
        return () if reason is None else (pytest.mark.xfail(reason=reason, strict=True),)

    return pytest.mark.parametrize(
        "check", [pytest.param(one, id=one.name, marks=marks(one)) for one in listed]
    )


def _session(
    target: Any,
    layer: bool,
    dtypes: Any,
    capabilities: Any,
    profile: str,
    seed: Any,
    budget: Any,
    where: "Where",
    waivers: Any = None,
    shapes: Any = (),
) -> "Session":
    from conformance.claims.loading import load
    from conformance.judging.intact import settle
    from conformance.judging.session import PROFILES, Session
    from conformance.judging.waivers import read
    from conformance.kinds import KINDS, LAYER, OPERATOR

    if budget is not None and not (isinstance(budget, int | float) and budget > 0):
        raise ValueError(f"budget must be a number of seconds above 0, got {budget!r}")
    if seed is not None and not isinstance(seed, int):
        raise ValueError(f"seed must be an integer, got {seed!r}")
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, got {profile!r}")
    known = [] if waivers is None else read(waivers, KINDS)
    kind = LAYER if layer else OPERATOR
    if isinstance(target, str) and not where.in_process:
        settle(kind)
    judged = load(target, kind, capabilities, where=where)
    if dtypes is not None:
        wanted = (dtypes,) if isinstance(dtypes, str) else tuple(dtypes)
        claimed = judged.capabilities.dtypes
        if not wanted or not set(wanted) <= set(claimed):
            raise ValueError(f"dtypes must be some of {', '.join(claimed)}, got {dtypes!r}")
        narrowed = replace(judged.capabilities, dtypes=wanted)
        judged = replace(judged, capabilities=narrowed)
    asked = replace(PROFILES[profile], shapes=_shapes(shapes))
    return Session(judged, asked, seed=seed, budget=budget, waivers=known)


def _shapes(shapes: Any) -> "tuple[Shape, ...]":
    from conformance.cases.shapes import Shape, distinct, read

    if isinstance(shapes, str | PathLike):
        return read(Path(shapes))
    listed = tuple(shapes)
    if not all(isinstance(one, Shape) for one in listed):
        raise ValueError(f"shapes must be a file or what shapes_of gives, got {listed}")
    return distinct(listed)


def _chosen(session: "Session", clauses: Any) -> "list[Check]":
    import conformance.suite  # noqa: F401  (it notes the checks)
    from conformance.specification import clauses as specified

    if clauses is None:
        return session.checks
    wanted = {clauses} if isinstance(clauses, str) else set(clauses)
    known = {*specified(), *(number[:3] for number in specified())}
    if not wanted or not wanted <= known:
        raise ValueError(f"clauses must be numbers or chapters of the specification, got {clauses}")
    return [
        one
        for one in session.checks
        if any({number, number[:3]} & wanted for number in one.of(session.judged.kind.chapters))
    ]


def __getattr__(name: str) -> Any:
    if name == "Report":
        from conformance.reporting.report import Report

        return Report
    if name == "shapes_of":
        from conformance.models import shapes_of

        return shapes_of
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
