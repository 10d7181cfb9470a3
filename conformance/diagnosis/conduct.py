"""Explains what a call does besides answering, and what it raises: operands written, memory shared.

Also results of another form, the process left changed, memory kept, exceptions. Each call is one
observation, on an implementation made anew or not; the condition is about the case and its values.
"""

import itertools
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from conformance.cases.operator import OperatorCase
from conformance.claims.loading import Judged
from conformance.diagnosis import experiments
from conformance.diagnosis.courses import usable, variants
from conformance.diagnosis.observing import (
    Learned,
    Observed,
    attributes_of,
    counted,
    learn,
    learned_nearly,
    put_to_test,
    put_to_tests,
    shares,
    whens,
)
from conformance.diagnosis.starting import on_integers
from conformance.diagnosis.verdicts import RAISES, of_dtype, verdict
from conformance.judging.ask import ask
from conformance.judging.kind import FUNCTIONS

_SEEN = 120
_BESIDE = 0.5
# Calls in a stretch, stretches, and questions that are asked of what is kept.
_CALLS, _STRETCHES, _KEPT = 10, 3, 16
# Of the time so much is for learning of it: its tests take as long.
_LEARNING = 0.45
_MOST_PRODUCTS = 1 << 17


def explain_conduct(judged: Judged, failing: Any, start: float, seconds: float) -> Learned | None:
    """Find what is done, or raised, and when.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What fails.
    start, seconds : float
        When the explainer began, and how long it has.
    """
    stop = shares(start, seconds)
    observed = _observed(judged, failing, 1)
    rules, seen = learn(observed, _SEEN, stop(0.5))
    if not any(one.labels for one in seen):
        return None
    rules, seen, fresh, foretold = put_to_tests(
        lambda turn: _observed(judged, failing, 2 + turn),
        learned_nearly(seen) if rules.unknown else rules, seen, stop, learned=learned_nearly,
    )  # fmt: skip
    labels = dict.fromkeys(label for one in seen for label in one.labels)
    return Learned(
        tuple(labels), (), whens(rules, seen),
        *counted(foretold, fresh),
    )  # fmt: skip


def _observed(judged: Judged, failing: Any, seed: int) -> Iterator[Observed]:
    """Ask case after case, one function each; labels are all but wrong values."""
    rng, kind = random.Random(seed), judged.kind
    results = set(kind.first_order)
    cases = cases_near(judged, failing, rng, fresh=seed > 1)
    while True:
        case = next(cases)
        values = kind.values(case, kind.bits(case, judged.capabilities))
        function = rng.choice(FUNCTIONS)
        found = verdict(judged, case, values, function, {})
        labels = {one for one in found.labels if one not in results and one != RAISES}
        labels |= {f"raises {_plain(found.raised)}"} if found.raised else set()
        if not case.batch and not labels:
            # Of no samples hardly anything can be wrong.
            continue
        row: dict[str, Any] = {"function": function} | attributes_of(case, values)
        # Where the format is the due one, its label cannot show.
        moot = frozenset(of_dtype(name, case.dtype) for name in results)
        yield Observed(row, frozenset(labels), (case, found), moot=moot)


def _plain(raised: str) -> str:
    """Give the class and the message without the numbers that change from case to case."""
    return re.sub(r"\d+", "#", raised.splitlines()[0][:120])


def cases_near(judged: Judged, failing: Any, rng: random.Random, *, fresh: bool) -> Iterator[Any]:
    """Draw cases near a failing one, and from everywhere, for ever.

    To learn from, those come between in which one attribute is moved: fresh ones are others.
    """
    kind, claimed = judged.kind, judged.capabilities
    if kind.recipes[failing.recipe].certifies:
        failing = on_integers(failing)
    if failing.batch == 0:
        failing = failing.changed(batch=1)
    of_operators = isinstance(failing, OperatorCase)
    if of_operators:
        near = experiments.near(failing, claimed, rng)
        anywhere = experiments.drawn(claimed, failing.dtype, rng)
        turns: Sequence[Callable[[], Any]] = (
            lambda: next(near), lambda: next(anywhere), lambda: next(near),
        )  # fmt: skip
    else:
        some = [*variants(judged, usable(judged, failing)), *variants(judged, kind.plain(claimed))]
        turns = (lambda: rng.choice(some),)
    beside = iter(experiments.around(failing, claimed) if of_operators and not fresh else ())
    while True:
        case = (next(beside, None) if rng.random() < _BESIDE else None) or rng.choice(turns)()
        case = experiments.reseeded(case, rng)
        if rng.random() < 0.15 and len(claimed.dtypes) > 1:
            case = case.changed(dtype=rng.choice(claimed.dtypes))
        if rng.random() < 0.06 and getattr(claimed, "empty_batch", False):
            case = case.changed(batch=0)
        if kind.askable(case, claimed) and getattr(case, "products", 0) <= _MOST_PRODUCTS:
            yield case


def explain_keeping(judged: Judged, failing: Any, start: float, seconds: float) -> Learned | None:
    """Find what the process holds more of after each call, and when; dear, so that few are asked.

    Kept is what grows in two stretches of calls one after the other, as the suite has it.
    """
    rng, kind, claimed = random.Random(1), judged.kind, judged.capabilities
    modes = list(kind.modes(claimed))
    plain = failing
    if plain.recipe != "integers" or plain.batch == 0:
        plain = kind.enlarged(kind.plain(claimed, members=4), (31, 32), claimed)

    def observed(functions: Sequence[str]) -> Iterator[Observed]:
        for function in itertools.cycle(functions):
            spare = rng.choice(((31, 32), (13, 9), (18, 22), (24, 27), (40, 30)))
            wider = kind.plain(claimed, batch=rng.choice((1, 2, 3, 4))).changed(**rng.choice(modes))
            yield _kept(judged, kind.enlarged(wider, spare, claimed), function)

    first = (
        _kept(judged, plain.changed(**mode), function) for function in FUNCTIONS for mode in modes
    )
    found = itertools.chain(first, observed(FUNCTIONS))
    rules, seen = learn(found, _KEPT, start + _LEARNING * seconds)
    faulty = [one for one in FUNCTIONS if any(o.labels and o.row["function"] == one for o in seen)]
    if not faulty:
        return None
    # Of the calls that test most are of a function that keeps something.
    end = max(start + seconds, time.perf_counter() + 2)
    fresh = put_to_test(observed([*FUNCTIONS, *faulty]), end, _KEPT)
    foretold = [rules.foretells(one) for one in fresh]
    labels = sorted({label for one in seen for label in one.labels})
    return Learned(tuple(labels), (), whens(rules, seen), *counted(foretold, fresh))


def _kept(judged: Judged, case: Any, function: str) -> Observed:
    kind, held = judged.kind, list[dict[str, int]]()
    judged.host.anew()
    for turn in range(_CALLS * _STRETCHES):
        one = case.changed(seed=turn)
        values = kind.values(one, kind.bits(one, judged.capabilities))
        last = (turn + 1) % _CALLS == 0
        answer = ask(judged, one, values, functions=(function,), counted=last)
        if answer.held:
            held.append(answer.held)
    labels = set()
    if held:
        image = min(values[name].nbytes for name in ("x", "dy"))
        for name in held[0]:
            enough = _CALLS * (image // 2 if name == "memory" else 1)
            first, second, third = (counts[name] for counts in held)
            if min(second - first, third - second) >= enough:
                grow = "grows" if name == "memory" else "grow in number"
                labels.add(f"{name} of the process {grow} with each call of {function}")
    row: dict[str, Any] = {"function": function} | attributes_of(case)
    return Observed(row, frozenset(labels))
