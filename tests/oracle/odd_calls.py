"""Strategies that draw calls of both references, right ones with some arguments exchanged.

What is exchanged for what is `oddities`' matter, what the calls must come to that of `test_fuzz`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

from conformance.cases.operator import OperatorCase
from refimpl import involution, layer
from tests.oracle import oddities as odd
from tests.oracle.oddities import Odd, made

DTYPES = tuple(map(np.dtype, ("f2", ml_dtypes.bfloat16, "f4", "f8")))
VALUES = np.random.default_rng(0).standard_normal(997)
PARAMETERS = tuple(layer.Config(kernel_size=1, groups=1, reduced_channels=1).shapes(1))
SMALL = st.integers(1, 3)


class Call(NamedTuple):
    """A function without arguments, the arguments that it is called with, the odd ones of them."""

    target: str
    function: Callable[[], Any]
    arguments: dict[str, Any]
    odd: dict[str, Odd]

    def __repr__(self) -> str:
        """In the words that make it again; the values' own words are not to be trusted."""
        changes = ", ".join(f"{name}={one.text}" for name, one in self.odd.items())
        return f"{self.target}({changes})"


def array(shape: tuple[int, ...], dtype: Any) -> Any:
    """Some numbers, positive where a variance is wanted and elsewhere."""
    return np.abs(np.resize(VALUES, shape)).astype(dtype)


def among(fine: tuple[str, ...], wrong: tuple[str, ...]) -> st.SearchStrategy[Odd]:
    """Draw an expression that may be right, or one that is wrong whatever else the call holds."""
    return st.sampled_from([(text, text not in fine) for text in fine + wrong]).map(
        lambda drawn: made(*drawn)
    )


def _number(value: Any, wrong: bool) -> Odd:
    return Odd(repr(value), value, wrong)


THINGS = st.sampled_from(odd.THINGS).map(lambda text: made(text, wrong=True))
COUNTS = st.one_of(
    among(odd.COUNTS, odd.NO_COUNTS),
    st.integers(-(2**70), 2**70).map(lambda n: _number(n, not 0 < n <= 2**60)),
    st.floats().map(lambda value: _number(value, wrong=True)),
    THINGS,
)
PARTS = st.tuples(st.sampled_from([tuple, list]), COUNTS, COUNTS).map(
    lambda drawn: Odd(
        f"{drawn[0].__name__}(({drawn[1].text}, {drawn[2].text}))",
        drawn[0](part.value for part in drawn[1:]),
        drawn[1].wrong or drawn[2].wrong,
    )
)
PAIRS = st.one_of(COUNTS, PARTS, among(odd.PAIRS, odd.NO_PAIRS))
PADDINGS = st.one_of(
    among(odd.PADDINGS, odd.NO_PADDINGS),
    COUNTS.filter(lambda one: one.text not in {"0", "range(2)"}),
    st.text(max_size=8).map(lambda text: _number(text, text not in {"same", "valid"})),
    st.tuples(PARTS, PARTS).map(
        # Not known to be wrong: zeros are right here.
        lambda two: Odd(f"({two[0].text}, {two[1].text})", (two[0].value, two[1].value), False)
    ),
)
NUMBERS = st.one_of(
    among(odd.NUMBERS, odd.NO_NUMBERS),
    st.floats().map(lambda value: _number(value, not 0 <= value < np.inf)),
    THINGS,
)
SWITCHES = st.one_of(among(odd.SWITCHES, odd.NO_SWITCHES), THINGS)


def words(*right: str) -> st.SearchStrategy[Odd]:
    """Draw one of some words, or what is none of them."""
    pool = tuple(map(repr, right))
    return st.one_of(among(pool, ("1", "True", "'SAME'", "lying('x', __eq__=True)")), THINGS)


LAYOUTS = st.one_of(among(odd.WORDS, ("'Blocked'",)), words("blocked", "interleaved"))


def arrays(a: Any, *, huge: bool) -> st.SearchStrategy[Odd]:
    """Draw what becomes of a right array."""

    def one_of(pool: tuple[str, ...], *, wrong: bool) -> st.SearchStrategy[Odd]:
        return st.sampled_from(pool).map(lambda text: made(text, wrong, a))

    return st.one_of(
        one_of(odd.ARRAYS + (odd.HUGE if huge else ()), wrong=False),
        one_of(odd.NO_ARRAYS, wrong=True),
        one_of(odd.MASKED, wrong=True),
        THINGS,
    )


OPTIONS = {"stride": PAIRS, "dilation": PAIRS, "padding": PADDINGS, "group_layout": LAYOUTS}
CONFIG = OPTIONS | {
    "kernel_size": PAIRS,
    "groups": COUNTS,
    "reduced_channels": COUNTS,
    "pooling": words("same", "valid", "none"),
    "kernel_order": words("tap_major", "group_major"),
    "reduce_bias": SWITCHES,
    "expand_bias": SWITCHES,
    "normalise": SWITCHES,
    "unbiased_moving_variance": SWITCHES,
    "epsilon": NUMBERS,
    "momentum": NUMBERS,
}


def exchanged(draw: st.DrawFn, arguments: dict[str, Any], pools: Mapping[str, Any]) -> Any:
    """Exchange up to three arguments; most often one, and now and then none."""
    count = min(draw(st.sampled_from([1, 1, 1, 0, 2, 3])), len(pools))
    choice = st.lists(st.sampled_from(sorted(pools)), min_size=count, max_size=count, unique=True)
    names = draw(choice)
    changes = {name: draw(pools[name]) for name in names}
    return arguments | {name: one.value for name, one in changes.items()}, changes


@st.composite
def operator_calls(draw: st.DrawFn) -> Call:
    """Draw a call of `involution.forward` or `involution.backward`."""
    pair, dtype = st.tuples(SMALL, SMALL), draw(st.sampled_from(DTYPES))
    pads = st.sampled_from(["same", "valid", 1, ((1, 0), (0, 2))])
    case = OperatorCase("float64", "integers").changed(
        batch=draw(st.integers(0, 2)), height=draw(SMALL),
        width=draw(SMALL), groups=draw(SMALL), members=draw(SMALL), kernel_shape=draw(pair),
        stride=draw(pair), dilation=draw(pair), padding=draw(pads),
        group_layout=draw(st.sampled_from(["blocked", "interleaved"])),
    ).large_enough  # fmt: skip
    name = draw(st.sampled_from(["forward", "backward"]))
    operands = {one: array(shape, dtype) for one, shape in case.shapes.items()}
    if name == "forward":
        del operands["dy"]
    pools = OPTIONS | {one: arrays(value, huge=True) for one, value in operands.items()}
    arguments, changes = exchanged(draw, operands | case.geometry.options, pools)
    function = getattr(involution, name)
    return Call(f"involution.{name}", lambda: function(**arguments), arguments, changes)


def _configuration(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """Draw a right configuration whose grids agree on every image, and C."""
    groups = draw(SMALL)
    switches = ("reduce_bias", "expand_bias", "normalise", "unbiased_moving_variance")
    fields = {
        "kernel_size": draw(st.sampled_from([1, 3, (2, 3)])),
        "groups": groups,
        "reduced_channels": draw(SMALL),
        "stride": draw(st.sampled_from([1, 2, (2, 1)])),
        "kernel_order": draw(st.sampled_from(["tap_major", "group_major"])),
        **{name: draw(st.booleans()) for name in switches},
    }
    return fields, groups * draw(SMALL)


@st.composite
def layer_calls(draw: st.DrawFn) -> Call:
    """Draw a call of `layer.forward` or `layer.backward`, its configuration made within it."""
    fields, channels = _configuration(draw)
    config, dtype = layer.Config(**fields), draw(st.sampled_from(DTYPES))
    shape = (draw(st.integers(0, 2)), draw(SMALL), draw(st.integers(1, 5)), channels)
    name = draw(st.sampled_from(["forward", "backward"]))
    operands = {"x": array(shape, dtype)}
    if name == "backward":
        operands["dy"] = array((shape[0], *config.grid(*shape[1:3]), channels), dtype)
    parameters = {one: array(due, dtype) for one, due in config.shapes(channels).items()}
    # Two fields of a configuration have the names of parameters.
    right = operands | parameters | {f"config.{one}": value for one, value in fields.items()}
    pools = {"parameters": st.one_of(THINGS, KEYS), "config": THINGS, "training": SWITCHES} | {
        one: arrays(value, huge=False) for one, value in (operands | parameters).items()
    }
    held = {f"config.{one}": pool for one, pool in CONFIG.items()}
    pools = draw(st.sampled_from([pools, pools | held]))
    right["training"] = draw(st.booleans())
    arguments, changes = exchanged(draw, right, pools)

    def called() -> Any:
        given = {one: arguments[f"config.{one}"] for one in CONFIG if f"config.{one}" in arguments}
        made_config = layer.Config(**given)
        whole: Any = {one: arguments[one] for one in parameters}
        if "parameters" in changes:
            whole = _with_keys(whole, arguments["parameters"])
        gradient = [arguments["dy"]] if name == "backward" else []
        return getattr(layer, name)(
            *gradient,
            arguments["x"],
            whole,
            arguments.get("config", made_config),
            training=arguments["training"],
        )

    return Call(f"layer.{name}", called, arguments, changes)


def _with_keys(parameters: dict[str, Any], change: Any) -> Any:
    """Parameters under a key too many or too few, or what is given in their place."""
    if type(change) is not tuple:
        return change
    added, removed = change
    rest = {name: value for name, value in parameters.items() if name not in removed}
    return rest | dict.fromkeys(added, np.ones(1))


KEYS = st.sampled_from(
    ["((1,), ())", "((None, 2.0), ())", "(('gama',), ('gamma',))", "((), ('expand_kernel',))",
     "((b'gamma',), ('gamma',))", "((), odd_names)", "(tuple(map(str, range(9999))), ())",
     "((lying('gamma', __hash__=7, __eq__=True), 'x' * 9999), ())"]
).map(lambda text: made(text.replace("odd_names", repr(PARAMETERS)), wrong=True))  # fmt: skip


@st.composite
def configuration_calls(draw: st.DrawFn) -> Call:
    """Draw a call of `Config`, of its methods, or of the two conventions."""
    fields, _ = _configuration(draw)
    config = layer.Config(**fields)
    official = {"channels": 32, "kernel_size": 3, "stride": 1, "group_channels": 8}
    example = {"channel": 4, "group_number": 2, "kernel_size": 3, "stride": 1}
    ratio = {"reduction_ratio": 2}
    target, function, arguments = draw(
        st.sampled_from(
            [
                ("layer.Config", layer.Config, fields),
                ("config.shapes", config.shapes, {"channels": 4}),
                ("config.grid", config.grid, {"height": 4, "width": 5}),
                ("layer.official", layer.official, official | ratio),
                ("layer.keras_example", layer.keras_example, example | ratio),
            ]
        )
    )
    pools = CONFIG if function is layer.Config else dict.fromkeys(arguments, COUNTS)
    if function is layer.keras_example:
        pools |= {"kernel_size": PAIRS, "stride": PAIRS}
    if function is layer.official:
        pools |= {"stride": PAIRS}
    arguments, changes = exchanged(draw, arguments, pools)
    return Call(target, lambda: function(**arguments), arguments, changes)
