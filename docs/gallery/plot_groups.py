"""
Groups, blocked and interleaved
===============================

Which channels share a kernel. The paper's code gives neighbouring channels one kernel, the Keras
example every G-th channel. No shape tells the two apart.
"""

# %%
# A kernel of one tap that holds its own group's number, met by an image of ones: the answer is the
# group that each channel uses.

import matplotlib.pyplot as plt
import numpy as np
from pictures import GROUPS, grid

from refimpl import involution

C = 6
figure, axes = plt.subplots(2, 2, figsize=(9, 3), layout="constrained")
for row, groups in zip(axes, (2, 3), strict=True):
    for axis, layout in zip(row, ("blocked", "interleaved"), strict=True):
        kernel = np.arange(groups, dtype=float).reshape(1, 1, 1, 1, 1, groups)
        used = involution.forward(np.ones((1, 1, 1, C)), kernel, group_layout=layout)[0, 0]
        colours = [[GROUPS[int(group)] for group in used[0]]]
        grid(axis, used, f"{layout}, {groups} groups: group of channels 0 to {C - 1}", colours)
plt.show()

# %%
# How wrong is a network whose weights were trained with the other layout? This is the share of its
# channels that keep their kernel:

sizes = [(channels, groups) for channels in (16, 64) for groups in (2, 4, 8, 16)]
share = [
    np.mean(np.arange(channels) // (channels // groups) == np.arange(channels) % groups)
    for channels, groups in sizes
]
figure, axis = plt.subplots(figsize=(9, 2.6), layout="constrained")
axis.bar([f"C = {c}\nG = {g}" for c, g in sizes], share, color="#0072b2")
axis.set(ylabel="channels that keep\ntheir kernel", ylim=(0, 1))
axis.set_title("Trained with one layout, run with the other")
axis.bar_label(axis.containers[0], fmt="{:.1%}")
plt.show()

# %%
# With as many groups as channels (and with one) both layouts are the same: clause GRP-4.
