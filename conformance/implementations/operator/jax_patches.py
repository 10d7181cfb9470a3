"""The operator in JAX: patches of the padded image by one gather, multiplied and summed.

Written independently of the oracle. It trusts its arguments. Patches are not made by a convolution
(`lax.conv_general_dilated_patches`), which would carry a NaN to windows that do not read it.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from conformance import adapt
from conformance.implementations.operator._margins import margins

# Measured: products are rounded to the operands' format.
capabilities: dict[str, Any] = {
    "accumulator": {"float16": "float16", "bfloat16": "bfloat16"},
    "validates": False,
}


def involution(
    x: Any, kernel: Any, *, stride: Any, dilation: Any, padding: Any, group_layout: str
) -> Any:
    """Apply the operator to JAX's arrays."""
    strides, dilations = (n if isinstance(n, tuple) else (n, n) for n in (stride, dilation))
    batch, height, width, *taps, groups = kernel.shape
    sides, positions = [], []
    for axis, length in enumerate((height, width)):
        step, spread = strides[axis], dilations[axis]
        sides.append(margins(x.shape[1 + axis], taps[axis], step, spread, padding, axis))
        # The padded row, or column, under each tap of each output: (length, taps).
        positions.append(np.add.outer(np.arange(length) * step, np.arange(taps[axis]) * spread))
    rows, columns = positions
    image = jnp.pad(x, ((0, 0), *sides, (0, 0)))
    patches = image[:, rows[:, None, :, None], columns[None, :, None, :]]
    # Channels in groups: c is g * M + m if blocked, m * G + g if interleaved. Outputs and taps in
    # one axis each: jaxlib 0.10.2 crashes on some sums of rank 7 (jax-ml/jax#39257).
    outputs, count, members = height * width, taps[0] * taps[1], x.shape[3] // groups
    blocked = group_layout == "blocked"
    split, shared = (
        ((groups, members), (groups, 1)) if blocked else ((members, groups), (1, groups))
    )
    patches = patches.reshape(batch, outputs, count, *split)
    y = (patches * kernel.reshape(batch, outputs, count, *shared)).sum(2)
    return y.reshape(batch, height, width, x.shape[3])


def by_sample(x: Any, kernel: Any, **options: Any) -> Any:
    """Apply the operator to one sample at a time, through `jax.vmap`."""

    def one(image: Any, weights: Any) -> Any:
        return involution(image[None], weights[None], **options)[0]

    return jax.vmap(one)(x, kernel)


eager, jit = (adapt.jax(involution, jit=jit, capabilities=capabilities) for jit in (False, True))
vmap = adapt.jax(by_sample, jit=True, capabilities={**capabilities, "empty_batch": False})
forward, backward, environment = jit.forward, jit.backward, jit.environment
jvp, double_backward = jit.jvp, jit.double_backward
