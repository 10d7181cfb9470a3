"""
A map, recovered from a certificate
===================================

How the judge sees what a wrong operator reads. It asks one question whose answer names, for every
output, the pixels that were read and the kernel entry that each of them met.
"""

# %%
# Sample number p of the image is one at pixel p, and zero elsewhere. The kernel's entries are all
# different integers. Whatever number an output answers in sample p is the entry that met pixel p.
# This is the certificate; two calls of such a kind, for y and for the gradients, decide a geometry
# completely.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from pictures import FAINT, GROUPS

from conformance.mutants.operator.conventions import VerticalStrideForBoth
from refimpl import involution

HEIGHT, WIDTH, TAPS, STRIDE = 5, 9, 3, (1, 2)
pixels = HEIGHT * WIDTH
images = np.eye(pixels, dtype=np.float32).reshape(pixels, HEIGHT, WIDTH, 1)
outputs = -(-HEIGHT // STRIDE[0]), -(-WIDTH // STRIDE[1])
entries = np.arange(1, 1 + np.prod(outputs) * TAPS**2, dtype=np.float32)
kernel = entries.reshape(1, *outputs, TAPS, TAPS, 1)
kernel = np.broadcast_to(kernel, (pixels, *kernel.shape[1:]))


def asked(operator):
    """Give what each output answers of each pixel: (pixel row, pixel column, i, j)."""
    y = operator.forward(images, kernel, stride=STRIDE)
    return np.asarray(y, float)[..., 0].reshape(HEIGHT, WIDTH, *outputs)


def tap_of(answer, output):
    """Read the tap (u, v) from an answer."""
    number = int(answer) - 1 - (output[0] * outputs[1] + output[1]) * TAPS**2
    return divmod(number, TAPS)


# %%
# The operator that is asked takes the vertical stride for both axes: the lower picture. The upper
# one shows what is due, which is what the oracle reads.

answers = {"due": asked(involution), "read": asked(VerticalStrideForBoth())}
shown = [(2, 1), (2, 4)]
figure, axes = plt.subplots(2, 1, figsize=(8, 6.4), layout="constrained")
for axis, (name, answer) in zip(axes, answers.items(), strict=True):
    for row, column in np.ndindex(HEIGHT, WIDTH):
        axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fc="white", ec=FAINT, lw=0.8))
    for colour, output in zip(GROUPS, shown, strict=False):
        for row, column in np.argwhere(answer[:, :, *output]):
            u, v = tap_of(answer[row, column, *output], output)
            axis.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, fc=colour, ec=FAINT, lw=0.8, alpha=0.85)
            )
            axis.text(column, row, f"({u}, {v})", ha="center", va="center", fontsize=9)
    axis.set(xlim=(-0.6, WIDTH - 0.4), ylim=(HEIGHT - 0.4, -0.6), aspect="equal")
    axis.set(xticks=range(WIDTH), yticks=range(HEIGHT), xlabel="column of x", ylabel="row of x")
    axis.set_title(f"{name}: the tap that each pixel met, for outputs (2, 1) and (2, 4)")
    axis.tick_params(length=0)
plt.show()

# %%
# The second output begins three columns later than the first in the lower picture, and should begin
# six columns later. A list of the columns that were read is enough to fit a formula to them:

j, v, columns = [], [], []
for row, column, *output in np.argwhere(answers["read"]):
    tap = tap_of(answers["read"][row, column, *output], output)
    j.append(output[1])
    v.append(tap[1])
    columns.append(column)
factors = np.stack([j, v, np.ones_like(j)], 1)
fitted, *_ = np.linalg.lstsq(factors, columns, rcond=None)
print("column = {:.3g} * j + {:.3g} * v {:+.3g}".format(*fitted))

# %%
# Due is ``column = 2 * j + 1 * v - 1``. What the explainer does with such a map is more careful: it
# tries formulas made of the sizes, strides and paddings of many calls, keeps the simplest that
# agrees with all of them, and must then foretell answers that it has not seen. :doc:`/explanation`
# has the steps.
