"""Right implementations that were rejected once, each for a fault of the judge."""

import random
from functools import partial
from typing import Any

import numpy as np
import pytest

import conformance
from conformance.cases.layer import LayerCase, picked
from conformance.claims.loading import load
from conformance.diagnosis.courses import usable, variants
from conformance.diagnosis.diagnose import diagnose
from conformance.diagnosis.verdicts import expected
from conformance.implementations.layer.numpy_layer import Array, NumpyLayer
from conformance.kinds import LAYER
from conformance.reporting import report as reports
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
    report = conformance.check(StoredInHalf, layer=True, profile="ci")
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
    # Conventions and strides, of which formats know nothing.
    report = conformance.check(layer, layer=True, profile="ci", dtypes="float32")
    assert report.conforms, str(report)


class OfficialAndWrong(Official):
    """Its output is doubled."""

    def forward(self, *operands: Any, **mode: Any) -> Any:
        y, kernel, moving = super().forward(*operands, **mode)
        return 2 * y, kernel, moving


def test_a_diagnosis_keeps_to_the_convention_that_is_claimed() -> None:
    found = diagnose(load(OfficialAndWrong, LAYER), None)
    assert not any("KeyError" in line for line in found.lines)


@pytest.mark.parametrize("convention", ["official", "keras_example"])
@pytest.mark.parametrize("training", [False, True])
def test_what_an_explanation_asks_has_an_answer(convention: str, training: bool) -> None:
    """Of layers of one convention once cases were asked whose grids do not agree (LAY-6)."""
    claims = NumpyLayer.capabilities | {"conventions": [convention]}
    judged = load(NumpyLayer, LAYER, claims)
    rng = random.Random(5)
    for _ in range(20):
        choose = partial(_chosen, rng)
        start = LayerCase("float32", "normal", training)
        case = picked(choose, judged.capabilities, start, convention)
        case = case.changed(batch=rng.choice((0, 1, 2)))
        if case.batch and not case.specified:
            continue
        case = usable(judged, case)
        for one in (case, *variants(judged, case)):
            bits = LAYER.bits(one, judged.capabilities)
            assert expected(judged, one, LAYER.values(one, bits)), one.token


def _chosen(rng: random.Random, *pool: Any) -> Any:
    return rng.choice(pool)


def test_a_fault_in_explaining_costs_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any) -> None:
        raise LookupError("no such thing")

    monkeypatch.setattr(reports, "explained", breaks)
    monkeypatch.setattr(reports, "HARMLESS", (Exception,))
    report = conformance.check(Swapped, clauses="FWD-1", until_failure=True)
    assert report.verdict == "fails"
    assert "the explanation broke off: LookupError: no such thing. The verdict st" in str(report)


class Swapped(Taps):
    """Its output is upside down."""

    def forward(self, *operands: Array, **options: Any) -> Array:
        return super().forward(*operands, **options)[:, ::-1]
