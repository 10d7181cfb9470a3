"""The shapes that are found in models: of Keras all of them, of PyTorch what is known."""

from typing import Any

import pytest

import conformance
from conformance.cases.shapes import ShapeError


def test_a_keras_model() -> None:
    keras = pytest.importorskip("keras", reason="TensorFlow and Keras are not installed")
    from refimpl.keras import Involution

    first = Involution(6, 3, 3, dilation=(1, 2), return_kernel=False, name="first")
    inner = keras.Sequential([Involution.official(16, 5, 2, pooling="same", name="second")])
    model = keras.Sequential(
        [keras.Input((9, 8, 6)), first, first, keras.layers.Conv2D(16, 1), inner]
    )
    one, two = conformance.shapes_of(model)
    assert one.name == "first and 1 more like it"
    assert one.words == "1 x 9x8x6, G 3, K 3, dilation 1x2, padding same, interleaved"
    assert two.words == "1 x 9x8x16, G 1, K 5, stride 2, padding 2, blocked"
    # Nothing of it stays in the model.
    assert "generate_kernel" not in vars(first)
    (larger, _) = conformance.shapes_of(model, (4, 9, 8, 6))
    assert larger.batch == 4
    with pytest.raises(ShapeError, match=r"size must say the model's input, .* knows \(1, None,"):
        conformance.shapes_of(keras.Sequential([keras.Input((None, None, 6)), first]))
    with pytest.raises(ShapeError, match="must call an involution"):
        conformance.shapes_of(keras.Sequential([keras.Input((3,)), keras.layers.ReLU()]))


def of_torch(**attributes: Any) -> Any:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class Cheap(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            for name, value in attributes.items():
                setattr(self, name, value)

        def forward(self, x: Any) -> Any:
            return x[:, :, ::2]

    return Cheap()


def test_a_torch_module() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from tests.opponents.official_torch import OfficialInvolution

    net = torch.nn.Sequential(OfficialInvolution(32, 3), OfficialInvolution(32, 7, 2)).train()
    one, two = conformance.shapes_of(net, (2, 32, 12, 10))
    assert (one.name, two.name) == ("0", "1")
    assert one.words == "2 x 12x10x32, G 2, K 3, padding 1, blocked"
    assert two.words == "2 x 12x10x32, G 2, K 7, stride 2, padding 3, blocked"
    assert net.training
    with pytest.raises(ShapeError, match="must call an involution"):
        conformance.shapes_of(torch.nn.Sequential(torch.nn.ReLU()), (1, 3, 8, 8))
    with pytest.raises(ShapeError, match="size must say the module's input"):
        conformance.shapes_of(net)


def test_what_a_module_does_not_say_is_told() -> None:
    module = of_torch(kernel_size=(3, 3), group_channels=2, padding=(1, 1), stride=(2, 1))
    size = (1, 6, 8, 8)
    with pytest.raises(ShapeError, match=r"\(Cheap\) does not say dilation .* told=\{'dilation'"):
        conformance.shapes_of(module, size, modules="cheap")
    told = {"dilation": 1, "layout": "interleaved"}
    (shape,) = conformance.shapes_of(module, size, modules=type(module), told=lambda _: told)
    words = "1 x 8x8x6, G 3, K 3, stride 2x1, padding 1x1/1x1, interleaved"
    assert shape.words == words
    with pytest.raises(ShapeError, match=r"told may have G, K, .* got 'groups'"):
        conformance.shapes_of(module, size, modules="cheap", told={"groups": 3})


def test_what_it_says_must_be_what_it_does() -> None:
    module = of_torch(kernel_size=3, groups=3, padding=0, stride=2, dilation=1)
    with pytest.raises(ShapeError, match=r"Cheap answers 4x8 outputs, but .* has 3x3 \(GEO-3\)"):
        conformance.shapes_of(module, (1, 6, 8, 8), modules="cheap")


def test_neither_keras_nor_torch() -> None:
    with pytest.raises(TypeError, match="model must be of Keras or PyTorch, got dict"):
        conformance.shapes_of({})
