"""What is timed: shapes, operands, and the work that one call on each does by definition.

Knows no implementation and measures nothing.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# The largest magnitude of the operands' integers. A sum of 7 * 7 or of 16 products is then below
# 2^24, so that every partial sum is exact in float32 whatever the order (NUM-1).
LARGEST = 8


class Operands(NamedTuple):
    """The operands of one forward and one backward pass, float32."""

    x: Array
    kernel: Array
    dy: Array


@dataclass(frozen=True)
class Workload:
    """One problem: stride 1, padding "same", so that the output has the size of the input.

    Attributes
    ----------
    name : str
        Where the shape comes from.
    batch, size, channels : int
        x is (batch, size, size, channels).
    taps, groups : int
        kernel is (batch, size, size, taps, taps, groups).
    rounds : int
        How often each rival is timed on it; few, since the slowest calls take seconds.
    """

    name: str
    batch: int
    size: int
    channels: int
    taps: int
    groups: int
    rounds: int

    def operands(self) -> Operands:
        """Draw integers, the same ones every time."""
        random = np.random.default_rng(2021)
        image = (self.batch, self.size, self.size)

        def draw(*shape: int) -> Array:
            return random.integers(-LARGEST, LARGEST, shape, endpoint=True).astype(np.float32)

        return Operands(
            draw(*image, self.channels),
            draw(*image, self.taps, self.taps, self.groups),
            draw(*image, self.channels),
        )

    def flops(self, *, backward: bool) -> int:
        """Floating-point operations: 2 for each multiply-add, padded taps counted in.

        The forward pass has one multiply-add for each output element and tap; each of the two
        products of the backward pass has as many.
        """
        forward = 2 * self.batch * self.size**2 * self.channels * self.taps**2
        return 3 * forward if backward else forward

    def traffic(self, *, backward: bool) -> int:
        """Bytes that must move: each pass reads its operands once and writes its results once.

        Forward reads x and kernel and writes y; backward reads dy, x and kernel and writes dx and
        dkernel. Nothing is assumed to stay in a cache between the passes.
        """
        image = 4 * self.batch * self.size**2 * self.channels
        kernel = 4 * self.batch * self.size**2 * self.taps**2 * self.groups
        forward = 2 * image + kernel
        return forward + 3 * image + 2 * kernel if backward else forward

    def __str__(self) -> str:
        """Name and shape, as the tables show them."""
        shape = "x".join(map(str, (self.batch, self.size, self.size, self.channels)))
        return f"{self.name} {shape} K{self.taps} G{self.groups}"


# The first is the input of the published Keras example's training step. The others are the four
# stages of RedNet-50 (Li et al. 2021, table 1) at 224 x 224 pixels, 16 channels a group, with a
# batch of 8: the rivals that materialise patches must fit into a few gigabytes.
WORKLOADS = (
    Workload("keras-example", batch=32, size=256, channels=3, taps=5, groups=1, rounds=3),
    Workload("rednet-stage1", batch=8, size=56, channels=64, taps=7, groups=4, rounds=5),
    Workload("rednet-stage2", batch=8, size=28, channels=128, taps=7, groups=8, rounds=5),
    Workload("rednet-stage3", batch=8, size=14, channels=256, taps=7, groups=16, rounds=5),
    Workload("rednet-stage4", batch=8, size=7, channels=512, taps=7, groups=32, rounds=5),
)
