"""
Windows, strides and dilations
==============================

Which pixels an output reads. An output multiplies the pixels of its window by the kernel that was
generated for it. The stride says how far apart two windows are, the dilation how far apart the
pixels of one window are.
"""

# %%
# An operator shows by itself what it reads: give it an image with a one at a single pixel, and the
# outputs that are not zero are those that read the pixel. ``backward`` turns it around: a one at a
# single output, and ``dx`` is not zero at the pixels that this output reads.

import matplotlib.pyplot as plt
import numpy as np
from pictures import GROUPS, grid

from refimpl import involution

SIZE = 7
x = np.zeros((1, SIZE, SIZE, 1))


def read(output, stride, dilation):
    """Tell which pixels an output reads, and how many outputs there are."""
    outputs = -(-SIZE // stride)
    kernel = np.ones((1, outputs, outputs, 3, 3, 1))
    dy = np.zeros((1, outputs, outputs, 1))
    dy[0, *output, 0] = 1
    dx, _ = involution.backward(dy, x, kernel, stride=stride, dilation=dilation)
    return dx[0, ..., 0], outputs


figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
for axis, (stride, dilation) in zip(axes, ((1, 1), (2, 1), (1, 2)), strict=True):
    first, outputs = read((1, 1), stride, dilation)
    second, _ = read((1, 2), stride, dilation)
    colours = [["white"] * SIZE for _ in range(SIZE)]
    for row, column in np.ndindex(SIZE, SIZE):
        met = (first[row, column] > 0) + 2 * (second[row, column] > 0)
        colours[row][column] = ("white", GROUPS[0], GROUPS[1], GROUPS[2])[int(met)]
    title = f"stride {stride}, dilation {dilation}\n{outputs} x {outputs} outputs"
    grid(axis, first + second, title, colours)
plt.show()

# %%
# Blue is read by output (1, 1), orange by its neighbour (1, 2), green by both; the numbers say by
# how many. With a stride of 2 the windows share one column. With a dilation of 2 they are as wide
# as five pixels, and share none. There their first row lies above the image, and the first column
# of output (1, 1) to the left of it: zeros are read there.
