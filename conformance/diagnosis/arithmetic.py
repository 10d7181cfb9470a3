"""An arithmetic as a program: sums of products, bit for bit as an implementation rounds them.

A number is a Python integer, a multiple of a power of two so small that every product is one:
nothing is rounded but where a rounding is written. It is slow, and exact for every format.
Infinities and NaN are floats. What an implementation does is not known here; it is found elsewhere.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.claims.formats import Format
from conformance.diagnosis.trees import Tree, leaves_of

# An integer, or a float that is infinite or no number.
Number = Any
NEAREST, TRUNCATED, AWAY = "to nearest, ties to even", "towards zero", "to nearest, ties away"
UP, DOWN = "towards plus infinity", "towards minus infinity"
MODES = (NEAREST, TRUNCATED, AWAY)
# What the last rounding alone is tried with, too.
DIRECTED = (UP, DOWN)


@dataclass(frozen=True)
class Rounding:
    """What one rounding does.

    Attributes
    ----------
    bits : int
        Significand bits that are left.
    mode : str
        One of `MODES` or `DIRECTED`.
    smallest, largest : int
        Exponents of the smallest normal number and of the binade of the largest one.
    flushes : bool
        What is smaller than the smallest normal number becomes zero.
    clips : float or None
        What is larger becomes this number; None: what is too large becomes infinity.
    """

    bits: int
    mode: str = NEAREST
    smallest: int = -1022
    largest: int = 1023
    flushes: bool = False
    clips: float | None = None

    @classmethod
    def to(cls, format_: Format, **changes: Any) -> "Rounding":
        """Give the rounding to a format."""
        plain = cls(
            format_.bits, smallest=format_.smallest_exponent, largest=format_.largest_exponent
        )
        return replace(plain, **changes)

    def __call__(self, number: Number, scale: int) -> Number:
        """Round a number of multiples of 2^-scale."""
        if not number or type(number) is float:
            if self.clips is None or not number or math.isnan(number):
                return number
            limit: int = integers([self.clips], scale)[0]
            return limit if number > 0 else -limit
        size = abs(number)
        if self.flushes and size.bit_length() - 1 - scale < self.smallest:
            return 0
        lost = max(size.bit_length() - self.bits, self.smallest - self.bits + 1 + scale)
        if lost > 0:
            size = self._rounded(size, lost, number < 0)
        if self.clips is not None:
            size = min(size, integers([self.clips], scale)[0])
        elif size.bit_length() - 1 - scale > self.largest:
            return math.inf if number > 0 else -math.inf
        return size if number > 0 else -size

    def _rounded(self, size: int, lost: int, negative: bool) -> int:
        """Round off so many bits."""
        kept = size >> lost
        if self.mode in DIRECTED:
            kept += (size != kept << lost) and (self.mode == UP) != negative
        elif self.mode != TRUNCATED:
            rest, half = size - (kept << lost), 1 << (lost - 1)
            kept += rest > half or (rest == half and (self.mode == AWAY or kept & 1))
        return kept << lost


@dataclass(frozen=True)
class Arithmetic:
    """How a sum of products is computed.

    Attributes
    ----------
    tree : tree
        In which order terms are added.
    operands : pair of Rounding
        What is done to the first and to the second factor.
    product : Rounding or None
        What is done to a product, besides what partial sums undergo; None: nothing that can be
        seen.
    partial : Rounding or None
        What is done to each partial sum; None: the sum is exact, in whatever order.
    results : tuple of Rounding
        What is done to the sum, one rounding after another.
    fused : frozenset of int
        Terms whose product is added without being rounded as sums are.
    compensated : bool
        Kahan's sum.
    later : tuple of pairs of int and Rounding
        From so many terms on, up to the next pair, a partial sum is rounded a second time. Where
        it is rounded to more bits again, sums of fewer terms are taken for blocks that are short.
    """

    tree: Tree
    operands: tuple[Rounding, Rounding]
    product: Rounding | None
    partial: Rounding | None
    results: tuple[Rounding, ...]
    fused: frozenset[int] = frozenset()
    compensated: bool = False
    later: tuple[tuple[int, Rounding], ...] = ()

    @property
    def clips(self) -> float | None:
        """At what results are clipped; what is truncated never overflows, and is not clipped."""
        last = self.results[-1]
        largest = (2 - 2.0 ** (1 - last.bits)) * 2.0**last.largest
        truncated = TRUNCATED in (last.mode, self.partial.mode if self.partial else NEAREST)
        return None if truncated and last.clips == largest else last.clips

    def sums(self, a: Array, b: Array, format_: Format) -> Array:
        """Compute the sums of a * b over the last axis.

        Parameters
        ----------
        a, b : ndarray, shape (..., n)
            Factors, of the format of the operands.
        format_ : Format
            That of the operands.

        Returns
        -------
        ndarray of float64, shape (...)
        """
        depth = format_.bits - 1 - format_.smallest_exponent
        rows = zip(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1]), strict=True)
        found = [self._row(integers(x, depth), integers(k, depth), depth) for x, k in rows]
        return np.array(found, np.float64).reshape(a.shape[:-1])

    def _row(self, a: list[Number], b: list[Number], depth: int) -> float:
        one, other = self.operands
        scale = 2 * depth
        terms = [
            multiplied(one(x, depth), other(k, depth)) if (x and k) or _special(x, k) else 0
            for x, k in zip(a, b, strict=True)
        ]
        if self.partial is None:
            total = terms[0]
            for term in terms[1:]:
                total = added(total, term)
        elif self.compensated:
            total = self._kahan(terms, self.partial, scale)
        else:
            total = self._node(self.tree, terms, self.partial, scale)
        for rounding in self.results:
            total = rounding(total, scale)
        return as_float(total, scale)

    def _node(self, tree: Tree, terms: Sequence[Number], partial: Rounding, scale: int) -> Number:
        """Sum what is below a node."""
        if not isinstance(tree, tuple):
            return partial(self._product(terms[tree], scale), scale)
        total: Number = 0
        own, size = self._later(tree), len(list(leaves_of(tree))) if self.later else 0
        for child in tree:
            if not isinstance(child, tuple) and child in self.fused:
                one = self._product(terms[child], scale)
            else:
                one = self._node(child, terms, partial, scale)
            if self.later and size > self._block[0] > len(list(leaves_of(child))):
                # What is left over is a block too, of fewer terms.
                one = self._block[1](one, scale)
            total = added(total, one)
        total = partial(total, scale)
        return total if own is None else own(total, scale)

    @cached_property
    def _block(self) -> tuple[int, Rounding]:
        """From how many terms on sums are blocks, rounded to fewer bits than the last ones are."""
        narrowest = min(self.later, key=lambda one: one[1].bits)
        wide = self.later[-1][1].bits > narrowest[1].bits
        return narrowest if wide else (sys.maxsize, narrowest[1])

    def _later(self, tree: Tree) -> Rounding | None:
        """Give the second rounding of a partial sum, or of a term."""
        size = len(list(leaves_of(tree))) if self.later else 0
        return next((one for start, one in reversed(self.later) if start <= size), None)

    def _product(self, product: Number, scale: int) -> Number:
        return product if self.product is None else self.product(product, scale)

    def _kahan(self, terms: Sequence[Number], partial: Rounding, scale: int) -> Number:
        """Sum in the order of the tree, and carry what each addition loses."""
        total: Number = 0
        carry: Number = 0
        for leaf in chain(self.tree):
            term = partial(self._product(terms[leaf], scale), scale)
            step = partial(added(term, negated(carry)), scale)
            following = partial(added(total, step), scale)
            gained = partial(added(following, negated(total)), scale)
            carry, total = partial(added(gained, negated(step)), scale), following
        return total


def chain(tree: Tree) -> list[int]:
    """Give the leaves of a sum that is taken in order, or in reverse, in that order."""
    leaves = sorted(leaves_of(tree))
    turned = isinstance(tree, tuple) and len(leaves) > 2 and leaves[0] in tree
    return leaves[::-1] if turned else leaves


def integers(values: Iterable[Any], depth: int) -> list[Number]:
    """Give numbers as multiples of 2^-depth."""
    wide = np.asarray(values).astype(np.float64)
    with np.errstate(invalid="ignore"):
        fraction, exponent = np.frexp(wide)
        whole = np.where(np.isfinite(wide), np.ldexp(fraction, 53), 0).astype(np.int64)
    return [
        _shifted(significand, shift) if math.isfinite(value) else value
        for value, significand, shift in zip(
            wide.tolist(), whole.tolist(), (exponent - 53 + depth).tolist(), strict=True
        )
    ]


def _shifted(significand: int, shift: int) -> int:
    return significand << shift if shift >= 0 else significand >> -shift


def as_float(number: Number, scale: int) -> float:
    """Give a number of multiples of 2^-scale that float64 holds."""
    if type(number) is float:
        return number
    try:
        return float(number / (1 << scale))
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _special(x: Number, k: Number) -> bool:
    return type(x) is float or type(k) is float


def multiplied(x: Number, k: Number) -> Number:
    """Multiply exactly."""
    if not _special(x, k):
        return x * k
    return _sign(x) * _sign(k) * (math.inf if not _nan(x) and not _nan(k) else math.nan)


def added(x: Number, k: Number) -> Number:
    """Add exactly."""
    if not _special(x, k):
        return x + k
    if type(x) is float and type(k) is float:
        return x + k
    return x if type(x) is float else k


def negated(x: Number) -> Number:
    """Change the sign."""
    return -x


def _nan(x: Number) -> bool:
    return type(x) is float and math.isnan(x)


def _sign(x: Number) -> float:
    """Give the sign, and that of zero: 0 times infinity is NaN."""
    if _nan(x):
        return math.nan
    return float((x > 0) - (x < 0))
