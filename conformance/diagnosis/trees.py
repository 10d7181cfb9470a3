"""Trees of additions: how they are found from what survives in a sum, and what they are called.

The order of a sum of n terms is a tree whose leaves are the terms, numbered from 0, and each of
whose nodes adds what is below it. Nothing is asked here, and no number is added.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from conformance.cases.case import Array

# A leaf by its number, or a node: a tuple of trees in the order of their smallest leaf.
Tree = Any
_LANES = (2, 3, 4, 8, 16, 32)
_BACKWARDS = ", from the last term on"


def tree_of(sizes: Array) -> Tree | None:
    """Give the tree from the number of leaves below the node at which two leaves meet.

    Parameters
    ----------
    sizes : ndarray of int, shape (n, n)
        Number of leaves below the lowest node that has both leaf i and leaf j below it. This is
        what the masks of FPRev count.

    Returns
    -------
    tree
        A node has more than two children where more than two terms are added at once. None where
        no tree has these sizes.
    """
    return _below(list(range(len(sizes))), np.asarray(sizes))


def _below(leaves: list[int], sizes: Array) -> Tree | None:
    if len(leaves) == 1:
        return leaves[0]
    parts: list[list[int]] = []
    for leaf in leaves:
        # Leaves that meet below this node stand below the same child.
        own = [part for part in parts if any(sizes[leaf, one] < len(leaves) for one in part)]
        parts = [part for part in parts if part not in own]
        parts.append(sorted([leaf, *(one for part in own for one in part)]))
    if len(parts) == 1:
        return None
    children = [_below(part, sizes) for part in sorted(parts)]
    return None if any(child is None for child in children) else tuple(children)


def in_blocks(sizes: Array) -> Array:
    """Give the sizes where leaves that lose nothing among one another are added at once.

    Of three or more terms whose sum is exact no mask tells that they meet at all.
    """
    exact = (np.asarray(sizes) == 2) | np.eye(len(sizes), dtype=bool)
    found = np.array(sizes)
    for row in np.unique(exact, axis=0):
        block = np.flatnonzero(row)
        if len(block) > 2 and exact[np.ix_(block, block)].all():
            found[np.ix_(block, block)] = len(block)
    np.fill_diagonal(found, 0)
    return found


def sizes_of(tree: Tree) -> Array:
    """Give the sizes from the tree: the reverse of `tree_of`."""
    leaves = list(leaves_of(tree))
    sizes = np.zeros((len(leaves), len(leaves)), int)

    def walk(node: Tree) -> list[int]:
        if not isinstance(node, tuple):
            return [node]
        below = [walk(child) for child in node]
        every = [leaf for part in below for leaf in part]
        for part in below:
            others = [leaf for leaf in every if leaf not in part]
            sizes[np.ix_(part, others)] = len(every)
        return every

    walk(tree)
    return sizes


def leaves_of(tree: Tree) -> Iterator[int]:
    """Give the leaves from left to right."""
    if isinstance(tree, tuple):
        for child in tree:
            yield from leaves_of(child)
    else:
        yield tree


def canonical(tree: Tree) -> Tree:
    """Order the children of each node by their smallest leaf: a + b is b + a."""
    if not isinstance(tree, tuple):
        return tree
    children = [canonical(child) for child in tree if child != ()]
    return tuple(sorted(children, key=lambda child: min(leaves_of(child))))


def in_order(terms: Sequence[Tree]) -> Tree:
    """Add one after another."""
    total = terms[0]
    for term in terms[1:]:
        total = (total, term)
    return total


def neighbours(terms: Sequence[Tree]) -> Tree:
    """Add neighbours, then neighbours of these sums; an odd one is left for the next round."""
    while len(terms) > 1:
        odd = [terms[-1]] if len(terms) % 2 else []
        terms = [*zip(terms[:-1:2], terms[1::2], strict=False), *odd]
    return terms[0]


def halves(terms: Sequence[Tree]) -> Tree:
    """Add the sum of the first half to that of the second."""
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return halves(terms[:middle]), halves(terms[middle:])


def folded(terms: Sequence[Tree]) -> Tree:
    """Add the second half to the first, element by element, and again: a vector's reduction."""
    terms = list(terms)
    while len(terms) > 1:
        middle = (len(terms) + 1) // 2
        rest = terms[middle:]
        terms = [*zip(terms, rest, strict=False), *terms[len(rest) : middle]]
    return terms[0]


def lanes(count: int, join: Callable[[Sequence[Tree]], Tree], *, after: bool = False) -> Any:
    """Give what builds trees of `count` partial sums, term k going to sum k mod `count`.

    Parameters
    ----------
    count : int
        Partial sums.
    join : callable
        How they are added.
    after : bool
        Terms that do not fill the lanes go to the total, one after another; else to the lanes.
    """

    def build(terms: Sequence[Tree]) -> Tree:
        full = len(terms) // count * count if after else len(terms)
        if full < count:
            return in_order(terms)
        total = join([in_order(terms[lane:full:count]) for lane in range(count)])
        return in_order([total, *terms[full:]])

    return build


def blocks(count: int) -> Callable[[Sequence[Tree]], Tree]:
    """Give what builds trees of blocks of `count` neighbours, each summed in order."""

    def build(terms: Sequence[Tree]) -> Tree:
        cut = range(0, len(terms), count)
        return in_order([in_order(terms[start : start + count]) for start in cut])

    return build


def numpy_pairwise(terms: Sequence[Tree]) -> Tree:
    """Give NumPy's pairwise sum of up to 128 contiguous numbers: eight lanes, the rest after."""
    return lanes(8, neighbours, after=True)(terms)


def orders(n: int) -> Iterator[tuple[str, Callable[[Sequence[Tree]], Tree]]]:
    """Give the orders that have a name, each with what builds its tree; the simplest first."""
    side = round(n**0.5)
    yield "in order", in_order
    yield "pairwise, neighbours first", neighbours
    yield "pairwise, in halves", halves
    yield "pairwise, the second half onto the first", folded
    if side**2 == n:
        yield "each row in order, then the rows", blocks(side)
        yield "each column in order, then the columns", lanes(side, in_order)
    ways = (("in order", in_order), ("pairwise", neighbours), ("folded", folded))
    for said, after in (("", False), (", the rest added after", True)):
        for count in _LANES:
            for way, join in ways:
                yield (
                    f"in {count} lanes that are added {way}{said}",
                    lanes(count, join, after=after),
                )
    yield "in two halves, each in order", blocks((n + 1) // 2)
    for count in (2, 3, 4, 8, 16):
        yield f"in blocks of {count}, each in order", blocks(count)


def names(tree: Tree, n: int) -> list[str]:
    """List the names that an order has; a few terms may be added in an order of several names."""
    due, found = canonical(tree), []
    for turned in (False, True):
        terms = range(n)[::-1] if turned else range(n)
        own = [name for name, build in orders(n) if canonical(build(terms)) == due]
        found += [_turned(name) if turned else name for name in own]
    return found


def _turned(name: str) -> str:
    return "in reverse order" if name == "in order" else f"{name}{_BACKWARDS}"


def built(name: str, n: int) -> Tree | None:
    """Give the tree of a named order for any number of terms."""
    for known, build in orders(n):
        for said, terms in ((known, range(n)), (_turned(known), range(n)[::-1])):
            if said == name:
                return canonical(build(terms))
    return None


def expression(tree: Tree) -> str:
    """Write a tree as one writes sums; a run ``0..6`` is summed in order, ``6..0`` backwards."""
    if not isinstance(tree, tuple):
        return str(tree)
    run = _run(tree)
    if run is not None:
        return f"{run[0]}..{run[-1]}" if len(run) > 2 else f"({run[0]} + {run[1]})"
    return "(" + " + ".join(expression(child) for child in tree) + ")"


def _run(tree: Tree) -> list[int] | None:
    """Give the leaves in the order in which they are added, if they are a run of numbers."""
    order: list[int] = []
    while isinstance(tree, tuple):
        if len(tree) != 2:
            return None
        one, other = tree
        if not isinstance(one, tuple) and not isinstance(other, tuple):
            # Which of two comes first is seen from the next.
            pair = [one, other] if not order or order[-1] > other else [other, one]
            order += pair[::-1]
            break
        one, other = (one, other) if isinstance(one, tuple) else (other, one)
        if isinstance(other, tuple):
            return None
        order.append(other)
        tree = one
    order.reverse()
    steps = {b - a for a, b in itertools.pairwise(order)}
    return order if steps in ({1}, {-1}) else None


def words(tree: Tree, n: int, among: Sequence[str] = ()) -> str:
    """Say an order in words: its name if it has one, else as an expression.

    Of several names one of those `among` is preferred, but to none that is plainly in order.
    """
    own = names(tree, n)
    plain = [name for name in own if name in {"in order", "in reverse order"}]
    preferred = plain or [name for name in own if name in among]
    return (preferred or own or [f"as {expression(tree)}"])[0]
