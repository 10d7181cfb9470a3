"""What is asked of a failing layer: few cases on which every known fault shows."""

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from conformance.implementation import Array
from conformance.layers.cases import LayerCase, conventional, layer_operands, with_pixels
from conformance.layers.seam import LayerCapabilities
from conformance.views import transposed

# A result by its name: an array, or what was raised instead.
Outcome = Mapping[str, Array | str]


class _Call:
    """One case put to a layer, as often as wanted, on the same operands."""

    def __init__(self, implementation: Any, case: LayerCase) -> None:
        self.implementation, self.case = implementation, case
        self.values = layer_operands(case)

    def other(self) -> "_Call":
        """Give a call of the same shapes on other values."""
        return _Call(self.implementation, replace(self.case, seed=self.case.seed + 1))

    def forward(self) -> Outcome:
        """Ask for y, the kernel and the moving statistics."""
        return _caught(self._forward, "y")

    def backward(self) -> Outcome:
        """Ask for the gradients."""
        return _caught(self._backward, "dx")

    def both(self) -> Outcome:
        """Ask for every result."""
        return {**self.forward(), **self.backward()}

    def _parameters(self) -> dict[str, Array]:
        return {name: one for name, one in self.values.items() if name not in {"x", "dy"}}

    def _forward(self) -> Outcome:
        y, kernel, moving = self.implementation.forward(
            self.values["x"], self._parameters(), self.case.config, training=self.case.training
        )
        return {"y": y, **({} if kernel is None else {"kernel": kernel}), **moving}

    def _backward(self) -> Outcome:
        dx, found = self.implementation.backward(
            self.values["dy"],
            self.values["x"],
            self._parameters(),
            self.case.config,
            training=self.case.training,
        )
        return {"dx": dx, **{f"d{name}": array for name, array in found.items()}}


def _caught(ask: Callable[[], Outcome], name: str) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ask()
    except Exception as error:
        return {name: f"raises {type(error).__name__}: {error}"}


def _once(call: _Call) -> Outcome:
    return call.both()


def _repeated(call: _Call) -> Outcome:
    call.both()
    return call.both()


def _kept(call: _Call) -> Outcome:
    """First results, looked at after a second call."""
    results = call.both()
    call.other().both()
    return results


def _after_another(call: _Call) -> Outcome:
    """Gradients after a forward call on other values."""
    call.other().forward()
    return call.backward()


def _on_views(call: _Call) -> Outcome:
    call.values = {name: transposed(array) for name, array in call.values.items()}
    return call.both()


MANNERS: Mapping[str, Callable[[_Call], Outcome]] = {
    "once": _once,
    "repeated": _repeated,
    "kept": _kept,
    "after another": _after_another,
    "on views": _on_views,
}


class Probe(NamedTuple):
    """A case and the manner, a key of `MANNERS`, in which its results are asked for."""

    case: LayerCase
    manner: str = "once"

    def __str__(self) -> str:
        return self.case.token if self.manner == "once" else f"{self.case.token} {self.manner}"


def probes(claimed: LayerCapabilities) -> tuple[Probe, ...]:
    """List what is asked of who claims this.

    The first is of a size that nothing else has: who fixes sizes fixes that one.
    """
    dtype = claimed.first_dtype
    plain = LayerCase(dtype, "normal", groups=2, members=2, reduced=3)
    listed = [Probe(with_pixels(plain, (12, 10)))]
    listed += [Probe(with_pixels(case, (4, 6))) for case in _cases(dtype)]
    narrow = [name for name in ("float16", "bfloat16") if name in claimed.dtypes and name != dtype]
    large = (replace(plain, dtype=name, training=True) for name in narrow)
    listed += [Probe(with_pixels(case, (28, 40))) for case in large]
    # Each of another width, so that what one leaves behind does not touch the next.
    called = replace(plain, training=claimed.training)
    listed += [
        Probe(with_pixels(called, (2, width)), manner) for width, manner in enumerate(MANNERS)
    ]
    listed.append(Probe(replace(with_pixels(plain, (3, 7)), batch=0)))
    listed = [one for one in listed if claimed.training or not one.case.training]
    return tuple(_fitted(one, claimed.conventions[0]) for one in listed)


def _fitted(probe: Probe, convention: str) -> Probe:
    """Give a probe in a convention, on the least size from its own that fits."""
    case = conventional(probe.case, convention)
    return Probe(with_pixels(case, (case.height - 1, case.width - 1)), probe.manner)


def _cases(dtype: str) -> list[LayerCase]:
    case = functools.partial(LayerCase, dtype, groups=2, members=2, reduced=2)
    official: dict[str, Any] = {
        "group_layout": "blocked", "kernel_order": "group_major", "reduce_bias": False,
        "epsilon": 1e-5, "momentum": 0.9, "unbiased_moving_variance": True, "padding": 1,
    }  # fmt: skip
    return [
        # Without the bias ReLU meets zeros.
        case("integers", normalise=False, reduce_bias=False, kernel_shape=(2, 3)),
        case("integers", normalise=False, stride=(2, 2), kernel_order="group_major"),
        case("integers", normalise=False, stride=(4, 2), group_layout="blocked", seed=1),
        case("plain", stride=(2, 2), kernel_shape=(2, 3), batch=3, reduced=3),
        case("plain", stride=(3, 1), **official | {"pooling": "valid"}),
        case("faint", stride=(2, 2), reduced=3),
        case("faint", **official),
        case("faint", training=True, stride=(3, 2), batch=3, reduced=3),
        case("faint", training=True, **official),
        case("normal", training=True, groups=1, members=3, reduced=2, batch=1),
        case("normal", stride=(2, 2), pooling="valid", batch=1),
        case("normal", training=True, stride=(2, 2), group_layout="blocked"),
    ]


def answers(implementation: Any, listed: tuple[Probe, ...]) -> list[Outcome]:
    """Put every probe in turn; what the first finds is forgotten, if not by the layer."""
    answer(implementation, listed[0])
    return [answer(implementation, probe) for probe in compared(listed)]


def compared(listed: tuple[Probe, ...]) -> tuple[Probe, ...]:
    """Give the probes whose answers count: one of them once more at the end."""
    return (*listed[1:], listed[1])


def answer(implementation: Any, probe: Probe) -> Outcome:
    """Put one probe; the answer is safe from what is called later."""
    got = MANNERS[probe.manner](_Call(implementation, probe.case))
    return {name: one.copy() if isinstance(one, np.ndarray) else one for name, one in got.items()}
