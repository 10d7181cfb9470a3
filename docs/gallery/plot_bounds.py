"""
Error against bound
===================

Every element has a bound of its own. A right operator stays below the line, whatever its
arithmetic. One that forgets a tap does not, though the weights of that tap are a thousandth of the
others.
"""

# %%
# The bound of an element is derived from the format, the number of products and their sizes (see
# :doc:`/bounds`). Here are a float32 operator, a float16 operator that rounds after each step, and
# a float32 operator that forgets the last tap of 7 x 7.

import matplotlib.pyplot as plt
import numpy as np

from refimpl import involution

rng = np.random.default_rng(0)
TAPS = 7
x = 30 * rng.standard_normal((1, 24, 24, 8), dtype=np.float32)
# Neighbourhoods of very different size, as images have them.
x *= 2.0 ** rng.integers(-8, 3, (1, 24, 24, 1)).astype(np.float32)
kernel = rng.standard_normal((1, 24, 24, TAPS, TAPS, 1), dtype=np.float32)
kernel[:, :, :, -1, -1] *= 1e-3


def shifted(x, kernel, left_out=()):
    """Add one tap after the other, in the format of the operands."""
    image = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)))
    y = np.zeros_like(x)
    for u, v in np.ndindex(TAPS, TAPS):
        if (u, v) not in left_out:
            y += image[:, u : u + 24, v : v + 24] * kernel[:, :, :, u, v]
    return y


def bound(x, kernel, unit):
    """Give gamma_n times the sum of the absolute products, and the last rounding."""
    n = TAPS * TAPS + 1
    return n * unit / (1 - n * unit) * involution.forward(abs(x), abs(kernel))


x16, kernel16 = x.astype(np.float16), kernel.astype(np.float16)
shown = {
    "float32": (shifted(x, kernel), x, kernel, 2.0**-24, "#0072b2", "o"),
    "float16, rounded at each step": (
        shifted(x16, kernel16), x16, kernel16, 2.0**-11, "#009e73", "s",
    ),
    "float32, the last tap forgotten": (
        shifted(x, kernel, [(6, 6)]), x, kernel, 2.0**-24, "#d55e00", "x",
    ),
}  # fmt: skip
figure, axis = plt.subplots(figsize=(8, 5.5), layout="constrained")
for name, (y, image, weights, unit, colour, marker) in shown.items():
    error = abs(y.astype(float) - involution.forward(image, weights))
    allowed = bound(image, weights, unit)
    kept = error > 0
    axis.scatter(
        allowed[kept], error[kept], s=8, alpha=0.6, color=colour, marker=marker, lw=0.8,
        label=f"{name}: {np.mean(error <= allowed):.0%} within the bound",
    )  # fmt: skip
ends = np.array(axis.get_xlim())
ends[0] = 1e-5
axis.plot(ends, ends, color="black", lw=1)
axis.text(1.2e-2, 3e-2, "error = bound", rotation=26)
axis.set(xscale="log", yscale="log", xlabel="bound of the element", ylabel="its error")
axis.set_title("Errors of three operators against their bounds, element by element")
axis.legend(loc="lower right")
plt.show()

# %%
# The two right ones lie below the line. The wrong one crosses it, though its largest error is
# smaller than that of correct half precision: no absolute tolerance accepts the one and rejects
# the other.
