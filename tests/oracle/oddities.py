"""What callers hand over by mistake or in malice, as Python expressions, for `test_fuzz`.

An expression is its own label: a failing call prints in the words that make it again. This file
judges nothing. Left out is what would end no call: endless sequences as operands, and operands
whose results no machine could hold.
"""

# The expressions name these.
# ruff: noqa: F401
import array
import collections
import datetime
import decimal
import enum
import functools
import itertools
import math
import pathlib
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
METHODS = (
    "__array__", "__index__", "__len__", "__iter__", "__getitem__", "__eq__", "__hash__",
    "__bool__", "__float__", "__int__", "__repr__", "__str__", "__format__", "__lt__",
    "__getattr__", "__class__",
)  # fmt: skip


class Odd(NamedTuple):
    """A value, the expression that made it, and whether nothing but a refusal is right."""

    text: str
    value: Any
    wrong: bool


def raising(*methods: str, error: Exception | None = None) -> Any:
    """An object whose methods of these names raise."""

    def refuse(*_: object, **__: object) -> Any:
        raise error or OverflowError("raised by the object itself")

    members = {name: property(refuse) if name == "__class__" else refuse for name in methods}
    return type("Raising", (), members)()


def lying(*base: Any, **answers: Any) -> Any:
    """An object of the type and value of `base`, whose methods give these answers."""
    members: dict[str, Callable[..., Any]] = {
        name: lambda *_, answer=answer, **__: answer for name, answer in answers.items()
    }
    kind = type(base[0]) if base else object
    return type("Lying", (kind,), members)(*base)


class Endless(tuple[Any, ...]):
    """A tuple that never stops."""

    def __iter__(self) -> Iterator[Any]:
        return itertools.repeat(1)


class EndlessKeys(dict[str, Any]):
    """A dictionary that never stops."""

    def __iter__(self) -> Iterator[str]:
        return (f"key {n}" for n in itertools.count())

    def __getitem__(self, key: str) -> Any:
        return key


class Claims:
    """A sequence of three numbers that claims another length."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        if index < 3:
            return 1
        raise IndexError(index)


class Keyless(dict[str, Any]):
    """A dictionary that has none of the keys that it names."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)


class Wrapped:
    """What gives an array when asked for one, as tensors of other libraries do."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.value


class Subclass(np.ndarray):
    """An array of a class of its own, which lies about its shape."""

    shape = (1,)  # type: ignore[assignment]


class Count(enum.IntEnum):
    """Integers by name."""

    ONE = 1
    TWO = 2


def cyclic() -> list[Any]:
    """A list that holds itself."""
    one: list[Any] = []
    one.append(one)
    return one


def deep(levels: int) -> list[Any]:
    """Lists within lists."""
    one: list[Any] = [1.0]
    for _ in range(levels):
        one = [one]
    return one


def unaligned(a: Array) -> Array:
    """Give the array at an address that no processor likes."""
    raw = np.zeros(a.nbytes + 1, np.uint8)
    shifted = raw[1:].view(a.dtype).reshape(a.shape)
    shifted[...] = a
    return shifted


def signalling(a: Array) -> Array:
    """Give an array of signalling NaNs, which warn when they are converted."""
    patterns = {
        "float16": 0x7C01,
        "bfloat16": 0x7F81,
        "float32": 0x7F800001,
        "float64": 0x7FF0 << 48 | 1,
    }
    bits = np.full(a.shape, patterns[a.dtype.name], f"u{a.itemsize}")
    return bits.view(a.dtype)


COUNTS = (
    "1", "2", "3", "7", "10**6", "2**31 - 1", "2**31", "2**32", "2**53 + 1", "2**60",
    "np.int8(1)", "np.int8(100)", "np.uint8(255)", "np.uint64(2)", "np.int64(2**60)",
    "np.array(2)", "np.array(3, np.int8)", "Count.TWO", "lying(2, __index__=7, __lt__=True)",
    "lying(__index__=1)",
)  # fmt: skip
NO_COUNTS = (
    "0", "-1", "-(2**31)", "2**60 + 1", "2**62", "2**63 - 1", "2**63", "2**64", "10**30",
    "10**5000", "-(2**63)", "-(2**64)", "-(10**30)", "-(10**5000)", "np.int8(-128)",
    "np.int64(2**63 - 1)", "np.uint64(2**64 - 1)", "np.int64(-(2**63))", "True", "False",
    "np.True_", "np.False_", "1.0", "0.5", "-0.0", "math.nan", "math.inf", "-math.inf", "1e308",
    "Fraction(2)", "Fraction(1, 2)", "decimal.Decimal(2)", "decimal.Decimal('NaN')", "2j",
    "np.float16(1)", "np.float64(2)", "np.longdouble(1)", "np.complex64(1)", "np.array([2])",
    "np.array([1, 2])", "np.array([])", "np.array(2.0)", "np.array(True)", "np.timedelta64(3)",
    "np.datetime64('2020')", "np.str_('2')", "np.bytes_(b'2')", "np.void(b'2')", "'1'", "b'1'",
    "lying(__index__=True)", "lying(__index__='1')", "lying(__index__=1.0)",
    "lying(__index__=10**30)", "lying(__int__=1)", "raising('__index__')",
    "raising('__index__', error=MemoryError())",
)  # fmt: skip
THINGS = (
    "None", "''", "'SAME'", "'same '", "'\\x00'", "'\\ud800'", "'x' * 100_000", "b'same'",
    "b'blocked'", "bytearray(b'1')", "{1, 2}", "frozenset({1})", "{}", "{1: 2}", "{'x': 1}",
    "(n for n in (1, 2))", "iter([1])", "range(2)", "range(10**30)", "len", "int", "np",
    "object()", "...", "NotImplemented", "slice(1, 2)", "memoryview(b'ab')",
    "array.array('i', [1])", "collections.deque([1, 2])", "cyclic()", "deep(10)", "deep(10_000)",
    "[1] * 100_000", "[None]", "[[1], [1, 2]]", "[1, [2]]", "Exception('x')",
    "types.MappingProxyType({})", "np.float32", "np.dtype('f4')", "['blocked']", "{'blocked'}",
    "datetime.date(2020, 1, 1)", "pathlib.Path('x')", "np.ma.masked", "np.array(None)",
    "np.array('same')", "np.array({}, object)", "np.zeros(2, 'i4,f4')",
    "np.rec.array([(1, 2.0)])", "np.matrix([[1, 2]])", "1e400", "Claims(2)", "Claims(2**62)",
    "Claims(-1)", "Wrapped(None)", "Wrapped('no array')", "raising()", "raising('__array__')",
    "raising('__len__', '__getitem__')", "raising('__iter__')", "raising('__eq__', '__hash__')",
    "raising('__repr__')", "raising('__array__', '__repr__')", "raising('__class__')",
    "raising('__getattr__')", "raising(*METHODS)", "raising(*METHODS, error=RecursionError())",
    "lying(__repr__=7)", "lying(__repr__='y' * 100_000)",
    "lying(__repr__=lying('z', __len__=-1, __format__=3))", "lying(__class__=7)",
    "lying(__array__=7)", "lying(__array_interface__=7)", "lying(__iter__=7)",
    "lying((1, 1), __iter__=7)", "lying((1, 1), __len__=-1, __getitem__=None, __iter__=None)",
    "lying([1, 1], __repr__=None, __iter__=iter(''))", "lying({}, __iter__=7)", "Keyless(x=1)",
)  # fmt: skip
# Of right pairs there are as many as there are pairs of right counts: those are put together there.
PAIRS = (
    "(1, 1)", "[2, 1]", "(np.int8(1), np.uint64(2))", "(10**6, 2**40)", "[2**60, 1]",
    "(Count.ONE,) * 2",
)  # fmt: skip
NO_PAIRS = (
    "()", "[]", "(1,)", "(1, 1, 1)", "((1, 1),)", "((1, 1), (1, 1))", "[[1], [1]]", "(1, None)",
    "(1, 0)", "(-1, 1)", "(1, 2**64)", "(1, True)", "(1.0, 1)", "({}, [])", "Endless((1, 1))",
    "(1, (1,))", "('1', '1')", "(cyclic(), 1)", "[raising('__index__', '__repr__')] * 2",
    "(1,) * 100_000", "(0, 1.5)",
)  # fmt: skip
PADDINGS = (
    "'same'", "'valid'", "0", "1", "10**6", "2**60", "((0, 1), (1, 0))", "[[1, 0], (0, 2)]",
    "((0, 2**59), (0, 0))", "((2**60, 2**60), (0, 0))", "np.str_('same')", "np.int8(1)",
    "lying('valid', __eq__=True, __hash__=7)", "np.array(1)",
)  # fmt: skip
NO_PADDINGS = (
    "-1", "'full'", "'Same'", "(1, 1)", "((1, 1),)", "((1, 1), 1)", "((1, 1), (1,))",
    "((1, 1), (1, 1), (1, 1))", "((1, 1), (1, -1))", "((1, 1), (1, 2**61))",
    "((1, 1), (1, 10**30))", "((1, 1), (1, True))", "((1, 1), (1, 1.0))",
    "(((1, 1), (1, 1)),) * 2", "'12'", "('ab', 'cd')", "({1, 2}, {1, 2})", "np.ones((2, 2), int)",
    "Endless(((1, 1), (1, 1)))", "(Endless(), (1, 1))", "lying('none', __eq__=True, __hash__=7)",
    "(raising('__len__', '__iter__'), (1, 1))",
)  # fmt: skip
NUMBERS = (
    "0", "1", "0.0", "-0.0", "1e-3", "0.5", "1.0", "5e-324", "np.float16(0.5)",
    "np.float64(0.25)", "np.longdouble(0.5)", "lying(0.5, __float__=7.0, __lt__=True)",
)  # fmt: skip
NO_NUMBERS = (
    "-1", "-1e-3", "math.nan", "math.inf", "-math.inf", "10**400", "10**5000", "-(10**400)",
    "np.longdouble('1e4000')", "np.float32('nan')", "True", "np.True_", "1j", "'0.5'",
    "Fraction(1, 2)", "decimal.Decimal('0.5')", "np.array(0.5)", "np.array([0.5])",
    "raising('__float__')", "lying(__float__=0.5)",
)  # fmt: skip
WORDS = ("'blocked'", "'interleaved'", "np.str_('blocked')", "lying('blocked', __eq__=False)")
SWITCHES = ("True", "False", "np.True_", "np.False_")
NO_SWITCHES = ("0", "1", "'True'", "1.0", "np.array(True)", "None", "raising('__bool__')")
# What becomes of a right array `a`. First what may be right elsewhere, of other shapes and values.
ARRAYS = (
    "a", "a.tolist()", "[*a]", "np.asfortranarray(a)", "a[::-1]",
    "a.astype(a.dtype.newbyteorder())", "np.full(a.shape, np.nan, a.dtype)",
    "np.full(a.shape, -np.inf, a.dtype)", "-0.0 * a",
    "np.full(a.shape, np.finfo(np.float64).max).astype(np.float64)", "signalling(a)",
    "unaligned(a)", "a.view(Subclass)", "a.view(np.recarray)",
    "a.astype(np.dtype(a.dtype, metadata={'a': 1}))", "np.broadcast_to(a, a.shape)", "Wrapped(a)",
    "memoryview(a)", "a[..., :0]", "a[:, :0]", "a[:0]", "np.repeat(a, 2, axis=1)",
    "np.repeat(a, 2, axis=-1)", "np.repeat(a, 2, axis=0)", "a[..., :1]", "np.swapaxes(a, 1, 2)",
    "a.astype(np.float32)", "a.astype(np.float16)", "a.astype(np.float64)",
    "a.astype(ml_dtypes.bfloat16)", "a * 1e-30", "np.abs(a)", "-np.abs(a)",
    "np.matrix(a.reshape(-1, a.shape[-1])).astype(float)",
)  # fmt: skip
NO_ARRAYS = (
    "a[None]", "a[..., None]", "a.ravel() if a.ndim > 1 else a[None]", "np.array(1.0)",
    "np.float32(1)", "1.0", "a.astype(int)", "a.astype(bool)", "a.astype(complex)",
    "a.astype(np.complex64)", "a.astype(object)", "a.astype(np.longdouble)", "a.astype('S4')",
    "a.astype('U4')", "np.zeros(a.shape, 'M8[s]')", "np.zeros(a.shape, 'm8[s]')",
    "np.zeros(a.shape, 'f4,f8')", "np.zeros(a.shape, 'V4')",
    "np.zeros(a.shape, [('a' * 9999, 'f4')])", "np.zeros(a.shape, 'f4,f8').view(np.recarray)",
    "np.zeros(a.shape, 'u8')", "a.astype(ml_dtypes.float8_e4m3fn)",
    "np.zeros(a.shape, ml_dtypes.int4)", "[a, a[..., :0]]", "[[[[1.0]], [[1.0, 2.0]]]]",
    "[[1.0], 2.0]", "[[[['1.0']]]]", "[[[[None]]]]", "[[[[10**400]]]]", "[[[[True]]]]",
    "[[[[{}]]]]", "[a.tolist(), None]", "[raising('__array__')]", "[[[[raising('__float__')]]]]",
    "[Claims(2**62)]", "np.full(a.shape, a)[0, 0]", "a.astype(np.dtypes.StringDType())",
    "[[[[Fraction(1, 2)]]]]", "lying([1.0], __iter__=7)",
)  # fmt: skip
MASKED = (
    "np.ma.array(a)", "np.ma.masked_less(a.astype(float), 0.5)", "np.ma.array(a, mask=True)",
    "[np.ma.array(one) for one in a]", "([*np.ma.array(a[None])],)", "Wrapped(np.ma.array(a))",
    "np.ma.array(a).astype(np.float64)", "np.ma.array(a).T.T",
)  # fmt: skip
# Of the operator alone: views of one number, larger than any memory, that fit no other operand.
HUGE = (
    "np.broadcast_to(a.dtype.type(1), (2**40 + a.ndim,) + (1,) * (a.ndim - 1))",
    "np.broadcast_to(np.float16(1), (1, 2**58 + a.ndim) + (1,) * (a.ndim - 2))",
    "np.empty((0, 2**40 + a.ndim) + (1,) * (a.ndim - 2), a.dtype)",
    "np.empty((0, 2**60) + (1,) * (a.ndim - 2), np.float16)",
)


@functools.cache
def _compiled(text: str) -> types.CodeType:
    return compile(text, text[:40], "eval")


def made(text: str, wrong: bool, a: Array | None = None) -> Odd:
    """Evaluate an expression; what cannot be made of this array is the array itself."""
    try:
        with warnings.catch_warnings():
            # The making of it may warn, of matrices for one; the call may not.
            warnings.simplefilter("ignore")
            return Odd(text, eval(_compiled(text), globals(), {"a": a}), wrong)
    except (TypeError, ValueError, BufferError, IndexError, AttributeError):
        if a is None:
            raise
        return Odd("a", a, wrong=False)
