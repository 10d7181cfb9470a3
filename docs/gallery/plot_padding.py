"""
Padding, seen from both sides
=============================

How many taps of an output lie inside of the image, and how many outputs read a pixel. With a stride
of 2 and an even size, three rules of padding that agree in shape, or nearly so, read different
pixels.
"""

# %%
# With an image and kernels of ones, ``forward`` counts the taps that lie inside of the image, and
# ``dx`` counts the windows that read each pixel.

import matplotlib.pyplot as plt
import numpy as np
from pictures import grid

from refimpl import involution
from refimpl.geometry import axes as axes_of

SIZE, TAPS, STRIDE = 8, 3, 2
x = np.ones((1, SIZE, SIZE, 1))
colours = plt.get_cmap("Blues")


def counts(padding):
    """Count taps inside by output, and reads by pixel."""
    vertical, horizontal = axes_of((SIZE, SIZE), (TAPS, TAPS), (STRIDE, STRIDE), (1, 1), padding)
    kernel = np.ones((1, vertical.outputs, horizontal.outputs, TAPS, TAPS, 1))
    options = {"stride": STRIDE, "padding": padding}
    y = involution.forward(x, kernel, **options)
    dx, _ = involution.backward(np.ones_like(y), x, kernel, **options)
    return y[0, ..., 0], dx[0, ..., 0]


figure, axes = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
rules = {"same, the odd pixel after": "same", "of 1 pixel on each side": 1, "valid": "valid"}
for column, (name, padding) in zip(axes.T, rules.items(), strict=True):
    y, dx = counts(padding)
    # Light shades, on which black digits can be read.
    grid(column[0], y, f"padding {name}\ntaps inside, by output", colours(y / 18))
    grid(column[1], dx, "outputs that read a pixel", colours(dx / 8))
plt.show()

# %%
# The first two have four rows and four columns of outputs, and the shapes say nothing. But "same"
# lacks taps at the bottom and on the right (its one pixel of padding is there), the other rule at
# the top and on the left. Without padding the last row and the last column are read by nobody:
# their gradient is zero, which clause GRD-5 demands.
