"""What may stand in the place of a step of a layer, in words; how such are put together.

The tables of what there is are in the files beside: `pooling`, `normalising`, `kernels`, `moving`
and `gradients`. To extend the language of explanations of layers, add a line to one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conformance.diagnosis.layers.model import Step
from conformance.diagnosis.model import Part


@dataclass(frozen=True)
class Alternative:
    """Steps that stand in the place of the due ones.

    Attributes
    ----------
    words : str
        What is computed.
    instead : str
        What is due.
    clause : str
        Of the specification.
    steps : mapping of str to callable
        By the name of the step; derivatives are those of the steps.
    cost : float
        How far from the simplest.
    """

    words: str
    instead: str
    clause: str
    steps: Mapping[str, Step] = field(compare=False)
    cost: float = 1.0

    @property
    def slots(self) -> set[str]:
        """The steps that it exchanges, derivatives apart."""
        return {name for name in self.steps if not name.endswith("'")}


@dataclass(frozen=True)
class Numbers:
    """What was read off a layer as numbers: candidates for the constants in its steps."""

    epsilons: tuple[float, ...] = ()
    momenta: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()
    limits: tuple[float, ...] = ()
    times: tuple[float, ...] = ()
    operators: tuple[tuple[str, Part], ...] = ()


def all_of(chosen: Sequence[Alternative]) -> dict[str, Step]:
    """Put the steps of several together."""
    found: dict[str, Step] = {}
    for one in chosen:
        found |= one.steps
    return found
