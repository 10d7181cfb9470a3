"""Which calls are evidence of an arithmetic: those in which it would give what is not due.

An arithmetic that is wrong shows in some sums and not in others. Once it is known, it says of each
call whether it would show there. If so, a right call was computed otherwise; if not, a right call
says nothing. Nothing is asked of an implementation here.
"""

from collections.abc import Mapping

import numpy as np

from conformance.bounds.expected import Expected
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS
from conformance.diagnosis import foretell
from conformance.diagnosis.observing import Observed
from conformance.diagnosis.reveal import Found
from conformance.judging.examine import compare

# Entries of a result that are foretold; products of a call of which they are.
_ENTRIES, _MOST_PRODUCTS = 48, 1 << 18
# Times the smallest normal number: below, subnormal terms may be flushed.
_TINY = 2.0**24


def told(known: Mapping[str, Found], one: Observed) -> Observed:
    """Give an observation with the results that say nothing, as far as an arithmetic tells.

    Parameters
    ----------
    known : mapping of str to Found
        The arithmetic of calls that were wrong, by format.
    one : Observed
        About a case and its verdict.

    Returns
    -------
    Observed
        The same where the arithmetic is not known, or is a hint.
    """
    case, verdict = one.about
    found, moot = known.get(case.dtype), set(one.moot)
    if found is None or not 0 < case.products <= _MOST_PRODUCTS:
        return one
    for name in set(verdict.due) - one.labels:
        # What was not asked says nothing.
        asked = name in verdict.answer.results
        shows = _shows(found, case, name, verdict.due[name]) if asked else False
        if shows is not None:
            moot = moot - {name} if shows else moot | {name}
    return one._replace(moot=frozenset(moot))


def _shows(found: Found, case: OperatorCase, result: str, due: Expected) -> bool | None:
    """Tell whether an arithmetic gives something that is not due; None if it is not known."""
    where, part = case.geometry, found.parts.get(result)
    if part is None or not all(one.certain for one in part.every):
        return None
    listed = part.arithmetics(where.members if result == "dkernel" else where.taps)
    if not listed:
        return None
    judged = found.judged
    values = judged.kind.values(case, judged.kind.bits(case, judged.capabilities))
    a, b = (one.reshape(-1, one.shape[-1]) for one in foretell.terms(case, values, result))
    chosen = np.random.default_rng(case.seed).permutation(len(a))[:_ENTRIES]
    format_ = judged.capabilities.arithmetic(case.dtype).result
    # What becomes of huge and of tiny numbers is often not known.
    size = np.abs(np.ravel(due.value)[chosen])
    usual = (size < 2.0 ** (format_.largest_exponent - 3)) & (
        size > _TINY * format_.smallest_normal
    )
    chosen = chosen[usual]
    some = Expected(*(np.ravel(one)[chosen] for one in due))
    for known in listed if len(chosen) else ():
        with np.errstate(over="ignore", invalid="ignore"):
            sums = known.sums(a[chosen], b[chosen], FORMATS[found.dtype]).astype(format_.dtype)
        if compare(sums, some, format_)[1] is not None:
            return True
    return False
