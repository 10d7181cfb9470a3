"""Output size and padding arithmetic (specification chapter GEO), in plain integers.

Knows nothing of arrays and checks nothing: `refimpl._validation` decides what may come in here.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = [
    "WORDS", "Axis", "Padding", "axes", "extent", "padding_of", "same_padding", "valid_padding",
]  # fmt: skip

Padding = str | int | tuple[tuple[int, int], tuple[int, int]]


class Axis(NamedTuple):
    """One spatial axis: how its outputs and taps meet its pixels.

    Output o and tap t read pixel ``o * stride + t * dilation - before`` (GEO-8).

    Attributes
    ----------
    size : int
        Pixels of the image.
    taps : int
        Entries of the kernel, Kh or Kw.
    stride, dilation : int
        Pixels from one output, and from one tap, to the next.
    before, after : int
        Pixels of zero padding on the two sides.

    Examples
    --------
    >>> from refimpl.geometry import Axis
    >>> Axis(size=7, taps=3, stride=2, dilation=1, before=1, after=1).outputs
    4
    """

    size: int
    taps: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def padded(self) -> int:
        """Pixels of the image and of its padding."""
        return self.size + self.before + self.after

    @property
    def outputs(self) -> int:
        """Number of outputs; not positive where the kernel exceeds the padded axis (GEO-3)."""
        return (self.padded - extent(self.taps, self.dilation)) // self.stride + 1


def extent(taps: int, dilation: int) -> int:
    """Give the pixels from the first tap to the last one, both included (GEO-3).

    Parameters
    ----------
    taps, dilation : int
        As of `Axis`.

    Returns
    -------
    int
        ``(taps - 1) * dilation + 1``.
    """
    return (taps - 1) * dilation + 1


def same_padding(size: int, taps: int, stride: int, dilation: int) -> tuple[int, int]:
    """Give the padding with which an axis has ceil(size / stride) outputs (GEO-7).

    Parameters
    ----------
    size, taps, stride, dilation : int
        As of `Axis`.

    Returns
    -------
    before, after : int
        TensorFlow's rule: the odd pixel goes after.
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + extent(taps, dilation) - size, 0)
    return total // 2, total - total // 2


def valid_padding(size: int, taps: int, stride: int, dilation: int) -> tuple[int, int]:  # noqa: ARG001
    """Give the padding of an axis that has none (GEO-4).

    Parameters
    ----------
    size, taps, stride, dilation : int
        As of `Axis`.

    Returns
    -------
    before, after : int
        Zero.
    """
    return 0, 0


# The rule of each word that a padding can be.
WORDS: Mapping[str, Callable[[int, int, int, int], tuple[int, int]]] = {
    "same": same_padding,
    "valid": valid_padding,
}


def padding_of(
    padding: Padding, axis: int, size: int, taps: int, stride: int, dilation: int
) -> tuple[int, int]:
    """Give the pixels of padding on the two sides of one axis (GEO-4 to GEO-7).

    Parameters
    ----------
    padding : "same", "valid", int or ((top, bottom), (left, right))
        As a call has it.
    axis : int
        0 for the vertical axis, 1 for the horizontal one.
    size, taps, stride, dilation : int
        As of `Axis`.

    Returns
    -------
    before, after : int
    """
    if isinstance(padding, str):
        return WORDS[padding](size, taps, stride, dilation)
    return padding[axis] if isinstance(padding, tuple) else (padding, padding)


def axes(
    sizes: tuple[int, int],
    taps: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    padding: Padding,
) -> tuple[Axis, Axis]:
    """Give both axes of a call.

    Parameters
    ----------
    sizes, taps, strides, dilations : (int, int)
        Vertical and horizontal, as of `Axis`.
    padding : "same", "valid", int or ((top, bottom), (left, right))
        As a call has it.

    Returns
    -------
    vertical, horizontal : Axis

    Examples
    --------
    >>> from refimpl.geometry import axes
    >>> vertical, horizontal = axes((224, 112), (7, 7), (2, 2), (1, 1), "same")
    >>> vertical.outputs, horizontal.outputs, vertical.before, vertical.after
    (112, 56, 2, 3)
    """
    both = ((sizes[axis], taps[axis], strides[axis], dilations[axis]) for axis in (0, 1))
    vertical, horizontal = (
        Axis(*numbers, *padding_of(padding, axis, *numbers)) for axis, numbers in enumerate(both)
    )
    return vertical, horizontal
