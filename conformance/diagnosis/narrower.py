"""Finds the claims within which a failing implementation is right.

What raises on some calls is often right on all that its author had in mind: square kernels, odd
ones, a batch that is not empty. Which declaration leaves out every call that failed is found by
trying declarations, the widest first. Fresh calls are then asked within it. No claim is changed
here: what is found is said.
"""

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance.claims.capabilities import written
from conformance.claims.loading import Judged
from conformance.judging.record import Failure
from conformance.judging.shrink import failures_of

# What each entry of a declaration may say instead, the widest first.
_INSTEAD: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("empty_batch", (False,)),
    ("kernel_shapes", ("odd", "square", "odd square")),
    ("strides", ("square", ((1, 1),))),
    ("dilations", ("square", ((1, 1),))),
    ("images", ("square",)),
    ("ragged", (False,)),
    ("resizes", (False,)),
    ("dtypes", (("float32", "float64"), ("float32",))),
)  # fmt: skip
# Entries that are narrowed at most, and fresh calls that have to be right within them.
_MOST, _FRESH = 2, 24


def within_claims(judged: Judged, failures: Sequence[Failure]) -> str:
    """Say within which declaration all that was asked is right; nothing where there is none.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failures : sequence of Failure
        All that it fails. Where it never raises instead of answering, nothing is said: what is
        wrong is explained, and not declared.
    """
    own = [one for one in failures if one.clause[:3] != "ERR" and one.clause != "LAY-18"]
    if not any(one.refusal for one in own):
        return ""
    kind = judged.kind
    left = [kind.case.parse(token) for token in dict.fromkeys(one.token for one in own)]
    entries: dict[str, Any] = {}

    def claimed_still(cases: list[Any], one: tuple[str, Any]) -> list[Any]:
        """Give the cases that are claimed all the same."""
        claimed = replace(judged.capabilities, **(entries | dict([one])))
        return [case for case in cases if not kind.unclaimed(case, claimed)]

    while left and len(entries) < _MOST and (listed := _instead(judged, entries)):
        # Of those that leave out most the widest.
        entry, value = min(listed, key=lambda one: len(claimed_still(left, one)))
        rest = claimed_still(left, (entry, value))
        if len(rest) == len(left):
            break
        left, entries = rest, entries | {entry: value}
    if left:
        return ""
    less = replace(judged, capabilities=replace(judged.capabilities, **entries))
    fresh = itertools.islice(kind.drawn(less.capabilities, random.Random(5)), _FRESH)
    asked = [bool(failures_of(less, case, "hint")) for case in fresh]
    # Who gives no answer any more was not right.
    if not asked or any(asked) or judged.host.given_up:
        return ""
    return (
        f"right, as far as was asked, within {written(entries)}: it declares so, if that is meant"
    )


def _instead(judged: Judged, entries: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """List the entries that can be narrowed, each with what it may say instead."""
    usual = type(judged.capabilities)()
    return [
        (entry, value)
        for entry, values in _INSTEAD
        # What was narrowed by its author stays as it is.
        if entry not in entries and getattr(judged.capabilities, entry) == getattr(usual, entry)
        for value in values
    ]
