"""Programs that are tried as they are, where no map can be read: the simplest edits of the due one.

A fault behind the values of an operand is not met by the values that a map is read with. Its
answers can be held against programs all the same. Each line of the tables is one; whether it holds
is not known here.
"""

from collections.abc import Iterator

from conformance.diagnosis.conditions import ALWAYS, Condition
from conformance.diagnosis.expressions import (
    DERIVED,
    NAMED,
    RULES,
    Formula,
    atom,
    number,
    renamed,
)
from conformance.diagnosis.model import DUE, Part, Slot

_A = {name: atom(name) for name in ("b", "i", "j", "u", "v", "c", "g", "m", "g_other")}
# The row and the column, with what differs from axis to axis.
_AXES = (
    ("Ph", "u", "Kh", "sh", "dh", "top", "bottom", "sw", "dw", "left"),
    ("Pw", "v", "Kw", "sw", "dw", "left", "right", "sh", "dh", "top"),
)


def _axis(which: int) -> dict[str, Formula]:
    """Give what may be the index of a pixel along an axis, by what was exchanged."""
    name, tap, taps, stride, dilation, before, after, other, far, aside = _AXES[which]
    due = DUE[name]
    exchanged = {
        "flipped": (tap, atom(taps) - number(1) - atom(tap)),
        "not dilated": (dilation, number(1)),
        "not strided": (stride, number(1)),
        "the other stride": (stride, atom(other)),
        "the other dilation": (dilation, atom(far)),
        "not padded": (before, number(0)),
        "padded as behind": (before, atom(after)),
        "padded as beside": (before, atom(aside)),
        "padded on both sides": (before, atom(before) + atom(after)),
        "a half": (before, Formula("named", (f"dilated half {_WORDS[which]}",))),
        "a half up": (before, Formula("named", (f"dilated half up {_WORDS[which]}",))),
        "symmetric": (before, Formula("named", (f"half the reach {_WORDS[which]}",))),
        "undilated": (before, Formula("named", (f"undilated same {_WORDS[which]}",))),
    }
    found = {words: renamed(due, atom(was), now) for words, (was, now) in exchanged.items()}
    return found | {"one on": due + number(1), "one back": due - number(1)}


_WORDS = ("rows", "columns")
_BORDERS = ("clamped", "modulo the size", "reflected")


def _pixels() -> Iterator[Part]:
    """Give other pixels: along both axes, and along one."""
    axes = [_axis(0), _axis(1)]
    for words in axes[0]:
        slots = [
            Slot(_AXES[which][0], axes[which][words], edited=2, change=f"{words}")
            for which in (0, 1)
        ]
        yield Part(tuple(slots))
        yield from (Part((slot,)) for slot in slots)
    for border in _BORDERS:
        slots = [Slot(name, DUE[name], border) for name in ("Ph", "Pw")]
        yield Part(tuple(slots))
        yield from (Part((slot,)) for slot in slots)
    # The flat index, bounded as a whole.
    for words in ("flat index", "clamped flat index"):
        rows, columns = (Formula("named", (f"{one} of the {words}",)) for one in ("row", "column"))
        yield Part((Slot("Ph", rows, edited=3), Slot("Pw", columns, edited=3)))


# Another index of one operand: its slot, and the formula.
_INDICES: tuple[tuple[str, Formula], ...] = (
    ("Eg", _A["g_other"]),
    ("Eg", atom("G") - number(1) - _A["g"]),
    ("Eg", number(0)),
    ("Eg", renamed(RULES["g"], atom("c"), NAMED["next channel"])),
    ("Eg", _A["c"] // atom("M")),
    ("Eg", _A["c"] % atom("G")),
    ("Pc", NAMED["next channel"]),
    *((name, number(0)) for name in ("Eb", "Pb", "Db", "Ei", "Ej")),
    *((name, NAMED["next sample"]) for name in ("Eb", "Pb", "Db")),
    ("Eu", atom("Kh") - number(1) - _A["u"]),
    ("Ev", atom("Kw") - number(1) - _A["v"]),
)
_PAIRS: tuple[tuple[tuple[str, Formula], ...], ...] = (
    (("Ei", number(0)), ("Ej", number(0))),
    (("Ei", _A["i"] * atom("sh")), ("Ej", _A["j"] * atom("sw"))),
    (("Eu", NAMED["u by columns"]), ("Ev", NAMED["v by columns"])),
    (("Eu", NAMED["u from columns"]), ("Ev", NAMED["v from columns"])),
)
_CLAMPED = (
    (("Ei", DERIVED["due row"]), ("Ej", DERIVED["due column"])),
    (("Ei", _A["i"] - number(1)),),
    (("Ej", _A["j"] - number(1)),),
    (("Ei", _A["i"] * atom("sh")), ("Ej", _A["j"] * atom("sw"))),
)


# Another index of the group, modulo their number.
_MODULO = (
    (("Eg", Formula("group", tuple(map(atom, ("c", "M", "G", "interleaved"))))),),
    (("Eg", _A["c"] // atom("G")),),
)


def _is(formula: Formula, value: int = 0, word: str = "=") -> Formula:
    return Formula(word, (formula, number(value)))


# What may be left out: products of which this is true.
_ABSENT: tuple[Formula, ...] = (
    Formula("and", (_is(DERIVED["u - Kh//2"]), _is(DERIVED["v - Kw//2"]))),
    _is(DERIVED["(u*Kw + v) from the last"]),
    _is(DERIVED["u*Kw + v"]),
    _is(DERIVED["H - 1 - h"]),
    _is(DERIVED["W - 1 - w"]),
    _is(atom("h")),
    _is(atom("w")),
    _is(DERIVED["Ho - 1 - i"]),
    _is(DERIVED["Wo - 1 - j"]),
    _is(DERIVED["C - 1 - c"]),
    _is(DERIVED["G - 1 - g"]),
    _is(_A["m"], word="!="),
    _is(DERIVED["rows of the window below"], 1, ">="),
    Formula("or", (Formula(">=", (atom("w"), atom("H"))), Formula(">=", (atom("h"), atom("W"))))),
    _is(atom("later_rows"), word="!="),
    _is(atom("later_columns"), word="!="),
    Formula("or", (_is(atom("later_rows"), word="!="), _is(atom("later_columns"), word="!="))),
)
# How often each product may count: times, and what that is divided by.
_TIMES: tuple[tuple[Formula, Formula | None], ...] = (
    (number(1), atom("Kh") * atom("Kw")),
    (number(1), atom("M")),
    (number(1), atom("readers")),
    (number(1), atom("taps_inside")),
    (atom("Kh") * atom("Kw"), atom("taps_inside")),
    (number(2), None),
)


def guesses() -> Iterator[Part]:
    """Give each program, the plainest of a kind first."""
    for name, formula in _INDICES:
        yield Part((Slot(name, formula, edited=2),))
    for border, pairs in (("", _PAIRS), ("clamped", _CLAMPED), ("modulo the size", _MODULO)):
        for pair in pairs:
            yield Part(tuple(Slot(name, formula, border, edited=2) for name, formula in pair))
    yield from _pixels()
    for formula in _ABSENT:
        yield Part(absent=Condition(formula, 2.0))
    for times, over in _TIMES:
        yield Part((Slot("n", times, over=over, edited=2),))
    yield Part(every=("Eb",))
    yield Part(absent=ALWAYS)
