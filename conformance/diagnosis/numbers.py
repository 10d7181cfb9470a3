"""Explains numbers that are wrong though the map is right: the arithmetic, and when it is that.

Cases are asked near the failing one, and judged as the suite judges them. A law that makes of each
due number the one that came is looked for; then the arithmetic is revealed, in a call that is
wrong; and the condition is learned. Each of them is tested.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from conformance.bounds.expected import Expected
from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS, Format
from conformance.claims.loading import Judged
from conformance.diagnosis.conduct import cases_near
from conformance.diagnosis.observing import (
    FORETOLD,
    Learned,
    Observed,
    attributes_of,
    counted,
    learn,
    results_of,
    shares,
    until,
    whens,
    with_chance,
)
from conformance.diagnosis.reveal import Found, reveal
from conformance.diagnosis.sums import RESULTS, Sums
from conformance.diagnosis.verdicts import verdict
from conformance.judging.examine import compare
from conformance.judging.kind import FUNCTIONS
from conformance.words import listed

_SEEN, _SAMPLE = 120, 60
# Right calls for each wrong one, if those are right by chance alone.
_BY_CHANCE = 0.3
# Further values on which a call is tried that is within its bound.
_DRAWS = 3
# Recipes of values that show an arithmetic, besides the failing one.
_OTHERS = ("normal", "integers", "split", "specials", "subnormal", "large", "ties")
# Products of a call whose sums are asked one by one, and the terms of such a sum.
_FEW_PRODUCTS, _TERMS = 1 << 15, (3, 64)


class Numbers(NamedTuple):
    """What was found: in sentences, and of sums, if the arithmetic was revealed."""

    learned: Learned
    revealed: Found | None = None


def explain_numbers(
    judged: Judged, failing: Any, start: float, seconds: float, *, laws_alone: bool = False
) -> Numbers | None:
    """Find by which law, or in which arithmetic, numbers are wrong, and when.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What fails.
    start, seconds : float
        When the explainer began, and how long it has.
    laws_alone : bool
        Whether nothing is asked of sums: small integers are wrong already, so that it is no
        arithmetic.
    """
    stop = shares(start, seconds)
    rules, seen = learn(_observed(judged, failing, 1), _SEEN, stop(0.35))
    wrong = [one for one in seen if one.labels]
    if not wrong:
        return None
    sure, rules = rules, with_chance(rules, seen, _BY_CHANCE)
    law, alone = _law(judged, seen)
    if laws_alone and not law:
        return None
    summed = not law and isinstance(failing, OperatorCase)
    found = _revealed(judged, seen, stop(0.6)) if summed else None
    fresh = list(until(_observed(judged, failing, 2), FORETOLD, stop(0.8)))
    foretold = [rules.foretells(one) for one in fresh]
    when = whens(rules, seen)
    if alone and not all(foretold):
        foretold = [_obeys(judged, one, law) for one in fresh]
        when = ("wherever that is another number than what is due", when[-1])
    exact = bool(law) and all(_obeys(judged, one, law) for one in fresh if one.labels)
    results = results_of({label for one in wrong for label in one.labels}, judged.kind.rules.value)
    what = [f"{listed(results)}: {law}"] if law else _of_sums(found, results, wrong)
    learned = Learned(
        tuple(what), (listed(results),), when, *counted(foretold, fresh), exact,
        granting=sure.conditions != rules.conditions,
    )  # fmt: skip
    return Numbers(learned, found)


def _observed(judged: Judged, failing: Any, seed: int) -> Iterator[Observed]:
    """Ask case after case; labels are the results that are wrong."""
    rng, kind = random.Random(seed), judged.kind
    recipe = failing.recipe if not kind.recipes[failing.recipe].certifies else "integers"
    recipes = [one for one in _OTHERS if one in kind.recipes]
    for case in cases_near(judged, failing, rng, fresh=seed > 1):
        own = rng.random() < 0.7
        asked = case.changed(recipe=recipe if own else rng.choice(recipes))
        values = kind.values(asked, kind.bits(asked, judged.capabilities))
        function = rng.choice(FUNCTIONS)
        found = verdict(judged, asked, values, function)
        for _ in range(_DRAWS):
            if found.labels or found.raised or kind.recipes[asked.recipe].exact:
                break
            # Few sums are within their bound by chance; those of several draws are not.
            asked = asked.changed(seed=rng.randrange(1000))
            values = kind.values(asked, kind.bits(asked, judged.capabilities))
            found = verdict(judged, asked, values, function)
        if found.raised or not asked.batch:
            continue
        row: dict[str, Any] = {"function": function, "recipe": asked.recipe}
        row |= attributes_of(asked, values)
        labels = found.labels & set(kind.rules.value)
        moot = _moot(judged, recipe, asked)
        yield Observed(row, labels, (asked, found), moot=moot)


def _moot(judged: Judged, recipe: str, case: Any) -> frozenset[str]:
    """Name the results in which an arithmetic that fails on values of a recipe need not show.

    Sums of one product, and exact values of another kind.
    """
    recipes, results = judged.kind.recipes, frozenset(judged.kind.rules.value)
    if recipes[case.recipe].exact and case.recipe != recipe:
        return results
    if not isinstance(case, OperatorCase):
        return frozenset()
    where = case.geometry
    single = {"y": where.taps, "dx": where.taps, "dkernel": where.members}
    return frozenset(name for name, terms in single.items() if terms == 1)


# What may have become of every due number: of its exact value, in a format of results.
Law = Callable[[Array, Format], Array]
_SUM_LIMIT = 65504.0


def _finite(value: Array, format_: Format) -> Array:
    return np.nan_to_num(value, nan=0.0, posinf=format_.largest, neginf=-format_.largest)


LAWS: Mapping[str, Law] = {
    "negative results are given as zero": lambda value, _: np.where(value < 0, 0.0, value),
    "the magnitude of results is given": lambda value, _: np.abs(value),
    "results are negated": lambda value, _: -value,
    "zeros are given": lambda value, _: np.zeros_like(value),
    "results are clipped to the range of float16, infinity included": lambda value, _: np.clip(
        value, -_SUM_LIMIT, _SUM_LIMIT
    ),
    "NaN and infinite results are replaced by finite numbers": _finite,
    "NaN and infinite sums are replaced by finite numbers of float32": lambda value, f: _finite(
        value, f if f.bits > FORMATS["float32"].bits else FORMATS["float32"]
    ),
    "NaN and infinite results are replaced by zero": lambda value, _: np.where(
        np.isfinite(value), value, 0.0
    ),
    "infinite results are clipped to the largest number": lambda value, f: np.clip(
        value, -f.largest, f.largest
    ),
    "subnormal results are flushed to zero": lambda value, f: np.where(
        np.abs(value) < f.smallest_normal, 0.0, value
    ),
}  # fmt: skip


def _law(judged: Judged, seen: Sequence[Observed]) -> tuple[str, bool]:
    """Find the law that gives every wrong answer; tell whether it gives the right ones too."""
    wrong = [one for one in seen if one.labels][:_SAMPLE]
    right = [one for one in seen if not one.labels][:_SAMPLE]
    for words in LAWS:
        if all(_obeys(judged, one, words) for one in wrong):
            return words, all(_obeys(judged, one, words) for one in right)
    return "", False


def _obeys(judged: Judged, one: Observed, words: str) -> bool:
    """Tell whether an answer is what a law makes of the due one, within its bound."""
    case, found = one.about
    format_ = judged.capabilities.arithmetic(case.dtype).result
    for name, array in found.answer.results.items():
        due = found.due[name]
        if name in one.labels:
            # An infinite number has no bound.
            bound = np.where(np.isfinite(due.bound), due.bound, 0.0)
            due = Expected(LAWS[words](due.value, format_), bound)
        if compare(array, due, format_)[1] is not None:
            return False
    return True


def _revealed(judged: Judged, seen: Sequence[Observed], stop: float) -> Found | None:
    """Reveal the arithmetic of the usual calls if it is wrong in all, else of calls that were."""
    wrong = [one for one in seen if one.labels]
    # Where some calls are right that might show it, the usual ones may be.
    right = Counter(one.about[0].dtype for one in seen if not one.labels | one.moot)
    dtypes = [
        name
        for name in dict.fromkeys(one.about[0].dtype for one in wrong)
        if right[name] <= _BY_CHANCE * sum(one.about[0].dtype == name for one in wrong)
    ]
    for number, dtype in enumerate(dtypes):
        if number and time.perf_counter() > stop:
            break
        found = reveal(judged, dtype)
        if found.words:
            return found
    cases = {name: case for name in RESULTS if (case := _summing(judged, wrong, name)) is not None}
    if not cases:
        return None
    dtype = next(iter(cases.values())).dtype
    same = {name: case for name, case in cases.items() if case.dtype == dtype}
    found = reveal(judged, dtype, results=same, cases=same)
    return found if found.words else None


def _summing(judged: Judged, wrong: Sequence[Observed], result: str) -> OperatorCase | None:
    """Give the smallest wrong call in which sums of a result can be asked one by one."""
    able = list[OperatorCase]()
    for case, _ in (one.about for one in wrong if result in one.labels):
        where = case.geometry
        terms = where.members if result == "dkernel" else where.taps
        plain = {*where.stride, *where.dilation} == {1}
        if plain and _TERMS[0] <= terms <= _TERMS[1] and case.products <= _FEW_PRODUCTS:
            able.append(case.changed(recipe="integers", seed=0))
    for case in sorted(able, key=lambda one: (one.products, one.token)):
        if Sums(judged, result, case).places:
            return case
    return None


def _of_sums(found: Found | None, results: Sequence[str], wrong: Sequence[Observed]) -> list[str]:
    """Say what was revealed and what to do, or only that numbers are off."""
    if found is not None:
        return [*found.words, *(one for one in found.verdict if not one.startswith("mend: "))]
    special = any(
        not np.isfinite(one.about[1].due[name].value).all()
        for one in wrong
        for name in one.labels & set(one.about[1].due)
    )
    more = " (NaN or infinities are among them)" if special else ""
    verb = "is" if len(results) == 1 else "are"
    return [
        f"{listed(results)} {verb} further from what is due than rounding is{more}; "
        "no arithmetic was found that gives them"
    ]
