"""What an author may have forgotten to declare.

Half precision is often summed in half precision. Undeclared, it is held to what a careful
implementation does, and fails bounds that it would keep if it said so. No bound is widened here: an
arithmetic is suggested only if every bound that failed holds in it.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from conformance.claims.formats import ACCUMULATORS, FORMATS
from conformance.claims.loading import Judged
from conformance.diagnosis.narrower import within_claims
from conformance.judging.record import Failure
from conformance.judging.shrink import failures_of

# What breaks who rounds otherwise than to nearest, and does nothing else wrong.
_ROUNDING = {"NUM-2", "NUM-3", "NUM-4", "NUM-8", "SPC-5"}
# Failing cases of a format that are asked again.
_MOST = 8


def hints(judged: Judged, failures: Iterable[Failure]) -> list[str]:
    """Say what could be declared so that what failed holds.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failures : iterable of Failure
        What it fails.
    """
    said, listed = [], list(failures)
    found = {}
    for dtype in judged.capabilities.dtypes:
        own = [(one, case) for one in listed if (case := _case(judged, one)).dtype == dtype]
        # What is wrong otherwise is no matter of precision.
        if any(one.tier != "bound" and one.clause[:3] != "ERR" for one, _ in own):
            continue
        cases = [case for one, case in own if one.tier == "bound"][:_MOST]
        if cases and (narrower := _narrower(judged, dtype, cases)):
            found[dtype] = narrower
    # What is declared already stays: the hint is to be copied as it is.
    whole = {**(judged.capabilities.accumulator or {}), **found}
    if found and _all_hold(judged, found, listed):
        said.append(f'it would conform, as far as asked, if it declared "accumulator": {whole}')
    elif found:
        said.append(f'the failing bounds hold if it declares "accumulator": {whole}')
    if within := within_claims(judged, listed):
        said.append(within)
    clauses = {one.clause for one in listed}
    if "NUM-8" in clauses and clauses <= _ROUNDING:
        said.append('if it rounds otherwise than to nearest it declares "rounding": "any"')
    if any(one.clause[:3] == "ERR" or one.clause == "LAY-18" for one in listed):
        said.append(
            'if checking arguments (chapter ERR) is not its task it declares "validates": False'
        )
    return said


def _case(judged: Judged, failure: Failure) -> Any:
    return judged.kind.case.parse(failure.token)


def _all_hold(judged: Judged, accumulators: dict[str, str], failures: list[Failure]) -> bool:
    """Tell whether nothing that failed does where these accumulators are declared."""
    if any(one.tier != "bound" for one in failures):
        return False
    other = _declaring(judged, accumulators)
    cases = {one.token: _case(judged, one) for one in failures}.values()
    return not any(failures_of(other, case, "hint") for case in cases)


def _declaring(judged: Judged, accumulators: dict[str, str]) -> Judged:
    claimed = judged.capabilities
    careful = {name: claimed.arithmetic(name).accumulator.name for name in FORMATS}
    return replace(judged, capabilities=replace(claimed, accumulator=careful | accumulators))


def _narrower(judged: Judged, dtype: str, cases: list[Any]) -> str:
    """Give the widest accumulator, narrower than the declared one, in which all cases pass."""
    declared = judged.capabilities.arithmetic(dtype).accumulator
    narrower = [one for one in FORMATS.values() if one.bits < declared.bits]
    for one in sorted(narrower, key=lambda format_: -format_.bits):
        # A sum is not kept in a format that its operands do not fit into.
        if not one.holds(FORMATS[dtype]) and one.bits > FORMATS[dtype].bits:
            continue
        assert one.name in ACCUMULATORS
        other = _declaring(judged, {dtype: one.name})
        if not any(failures_of(other, case, "hint") for case in cases):
            return one.name
    return ""
