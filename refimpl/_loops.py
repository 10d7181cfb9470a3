"""The definition of the operator and of its two vector-Jacobian products: exact sums, rounded once.

Small, validation-free, in index order. Every nest fills in those elements of its result that are
NaN, in the rows ``first <= row < last``, and touches no other: a result that holds NaN throughout
is computed whole, and what a fast form (`refimpl._fast`) could not certify is computed anew.

Interpreted, a sum is a rational number, and rounding it is Python's division of integers.
Compiled, it is a fixed-point number as wide as any sum of products can be. The two agree bit for
bit. All compiled code of the definition lives in this one file: numba's cache on disk notices
changes of the file that a function stands in, not of the files that it calls.
"""

from fractions import Fraction
from math import inf, isfinite, isnan, nan

import numba
import numpy as np
from numba import types
from numba.extending import overload, register_jitable

# nogil: the rows run in Python threads. cache: compiled once per machine.
_compiled = numba.njit(nogil=True, cache=True)


# --- A sum of products, exactly: as it is interpreted ---


class Rational:
    """A sum as it is interpreted: its finite terms, and its other terms added up."""

    def __init__(self):
        self.finite, self.special = Fraction(0), 0.0


def new_sum():
    """Return a sum of no terms."""
    return Rational()


# Numba's CUDA simulator interprets what a GPU would run: sums that are kept in digits, below.


def clear(total):
    """Make it a sum of no terms."""
    if not isinstance(total, Rational):
        _clear_digits(total)
        return
    total.finite, total.special = Fraction(0), 0.0


def add_product(total, one, other):
    """Add the product of two elements, exactly."""
    if not isinstance(total, Rational):
        _add_to_digits(total, one, other)
    elif isfinite(one) and isfinite(other):
        total.finite += Fraction(float(one)) * Fraction(float(other))
    else:
        total.special += float(one) * float(other)


def rounded(total):
    """Round to nearest, ties to even, to float64 (NUM-5); SPC-1 and SPC-2."""
    if not isinstance(total, Rational):
        return _round_sum(total)
    if total.special != 0:
        return total.special
    try:
        return float(total.finite)
    except OverflowError:
        return inf if total.finite > 0 else -inf


# --- A sum of products, exactly: as it is compiled ---
#
# Digits of 32 bits, lowest first, digit d in units of 2^(32 d - 2148): the last bit of the product
# of two of the smallest numbers has the weight 2^-2148. A product is below 2^2048, a sum of 2^63 of
# them below 2^2111, which is bit 4259: 134 digits, and two that the reading of bits may touch. Each
# digit is held in 64 bits with its sign, so that carries may wait.

_LOWEST = -2148
_DIGITS = 136
# Behind the digits: what terms were not finite, and how many products there are since the last
# carry. A product adds less than 2^35 to a digit.
_SPECIAL, _WAITING, LENGTH = _DIGITS, _DIGITS + 1, _DIGITS + 2
_PLUS, _MINUS, _INVALID = 1, 2, 4
_MOST_WAITING = 2**27
# Of the last bit of the largest float64.
_LARGEST = 971
_DIGIT = 2**32 - 1


@overload(new_sum)
def _new_sum():
    return lambda: np.zeros(LENGTH, np.int64)


@overload(clear)
def _clear(total):  # noqa: ARG001
    return _clear_digits


@register_jitable
def _clear_digits(total):
    for d in range(LENGTH):
        total[d] = 0


def number(a):
    """Return an element of an operand as a float64, exactly."""
    return _bfloat16(a) if isinstance(a, np.uint16) else _float(a)


@overload(number)
def _number(a):
    return _bfloat16 if a == types.uint16 else _float


@register_jitable
def _float(a):
    return np.float64(a)


@register_jitable
def _bfloat16(a):
    # Which numba does not know: the upper half of a float32.
    return np.float64(np.uint32(np.uint32(a) << np.uint32(16)).view(np.float32))


@register_jitable
def _significand(a):
    """Return the integer s and the exponent e with a = s * 2^e, abs(s) < 2^53."""
    bits = np.float64(a).view(np.int64)
    exponent, fraction = (bits >> 52) & 0x7FF, bits & 0xFFFFFFFFFFFFF
    if exponent == 0:
        return -fraction if bits < 0 else fraction, -1074
    fraction |= 1 << 52
    return -fraction if bits < 0 else fraction, exponent - 1075


@register_jitable
def _deposit(total, value, position):
    """Add value * 2^position, in units of the last bit; abs(value) <= 2^54."""
    digit, shift = position >> 5, position & 31
    # Shifted right, a negative number rounds down, so that the lower part is never negative.
    low, high = (value & _DIGIT) << shift, (value >> 32) << shift
    total[digit] += low & _DIGIT
    total[digit + 1] += (low >> 32) + (high & _DIGIT)
    total[digit + 2] += high >> 32


@register_jitable
def _carry(total):
    """Bring every digit but the last into 0 <= digit < 2^32."""
    for d in range(_DIGITS - 1):
        total[d + 1] += total[d] >> 32
        total[d] &= _DIGIT
    total[_WAITING] = 0


@overload(add_product)
def _add_product(total, one, other):  # noqa: ARG001
    return _add_to_digits


@register_jitable
def _add_to_digits(total, one, other):
    a, b = number(one), number(other)
    if not (isfinite(a) and isfinite(b)):
        # An infinity times zero is NaN.
        invalid = isnan(a) or isnan(b) or a == 0 or b == 0
        total[_SPECIAL] |= _INVALID if invalid else _PLUS if (a > 0) == (b > 0) else _MINUS
    elif a != 0 and b != 0:
        if total[_WAITING] == _MOST_WAITING:
            _carry(total)
        total[_WAITING] += 1
        s, e = _significand(a)
        t, f = _significand(b)
        position = e + f - _LOWEST
        # In parts of 27 bits and what remains, whose products 64 bits hold.
        s0, s1, t0, t1 = s & 0x7FFFFFF, s >> 27, t & 0x7FFFFFF, t >> 27
        _deposit(total, s0 * t0, position)
        _deposit(total, s0 * t1 + s1 * t0, position + 27)
        _deposit(total, s1 * t1, position + 54)


@register_jitable
def _window(total, position, count):
    """Return `count` bits, 53 at most, from `position` on."""
    digit, shift = position >> 5, position & 31
    bits = (total[digit] >> shift) | (total[digit + 1] << (32 - shift))
    if shift > 11:
        bits |= total[digit + 2] << (64 - shift)
    return bits & ((1 << count) - 1)


@register_jitable
def _some_below(total, position):
    """Tell whether any bit below `position` is set."""
    digit = position >> 5
    for d in range(digit):
        if total[d] != 0:
            return True
    return total[digit] & ((1 << (position & 31)) - 1) != 0


@register_jitable
def _round_digits(total):
    """Round a sum of finite terms."""
    _carry(total)
    negative = total[_DIGITS - 1] < 0
    if negative:
        for d in range(_DIGITS):
            total[d] = -total[d]
        _carry(total)
    top = _DIGITS - 1
    while top > 0 and total[top] == 0:
        top -= 1
    if total[top] == 0:
        return 0.0
    length = 32 * top
    while total[top] >> (length - 32 * top) != 0:
        length += 1
    # The last bit that a float64 of this size has. (Numba's own CUDA does not know max.)
    last, least = length - 53, -1074 - _LOWEST
    last = last if last > least else least
    significand = _window(total, last, 53)
    if _window(total, last - 1, 1) and (significand & 1 or _some_below(total, last - 1)):
        significand += 1
    # As bits, without arithmetic that a GPU might do in its own way. A number below 2^52 is
    # subnormal, and the bit 2^52 of any other adds one to the exponent; so does a carry to 2^53.
    exponent = last + _LOWEST
    if exponent > _LARGEST:
        return -inf if negative else inf
    value = np.int64(((exponent + 1074) << 52) + significand).view(np.float64)
    return -value if negative else value


@overload(rounded)
def _rounded(total):  # noqa: ARG001
    return _round_sum


@register_jitable
def _round_sum(total):
    special = total[_SPECIAL]
    if special == 0:
        return _round_digits(total)
    return inf if special == _PLUS else -inf if special == _MINUS else nan


# --- The definition ---
#
# x, dy and y have their channels as they lie: member m of group g is channel g * dg + m * dm
# (GRP-2, GRP-3). First the terms of one element of a result.


@register_jitable
def add_y(total, b, i, j, c, g, x, kernel, sh, sw, dh, dw, top, left):
    """Add the terms of y[b, i, j, c]; x (B, H, W, C), kernel (B, Ho, Wo, Kh, Kw, G)."""
    _, H, W, _ = x.shape
    _, _, _, Kh, Kw, _ = kernel.shape
    for u in range(Kh):
        h = i * sh + u * dh - top
        if h < 0 or h >= H:
            continue
        for v in range(Kw):
            w = j * sw + v * dw - left
            if w < 0 or w >= W:
                continue
            add_product(total, x[b, h, w, c], kernel[b, i, j, u, v, g])


@register_jitable
def add_dx(total, b, h, w, c, g, dy, kernel, sh, sw, dh, dw, top, left):
    """Add the terms of dx[b, h, w, c]; dy (B, Ho, Wo, C), kernel (B, Ho, Wo, Kh, Kw, G)."""
    # Gathered, not scattered: each pixel asks which outputs read it (GRD-1).
    _, Ho, Wo, Kh, Kw, _ = kernel.shape
    for u in range(Kh):
        i, rest = divmod(h + top - u * dh, sh)
        if rest != 0 or i < 0 or i >= Ho:
            continue
        for v in range(Kw):
            j, rest = divmod(w + left - v * dw, sw)
            if rest != 0 or j < 0 or j >= Wo:
                continue
            add_product(total, dy[b, i, j, c], kernel[b, i, j, u, v, g])


@register_jitable
def add_dkernel(total, b, i, j, u, v, g, dy, x, sh, sw, dh, dw, top, left, dg, dm, members):
    """Add the terms of dkernel[b, i, j, u, v, g]; dy (B, Ho, Wo, C), x (B, H, W, C)."""
    _, H, W, _ = x.shape
    h, w = i * sh + u * dh - top, j * sw + v * dw - left
    if h < 0 or h >= H or w < 0 or w >= W:
        return
    for m in range(members):
        c = g * dg + m * dm
        add_product(total, x[b, h, w, c], dy[b, i, j, c])


@_compiled
def forward_rows(first, last, x, kernel, sh, sw, dh, dw, top, left, dg, dm, y):
    # rows (b, i) of y (B, Ho, Wo, C)
    _, Ho, Wo, _, _, G = kernel.shape
    members = x.shape[3] // G
    total = new_sum()
    for row in range(first, last):
        b, i = row // Ho, row % Ho
        for j in range(Wo):
            for g in range(G):
                for m in range(members):
                    c = g * dg + m * dm
                    if isnan(y[b, i, j, c]):
                        clear(total)
                        add_y(total, b, i, j, c, g, x, kernel, sh, sw, dh, dw, top, left)
                        y[b, i, j, c] = rounded(total)


@_compiled
def dx_rows(first, last, dy, kernel, sh, sw, dh, dw, top, left, dg, dm, dx):
    # rows (b, h) of dx (B, H, W, C)
    _, H, W, C = dx.shape
    G = kernel.shape[5]
    members = C // G
    total = new_sum()
    for row in range(first, last):
        b, h = row // H, row % H
        for w in range(W):
            for g in range(G):
                for m in range(members):
                    c = g * dg + m * dm
                    if isnan(dx[b, h, w, c]):
                        clear(total)
                        add_dx(total, b, h, w, c, g, dy, kernel, sh, sw, dh, dw, top, left)
                        dx[b, h, w, c] = rounded(total)


@_compiled
def dkernel_rows(first, last, dy, x, sh, sw, dh, dw, top, left, dg, dm, dkernel):
    # rows (b, i) of dkernel (B, Ho, Wo, Kh, Kw, G)
    _, Ho, Wo, Kh, Kw, G = dkernel.shape
    members = x.shape[3] // G
    steps = sh, sw, dh, dw, top, left, dg, dm
    total = new_sum()
    for row in range(first, last):
        b, i = row // Ho, row % Ho
        for j in range(Wo):
            for u in range(Kh):
                for v in range(Kw):
                    for g in range(G):
                        if isnan(dkernel[b, i, j, u, v, g]):
                            clear(total)
                            add_dkernel(total, b, i, j, u, v, g, dy, x, *steps, members)
                            dkernel[b, i, j, u, v, g] = rounded(total)
