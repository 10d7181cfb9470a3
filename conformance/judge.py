"""Runs an implementation on a case and speaks: nothing, or a failure that says everything.

The message names the clause and quotes it, gives the call, the first wrong element with what was
got, expected and allowed, and the command that replays the case.
"""

import warnings
from typing import Any

import numpy as np

from conformance.bounds import Arithmetic, Truth, truths
from conformance.cases import Case
from conformance.formats import FORMATS
from conformance.implementation import Array, Judged
from conformance.impulses import meetings
from conformance.ledger import Failure, Ledger
from conformance.memory import Guarded, poison
from conformance.picture import localise
from conformance.recipes import DECIDES, EXACT, operands
from conformance.specification import clauses
from conformance.verdict import Finding, examine

RESULTS = ("y", "dx", "dkernel")


class ConformanceError(AssertionError):
    """An implementation breaks a clause.

    Parameters
    ----------
    message : str
        Says everything.
    failure : Failure
        For the ledger.
    """

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure


class Judge:
    """Judges one implementation on behalf of one test.

    Parameters
    ----------
    judged : Judged
        The implementation.
    decides : tuple of str
        Clauses that the test decides; the first is quoted in a failure.
    ledger : Ledger
        Where cases are counted.
    """

    def __init__(self, judged: Judged, decides: tuple[str, ...], ledger: Ledger) -> None:
        self.judged = judged
        self.claimed = judged.capabilities
        self.decides = decides
        self._ledger = ledger

    def check(self, case: Case, results: tuple[str, ...] = RESULTS) -> None:
        """Demand that the results of a case are right.

        Parameters
        ----------
        case : Case
            Geometry and values.
        results : tuple of str
            Which of y, dx and dkernel to demand, as far as the recipe decides them.

        Raises
        ------
        ConformanceError
            They are not.
        """
        __tracebackhide__ = True
        self.check_operands(case, operands(case), results)

    def check_operands(
        self, case: Case, values: dict[str, Array], results: tuple[str, ...] = RESULTS
    ) -> dict[str, Array]:
        """Do what `check` does on operands of the caller's making; return the results."""
        __tracebackhide__ = True
        wanted = [name for name in results if name in DECIDES.get(case.recipe, RESULTS)]
        got = self.run(case, values, tuple(wanted))
        exact = case.recipe in EXACT
        due = truths(values, case.options, FORMATS[case.dtype], exact=exact)
        for name in wanted:
            worst, finding = examine(name, got[name], due[name], self.arithmetic(case))
            if finding is not None:
                picture = _picture(case, name, got[name], due[name])
                self.fail(case, describe(finding) + picture, tier(case))
            self._ledger.count(self.judged.name, self.decides, worst)
        return got

    def run(
        self, case: Case, values: dict[str, Array], results: tuple[str, ...]
    ) -> dict[str, Array]:
        """Call the implementation.

        Demand results of the due shapes and dtypes (GEO-1, FWD-4), in memory of their own, and that
        nothing was written outside of it (FWD-5): a truth computed from changed operands would be
        none.
        """
        __tracebackhide__ = True
        guarded = Guarded(values)
        x, kernel, dy = (guarded.arrays[name] for name in ("x", "kernel", "dy"))
        due = {"y": dy.shape, "dx": x.shape, "dkernel": kernel.shape}
        got: dict[str, Any] = {}
        poison(due, x.dtype)
        if "y" in results:
            got["y"] = self.call(case, "forward", x, kernel)
        if "dx" in results or "dkernel" in results:
            poison(due, x.dtype)
            pair = self.call(case, "backward", dy, x, kernel)
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                self.fail(case, f"backward must return (dx, dkernel), got {type(pair).__name__}")
            got["dx"], got["dkernel"] = pair
        if changed := guarded.changed():
            self.fail(case, f"{', '.join(changed)} was modified by the call (FWD-5)")
        for name, array in got.items():
            self._check_form(case, name, array, due[name])
        if shared := guarded.shared(got):
            self.fail(case, f"results share memory: {'; '.join(shared)} (FWD-5)")
        return got

    def call(
        self, case: Case, function: str, *values: Array, options: dict[str, Any] | None = None
    ) -> Any:
        """Call `forward` or `backward`; whatever it raises is a failure of this case."""
        __tracebackhide__ = True
        try:
            with warnings.catch_warnings():
                # That NumPy warns of NaN or overflow breaks no clause.
                warnings.simplefilter("ignore")
                return getattr(self.judged.implementation, function)(
                    *values, **(case.options if options is None else options)
                )
        except Exception as error:
            message = f"{function} raised {type(error).__name__}: {error}"
            raise self._error(case, message) from error

    def _check_form(self, case: Case, name: str, array: Any, shape: tuple[int, ...]) -> None:
        __tracebackhide__ = True
        dtype = self.claimed.result_format(case.dtype).dtype
        if not isinstance(array, np.ndarray):
            self.fail(case, f"{name} must be a NumPy array, got {type(array).__name__}")
        if array.shape != shape:
            self.fail(case, f"{name} must have shape {shape} (GEO-1), got {array.shape}")
        if array.dtype != dtype:
            self.fail(case, f"{name} must have dtype {dtype} (FWD-4, GRD-6), got {array.dtype}")

    def arithmetic(self, case: Case) -> Arithmetic:
        """Arithmetic that is declared for the case's dtype."""
        return Arithmetic(
            FORMATS[case.dtype],
            self.claimed.accumulator_format(case.dtype),
            self.claimed.result_format(case.dtype),
            self.claimed.gradual_underflow,
            self.claimed.multiplier_format(case.dtype),
        )

    def expect(self, case: Case, holds: bool, message: str) -> None:
        """Demand something else than a value, and count it as a case."""
        __tracebackhide__ = True
        if not holds:
            self.fail(case, message)
        self._ledger.count(self.judged.name, self.decides, 0.0)

    def fail(self, case: Case, what: str, tier: str = "behaviour") -> None:
        """Raise a `ConformanceError`: what is wrong, against which clause, how to see it."""
        __tracebackhide__ = True
        raise self._error(case, what, tier)

    def _error(self, case: Case, what: str, tier: str = "behaviour") -> ConformanceError:
        name, clause = self.judged.name, self.decides[0]
        after = self._ledger.judged(name)
        return ConformanceError(
            f"{clause}: {clauses()[clause]}\n\n"
            f"  implementation  {name}\n"
            f"  call            {call(case)}\n"
            f"  {what}\n\n"
            f"  replay          python -m conformance --implementation={name} "
            f"--case={case.token}",
            Failure(name, clause, case.token, tier, after),
        )


def tier(case: Case) -> str:
    """Name what decides a case."""
    if case.recipe in DECIDES:
        return "certificate"
    return "equality" if case.recipe in EXACT else "bound"


def call(case: Case) -> str:
    """The call of a case as one would write it."""
    # An impulse recipe makes one sample of every entry.
    batch = "B" if case.recipe in DECIDES else case.batch
    kernel = ", ".join(map(str, (batch, *case.grid, *case.kernel_shape, case.groups)))
    options = ", ".join(f"{name}={value!r}" for name, value in case.options.items())
    return (
        f"x ({batch}, {case.height}, {case.width}, {case.channels}) {case.dtype}, "
        f"kernel ({kernel}), {options}; values: {case.recipe}, seed {case.seed}"
    )


def _picture(case: Case, result: str, got: Array, due: Truth) -> str:
    """Draw what the impulse certificate shows, if the case is one."""
    if case.recipe not in DECIDES:
        return ""
    shown, expected = (meetings(case, result, array) for array in (got, due.value))
    return "".join(f"\n  {line}" for line in ["", *localise(case, result, shown, expected)])


def describe(finding: Finding) -> str:
    """What is wrong, a line for each side of it."""
    count = int(finding.wrong.sum())
    allowed = "equality demanded" if finding.bound == 0 else f"error bound {finding.bound:.9g}"
    error = abs(finding.got - finding.expected)
    return (
        f"wrong           {finding.result}: {count} of {finding.wrong.size} elements, "
        f"first at index {finding.index}\n"
        f"  got             {finding.got!r}\n"
        f"  expected        {finding.expected!r}   (error {error:.9g}, {allowed})\n"
        f"  where           {_extent(finding)}\n"
        f"  rule            {_RULES[finding.result]}: {clauses()[_RULES[finding.result]]}"
    )


_AXES = {
    "y": ("batch", "row", "column", "channel"),
    "dx": ("batch", "row", "column", "channel"),
    "dkernel": ("batch", "row", "column", "tap u", "tap v", "group"),
}


_RULES = {"y": "FWD-1", "dx": "GRD-1", "dkernel": "GRD-2"}


def _extent(finding: Finding) -> str:
    """Along each axis the indices at which something is wrong."""
    parts = []
    for axis, name in enumerate(_AXES[finding.result]):
        size = finding.wrong.shape[axis]
        others = tuple(a for a in range(finding.wrong.ndim) if a != axis)
        hit = np.flatnonzero(finding.wrong.any(axis=others))
        if len(hit) == size:
            parts.append(f"{name}: all {size}")
        else:
            shown = ", ".join(str(i) for i in hit[:6]) + (", ..." if len(hit) > 6 else "")
            parts.append(f"{name}: {shown} of {size}")
    return "; ".join(parts)
