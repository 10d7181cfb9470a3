"""Where numbers end: from which size they overflow, below which they are flushed, what is special.

Designed sums, as in `probes`; each is a question with one answer.
"""

from dataclasses import dataclass, replace

import numpy as np

from conformance.claims.formats import Format
from conformance.diagnosis.probes import Order, Term, ask, power, triples
from conformance.diagnosis.sums import Sums

# Exponents of the binade of the largest number, of every format that is known.
_LARGEST = (15, 127, 1023)
# By so many powers of two numbers may be scaled up.
_SCALED = 12


@dataclass(frozen=True)
class Limits:
    """What becomes of numbers that are too large or too small.

    Attributes
    ----------
    factors : pair of int
        Exponent of the binade of the largest first, and second, factor.
    sums, results : int
        The same of partial sums, and of results.
    clipped : float or None
        What a result becomes that is too large; None: infinity.
    flushed : frozenset of str
        Which subnormal numbers count as zero: "first factor", "second factor", "product", "sum",
        "result".
    """

    factors: tuple[int, int]
    sums: int
    results: int
    clipped: float | None
    flushed: frozenset[str]


def limits(sums: Sums, where: Order, format_: Format, result: Format) -> Limits:
    """Find them."""
    narrower = _ends(format_.largest_exponent - 1, format_.largest_exponent)
    # A factor 2^(e + 1), times 2^-8, for each e that is the end of a narrower format.
    asked: list[list[Term]] = []
    for which in (0, 1):
        for largest in narrower:
            factors = [2.0 ** (largest + 1), 2.0**-8]
            asked.append([(0, factors[which], factors[1 - which])])
    due = [2.0 ** (largest - 7) for largest in narrower] * 2
    # 2^e + 2^e - 2^e, for each e that is the end of a format.
    nodes = triples(where.tree, sums.terms)
    held = _ends(result.largest_exponent, result.largest_exponent)
    for largest in held:
        asked += [
            [power(i, largest), power(j, largest), power(k, largest, -1.0)] for i, j, k in nodes
        ]
        due += [2.0**largest] * len(nodes)
    # 2^(e + 1), for each e that is the end of a format narrower than the result's.
    ends = _ends(result.largest_exponent - 1, result.largest_exponent)
    asked += [[power(0, largest + 1)] for largest in ends]
    due += [2.0 ** (largest + 1) for largest in ends]
    top = result.largest_exponent
    asked.append([power(0, top, 1.5), power(1, top, 1.5)])
    *answers, over = ask(sums, asked)
    right = [bool(one) for one in np.equal(answers, due)]
    # In the order in which they were asked.
    number = len(narrower)
    factored = right[:number], right[number : 2 * number]
    right = right[2 * number :]
    number = len(held) * len(nodes)
    each = range(0, number, len(nodes))
    results = _first(ends, right[number:], top)
    # Where factors, results or sums end far below, nothing is seen of what is scaled up a little.
    own = format_.largest_exponent
    plain = [_first(narrower, part, own, formats=True) for part in factored]
    far = results < top - _SCALED or min(plain) < own - _SCALED
    summed = [all(right[at : at + len(nodes)]) for at in each]
    largest = _first(held, summed, max(_LARGEST), formats=far)
    far = far or largest < top - _SCALED
    found = [_first(narrower, part, own, formats=far) for part in factored]
    # Of sums that overflow nothing is known of the result, nor of factors that do.
    results = top if largest < top else _first(ends, right[number:], top, formats=True)
    clipped = float(over) if np.isfinite(over) and min(found) > top // 2 else None
    known = Limits((found[0], found[1]), largest, results, clipped, frozenset())
    return replace(known, flushed=_flushed(sums, where, format_, result, known))


def _ends(most: int, top: int) -> list[int]:
    """Give the ends of formats, and those of numbers that are scaled up before they are used."""
    scaled = range(top - _SCALED, top)
    return sorted({largest for largest in (*_LARGEST, *scaled) if 0 < largest <= most})


def smallest(largest: int) -> int:
    """Give the exponent of the smallest normal number of the format whose numbers end there.

    What is scaled up ends sooner, and loses nothing at the other end.
    """
    return 1 - next((one for one in _LARGEST if one >= largest), largest)


def _first(ends: list[int], right: list[bool], otherwise: int, *, formats: bool = False) -> int:
    """Give the first end beyond which an answer was not right; of `formats` alone."""
    wrong = [
        end
        for end, one in zip(ends, right, strict=True)
        if not one and (end in _LARGEST or not formats)
    ]
    return wrong[0] if wrong else otherwise


def _flushed(
    sums: Sums, where: Order, format_: Format, result: Format, ends: Limits
) -> frozenset[str]:
    """Ask what is left of subnormal factors, products, sums and results.

    Only of factors that are normal themselves, where the question is not about them.
    """
    asked: dict[str, tuple[list[Term], float]] = {}
    tiny = [max(format_.smallest_exponent, smallest(largest)) for largest in ends.factors]
    for which, name in enumerate(("first factor", "second factor")):
        large = min(1 - tiny[which], ends.factors[1 - which])
        factors = [2.0 ** (tiny[which] - 1), 2.0**large]
        probe: list[Term] = [(0, factors[which], factors[1 - which])]
        asked[name] = probe, 2.0 ** (tiny[which] - 1 + large)
    small = max(result.smallest_exponent, smallest(ends.results))
    low = max(smallest(ends.sums), small)
    normal = low // 2 - 2 >= max(tiny)
    if low == smallest(ends.sums) and normal:
        # Of an accumulator whose range ends where the result's does, or before.
        i, j, k = triples(where.tree, sums.terms)[0]
        asked["product"] = [power(0, low - 2), power(1, low)], 1.25 * 2.0**low
        parts = [power(i, low, 1.5), power(j, low, -1.0), power(k, low)]
        asked["sum"] = parts, 1.5 * 2.0**low
        # What two normal products leave; a product is lost where it is flushed itself.
        asked["result"] = [power(0, low, 1.5), power(1, low, -1.0)], 2.0 ** (low - 1)
    elif normal:
        asked["result"] = [power(0, small - 2)], 2.0 ** (small - 2)
    answers = ask(sums, [probe for probe, _ in asked.values()])
    lost = {
        name
        for (name, (_, due)), answer in zip(asked.items(), answers, strict=True)
        if answer != due
    }
    # A sum that is flushed hides whether a result would be.
    return frozenset(lost - ({"result"} if "sum" in lost else set()))


def specials(sums: Sums) -> list[str]:
    """Say what special values become that they should not (SPC-1 to SPC-3)."""
    nan, inf = float("nan"), float("inf")
    asked: list[tuple[str, list[Term], float]] = [
        ("NaN as first factor", [(0, nan, 1.0)], nan),
        ("NaN as second factor", [(0, 1.0, nan)], nan),
        ("NaN times zero", [(0, nan, 0.0)], nan),
        ("zero times NaN", [(0, 0.0, nan)], nan),
        ("infinity", [(0, inf, 1.0)], inf),
        ("minus infinity", [(0, 1.0, -inf)], -inf),
        ("infinity times zero", [(0, inf, 0.0)], nan),
        ("zero times infinity", [(0, 0.0, inf)], nan),
        ("infinity minus infinity", [(0, inf, 1.0), (1, inf, -1.0)], nan),
        ("infinity plus one", [(0, inf, 1.0), (1, 1.0, 1.0)], inf),
    ]
    answers = ask(sums, [probe for _, probe, _ in asked])
    return [
        f"{name} gives {answer:g}, due {due:g}"
        for (name, _, due), answer in zip(asked, answers, strict=True)
        if not np.array_equal(answer, due, equal_nan=True)
    ]
