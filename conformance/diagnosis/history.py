"""Explains what depends on the calls before: the key, the shortest course, the stale answer.

Courses of few calls are drawn, and each call in them is one observation. The condition that
separates is the key. What comes instead of the answer is looked for in a table: an earlier answer,
an operand of an earlier call, the options of one. Long courses of one call show what counts calls.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from conformance.claims.loading import Judged
from conformance.diagnosis.courses import Courses, Step, behind, repeated
from conformance.diagnosis.experiments import other_values
from conformance.diagnosis.instead import computes, gives, instead_of, wrong_values
from conformance.diagnosis.observing import (
    FORETOLD,
    TURNS,
    Learned,
    Observed,
    attributes_of,
    counted,
    learn,
    learned_nearly,
    learned_rules,
    put_to_test,
    put_to_tests,
    results_of,
    shares,
    whens,
)
from conformance.diagnosis.observing import until as taken
from conformance.diagnosis.verdicts import is_overwriting
from conformance.judging.kind import FUNCTIONS
from conformance.words import listed

# Calls of a course, observations of a round, and calls of a long course.
_LENGTHS, _SEEN, _LONG = (3, 8, 8, 8, 45), 250, 1100
# Calls in turn that show whether calls are counted, and the courses that are drawn if they are.
_TURN, _COUNTING = 70, (45, 8, 45)
# Until this share of the time what contradicts a program is learned from.
_LATE = 0.75
# Of values that are none of the few.
_FRESH_VALUES = 5


def explain_history(judged: Judged, failing: Any, start: float, seconds: float) -> Learned | None:
    """Find what of the calls before makes a call wrong.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What fails, made small; a plain case where nothing fails alone.
    start, seconds : float
        When the explainer began, and how long it has.
    """
    until = shares(start, seconds)
    courses = Courses(judged, failing, 1)
    lengths = _COUNTING if _counts(courses, until(0.2)) else _LENGTHS
    rules, seen = learn(_observed(courses, lengths), _SEEN, until(0.5))
    if not any(one.labels for one in seen):
        return _counting(judged, failing, until(0.9))
    wrong = [one for one in seen if one.labels]
    instead, alone = instead_of(judged, seen, until(0.75))
    if not alone and not rules.unknown and rules.of_the_case_alone(seen):
        # It is wrong whatever came before; of its sizes and options too few were asked here.
        return None

    def again(turn: int) -> Iterator[Observed]:
        # Some are near courses in which something was wrong: a rare fault is to be among them.
        return _observed(courses.otherwise(2 + turn), lengths)

    if alone:
        instead, alone, fresh, foretold = _as_program(judged, seen, again, until, instead)
        when: tuple[str, ...] = (
            "wherever that is another answer than what is due", whens(rules, seen)[-1],
        )  # fmt: skip
        rules = rules if alone else learned_rules(seen)
    unknown = bool(rules.unknown)
    if not alone:
        rules = learned_nearly(seen) if unknown else rules
        rules, seen, fresh, foretold = put_to_tests(
            lambda turn: again(TURNS + turn), rules, seen, until, learned=learned_nearly
        )
        when = whens(rules, seen)
    wrong = [one for one in seen if one.labels]
    exact = bool(instead) and all(gives(judged, one, instead) for one in fresh if one.labels)
    found = Learned(
        _what(courses, wrong, instead), _where(judged, wrong), when,
        *counted(foretold, fresh), exact,
    )  # fmt: skip
    if unknown and not alone and not found.certain:
        # What no condition separates is counted, perhaps.
        other = _counting(judged, failing, until(0.9))
        return other if other is not None and other.share > found.share else found
    return found


def _as_program(
    judged: Judged,
    seen: list[Observed],
    again: Callable[[int], Iterator[Observed]],
    until: Callable[[float], float],
    instead: str,
) -> tuple[str, bool, list[Observed], list[bool]]:
    """Put a line of the table to fresh calls as a program, which needs no condition.

    A program that is contradicted gives way to another one, or to a condition; what contradicts it
    is `seen` from then on. Gives the line, whether it is a program, the fresh calls, and which of
    them it foretold.
    """
    alone, fresh, foretold = True, list[Observed](), list[bool]()
    wrong = [one for one in seen if one.labels]
    values = {name for one in wrong for name in wrong_values(judged, one)}
    # What is no value of a result is not given by a program.
    others = {label for one in wrong for label in one.labels} - set(judged.kind.first_order)
    for turn in range(TURNS):
        late = until(_LATE)
        fresh = put_to_test(again(turn), until(0.9))
        foretold = [
            computes(judged, one, instead, values) and not one.labels & others for one in fresh
        ]
        if all(foretold) or time.perf_counter() > late:
            break
        seen += fresh
        instead, alone = instead_of(judged, seen, until(0.75))
        if not alone:
            break
    return instead, alone, fresh, foretold


def _counts(courses: Courses, stop: float) -> bool:
    """Tell whether the same call, over and over, is right at first and wrong and right later."""
    for function in FUNCTIONS:
        seen = _long(courses, courses.cases[0], function, _TURN, stop)
        off = [bool(one.labels) for one in seen]
        if any(off) and not all(off[off.index(True) :]):
            return True
    return False


def _observed(courses: Courses, lengths: Sequence[int] = _LENGTHS) -> Iterator[Observed]:
    overwrites = False
    while True:
        for past, step, found in courses.walk(courses.drawn(courses.rng.choice(lengths))):
            row = behind(past, step) | {"function": step.function}
            about = tuple(past), step, found
            if any(map(is_overwriting, found.labels)):
                # Results of so many calls are looked at again, and of no more.
                lengths, overwrites = _LENGTHS[:2], True
            if found.labels and len(past) < max(lengths[:2]):
                courses.wrong.append([*past, step])
            if not step.case.batch and not found.labels:
                # Of no samples nothing can be wrong.
                continue
            if overwrites and not found.labels and any(step.repeats(one) for one in past):
                # What is overwritten by the same answer is not seen.
                continue
            yield Observed(row, found.labels, about, attributes_of(step.case, step.values))


def _counting(judged: Judged, failing: Any, stop: float) -> Learned | None:
    """Find the number of the call from which on, or at whose multiples, something is wrong."""
    courses = Courses(judged, judged.kind.plain(judged.capabilities), 3)
    own = Courses(judged, failing, 3)
    for case, function in itertools.product((own.cases[0], courses.cases[0]), FUNCTIONS):
        seen = _long(courses, case, function, _LONG, stop)
        if not any(one.labels for one in seen):
            continue
        rules = learned_rules(seen)
        asked = _long(courses, other_values(case, _FRESH_VALUES), function, len(seen), stop + 2)
        # Calls of one kind do not tell their number from what else they have behind them.
        mixed = Courses(judged, case, 4)
        asked = _ending(asked) + list(taken(_observed(mixed), FORETOLD, stop + 3))
        foretold = [rules.foretells(one) for one in asked]
        said = listed(sorted({label for one in seen for label in one.labels}))
        return Learned(
            (f"{said} of {function} depends on how many calls were made before",),
            (said,), whens(rules, seen), *counted(foretold, asked),
        )  # fmt: skip
    return None


def _ending(asked: Sequence[Observed]) -> list[Observed]:
    """Keep what was wrong of a long course, and of the rest what is nearest to its end."""
    wrong = [one for one in asked if one.labels][-FORETOLD:]
    right = [one for one in asked if not one.labels]
    return wrong + right[max(0, len(right) - FORETOLD + len(wrong)) :]


def _long(courses: Courses, case: Any, function: str, number: int, stop: float) -> list[Observed]:
    seen = []
    steps = repeated(courses, case, function, number)
    for past, step, found in courses.walk(steps):
        row = {"number of the call": len(past) + 1}
        seen.append(Observed(row, found.labels, None, attributes_of(step.case, step.values)))
        wrong = sum(bool(one.labels) for one in seen)
        if time.perf_counter() > stop or (wrong >= 12 and len(past) >= 40 + 2 * wrong):
            break
    return seen


def _what(courses: Courses, wrong: Sequence[Observed], instead: str) -> tuple[str, ...]:
    labels = sorted({label for one in wrong for label in one.labels})
    values = results_of(labels, courses.judged.kind.first_order)
    said = [_raised(label, wrong) for label in labels if label not in values]
    if values:
        what = instead or "what is given instead was not found"
        verb = "depends" if len(values) == 1 else "depend"
        said.insert(0, f"{listed(values)} {verb} on the calls before: {what}")
    shortest = min(wrong, key=_oddness)
    steps = [*_needed(courses, shortest), shortest.about[1]]
    return (*said, "the shortest course: " + ", then ".join(map(_said, steps)))


def _oddness(one: Observed) -> tuple[int, int]:
    """Order courses by their length, then by how odd their calls are."""
    past, step, _ = one.about
    return len(past), sum(bool(s.change) + s.again for s in (*past, step))


def _raised(label: str, wrong: Sequence[Observed]) -> str:
    words = [one.about[2].raised for one in wrong if label in one.labels and one.about[2].raised]
    return f"{label} {words[0][:160]}" if label == "raises" and words else label


def _needed(courses: Courses, wrong: Observed) -> list[Step]:
    """Leave out the calls before that are not needed, one after the other (delta debugging)."""
    past, step, _ = wrong.about
    needed = list(past)
    for one in past:
        fewer = [other for other in needed if other is not one]
        *_, (_, _, found) = courses.walk(iter([*fewer, step]))
        if wrong.labels <= found.labels:
            needed = fewer
    return needed


def _said(step: Step) -> str:
    case = step.case
    options = [f"batch {case.batch}", f"{case.height}x{case.width}", case.dtype]
    values = f"values {case.seed}" + (f" {step.change}" if step.change else "")
    again = ", in the same memory" if step.again else ""
    return f"{step.function} ({', '.join(options)}, {values}{again})"


def _where(judged: Judged, wrong: Sequence[Observed]) -> tuple[str, ...]:
    labels = {label for one in wrong for label in one.labels}
    values = results_of(labels, judged.kind.first_order)
    return (listed(values),) if values else ()
