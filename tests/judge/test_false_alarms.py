"""Right implementations that were rejected once, each for a fault of the judge."""

from typing import Any

import numpy as np
import pytest

import conformance
from conformance.implementations.layer.numpy_layer import Array, NumpyLayer
from tests.opponents.right_layers import Stored
from tests.opponents.wrong_operators import Taps


class Float64InFloat32(Taps):
    """It sums float64 in float32, as it declares: sums of 24 bits are exact, not of 53."""

    capabilities = dict(Taps.capabilities) | {"accumulator": {"float64": "float32"}}

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        narrow = (np.asarray(a, np.float32) if a.dtype == np.float64 else a for a in (x, kernel))
        return super().forward(*narrow, **options).astype(x.dtype)

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> Any:
        narrow = (
            np.asarray(a, np.float32) if a.dtype == np.float64 else a for a in (dy, x, kernel)
        )
        return tuple(one.astype(x.dtype) for one in super().backward(*narrow, **options))


def test_an_accumulator_narrower_than_the_operands() -> None:
    report = conformance.check(Float64InFloat32, dtypes="float64", clauses=["NUM-1"])
    assert report.conforms, str(report)


class StoredInHalf(Stored):
    """Operands of half precision, intermediate values stored in it, results in float32."""

    capabilities = NumpyLayer.capabilities | {"dtypes": ["float16"], "result": "float32"}

    def forward(self, x: Array, *arguments: Any, **options: Any) -> Any:
        y, kernel, moving = super().forward(x, *arguments, **options)
        return _single(y), _single(kernel), {name: _single(one) for name, one in moving.items()}

    def backward(self, dy: Array, *arguments: Any, **options: Any) -> Any:
        dx, found = super().backward(dy, *arguments, **options)
        return _single(dx), {name: _single(one) for name, one in found.items()}


def _single(array: Array) -> Array:
    return array.astype(np.float32)


def test_what_is_stored_has_the_format_of_the_operands() -> None:
    report = conformance.check(StoredInHalf, layer=True)
    assert report.conforms, str(report)


class OfOneScope(NumpyLayer):
    """It raises on whatever it does not claim."""

    strides: Any = None
    normalises = True

    def run(self, x: Array, p: dict[str, Array], config: Any, training: bool) -> Any:
        if self.strides is not None and config.stride not in self.strides:
            raise KeyError(f"stride {config.stride}")
        if not config.normalise:
            raise KeyError("gamma")
        return super().run(x, p, config, training)


class StrideOne(OfOneScope):
    """Stride 1 alone, in every convention."""

    capabilities = NumpyLayer.capabilities | {"strides": [(1, 1)], "conventions": ["official"]}
    strides = ((1, 1), 1)


class Official(OfOneScope):
    """The official convention alone: always normalised."""

    capabilities = NumpyLayer.capabilities | {"conventions": ["official"]}


@pytest.mark.parametrize("layer", [StrideOne, Official])
def test_layers_are_asked_for_what_they_claim(layer: type[NumpyLayer]) -> None:
    report = conformance.check(layer, layer=True)
    assert report.conforms, str(report)


class OfficialAndWrong(Official):
    """Its output is doubled."""

    def forward(self, *operands: Any, **mode: Any) -> Any:
        y, kernel, moving = super().forward(*operands, **mode)
        return 2 * y, kernel, moving


def test_a_diagnosis_keeps_to_the_convention_that_is_claimed() -> None:
    report = conformance.check(OfficialAndWrong, layer=True, clauses="LAY-2")
    assert report.diagnosis is not None
    assert not any("KeyError" in line for line in report.diagnosis.lines)
