"""Puts an arithmetic together from what probes show, and chooses what foretells all answers.

What the probes measure is the first guess. Where it does not foretell random sums, it is changed
in what was not measured, the fewest things first, until something does.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from conformance.cases.case import Array
from conformance.claims.formats import FORMATS, Format
from conformance.diagnosis import probes
from conformance.diagnosis.arithmetic import DIRECTED, MODES, NEAREST, Arithmetic, Rounding, chain
from conformance.diagnosis.limits import Limits, limits, smallest
from conformance.diagnosis.sums import Sums
from conformance.diagnosis.trees import built, in_order, names

# Sums of each kind to choose by, and to foretell.
_CHOOSING, _FORETELLING = 14, 36
EXTREME = 40
# Bits beyond those of a result that it may be rounded to first.
_MORE = (1, 2, 3)
# What partial sums may be kept in that are narrower elsewhere.
_WIDE = {FORMATS[name].bits: FORMATS[name] for name in ("float32", "float64")}


@dataclass(frozen=True)
class Identified:
    """The arithmetic of one result for one number of terms.

    Attributes
    ----------
    arithmetic : Arithmetic
        The one that foretells most.
    terms : int
        n.
    foretold, asked : int
        Of fresh sums, how many it foretold, bit for bit.
    at_ends : int
        Of `EXTREME` fresh sums of huge and of tiny terms, how many it foretold.
    ordered : bool
        Whether the order of the sum shows.
    factors : tuple of int
        Significand bits of either factor, where products are formed.
    nodes : mapping of int to int
        Significand bits of partial sums, by the number of terms.
    ends : Limits
        Where numbers end.
    varies : bool
        A repeated question had another answer.
    """

    arithmetic: Arithmetic
    terms: int
    foretold: int
    asked: int
    at_ends: int
    ordered: bool
    factors: tuple[int, int]
    nodes: Mapping[int, int]
    ends: Limits
    varies: bool = False

    @property
    def exact_products(self) -> bool:
        """Whether every product fits into the narrowest sum, so that none can be fused."""
        return self.arithmetic.product is None and sum(self.factors) <= min(self.nodes.values())

    @property
    def sure_of_ends(self) -> bool:
        """Whether it foretold the huge and the tiny sums too."""
        return self.at_ends == EXTREME

    @property
    def certain(self) -> bool:
        """Whether it foretold everything: else it is a hint."""
        return self.foretold == self.asked and not self.varies


@dataclass
class Answers:
    """Sums that were asked for, and what came."""

    a: Array
    b: Array
    got: Array = field(repr=False)

    def foretold(self, arithmetic: Arithmetic, format_: Format) -> Array:
        """Tell which of them an arithmetic foretells."""
        due = arithmetic.sums(self.a, self.b, format_)
        alike: Array = (due == self.got) | (np.isnan(due) & np.isnan(self.got))
        return alike

    def all_foretold(self, arithmetic: Arithmetic, format_: Format) -> bool:
        """Tell whether it foretells all; the first that it does not ends it."""
        for at in range(0, len(self.a), 7):
            some = Answers(*(one[at : at + 7] for one in (self.a, self.b, self.got)))
            if not some.foretold(arithmetic, format_).all():
                return False
        return True


def identify(sums: Sums, likes: Sequence[Identified] = ()) -> Identified:
    """Identify the arithmetic of a result.

    Parameters
    ----------
    sums : Sums
        Whom to ask, and how.
    likes : sequence of Identified
        What was found of other sums: tried first, in the order of these. Where one of them
        foretells these sums, only their ends are measured.

    Raises
    ------
    NoAnswerError
        It raised, or its results are no sums of the terms that were asked.
    """
    probes.check_map(sums)
    format_ = FORMATS[sums.case.dtype]
    where = probes.order(sums, format_)
    asked = together(
        sums,
        factors_of(sums, format_, _CHOOSING, seed=1),
        extremes(np.random.default_rng([4, sums.terms]), sums.terms, format_),
    )
    found = _alike(sums, where, likes, asked)
    if found is None:
        result = sums.judged.capabilities.arithmetic(sums.case.dtype).result
        found = _measured(sums, where, format_, result)
        guesses = list(_alternatives(found.arithmetic, found.factors))
        guesses = [*_in_order_of(likes, found.arithmetic, where, sums), *guesses]
        chosen = asked[0]
        best = next((one for one in guesses if chosen.all_foretold(one, format_)), guesses[0])
        found = replace(found, arithmetic=_at_ends(best, asked, sums))
    return _foretelling(found, sums, asked[0])


def _alike(
    sums: Sums, where: probes.Order, likes: Sequence[Identified], asked: Sequence[Answers]
) -> Identified | None:
    """Give what was found of other sums, if it foretells these, and they end alike."""
    format_ = FORMATS[sums.case.dtype]
    result = sums.judged.capabilities.arithmetic(sums.case.dtype).result
    for like in [one for one in likes if not one.arithmetic.later]:
        moved = _moved(like, where, sums)
        for one in (*_in_order_of([like], moved.arithmetic, where, sums), moved.arithmetic):
            if not asked[0].all_foretold(one, format_):
                continue
            best, ends = _at_ends(one, asked, sums), limits(sums, where, format_, result)
            whole = asked[1].all_foretold(best, format_) or not like.sure_of_ends
            if whole and _end_alike(ends, like, result):
                return replace(moved, arithmetic=best, ends=ends)
    return None


def _end_alike(ends: Limits, like: Identified, result: Format) -> bool:
    """Tell whether numbers end as others do: of another format, whether they are flushed alike."""
    other = like.ends
    same = like.arithmetic.results[-1].largest == result.largest_exponent
    far = (ends.factors, ends.sums, ends.results) == (other.factors, other.sums, other.results)
    clips = (ends.clipped is None) == (other.clipped is None)
    return clips and ends.flushed == other.flushed and (far or not same)


def _in_order_of(
    likes: Sequence[Identified], known: Arithmetic, where: probes.Order, sums: Sums
) -> list[Arithmetic]:
    """Give it in the order of few terms, continued, where too many are there for the masks."""
    like = next((one for one in likes if one.ordered), None)
    if like is None or where.tree is not None:
        return []
    found = names(like.arithmetic.tree, like.terms)
    trees = [tree for name in found if (tree := built(name, sums.terms)) is not None]
    return [replace(known, tree=tree) for tree in trees]


def _at_ends(found: Arithmetic, asked: Sequence[Answers], sums: Sums) -> Arithmetic:
    """Give what foretells the ends too, if it is no further fetched."""
    format_, (chosen, edge) = FORMATS[sums.case.dtype], asked
    near = [
        replace(found, fused=fused, product=product)
        for product in _products(found)
        for fused in _fusions(found, sums.terms)
    ]
    near = [one for one in near if edge.all_foretold(one, format_)]
    return next((one for one in near if chosen.all_foretold(one, format_)), found)


def _foretelling(found: Identified, sums: Sums, chosen: Answers) -> Identified:
    """Put it to fresh sums, and repeat a question."""
    format_, best = FORMATS[sums.case.dtype], found.arithmetic
    fresh, ends, again = together(
        sums,
        factors_of(sums, format_, _FORETELLING, seed=2),
        extremes(np.random.default_rng([3, sums.terms]), sums.terms, format_),
        (chosen.a, chosen.b),
    )
    return replace(
        found,
        foretold=int(fresh.foretold(best, format_).sum()),
        asked=len(fresh.a),
        at_ends=int(ends.foretold(best, format_).sum()),
        varies=not np.array_equal(again.got, chosen.got, equal_nan=True),
    )


def translated(found: Identified, before: Format, format_: Format) -> list[Identified]:
    """Give an arithmetic of operands of one format as it may be of those of another.

    What is rounded to the one format, or to a few bits more, may be rounded to the other; what is
    rounded to a third one stays. Sums may be exact, too.
    """

    def moved(one: Rounding) -> Rounding:
        more = one.bits - before.bits
        if one.largest != before.largest_exponent or not 0 <= more <= max(_MORE):
            return one
        clips = format_.largest if one.clips == before.largest else one.clips
        bits = format_.bits + more
        return Rounding.to(format_, bits=bits, mode=one.mode, flushes=one.flushes, clips=clips)

    known = found.arithmetic
    first, other = map(moved, known.operands)
    changed = replace(
        known,
        operands=(first, other),
        product=None if known.product is None else moved(known.product),
        results=tuple(map(moved, known.results)),
    )
    partial = known.partial
    wide = None if partial is None else _WIDE.get(partial.bits)
    # Of which format so many bits are need not have shown.
    known_as = [] if wide is None else [Rounding.to(wide)]
    partials = dict.fromkeys(
        [*known_as, partial if partial is None else moved(partial), partial, None]
    )
    return [replace(found, arithmetic=replace(changed, partial=one)) for one in partials]


def _measured(sums: Sums, where: probes.Order, format_: Format, result: Format) -> Identified:
    """Make the first guess."""
    nodes = probes.kept_bits(sums, where, format_)
    factors = probes.factor_bits(sums, format_)
    early, late = probes.product_bits(sums, min(factors))
    ends = limits(sums, where, format_, result)
    kept, lost = max(nodes.values()), ends.flushed
    exact = kept > probes.MOST[format_.name]
    # A product of two factors has up to so many bits.
    whole = 2 * min(factors) - 2
    fused = probes.unrounded(sums, where, min(factors), kept)
    if whole <= min(nodes.values()) and len(fused) == sums.terms:
        # Nothing could have been lost.
        fused = frozenset()
    if where.tree is not None and min(nodes.values()) < kept:
        # Where sums are narrow at some node, the last one may be wide again.
        root = probes.root_bits(sums, where, format_)
        nodes |= {sums.terms: kept} if root > min(nodes.values()) else {}
    partial = Rounding(kept, smallest=smallest(ends.sums), largest=ends.sums, flushes="sum" in lost)
    if min(nodes.values()) < kept and kept in _WIDE:
        # Where sums overflow is where they are narrow.
        partial = Rounding.to(_WIDE[kept], flushes=partial.flushes)
    product = None
    if not fused and early == late and early < min(whole, kept):
        product = _rounding(early, format_, partial, flushes="product" in lost)
    elif not exact and "product" in lost and "sum" not in lost:
        product = replace(partial, flushes=True)
    shown = probes.result_bits(sums, format_)
    later = _later(nodes, kept, format_, partial)
    rounded = shown if shown < min(*factors, kept, result.bits) and not later else result.bits
    end = Rounding.to(result, flushes="result" in lost, clips=ends.clipped)
    narrow = Rounding(rounded, smallest=smallest(ends.results), largest=ends.results)
    plain = rounded == result.bits and ends.results == result.largest_exponent
    ends_in = (end,) if plain or ends.clipped is not None else (narrow, end)
    arithmetic = Arithmetic(
        where.tree if where.tree is not None else in_order(range(sums.terms)),
        _operands(format_, factors, kept, ends),
        product,
        None if exact else partial,
        ends_in,
        fused=fused,
        later=later,
    )
    ordered = where.tree is not None
    return Identified(arithmetic, sums.terms, 0, 0, 0, ordered, factors, nodes, ends)


def _later(
    nodes: Mapping[int, int], kept: int, format_: Format, partial: Rounding
) -> tuple[tuple[int, Rounding], ...]:
    """Give from how many terms on how many bits are kept, if not everywhere the same."""
    if min(nodes.values()) == kept:
        return ()
    return tuple((size, _rounding(bits, format_, partial)) for size, bits in nodes.items())


def _rounding(bits: int, format_: Format, partial: Rounding, *, flushes: bool = False) -> Rounding:
    """Give the rounding to the operands' format if it has so many bits."""
    if bits == format_.bits:
        return Rounding.to(format_, flushes=flushes)
    return replace(partial, bits=bits, flushes=flushes)


def _operands(
    format_: Format, factors: tuple[int, int], kept: int, ends: Limits
) -> tuple[Rounding, Rounding]:
    """Give what is done to either factor: something if fewer bits arrive than sums keep."""
    first, other = (
        Rounding(
            bits if bits < min(kept, format_.bits) else format_.bits,
            smallest=max(smallest(largest), format_.smallest_exponent),
            largest=largest,
            flushes=f"{which} factor" in ends.flushed,
        )
        for which, bits, largest in zip(("first", "second"), factors, ends.factors, strict=True)
    )
    return first, other


def _moved(like: Identified, where: probes.Order, sums: Sums) -> Identified:
    """Take what was found of another number of terms, in the order that is found now."""
    tree = where.tree if where.tree is not None else in_order(range(sums.terms))
    if like.terms == sums.terms and tree == like.arithmetic.tree:
        return like
    before, fused = like.arithmetic.fused, frozenset[int]()
    if before and where.tree is None:
        # All, if it was all but the first.
        fused = frozenset(range(1, sums.terms)) if 0 not in before else before
    elif not like.exact_products:
        fused = probes.unrounded(sums, where, min(like.factors), max(like.nodes.values()))
    else:
        fused = frozenset()
    arithmetic = replace(like.arithmetic, tree=tree, fused=fused)
    return replace(like, arithmetic=arithmetic, terms=sums.terms, ordered=where.tree is not None)


def _alternatives(guess: Arithmetic, factors: tuple[int, int]) -> Iterator[Arithmetic]:
    """Give the guess, then it changed in what was not measured, the fewest things first."""
    whole, (first, other) = FORMATS["float32"], guess.operands
    narrow = replace(first, bits=factors[0]), replace(other, bits=factors[1])
    odd = list(_compensated(guess))
    manners = [
        *(one for one in odd if one.partial != guess.partial),
        guess,
        *(one for one in odd if one.partial == guess.partial),
        replace(guess, product=Rounding.to(whole)),
        replace(guess, fused=frozenset()),
        replace(guess, operands=narrow),
        replace(guess, results=(Rounding.to(whole), *guess.results)),
        *(replace(guess, results=(wider, *guess.results)) for wider in _wider(guess.results[-1])),
        replace(guess, partial=None),
    ]
    stages = ("operands", "product", "partial", "result")
    for number in range(len(stages) + 1):
        for changed in itertools.combinations(stages, number):
            own = (*MODES[1:], *DIRECTED) if changed == ("result",) else MODES[1:]
            for modes in itertools.product(own, repeat=number):
                for one in dict.fromkeys(manners):
                    yield _in_modes(one, dict(zip(changed, modes, strict=True)))


def _wider(last: Rounding) -> list[Rounding]:
    """Give roundings to a few bits more, before the last one."""
    return [replace(last, bits=last.bits + more, clips=None) for more in _MORE]


def _products(guess: Arithmetic) -> list[Rounding | None]:
    """Give what may be done to products where it does not show: nothing, or to nearest."""
    truncated = guess.product is None and guess.partial is not None
    if not truncated or guess.partial is None or guess.partial.mode == NEAREST:
        return [guess.product]
    return [None, replace(guess.partial, mode=NEAREST)]


def _fusions(guess: Arithmetic, n: int) -> list[frozenset[int]]:
    """Give what may be fused where it does not show: what was found, or all but the first."""
    ends = {chain(guess.tree)[0]} if guess.partial is not None else set()
    return [guess.fused, *([] if guess.fused else [frozenset(range(n)) - ends])]


def _compensated(guess: Arithmetic) -> Iterator[Arithmetic]:
    """Carry what additions lose: seen from outside, a format has one bit more then."""
    bits = 0 if guess.partial is None else guess.partial.bits
    for format_ in FORMATS.values():
        if guess.partial is not None and bits - 1 <= format_.bits <= bits:
            partial = replace(guess.partial, bits=format_.bits)
            yield replace(guess, partial=partial, product=partial, compensated=True)


def _in_modes(guess: Arithmetic, modes: dict[str, str]) -> Arithmetic:
    first, other = guess.operands
    if "operands" in modes:
        first, other = (replace(one, mode=modes["operands"]) for one in (first, other))
    product, partial = guess.product, guess.partial
    if product is not None:
        product = replace(product, mode=modes.get("product", product.mode))
    if partial is not None:
        partial = replace(partial, mode=modes.get("partial", partial.mode))
    results = guess.results
    if "result" in modes:
        results = tuple(replace(one, mode=modes["result"]) for one in results)
    return replace(
        guess, operands=(first, other), product=product, partial=partial, results=results
    )


def together(sums: Sums, *asked: tuple[Array, Array]) -> list[Answers]:
    """Ask for the sums of several pairs of factors at once."""
    a, b = (np.concatenate([pair[which] for pair in asked]) for which in (0, 1))
    ends = np.cumsum([len(pair[0]) for pair in asked])[:-1]
    parts = [np.split(one, ends) for one in (a, b, sums.ask(a, b))]
    return [Answers(*part) for part in zip(*parts, strict=True)]


def factors_of(sums: Sums, format_: Format, number: int, seed: int) -> tuple[Array, Array]:
    """Give factors of random sums of every kind, so many of each."""
    return factors(np.random.default_rng([seed, sums.terms]), number, sums.terms, format_)


def factors(rng: np.random.Generator, number: int, n: int, format_: Format) -> tuple[Array, Array]:
    """Give factors of random sums: whole, short, far apart, cancelling, few and single products.

    Returns
    -------
    tuple of ndarray of float64, each of shape (6 * number, n)
        Of the numbers of a format.
    """
    shape = (6 * number, n)
    kinds = np.repeat(np.arange(6), number)[:, None]
    reach = np.where(kinds == 2, 6, 2)

    def one() -> Array:
        bits = np.where(kinds == 1, min(4, format_.bits), format_.bits)
        significands = np.floor(rng.random(shape) * 2.0 ** (bits - 1)) / 2.0 ** (bits - 1) + 1
        exponents = rng.integers(-reach, reach + 1, shape)
        return rng.choice([-1.0, 1.0], shape) * significands * 2.0**exponents

    a, b = one(), one()
    turned = (kinds == 3) & (np.arange(n) % 2 == 1)
    nearby = np.roll(a, 1, 1) * (1 + 2.0 ** (2 - format_.bits))
    a = np.where(turned, -nearby, a).astype(format_.dtype).astype(np.float64)
    b = np.where(turned, np.roll(b, 1, 1), b)
    rank = rng.permuted(np.broadcast_to(np.arange(n), shape), axis=1)
    left = np.where(kinds == 4, 3, np.where(kinds == 5, 1, n))
    return np.where(rank < left, a, 0.0), np.where(rank < left, b, 0.0)


def extremes(rng: np.random.Generator, n: int, format_: Format) -> tuple[Array, Array]:
    """Give factors whose products are near the largest and near the smallest numbers.

    Returns
    -------
    tuple of ndarray of float64, each of shape (EXTREME, n)
    """
    shape = (EXTREME, n)
    huge = (np.arange(EXTREME) % 2 == 0)[:, None]
    middle = np.where(huge, format_.largest_exponent, format_.smallest_exponent) // 2
    parts = []
    for _ in range(2):
        step = 2.0 ** (1 - format_.bits)
        significands = 1 + np.floor(rng.random(shape) / step) * step
        exponents = middle + rng.integers(-4, 1, shape)
        parts.append(rng.choice([-1.0, 1.0], shape) * significands * 2.0**exponents)
    return parts[0], parts[1]
