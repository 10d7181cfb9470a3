"""Explains what fails, of any kind: what is wrong each time, what the calls before do, or neither.

It asks first how a fault shows: alone, or after other calls, or only as a call is put. What shows
each time is explained by the kind; the rest by `states` and `behaviour`. Each explanation is tested
by who finds it; here the one that foretold enough is taken.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conformance.cases.operator import OperatorCase
from conformance.claims.loading import Judged
from conformance.claims.program import DiedError
from conformance.diagnosis.asking import patience
from conformance.diagnosis.behaviour import alone, explain_behaviour, remembers, special_values
from conformance.diagnosis.explain import of_numbers, told
from conformance.diagnosis.explanation import Explanation
from conformance.diagnosis.ignored import explain_within
from conformance.diagnosis.starting import least
from conformance.diagnosis.states import explain_state
from conformance.diagnosis.verdicts import RAISES
from conformance.judging.ask import NotRunError
from conformance.judging.record import Failure

# Of the time so much is spent to find where to start, and on laws of numbers where no map is found.
_STARTING, _LAWS = 0.12, 0.4
# Of the time so much, and that of an operator at least, on what is no map and no step.
_BEHAVIOUR = 0.6
# And so much of it, at most, to see which options make no difference.
_IGNORED = 0.5


def explained(
    judged: Judged, failing: Any, check: str = "", failures: Sequence[Failure] = ()
) -> Explanation | None:
    """Explain an implementation of any kind; nothing where it gives no answers any more.

    Parameters
    ----------
    judged : Judged
        The implementation and what it claims.
    failing : Case
        A case that it fails, made small.
    check : str
        Name of the check that met it, which points to what to ask first.
    failures : sequence of Failure
        All that it fails: some may be of options that it does not look at, and some not.
    """
    if judged.host.given_up:
        return None
    with contextlib.suppress(DiedError, NotRunError):
        # What ignores one option is said best by its map; two hide what else there is.
        found = judged.kind.ignored(judged, _IGNORED * patience(judged.kind.name))
        several = found is not None and len(found.values) > 1
        own = None if several else _explained(judged, failing, check)
        if found is None or (own is not None and own.certain):
            return own
        judged.host.anew()
        return explain_within(judged, found, failures, _explained)
    return None


def _explained(judged: Judged, failing: Any, check: str) -> Explanation | None:
    """Explain its map or numbers, its behaviour, or what of both foretells enough."""
    start = time.perf_counter()
    # A call of a layer takes longer, and what depends on other calls takes many.
    seconds = max(patience("operator"), _BEHAVIOUR * patience(judged.kind.name))
    shown = alone(judged, failing)
    found: Explanation | None = None
    if not shown:
        found = explain_state(judged, failing, seconds, steady)
        if found is not None and found.certain:
            return found
        if special := special_values(judged, failing):
            # What a view makes of values shows without the view.
            failing, shown = special
    wrong = shown & set(judged.kind.first_order)
    if shown:
        time_left = _STARTING * patience(judged.kind.name)
        failing = least(judged, failing, lambda one: shown <= alone(judged, one), time_left)
    remembered = remembers(judged, failing)
    raises = bool(shown) and shown <= {RAISES}
    if (wrong and not remembered) or raises:
        return _steadily(judged, failing, check, start, seconds, raises=raises)
    if remembered and found is None:
        found = explain_state(judged, failing, seconds, steady)
        if found is not None and found.certain:
            return found
    if found is not None and found.asked and time.perf_counter() > start + seconds:
        return found
    own = explain_behaviour(
        judged, failing, check, start, seconds, remembered=remembered, right_alone=not shown
    )
    if own is not None and (own.certain or found is None or not found.asked):
        found = told(own, start)
    if found is None and not raises:
        judged.host.anew()
        found = judged.kind.explain(judged, failing)
    return found


def _steadily(
    judged: Judged, failing: Any, check: str, start: float, seconds: float, *, raises: bool
) -> Explanation | None:
    """Explain what is there in each call; what raises also by how it is put."""
    if not raises:
        return steady(judged, failing)
    judged.host.anew()
    found: Explanation | None = judged.kind.explain(judged, failing)
    if found is not None and found.certain:
        return found
    own = explain_behaviour(judged, failing, check, start, seconds)
    if own is not None and (own.certain or found is None or not found.asked):
        return told(own, start)
    return found


def steady(judged: Judged, failing: Any, seconds: float | None = None) -> Explanation | None:
    """Explain what is wrong in each call: a map, an arithmetic, or a law of numbers.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What fails.
    seconds : float, optional
        How long to ask, `patience` by default.
    """
    start = time.perf_counter()
    judged.host.anew()
    found: Explanation | None = judged.kind.explain(judged, failing, seconds)
    if found is not None and found.certain:
        return found
    # No map, perhaps a law of numbers; an arithmetic, if no formula gives any of them.
    judged.host.anew()
    whole = patience("operator") if seconds is None else seconds
    mapped = found is not None and (found.exact or not isinstance(failing, OperatorCase))
    numbers = of_numbers(judged, failing, _LAWS * whole, laws_alone=mapped)
    if numbers is not None and numbers.certain:
        found = replace(numbers, seconds=time.perf_counter() - start)
    return found
