"""Layers with the interfaces of two published packages, in our own words, right and wrong.

They stand in for the packages where an adapter is tested, so that what is tested is the adapter:
a right layer of the same interface must conform through it, and a wrong one fail.
"""

from typing import Any

from torch import nn


class Involution2d(nn.Module):  # type: ignore[misc]
    """With the interface of Holocron's: groups by their number, padding as it is told."""

    wrong = False

    def __init__(
        self,
        in_channels: int,
        kernel_size: int,
        padding: int = 0,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        reduction_ratio: float = 1,
    ) -> None:
        super().__init__()
        self.groups, self.stride = groups, stride
        self.patches = nn.Unfold(kernel_size, dilation, padding, stride)
        hidden = int(in_channels // reduction_ratio)
        self.reduce = nn.Conv2d(in_channels, hidden, 1)
        self.span = nn.Conv2d(hidden, groups * kernel_size**2, 1)

    def forward(self, x: Any) -> Any:
        """Return y."""
        kernel = self.span(self.reduce(x[:, :, :: self.stride, :: self.stride]))
        batch, channels = x.shape[:2]
        height, width = kernel.shape[2:]
        each = self.patches(x).reshape(
            batch, self.groups, channels // self.groups, -1, height, width
        )
        weight = kernel.reshape(batch, self.groups, 1, -1, height, width)
        # A matrix product over the axes of the image, in the place of one entry by entry.
        terms = weight @ each if self.wrong else weight * each
        return terms.sum(3).reshape(batch, channels, height, width)


class Inv2d(Involution2d):
    """With the interface of that of ``involution-pytorch``: channels per group, half padding."""

    def __init__(
        self, channels: int, kernel_size: int, stride: int, group_ch: int = 16, red_ratio: int = 2
    ) -> None:
        half, groups = (kernel_size - 1) // 2, channels // group_ch
        super().__init__(channels, kernel_size, half, stride, groups, reduction_ratio=red_ratio)
