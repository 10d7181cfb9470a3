"""Sums made to hurt, and their values in rational arithmetic: what the oracle is held against.

A recipe gives the factors of many sums of products in a format. `results` has the oracle compute
them as y, as dx or as dkernel; `nearest` says what float64 is due. Nothing here is the oracle's.
"""

from collections.abc import Callable
from fractions import Fraction
from math import inf, isfinite, isnan, ldexp, nan
from typing import Any

import numpy as np

from conformance.claims.formats import FORMATS
from refimpl import involution

Array = np.ndarray
Factors = tuple[Array, Array]
Recipe = Callable[[np.random.Generator, str, int, int], Factors]
RESULTS = ("y", "dx", "dkernel")


def nearest(value: Fraction) -> float:
    """The float64 nearest to a value, ties to even, by the definition of the format (NUM-5)."""
    sign = -1.0 if value < 0 else 1.0
    if value == 0:
        return 0.0
    whole, rest, last = parts(value)
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2):
        whole += 1
    if whole * Fraction(2) ** last >= Fraction(2) ** 1024:
        return sign * inf
    return sign * ldexp(float(whole), last)


def parts(value: Fraction) -> tuple[int, Fraction, int]:
    """abs(value) = (whole + rest) * 2^last: 53 bits at most, and nothing below 2^-1074."""
    size = abs(value)
    last = size.numerator.bit_length() - size.denominator.bit_length() - 53
    if size / Fraction(2) ** last >= 2**53:
        last += 1
    last = max(last, -1074)
    scaled = size / Fraction(2) ** last
    whole = scaled.numerator // scaled.denominator
    return whole, scaled - whole, last


def exactly(a: Array, b: Array) -> tuple[Fraction, float]:
    """The sum of the finite products of two rows, and the sum of the others."""
    finite, special = Fraction(0), 0.0
    for one, other in zip(a.tolist(), b.tolist(), strict=True):
        if isfinite(one) and isfinite(other):
            finite += Fraction(one) * Fraction(other)
        elif one == 0 or other == 0 or isnan(one) or isnan(other):
            special = nan
        else:
            special += inf if (one > 0) == (other > 0) else -inf
    return finite, special


def due(a: Array, b: Array) -> float:
    """What the sum of the products of two rows is due."""
    finite, special = exactly(a, b)
    return nearest(finite) if special == 0 else special


def results(name: str, a: Array, b: Array, dtype: Any) -> Array:
    """The oracle's sums of the products of a and b, both (samples, channels, terms).

    `a` are the pixels, or for dx the gradients; `b` the weights, or for dkernel the gradients.
    """
    samples, channels, terms = a.shape
    a, b = a.astype(dtype), b.astype(dtype)
    if name == "y":
        x = a.transpose(0, 2, 1)[:, None]
        kernel = b.transpose(0, 2, 1)[:, None, None, None]
        return involution.forward(x, kernel, padding="valid")[:, 0, 0]
    if name == "dx":
        # One pixel, which output j reads with tap terms - 1 - j.
        kernel = np.zeros((samples, 1, terms, 1, terms, channels), dtype)
        for j in range(terms):
            kernel[:, 0, j, 0, terms - 1 - j] = b[:, :, j]
        dy, x = a.transpose(0, 2, 1)[:, None], np.zeros((samples, 1, 1, channels), dtype)
        padding = ((0, 0), (terms - 1, terms - 1))
        return involution.backward(dy, x, kernel, padding=padding)[0][:, 0, 0]
    kernel = np.zeros((samples, 1, 1, 1, 1, channels), dtype)
    x, dy = (one.reshape(samples, 1, 1, channels * terms) for one in (a, b))
    return involution.backward(dy, x, kernel)[1][:, 0, 0, 0, 0]


# --- Recipes: (random numbers, format, number of sums, terms of each) -> factors (sums, terms) ---


def _powers(values: Array, exponents: Array) -> Array:
    return np.ldexp(values.astype(np.float64), exponents.astype(int))


def _bounds(dtype: str) -> tuple[int, int]:
    """Exponents of the smallest positive number and of the largest power of two."""
    format_ = FORMATS[dtype]
    return format_.smallest_exponent - format_.bits + 1, format_.largest_exponent


def _spread(dtype: str, exponents: Array, room: int = 0) -> tuple[Array, Array]:
    """Split exponents in two that the format has; the first leaves room for so many bits."""
    low, high = _bounds(dtype)
    first = np.clip(exponents // 2, low, high - room)
    return first, np.clip(exponents - first, low, high)


def normal(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:  # noqa: ARG001
    """Nothing special."""
    return rng.standard_normal((sums, terms)), rng.standard_normal((sums, terms))


def wide(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """Exponents all over the format, 2^1000 beside 2^-1000 among them."""
    low, high = _bounds(dtype)
    shape = (2, sums, terms)
    a, b = _powers(rng.uniform(-1, 1, shape), rng.integers(low, high + 1, shape))
    return a, b


def near(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """Exponents in some forty binades."""
    low, high = _bounds(dtype)
    shape = (2, sums, terms)
    exponents = rng.integers(max(-20, low), min(20, high), shape)
    a, b = _powers(rng.uniform(-1, 1, shape), exponents)
    return a, b


def ties(rng: np.random.Generator, dtype: str, sums: int, terms: int, beside: int = 0) -> Factors:
    """Halfway between two float64 exactly or, with `beside`, 2^-beside of that to one side of it.

    54 bits, the last of them set, in digits that the format has; the digits are the terms.
    """
    if terms < 9:
        return normal(rng, dtype, sums, terms)
    digit = min(FORMATS[dtype].bits, 27)
    count = -(-54 // digit)
    a, b = np.zeros((sums, terms)), np.zeros((sums, terms))
    low, _ = _bounds(dtype)
    place = -25
    for n in range(sums):
        number = int(rng.integers(2**53, 2**54)) | 1
        pieces = [(number >> (digit * k)) % 2**digit for k in range(count)]
        exponents = [place + digit * k for k in range(count)]
        if beside:
            pieces.append(1)
            exponents.append(max(place - beside, 2 * low))
        signs = rng.choice([-1, 1], 2)
        for k, (part, exponent) in enumerate(zip(pieces, exponents, strict=True)):
            first, second = _spread(dtype, np.array(exponent), digit)
            sign = signs[0] * (signs[1] if k == count else 1)
            a[n, k], b[n, k] = sign * ldexp(part, int(first)), ldexp(1.0, int(second))
    return _shuffled(rng, a, b)


def beside_ties(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """2^-60 of a tie to one side of it."""
    return ties(rng, dtype, sums, terms, 60)


def far_beside_ties(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """2^-1000 of a tie to one side of it, or as little as the format has."""
    return ties(rng, dtype, sums, terms, 1000)


def cancelling(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """Sums of zero exactly."""
    a, b = near(rng, dtype, sums, terms)
    half = terms // 2
    a[:, half : 2 * half], b[:, half : 2 * half] = -a[:, :half], b[:, :half]
    a[:, 2 * half :] = 0.0
    return _shuffled(rng, a, b)


def cancelling_to_least(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """All cancels but the smallest product that does not underflow, or half of it, or thrice."""
    a, b = cancelling(rng, dtype, sums, terms)
    low, _ = _bounds(dtype)
    least = max(2 * low, -1075)
    first, second = _spread(dtype, np.full(sums, least))
    some, spare = np.arange(sums), np.argmax(a == 0, axis=1)
    free = a[some, spare] == 0
    a[some[free], spare[free]] = _powers(rng.integers(-3, 4, sums), first)[free]
    b[some[free], spare[free]] = _powers(np.ones(sums), second)[free]
    return a, b


def underflowing(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """Products around the smallest of all, which come to something together."""
    low, _ = _bounds(dtype)
    least = max(2 * low, -1077)
    shape = (sums, terms)
    first, second = _spread(dtype, rng.integers(least, least + 6, shape))
    return _powers(rng.integers(-9, 10, shape), first), _powers(np.ones(shape), second)


def overflowing(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """Products and partial sums beyond the largest number, and sums on either side of it."""
    _, high = _bounds(dtype)
    most = min(2 * high, 1024)
    shape = (sums, terms)
    first, second = _spread(dtype, np.full(shape, most))
    a, b = _powers(rng.choice([-1.0, 0.5, 1.0], shape), first), _powers(np.ones(shape), second)
    if dtype == "float64":
        # To the last bit: 2^1024 less half an ulp, and a little to either side.
        a[:, 0], b[:, 0] = 2.0**1023, 2.0
        rest = rng.choice([-2.0, -1.5, -1.0, -0.5, -1 - 2.0**-40, -1 + 2.0**-40], sums)
        a[:, 1 % terms], b[:, 1 % terms] = _powers(rest, np.full(sums, 970)), 1.0
        close = rng.random(sums) < 0.5
        a[close, 2:] = 0.0
    return _shuffled(rng, a, b)


def zeros(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """Mostly zeros of both signs."""
    a, b = normal(rng, dtype, sums, terms)
    shape = (sums, terms)
    return np.where(rng.random(shape) < 0.7, 0.0 * a, a), np.where(rng.random(shape) < 0.5, -0.0, b)


def special(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:
    """Infinities, NaN and zeros among others."""
    a, b = wide(rng, dtype, sums, terms)
    choice = np.array([np.nan, np.inf, -np.inf, 0.0])
    for one in (a, b):
        some = rng.random(one.shape) < 0.15
        one[some] = rng.choice(choice, int(some.sum()))
    return a, b


def integers(rng: np.random.Generator, dtype: str, sums: int, terms: int) -> Factors:  # noqa: ARG001
    """Small integers."""
    a, b = rng.integers(-8, 9, (2, sums, terms)).astype(np.float64)
    return a, b


def _shuffled(rng: np.random.Generator, a: Array, b: Array) -> Factors:
    order = rng.permuted(np.tile(np.arange(a.shape[1]), (len(a), 1)), axis=1)
    return np.take_along_axis(a, order, 1), np.take_along_axis(b, order, 1)


RECIPES: dict[str, Recipe] = {
    "normal": normal,
    "wide": wide,
    "near": near,
    "ties": ties,
    "beside ties": beside_ties,
    "far beside ties": far_beside_ties,
    "cancelling": cancelling,
    "cancelling to the least": cancelling_to_least,
    "underflowing": underflowing,
    "overflowing": overflowing,
    "zeros": zeros,
    "special": special,
    "integers": integers,
}


def special_pairs() -> Factors:
    """Every two of the numbers that are unlike others, as sums of one product."""
    numbers = [0.0, -0.0, 1.0, -1.0, inf, -inf, nan, 5e-324, -5e-324, 1.5e308]
    a, b = np.array([(one, other) for one in numbers for other in numbers]).T
    return a[:, None], b[:, None]


def compared(
    name: str, recipe: str, dtype: str, rng: np.random.Generator, shape: tuple[int, int, int]
) -> list[tuple[Array, Array, float, float]]:
    """Ask the oracle, and give what differs: both rows of factors, what came, what was due."""
    samples, channels, terms = shape
    kind = FORMATS[dtype].dtype
    with np.errstate(all="ignore"):
        made = RECIPES[recipe](rng, dtype, samples * channels, terms)
        a, b = (one.astype(kind).reshape(shape) for one in made)
        got = results(name, a, b, kind)
        a, b = a.astype(np.float64), b.astype(np.float64)
    wrong = []
    for index in np.ndindex(samples, channels):
        expected, came = due(a[index], b[index]), float(got[index])
        # One NaN is as good as another; of a zero the sign counts.
        if not (isnan(expected) and isnan(came)) and came.hex() != expected.hex():
            wrong.append((a[index], b[index], came, expected))
    return wrong
