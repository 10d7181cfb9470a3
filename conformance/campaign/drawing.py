"""The cases of a numbered block: drawn from a seed, and chosen by what they meet that is new.

Blocks know nothing of each other, so that the same block has the same cases wherever and whenever
it runs. Of what is drawn, the cases are kept in which most pairs and triples of choices meet that
the block had not met. Nothing is judged here.
"""

import itertools
import random
import warnings
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisDeprecationWarning
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, PrimitiveProvider

from conformance.cases import views
from conformance.cases.case import Array
from conformance.claims.formats import FORMATS
from conformance.judging.kind import Kind

# Views that hold the values themselves, and none in their place.
LAYOUTS = {"contiguous": None} | {
    view.__name__.strip("_"): view for view in views.VIEWS if view not in views.REPEATED
}
# Candidates for each case that is kept.
_CANDIDATES = 3
# So many are drawn in one of Hypothesis's test cases: one each took a third more time.
_TOGETHER = 12
_random = random.Random()


class _Seeded(PrimitiveProvider):
    """Draws from one seeded generator alone.

    Hypothesis's own provider also draws constants of whatever modules happen to be imported, so
    that a worker's past would decide its cases.
    """

    lifetime = "test_case"

    def draw_boolean(self, p: float = 0.5) -> bool:
        return _random.random() < p

    def draw_integer(
        self,
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        weights: dict[int, float] | None = None,
        shrink_towards: int = 0,  # noqa: ARG002
    ) -> int:
        # What weights leave is for all others.
        if weights and _random.random() < sum(weights.values()):
            return _random.choices(list(weights), list(weights.values()))[0]
        low = -(2**31) if min_value is None else min_value
        return _random.randint(low, max(low, 2**31) if max_value is None else max_value)

    def draw_float(self, *, min_value: float = -1.0, max_value: float = 1.0, **_: Any) -> float:
        return _random.uniform(max(min_value, -1e9), min(max_value, 1e9))

    def draw_string(self, intervals: Any, *, min_size: int = 0, **_: Any) -> str:
        return "".join(chr(_random.choice(list(intervals))) for _ in range(min_size))

    def draw_bytes(self, min_size: int = 0, max_size: int = 0) -> bytes:  # noqa: ARG002
        return _random.randbytes(min_size)


AVAILABLE_PROVIDERS["conformance-seeded"] = f"{__name__}._Seeded"


class Asked(NamedTuple):
    """One case, and how its operands lie in memory."""

    case: Any
    layout: str

    def viewed(self, values: dict[str, Array]) -> dict[str, Array]:
        """Give operands in the layout."""
        view = LAYOUTS[self.layout]
        return values if view is None else {name: view(array) for name, array in values.items()}

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """What the case has chosen of each factor."""
        case = self.case
        own = {"dtype": case.dtype, "recipe": case.recipe, "layout": self.layout}
        part = getattr(case, case.part)
        names = (
            "groups", "members", "kernel_shape", "kernel_size", "stride", "dilation", "padding",
            "group_layout", "generator_layout", "normalise",
        )  # fmt: skip
        own |= {name: getattr(part, name) for name in names if hasattr(part, name)}
        if hasattr(case, "training"):
            own["training"] = case.training
        return tuple((name, str(value)) for name, value in own.items())


def plans(kind: Kind, claimed: Any) -> list[dict[str, Any]]:
    """List what is drawn: every format with every recipe, and of layers mode and convention."""
    found = []
    formats = [name for name in FORMATS if name in claimed.dtypes]
    if kind.name == "operator":
        asked = [one for one in kind.recipes.values() if kind.is_asked(one, claimed)]
        for dtype, recipe in itertools.product(formats, asked):
            few = {"members": (1, 2), "groups": (1, 2), "batches": (1,), "spare": 2}
            usual = {"members": (1, 2, 3, 5, 16)}
            found.append(
                {"dtype": dtype, "recipe": recipe.name} | (few if recipe.certifies else usual)
            )
        return found
    modes = (False, True) if claimed.training else (False,)
    return found + [
        {"dtype": dtype, "recipe": name, "training": training, "convention": convention}
        for dtype, name, training, convention in itertools.product(
            formats, kind.recipes, modes, claimed.conventions
        )
        # Exact integers only without roundings.
        if name != "integers" or convention == "any"
    ]


def cases_of(kind: Kind, claimed: Any, seed: int, number: int, size: int) -> list[Asked]:
    """Draw the cases of a block."""
    _random.seed(f"{seed} {number}")
    listed = plans(kind, claimed)
    # One strategy a plan: Hypothesis examines each anew, which takes longer than to draw from it.
    strategies = [kind.draw(claimed, **plan) for plan in listed]
    # Each block goes through the plans from another one on, in another order.
    order = [strategies[(number * size + i) % len(listed)] for i in range(size)]
    numbers: dict[tuple[str, str], int] = {}
    met: set[tuple[int, ...]] = set()
    kept = []
    drawn = iter(_drawn([one for one in order for _ in range(_CANDIDATES)]))
    for case in drawn:
        candidates = [
            Asked(one, _random.choice(list(LAYOUTS)) if kind.name == "operator" else "contiguous")
            for one in (case, *itertools.islice(drawn, _CANDIDATES - 1))
        ]
        meetings = [_meetings(one, numbers) for one in candidates]
        new = [len(some - met) for some in meetings]
        best = new.index(max(new))
        met |= meetings[best]
        kept.append(candidates[best])
    return kept


def _meetings(asked: Asked, numbers: dict[tuple[str, str], int]) -> set[tuple[int, ...]]:
    """Give the pairs and triples of choices that meet in a case, each choice by its number."""
    chosen = [numbers.setdefault(one, len(numbers)) for one in asked.choices]
    return {some for strength in (2, 3) for some in itertools.combinations(chosen, strength)}


def _drawn(strategies: list[st.SearchStrategy[Any]]) -> list[Any]:
    """Draw once from each strategy, in order."""
    found: list[Any] = []

    @st.composite
    def following(draw: st.DrawFn) -> list[Any]:
        return [draw(one) for one in strategies[len(found) : len(found) + _TOGETHER]]

    @settings(
        backend="conformance-seeded",
        max_examples=-(-len(strategies) // _TOGETHER),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(following())
    def note(cases: list[Any]) -> None:
        found.extend(cases)

    with warnings.catch_warnings():
        # Other threads of a worker use the module `random`, which Hypothesis takes for ours.
        warnings.simplefilter("ignore", HypothesisDeprecationWarning)
        note()
    return found
