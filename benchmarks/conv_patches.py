"""The operator in JAX with the patches of its own library function, multiplied and summed.

`jax.lax.conv_general_dilated_patches` is what most write in JAX. It is timed and not judged: it
makes patches by a convolution, which carries a NaN to windows that do not read it.
"""

from typing import Any

import jax


def involution(
    x: Any, kernel: Any, *, stride: Any, dilation: Any, padding: Any, group_layout: str
) -> Any:
    """Apply the operator to JAX's arrays; padding is "same" or "valid"."""
    strides, dilations = (n if isinstance(n, tuple) else (n, n) for n in (stride, dilation))
    batch, height, width, *taps, groups = kernel.shape
    patches = jax.lax.conv_general_dilated_patches(
        x,
        taps,
        strides,
        padding.upper(),
        rhs_dilation=dilations,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    # Patches lie as (C, Kh * Kw). Channel c is g * M + m if blocked, m * G + g if interleaved.
    channels, count = x.shape[3], taps[0] * taps[1]
    members, outputs = channels // groups, height * width
    blocked = group_layout == "blocked"
    split, shared = (
        ((groups, members), (groups, 1)) if blocked else ((members, groups), (1, groups))
    )
    patches = patches.reshape(batch, outputs, *split, count)
    weights = kernel.reshape(batch, outputs, count, groups).swapaxes(2, 3)
    y = (patches * weights.reshape(batch, outputs, *shared, count)).sum(4)
    return y.reshape(batch, height, width, channels)
