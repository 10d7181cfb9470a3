"""Other ways from hidden channels to the output: biases, activation, order of channels, operator.

Nothing is asked of an implementation here.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from conformance.cases.case import Array, Floats
from conformance.cases.operator import OperatorCase
from conformance.diagnosis.layers import model as due
from conformance.diagnosis.layers.alternatives import Alternative, Numbers
from conformance.diagnosis.layers.model import Run
from conformance.diagnosis.model import Model, Part
from refimpl import involution

# The two convolutions.


def _convolved(run: Run, name: str, times: float, limit: float) -> Floats:
    factor = run.pooled if name == "reduce" else run.a
    product = factor @ run.given[f"{name}_kernel"] + times * run.bias(f"{name}_bias")
    made: Floats = np.clip(product, -limit, limit)
    return made


def convolutions(numbers: Numbers) -> Iterator[Alternative]:
    """Give other ways to add a bias, and limits."""
    for name, clause in (("reduce", "LAY-7"), ("expand", "LAY-10")):
        for times in dict.fromkeys((0.0, 2.0, -1.0, *numbers.times)):
            step = functools.partial(_convolved, name=name, times=times, limit=np.inf)
            said = {0.0: "is left out", 2.0: "is added twice", -1.0: "is taken off"}
            words = said.get(times, f"counts {times:.6g} times")
            yield Alternative(f"{name}_bias {words}", "added once", clause, {name: step})
        for limit in numbers.limits:
            step = functools.partial(_convolved, name=name, times=1.0, limit=limit)
            words = f"what {name}_kernel gives is clipped at {limit:.6g}"
            yield Alternative(words, "not clipped", clause, {name: step})


# The activation.

Curve = tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]
CURVES: Mapping[str, Curve] = {
    "no ReLU": (lambda z: z, np.ones_like),
    "the magnitude instead of ReLU": (np.abs, np.sign),
    "tanh instead of ReLU": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "a sigmoid instead of ReLU": (
        lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    ),
    "swish instead of ReLU": (
        lambda z: z / (1 + np.exp(-z)),
        lambda z: (1 + np.exp(-z) * (1 + z)) / (1 + np.exp(-z)) ** 2,
    ),
    "softplus instead of ReLU": (lambda z: np.logaddexp(z, 0), lambda z: 1 / (1 + np.exp(-z))),
    "the square of ReLU": (lambda z: np.maximum(z, 0) ** 2, lambda z: 2 * np.maximum(z, 0)),
    "the tanh form of GELU instead of ReLU": (
        lambda z: z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2, np.ones_like,
    ),
    "ELU instead of ReLU": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    ),
}  # fmt: skip


def curves(numbers: Numbers) -> Iterator[Alternative]:
    """Give every other activation."""
    curves = dict(CURVES)
    for slope in numbers.slopes:
        curves[f"a leaky ReLU, of slope {slope:.4g} below zero"] = (
            functools.partial(_leaky, slope=slope),
            functools.partial(_leaky_slope, slope=slope),
        )
    for limit in numbers.limits:
        curves[f"a ReLU that is cut off at {limit:.6g}"] = (
            functools.partial(np.clip, a_min=0, a_max=limit),
            functools.partial(_inside, limit=limit),
        )
    for words, (on, slope_) in curves.items():
        yield Alternative(words, "max(z, 0)", "LAY-9", {
            "activate": functools.partial(_activated, on=on),
            "activate'": functools.partial(activated_vjp, slope=slope_),
        })  # fmt: skip
    for last in (1, 2, 4, 8, 12, 16):
        yield Alternative(
            f"hidden channels from {last} on are zero", "all R count", "LAY-10",
            {"activate": functools.partial(_first_channels, last=last)}, 1.5,
        )  # fmt: skip


def _leaky(z: Floats, slope: float) -> Floats:
    return np.where(z > 0, z, slope * z)


def _leaky_slope(z: Floats, slope: float) -> Floats:
    return np.where(z > 0, 1.0, slope)


def _inside(z: Floats, limit: float) -> Array:
    return (z > 0) & (z < limit)


def _activated(run: Run, on: Any) -> Floats:
    found: Floats = on(run.z)
    return found


def activated_vjp(run: Run, gradient: Floats, slope: Any) -> Floats:
    """Pass a gradient on by a slope."""
    found: Floats = gradient * slope(run.z)
    return found


def _first_channels(run: Run, last: int) -> Floats:
    return np.where(np.arange(run.z.shape[3]) < last, np.maximum(run.z, 0), 0)


# How channels become kernels.

_RELATIVE: Mapping[str, Mapping[str, str]] = {
    "the other kernel order": {"uvg": "guv", "guv": "uvg"},
    "taps lie column by column": {"uvg": "vug", "guv": "gvu"},
    "the other kernel order, column by column": {"uvg": "gvu", "guv": "vug"},
}


def _orders() -> Iterator[tuple[str, Callable[[Run], str], float]]:
    for words, table in _RELATIVE.items():
        yield f"generated channels: {words}", functools.partial(_by, table=table), 1.0
    sizes = {"u": "Kh", "v": "Kw", "g": "G"}
    for order in map("".join, itertools.permutations("uvg")):
        named = ", ".join(sizes[name] for name in order)
        yield f"generated channels always lie as ({named})", functools.partial(_fixed, order), 1.2


def _by(run: Run, table: Mapping[str, str]) -> str:
    return table[due.due_order(run)]


def _fixed(order: str, _: Run) -> str:
    return order


def _laid(run: Run, order: Any) -> Floats:
    return due.laid(run, order(run), run.entries)


def _laid_vjp(run: Run, gradient: Floats, order: Any) -> Floats:
    return due.flattened(run, order(run), gradient)


def transposed(run: Run, gradient: Floats, *, back: bool) -> Floats:
    """Lay out channels, and take them for (G, taps), or (taps, G), in the other order."""
    flat = due.arrange_vjp(run, gradient)
    rows = (run.config.groups, -1) if not back else (-1, run.config.groups)
    order = np.arange(flat.shape[3]).reshape(rows).T.ravel()
    return flat[..., order]


def _softmax(k: Floats) -> Floats:
    raised = np.exp(k - k.max((3, 4), keepdims=True))
    made: Floats = raised / raised.sum((3, 4), keepdims=True)
    return made


def _softmax_vjp(k: Floats, gradient: Floats) -> Floats:
    s = _softmax(k)
    made: Floats = s * (gradient - (s * gradient).sum((3, 4), keepdims=True))
    return made


KERNELS: Mapping[str, tuple[Callable[[Floats], Floats], Callable[[Floats, Floats], Floats]]] = {
    "a second ReLU, on the kernel": (lambda k: np.maximum(k, 0), lambda k, d: d * (k > 0)),
    "a softmax over the taps of the kernel": (_softmax, _softmax_vjp),
    "a sigmoid on the kernel": (
        lambda k: 1 / (1 + np.exp(-k)), lambda k, d: d * np.exp(-k) / (1 + np.exp(-k)) ** 2,
    ),
    "tanh on the kernel": (np.tanh, lambda k, d: d * (1 - np.tanh(k) ** 2)),
    "the kernel divided by the number of taps": (
        lambda k: k / math.prod(k.shape[3:5]), lambda k, d: d / math.prod(k.shape[3:5]),
    ),
    "the kernel divided by the sum of its taps": (
        lambda k: k / k.sum((3, 4), keepdims=True), lambda k, d: d / k.sum((3, 4), keepdims=True),
    ),
    "the mean of the taps is taken off": (
        lambda k: k - k.mean((3, 4), keepdims=True), lambda _, d: d - d.mean((3, 4), keepdims=True),
    ),
    "the kernel's last row is zero": (
        lambda k: np.where((np.arange(k.shape[3]) == k.shape[3] - 1)[:, None, None], 0, k),
        lambda k, d: np.where((np.arange(k.shape[3]) == k.shape[3] - 1)[:, None, None], 0, d),
    ),
    "each sample is given the kernel of the one before": (
        lambda k: np.roll(k, 1, 0), lambda _, d: np.roll(d, -1, 0),
    ),
    "each sample is given the kernel of the next": (
        lambda k: np.roll(k, -1, 0), lambda _, d: np.roll(d, 1, 0),
    ),
    "every sample is given the kernel of the first": (
        lambda k: np.repeat(k[:1], len(k), 0), lambda _, d: d,
    ),
    "every pixel is given the same kernel, the mean": (
        lambda k: np.broadcast_to(k.mean((1, 2), keepdims=True), k.shape), lambda _, d: d,
    ),
    "every group is given the kernel of the first": (
        lambda k: np.broadcast_to(k[..., :1], k.shape), lambda _, d: d,
    ),
    "the kernel is flipped": (
        lambda k: k[:, :, :, ::-1, ::-1], lambda _, d: d[:, :, :, ::-1, ::-1],
    ),
}  # fmt: skip


def kernels() -> Iterator[Alternative]:
    """Give every other way to make a kernel of channels."""
    instead = "(u * Kw + v) * G + g, or g * Kh * Kw + u * Kw + v"
    for words, order, cost in _orders():
        yield Alternative(words, instead, "LAY-11", {
            "arrange": functools.partial(_laid, order=order),
            "arrange'": functools.partial(_laid_vjp, order=order),
        }, cost)  # fmt: skip
    for words, (on, back) in KERNELS.items():
        yield Alternative(words, "the channels as they are", "LAY-11", {
            "arrange": functools.partial(_after, on=on),
            "arrange'": functools.partial(_after_vjp, back=back),
        })  # fmt: skip


def _after(run: Run, on: Any) -> Floats:
    found: Floats = on(due.arrange(run))
    return found


def _after_vjp(run: Run, gradient: Floats, back: Any) -> Floats:
    return due.arrange_vjp(run, back(due.arrange(run), gradient))


def _bias_otherwise(run: Run) -> Any:
    """Give the bias of the generated channels as if it lay in the other kernel order."""
    bias = run.bias("expand_bias")
    if not isinstance(bias, np.ndarray):
        return bias
    order = due.due_order(run)
    other = "guv" if order == "uvg" else "uvg"
    return due.flattened(run, order, due.laid(run, other, bias[None, None, None]))[0, 0, 0]


def _expanded_otherwise(run: Run) -> Floats:
    entries: Floats = run.a @ run.expand_kernel + _bias_otherwise(run)
    return entries


def _bias_gradient_otherwise(run: Run, factor: Any, gradient: Floats) -> Floats:
    summed = due.leaf(run, factor, gradient)
    order = due.due_order(run)
    other = "guv" if order == "uvg" else "uvg"
    laid = due.laid(run, order, summed[None, None, None])
    turned: Floats = due.flattened(run, other, laid)[0, 0, 0]
    return turned


def biases() -> Iterator[Alternative]:
    """Give other orders in which the bias of the generated channels may lie."""
    forward, back = {"expand": _expanded_otherwise}, {"dexpand_bias": _bias_gradient_otherwise}
    words, instead = "expand_bias lies in the other kernel order", "in that of the channels"
    yield Alternative(words, instead, "LAY-11", {**forward, **back}, 1.2)
    yield Alternative(f"{words}, and its gradient does not", instead, "LAY-11", forward, 1.4)


# The operator.


def _operated(run: Run, **options: Any) -> Floats:
    return involution.forward(run.x, run.kernel, **(run.config.options | _options(run, options)))


def _operated_vjp(run: Run, gradient: Floats, **options: Any) -> tuple[Floats, Floats]:
    changed = run.config.options | _options(run, options)
    return involution.backward(gradient, run.x, run.kernel, **changed)


def _options(run: Run, options: Mapping[str, Any]) -> dict[str, Any]:
    if options.get("group_layout") == "other":
        layout = "blocked" if run.config.group_layout == "interleaved" else "interleaved"
        return {"group_layout": layout}
    return dict(options)


def _of_part(run: Run, part: Part) -> Floats:
    return Model({"y": part})(operator_case(run), _operands(run, run.dy), ("y",))["y"]


def operator_gradients(parts: Mapping[str, Part], words: str) -> Alternative:
    """Give gradients of the operator by the formulas that were read off them."""
    return Alternative(f"the operator's {words}", "", "LAY-13", {
        "operate'": functools.partial(_of_parts_vjp, parts=parts)}, 1.3,
    )  # fmt: skip


def _of_parts_vjp(run: Run, gradient: Floats, parts: Mapping[str, Part]) -> tuple[Floats, Floats]:
    found = Model(parts)(operator_case(run), _operands(run, gradient), ("dx", "dkernel"))
    return found["dx"], found["dkernel"]


def _operands(run: Run, dy: Floats) -> dict[str, Floats]:
    return {"dy": dy, "x": run.x, "kernel": run.kernel}


def operator_case(run: Run) -> OperatorCase:
    """The operator's call within a layer's."""
    case, where = run.case, run.case.geometry
    return OperatorCase(case.dtype, "integers", 0, case.batch, case.height, case.width, where)


def operators(numbers: Numbers, *, fixed: bool = True) -> Iterator[Alternative]:
    """Give every other operator: those that were read, and the `fixed` ones."""
    for words, part in numbers.operators:
        yield Alternative(
            f"the operator {words}",
            "",
            "LAY-2",
            {
                "operate": functools.partial(_of_part, part=part),
                "operate'": functools.partial(
                    _of_parts_vjp, parts=dict.fromkeys(("dx", "dkernel"), part)
                ),
            },
            1.3,
        )
    for words, layout in _LAYOUTS.items() if fixed else ():
        yield Alternative(
            words,
            "as group_layout says",
            "GRP-2",
            {
                "operate": functools.partial(_operated, group_layout=layout),
                "operate'": functools.partial(_operated_vjp, group_layout=layout),
            },
            1.0 + 0.2 * (layout != "other"),
        )


_LAYOUTS: Mapping[str, str] = {
    "the other group layout": "other",
    "groups are always blocked": "blocked",
    "groups are always interleaved": "interleaved",
}
