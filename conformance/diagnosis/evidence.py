"""Which calls are evidence of an arithmetic: those in which it would give what is not due.

An arithmetic that is wrong shows in some sums and not in others. Once it is known, it says of each
call whether it would show there. If so, a right call was computed otherwise; if not, a right call
says nothing. Nothing is asked of an implementation here.
"""

from collections.abc import Collection, Mapping

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


def told(known: Mapping[str, Found], faulty: Collection[str], one: Observed) -> Observed:
    """Give an observation with the results that say nothing, as far as an arithmetic tells.

    Parameters
    ----------
    known : mapping of str to Found
        The arithmetic of calls that were wrong, by format.
    faulty : collection of str
        The formats in which some call was wrong.
    one : Observed
        About a case and its verdict.

    Returns
    -------
    Observed
        The same in formats in which nothing was wrong. Where something was, and its arithmetic is
        not known, or is a hint, what is right says nothing.
    """
    case, verdict = one.about
    if case.dtype not in faulty:
        return one
    found, asked = known.get(case.dtype), 0 < case.products <= _MOST_PRODUCTS
    showing = {
        name
        for name in set(verdict.answer.results) - one.labels
        if found is not None and asked and _shows(found, case, name, verdict.due[name])
    }
    return one._replace(moot=frozenset({*verdict.due, *one.moot} - showing))


def _shows(found: Found, case: OperatorCase, result: str, due: Expected) -> bool:
    """Tell whether an arithmetic is known to give something that is not due."""
    where, part = case.geometry, found.parts.get(result)
    number = where.members if result == "dkernel" else where.taps
    known = None if part is None else part.arithmetic(number)
    if known is None or not all(one.certain for one in part.every):
        return False
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
    with np.errstate(over="ignore", invalid="ignore"):
        sums = known.sums(a[chosen], b[chosen], FORMATS[found.dtype]).astype(format_.dtype)
    some = Expected(*(np.ravel(one)[chosen] for one in due))
    return bool(len(chosen)) and compare(sums, some, format_)[1] is not None
