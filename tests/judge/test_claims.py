"""What is claimed and how it is found: declarations, their scope, what cannot be loaded."""

import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.claims.capabilities import (
    Capabilities,
    DeclarationError,
    LayerCapabilities,
    declared,
)
from conformance.claims.formats import FORMATS
from conformance.claims.loading import LoadError, load
from conformance.kinds import LAYER, OPERATOR


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ({"colour": True}, "has no entry 'colour'"),
        ({3: True}, "has no entry '3'"),
        ({"dtypes": ["float8"]}, "some of float16"),
        ({"dtypes": []}, "some of float16"),
        ({"dtypes": 32}, "some of float16"),
        ({"strides": [1, 2]}, "pairs of integers"),
        ({"strides": "round"}, "pairs of integers"),
        ({"strides": 7}, "pairs of integers"),
        ({"strides": [(True, 1)]}, "pairs of integers"),
        ({"accumulator": {"float32": "float12"}}, "float12"),
        ({"accumulator": "float12"}, "float12"),
        ({"accumulator": 16}, "must map"),
        ({"result": "double-double"}, "double-double"),
        ({"multiplier": {"float32": "float16"}}, "float32: tfloat32, bfloat16"),
        ({"multiplier": "tfloat32"}, "must map dtypes"),
        ({"validates": "yes"}, "True or False"),
        ({"empty_batch": 1}, "True or False"),
        ("everything", "must be a mapping"),
    ],
)
def test_bad_declarations(declaration: object, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        declared(declaration)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("float16", {"float16"}),
        ("bfloat16", {"bfloat16"}),
        ("float32", {"float16", "bfloat16", "float32"}),
        ("float64", set(FORMATS)),
        ("double-double", set(FORMATS)),
    ],
)
def test_an_accumulator_alone_is_meant_for_what_it_holds(word: str, meant: set[str]) -> None:
    claimed = declared({"accumulator": word})
    for dtype in FORMATS:
        careful = Capabilities().arithmetic(dtype).accumulator.name
        due = word if dtype in meant else careful
        assert claimed.arithmetic(dtype).accumulator.name == due


def test_the_scope_and_the_arithmetic_are_said() -> None:
    everything = declared(None)
    assert everything.scope == "float16, bfloat16, float32, float64; every geometry"
    claimed = declared(
        {
            "dtypes": ["float32"], "strides": [(1, 1)], "paddings": "same", "validates": False,
            "accumulator": "float16", "multiplier": {"float32": "tfloat32"},
        }
    )  # fmt: skip
    assert claimed.scope == "float32; strides (1, 1); padding same; not validates"
    said = "sums of float32 in float32 from tfloat32; subnormal numbers kept or flushed"
    assert claimed.arithmetic_words == said


def test_exact_bits_are_those_of_the_narrowest_format() -> None:
    bits = {name: format_.bits for name, format_ in FORMATS.items()}
    for entry, dtype, due in (
        ({}, "float32", bits["float32"]),
        ({"accumulator": {"float64": "float32"}}, "float64", bits["float32"]),
        ({"multiplier": {"float32": "bfloat16"}}, "float32", bits["bfloat16"]),
        ({"result": {"float32": "float16"}}, "float32", bits["float16"]),
        ({"result": {"float16": "float64"}}, "float16", bits["float16"]),
    ):
        assert declared(entry).arithmetic(dtype).bits == due


def test_layers_claim_what_operators_do_and_more() -> None:
    assert declared({"training": False}, LayerCapabilities).training is False
    with pytest.raises(DeclarationError, match="training"):
        declared({"training": False})


MODULE = """
import warnings
from conformance.implementations.operator import numpy_unfold as involution

warnings.warn("old", DeprecationWarning)


class Made:
    def __init__(self, channels, *, size=3):
        pass

    forward, backward = staticmethod(involution.forward), staticmethod(involution.backward)


class Right:
    forward, backward = staticmethod(involution.forward), staticmethod(involution.backward)
    capabilities = involution.capabilities


def factory():
    return Right()


def broken():
    raise RuntimeError("no device")


def other():
    return 5


def apply(x, kernel, stride=1):
    return x


class OneWay:
    def forward(self, x, kernel, **options):
        return x


class Few:
    def forward(self, x, kernel, stride=1):
        return x

    def backward(self, dy, x, kernel, stride=1):
        return x, kernel


class Swapped:
    def forward(self, image, weights, stride=1, dilation=1, padding="same", group_layout="blocked"):
        return image

    def backward(self, x, kernel, dy, **options):
        return x, kernel


class Layered:
    def forward(self, x, parameters, config, *, training=False):
        return x

    def backward(self, dy, x, parameters, config, *, training=False):
        return x


class Declares(Right):
    capabilities = {"dtypes": "float8"}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "raises.py").write_text("raise RuntimeError('at import')")
    (tmp_path / "unparsed.py").write_text("def f(:")
    (tmp_path / "exits.py").write_text("import sys; sys.exit(0)")
    (tmp_path / "needs.py").write_text("import no_such_framework")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("mine", "raises", "exits", "needs"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("name", ["mine:Right", "mine:factory", "mine:involution"])
def test_what_can_be_loaded(name: str) -> None:
    """A module that warns while it is imported is no matter of ours."""
    judged = load(name, OPERATOR)
    assert judged.capabilities.gradual_underflow
    assert judged.name == name


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no.such.module", "cannot import no.such.module: there is no module no. Install it, or"),
        ("", r"write package\.module:attribute"),
        ("raises", "cannot import raises: it raises RuntimeError: at import"),
        ("exits", "cannot import exits: it raises SystemExit: 0"),
        ("needs", "needs imports no_such_framework, which is not installed"),
        ("mine:Rihgt", "mine has no attribute Rihgt; did you mean Right?"),
        ("mine:Made", r"the class Made is made with arguments \(channels\). Write a function"),
        ("mine:broken", "making it raises RuntimeError: no device"),
        (
            "mine:other",
            r"needs the functions forward and backward .* got 5 without forward\(x, kernel, \*, s",
        ),
        ("mine:apply", r"a function of \(x, kernel\) has no backward. .*conformance.adapt makes"),
        ("mine:OneWay", "got <mine.OneWay object .* without backward"),
        ("mine:Swapped", r"backward must take its operands in the order \(dy, x, kernel\), as"),
        ("unparsed", r"it raises SyntaxError: .*\(unparsed.py, line 1\)$"),
        ("mine:Few", r"forward must take the arguments \(x, kernel, \*, stride, dilation, padding"),
        ("mine:Layered", "is that of the layer, not of the operator; give it as --layer=mine:Lay"),
        ("mine:Declares", "must be some of float16"),
        ("mine", "needs the functions forward and backward"),
        ("tests.house", "needs the functions forward and backward"),
    ],
)
def test_what_cannot_be_loaded(name: str, words: str) -> None:
    with pytest.raises(LoadError, match=words) as raised:
        load(name, OPERATOR)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("module")
def test_an_operator_given_as_a_layer() -> None:
    with pytest.raises(LoadError, match="is that of the operator, not of the layer"):
        load("mine:Right", LAYER)


def test_a_torch_module() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    words = (
        "Linear is a torch object without backward. Write forward and backward .* conformance.ad"
    )
    with pytest.raises(LoadError, match=words):
        load(torch.nn.Linear(2, 2), OPERATOR)
    with pytest.raises(LoadError, match="the class Linear is made with arguments"):
        load(torch.nn.Linear, OPERATOR)


def test_a_keras_layer() -> None:
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    with pytest.raises(LoadError, match="Dense is a tensorflow object without backward"):
        load(keras.layers.Dense(3), OPERATOR)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("conformance.implementations.numpy_unfold", OPERATOR),
        ("conformance.implementations.numpy_layer:NumpyLayer", LAYER),
        ("conformance.layers.mutants:EpsilonMissing", LAYER),
        ("conformance.mutants:OddPixelBefore", OPERATOR),
    ],
)
def test_names_from_before_the_move_go_on_working(name: str, kind: Any) -> None:
    assert load(name, kind).name == name
