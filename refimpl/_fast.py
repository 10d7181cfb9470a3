"""Fast forms of the loops in `refimpl._loops`, each held to its definition bit for bit.

A fast form writes whole rows of a result. An element is either the exact sum, rounded once, or NaN
where that could not be certified; rows with a NaN are marked, and the definition fills them in. So
nothing here decides what is right, and nothing here has to be general: NaN, infinities and possible
overflow are left to the definition. So are ties and deep cancellation, unless the sum was exact
(its loss is zero).

How a sum is kept (proof in docs/oracle.md, "How it is computed"). Let every product of a row be
at most 2^(k-2) / n in size, n being the number of terms, and let t begin at 1.5 * 2^k. Then

    t' = fma(x, w, t);  low += fma(x, w, t - t');  t = t'

keeps t within [2^k, 2^(k+1)], so that t - 1.5 * 2^k and each t - t' are exact. The sum is
(t - 1.5 * 2^k) + low, but for the roundings of low and of the second fma. Either nothing is rounded
there, since all products are multiples of a large enough power of two, or the error is at most
`loss`.

Lanes are members of a group where a group has eight or more (forward, dx). Elsewhere they are
pixels of a row: rows of operands are transposed, widened to float64, and laid out so that what the
lanes need lies side by side. Each section says how. All compiled code of the fast
forms lives in this one file, for numba's cache.
"""

from math import ldexp, nan
from platform import machine

import numba
import numpy as np
from numba.core import cgutils, codegen, types
from numba.core.cgutils import ir
from numba.extending import intrinsic, models, overload, register_model

# No fastmath: a compiler that may reassociate destroys what the pair of a sum rests on.
_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
# Parts of the above, which need no cache of their own.
_part = numba.njit(nogil=True, error_model="numpy")

# Without the instruction an fma is a call of the C library: right, but slower than the definition.
AVAILABLE = not numba.core.config.DISABLE_JIT and (
    machine() not in {"x86_64", "AMD64", "i386", "i686"}
    or "+fma," in codegen.get_host_cpu_features() + ","
)

# --- Four vectors of eight float64, as one value of numba's ---
#
# Four, because each addition waits for the one before it: meanwhile the other three are added.

_LANES, _VECTORS = 8, 4
_BLOCK = _LANES * _VECTORS
_one, _four = (ir.VectorType(ir.DoubleType(), lanes) for lanes in (_LANES, _BLOCK))


class _Block(types.Type):
    """Numba's type of a block of 32 float64."""


_block = _Block("block of 32 float64")


@register_model(_Block)
class _BlockModel(models.PrimitiveModel):
    def __init__(self, manager, block):
        super().__init__(manager, block, _four)


def _shuffled(builder, one, other, lanes):
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
    return builder.shuffle_vector(one, other, mask)


def _joined(builder, parts):
    while len(parts) > 1:
        lanes = list(range(2 * parts[0].type.count))
        halves = zip(parts[::2], parts[1::2], strict=True)
        parts = [_shuffled(builder, *two, lanes) for two in halves]
    return parts[0]


def _pointer(context, builder, array_type, array, index, vector):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _load(builder, pointer, size):
    loaded = builder.load(pointer)
    loaded.align = size
    return loaded


@intrinsic
def _fill(typingctx, value):  # noqa: ARG001
    """Return a block of 32 times the value."""

    def emit(context, builder, signature, arguments):  # noqa: ARG001
        undefined = ir.Constant(_four, ir.Undefined)
        first = builder.insert_element(undefined, arguments[0], ir.IntType(32)(0))
        return _shuffled(builder, first, undefined, [0] * _BLOCK)

    return _block(types.float64), emit


@intrinsic
def _spread(typingctx, array, index, a, b, c, d):  # noqa: ARG001
    """Return eight times the float64 at index + a, eight times that at index + b, and so on."""

    def emit(context, builder, signature, arguments):
        array, index, *offsets = arguments
        undefined, parts = ir.Constant(_one, ir.Undefined), []
        for offset in offsets:
            data = context.make_array(signature.args[0])(context, builder, array).data
            value = builder.load(builder.gep(data, [builder.add(index, offset)]))
            first = builder.insert_element(undefined, value, ir.IntType(32)(0))
            parts.append(_shuffled(builder, first, undefined, [0] * _LANES))
        return _joined(builder, parts)

    number = types.int64
    return _block(array, number, number, number, number, number), emit


@intrinsic
def _read(typingctx, array, index, step):  # noqa: ARG001
    """Return eight float64 from index on, from index + step on, and so on: four times."""

    def emit(context, builder, signature, arguments):
        array, index, step = arguments
        parts = []
        for _ in range(_VECTORS):
            pointer = _pointer(context, builder, signature.args[0], array, index, _one)
            parts.append(_load(builder, pointer, 8))
            index = builder.add(index, step)
        return _joined(builder, parts)

    return _block(array, types.int64, types.int64), emit


@intrinsic
def _write(typingctx, array, index, step, block):  # noqa: ARG001
    """Write as `_read` reads."""

    def emit(context, builder, signature, arguments):
        array, index, step, block = arguments
        for k in range(_VECTORS):
            lanes = list(range(_LANES * k, _LANES * (k + 1)))
            part = _shuffled(builder, block, ir.Constant(_four, ir.Undefined), lanes)
            pointer = _pointer(context, builder, signature.args[0], array, index, _one)
            builder.store(part, pointer).align = 8
            index = builder.add(index, step)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, _block), emit


@intrinsic
def _fma(typingctx, a, b, c):  # noqa: ARG001
    """Return a * b + c, rounded once."""

    def emit(context, builder, signature, arguments):  # noqa: ARG001
        kind = ir.FunctionType(_four, [_four] * 3)
        called = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{_BLOCK}f64")
        return builder.call(called, arguments)

    return _block(_block, _block, _block), emit


@intrinsic
def _add(typingctx, a, b):  # noqa: ARG001
    def emit(context, builder, signature, arguments):  # noqa: ARG001
        return builder.fadd(*arguments)

    return _block(_block, _block), emit


@intrinsic
def _subtract(typingctx, a, b):  # noqa: ARG001
    def emit(context, builder, signature, arguments):  # noqa: ARG001
        return builder.fsub(*arguments)

    return _block(_block, _block), emit


@intrinsic
def _transpose_square(typingctx, source, start, step, rows, target, first, places, column, columns):  # noqa: ARG001
    """target[first + places[column + c] + r] = source[start + r * step + c] for c, r < 8.

    Rows from `rows` on count as zeros. Columns from `columns` on do not exist: the last one is
    written again.
    """

    def emit(context, builder, signature, arguments):
        source, start, step, rows, target, first, places, column, columns = arguments
        element, places_type = signature.args[0].dtype, signature.args[6]
        narrow = context.get_data_type(element)
        vector = ir.VectorType(narrow, _LANES)
        last = builder.sub(columns, columns.type(1))
        parts = []
        for r in range(_LANES):
            there = builder.icmp_signed("<", rows.type(r), rows)
            start = builder.add(start, builder.select(there, step, step.type(0))) if r else start
            pointer = _pointer(context, builder, signature.args[0], source, start, vector)
            row = _load(builder, pointer, element.bitwidth // 8)
            parts.append(builder.select(there, row, ir.Constant(vector, [0.0] * _LANES)))
        # Interleaving the first half of the rows with the second, three times.
        low, high = ([half + k // 2 + 8 * (k % 2) for k in range(8)] for half in (0, 4))
        for _ in range(3):
            pairs = list(zip(parts[:4], parts[4:], strict=True))
            parts = [_shuffled(builder, *two, lanes) for two in pairs for lanes in (low, high)]
        for c in range(_LANES):
            index = builder.add(column, column.type(c))
            there = builder.icmp_signed("<=", index, last)
            index = builder.select(there, index, last)
            # Beyond the last column, the last once more.
            parts[c] = builder.select(there, parts[c], parts[c - 1]) if c else parts[c]
            pointer = _pointer(context, builder, places_type, places, index, column.type)
            index = builder.add(first, _load(builder, pointer, 8))
            pointer = _pointer(context, builder, signature.args[4], target, index, _one)
            wide = parts[c] if narrow == ir.DoubleType() else builder.fpext(parts[c], _one)
            builder.store(wide, pointer).align = 8
        return context.get_dummy_value()

    number = types.int64
    return types.void(source, number, number, number, target, number, places, number, number), emit


@_part
def _transpose(source, start, step, rows, target, first, places, room):
    """target[first + places[c] + r] = source[start + r * step + c], for all rows and places.

    With room, fewer than eight rows are filled up to eight with zeros. These may overwrite the
    beginning of the next place: either that is filled later, or it holds zeros there.
    """
    columns = len(places)
    beyond = start + (rows - 1) * step + _LANES > len(source) and columns < _LANES
    if rows <= 0 or beyond or (rows < _LANES and not room):
        for r in range(rows):
            for c in range(columns):
                at = np.uint64(first + places[c] + r)
                target[at] = source[np.uint64(start + r * step + c)]
        return
    for some_r in range(0, rows, _LANES):
        # The last square ends with the last row or column, and overlaps its neighbour.
        r = max(min(some_r, rows - _LANES), 0)
        for some_c in range(0, columns, _LANES):
            c = max(min(some_c, columns - _LANES), 0)
            at = start + r * step + c
            _transpose_square(source, at, step, rows - r, target, first + r, places, c, columns)


@_part
def _transpose_in_blocks(source, start, step, rows, target, places, block):
    """As `_transpose`, row r being lane r % 8 of block r // 8."""
    for r in range(0, rows, _LANES):
        some = min(rows - r, _LANES)
        _transpose(source, start + r * step, step, some, target, r // _LANES * block, places, True)


# --- Sums, and whether they are certain ---

# What is noted of numbers: all are below 2^(note[_SIZE] + 1), and multiples of 2^note[_GRID].
_SIZE, _GRID = 0, 1
# Infinity and NaN count as this large. Zeros are multiples of everything, hence this grid.
_NONE = 1 << 20


def _bits(numbers):
    """Return the numbers' bits, as unsigned integers, and these integers' type."""


@overload(_bits)
def _bits_of(numbers):
    integer = np.uint32 if numbers.dtype == types.float32 else np.uint64
    return lambda numbers: (numbers.view(integer), integer)


@_part
def _look(numbers, note):
    """Note of float32 or float64 numbers how large they are and what they are multiples of."""
    # Unsigned integers of the numbers' own width: then a vector holds the most of them.
    bits, integer = _bits(numbers)
    single = numbers.itemsize == 4
    fraction, bias = (23, 127) if single else (52, 1023)
    mask, one = integer((1 << 31) - 1 if single else (1 << 63) - 1), integer(1)
    most, least, used = integer(0), integer(mask), integer(0)
    for n in range(len(bits)):
        size = integer(bits[n] & mask)
        less = integer(size - one)  # zero wraps around to the largest
        most = size if size > most else most
        least = less if less < least else least
        used = integer(used | size)
    exponent = np.int64(most >> integer(fraction))
    note[_SIZE] = _NONE if exponent == 2 * bias + 1 else exponent - bias
    unused = 0
    while unused < fraction and not np.int64(used) >> unused & 1:
        unused += 1
    smallest = max((np.int64(least) + 1) >> fraction, 1)
    note[_GRID] = _NONE if most == 0 else smallest - bias - fraction + unused


@_part
def _forget(note):
    note[_SIZE], note[_GRID] = -_NONE, _NONE


@_part
def _join(note, other):
    note[_SIZE], note[_GRID] = max(note[_SIZE], other[_SIZE]), min(note[_GRID], other[_GRID])


@_part
def _start_and_loss(one, other, terms):
    """Return the start of sums of so many products, and what they may lose; two zeros if neither.

    `one` and `other` are what is noted of the two factors.
    """
    log_terms = 0
    while 1 << log_terms < terms:
        log_terms += 1
    # At least -900, so that 2^(k - 106) is a normal number. A single rounding error may underflow
    # still: the loss allows for it.
    k = max(one[_SIZE] + other[_SIZE] + 4 + log_terms, -900)
    if k > 1022:
        return 0.0, 0.0
    # Multiples of 2^grid, at most 2^(k - 53) each: so many of them need no more than 53 bits.
    if one[_GRID] + other[_GRID] >= max(log_terms + k - 106, -1074):
        return ldexp(1.5, k), 0.0
    return ldexp(1.5, k), terms * (terms * ldexp(2.0, k - 106) + 2.0**-1074)


@_part
def _sum(x, xs, x_at, x_step, w, ws, w_at, w_step, begin, end, start, high, low, at, step):
    """Sum x[x_at + xs[n]] * w[w_at + ws[n]] over begin <= n < end, four times in eight lanes."""
    t, rest = _fill(start), _fill(0.0)
    for n in range(begin, end):
        a, b = _read(x, x_at + xs[n], x_step), _read(w, w_at + ws[n], w_step)
        new = _fma(a, b, t)
        rest = _add(rest, _fma(a, b, _subtract(t, new)))
        t = new
    _write(high, at, step, t)
    _write(low, at, step, rest)


@_part
def _some_open(numbers):
    """Tell whether any number is NaN."""
    open_ = 0
    for n in range(len(numbers)):
        open_ |= numbers[n] != numbers[n]
    return open_ != 0


@_part
def _round(high, low, start, loss):
    """Round each pair to one float64, in `high`; NaN, and True, where that is not certain."""
    doubtful = 0
    # Twice the loss, so that the rounding of low - loss and low + loss is allowed for.
    margin = 2 * loss
    for n in range(len(high)):
        above, rest = high[n] - start, low[n]
        certain = above + (rest - margin) == above + (rest + margin)
        high[n] = above + rest if certain else nan
        doubtful |= not certain
    return doubtful != 0


# --- Which rows and taps meet ---


@_part
def _window(i, H, Kh, sh, dh, top):
    """Return the taps first <= u < last whose row i * sh + u * dh - top is in the image."""
    first = min(max(-((i * sh - top) // dh), 0), Kh)
    return first, max(min((H - 1 - i * sh + top) // dh + 1, Kh), first)


@_part
def _windows(Ho, H, Kh, sh, dh, top):
    """Return the windows of all outputs."""
    first, last = np.zeros(Ho, np.int64), np.zeros(Ho, np.int64)
    for i in range(Ho):
        first[i], last[i] = _window(i, H, Kh, sh, dh, top)
    return first, last


@_part
def _reached(h, u, Ho, sh, dh, top):
    """Return the output that reads row h with tap u; -1 where there is none."""
    i, rest = divmod(h + top - u * dh, sh)
    return i if rest == 0 and 0 <= i < Ho else -1


@_part
def _slot(row, step, slots):
    """Return where to keep a row of which others, so many rows apart, are needed with it."""
    return row // step % slots


@_part
def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


# --- Members in lanes: for eight members a group or more ---
#
# A row of pixels is kept as (pixel, group, member), members filled up to a multiple of eight; a row
# of weights as it is. Padded taps are left out. A pixel has a list of taps, begin <= n < end: where
# its factors are, from where the pixel's own begin. Neighbours share a list where they can.


@_part
def _member_places(C, G, dg, dm):
    """Return where channels are kept, how many there are with the filling, and eights' groups."""
    members = -(-(C // G) // _LANES) * _LANES
    width, places = G * members, np.zeros(C, np.int64)
    for g in range(G):
        for m in range(C // G):
            places[g * dg + m * dm] = g * members + m
    return places, width, np.minimum(np.arange(0, width + _BLOCK, _LANES) // members, G - 1)


@_part
def _copy(source, target):
    for n in range(len(source)):
        target[n] = source[n]


@_part
def _keep_pixels(pixels, C, places, width, target):
    """Bring pixels (W, C) into (W, width); without places, they are the same."""
    if len(places) == 0:
        _copy(pixels, target)
        return
    for w in range(len(pixels) // C):
        for c in range(C):
            target[np.uint64(w * width + places[c])] = pixels[np.uint64(w * C + c)]


@_part
def _give_pixels(source, C, places, width, pixels):
    """Bring (W, width) back into pixels (W, C)."""
    if len(places) == 0:
        _copy(source, pixels)
        return
    for w in range(len(pixels) // C):
        for c in range(C):
            pixels[np.uint64(w * C + c)] = source[np.uint64(w * width + places[c])]


@_part
def _sum_members(x, xs, x_at, w, ws, w_at, groups, begin, end, width, start, high, low):
    """As `_sum`, for all members of all pixels of a row: 32 of them side by side."""
    # The last first: what it writes beyond its pixel is the beginning of the next one.
    for c in range((width - 1) // _BLOCK * _BLOCK, -1, -_BLOCK):
        n = c // _LANES
        g, h, i, j = groups[n], groups[n + 1], groups[n + 2], groups[n + 3]
        for p in range(len(begin)):
            t, rest = _fill(start), _fill(0.0)
            for n in range(begin[p], end[p]):
                a = _read(x, x_at[p] + c + xs[n], _LANES)
                b = _spread(w, w_at[p] + ws[n], g, h, i, j)
                new = _fma(a, b, t)
                rest = _add(rest, _fma(a, b, _subtract(t, new)))
                t = new
            _write(high, p * width + c, _LANES, t)
            _write(low, p * width + c, _LANES, rest)


@_compiled
def forward_rows_by_member(first, last, x, kernel, sh, sw, dh, dw, top, left, dg, dm, y, doubtful):
    _, H, W, C = x.shape
    _, Ho, Wo, Kh, Kw, G = kernel.shape
    places, width, groups = _member_places(C, G, dg, dm)
    if dm == 1 and width == C:
        places = places[:0]
    size, taps = W * width, Kh * Kw * G
    slots, weights = np.empty(Kh * size + _BLOCK), np.empty(Wo * taps)
    held, notes = np.full(Kh, -1), np.zeros((Kh + 2, 2), np.int64)
    of_x, of_w = notes[Kh], notes[Kh + 1]
    high, low = np.empty(Wo * width + _BLOCK), np.empty(Wo * width + _BLOCK)
    xs, ws = np.zeros(Wo * Kh * Kw, np.int64), np.zeros(Wo * Kh * Kw, np.int64)
    begin, end, kept = np.zeros(Wo, np.int64), np.zeros(Wo, np.int64), np.zeros(Kh, np.int64)
    v_first, v_last = _windows(Wo, W, Kw, sw, dw, left)
    x_at = (np.arange(Wo) * sw + v_first * dw - left) * width
    w_at = np.arange(Wo) * taps
    x_flat, kernel_flat, y_flat = x.ravel(), kernel.ravel(), y.ravel()
    for row in range(first, last):
        b, i = row // Ho, row % Ho
        u_first, u_last = _window(i, H, Kh, sh, dh, top)
        _forget(of_x)
        for u in range(u_first, u_last):
            h = i * sh + u * dh - top
            slot = _slot(h, dh, Kh)
            kept[u] = slot * size
            if held[slot] != b * H + h:
                held[slot] = b * H + h
                pixels = x_flat[(b * H + h) * W * C : (b * H + h + 1) * W * C]
                _look(pixels, notes[slot])
                _keep_pixels(pixels, C, places, width, slots[slot * size : (slot + 1) * size])
            _join(of_x, notes[slot])
        entries = kernel_flat[row * Wo * taps : (row + 1) * Wo * taps]
        _look(entries, of_w)
        start, loss = _start_and_loss(of_x, of_w, Kh * Kw)
        if start == 0:
            y[b, i], doubtful[row] = nan, True
            continue
        _copy(entries, weights)
        n = 0
        for j in range(Wo):
            begin[j] = n
            if j > 0 and v_first[j] == v_first[j - 1] and v_last[j] == v_last[j - 1]:
                begin[j] = begin[j - 1]
            else:
                for u in range(u_first, u_last):
                    for v in range(v_first[j], v_last[j]):
                        xs[n] = kept[u] + (v - v_first[j]) * dw * width
                        ws[n] = (u * Kw + v) * G
                        n += 1
            end[j] = n
        _sum_members(
            slots, xs, x_at, weights, ws, w_at, groups, begin, end, width, start, high, low
        )
        some = _round(high[: Wo * width], low[: Wo * width], start, loss)
        result = y_flat[row * Wo * C : (row + 1) * Wo * C]
        _give_pixels(high[: Wo * width], C, places, width, result)
        # What fills members up may be anything.
        doubtful[row] = some and _some_open(result)


@_part
def _readers(W, Wo, Kw, sw, dw, left):
    """Return the first and the last tap with which an output reads a pixel, and for which output.

    Of the taps between, every one does that is a stride's multiple of pixels away.
    """
    v_first, v_last, j_first = np.full(W, -1), np.full(W, -1), np.zeros(W, np.int64)
    for w in range(W):
        for v in range(Kw):
            j = _reached(w, v, Wo, sw, dw, left)
            if j >= 0:
                if v_first[w] < 0:
                    v_first[w], j_first[w] = v, j
                v_last[w] = v
    return v_first, v_last, j_first


@_part
def _list_readers(readers, Kw, G, sw, dw, width, row_size, kept, xs, ws, begin, end):
    """List for each pixel the outputs that read it, with their taps, from its first one on."""
    v_first, v_last, _ = readers
    n, taps = 0, len(kept) * Kw * G
    for w in range(len(v_first)):
        begin[w] = n
        before = w - sw
        if before >= 0 and v_first[w] == v_first[before] and v_last[w] == v_last[before]:
            begin[w], end[w] = begin[before], end[before]
            continue
        for v in range(max(v_first[w], 0), v_last[w] + 1):
            back, rest = divmod((v - v_first[w]) * dw, sw)
            for u in range(len(kept)):
                if rest == 0 and kept[u] >= 0:
                    xs[n] = (kept[u] * row_size - back) * width
                    ws[n] = (kept[u] * row_size - back) * taps + (u * Kw + v) * G
                    n += 1
        end[w] = n


@_compiled
def dx_rows_by_member(first, last, dy, kernel, sh, sw, dh, dw, top, left, dg, dm, dx, doubtful):
    _, H, W, C = dx.shape
    _, Ho, Wo, Kh, Kw, G = kernel.shape
    places, width, groups = _member_places(C, G, dg, dm)
    if dm == 1 and width == C:
        places = places[:0]
    size, taps = Wo * width, Kh * Kw * G
    slots, weights = np.empty(Kh * size + _BLOCK), np.empty(Kh * Wo * taps)
    held, kept, notes = np.full(Kh, -1), np.zeros(Kh, np.int64), np.zeros((2, Kh + 1, 2), np.int64)
    high, low = np.empty(W * width + _BLOCK), np.empty(W * width + _BLOCK)
    xs, ws = np.zeros(W * Kh * Kw, np.int64), np.zeros(W * Kh * Kw, np.int64)
    begin, end = np.zeros(W, np.int64), np.zeros(W, np.int64)
    readers, apart = _readers(W, Wo, Kw, sw, dw, left), dh // _gcd(sh, dh)
    x_at, w_at = readers[2] * width, readers[2] * taps
    dy_flat, kernel_flat, dx_flat = dy.ravel(), kernel.ravel(), dx.ravel()
    for row in range(first, last):
        b, h = row // H, row % H
        for note in notes:
            _forget(note[Kh])
        for u in range(Kh):
            i = _reached(h, u, Ho, sh, dh, top)
            kept[u] = slot = _slot(i, apart, Kh) if i >= 0 else -1
            if i >= 0 and held[slot] != b * Ho + i:
                held[slot] = b * Ho + i
                pixels = dy_flat[held[slot] * Wo * C : (held[slot] + 1) * Wo * C]
                entries = kernel_flat[held[slot] * Wo * taps : (held[slot] + 1) * Wo * taps]
                _look(pixels, notes[0, slot])
                _look(entries, notes[1, slot])
                _keep_pixels(pixels, C, places, width, slots[slot * size : (slot + 1) * size])
                _copy(entries, weights[slot * Wo * taps :])
            if i >= 0:
                for note in notes:
                    _join(note[Kh], note[slot])
        start, loss = _start_and_loss(notes[0, Kh], notes[1, Kh], Kh * Kw)
        if start == 0:
            dx[b, h], doubtful[row] = nan, True
            continue
        _list_readers(readers, Kw, G, sw, dw, width, Wo, kept, xs, ws, begin, end)
        _sum_members(
            slots, xs, x_at, weights, ws, w_at, groups, begin, end, width, start, high, low
        )
        some = _round(high[: W * width], low[: W * width], start, loss)
        for w in range(W if some else 0):
            if begin[w] == end[w]:
                # Where nothing is summed zero is certain.
                high[w * width : (w + 1) * width] = 0.0
        result = dx_flat[row * W * C : (row + 1) * W * C]
        _give_pixels(high[: W * width], C, places, width, result)
        doubtful[row] = some and _some_open(result)


# --- Pixels in lanes: for fewer members, and for dkernel ---
#
# Rows are transposed, so that for each channel the pixels that a tap reads from output to output
# lie side by side, with zeros where the tap's column is padded. Taps whose row is padded are left
# out.


@_part
def _blocks(pixels, rows):
    """Choose what a block holds: four rows of eight pixels (true), or 32 pixels of one row.

    Also give the number of pixels, filled up to whole blocks.
    """
    by_row = -(-rows // _VECTORS) * _VECTORS * (-(-pixels // _LANES) * _LANES)
    by_pixel = rows * (-(-pixels // _BLOCK) * _BLOCK)
    lanes = _LANES if by_row <= by_pixel else _BLOCK
    return by_row <= by_pixel, -(-pixels // lanes) * lanes


@_part
def _planes(span, Kw, sw, dw):
    """Lay out a row of pixels for its taps.

    Plane p holds pixels firsts[p], firsts[p] + sw, ... of the padded row. There is one plane for
    each remainder by the stride, or one for each tap where this takes less memory. Returns the
    length of a plane, `firsts`, and where each tap begins, counted from the first plane.
    """
    taps = np.arange(Kw) * dw
    length = span + taps[-1] // sw + _LANES
    if sw >= Kw or Kw * span < sw * length:
        return span, taps, np.arange(Kw) * span
    return length, np.arange(sw), taps % sw * length + taps // sw


@_part
def _keep_planes(x, row, W, C, sw, left, length, firsts, channels, slots, slot):
    """Bring row (W, C) of pixels into (C, planes, length), from `slot` on.

    Of a plane with fewer than eight pixels up to seven zeros run past its end. They do not reach
    what is filled already: `firsts` ascends, so that the first plane of the next channel begins its
    pixels no earlier than this one, and a plane is at least eight long.
    """
    for p in range(len(firsts)):
        before = max(-((firsts[p] - left) // sw), 0)
        end = min((W - 1 + left - firsts[p]) // sw + 1, length)
        w = firsts[p] + before * sw - left
        first = slot + p * length + before
        _transpose(x, (row * W + w) * C, sw * C, end - before, slots, first, channels, True)


@_part
def _sum_channels(
    x, xs, x_channel, w, ws, w_group, w_block, terms, members, G, dg, dm, pixel, pixels,
    by_member, steps, start, high, low, span,
):  # fmt: skip
    """Sum all channels of so many pixels, from `pixel` on; the weights in w begin with that one.

    The last block of a group may run beyond it: what it writes there is overwritten later, or lies
    in the room at the end.
    """
    x_step, step, w_step = steps
    for g in range(G):
        for m in range(0, members, _VECTORS if by_member else 1):
            c = g * dg + m * dm
            for p in range(0, pixels, _LANES if by_member else _BLOCK):
                _sum(
                    x, xs, c * x_channel + pixel + p, x_step,
                    w, ws, g * w_group + p // _LANES * w_block, w_step,
                    0, terms, start, high, low, c * span + pixel + p, step,
                )  # fmt: skip


@_compiled
def forward_rows(first, last, x, kernel, sh, sw, dh, dw, top, left, dg, dm, y, doubtful):
    _, H, W, C = x.shape
    _, Ho, Wo, Kh, Kw, G = kernel.shape
    by_member, span = _blocks(Wo, C // G)
    length, firsts, places = _planes(span, Kw, sw, dw)
    channel, taps = len(firsts) * length, Kh * Kw
    held, notes = np.full(Kh, -1), np.zeros((Kh + 2, 2), np.int64)
    of_x, of_w = notes[Kh], notes[Kh + 1]
    # Pixels as (slot, channel, plane, pixel), weights as (eight outputs, group, tap, output).
    slots = np.zeros((Kh * C + 4 * dm + 1) * channel)
    weights, block = np.zeros(taps * G * span), taps * G * _LANES
    # As many pixels at once as leave their weights in the nearest cache.
    lanes = _LANES if by_member else _BLOCK
    tile = max(2048 // (taps * G * lanes), 1) * lanes
    channels, entries = np.arange(C) * channel, np.arange(taps * G)
    entries = (entries % G * taps + entries // G) * _LANES
    high, low = np.zeros((C + 4 * dm) * span), np.zeros((C + 4 * dm) * span)
    near, pixels = np.zeros(Wo * C + _LANES), np.arange(Wo) * C
    xs, ws = np.zeros(taps, np.int64), np.zeros(taps, np.int64)
    steps = (dm * channel, dm * span, 0) if by_member else (_LANES, _LANES, block)
    x_flat, kernel_flat, y_flat = x.ravel(), kernel.ravel(), y.ravel()
    for row in range(first, last):
        b, i = row // Ho, row % Ho
        u_first, u_last = _window(i, H, Kh, sh, dh, top)
        _forget(of_x)
        n = 0
        for u in range(u_first, u_last):
            h = i * sh + u * dh - top
            slot = _slot(h, dh, Kh)
            at = slot * C * channel
            if held[slot] != b * H + h:
                held[slot] = b * H + h
                _look(x_flat[(b * H + h) * W * C : (b * H + h + 1) * W * C], notes[slot])
                _keep_planes(x_flat, b * H + h, W, C, sw, left, length, firsts, channels, slots, at)
            _join(of_x, notes[slot])
            for v in range(Kw):
                xs[n], ws[n] = at + places[v], (u * Kw + v) * _LANES
                n += 1
        for j in range(0, Wo, tile):
            count, at = min(tile, Wo - j), (row * Wo + j) * taps * G
            _look(kernel_flat[at : at + count * taps * G], of_w)
            start, loss = _start_and_loss(of_x, of_w, taps)
            if start == 0:
                _leave(high, C, j, count, span)
                doubtful[row] = True
                continue
            _transpose_in_blocks(kernel_flat, at, taps * G, count, weights, entries, block)
            _sum_channels(
                slots, xs, channel, weights, ws, taps * _LANES, block, n, C // G, G, dg, dm, j,
                count, by_member, steps, start, high, low, span,
            )  # fmt: skip
            for c in range(j, C * span, span):
                some = slice(c, c + count)
                doubtful[row] |= _round(high[some], low[some], start, loss)
        _give_channels(high, span, C, y_flat[row * Wo * C : (row + 1) * Wo * C], near, pixels)


@_part
def _leave(high, C, pixel, count, span):
    """Leave so many pixels of all channels to the definition."""
    for c in range(pixel, C * span, span):
        high[c : c + count] = nan


@_part
def _give_channels(high, span, C, result, near, pixels):
    """Bring (C, span) into pixels side by side, or a stride apart.

    Few channels go by way of a row with room behind it.
    """
    if C < _LANES and len(pixels) * C == len(result):
        _transpose(high, 0, span, C, near, 0, pixels, True)
        _copy(near[: len(result)], result)
    else:
        _transpose(high, 0, span, C, result, 0, pixels, False)


@_compiled
def dx_rows(first, last, dy, kernel, sh, sw, dh, dw, top, left, dg, dm, dx, doubtful):
    _, H, W, C = dx.shape
    _, Ho, Wo, Kh, Kw, G = kernel.shape
    # Lanes are pixels a stride apart: with v * dw = sw * s + remainder, pixels sw * q + remainder
    # of the padded row are read with tap v by outputs q - s.
    by_member, span = _blocks(-(-W // sw), C // G)
    before = max((Kw - 1) * dw // sw - left // sw, 0)
    length, taps = before + max(left // sw + 1 + span, Wo + _LANES), Kh * Kw * G
    held, kept, notes = np.full(Kh, -1), np.zeros(Kh, np.int64), np.zeros((2, Kh + 1, 2), np.int64)
    # Gradients as (slot, channel, output), weights as (slot, row of taps, group, tap, output).
    slots, weights = np.zeros((Kh * C + 4 * dm + 1) * length), np.zeros(Kh * taps * length)
    channels, entries = np.arange(C) * length, np.arange(taps)
    entries = (entries // (Kw * G) * G + entries % G) * Kw + entries // G % Kw
    entries *= length
    high, low = np.zeros((C + 4 * dm) * span), np.zeros((C + 4 * dm) * span)
    xs, ws = np.zeros(Kh * Kw, np.int64), np.zeros(Kh * Kw, np.int64)
    steps = (dm * length, dm * span, 0) if by_member else (_LANES, _LANES, _LANES)
    dy_flat, kernel_flat, dx_flat = dy.ravel(), kernel.ravel(), dx.ravel()
    apart, pixels = dh // _gcd(sh, dh), np.arange(-(-W // sw)) * sw * C
    near, v_first = np.zeros(W * C + _LANES), _readers(W, Wo, Kw, sw, dw, left)[0]
    for row in range(first, last):
        b, h = row // H, row % H
        for note in notes:
            _forget(note[Kh])
        for u in range(Kh):
            i = _reached(h, u, Ho, sh, dh, top)
            kept[u] = slot = _slot(i, apart, Kh) if i >= 0 else -1
            if i >= 0 and held[slot] != b * Ho + i:
                held[slot] = b * Ho + i
                dy_at, kernel_at = held[slot] * Wo * C, held[slot] * Wo * taps
                _look(dy_flat[dy_at : dy_at + Wo * C], notes[0, slot])
                _look(kernel_flat[kernel_at : kernel_at + Wo * taps], notes[1, slot])
                at = slot * C * length + before
                _transpose(dy_flat, dy_at, C, Wo, slots, at, channels, True)
                at = slot * taps * length + before
                _transpose(kernel_flat, kernel_at, taps, Wo, weights, at, entries, True)
            if i >= 0:
                for note in notes:
                    _join(note[Kh], note[slot])
        start, loss = _start_and_loss(notes[0, Kh], notes[1, Kh], Kh * Kw)
        if start == 0:
            dx[b, h], doubtful[row] = nan, True
            continue
        for w_first in range(min(sw, W)):
            q, remainder = divmod(w_first + left, sw)
            count = -(-(W - w_first) // sw)
            n = _list_outputs(kept, before + q, remainder, sw, dw, C, Kw, G, length, xs, ws)
            _sum_channels(
                slots, xs, length, weights, ws, Kw * length, _LANES, n, C // G, G, dg, dm, 0, count,
                by_member, steps, start, high, low, span,
            )  # fmt: skip
            for c in range(0, C * span, span):
                sums = high[c : c + count]
                if _round(sums, low[c : c + count], start, loss):
                    # Where nothing is summed zero is certain.
                    for p in range(count):
                        if n == 0 or v_first[w_first + p * sw] < 0:
                            sums[p] = 0.0
                    doubtful[row] |= _some_open(sums)
            at = (row * W + w_first) * C
            _give_channels(high, span, C, dx_flat[at : (row + 1) * W * C], near, pixels[:count])


@_part
def _list_outputs(kept, at, remainder, sw, dw, C, Kw, G, length, xs, ws):
    """List the taps that read pixels of one remainder, and where their outputs' rows are."""
    n = 0
    for u in range(len(kept)):
        for v in range(Kw):
            s, rest = divmod(v * dw - remainder, sw)
            if kept[u] >= 0 and rest == 0:
                xs[n] = kept[u] * C * length + at - s
                ws[n] = ((kept[u] * len(kept) + u) * G * Kw + v) * length + at - s
                n += 1
    return n


@_compiled
def dkernel_rows(first, last, dy, x, sh, sw, dh, dw, top, left, dg, dm, dkernel, doubtful):
    _, H, W, C = x.shape
    _, Ho, Wo, Kh, Kw, G = dkernel.shape
    by_tap, span = _blocks(Wo, Kw)
    length, firsts, places = _planes(span, Kw, sw, dw)
    if by_tap and 1 < sw == len(firsts):
        # The taps of a row are not evenly spaced.
        by_tap, span = False, -(-Wo // _BLOCK) * _BLOCK
        length, firsts, places = _planes(span, Kw, sw, dw)
    channel, taps, apart = len(firsts) * length, Kh * Kw * G, places[-1] // max(Kw - 1, 1)
    held, notes = np.full(Kh, -1), np.zeros((Kh + 2, 2), np.int64)
    slots = np.zeros(Kh * C * channel + 4 * apart + length)
    gradient, outputs = np.zeros(C * span + _LANES), np.arange(C) * span
    channels, pixels = np.arange(C) * channel, np.arange(Wo) * taps
    high, low = np.zeros((taps + 4 * G) * span), np.zeros((taps + 4 * G) * span)
    xs, ws = np.arange(C // G) * dm * channel, np.arange(C // G) * dm * span
    steps = (apart, 0, G * span) if by_tap else (_LANES, _LANES, _LANES)
    j_first, j_last = _outputs(W, Wo, Kw, sw, dw, left)
    x_flat, dy_flat, dkernel_flat = x.ravel(), dy.ravel(), dkernel.ravel()
    for row in range(first, last):
        b, i = row // Ho, row % Ho
        u_first, u_last = _window(i, H, Kh, sh, dh, top)
        _forget(notes[Kh])
        for u in range(u_first, u_last):
            h = i * sh + u * dh - top
            slot = _slot(h, dh, Kh)
            if held[slot] != b * H + h:
                held[slot] = b * H + h
                _look(x_flat[held[slot] * W * C : (held[slot] + 1) * W * C], notes[slot])
                _keep_planes(
                    x_flat, held[slot], W, C, sw, left, length, firsts, channels,
                    slots, slot * C * channel,
                )  # fmt: skip
            _join(notes[Kh], notes[slot])
        _look(dy_flat[row * Wo * C : (row + 1) * Wo * C], notes[Kh + 1])
        start, loss = _start_and_loss(notes[Kh], notes[Kh + 1], C // G)
        if start == 0:
            dkernel[b, i], doubtful[row] = nan, True
            continue
        _transpose(dy_flat, row * Wo * C, C, Wo, gradient, 0, outputs, True)
        for u in range(u_first, u_last):
            at = _slot(i * sh + u * dh - top, dh, Kh) * C * channel
            _sum_taps(
                slots, xs, at, places, dg * channel, gradient, ws, dg * span, G, Wo, by_tap, steps,
                start, high, low, u * Kw * G * span, span,
            )  # fmt: skip
        doubtful[row] = _round_taps(
            high, low, start, loss, u_first, u_last, Kh, j_first, j_last, G, Wo, span
        )
        _transpose(high, 0, span, taps, dkernel_flat, row * Wo * taps, pixels, False)


@_part
def _sum_taps(
    x, xs, x_at, places, group, w, ws, w_group, G, Wo, by_tap, steps, start, high, low, at, span
):
    """Sum what one row of taps takes over the members of each group."""
    for v in range(0, len(places), _VECTORS if by_tap else 1):
        for g in range(G):
            for j in range(0, Wo, _LANES if by_tap else _BLOCK):
                _sum(
                    x, xs, x_at + g * group + places[v] + j, steps[0],
                    w, ws, g * w_group + j, steps[1],
                    0, len(xs), start, high, low, at + (v * G + g) * span + j, steps[2],
                )  # fmt: skip


@_part
def _round_taps(high, low, start, loss, u_first, u_last, Kh, j_first, j_last, G, Wo, span):
    """Round what was summed; zeros where a tap is padded, and nothing was."""
    row, doubtful = len(j_first) * G * span, False
    high[: u_first * row] = 0.0
    high[u_last * row : Kh * row] = 0.0
    if loss == 0:
        # Sums of zeros are certain like all others.
        some = slice(u_first * row, u_last * row)
        return _round(high[some], low[some], start, loss)
    for u in range(u_first, u_last):
        for v in range(len(j_first)):
            for t in range(u * row + v * G * span, u * row + (v + 1) * G * span, span):
                high[t : t + j_first[v]] = 0.0
                high[t + j_last[v] : t + Wo] = 0.0
                some = slice(t + j_first[v], t + j_last[v])
                doubtful |= _round(high[some], low[some], start, loss)
    return doubtful


@_part
def _outputs(W, Wo, Kw, sw, dw, left):
    """Return for each tap the outputs first <= j < last that it is in the image of."""
    first, last = np.zeros(Kw, np.int64), np.zeros(Kw, np.int64)
    for v in range(Kw):
        first[v] = min(max(-((v * dw - left) // sw), 0), Wo)
        last[v] = max(min((W - 1 + left - v * dw) // sw + 1, Wo), first[v])
    return first, last


# --- Which form is the fast one ---


def fast_form(name, problem):
    """Return the fast form of a loop for a problem, or None where the definition has to do."""
    _, _, W, C = problem.operands["x"].shape
    _, _, Wo, _, Kw, groups = problem.operands["kernel"].shape
    axis, members = problem.horizontal, C // groups
    if not AVAILABLE:
        return None
    if name == "dkernel_rows":
        return dkernel_rows
    if members >= _LANES:
        return forward_rows_by_member if name == "forward_rows" else dx_rows_by_member
    # Rows of little but zeros: a dilation far beyond the image.
    if name == "dx_rows" and (Kw - 1) * axis.dilation + axis.before > 8 * axis.stride * (
        W + Wo + 8
    ):
        return None
    return forward_rows if name == "forward_rows" else dx_rows
