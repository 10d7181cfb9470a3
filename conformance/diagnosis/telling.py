"""On which values, in which format, an arithmetic that is wrong shows in every call that has it.

An arithmetic shows only where something is rounded, and then perhaps within the bound. A condition
is learned from calls whose answers are evidence: on values that are wrong whenever they can be.
Nothing is explained here.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.cases.operator import OperatorCase
from conformance.claims.loading import Judged
from conformance.diagnosis.starting import on_integers
from conformance.diagnosis.verdicts import verdict
from conformance.judging.kind import FUNCTIONS

# Recipes of values that show an arithmetic, besides the failing one.
_OTHERS = ("normal", "split", "integers", "specials", "subnormal", "large", "ties")
# Draws of each, and the share of them that is wrong where an answer that is right tells something.
_DRAWN, _SURE = 4, 0.9
# Pixels along an axis on which sums are several; products of a call on which values are tried.
_WIDE, _MOST_PRODUCTS = 6, 1 << 15


@dataclass(frozen=True)
class Telling:
    """What was found of values.

    Attributes
    ----------
    case : Case
        The failing case, on the values that tell most, in the format in which they do.
    shares : mapping of (str, str) to mapping of str to float
        For each recipe and format, how often each result of the case was wrong.
    others : tuple of str
        Recipes to ask besides.
    """

    case: Any
    shares: Mapping[tuple[str, str], Mapping[str, float]]
    others: tuple[str, ...]

    @property
    def own(self) -> tuple[str, str]:
        """The recipe and the format that tell most."""
        return self.case.recipe, self.case.dtype

    def sure(self, case: Any) -> bool:
        """Tell whether a result that can be wrong on these values always was."""
        shares = self.shares.get((case.recipe, case.dtype), {})
        best = self.shares.get(self.own, {})
        return all(shares.get(name, 0) >= _SURE for name, share in best.items() if share)

    def moot(self, case: Any, results: Iterable[str]) -> frozenset[str]:
        """Name the results of a case that say nothing where they are right.

        Values on which a result may be right by chance.
        """
        shares = self.shares.get((case.recipe, case.dtype))
        found = set(results)
        if shares is not None and (not any(shares.values()) and case.recipe == self.own[0]):
            # It was right in every draw, on the values that tell: that is the format's doing.
            found = set()
        elif shares is not None:
            chance = (case.recipe, case.dtype) == self.own
            best = self.shares[self.own]
            found = {
                name
                for name in found
                if shares.get(name, 0) < _SURE and not (chance and best.get(name, 0) < _SURE)
            }
        return frozenset(found)


def of_one_product(case: Any) -> frozenset[str]:
    """Name the results of a case whose sums are of one product, so that no order shows in them."""
    if not isinstance(case, OperatorCase):
        return frozenset()
    terms = {"y": case.geometry.taps, "dx": case.geometry.taps, "dkernel": case.geometry.members}
    return frozenset(name for name, number in terms.items() if number == 1)


def telling_values(judged: Judged, failing: Any, stop: float) -> Telling:
    """Try the failing case on values of every kind and format; the first is the failing one.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What fails.
    stop : float
        When to end, as `time.perf_counter` counts.
    """
    kind = judged.kind
    certifies = kind.recipes[failing.recipe].certifies
    case = _wide(judged, on_integers(failing) if certifies else failing)
    recipes = [case.recipe, *(one for one in _OTHERS if one in kind.recipes)]
    dtypes = [case.dtype, *(one for one in judged.capabilities.dtypes if one != case.dtype)]
    shares = dict[tuple[str, str], dict[str, float]]()

    def tried(recipe: str, dtype: str) -> None:
        one = case.changed(recipe=recipe, dtype=dtype)
        if kind.askable(one, judged.capabilities) and (recipe, dtype) not in shares:
            shares[recipe, dtype] = _shares(judged, one, stop)

    for recipe in dict.fromkeys(recipes):
        if not shares or time.perf_counter() < stop:
            tried(recipe, case.dtype)
    for turn in (0, 1):
        best = max(shares, key=lambda key: _worth(key, shares[key], case), default=None)
        if best is None:
            break
        # The values that tell most, in every format; then plain ones.
        for dtype in dtypes:
            if time.perf_counter() < stop:
                tried(best[0] if not turn else "normal", dtype)
        case = case.changed(recipe=best[0], dtype=best[1])
    return Telling(case, shares, tuple(dict.fromkeys((*recipes, case.recipe))))


def _worth(key: tuple[str, str], shares: Mapping[str, float], case: Any) -> tuple[float, bool]:
    """Order values by how much is wrong on them; of equals those of the failing case."""
    return round(sum(shares.values()), 2), key == (case.recipe, case.dtype)


def _shares(judged: Judged, case: Any, stop: float) -> dict[str, float]:
    """Give how often each result is wrong on several draws; on one, if time is over."""
    kind, results = judged.kind, judged.kind.first_order
    wrong, drawn = dict.fromkeys(results, 0), 0
    for seed in range(_DRAWN):
        if drawn and time.perf_counter() > stop:
            break
        drawn += 1
        one = case.changed(seed=case.seed + seed)
        values = kind.values(one, kind.bits(one, judged.capabilities))
        for function in FUNCTIONS:
            for name in verdict(judged, one, values, function).labels & set(results):
                wrong[name] += 1
    return {name: count / drawn for name, count in wrong.items()}


def _wide(judged: Judged, case: Any) -> Any:
    """Give multiples of the sizes, on which sums are many: divisors and least sizes stay."""
    size = {name: _multiple(getattr(case, name)) for name in ("height", "width")}
    larger = case.changed(**size)
    few = getattr(larger, "products", 0) <= _MOST_PRODUCTS
    return larger if few and judged.kind.askable(larger, judged.capabilities) else case


def _multiple(size: int) -> int:
    return size if size >= _WIDE else -(-_WIDE // max(size, 1)) * max(size, 1)
