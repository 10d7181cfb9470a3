"""What tells one arithmetic from another: designed sums, each with an answer for one question.

Every factor is a power of two or one step away from one, so that what comes back is nothing, or
exactly what went in: no tolerance, and no sum that could be right by chance. The order of a sum is
found as FPRev finds it (Xie, Gao, Wang, Xue, arXiv 2411.00442).
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from conformance.cases.case import Array
from conformance.claims.formats import Format
from conformance.diagnosis.sums import NoAnswerError, Sums
from conformance.diagnosis.trees import Tree, in_blocks, leaves_of, sizes_of, tree_of

# Exponents of a mask and of a unit, the farthest apart first: what a format, and whatever operands
# are rounded to, can multiply. The last three are within float16, as factors and as sums.
_SCALES = {
    "float64": ((500, 0), (120, 0), (30, -14), (15, -20), (15, -14)),
    "float32": ((120, 0), (30, -14), (15, -20), (15, -14)),
    "bfloat16": ((120, 0), (30, -14), (15, -20), (15, -14)),
    "float16": ((30, -14), (15, -20), (15, -14)),
}
# Significand bits of sums that can be told from exact ones.
MOST = {"float64": 120, "float32": 70, "bfloat16": 70, "float16": 53}
# Nodes of a tree that are asked for what they keep.
_NODES = 8
# Positions of the terms of a probe, with exact factors: (position, factor, factor).
Term = tuple[int, float, float]


def ask(sums: Sums, probes: Sequence[Iterable[Term]]) -> Array:
    """Ask for sums whose few terms are given; all others are zero."""
    a, b = np.zeros((2, len(probes), sums.terms))
    for number, probe in enumerate(probes):
        for position, one, other in probe:
            a[number, position], b[number, position] = one, other
    return sums.ask(a, b)


def power(position: int, exponent: int, sign: float = 1.0) -> Term:
    """Give a product that is a power of two, from two factors of about the same size."""
    return position, sign * 2.0 ** (exponent // 2), 2.0 ** (exponent - exponent // 2)


def check_map(sums: Sums) -> None:
    """Make sure that one times one comes back from every term: else it is no sum of these.

    Raises
    ------
    NoAnswerError
        It does not.
    """
    if not (ask(sums, [[(term, 1.0, 1.0)] for term in range(sums.terms)]) == 1.0).all():
        raise NoAnswerError("one times one is not one everywhere, so that its map is not right")


@dataclass(frozen=True)
class Order:
    """The order of a sum.

    Attributes
    ----------
    tree : tree or None
        None where it does not show.
    mask : int
        Exponent of the largest product that could be used.
    exact : bool
        Nothing is lost beside a mask: the sum is exact, or wider than operands can show.
    """

    tree: Tree | None
    mask: int
    exact: bool = False


def order(sums: Sums, format_: Format) -> Order:
    """Find the order of a sum from what survives beside two masks that cancel.

    With a large M as term i, -M as term j, and one small unit as every other term, a unit is lost
    if it meets M or -M before these meet: those that are left count the leaves that are not below
    the node at which i and j meet.
    """
    n = sums.terms
    for mask, unit in _SCALES[format_.name]:
        sizes = _sizes(sums, mask, unit)
        if sizes is None and n <= 9:
            sizes = _sizes_singly(sums, mask, unit)
        if sizes is None:
            continue
        if (sizes[~np.eye(n, dtype=bool)] == 2).all():
            finer = _sizes_singly(sums, 30, -24) if n <= 9 and mask == 30 else None
            tree = tree_of(finer) if finer is not None and (finer > 2).any() else None
            return Order(tree, mask, exact=tree is None)
        for told in (sizes, in_blocks(sizes)):
            tree = tree_of(told)
            # What is no tree of additions has no order that could be said.
            if tree is not None and np.array_equal(sizes_of(tree), told):
                return Order(tree, mask)
        return Order(None, mask)
    return Order(None, _SCALES[format_.name][-1][0])


def _sizes(sums: Sums, mask: int, unit: int) -> Array | None:
    """Count units that survive; None if what comes back is no number of units."""
    n = sums.terms
    pairs = list(itertools.combinations(range(n), 2))
    counts = np.full(len(pairs), -1.0)
    for sign in (1.0, -1.0):
        probes: list[list[Term]] = [[power(0, unit)]]
        for i, j in pairs:
            rest = [power(k, unit) for k in range(n) if k not in (i, j)]
            probes.append([power(i, mask, sign), power(j, mask, -sign), *rest])
        answers = ask(sums, probes)
        if answers[0] != 2.0**unit:
            return None
        with np.errstate(invalid="ignore"):
            seen = answers[1:] / 2.0**unit
            right = (seen >= 0) & (seen <= n - 2) & (seen == np.round(seen))
        counts = np.where((counts < 0) & right, seen, counts)
        # A sum that is truncated keeps units beside M, and changes -M: the other way round then.
        if (counts >= 0).all():
            return _matrix(pairs, n - counts, n)
    return None


def _sizes_singly(sums: Sums, mask: int, unit: int) -> Array | None:
    """Ask for one unit at a time, for sums that do not keep M beside one."""
    n = sums.terms
    pairs = list(itertools.combinations(range(n), 2))
    probes: list[list[Term]] = [[power(0, unit)]]
    for i, j in pairs:
        masks = [power(i, mask), power(j, mask, -1.0)]
        probes += [[*masks, power(k, unit)] for k in range(n) if k not in (i, j)]
    answers = ask(sums, probes)
    if answers[0] != 2.0**unit or not np.isfinite(answers).all():
        return None
    lost = (answers[1:] != 2.0**unit).reshape(len(pairs), n - 2).sum(1)
    return _matrix(pairs, lost + 2, n)


def _matrix(pairs: Sequence[tuple[int, int]], sizes: Array, n: int) -> Array:
    matrix = np.zeros((n, n), int)
    for (i, j), size in zip(pairs, sizes, strict=True):
        matrix[i, j] = matrix[j, i] = int(size)
    return matrix


def triples(tree: Tree | None, n: int, most: int = 3) -> list[tuple[int, int, int]]:
    """Give terms (i, j, k) of which i and j meet before k comes.

    At nodes of so many sizes, from the smallest to the largest that is not the whole.
    """
    if tree is None:
        return [(0, 1, 2), (0, 2, 1), (1, 2, 0)]
    sizes = sizes_of(tree)
    found: dict[int, tuple[int, int, int]] = {}
    for i, j in itertools.combinations(range(n), 2):
        later = np.flatnonzero(sizes[i] > sizes[i, j])
        if later.size:
            found.setdefault(int(sizes[i, j]), (i, j, int(later[0])))
    listed = [found[size] for size in sorted(found)] or [(0, 1, 2)]
    at = np.linspace(0, len(listed) - 1, min(most, len(listed))).round().astype(int)
    return [listed[number] for number in at]


def kept_bits(sums: Sums, where: Order, format_: Format) -> dict[int, int]:
    """Give the significand bits in which partial sums are kept, by the number of their terms.

    2^e + 2^(e - k) - 2^e is 2^(e - k) as long as k + 1 bits are kept. More than `MOST` are not told
    from all of them.
    """
    nodes = triples(where.tree, sums.terms, _NODES)
    found = _kept_at(sums, where, format_, nodes)
    if where.tree is None:
        # Of all orders of three that whose first two meet first is the narrowest.
        return {sums.terms: min(found)}
    sizes = sizes_of(where.tree)
    return {int(sizes[i, j]): bits for (i, j, _), bits in zip(nodes, found, strict=True)}


def root_bits(sums: Sums, where: Order, format_: Format) -> int:
    """Give the significand bits that the last addition keeps: 1 + 2^-k of terms that meet there."""
    sizes = sizes_of(where.tree)
    i, j = np.argwhere(sizes == sums.terms)[0]
    depths = range(1, format_.bits)
    answers = ask(sums, [[power(int(i), 0), power(int(j), -k)] for k in depths])
    return _leading(answers == [1 + 2.0**-k for k in depths]) + 1


def _kept_at(
    sums: Sums, where: Order, format_: Format, nodes: Sequence[tuple[int, int, int]]
) -> list[int]:
    if format_.name != "float16":
        return _kept(sums, nodes, 0, range(1, MOST[format_.name] + 1))
    found = _kept(sums, nodes, 15, range(1, 40))
    if where.mask == 30 and min(found) == 40:
        # Beyond that with a sum that no float16 could hold; what is left of it is one.
        found = _kept(sums, nodes, 30, range(16, MOST["float16"] + 1))
    return found


def _kept(sums: Sums, nodes: Sequence[tuple[int, int, int]], top: int, depths: range) -> list[int]:
    probes = [
        [power(i, top), power(j, top - k), power(after, top, -1.0)]
        for i, j, after in nodes
        for k in depths
    ]
    answers = ask(sums, probes).reshape(len(nodes), -1)
    return [depths[0] + _leading(row == 2.0 ** (top - np.array(depths))) for row in answers]


def factor_bits(sums: Sums, format_: Format) -> tuple[int, int]:
    """Give the bits of either factor that a product has: (1 + 2^-k) * 1 - 1 is 2^-k or not."""
    steps = [2.0**-k for k in range(1, format_.bits)]
    first = ask(sums, [[(0, 1 + step, 1.0), (1, -1.0, 1.0)] for step in steps])
    other = ask(sums, [[(0, 1.0, 1 + step), (1, 1.0, -1.0)] for step in steps])
    return _leading(first == steps) + 1, _leading(other == steps) + 1


def product_bits(sums: Sums, kept: int) -> tuple[int, int]:
    """Give the bits that a product keeps on its way to the sum: as an earlier and a later term.

    (1 + 2^-k)(1 + 2^-m) - (1 + 2^-k + 2^-m) is 2^-(k + m) if so many bits and one are kept.
    """
    steps = [((total - 1) // 2, total - (total - 1) // 2) for total in range(3, 2 * kept - 2)]
    both = []
    for i, j in ((0, 1), (1, 0)):
        probes = []
        for k, m in steps:
            small, smaller = 2.0**-k, 2.0**-m
            # Eight times as large, so that nothing is subnormal.
            factors = 8 * (1 + small), 8 * (1 + smaller)
            probes.append([(i, *factors), (j, -8 * (1 + small + smaller), 8.0)])
        right = ask(sums, probes) == [64 * 2.0 ** -(k + m) for k, m in steps]
        sure = _leading(right)
        both.append(sum(steps[sure - 1]) + 1 if sure else 0)
    return both[0], both[1]


def unrounded(sums: Sums, where: Order, factor: int, kept: int) -> frozenset[int]:
    """Give the terms whose product is added as it is, not rounded before: fused ones.

    Each meets a term on the other side of the node at which it is added. Its product has two bits
    more than sums keep, or all that it can have.
    """
    if where.tree is None or factor < 4:
        return frozenset()
    total = min(kept + 1, 2 * factor - 3)
    small, smaller = 2.0 ** -((total - 1) // 2), 2.0 ** -(total - (total - 1) // 2)
    factors = 8 * (1 + small), 8 * (1 + smaller)
    pairs = list(_beside(where.tree))
    probes = [[(i, *factors), (j, -8 * (1 + small + smaller), 8.0)] for i, j in pairs]
    whole = ask(sums, probes) == 64 * small * smaller
    return frozenset(i for (i, _), kept in zip(pairs, whole, strict=True) if kept)


def _beside(tree: Tree) -> Iterator[tuple[int, int]]:
    """Give each leaf with a leaf of another child of the node that it is a child of."""
    for number, child in enumerate(tree):
        if isinstance(child, tuple):
            yield from _beside(child)
        else:
            yield child, next(leaves_of(tree[1 if number == 0 else 0]))


def result_bits(sums: Sums, format_: Format) -> int:
    """Give the bits that a single product has as a result."""
    ones = [1 + 2.0**-k for k in range(1, format_.bits)]
    return _leading(ask(sums, [[(0, one, 1.0)] for one in ones]) == ones) + 1


def _leading(right: Array) -> int:
    """Count the true ones before the first that is not."""
    right = np.asarray(right)
    return len(right) if right.all() else int(np.argmin(right))
