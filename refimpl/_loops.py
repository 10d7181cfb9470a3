"""The loop nests of the operator and of its two vector-Jacobian products.

Small, validation-free, in index order; each function's ``.py_func`` is its definition. Every nest
computes whole rows ``first <= row < last`` of its result and nothing else, so that rows can be
shared out among threads without touching the order of any sum (NUM-7).

All compiled code lives in this one file: numba's cache on disk notices changes of the file that a
function stands in, not of the files that it calls.
"""

from fractions import Fraction
from math import isfinite

import numba
import numpy as np
from numba.extending import intrinsic, overload, register_jitable

# nogil: the rows run in Python threads. No fastmath: a compiler that may reassociate destroys the
# error terms below. cache: compiled once per machine.
_compiled = numba.njit(nogil=True, cache=True)


def fma(a, b, c):
    """Return a * b + c, rounded once. Compiled, it is the processor's instruction."""
    if isfinite(a) and isfinite(b) and isfinite(c):
        return float(Fraction(a) * Fraction(b) + Fraction(c))
    return a * b + c


@intrinsic
def _fma_instruction(typingctx, a, b, c):  # noqa: ARG001
    def emit(context, builder, signature, arguments):  # noqa: ARG001
        return builder.fma(*arguments)

    return numba.float64(numba.float64, numba.float64, numba.float64), emit


@overload(fma)
def _fma_compiled(a, b, c):  # noqa: ARG001
    return lambda a, b, c: _fma_instruction(a, b, c)  # noqa: PLW0108 (an intrinsic is no overload)


@register_jitable
def _add_product_single(total, carry, a, b):
    # The product of two float32 is exact in float64.
    return total + np.float64(a) * np.float64(b), carry


@register_jitable
def _add_product_double(total, carry, a, b):
    # TwoProduct and TwoSum: product + product_error and sum + sum_error are exact. The errors are
    # collected apart (Ogita, Rump, Oishi, "Accurate sum and dot product", 2005, algorithm 5.3).
    product = a * b
    product_error = fma(a, b, -product)
    new_total = total + product
    part = new_total - total
    sum_error = (total - (new_total - part)) + (product - part)
    return new_total, carry + (product_error + sum_error)


def add_product(total, carry, a, b):
    """Add a * b to the sum total + carry, in at least twice the precision of a and b (NUM-5)."""
    if isinstance(a, np.float32):
        return _add_product_single(total, carry, a, b)
    return _add_product_double(total, carry, a, b)


@overload(add_product)
def _add_product_compiled(total, carry, a, b):  # noqa: ARG001
    return _add_product_single if a == numba.float32 else _add_product_double


@register_jitable
def rounded(total, carry):
    """Return total + carry; the carry of an infinite or NaN total means nothing."""
    return total + carry if isfinite(total) else total


@_compiled
def forward_rows(first, last, x, kernel, sh, sw, dh, dw, top, left, y):
    # rows (b, i) of y (B, Ho, Wo, G, M); x (B, H, W, G, M); kernel (B, Ho, Wo, Kh, Kw, G)
    _, H, W, G, M = x.shape
    _, Ho, Wo, Kh, Kw, _ = kernel.shape
    total, carry = np.empty((G, M)), np.empty((G, M))
    for row in range(first, last):
        b, i = row // Ho, row % Ho
        for j in range(Wo):
            total[:], carry[:] = 0.0, 0.0
            for u in range(Kh):
                h = i * sh + u * dh - top
                if h < 0 or h >= H:
                    continue
                for v in range(Kw):
                    w = j * sw + v * dw - left
                    if w < 0 or w >= W:
                        continue
                    for g in range(G):
                        weight = kernel[b, i, j, u, v, g]
                        for m in range(M):
                            total[g, m], carry[g, m] = add_product(
                                total[g, m], carry[g, m], x[b, h, w, g, m], weight
                            )
            for g in range(G):
                for m in range(M):
                    y[b, i, j, g, m] = rounded(total[g, m], carry[g, m])


@_compiled
def forward_rows_of_few(first, last, x, kernel, sh, sw, dh, dw, top, left, y):
    # As forward_rows, the same sums in the same order, for few members a group: vectors would stay
    # empty there, and four members in registers are two to three times as fast (measured, M = 3).
    _, H, W, G, M = x.shape
    _, Ho, Wo, Kh, Kw, _ = kernel.shape
    for row in range(first, last):
        b, i = row // Ho, row % Ho
        for j in range(Wo):
            for g in range(G):
                for m in range(0, M, 4):
                    # Past the last member its sum is computed again.
                    n, o, p = min(m + 1, M - 1), min(m + 2, M - 1), min(m + 3, M - 1)
                    t0, t1, t2, t3 = 0.0, 0.0, 0.0, 0.0
                    c0, c1, c2, c3 = 0.0, 0.0, 0.0, 0.0
                    for u in range(Kh):
                        h = i * sh + u * dh - top
                        if h < 0 or h >= H:
                            continue
                        for v in range(Kw):
                            w = j * sw + v * dw - left
                            if w < 0 or w >= W:
                                continue
                            weight = kernel[b, i, j, u, v, g]
                            t0, c0 = add_product(t0, c0, x[b, h, w, g, m], weight)
                            t1, c1 = add_product(t1, c1, x[b, h, w, g, n], weight)
                            t2, c2 = add_product(t2, c2, x[b, h, w, g, o], weight)
                            t3, c3 = add_product(t3, c3, x[b, h, w, g, p], weight)
                    y[b, i, j, g, m], y[b, i, j, g, n] = rounded(t0, c0), rounded(t1, c1)
                    y[b, i, j, g, o], y[b, i, j, g, p] = rounded(t2, c2), rounded(t3, c3)


@_compiled
def dx_rows(first, last, dy, kernel, sh, sw, dh, dw, top, left, dx):
    # rows (b, h) of dx (B, H, W, G, M); dy (B, Ho, Wo, G, M); kernel (B, Ho, Wo, Kh, Kw, G)
    # Gathered, not scattered: each pixel asks which outputs read it (GRD-1), so that one thread
    # writes it.
    _, H, W, G, M = dx.shape
    _, Ho, Wo, Kh, Kw, _ = kernel.shape
    total, carry = np.empty((G, M)), np.empty((G, M))
    for row in range(first, last):
        b, h = row // H, row % H
        for w in range(W):
            total[:], carry[:] = 0.0, 0.0
            for u in range(Kh):
                i, rest = divmod(h + top - u * dh, sh)
                if rest != 0 or i < 0 or i >= Ho:
                    continue
                for v in range(Kw):
                    j, rest = divmod(w + left - v * dw, sw)
                    if rest != 0 or j < 0 or j >= Wo:
                        continue
                    for g in range(G):
                        weight = kernel[b, i, j, u, v, g]
                        for m in range(M):
                            total[g, m], carry[g, m] = add_product(
                                total[g, m], carry[g, m], dy[b, i, j, g, m], weight
                            )
            for g in range(G):
                for m in range(M):
                    dx[b, h, w, g, m] = rounded(total[g, m], carry[g, m])


@_compiled
def dkernel_rows(first, last, dy, x, sh, sw, dh, dw, top, left, dkernel):
    # rows (b, i) of dkernel (B, Ho, Wo, Kh, Kw, G); dy (B, Ho, Wo, G, M); x (B, H, W, G, M)
    _, H, W, G, M = x.shape
    _, Ho, Wo, Kh, Kw, _ = dkernel.shape
    for row in range(first, last):
        b, i = row // Ho, row % Ho
        for j in range(Wo):
            for u in range(Kh):
                h = i * sh + u * dh - top
                for v in range(Kw):
                    w = j * sw + v * dw - left
                    padded = h < 0 or h >= H or w < 0 or w >= W
                    for g in range(G):
                        total, carry = 0.0, 0.0
                        if not padded:
                            for m in range(M):
                                total, carry = add_product(
                                    total, carry, x[b, h, w, g, m], dy[b, i, j, g, m]
                                )
                        dkernel[b, i, j, u, v, g] = rounded(total, carry)
