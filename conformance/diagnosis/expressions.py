"""The language of explanations: formulas over indices and sizes, and how one is found.

A formula is a small tree. Its atoms are the place of a product (b, i, j, u, v, c, its group g and
its member m of the group) and the numbers of a call (H, W, C, G, M, Ho, Wo, Kh, Kw, sh, sw, dh, dw,
top, bottom, left, right). To extend the language, add a line to `ATOMS`, `NAMED` or `OPERATORS`.

A formula is evaluated on columns: an array for each atom, with an entry for each product that was
observed. Nothing is asked of an implementation here.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.diagnosis.attributes import negated

Column = npt.NDArray[Any]
Columns = Mapping[str, Column]


@dataclass(frozen=True)
class Formula:
    """A tree: an atom, a number, or an operator between two formulas."""

    operator: str
    parts: tuple[Any, ...]

    @property
    def size(self) -> int:
        """Nodes; what has a name counts one."""
        return 1 + sum(part.size for part in self.parts if isinstance(part, Formula))

    @property
    def atoms(self) -> set[str]:
        """The atoms in it, those under a name included."""
        if self.operator == "atom":
            name = self.parts[0]
            return DERIVED[name].atoms if name in DERIVED else {name}
        if self.operator in {"is", "is not"}:
            return {self.parts[0]}
        if self.operator == "named":
            return NAMED[self.parts[0]].atoms
        return set().union(*(one.atoms for one in self.parts if isinstance(one, Formula)))

    def __call__(self, columns: Columns) -> Column:
        """Evaluate it; what is divided by zero is zero."""
        with np.errstate(all="ignore"):
            return self._on(columns)

    def _on(self, columns: Columns) -> Column:
        if self.operator == "atom":
            name = self.parts[0]
            return columns[name] if name in columns else DERIVED[name]._on(columns)
        if self.operator == "number":
            return np.array(self.parts[0], np.int64)
        if self.operator == "given":
            given: Column = self.parts[0]
            return given
        if self.operator in {"is", "is not"}:
            name, value = self.parts
            alike: Column = columns[name] == value
            return alike if self.operator == "is" else ~alike
        if self.operator == "named":
            return NAMED[self.parts[0]]._on(columns)
        return OPERATORS[self.operator].on(*(part._on(columns) for part in self.parts))

    def __str__(self) -> str:
        return self.printed(0)

    def printed(self, outside: int) -> str:
        """As one writes it; `outside` is how tightly the operator around it binds."""
        if self.operator in {"atom", "number"}:
            return WORDS.get(str(self.parts[0]), str(self.parts[0]))
        if self.operator == "named":
            return NAMED[self.parts[0]].printed(outside)
        if self.operator in {"is", "is not"}:
            return _kind(self.operator, *map(str, self.parts))
        rule = OPERATORS[self.operator]
        if self.operator in RULED:
            return self._printed_rule()
        if not rule.binds:
            return f"{self.operator}({', '.join(map(str, self.parts))})"
        left, right = self.parts
        said = f"{left.printed(rule.binds)} {self.operator} {right.printed(rule.binds + 1)}"
        said = said.replace(" * ", "*")
        return f"({said})" if rule.binds < outside else said

    def _printed_rule(self) -> str:
        """What a rule gives, with what stands in it in the place of its own numbers."""
        exchanged = RULED[self.operator]
        given = next(
            name for name, rule in RULES.items() if rule.parts[exchanged:] == self.parts[exchanged:]
        )
        pairs = zip(self.parts[:exchanged], RULES[given].parts, strict=False)
        changed = [f"{now} for {own}" for now, own in pairs if now != own]
        if given in BEFORE and changed == [f"1 for {RULES[given].parts[0]}"]:
            # On one pixel the rule gives half of what a window reaches beyond its first tap.
            return f"symmetric {given}"
        return f"{given}({', '.join(changed)})" if changed else given

    def __add__(self, other: "Formula") -> "Formula":
        return Formula("+", (self, other))

    def __sub__(self, other: "Formula") -> "Formula":
        return Formula("-", (self, other))

    def __mul__(self, other: "Formula") -> "Formula":
        return Formula("*", (self, other))

    def __floordiv__(self, other: "Formula") -> "Formula":
        return Formula("//", (self, other))

    def __mod__(self, other: "Formula") -> "Formula":
        return Formula("%", (self, other))


def _kind(operator: str, name: str, word: str) -> str:
    """Say that a word of a case is, or is not, another; of "yes" and "no" whether it holds."""
    if word in {"yes", "no"}:
        return name if (word == "yes") == (operator == "is") else negated(name)
    return f"{name} {operator} {word}"


@dataclass(frozen=True)
class Operator:
    """An operator of formulas: what it computes, and how tightly it binds (0: as a function)."""

    on: Callable[..., Column]
    binds: int
    commutes: bool = False


def _before(
    size: Column, taps: Column, stride: Column, dilation: Column, given: Column, same: Column
) -> Column:
    """Padding before the first pixel: by the rule of "same" (GEO-7), or as it is given."""
    last = (size - 1) // np.maximum(stride, 1) * stride
    by_rule = np.maximum(last + (taps - 1) * dilation + 1 - size, 0) // 2
    return np.where(same, by_rule, given)


def _group(channel: Column, groups: Column, members: Column, interleaved: Column) -> Column:
    """The group of a channel, by the rule of either layout (GRP-2, GRP-3)."""
    return np.where(interleaved, channel % groups, channel // members)


OPERATORS: Mapping[str, Operator] = {
    "+": Operator(np.add, 3, commutes=True),
    "-": Operator(np.subtract, 3),
    "*": Operator(np.multiply, 4, commutes=True),
    "//": Operator(np.floor_divide, 4),
    "%": Operator(np.remainder, 4),
    "min": Operator(np.minimum, 0, commutes=True),
    "max": Operator(np.maximum, 0, commutes=True),
    # Of named formulas alone.
    "&": Operator(np.bitwise_and, 5),
    "float16": Operator(lambda index: index.astype(np.float16).astype(np.int64), 0),
    # Padding before the first pixel: size, taps, stride, dilation; as given, and whether by rule.
    "before": Operator(_before, 0),
    # The group of a channel: channel, groups, channels of a group; whether they are interleaved.
    "group": Operator(_group, 0),
    # Of conditions.
    "=": Operator(np.equal, 2, commutes=True),
    "!=": Operator(np.not_equal, 2, commutes=True),
    "<": Operator(np.less, 2),
    ">=": Operator(np.greater_equal, 2),
    "and": Operator(np.logical_and, 1, commutes=True),
    "or": Operator(np.logical_or, 1, commutes=True),
}
# Rules, and how many of their parts may be exchanged: the last ones say which rule it is.
RULED = {"before": 4, "group": 3}
_ARITHMETIC = ("+", "-", "*", "//", "%", "min", "max")
# Widths of vectors, blocks and narrow indices.
POWERS = (4, 8, 16, 32, 64, 128, 256, 1 << 15, 1 << 16)


def atom(name: str) -> Formula:
    """Give the formula of an atom."""
    return Formula("atom", (name,))


def number(value: int) -> Formula:
    """Give the formula of a number."""
    return Formula("number", (value,))


# Of a call, and of a product in it; what stands first is thought of first.
CALL = (
    "B", "H", "W", "C", "G", "M", "Ho", "Wo", "Kh", "Kw", "sh", "sw", "dh", "dw",
    "top", "bottom", "left", "right",
)  # fmt: skip
# `g_other` is the group that the other layout would give. The last ones are counts: taps of the
# output that are inside, products that read the pixel, and later rows and columns that read it.
PLACE = (
    "b", "i", "j", "u", "v", "c", "g", "m", "g_other",
    "taps_inside", "readers", "later_rows", "later_columns",
)  # fmt: skip
# Atoms in words.
WORDS: Mapping[str, str] = {
    "g_other": "that the other layout gives",
    "taps_inside": "taps inside",
    "readers": "products that read the pixel",
    "later_rows": "later rows of outputs that read the pixel",
    "later_columns": "later columns of outputs that read the pixel",
}
ATOMS = (*PLACE, *CALL)

_A = {name: atom(name) for name in ATOMS}
_1, _2 = number(1), number(2)


def _lacking(taps: str, stride: str, dilation: Formula, size: str, outputs: str) -> Formula:
    """How many pixels the windows take up beyond those of the image; below zero, fewer."""
    reach = (_A[taps] - _1) * dilation
    return (_A[outputs] - _1) * _A[stride] + reach + _1 - _A[size]


def _same(
    taps: str, stride: str, dilation: Formula, size: str, outputs: str, more: int = 0
) -> Formula:
    """The rule of "same" padding (GEO-7), with parts of it exchanged; `more` to round up."""
    lacking = _lacking(taps, stride, dilation, size, outputs)
    padded = Formula("max", (lacking, number(0)))
    return (padded + number(more) if more else padded) // _2


# The padding before each axis, as a rule of its sizes.
BEFORE: Mapping[str, Formula] = {
    given: Formula("before", (*(atom(n) for n in (*sizes, given, "same")),))
    for given, sizes in (("top", ("H", "Kh", "sh", "dh")), ("left", ("W", "Kw", "sw", "dw")))
}
# What stands for a rule in the due formulas.
RULES: Mapping[str, Formula] = {
    **BEFORE, "g": Formula("group", tuple(atom(n) for n in ("c", "G", "M", "interleaved"))),
}  # fmt: skip


def renamed(tree: Formula, was: Formula, now: Formula) -> Formula:
    """Put another formula in the place of an atom wherever it stands."""
    if tree == was:
        return now
    if tree.operator not in OPERATORS:
        return tree
    parts = [renamed(one, was, now) for one in tree.parts]
    # What was given stays given.
    kept = RULED.get(tree.operator, len(parts))
    parts[kept:] = tree.parts[kept:]
    return Formula(tree.operator, tuple(parts))


# Formulas that are thought of as one thing, where a plainer one does not fit.
NAMED: dict[str, Formula] = {
    # Reversed indices.
    **{f"reversed {n}": _A[last] - _1 - _A[n] for n, last in (
        ("u", "Kh"), ("v", "Kw"), ("i", "Ho"), ("j", "Wo"), ("b", "B"), ("c", "C"), ("g", "G"),
    )},
    # The other layout's group, and neighbours.
    "blocked": _A["c"] // _A["M"],
    "interleaved": _A["c"] % _A["G"],
    "next sample": (_A["b"] + _1) % _A["B"],
    "next channel": (_A["c"] + _1) % _A["C"],
    # The remainder by a power of two, of numbers that are none.
    "interleaved by a mask": Formula("&", (_A["c"], _A["G"] - _1)),
    "channels of an even group": Formula("min", (
        _A["c"] // ((_A["M"] + _1) // _2 * _2), _A["G"] - _1)),
    # Paddings of public code.
    **{f"{name} {axis}": one for axis, k, d, s, n, o, before, after in (
        ("rows", "Kh", "dh", "sh", "H", "Ho", "top", "bottom"),
        ("columns", "Kw", "dw", "sw", "W", "Wo", "left", "right"),
    ) for name, one in {
        "half": (_A[k] - _1) // _2,
        "half up": _A[k] // _2,
        "dilated half": (_A[k] - _1) // _2 * _A[d],
        "dilated half up": _A[k] // _2 * _A[d],
        "reach": (_A[k] - _1) * _A[d],
        "half the reach": (_A[k] - _1) * _A[d] // _2,
        "half the reach up": ((_A[k] - _1) * _A[d] + _1) // _2,
        "undilated same": _same(k, s, _1, n, o),
        "same with the odd pixel before": _same(k, s, _A[d], n, o, 1),
        "phase": _A[s] - _1,
        # What the windows do not reach is split between both sides.
        "left over": number(0)
        - (_A[n] - ((_A[o] - _1) * _A[s] + (_A[k] - _1) * _A[d] + _1)) // _2,
        # The rule of "same" where more is left than is lacking.
        "same below zero": _lacking(k, s, _A[d], n, o) // _2,
        # No more than a window reaches.
        "within reach": Formula("min", (_A[before], (_A[k] - _1) * _A[d])),
        # What the windows reach, counted back from its end.
        "from the end": _lacking(k, s, _A[d], n, o) - _A[after],
    }.items()},
    "both vertical": _A["top"] + _A["bottom"],
    "both horizontal": _A["left"] + _A["right"],
    "half of both vertical": (_A["top"] + _A["bottom"]) // _2,
    "half of both horizontal": (_A["left"] + _A["right"]) // _2,
    # Tap axes that lie otherwise in memory.
    "u by columns": (_A["v"] * _A["Kh"] + _A["u"]) // _A["Kw"],
    "v by columns": (_A["v"] * _A["Kh"] + _A["u"]) % _A["Kw"],
    "u from columns": (_A["u"] * _A["Kw"] + _A["v"]) % _A["Kh"],
    "v from columns": (_A["u"] * _A["Kw"] + _A["v"]) // _A["Kh"],
    # The flat index of a tap with the height of the kernel where its width belongs.
    "u of rows of Kh": (_A["u"] * _A["Kh"] + _A["v"]) % (_A["Kh"] * _A["Kw"]) // _A["Kw"],
    "v of rows of Kh": (_A["u"] * _A["Kh"] + _A["v"]) % _A["Kw"],
}  # fmt: skip


def _clamped(flat: Formula) -> Formula:
    """An index into the pixels of an image, kept within it."""
    below = Formula("min", (flat, _A["H"] * _A["W"] - _1))
    return Formula("max", (below, number(0)))


_ROW = _A["i"] * _A["sh"] + _A["u"] * _A["dh"] - _A["top"]
_COLUMN = _A["j"] * _A["sw"] + _A["v"] * _A["dw"] - _A["left"]
NAMED |= {
    "row of the flat index": (_ROW * _A["W"] + _COLUMN) // _A["W"],
    "column of the flat index": (_ROW * _A["W"] + _COLUMN) % _A["W"],
    "row by columns": (_COLUMN * _A["H"] + _ROW) // _A["W"],
    "column by columns": (_COLUMN * _A["H"] + _ROW) % _A["W"],
    # Rows are checked and columns are not: the last index of the image at most, and the first.
    "row of the clamped flat index": _clamped(_ROW * _A["W"] + _COLUMN) // _A["W"],
    "column of the clamped flat index": _clamped(_ROW * _A["W"] + _COLUMN) % _A["W"],
    # Numbers beyond 2048 are rounded.
    "row in float16": Formula("float16", (_ROW,)),
    "column in float16": Formula("float16", (_COLUMN,)),
    "channel in float16": Formula("float16", (_A["c"],)),
}


# The pixels of a sample, counted in 16 bits, and then found by their number.
_WRAPPED = ((_ROW * _A["W"] + _COLUMN) * _A["C"] + _A["c"]) % number(1 << 16)
NAMED |= {
    "row of the index in 16 bits": _WRAPPED // (_A["W"] * _A["C"]),
    "column of the index in 16 bits": _WRAPPED // _A["C"] % _A["W"],
    "channel of the index in 16 bits": _WRAPPED % _A["C"],
}


def _flat(axes: Sequence[tuple[Formula, str]]) -> Formula:
    """The index in memory of places along axes, each with the atom of its size."""
    flat = axes[0][0]
    for place, size in axes[1:]:
        flat = flat * _A[size] + place
    return flat


def reread(
    places: Mapping[str, tuple[Formula, str]], lies: Sequence[str], read: Sequence[str]
) -> dict[str, Formula]:
    """Give the index along each axis where what lies in one order of axes is read in another.

    Parameters
    ----------
    places : mapping of str to (Formula, str)
        The index that is meant along each axis, and the atom of the axis' size.
    lies, read : sequence of str
        Names of the axes in the order in which they lie, and in which they are taken to lie.
    """
    flat = _flat([places[name] for name in read])
    found = {}
    for position, name in enumerate(lies):
        inner = flat
        for after in reversed(lies[position + 1 :]):
            inner = inner // _A[places[after][1]]
        found[name] = inner % _A[places[name][1]] if position else inner
    return found


def _memory(
    axes: Mapping[str, str], title: str, due: Mapping[str, Formula] = _A
) -> Iterator[tuple[str, Formula]]:
    names = tuple(axes)
    places = {name: (due[name], size) for name, size in axes.items()}
    for order in itertools.permutations(names):
        if order != names:
            words = f"{title} read as ({', '.join(axes[name] for name in order)})"
            for name, formula in reread(places, names, order).items():
                yield f"{words}: {name}", formula


_OUTPUT, _OUTPUTS = _A["i"] * _A["Wo"] + _A["j"], _A["Ho"] * _A["Wo"]
# What conditions on products may be about besides: distances from the last, and from the centre.
DERIVED: dict[str, Formula] = {
    **{f"{last} - 1 - {n}": _A[last] - _1 - atom(n) for n, last in (
        ("u", "Kh"), ("v", "Kw"), ("i", "Ho"), ("j", "Wo"), ("b", "B"), ("c", "C"), ("g", "G"),
        ("m", "M"), ("h", "H"), ("w", "W"),
    )},
    "u - Kh//2": _A["u"] - _A["Kh"] // _2,
    "v - Kw//2": _A["v"] - _A["Kw"] // _2,
    "due row": _ROW,
    "due row - H": _ROW - _A["H"],
    "due row - W": _ROW - _A["W"],
    "due column": _COLUMN,
    "due column - W": _COLUMN - _A["W"],
    "due column - H": _COLUMN - _A["H"],
    "first row of the window": _A["i"] * _A["sh"] - _A["top"],
    "first column of the window": _A["j"] * _A["sw"] - _A["left"],
    "rows of the window below": _A["i"] * _A["sh"] + (_A["Kh"] - _1) * _A["dh"] - _A["top"]
    - _A["H"] + _1,
    "columns of the window beyond": _A["j"] * _A["sw"] + (_A["Kw"] - _1) * _A["dw"] - _A["left"]
    - _A["W"] + _1,
    # Outputs from where the size is divided by the stride, rounded down.
    "i - H//sh": _A["i"] - _A["H"] // _A["sh"],
    "j - W//sw": _A["j"] - _A["W"] // _A["sw"],
    # What is left over after the last whole vector or block.
    **{f"{n} - {size}//{k}*{k}": _A[n] - _A[size] // number(k) * number(k)
       for n, size in (("c", "C"), ("j", "Wo"), ("i", "Ho"), ("m", "M"), ("b", "B"))
       for k in (4, 8, 16, 32)},
    "i*Wo + j": _A["i"] * _A["Wo"] + _A["j"],
    # Pixels beyond whole strides, and rows of all samples beyond as many for each worker.
    **{f"{n} - max({size}//{step}, 1)*{step}": atom(n)
       - Formula("max", (_A[size] // _A[step], _1)) * _A[step]
       for n, size, step in (("h", "H", "sh"), ("w", "W", "sw"))},
    **{f"b*Ho + i - B*Ho//{k}*{k}": _A["b"] * _A["Ho"] + _A["i"]
       - _A["B"] * _A["Ho"] // number(k) * number(k) for k in (2, 4, 8, 16)},
    # Pixels of a tile of outputs, beyond those that it holds without the dilation.
    **{f"{tap} beyond a tile of {k}": _A[output] % number(k) * _A[s] + _A[tap] * _A[d]
       - number(k - 1) * _A[s] - _A[taps]
       for output, tap, taps, s, d in (("i", "u", "Kh", "sh", "dh"), ("j", "v", "Kw", "sw", "dw"))
       for k in (4, 8, 16, 32)},
    # Of blocks of outputs what is left over, and the last whole block, counted from the end.
    **{f"i*Wo + j - Ho*Wo//{k}*{k}": _OUTPUT - _OUTPUTS // number(k) * number(k)
       for k in (8, 16, 32, 64)},
    **{f"{n} from the last {k}": place - size + number(k)
       for n, place, size in (("output", _OUTPUT, _OUTPUTS), ("c", _A["c"], _A["C"]),
                              ("j", _A["j"], _A["Wo"]))
       for k in (4, 8, 16, 32)},
    "u*Kw + v": _A["u"] * _A["Kw"] + _A["v"],
    "(u*Kw + v) from the middle": _A["u"] * _A["Kw"] + _A["v"] - _A["Kh"] * _A["Kw"] // _2,
    "(u*Kw + v) from the last": _A["Kh"] * _A["Kw"] - _1 - _A["u"] * _A["Kw"] - _A["v"],
}  # fmt: skip

NAMED |= dict(_memory({"u": "Kh", "v": "Kw", "g": "G"}, "kernel"))
NAMED |= dict(_memory({"u": "Kh", "v": "Kw", "c": "C"}, "patches"))
NAMED |= dict(_memory({"i": "Ho", "j": "Wo"}, "grid"))
_PIXEL = {"h": _ROW, "w": _COLUMN, "c": _A["c"]}
NAMED |= dict(_memory({"h": "H", "w": "W", "c": "C"}, "image", _PIXEL))


def pool(columns: Columns) -> list[tuple[Formula, Column]]:
    """List the small formulas that differ on some columns, and their values, the simplest first.

    Of those that agree in every entry the simplest is kept (observational equivalence).
    """
    seen: dict[bytes, None] = {}
    kept: list[tuple[Formula, Column]] = []
    length = len(next(iter(columns.values())))

    def offer(formula: Formula, values: Column) -> None:
        key = np.broadcast_to(values, length).astype(np.int64).tobytes()
        if key not in seen:
            seen[key] = None
            kept.append((formula, values))

    known = [name for name in ATOMS if name in columns]
    for one in (*(number(n) for n in (0, 1)), *map(atom, known), number(2)):
        offer(one, one(columns))
    small = list(kept)
    named = {
        name: Formula("named", (name,)) for name, one in NAMED.items() if one.atoms <= set(known)
    }
    for one in named.values():
        offer(one, one(columns))
    with np.errstate(all="ignore"):
        for operator in _ARITHMETIC:
            rule = OPERATORS[operator]
            for (number_, (one, left)), (other_, (other, right)) in itertools.product(
                enumerate(small), enumerate(small)
            ):
                # Twice a number is a product, and nothing else of it and itself is new.
                alone = number_ == other_ and operator != "*"
                if not alone and (not rule.commutes or number_ <= other_):
                    offer(Formula(operator, (one, other)), rule.on(left, right))
    for power, name in itertools.product(map(number, POWERS), PLACE):
        offer(power, power(columns))
        if name in columns:
            index = atom(name)
            for one in (index % power, index // power, index // power * power):
                offer(one, one(columns))
    return [(formula, np.broadcast_to(values, length)) for formula, values in kept]


def places(tree: Formula) -> Iterator[tuple[Formula, Callable[[Formula], Formula]]]:
    """Give every part of a formula, and how the whole looks with something else in its place."""
    yield tree, lambda other: other
    if tree.operator not in OPERATORS:
        return
    for index, part in enumerate(tree.parts[: RULED.get(tree.operator)]):
        for inner, within in places(part):
            yield inner, _within(tree, index, within)


def _within(
    tree: Formula, index: int, within: Callable[[Formula], Formula]
) -> Callable[[Formula], Formula]:
    def whole(other: Formula) -> Formula:
        parts = (*tree.parts[:index], within(other), *tree.parts[index + 1 :])
        return Formula(tree.operator, parts)

    return whole
