"""Puts an arithmetic together from what probes show, and chooses what foretells all answers.

What the probes measure is the first guess. Where it does not foretell random sums, it is changed
in what was not measured, the fewest things first, until something does.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from conformance.cases.case import Array
from conformance.claims.formats import FORMATS, Format
from conformance.diagnosis import probes
from conformance.diagnosis.arithmetic import MODES, Arithmetic, Rounding
from conformance.diagnosis.limits import Limits, limits
from conformance.diagnosis.sums import Sums
from conformance.diagnosis.trees import built, in_order, names

# Sums of each kind to choose by, and to foretell.
_CHOOSING, _FORETELLING = 14, 36


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
    ordered : bool
        Whether the order of the sum shows.
    factors : tuple of int
        Significand bits of either factor, where products are formed.
    nodes : tuple of int
        Significand bits of partial sums, at several nodes.
    ends : Limits
        Where numbers end.
    varies : bool
        A repeated question had another answer.
    """

    arithmetic: Arithmetic
    terms: int
    foretold: int
    asked: int
    ordered: bool
    factors: tuple[int, int]
    nodes: tuple[int, ...]
    ends: Limits
    varies: bool = False

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
        return (due == self.got) | (np.isnan(due) & np.isnan(self.got))

    def all_foretold(self, arithmetic: Arithmetic, format_: Format) -> bool:
        """Tell whether it foretells all; the first that it does not ends it."""
        for at in range(0, len(self.a), 7):
            some = Answers(*(one[at : at + 7] for one in (self.a, self.b, self.got)))
            if not some.foretold(arithmetic, format_).all():
                return False
        return True


def identify(sums: Sums, like: Identified | None = None) -> Identified:
    """Identify the arithmetic of a result.

    Parameters
    ----------
    sums : Sums
        Whom to ask, and how.
    like : Identified, optional
        What was found of sums of another number of terms: tried first, in its order.
    """
    format_ = FORMATS[sums.case.dtype]
    result = sums.judged.capabilities.arithmetic(sums.case.dtype).result
    where = probes.order(sums, format_)
    chosen = answers(sums, format_, _CHOOSING, seed=1)
    if like is None:
        measured = _measured(sums, where, format_, result)
    else:
        measured = _moved(like, where, sums.terms)
    guesses = [measured.arithmetic, *_alternatives(measured.arithmetic)]
    if like is not None and where.tree is None:
        # Too many terms for the masks to show: the order of few, continued.
        found = names(like.arithmetic.tree, like.terms) if like.ordered else []
        trees = [tree for name in found if (tree := built(name, sums.terms)) is not None]
        guesses = [replace(measured.arithmetic, tree=tree) for tree in trees] + guesses
    best = next((one for one in guesses if chosen.all_foretold(one, format_)), guesses[0])
    fresh = answers(sums, format_, _FORETELLING, seed=2)
    again = sums.ask(chosen.a, chosen.b)
    return replace(
        measured,
        arithmetic=best,
        foretold=int(fresh.foretold(best, format_).sum()),
        asked=len(fresh.a),
        varies=not np.array_equal(again, chosen.got, equal_nan=True),
    )


def _measured(sums: Sums, where: probes.Order, format_: Format, result: Format) -> Identified:
    """Make the first guess."""
    most = 52 if format_.name == "float16" else 120
    nodes = probes.kept_bits(sums, where, most)
    factors = probes.factor_bits(sums, format_)
    early, late = probes.product_bits(sums, min(factors))
    ends = limits(sums, where, format_, result)
    kept, lost = min(nodes), ends.flushed
    exact = kept > most
    # A product of two factors has up to so many bits; more than are kept show a fused sum.
    whole = 2 * min(factors) - 2
    fused = not exact and min(early, late) < whole <= max(early, late) and whole > kept
    narrow = early if not fused and early == late and early < min(whole, kept) else None
    smallest = 1 - ends.sums
    operands = [
        Rounding(
            min(bits, format_.bits), smallest=1 - largest, largest=largest,
            flushes=f"{which} factor" in lost,
        )
        for which, bits, largest in zip(("first", "second"), factors, ends.factors, strict=True)
    ]  # fmt: skip
    partial = Rounding(
        kept, smallest=smallest, largest=ends.sums, flushes="sum" in lost
    )
    tiny = "product" in lost
    product = None
    if narrow is not None:
        product = Rounding(narrow, smallest=smallest, largest=ends.sums, flushes=tiny)
    elif not exact and (not fused or tiny) and (kept < whole or tiny):
        product = replace(partial, flushes=tiny)
    shown = probes.result_bits(sums, format_)
    rounded = min(shown, result.bits) if shown < min(*factors, kept) else result.bits
    end = Rounding.to(result, flushes="result" in lost, saturates=ends.saturates)
    ends_in = (end,) if rounded == result.bits else (Rounding(rounded), end)
    arithmetic = Arithmetic(
        where.tree if where.tree is not None else in_order(range(sums.terms)),
        (operands[0], operands[1]),
        product,
        None if exact else partial,
        ends_in,
        fused="first" if fused else "",
    )
    ordered = where.tree is not None
    return Identified(arithmetic, sums.terms, 0, 0, ordered, factors, tuple(nodes), ends)


def _moved(like: Identified, where: probes.Order, n: int) -> Identified:
    """Take what was found of another number of terms, in the order that is found now."""
    tree = where.tree if where.tree is not None else in_order(range(n))
    arithmetic = replace(like.arithmetic, tree=tree)
    return replace(like, arithmetic=arithmetic, terms=n, ordered=where.tree is not None)


def _alternatives(guess: Arithmetic) -> Iterator[Arithmetic]:
    """Change what was not measured, the fewest things first."""
    whole = FORMATS["float32"]
    manners = [
        guess,
        *(replace(guess, fused=which, product=None) for which in ("first", "last")),
        *_compensated(guess),
        replace(guess, results=(Rounding.to(whole), *guess.results)),
        replace(guess, partial=None),
    ]
    stages = ("operands", "product", "partial", "result")
    for number in range(len(stages) + 1):
        for changed in itertools.combinations(stages, number):
            for modes in itertools.product(MODES[1:], repeat=number):
                for one in manners:
                    yield _in_modes(one, dict(zip(changed, modes, strict=True)))


def _compensated(guess: Arithmetic) -> Iterator[Arithmetic]:
    """Carry what additions lose: seen from outside that is a bit more than the format has."""
    if guess.partial is not None:
        bits = [one.bits for one in FORMATS.values() if one.bits <= guess.partial.bits]
        for number in sorted(bits)[::-1][:1]:
            partial = replace(guess.partial, bits=number)
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


def answers(sums: Sums, format_: Format, number: int, seed: int) -> Answers:
    """Ask for random sums of every kind, so many of each."""
    rng = np.random.default_rng([seed, sums.terms])
    a, b = factors(rng, number, sums.terms, format_)
    return Answers(a, b, sums.ask(a, b))


def factors(
    rng: np.random.Generator, number: int, n: int, format_: Format
) -> tuple[Array, Array]:
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
