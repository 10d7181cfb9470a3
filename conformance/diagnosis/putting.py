"""Explains what depends on how a call is put: how operands lie in memory, how options are written.

Each operand is laid otherwise, options are left out or written shorter, the call is made in a
forked child: one or two things at a time. The condition that separates is the property. What comes
instead is looked for in a table of ways to read memory. The case itself stays what it is.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.cases.views import VIEWS
from conformance.claims.loading import Judged
from conformance.diagnosis.attributes import Row, yes
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
)
from conformance.diagnosis.starting import on_integers
from conformance.diagnosis.verdicts import expected, verdict
from conformance.judging.examine import compare
from conformance.judging.kind import FUNCTIONS
from conformance.words import listed
from conformance.worker.memory import layout_of
from conformance.worker.pages import PLACES

_SEEN, _CHECKED, _SAMPLE = 150, 8, 60
# Seeds of what is put: to learn from, near what was wrong, and from this one on to test.
_FIRST, _NEAR, _FRESH = 1, 2, 3


# How memory that is no plain C-contiguous array may be read as if it were one.
# As they are laid anew with their axes in the order in which they lie.
def _packed(array: Array) -> Array:
    return array.astype(array.dtype, order="K").ravel("K").reshape(array.shape)


READ: Mapping[str, Callable[[Array], Array]] = {
    "{} is read in the order in which it lies in memory": lambda a: a.ravel("K").reshape(a.shape),
    "{} is read in the order of its axes in memory": _packed,
    "{} is read forwards in memory": lambda a: a[
        tuple(slice(None, None, -1 if step < 0 else 1) for step in a.strides)
    ],
    "{} is read an entry off": lambda a: np.roll(a, 1),
    "{} is read an entry off, backwards": lambda a: np.roll(a, -1),
}
# Values of an option that mean "as it is left out", and shorter words for a pair of equals.
_LEFT_OUT = {"stride": 1, "dilation": 1, "padding": "same", "group_layout": "blocked"}


def explain_putting(judged: Judged, failing: Any, start: float, seconds: float) -> Learned | None:
    """Find what of how a call is put makes it wrong.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What fails, or a plain case.
    start, seconds : float
        When the explainer began, and how long it has.
    """
    stop = shares(start, seconds)
    puts = _Puts(judged, failing, _FIRST)
    rules, seen = learn(puts.observed(), _SEEN, stop(0.5))
    wrong = [one for one in seen if one.labels]
    if not wrong:
        return None
    near = _Puts(judged, failing, _NEAR, wrong).observed()
    seen += until(near, _SEEN, stop(0.6))
    rules, wrong = _rules(seen), [one for one in seen if one.labels]
    if any(not one.about[3] and not one.about[4] for one in wrong):
        # What is wrong in a plain call too, depends on something else.
        return None
    if rules.conditions and not rules.unknown and rules.of_the_case_alone(seen):
        # It is wrong however it is put; of its sizes and options too few were asked here.
        return None
    results = judged.kind.first_order
    values = [one for one in wrong if results_of(one.labels, results)]
    few = values[:_CHECKED]
    instead = next((w for w in _table(few) if _all_give(judged, few, w)), None)
    right = [one for one in seen if not one.labels and one.about[2].answer.results][-_SAMPLE:]
    alone = instead is not None and _all_give(judged, values[-_SAMPLE:] + right, instead)
    rules, seen, fresh, foretold = put_to_tests(
        lambda turn: _Puts(judged, failing, _FRESH + turn, wrong).observed(),
        rules, seen, stop, learned=_rules, turns=1 if alone else TURNS,
    )  # fmt: skip
    off = [one for one in fresh if results_of(one.labels, results)]
    exact = instead is not None and _all_give(judged, off, instead)
    labels = sorted({label for one in wrong for label in one.labels})
    when = whens(rules, seen)
    if alone and not all(foretold) and set(labels) <= set(results):
        foretold = [instead is not None and _all_give(judged, [one], instead) for one in fresh]
        when = ("wherever that is another order than that of the entries", when[-1])
    return Learned(
        _what(judged, labels, wrong, instead), _where(judged, labels), when,
        *counted(foretold, fresh), exact,
    )  # fmt: skip


def _rules(seen: Sequence[Observed]) -> Rules:
    """Learn one condition for all labels, or one for each."""
    return joint_rules(seen) or learned_rules(seen)


Views = Mapping[str, Callable[[Array], Array]]


class _Puts:
    """Puts calls, in one or two unusual ways each; some of them as calls that were wrong."""

    def __init__(
        self, judged: Judged, failing: Any, seed: int, wrong: Sequence[Observed] = ()
    ) -> None:
        self.judged, self.rng, self.wrong = judged, random.Random(seed), wrong
        self.cases = _cases(judged, failing)

    def observed(self) -> Iterator[Observed]:
        """Put one call after the other."""
        rng, kind, claimed = self.rng, self.judged.kind, self.judged.capabilities
        for case, function in itertools.product(self.cases, FUNCTIONS):
            # A plain call, in which nothing may be wrong: else it is not how it is put.
            yield self._put(case, {}, {}, function)
        while True:
            if self.wrong and rng.random() < 0.4:
                _, before, _, *put = rng.choice(self.wrong).about
                yield self._put(before.changed(seed=rng.randrange(500)), *put)
                continue
            case = rng.choice(self.cases).changed(seed=rng.randrange(500))
            values = kind.values(case, kind.bits(case, claimed))
            how: dict[str, Any] = {}
            views: dict[str, Any] = {}
            function, way = rng.choice(FUNCTIONS), rng.random()
            if claimed.memory and way < 0.7:
                views = {name: rng.choice(VIEWS) for name in rng.choice(kind.operands_of(values))}
            elif claimed.memory and way < 0.78 and self.judged.host.isolated:
                how["page"] = rng.choice(list(PLACES))
            elif way < 0.8 and self.judged.host.isolated and getattr(claimed, "fork_safe", False):
                how["forked"] = True
            elif way < 0.95:
                how |= _written(kind.arguments(function, case, values)[1], rng)
            yield self._put(case, views, how, function)

    def _put(self, case: Any, views: Views, how: Mapping[str, Any], function: str) -> Observed:
        kind, judged = self.judged.kind, self.judged
        plain = kind.values(case, kind.bits(case, judged.capabilities))
        values = {n: views[n](array) if n in views else array for n, array in plain.items()}
        plain = {name: np.array(array) for name, array in values.items()}
        due = expected(judged, case, plain)
        found = verdict(judged, case, values, function, due, **how)
        row: Row = {"function": function}
        for name, array in values.items():
            row |= _lies(name, array, given=function == "backward" or name != "dy")
        usual = kind.arguments(function, case, values)[1]
        given = {name: one for name, one in how.items() if name not in {"page", "forked"}} or usual
        for name in usual:
            row[f"{name} is left out"] = yes(name not in given)
            short = isinstance(given.get(name), int) and isinstance(usual[name], tuple)
            row[f"{name} is written as one number"] = yes(short)
        for place in PLACES:
            row[f"the memory of operands is a page of its own, {place}"] = yes(
                how.get("page") == place
            )
        row["it is called in a forked child"] = yes(how.get("forked"))
        about = values, case, found, views, how, function
        return Observed(row, found.labels, about, attributes_of(case))


def _cases(judged: Judged, failing: Any) -> list[Any]:
    kind, claimed = judged.kind, judged.capabilities
    plain = kind.plain(claimed, batch=2)
    if kind.recipes[failing.recipe].certifies:
        failing = on_integers(failing)
    found = [failing, plain, kind.enlarged(plain, (3, 2), judged.capabilities)]
    found += [plain.changed(stride=stride) for stride in ((2, 2),)]
    found += [plain.changed(padding=word) for word in ("valid", 1)]
    found = [getattr(one, "large_enough", one) for one in found if one.batch]
    return [one for one in dict.fromkeys(found) if kind.askable(one, claimed)] or [plain]


def _written(options: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
    """Write options otherwise that mean the same."""
    found = dict(options)
    for name, value in options.items():
        pair = isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]
        if pair and isinstance(value[0], int) and rng.random() < 0.5:
            found[name] = value[0]
        if found[name] == _LEFT_OUT.get(name, object()) and rng.random() < 0.5:
            del found[name]
    return found if found else dict(options)


def _lies(name: str, array: Array, *, given: bool) -> Row:
    """Say how an operand lies in memory."""
    lies = layout_of(array) if given else {}
    steps = [step for step, size in zip(array.strides, array.shape, strict=True) if size > 1]
    positive = [abs(step) for step in steps if step]
    contiguous = bool(array.flags.c_contiguous)
    return {
        f"{name} is contiguous": yes(contiguous or not given),
        f"{name} has negative strides": yes(given and any(step < 0 for step in steps)),
        f"{name} has zero strides": yes(given and 0 in steps),
        f"{name} lies in another order of axes": yes(given and positive != sorted(positive)[::-1]),
        f"{name} has gaps between its entries": yes(
            given and bool(positive) and min(positive) > array.itemsize
        ),
        f"{name} is read-only": yes(not array.flags.writeable and given),
        f"address of {name}": int(lies.get("offset", 0)),
    }


# How operands are read: of each pair the manner, as in `READ`, and whose.
_Read = tuple[tuple[str, str], ...]
_ALL: Mapping[str, Callable[[str], bool]] = {
    "every weight": lambda name: name not in {"x", "dy"},
    "every operand": lambda name: True,  # noqa: ARG005
}


def _table(wrong: Sequence[Observed]) -> Iterator[_Read]:
    if not wrong:
        return
    names = (*wrong[0].about[0], *_ALL)
    singles = list(itertools.product(READ, names))
    yield from ((one,) for one in singles)
    # Two operands, each in its own way.
    yield from (
        (one, other)
        for one, other in itertools.combinations(singles, 2)
        if one[1] != other[1] and not {one[1], other[1]} & _ALL.keys()
    )


def _all_give(judged: Judged, wrong: Sequence[Observed], instead: _Read) -> bool:
    return bool(wrong) and all(_gives(judged, one, instead) for one in wrong)


def _gives(judged: Judged, one: Observed, instead: _Read) -> bool:
    values, case, found = one.about[:3]
    read = dict(values)
    for words, whose in instead:
        for name in values:
            if _ALL.get(whose, whose.__eq__)(name):
                read[name] = np.array(READ[words](values[name]))
    foreign = expected(judged, case, read)
    format_ = judged.capabilities.arithmetic(case.dtype).result
    return all(
        compare(array, foreign[result], format_)[1] is None
        for result, array in found.answer.results.items()
    )


def _what(
    judged: Judged, labels: Sequence[str], wrong: Sequence[Observed], instead: _Read | None
) -> tuple[str, ...]:
    values = results_of(labels, judged.kind.first_order)
    said = []
    if values:
        verb = "is" if len(values) == 1 else "are"
        ways = [words.format(whose) for words, whose in instead or ()]
        how = "; ".join(ways) or "what is read instead was not found"
        said.append(f"{listed(values)} {verb} wrong though the values are the same: {how}")
    raised = [one.about[2].raised for one in wrong if one.about[2].raised]
    said += [label for label in labels if label not in values and label != "raises"]
    return (*said, *(f"raises {words[:160]}" for words in dict.fromkeys(raised[:1])))


def _where(judged: Judged, labels: Sequence[str]) -> tuple[str, ...]:
    values = results_of(labels, judged.kind.first_order)
    return (listed(values),) if values else ()
