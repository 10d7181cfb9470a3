"""Explains a fault that needs other calls before it: what they are, and what is wrong then.

With what has to come before put before each call, the fault is steady, and is explained as if it
were alone. What has to come before is then learned from courses of calls that are wrong in that
state. Both are tested, each on its own fresh calls, and both must foretell enough.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from conformance.claims.loading import Judged
from conformance.diagnosis.behaviour import alone
from conformance.diagnosis.conditions import ALWAYS
from conformance.diagnosis.courses import Courses, Step, behind, usable
from conformance.diagnosis.explanation import Explanation
from conformance.diagnosis.observing import Observed, Rules, learn, put_to_test, shares
from conformance.diagnosis.preludes import Prelude, prelude_of, prepared
from conformance.diagnosis.starting import least
from conformance.diagnosis.verdicts import verdict
from conformance.judging.kind import FUNCTIONS

# What explains a fault that is steady: of an implementation, a case and the seconds it has.
Steady = Callable[[Judged, Any, float], Explanation | None]
# Observations to learn from and to foretell, and the lengths of courses.
_SEEN, _FORETOLD = 160, 160
_LENGTHS, _LONG = (3, 8, 8), 45
# After so many courses without a call that shows anything none is expected.
_BARREN = 20
# Of the time so much is spent to find where to start; seconds for what is wrong, at least.
_STARTING, _LEAST = 0.12, 2.0
# Of the time so much is spent to find what has to come before.
_SEARCHING = 0.3
_WRONG = "wrong"


def explain_state(
    judged: Judged, failing: Any, seconds: float, steady: Steady
) -> Explanation | None:
    """Find what has to come before, and explain what is wrong after it.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What is wrong after some calls, and right alone.
    seconds : float
        How long to ask.
    steady : callable
        What explains a fault that is there in each call.

    Returns
    -------
    Explanation or None
        None where no calls of the table bring it about.
    """
    start, case = time.perf_counter(), usable(judged, failing)
    prelude = prelude_of(judged, case, start + _SEARCHING * seconds)
    if prelude is None:
        return None
    own = prepared(judged, prelude)
    shown = alone(own, case) & set(judged.kind.first_order)
    if not shown:
        return None

    def fails(one: Any) -> bool:
        return shown <= alone(own, one)

    case = least(own, case, fails, _STARTING * seconds)
    stop = shares(start, seconds)
    rules, seen = learn(_observed(judged, own, case, 1, prelude), _SEEN, stop(0.25))
    if rules.unknown:
        # What no condition on the calls before separates is no state of this kind: its key, or what
        # is given instead, is looked for elsewhere.
        return None
    fresh = put_to_test(_observed(judged, own, case, 2, prelude), stop(0.35), _FORETOLD)
    found = steady(own, case, max(_LEAST, seconds - (time.perf_counter() - start)))
    return None if found is None else _joined(found, prelude, rules, seen, fresh, start)


def _joined(
    found: Explanation,
    prelude: Prelude,
    rules: Rules,
    seen: list[Observed],
    fresh: list[Observed],
    start: float,
) -> Explanation:
    """Put together what is wrong, and what has to come before."""
    rule = rules.conditions.get(_WRONG)
    off = [one for one in fresh if one.labels]
    told = [rules.foretells(one) for one in fresh]
    caught = sum(rules.foretells(one) for one in off)
    condition = None if rule is None else rule.condition
    after = (
        f"no simple condition on the calls before was found; {prelude.words} before it will do"
        if condition is None
        else "whatever comes before"
        if condition is ALWAYS
        else str(condition)
    )
    wrong = sum(bool(one.labels) for one in seen)
    count = f"of calls that this is about, in turn, {wrong} of {len(seen)} were wrong"
    own = Explanation(foretold=sum(told), asked=len(fresh), faulty=len(off), caught=caught)
    return replace(
        found,
        what=(*found.what, "this depends on the calls before; elsewhere it is right"),
        when=(*found.when, f"only if: {after}", count),
        foretold=found.foretold + own.foretold,
        asked=found.asked + own.asked,
        faulty=found.faulty + own.faulty,
        caught=(found.faulty if found.caught is None else found.caught) + caught,
        seconds=time.perf_counter() - start,
        doubtful=not (found.certain and own.certain),
    )


def _observed(
    judged: Judged, own: Judged, case: Any, seed: int, prelude: Prelude
) -> Iterator[Observed]:
    """Give calls in courses that are wrong in the state that the prelude brings about."""
    courses = Courses(judged, case, seed)
    known = dict[tuple[str, str, str], bool]()

    def about(step: Step) -> bool:
        """Tell whether a call is wrong where the state is as it is after the prelude."""
        key = step.case.token, step.function, step.change
        if key not in known:
            own.host.anew()
            found = verdict(own, step.case, step.values, step.function)
            known[key] = bool(found.labels & set(judged.kind.first_order))
        return known[key]

    def active(one: Any) -> bool:
        steps = (courses.step(one.changed(seed=case.seed), function) for function in FUNCTIONS)
        return any(map(about, steps))

    larger = case.changed(height=case.height + 3, width=case.width + 2)
    if judged.kind.askable(larger, judged.capabilities):
        courses.cases.append(larger)
    shows = [one for one in courses.cases if active(one)]
    # Calls that show it, as often as all others together.
    courses.cases += shows * max(1, len(courses.cases) // max(len(shows), 1))
    small = judged.kind.plain(judged.capabilities)
    some = [case, case, small, small.changed(dtype=case.dtype)]
    barren = 0
    while barren < _BARREN:
        if prelude.counts:
            steps = courses.counting(_LONG, some)
        else:
            steps = list(courses.drawn(courses.rng.choice(_LENGTHS)))
        shown = [about(step) for step in steps]
        barren = 0 if any(shown) else barren + 1
        for number, (past, step, found) in enumerate(courses.walk(iter(steps))):
            if not shown[number]:
                continue
            # No rule of one function alone: that is a condition, which has to separate.
            row = behind(past, step) | {"function of the call": step.function}
            wrong = bool(found.labels & set(judged.kind.first_order))
            if wrong and len(past) < max(_LENGTHS):
                courses.wrong.append([*past, step])
            yield Observed(row, frozenset({_WRONG} if wrong else ()))
