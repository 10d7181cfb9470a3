"""What ends a case, or a check: a broken clause, what is waived, what may be refused.

A failure says everything: the clause and its words, the call, what was got and expected, and the
command that shows it again. Nothing is asked or judged here.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from conformance.cases.case import Array
from conformance.claims.loading import Judged
from conformance.judging.examine import Finding
from conformance.judging.record import Failure, Record
from conformance.specification import clauses


class ConformanceError(AssertionError):
    """An implementation breaks a clause.

    Parameters
    ----------
    failures : list of Failure
        What it breaks; the message is that of the first.
    """

    def __init__(self, failures: list[Failure]) -> None:
        super().__init__(failures[0].message)
        self.failures = failures


class LeftError(Exception):
    """A case is not to be asked on, and the check may go on with the next."""


class WaivedError(LeftError):
    """All that was found is waived."""

    def __init__(self, failures: list[Failure]) -> None:
        super().__init__(failures[0].words)


class ToleratedError(LeftError):
    """What comes next needs an answer that was refused, and may be."""


class Answered(Mapping[str, Array]):
    """Results by name; to ask for one that is not there ends the case.

    It is not there where it was refused and may be, or where what was wrong is waived.

    Parameters
    ----------
    results : mapping of str to ndarray
        The results.
    settle : callable, optional
        Ends their comparison, before anybody looks at them; raises what is wrong with them.
    """

    def __init__(
        self, results: Mapping[str, Array], settle: Callable[[], None] = lambda: None
    ) -> None:
        self._results, self._settle = results, settle

    def waive(self) -> None:
        """Have no results: what was wrong with them is waived."""
        self._results = {}

    def __getitem__(self, name: str) -> Array:
        """Give a result."""
        self._settle()
        if name not in self._results:
            raise ToleratedError(f"there is no {name}, which may be refused or is waived")
        return self._results[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether a result is there; this ends nothing where it is not."""
        self._settle()
        return name in self._results

    def __iter__(self) -> Iterator[str]:
        """Name the results."""
        self._settle()
        return iter(self._results)

    def __len__(self) -> int:
        """Count the results."""
        self._settle()
        return len(self._results)


def failure(
    judged: Judged, record: Record, seed: int, case: Any, finding: Finding, blamed: tuple[str, ...]
) -> Failure:
    """Give a finding on a case as a failure of a check.

    Parameters
    ----------
    judged : Judged
        Whose it is.
    record : Record
        Of the check.
    seed : int
        Of the run.
    case : Case
        On which it was found.
    finding : Finding
        What is wrong.
    blamed : tuple of str
        What is broken besides.
    """
    name, clause = judged.name, finding.clauses[0]
    replay, rerun = _again(judged, record.check, seed, case, finding)
    lines = [
        f"{clause}: {clauses()[clause]}",
        "",
        f"  implementation  {name}",
        f"  check           {record.check}",
        f"  call            {judged.kind.call_of(case)}",
        f"  wrong           {finding.words}",
        *(f"                  {line}" for line in finding.details),
        f"  again           {replay}",
    ]
    return Failure(
        implementation=name,
        check=record.check,
        clause=clause,
        clauses=tuple(dict.fromkeys((*finding.clauses, *blamed))),
        token=case.token,
        tier=finding.tier,
        after=record.judged,
        words=finding.words,
        message="\n".join(lines),
        replay=replay,
        rerun=rerun,
        result=finding.result,
        refusal=finding.refusal,
        died=finding.died,
        exhibit=finding.exhibit,
    )


def _again(judged: Judged, check: str, seed: int, case: Any, finding: Finding) -> tuple[str, str]:
    """Give the commands that show a finding again: alone, if it is seen so, and in its check."""
    command = f"python -m conformance {judged.kind.option}={judged.name}"
    # A wrong value is seen in its case alone; how it behaves, in what the check did.
    alone = (finding.mismatch is not None or finding.alone) and not finding.remembered
    rerun = f"{command} --check='{check}' --seed={seed}"
    replay = f"{command} --case={case.token}" if alone else rerun
    if not judged.can_be_named:
        # An object has no name on the command line.
        rerun = f"check {check}, seed {seed}"
        replay = f"case {case.token}" if alone else rerun
    return replay, rerun
