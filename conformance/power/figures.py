"""The figures of a run's power, and their words. Nothing is measured here."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

CONFIDENCE = 0.95


def interval(caught: int, number: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Give Wilson's interval of a share: the shares from which so few or many are no surprise.

    Parameters
    ----------
    caught, number : int
        So many of so many, drawn independently.
    confidence : float
        With which the true share lies in it.

    References
    ----------
    Wilson, *Probable inference, the law of succession, and statistical inference*, Journal of the
    American Statistical Association 22 (1927).
    """
    if number == 0:
        return 0.0, 1.0
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = caught / number, z * z / number
    centre = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / number + spread / number / 4)
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    # At either end of the scale it ends there, but for a rounding.
    return (0.0 if caught == 0 else low), (1.0 if caught == number else high)


@dataclass(frozen=True)
class Generated:
    """Faults behind guards, made from the seed of the run, that can be expressed in its claims.

    Attributes
    ----------
    number, caught : int
        So many were made, and so many of them would have been caught.
    """

    number: int
    caught: int

    @property
    def interval(self) -> tuple[float, float]:
        """Between which shares the share of all such faults lies, with 95% confidence."""
        return interval(self.caught, self.number)

    @property
    def words(self) -> str:
        """One sentence."""
        if not self.number:
            return "no generated fault was found that can be expressed in what is claimed"
        low, high = self.interval
        return (
            f"of {self.number} generated faults {self.caught}, {self.caught / self.number:.0%} "
            f"(95% interval {low:.0%} to {high:.0%})"
        )


@dataclass(frozen=True)
class Power:
    """How many faults the cases of a run would have shown.

    Attributes
    ----------
    caught, missed : tuple of str
        Known faults that can be expressed in what is claimed, by name.
    beyond : tuple of str
        Known faults of which no call was found that is claimed and shows them.
    generated : Generated or None
        None where none are made, as for layers.
    seconds : float
        What measuring took.
    """

    caught: tuple[str, ...]
    missed: tuple[str, ...]
    beyond: tuple[str, ...]
    generated: Generated | None
    seconds: float

    @property
    def lines(self) -> list[str]:
        """What is printed."""
        known = len(self.caught) + len(self.missed)
        said = f"{len(self.caught)} of {known} known faults expressible in what is claimed would "
        said += "have been caught"
        said += f"; not: {', '.join(self.missed)}" if self.missed else ""
        said += f"; {len(self.beyond)} more cannot be expressed in it" if self.beyond else ""
        return [said, *([self.generated.words] if self.generated else [])]

    def as_dict(self) -> Mapping[str, Any]:
        """Everything as plain data."""
        made = self.generated
        return asdict(self) | {
            "generated": made and asdict(made) | {"interval": list(made.interval)},
            "lines": self.lines,
        }
