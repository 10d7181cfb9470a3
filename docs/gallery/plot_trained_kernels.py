"""
Kernels of a trained network
============================

A convolution learns one kernel and uses it at every pixel. An involution learns how to *make* a
kernel from a pixel. Here are kernels that a trained network made.
"""

# %%
# The network is the small classifier of the study, layer for layer that of the Keras example. It
# was trained for 80 epochs to tell tiles of two photographs apart, a temple and a flower
# (``python -m refimpl.keras.study --data photographs --epochs 80``, 2026-11-29). It is right about
# 94 of 100 tiles that it was not trained on. Two of these tiles are shown here, chosen because
# they have both dark and bright pixels; ``docs/kernels.py`` kept the kernels that the network made
# for them. The kernels below are those of the first layer, which sees the image itself. A kernel
# has 3 x 3 entries, and all three channels share it.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from refimpl import involution

kept = np.load(Path("kernels.npz"))
images, kernel = kept["images"], kept["layer_1"].astype(float)  # (image, row, column, tap, 1, 1)

# %%
# There are nine small pictures for each tile, one for each entry of the kernel. Each shows this
# entry at all pixels: blue where the pixel under the tap is subtracted, red where it is added. In a
# convolution, each of the nine would have a single colour.

shade = {"cmap": "RdBu_r", "vmin": -abs(kernel).max(), "vmax": abs(kernel).max()}
figure = plt.figure(figsize=(9, 3.6), layout="constrained")
for part, image, drawn in zip(figure.subfigures(1, 2), images, kernel, strict=True):
    left, right = part.subfigures(1, 2, width_ratios=(1, 1.5))
    axis = left.subplots()
    axis.imshow(image)
    axis.axis("off")
    for tap, axis in enumerate(right.subplots(3, 3).flat):
        last = axis.imshow(drawn[..., tap, 0, 0], **shade)
        axis.set_title(f"tap {divmod(tap, 3)}", fontsize=8)
        axis.axis("off")
    right.colorbar(last, ax=right.axes, shrink=0.7)
plt.show()

# %%
# All dark pixels have one and the same kernel, as in a convolution. The kernels of bright pixels
# differ from it the more the brighter the pixel is, but always in the same direction. The reason is
# how this small layer makes a kernel: it computes a single number from the three channels of the
# pixel, and a ReLU makes this number zero for the dark ones. All nine entries follow from it. The
# first line of the output below tests that; the second compares all kernels with that of a dark
# pixel, at the top right of the second tile:

flat = kernel.reshape(-1, 9)
_, sizes, _ = np.linalg.svd(flat - flat.mean(0))
print("one number explains", (sizes[0] ** 2 / (sizes**2).sum()).round(4), "of what varies")
same = (abs(flat - kernel[1, 0, -1].ravel()) < 1e-3).all(1).reshape(kernel.shape[:3])
print("pixels with the kernel of the dark:", same.mean((1, 2)).round(2))

# %%
# What does it do that a convolution could not? Below are the layer's answer for the first tile,
# and the answer with the kernel of the dark pixels at every pixel: one operator, two kernels.

x = images[:1].astype(float) / 255
own = kernel[:1].reshape(1, 32, 32, 3, 3, 1)
dark = np.ascontiguousarray(np.broadcast_to(kernel[1, 0, -1].reshape(3, 3, 1), own.shape))
answers = {"a kernel for each pixel": own, "one kernel for all pixels": dark}
answers = {name: involution.forward(x, some)[0] for name, some in answers.items()}
low, high = np.min(list(answers.values())), np.max(list(answers.values()))
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
axes[0].imshow(images[0])
axes[0].set_title("the image", fontsize=9)
for axis, (name, y) in zip(axes[1:], answers.items(), strict=True):
    axis.imshow((y - low) / (high - low))
    axis.set_title(name, fontsize=9)
for axis in axes:
    axis.axis("off")
plt.show()

# %%
# With a kernel for each pixel the sky is separated from the trees; with one kernel for all pixels
# they are hardly told apart.
