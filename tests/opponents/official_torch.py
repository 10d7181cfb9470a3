"""The official layer in PyTorch, in our own words: what `Involution.official` must agree with.

Unfold, two 1x1 convolutions, batch normalisation and average pooling, with the parameter names of
the official code. It is a test's opponent, not something to use.
"""

from typing import Any

import torch
from torch import nn


class OfficialInvolution(nn.Module):  # type: ignore[misc]
    """Involution as its authors laid it out, images (B, C, H, W)."""

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        group_channels: int = 16,
        reduction_ratio: int = 4,
    ) -> None:
        super().__init__()
        hidden, self.groups = channels // reduction_ratio, channels // group_channels
        self.size, self.stride = kernel_size, stride
        self.conv1 = nn.Sequential()
        self.conv1.add_module("conv", nn.Conv2d(channels, hidden, 1, bias=False))
        self.conv1.add_module("bn", nn.BatchNorm2d(hidden))
        self.conv2 = nn.Sequential()
        self.conv2.add_module("conv", nn.Conv2d(hidden, kernel_size**2 * self.groups, 1))
        self.pool = nn.AvgPool2d(stride, stride)
        self.unfold = nn.Unfold(kernel_size, 1, (kernel_size - 1) // 2, stride)

    def forward(self, x: Any) -> Any:
        """Return y."""
        pooled = self.pool(x) if self.stride > 1 else x
        kernel = self.conv2(torch.relu(self.conv1(pooled)))
        batch, _, height, width = kernel.shape
        taps, members = self.size**2, x.shape[1] // self.groups
        kernel = kernel.view(batch, self.groups, 1, taps, height, width)
        patches = self.unfold(x).view(batch, self.groups, members, taps, height, width)
        return (kernel * patches).sum(3).view(batch, x.shape[1], height, width)
