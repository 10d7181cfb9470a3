"""Explains numbers that are wrong though the map is right: the arithmetic, and when it is that.

Cases are asked near the failing one, and judged as the suite judges them. A law that makes of each
due number the one that came is looked for; then the arithmetic is revealed, in a call that is
wrong; and the condition is learned. Each of them is tested.
"""

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from conformance.cases.operator import OperatorCase
from conformance.claims.loading import Judged
from conformance.diagnosis import evidence
from conformance.diagnosis.conduct import cases_near
from conformance.diagnosis.laws import law_of, moot_of, obeys
from conformance.diagnosis.observing import (
    TURNS,
    Learned,
    Observed,
    Rules,
    attributes_of,
    counted,
    joint_rules,
    learn,
    learned_rules,
    put_to_tests,
    results_of,
    shares,
    until,
    whens,
    with_chance,
)
from conformance.diagnosis.reveal import SIDES, Found, reveal
from conformance.diagnosis.sums import RESULTS, Sums
from conformance.diagnosis.telling import Telling, of_one_product, telling_values
from conformance.diagnosis.verdicts import verdict
from conformance.judging.kind import FUNCTIONS
from conformance.words import listed

_SEEN = 120
# Where a law alone is looked for, so many calls show whether there is one.
_FIRST = 40
# Calls that are asked to test by, of which those count that show something.
_ASKED = 4000
# Fewer calls that show anything are no test.
_SCANT = 40
# Right calls for each wrong one, if those are right by chance alone.
_BY_CHANCE, _SELDOM = 0.3, 0.1
# Further values on which a call is tried that is within its bound.
_DRAWS = 3
# Of the cases so many are on the values that tell most, and of those so many in any format: what
# is right in one format alone would be learned from too few.
_MOSTLY, _ANY_FORMAT = 0.75, 0.4
# Of the calls that test so many more are of a function that was wrong.
_OFTEN = 2
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
    telling = telling_values(judged, failing, stop(0.08))
    failing = telling.case
    observed = _observed(judged, telling, 1)
    if laws_alone:
        first = list(until(observed, _FIRST, stop(0.2)))
        if not law_of(judged, first)[0]:
            return None
        observed = itertools.chain(first, observed)
    _, seen = learn(observed, _SEEN, stop(0.35))
    wrong = [one for one in seen if one.labels]
    if not wrong:
        return None
    law, alone = law_of(judged, seen)
    if laws_alone and not law:
        return None
    # A sum of one product says something where others of them are wrong.
    singles = frozenset(n for one in wrong for n in one.labels & of_one_product(one.about[0]))
    seen = list(_without_singles(seen, singles))
    summed = not law and isinstance(failing, OperatorCase)
    found, known = _revealed(judged, seen, stop(0.6), stop(0.75)) if summed else (None, {})
    # Where the values show it each time, next to nothing is right by chance.
    chance = _BY_CHANCE * (_SELDOM if telling.sure(telling.case) else 1.0)
    sense = _Sense(judged, law, known, chance)
    seen = list(sense.of(sense.noted(seen)))
    functions = [*FUNCTIONS, *sorted({str(one.row["function"]) for one in wrong}) * _OFTEN]

    def again(turn: int) -> Iterator[Observed]:
        # Time is kept here: of what is asked all may be passed over below.
        asked = until(_observed(judged, telling, 2 + turn, functions), _ASKED, stop(1.0))
        # Calls in which nothing could be seen are no test.
        results_ = set(judged.kind.first_order)
        asked = sense.of(_without_singles(asked, singles))
        return (one for one in asked if one.labels or results_ - one.moot)

    rules, seen, fresh, foretold = put_to_tests(
        again, sense.rules(seen), seen, stop, turns=1 if alone else TURNS, learned=sense.rules
    )
    when = sense.when(rules, seen)
    if alone and not all(foretold):
        names = {label for one in wrong for label in one.labels}
        foretold = [obeys(judged, one, law, names) for one in fresh]
        when = ("wherever that is another number than what is due", when[-1])
    exact = bool(law) and all(obeys(judged, one, law, one.labels) for one in fresh if one.labels)
    results = results_of({label for one in wrong for label in one.labels}, judged.kind.first_order)
    what = [f"{listed(results)}: {law}"] if law else _of_sums(found, results, wrong)
    learned = Learned(
        tuple(what), (listed(results),), when, *counted(foretold, fresh), exact,
        granting=sense.separating(seen).conditions != rules.conditions, scant=len(fresh) < _SCANT,
    )  # fmt: skip
    return Numbers(learned, found)


def _without_singles(seen: Iterable[Observed], singles: frozenset[str]) -> Iterator[Observed]:
    """Mark results whose sums are of one product, but those that are wrong in some such sums."""
    for one in seen:
        yield one._replace(moot=one.moot | (of_one_product(one.about[0]) - singles))


@dataclass
class _Sense:
    """What is known of the numbers: which calls could show it, and how conditions are learned.

    Attributes
    ----------
    law : str
        What makes of each due number the one that came; empty if nothing of the table does.
    known : mapping of str to Found
        Arithmetics that are not the due ones, by format.
    chance : float
        For each wrong call so many may be right by chance.
    unasked : set of str
        Formats in which it is wrong, and whose arithmetic is not known: what is right in them says
        nothing.
    """

    judged: Judged
    law: str
    known: Mapping[str, Found]
    chance: float
    unasked: set[str] = field(default_factory=set)

    def of(self, seen: Iterable[Observed]) -> Iterator[Observed]:
        """Give what says anything, with the results marked that say nothing."""
        for one in seen:
            if self.law:
                # Where the law gives what is due, nothing can be seen of it.
                yield one._replace(moot=moot_of(self.judged, one, self.law))
            elif one.about[0].dtype not in self.unasked:
                # An arithmetic that is known says itself where it would show.
                yield evidence.told(self.known, one) if self.known else one

    def noted(self, seen: Sequence[Observed]) -> list[Observed]:
        """Learn from calls in which formats it is wrong; give those of formats that say anything.

        Those of others too where no arithmetic is known: then the condition says all there is.
        """
        if self.known and not self.law:
            faulty = {one.about[0].dtype for one in seen if one.labels}
            self.unasked = faulty - self.known.keys()
        return [one for one in seen if one.about[0].dtype not in self.unasked]

    def separating(self, seen: Sequence[Observed]) -> Rules:
        """Give conditions that separate."""
        seen = self.noted(seen)
        return joint_rules(seen) or learned_rules(seen)

    def rules(self, seen: Sequence[Observed]) -> Rules:
        """Give conditions that separate, or nearly, where some is right by chance."""
        seen = self.noted(seen)
        joint = joint_rules(seen)
        rules = joint or learned_rules(seen)
        return rules if joint or self.law else with_chance(rules, seen, self.chance)

    def when(self, rules: Rules, seen: Sequence[Observed]) -> tuple[str, ...]:
        """Say when it is wrong, and in which formats that was not asked."""
        lines = whens(rules, seen)
        if not self.unasked:
            return lines
        besides = f"in {listed(sorted(self.unasked))} it is wrong too; when was not asked"
        return (*lines[:-1], besides, lines[-1])


def _observed(
    judged: Judged, telling: Telling, seed: int, functions: Sequence[str] = FUNCTIONS
) -> Iterator[Observed]:
    """Ask case after case; labels are the results that are wrong."""
    rng, kind = random.Random(seed), judged.kind
    own = telling.case.recipe, telling.case.dtype
    for case in cases_near(judged, telling.case, rng, fresh=seed > 1):
        recipe, dtype = own
        if rng.random() > _MOSTLY:
            recipe, dtype = rng.choice(telling.others), case.dtype
        elif rng.random() < _ANY_FORMAT:
            dtype = rng.choice(judged.capabilities.dtypes)
        asked = case.changed(recipe=recipe, dtype=dtype)
        if not kind.askable(asked, judged.capabilities):
            continue
        values = kind.values(asked, kind.bits(asked, judged.capabilities))
        function = rng.choice(functions)
        found = verdict(judged, asked, values, function)
        for _ in range(_DRAWS):
            if found.labels or found.raised or telling.sure(asked):
                break
            # Few sums are within their bound by chance; those of several draws are not.
            asked = asked.changed(seed=rng.randrange(1000))
            values = kind.values(asked, kind.bits(asked, judged.capabilities))
            found = verdict(judged, asked, values, function)
        if found.raised or not asked.batch:
            continue
        row: dict[str, Any] = {"function": function, "recipe": asked.recipe}
        row |= attributes_of(asked, values)
        labels = found.labels & set(kind.first_order)
        moot = telling.moot(asked, kind.first_order)
        yield Observed(row, labels, (asked, found), moot=moot)


def _revealed(
    judged: Judged, seen: Sequence[Observed], stop: float, later: float
) -> tuple[Found | None, dict[str, Found]]:
    """Reveal the arithmetic of the usual calls if it is wrong in all, else of calls that were.

    Besides, by format, the arithmetics of calls that were wrong, as time allows.
    """
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
        # Of few terms first, in every format: of more terms, and of larger calls, as time allows.
        found = reveal(judged, dtype, sides=SIDES[:1], network=False)
        known = _in_others(judged, wrong, found, later) if found.words else {}
        if not found.words or time.perf_counter() < later:
            found = reveal(judged, dtype, like=found)
        if found.words:
            found = _with_wrong_calls(judged, wrong, found)
            return found, {dtype: found} | known
    cases = {name: case for name in RESULTS if (case := _summing(judged, wrong, name)) is not None}
    if not cases:
        return None, {}
    dtype = next(iter(cases.values())).dtype
    same = {name: case for name, case in cases.items() if case.dtype == dtype}
    found = reveal(judged, dtype, results=same, cases=same)
    return (found, {dtype: found}) if found.words else (None, {})


def _with_wrong_calls(judged: Judged, wrong: Sequence[Observed], found: Found) -> Found:
    """Reveal in calls that were wrong what is as it is due in the usual ones."""
    own = [one for one in wrong if one.about[0].dtype == found.dtype]
    silent = [
        name
        for name in found.parts
        if any(name in one.labels for one in own) and not found.of(name).words
    ]
    cases = {name: case for name in silent if (case := _summing(judged, own, name)) is not None}
    if not cases:
        return found
    more = reveal(judged, found.dtype, results=cases, cases=cases, like=found)
    return replace(found, parts={**found.parts, **more.parts})


def _in_others(
    judged: Judged, wrong: Sequence[Observed], like: Found, stop: float
) -> dict[str, Found]:
    """Reveal the arithmetic in the other formats in which something is wrong, in few calls."""
    known = dict[str, Found]()
    for name in dict.fromkeys(one.about[0].dtype for one in wrong):
        if name != like.dtype and time.perf_counter() < stop:
            found = reveal(judged, name, sides=SIDES[:1], network=False, like=like)
            if found.words:
                known[name] = found
    return known


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
