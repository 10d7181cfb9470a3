"""Laws of numbers: what may have become of every due number, or of an operand before it is used.

A law is a line of a table, and gives an answer for any call. It is taken if it gives every wrong
answer that was observed. Where it gives what is due, nothing can be seen of it. Nothing is asked.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.bounds.expected import Expected
from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS, Format
from conformance.claims.loading import Judged
from conformance.diagnosis.model import DUE, Model, Part, Slot
from conformance.diagnosis.observing import Observed
from conformance.judging.examine import compare
from refimpl import involution

# Observations of either kind on which a law is tried.
_SAMPLE = 60

# What may have become of every due number: of its exact value, in a format of results.
Law = Callable[[Array, Format], Array]
_SUM_LIMIT = 65504.0


def _finite(value: Array, format_: Format) -> Array:
    return np.nan_to_num(value, nan=0.0, posinf=format_.largest, neginf=-format_.largest)


LAWS: Mapping[str, Law] = {
    "negative results are given as zero": lambda value, _: np.where(value < 0, 0.0, value),
    "the magnitude of results is given": lambda value, _: np.abs(value),
    "results are negated": lambda value, _: -value,
    "zeros are given": lambda value, _: np.zeros_like(value),
    "results are clipped to the range of float16, infinity included": lambda value, _: np.clip(
        value, -_SUM_LIMIT, _SUM_LIMIT
    ),
    "NaN and infinite results are replaced by finite numbers": _finite,
    "NaN and infinite sums are replaced by finite numbers of float32": lambda value, f: _finite(
        value, f if f.bits > FORMATS["float32"].bits else FORMATS["float32"]
    ),
    "NaN and infinite results are replaced by zero": lambda value, _: np.where(
        np.isfinite(value), value, 0.0
    ),
    "infinite results are clipped to the largest number": lambda value, f: np.clip(
        value, -f.largest, f.largest
    ),
    "subnormal results are flushed to zero": lambda value, f: np.where(
        np.abs(value) < f.smallest_normal, 0.0, value
    ),
}  # fmt: skip

Values = Mapping[str, Array]
_TAPS = (3, 4)

# Which pixel padded taps read, and multiply by zero, as a rule of an index outside.
PADDED: Mapping[str, str] = {
    f"padded taps read {words} and multiply by zero, so that its NaN and infinities show": rule
    for words, rule in (
        ("the nearest pixel", "clamped"),
        ("pixel 0 of the axis", "pixel 0"),
        ("the pixel at the other end", "modulo the size"),
    )
}
# What a result becomes where an operand of its shape is so.
MASKS: Mapping[str, tuple[str, Callable[[Values], Array]]] = {
    "it is zero where x is zero": ("dx", lambda values: values["x"] != 0),
    "it is zero where x is not positive": ("dx", lambda values: values["x"] > 0),
    "it is zero where the kernel is zero": ("dkernel", lambda values: values["kernel"] != 0),
}


def _over(array: Array, sums: Array) -> Array:
    return np.asarray(array / np.where(sums == 0, 1, sums))


def _softmax(kernel: Array) -> Array:
    powers = np.exp(kernel - kernel.max(_TAPS, keepdims=True))
    return np.asarray(powers / powers.sum(_TAPS, keepdims=True))


# What may be done to an operand before it is used: which one, and how, in float64.
OPERANDS: Mapping[str, tuple[str, Callable[[Array], Array]]] = {
    "the kernel is divided by the sum of its taps' magnitudes": (
        "kernel", lambda k: _over(k, np.abs(k).sum(_TAPS, keepdims=True))),
    "the kernel is divided by the sum of its taps": (
        "kernel", lambda k: _over(k, k.sum(_TAPS, keepdims=True))),
    "the kernel is divided by the root of the sum of its taps' squares": (
        "kernel", lambda k: _over(k, np.sqrt((k**2).sum(_TAPS, keepdims=True)))),
    "the kernel goes through a softmax over its taps": ("kernel", _softmax),
    "the mean of its taps is taken off the kernel": (
        "kernel", lambda k: k - k.mean(_TAPS, keepdims=True)),
    "the kernel goes through a sigmoid": ("kernel", lambda k: 1 / (1 + np.exp(-k))),
    "the kernel goes through tanh": ("kernel", np.tanh),
    "negative entries of the kernel count as zero": ("kernel", lambda k: np.maximum(k, 0)),
    "the magnitude of the kernel is taken": ("kernel", np.abs),
    "negative pixels count as zero": ("x", lambda x: np.maximum(x, 0)),
    "the magnitude of pixels is taken": ("x", np.abs),
}  # fmt: skip


def law_of(judged: Judged, seen: Sequence[Observed]) -> tuple[str, bool]:
    """Find the law that gives every wrong answer; tell whether it gives the right ones too."""
    wrong = [one for one in seen if one.labels][:_SAMPLE]
    right = [one for one in seen if not one.labels][:_SAMPLE]
    of_operands = bool(wrong) and isinstance(wrong[0].about[0], OperatorCase)
    names = frozenset().union(*(one.labels for one in wrong))
    for words in (*LAWS, *((*OPERANDS, *MASKS, *PADDED) if of_operands else ())):
        if not all(obeys(judged, one, words, one.labels) for one in wrong):
            continue
        # A law that gives what is due, or nearly so, explains nothing: its own bound is wider.
        if any(one.labels - moot_of(judged, one, words) for one in wrong):
            return words, all(obeys(judged, one, words, names) for one in right)
    return "", False


def suspected(case: OperatorCase, values: Values, got: Mapping[str, Any], name: str) -> set[str]:
    """Name the laws that give a finite answer; no bound is asked for, but nearness."""
    found, answer = set(), got.get(name)
    wide = {one: array.astype(np.float64) for one, array in values.items()}
    with np.errstate(all="ignore"):
        plain = _results(case, wide)[name]
    for words in (*LAWS, *OPERANDS, *MASKS):
        due, size = _changed(case, wide, words)[name]
        if isinstance(answer, np.ndarray) and answer.shape == due.shape:
            allowed = _roundings(case) * size
            off = np.abs(answer.astype(np.float64) - due) > allowed
            # It has to say something else than what is due.
            other = np.abs(plain - due) > 2 * allowed
            found |= {words} if other.any() and not off.any() else set()
    return found


def _changed(case: OperatorCase, values: Values, words: str) -> dict[str, tuple[Array, Array]]:
    """Give results as a law makes them, and the sums of the magnitudes."""
    values = dict(values)
    with np.errstate(all="ignore"):
        if words in OPERANDS:
            operand, change = OPERANDS[words]
            values[operand] = change(values[operand])
        results = _results(case, values)
        sizes = _results(case, {name: np.abs(array) for name, array in values.items()})
        if words in MASKS:
            name, kept = MASKS[words]
            results[name] = np.where(kept(values), results[name], 0.0)
        if words in LAWS:
            format_ = FORMATS[case.dtype]
            results = {name: LAWS[words](value, format_) for name, value in results.items()}
    return {name: (results[name], sizes[name]) for name in results}


def obeys(judged: Judged, one: Observed, words: str, names: Collection[str]) -> bool:
    """Tell whether results of these names are what a law makes of the due ones; others the due."""
    case, found = one.about
    format_ = judged.capabilities.arithmetic(case.dtype).result
    given = _given(judged, one, words) if names else found.due
    return all(
        compare(array, (given if name in names else found.due)[name], format_)[1] is None
        for name, array in found.answer.results.items()
    )


def moot_of(judged: Judged, one: Observed, words: str) -> frozenset[str]:
    """Name the results of which a law gives what is due, or nearly so."""
    case, found = one.about
    given, dtype = _given(judged, one, words), FORMATS[case.dtype].dtype
    alike = set()
    for name in found.answer.results:
        due, other = found.due[name], given[name]
        with np.errstate(invalid="ignore", over="ignore"):
            near = np.abs(due.value - other.value) <= 2 * (_finite_bound(due) + other.bound)
            # A number of another format may be rounded to infinity.
            rounded = due.value.astype(dtype) == other.value.astype(dtype)
        same = rounded | (due.value == other.value) | (np.isnan(due.value) & np.isnan(other.value))
        if (near | same).all():
            alike.add(name)
    return frozenset(alike)


def _finite_bound(due: Expected) -> Array:
    """An infinite number has no bound."""
    return np.where(np.isfinite(due.bound), due.bound, 0.0)


def _given(judged: Judged, one: Observed, words: str) -> Mapping[str, Expected]:
    """Give what a law makes of a call."""
    case, found = one.about
    format_ = judged.capabilities.arithmetic(case.dtype).result
    if words in LAWS:
        return {
            name: Expected(LAWS[words](due.value, format_), _finite_bound(due))
            for name, due in found.due.items()
        }
    kind = judged.kind
    made = kind.values(case, kind.bits(case, judged.capabilities))
    values = {name: array.astype(np.float64) for name, array in made.items()}
    if words in PADDED:
        shown = _shown(case, values["x"], PADDED[words])
        return {
            name: Expected(
                np.where(shown[name], np.nan, due.value), np.where(shown[name], 0.0, due.bound)
            )
            if name in shown
            else due
            for name, due in found.due.items()
        }
    tiny = _underflow(case, values)
    return {
        name: Expected(value, _roundings(case) * size + tiny)
        for name, (value, size) in _changed(case, values, words).items()
    }


def _shown(case: OperatorCase, x: Array, rule: str) -> dict[str, Array]:
    """Tell which entries of y and dkernel a special pixel reaches through a padded tap."""
    part = Part(tuple(Slot(name, DUE[name], rule) for name in ("Ph", "Pw")))
    special = (~np.isfinite(x)).astype(np.float64)
    ones = {name: np.ones(case.shapes[name]) for name in ("kernel", "dy")}
    results = ("y", "dkernel")
    read = Model(dict.fromkeys(results, part))(case, {"x": special, **ones}, results)
    due = Model()(case, {"x": special, **ones}, results)
    return {name: read[name] > due[name] for name in results}


def _roundings(case: OperatorCase) -> float:
    """Bound the relative error of a sum whose factors were changed.

    Each of the taps is a term of a sum by which a factor is divided: taps + 1 roundings; a product,
    the sum of the terms and its last rounding are terms + 1 more. (1 + u)^n - 1 <= 2 n u.
    """
    terms = max(case.geometry.taps * max(case.grid), case.geometry.members)
    return 2 * (case.geometry.taps + terms + 4) * float(FORMATS[case.dtype].unit_roundoff)


def _underflow(case: OperatorCase, values: Values) -> float:
    """Bound what underflow adds to a sum whose factors were changed.

    Below the smallest normal number a rounding is off by half of the smallest subnormal one. Each
    product has one such rounding, and the sum one at its end; a changed factor has one too, which
    the other factor makes as many times as large as it is.
    """
    format_ = FORMATS[case.dtype]
    smallest = format_.smallest_normal * 2.0 ** (1 - format_.bits)
    terms = max(case.geometry.taps * max(case.grid), case.geometry.members)
    largest = max(np.abs(a[np.isfinite(a)]).max(initial=1.0) for a in values.values())
    return float((terms + 1) * smallest * largest)


def _results(case: OperatorCase, values: Mapping[str, Array]) -> dict[str, Array]:
    options = case.geometry.options
    y = involution.forward(values["x"], values["kernel"], **options)
    operands = values["dy"], values["x"], values["kernel"]
    dx, dkernel = involution.backward(*operands, **options)
    return {"y": y, "dx": dx, "dkernel": dkernel}
