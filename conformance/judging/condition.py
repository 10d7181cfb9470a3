"""The language of a condition: which cases a waiver, or a claim, is about.

It is a part of Python's: the names of a case's token, numbers, words in quotes, pairs, comparisons,
`and`, `or`, `not` and whole-number arithmetic, as in ``stride != (1, 1) and C % 8 == 0``. It is
read by Python's own parser and evaluated here, node by node: nothing in it can be called, and it
reaches no attribute.
"""

import ast
import difflib
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from conformance.cases.case import named

_COMPARED: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.In: lambda one, some: one in some,
    ast.NotIn: lambda one, some: one not in some,
}  # fmt: skip
_COMPUTED: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
# The letters of the specification beside the names of a token.
LETTERS: Mapping[str, Callable[[Any], Any]] = {
    "B": lambda case: case.batch, "H": lambda case: case.height, "W": lambda case: case.width,
    "C": lambda case: case.channels, "G": lambda case: case.geometry.groups,
    "M": lambda case: case.geometry.members, "Ho": lambda case: case.grid[0],
    "Wo": lambda case: case.grid[1], "Kh": lambda case: case.geometry.kernel_shape[0],
    "Kw": lambda case: case.geometry.kernel_shape[1], "sh": lambda case: case.geometry.stride[0],
    "sw": lambda case: case.geometry.stride[1], "dh": lambda case: case.geometry.dilation[0],
    "dw": lambda case: case.geometry.dilation[1],
}  # fmt: skip
# Explanations write "B = 0", and so may a condition.
_ALONE = re.compile(r"(?<![=!<>])=(?!=)")
# A condition longer than this is none.
_LONGEST = 1000


class ConditionError(ValueError):
    """A condition that cannot be understood."""


class Condition:
    """Which cases are meant.

    Parameters
    ----------
    text : str
        As it is written; an empty one is true of every case.
    like : Case
        A case of the kind that it is about.

    Raises
    ------
    ConditionError
        Saying what is not understood, and what might be meant.
    """

    def __init__(self, text: str, like: Any) -> None:
        self.text = text
        self._tree: ast.expr | None = None
        if not text.strip():
            return
        if len(text) > _LONGEST:
            raise ConditionError(f"a condition has {_LONGEST} characters at most, got {len(text)}")
        try:
            self._tree = ast.parse(_ALONE.sub("==", text.strip()), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConditionError(f"{text!r} is no condition: {error}") from error
        _check(self._tree, {*named(like), *LETTERS}, text)
        try:
            self._holds(like)
        except (TypeError, IndexError) as error:
            raise ConditionError(f"{text!r} compares what does not go together: {error}") from error

    def __call__(self, case: Any) -> bool:
        """Tell whether it is true of a case; where it has no answer, it is not."""
        try:
            return self._holds(case)
        except (TypeError, IndexError):
            # `padding < 2` of a padding that is a word.
            return False

    def __str__(self) -> str:
        return self.text or "every case"

    def _holds(self, case: Any) -> bool:
        if self._tree is None:
            return True
        try:
            return bool(_value(self._tree, case, named(case)))
        except ZeroDivisionError:
            return False


def _check(node: ast.AST, names: set[str], text: str) -> None:
    """Refuse whatever is not of the language, before anything is evaluated."""
    allowed = (
        ast.BoolOp, ast.UnaryOp, ast.Compare, ast.BinOp, ast.Name, ast.Constant, ast.Tuple,
        ast.List, ast.Subscript, ast.boolop, ast.unaryop, ast.expr_context, *_COMPARED, *_COMPUTED,
    )  # fmt: skip
    if not isinstance(node, allowed) or isinstance(node, ast.UAdd | ast.Invert):
        part = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__.lower()
        raise ConditionError(
            f"{text!r} has {part!r}, which a condition cannot have: it compares names, numbers, "
            "words in quotes and pairs, with and, or, not, in, + - * // %"
        )
    if isinstance(node, ast.Name) and node.id not in names:
        near = difflib.get_close_matches(node.id, names, 1)
        instead = f"did you mean {near[0]}?" if near else f"it may have {', '.join(sorted(names))}"
        raise ConditionError(
            f"{text!r} has {node.id}, which no case has; {instead} (words stand in quotes)"
        )
    if isinstance(node, ast.Constant) and not isinstance(node.value, int | float | str):
        raise ConditionError(f"{text!r} has {node.value!r}, which no case has")
    for inner in ast.iter_child_nodes(node):
        _check(inner, names, text)


def _value(node: Any, case: Any, names: Mapping[str, Any]) -> Any:
    """Evaluate a node that was checked."""

    def of(inner: ast.AST) -> Any:
        return _value(inner, case, names)

    value: Any
    match node:
        case ast.Constant(value):
            pass
        case ast.Name(name):
            value = names[name] if name in names else LETTERS[name](case)
        case ast.Tuple(parts) | ast.List(parts):
            value = tuple(of(one) for one in parts)
        case ast.Subscript(whole, index):
            value = of(whole)[of(index)]
        case ast.UnaryOp(word, inner):
            value = not of(inner) if isinstance(word, ast.Not) else -_number(of(inner))
        case ast.BoolOp(word, parts):
            some = all if isinstance(word, ast.And) else any
            value = some(of(one) for one in parts)
        case ast.BinOp(left, by, right):
            value = _COMPUTED[type(by)](_number(of(left)), _number(of(right)))
        case ast.Compare(first, words, others):
            values = [of(one) for one in (first, *others)]
            pairs = zip(words, values, values[1:], strict=False)
            value = all(_COMPARED[type(word)](one, other) for word, one, other in pairs)
        case _:
            raise AssertionError(node)
    return value


def _number(value: Any) -> Any:
    # So that no word is repeated a million times.
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value
