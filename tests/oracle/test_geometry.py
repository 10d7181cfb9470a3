"""Output sizes and padding, from worked examples: the arithmetic of chapter GEO done by hand."""

from typing import Any

import numpy as np
import pytest

from refimpl import geometry, involution
from refimpl.geometry import Axis, axes, padding_of, same_padding

# size, taps, stride, dilation -> (before, after), ceil(size / stride) worked out on paper.
SAME = [
    ((5, 3, 1, 1), (1, 1)),  # 5 outputs; last window ends at 4 + 3 = 7 of 5: 2 missing
    ((6, 3, 2, 1), (0, 1)),  # 3 outputs; 2*2 + 3 = 7 of 6: 1 missing, after
    ((5, 3, 2, 1), (1, 1)),  # 3 outputs; 7 of 5
    ((4, 2, 1, 1), (0, 1)),  # even kernel: the odd pixel after
    ((7, 1, 3, 1), (0, 0)),  # 3 outputs; 2*3 + 1 = 7
    ((8, 1, 3, 1), (0, 0)),  # 3 outputs; 7 of 8: none missing, none taken away
    ((2, 1, 5, 1), (0, 0)),  # stride beyond the image
    ((1, 7, 1, 1), (3, 3)),  # one pixel under a kernel of seven
    ((10, 3, 1, 4), (4, 4)),  # extent 9
    ((11, 4, 3, 2), (2, 3)),  # extent 7; 4 outputs; 3*3 + 7 = 16 of 11
    ((224, 7, 2, 1), (2, 3)),  # the stem of a residual network
]
EXPLICIT = [
    ((5, 3, 1, 1, 0, 0), 3),
    ((5, 3, 2, 1, 0, 0), 2),
    ((6, 3, 2, 1, 0, 0), 2),  # the last pixel is never read
    ((6, 3, 2, 1, 1, 1), 3),
    ((5, 2, 1, 3, 0, 0), 2),  # extent 4
    ((1, 1, 9, 1, 0, 0), 1),
    ((2, 5, 1, 1, 1, 2), 1),
    ((2, 5, 1, 1, 1, 1), 0),
]


@pytest.mark.clause("GEO-7")
@pytest.mark.parametrize(("axis", "padding"), SAME)
def test_same(axis: tuple[int, int, int, int], padding: tuple[int, int]) -> None:
    assert same_padding(*axis) == padding
    assert Axis(*axis, *padding).outputs == -(-axis[0] // axis[2])


@pytest.mark.clause("GEO-3")
@pytest.mark.parametrize(("axis", "outputs"), EXPLICIT)
def test_outputs(axis: tuple[int, int, int, int, int, int], outputs: int) -> None:
    assert Axis(*axis).outputs == outputs


# 7 x 12 pixels under 4 x 2 taps, strides 2 and 4, dilations 3 and 5: no number serves two axes.
# "same": 4 outputs, (4 - 1) * 2 + 10 - 7 = 9 missing; 3 outputs, (3 - 1) * 4 + 6 - 12 = 2 missing.
@pytest.mark.clause("GEO-2", "GEO-4", "GEO-5", "GEO-6", "GEO-7")
@pytest.mark.parametrize(
    ("padding", "vertical", "horizontal"),
    [
        ("same", (4, 5), (1, 1)),
        ("valid", (0, 0), (0, 0)),
        (0, (0, 0), (0, 0)),
        (3, (3, 3), (3, 3)),
        (((4, 2), (0, 1)), (4, 2), (0, 1)),
    ],
)
def test_padding_of_each_axis(padding: Any, vertical: Any, horizontal: Any) -> None:
    assert padding_of(padding, 0, 7, 4, 2, 3) == vertical
    assert padding_of(padding, 1, 12, 2, 4, 5) == horizontal
    expected = Axis(7, 4, 2, 3, *vertical), Axis(12, 2, 4, 5, *horizontal)
    assert axes((7, 12), (4, 2), (2, 4), (3, 5), padding) == expected
    assert [axis.padded for axis in expected] == [7 + sum(vertical), 12 + sum(horizontal)]


def test_the_public_names() -> None:
    assert geometry.__all__ == [
        "WORDS", "Axis", "Padding", "axes", "extent", "padding_of", "same_padding", "valid_padding",
    ]  # fmt: skip


@pytest.mark.clause("GEO-8", "GEO-9")
def test_worked_example() -> None:
    """A 1x4 image, three taps, stride 2, one column of padding before: done by hand."""
    x = np.array([1.0, 2, 3, 4]).reshape(1, 1, 4, 1)
    kernel = np.array([[10.0, 20, 30], [100, 200, 300]]).reshape(1, 1, 2, 1, 3, 1)
    options = {"stride": (1, 2), "padding": ((0, 0), (1, 0))}
    y = involution.forward(x, kernel, **options)
    # (., 1, 2) under (10, 20, 30) and (2, 3, 4) under (100, 200, 300)
    assert y.ravel().tolist() == [20 * 1 + 30 * 2, 100 * 2 + 200 * 3 + 300 * 4]
    dx, dkernel = involution.backward(np.array([5.0, 7]).reshape(1, 1, 2, 1), x, kernel, **options)
    assert dx.ravel().tolist() == [5 * 20, 5 * 30 + 7 * 100, 7 * 200, 7 * 300]
    assert dkernel.ravel().tolist() == [0, 5 * 1, 5 * 2, 7 * 2, 7 * 3, 7 * 4]
