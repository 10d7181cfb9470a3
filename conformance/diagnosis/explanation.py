"""What an explanation is, and how it is settled: tested, corrected by what it did not foretell.

It knows neither how an explanation is found nor of what; who finds one hands over the cases that
tested it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from conformance.diagnosis.asking import Asking
from conformance.diagnosis.observing import COUNTED, FEWEST, SURE

# How often it is learned from what fresh cases contradict, and until when; so many of them are
# enough to learn from.
_TURNS, _LATE, _AGAINST = 8, 0.85, 4
# How lines begin that say what to do.
_ADVICE = ("mend", "declare")


@dataclass(frozen=True)
class Explanation:
    """What is wrong, where and when, and how far that was tested.

    Attributes
    ----------
    what, where, when : tuple of str
        Sentences; empty where nothing was found.
    foretold, asked : int
        Of so many fresh answers so many were foretold.
    faulty : int
        Of the fresh answers so many were wrong.
    exact : bool
        Answers were foretold bit for bit, not only whether they are right.
    arithmetic : bool
        It is about sums: what is foretold are sums, right and wrong ones.
    bounded : bool
        Answers that round were foretold: within their bound, not bit for bit.
    seconds : float
        How long it took.
    doubtful : bool
        A part of it foretold too little by itself.
    """

    what: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    foretold: int = 0
    asked: int = 0
    faulty: int = 0
    exact: bool = False
    arithmetic: bool = False
    bounded: bool = False
    seconds: float = 0.0
    # What is wrong is that it raises.
    raises: bool = False
    # Of the wrong answers so many were foretold; None: as many as of all.
    caught: int | None = None
    doubtful: bool = False

    @property
    def certain(self) -> bool:
        """Whether enough was foretold, wrong answers among it."""
        if self.doubtful:
            return False
        if self.caught is not None and self.caught < SURE * self.faulty:
            return False
        # Of an arithmetic something must be said that is neither a hint by itself nor advice.
        few = min(FEWEST, (self.asked + 1) // 2)
        said = (one for one in self.what if not one.startswith(_ADVICE))
        sums = self.arithmetic and any("hint" not in one for one in said)
        telling = self.faulty >= few or sums
        return bool(self.asked and telling) and self.foretold >= SURE * self.asked

    def as_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return asdict(self) | {"certain": self.certain, "tested": self.tested}

    @property
    def tested(self) -> str:
        """How far the explanation was tested, in words."""
        if not self.asked:
            return "not tested: there was no time for it"
        exactly = "within their bounds" if self.bounded else "bit for bit"
        how = exactly if self.exact else "right or wrong"
        what = "sums" if self.arithmetic else "answers"
        said = f"foretold {self.foretold:,} of {self.asked:,} new {what}, {how}"
        wrong = "raises" if self.raises else "is wrong"
        said += "" if self.arithmetic else f"; in {self.faulty} of them it {wrong}"
        return said if self.certain else f"a hint: it {said}"


@dataclass
class Turn:
    """One turn of explaining and testing."""

    number: int
    asking: Asking
    # The test was not brought to its end.
    broken: bool = False

    def enough(self, against: int) -> bool:
        """Tell whether so many contradictions are learned from at once: there is time to do it."""
        early = self.number < _TURNS and not self.asking.late(_LATE)
        self.broken = early and against >= _AGAINST
        return self.broken


def settled(
    asking: Asking, explained: Callable[[Turn], tuple[Explanation, list[Any]]]
) -> Explanation:
    """Explain and test in turn: fresh cases that contradict are learned from, others test again.

    Parameters
    ----------
    asking : Asking
        What was asked so far; it learns the fresh cases.
    explained : callable
        Gives of a turn an explanation of what was asked, and the fresh cases that tested it.
    """
    best: Explanation | None = None
    before: dict[Any, Explanation] = {}
    for number in range(1, _TURNS + 1):
        turn = Turn(number, asking)
        found, fresh = explained(turn)
        # What is found again stands by all its tests.
        said = found.what, tuple(one for one in found.when if not one.startswith(COUNTED))
        again = said in before
        found = before[said] = _together(found, before.get(said))
        if not turn.broken:
            if best is None or worth(found) >= worth(best):
                best = found
            # What is found again has nothing to learn from what contradicts it.
            if found.foretold == found.asked or again or asking.late(_LATE):
                break
        for one in fresh:
            asking.note(one)
        asking.begin()
    assert best is not None
    return best


def _together(found: Explanation, before: Explanation | None) -> Explanation:
    """Add the counts of tests of the same explanation."""
    if before is None:
        return found
    caught = None
    if found.caught is not None and before.caught is not None:
        caught = found.caught + before.caught
    return replace(
        found, foretold=found.foretold + before.foretold, asked=found.asked + before.asked,
        faulty=found.faulty + before.faulty, caught=caught,
    )  # fmt: skip


def worth(found: Explanation) -> tuple[bool, float]:
    """Say which of two explanations is the better: a certain one, then what foretold more."""
    return found.certain, found.foretold / max(found.asked, 1)
