"""Examines results: equality where the sums are exact, the derived bound elsewhere.

Pure: nothing is called, counted or printed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.bounds.expected import Array, Expected, Floats
from conformance.cases.picture import Picture
from conformance.claims.formats import Format
from conformance.claims.loading import Judged
from conformance.judging.exhibit import exhibit
from conformance.judging.headroom import Headroom, headroom


@dataclass(frozen=True)
class Mismatch:
    """Where a result is wrong.

    Attributes
    ----------
    index : tuple of int
        First wrong element, in C order.
    got, expected, bound : float
        There; a bound of zero demands equality.
    wrong : ndarray of bool
        Every wrong element.
    """

    index: tuple[int, ...]
    got: float
    expected: float
    bound: float
    wrong: npt.NDArray[np.bool_]

    @property
    def words(self) -> str:
        """The first wrong element in a line."""
        limit = "equality demanded" if self.bound == 0 else f"error bound {self.bound:.9g}"
        error = abs(self.got - self.expected)
        return f"got {self.got!r}, expected {self.expected!r} (error {error:.9g}, {limit})"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    clauses : tuple of str
        What is broken; the first is quoted.
    words : str
        What is wrong, in a line.
    tier : str
        What noticed: "certificate", "equality", "bound" or "behaviour".
    result : str
        Which result, if it is one.
    mismatch : Mismatch, optional
        Where its values are wrong.
    refusal : bool
        The implementation raised instead of answering.
    died : bool
        It gave no answer at all.
    alone : bool
        It shows in its case alone: what was raised, and the form of a result.
    remembered : bool
        Its case alone does not show it: it depends on what was asked before.
    details : tuple of str
        Further lines.
    exhibit : mapping, optional
        Of wrong values what can be drawn: see `exhibit`.
    """

    clauses: tuple[str, ...]
    words: str
    tier: str = "behaviour"
    result: str = ""
    mismatch: Mismatch | None = None
    refusal: bool = False
    died: bool = False
    alone: bool = False
    remembered: bool = False
    details: tuple[str, ...] = ()
    exhibit: Mapping[str, Any] | None = field(default=None, hash=False)


def compare(got: Array, expected: Expected, result: Format) -> tuple[float, Mismatch | None]:
    """Compare a result of the due shape with what is expected.

    Parameters
    ----------
    got : ndarray
        The implementation's result.
    expected : Expected
        The truth, and how far from it a correct result may be.
    result : Format
        Of the result; it decides from where on infinity is right.

    Returns
    -------
    worst : float
        Largest error as a fraction of its bound; 0 where equality was demanded and found.
    mismatch : Mismatch or None
        None if nothing is wrong.
    """
    values = got.astype(np.float64)
    mismatch = _mismatch(values, expected, result)
    return (headroom(values, expected).worst, None) if mismatch is None else (np.inf, mismatch)


def _mismatch(values: Floats, expected: Expected, result: Format) -> Mismatch | None:
    wrong = ~_agrees(values, expected, result.overflow)
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
    got, value, bound = (float(array[index]) for array in (values, *expected))
    return Mismatch(index, got, value, bound, wrong)


def _agrees(got: Floats, expected: Expected, overflow: float) -> npt.NDArray[np.bool_]:
    value, allowed = expected
    equal: npt.NDArray[np.bool_] = got == value
    if equal.all():
        return equal
    with np.errstate(invalid="ignore", over="ignore"):
        close = np.abs(got - value) <= allowed
        # Short of what rounds to infinity by no more than the bound: infinity is right.
        rounds_up = np.abs(value) + allowed >= overflow
        infinite = np.isinf(got) & rounds_up & (np.sign(got) == np.sign(value))
    both_nan = np.isnan(got) & np.isnan(value)
    same = equal | both_nan
    finite = np.isfinite(value) & (close | infinite)
    agrees: npt.NDArray[np.bool_] = same | finite | np.isposinf(allowed)
    return agrees


def examine(
    judged: Judged, case: Any, results: Mapping[str, Array], expected: Mapping[str, Expected]
) -> tuple[dict[str, Headroom], list[Finding]]:
    """Compare results, all or some of them, with what is expected of the case.

    Returns
    -------
    right : dict
        What each right result uses of its bound.
    findings : list of Finding
        One for each wrong result.
    """
    kind, claimed = judged.kind, judged.capabilities
    format_ = claimed.arithmetic(case.dtype).result
    right, findings = {}, []
    for name, array in results.items():
        values = array.astype(np.float64)
        mismatch = _mismatch(values, expected[name], format_)
        if mismatch is None:
            right[name] = headroom(values, expected[name])
        else:
            picture = kind.picture(case, claimed, name, array, expected[name].value)
            findings.append(_finding(kind, case, name, mismatch, values, expected[name], picture))
    return right, findings


def _finding(
    kind: Any,
    case: Any,
    name: str,
    mismatch: Mismatch,
    got: Floats,
    expected: Expected,
    picture: Picture | None,
) -> Finding:
    recipe = kind.recipe_of(case)
    exact = mismatch.bound == 0
    clauses = (kind.rules.value[name],) if exact else kind.rules.bound[name]
    if case.batch == 0:
        clauses = (kind.rules.empty,)
    elif recipe.rule and (own := recipe.rule(name, mismatch.got, mismatch.expected)):
        clauses = (own,)
    tier = "certificate" if recipe.certifies else "equality" if exact else "bound"
    count, size = int(mismatch.wrong.sum()), mismatch.wrong.size
    words = f"{name}{list(mismatch.index)}: {mismatch.words}"
    axes = kind.axes(name, mismatch.wrong.ndim)
    where = _extent(axes, mismatch.wrong)
    details = picture.lines if picture else ()
    lines = (f"{name}: {count} of {size} elements are wrong; {where}", *details)
    shown = exhibit(axes, got, expected, mismatch.wrong, picture)
    return Finding(clauses, words, tier, name, mismatch, details=lines, exhibit=shown)


def _extent(axes: tuple[str, ...], wrong: npt.NDArray[np.bool_]) -> str:
    """Along each axis the indices at which something is wrong."""
    parts = []
    for axis, name in enumerate(axes):
        size = wrong.shape[axis]
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        hit = np.flatnonzero(wrong.any(axis=others))
        if len(hit) == size:
            parts.append(f"{name}: all {size}")
        else:
            shown = ", ".join(str(i) for i in hit[:6]) + (", ..." if len(hit) > 6 else "")
            parts.append(f"{name}: {shown} of {size}")
    return "; ".join(parts)
