"""RedNet: its parameters as in the official table, and images of any size."""

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="TensorFlow and Keras are not installed")

from refimpl.keras import Involution  # noqa: E402
from refimpl.keras.rednet import BLOCKS, rednet_classifier  # noqa: E402

official = pytest.mark.skipif(
    not hasattr(Involution, "official"), reason="Involution.official does not exist yet"
)


def entries(variables: list[Any]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def counted(depth: int, classes: int = 1000) -> int:
    """Parameters by the architecture's own arithmetic, layer for layer."""

    def involution(channels: int, kernel_size: int) -> int:
        hidden, made = channels // 4, kernel_size**2 * (channels // 16)
        return channels * hidden + 2 * hidden + hidden * made + made

    total = 3 * 9 * 32 + 2 * 32 + involution(32, 3) + 2 * 32 + 32 * 9 * 64 + 2 * 64
    incoming = 64
    for stage, blocks in enumerate(BLOCKS[depth]):
        channels = 64 * 2**stage
        wide = 4 * channels
        for block in range(blocks):
            total += incoming * channels + 2 * channels
            total += involution(channels, 7) + 2 * channels
            total += channels * wide + 2 * wide
            if block == 0:
                total += incoming * wide + 2 * wide
            incoming = wide
    return total + incoming * classes + classes


@pytest.mark.parametrize(
    ("depth", "exact", "millions"),
    [
        (26, 9_233_166, 9.23),
        (38, 12_386_986, 12.39),
        (50, 15_540_806, 15.54),
        (101, 25_652_950, 25.65),
    ],
)
def test_the_architecture_has_the_official_tables_counts(
    depth: int, exact: int, millions: float
) -> None:
    assert counted(depth) == exact
    assert round(exact / 1e6, 2) == millions


def test_at_depth_152_the_official_table_is_a_digit_off() -> None:
    """It says 33.99; its own architecture has 418 parameters too few to be rounded to that."""
    assert counted(152) == 33_984_582


@official
@pytest.mark.parametrize("depth", [26, 50])
def test_the_model_has_exactly_these_parameters(depth: int) -> None:
    assert entries(rednet_classifier(depth).trainable_variables) == counted(depth)


@official
def test_any_size_of_image() -> None:
    model = rednet_classifier(26, classes=5)
    for height, width in ((64, 64), (33, 47), (1, 1)):
        images = np.random.default_rng(0).random((2, height, width, 3), "float32")
        logits = np.asarray(model(images))
        assert logits.shape == (2, 5)
        assert np.isfinite(logits).all()


@official
def test_every_block_begins_as_its_shortcut() -> None:
    model = rednet_classifier(26, (32, 32, 3), 5)
    norms = [layer for layer in model.layers if layer.name.endswith("expand_norm")]
    assert len(norms) == sum(BLOCKS[26])
    assert all(not np.asarray(norm.gamma).any() for norm in norms)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((27,), "depth must be one of 26, 38, 50, 101, 152, got 27"),
        ((26, (32, 32)), "input_shape must be"),
        ((26, (32, 32, None)), "input_shape must be"),
        ((26, (32, 32, 3), 0), "classes must be a positive integer"),
    ],
)
def test_arguments_are_checked(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rednet_classifier(*arguments)
