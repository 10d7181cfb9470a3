"""Which failures a report shows in full: the one that shows most, and one of each other sort.

Where a wrong value is not a certificate's own, the certificate of the same geometry is asked, which
shows what was read there. Nothing is drawn here.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conformance.claims.loading import Judged
from conformance.judging.record import Failure
from conformance.judging.shrink import failures_of

# So many are shown, and so long is asked for their windows.
MOST, _SECONDS = 6, 4.0
# Pixels of a window that is taken in at a glance.
WINDOW = 64


def shown(first: Failure | None, failures: Sequence[Failure]) -> list[Failure]:
    """Choose the failures that are shown.

    Parameters
    ----------
    first : Failure or None
        What shows most, made small.
    failures : sequence of Failure
        All that were found.
    """
    if first is None:
        return []
    chosen, seen = [first], {_sort(first)}
    # Windows first, then other pictures.
    for one in sorted(failures, key=_says_little):
        if _sort(one) not in seen and len(chosen) < MOST:
            seen.add(_sort(one))
            chosen.append(one)
    return chosen


def certified(judged: Judged, chosen: Sequence[Failure]) -> list[Failure]:
    """Give the failures, those of wrong values with the window of their geometry.

    The implementation is asked, as long as there is time for it.
    """
    stop = time.perf_counter() + _SECONDS
    return [
        one if judged.host.given_up or time.perf_counter() > stop else _certified(judged, one)
        for one in chosen
    ]


def _sort(one: Failure) -> tuple[Any, ...]:
    return one.clause, one.result, one.refusal, one.died


def _says_little(one: Failure) -> tuple[Any, ...]:
    """Order failures by how much their pictures show: large windows that a page still holds."""
    drawn = one.exhibit or {}
    window = drawn.get("window")
    size = 0 if window is None else len(window["rows"]) * len(window["columns"])
    return not drawn, not 0 < size <= WINDOW, -size


def _certified(judged: Judged, one: Failure) -> Failure:
    """Give the failure with the window of its geometry, if there is one to be had."""
    if one.exhibit is None or one.exhibit["window"] is not None:
        return one
    case = judged.kind.certificate_of(judged.kind.case.parse(one.token), one.result)
    if case is None or not judged.kind.askable(case, judged.capabilities):
        return one
    found = failures_of(judged, case, one.check)
    exhibits = [failure.exhibit for failure in found if failure.exhibit is not None]
    window = next((each for each in exhibits if each["window"] is not None), None)
    added: dict[str, Any] = {"geometry": "right" if not found else "wrong"}
    if window is not None:
        added |= {name: window[name] for name in ("window", "products")}
    return replace(one, exhibit={**one.exhibit, **added})
