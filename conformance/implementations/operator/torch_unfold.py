"""The operator in PyTorch as most write it: pad, unfold, multiply, sum; gradients by autograd.

Written independently of the oracle. It trusts its arguments.
"""

from typing import Any

from torch.nn.functional import pad, unfold

from conformance import adapt
from conformance.implementations.operator._margins import margins

# Measured: products are rounded to the operands' format, and dx is added up in it.
capabilities: dict[str, Any] = {
    "accumulator": {"float16": "float16", "bfloat16": "bfloat16"},
    "validates": False,
}


def involution(
    x: Any, kernel: Any, *, stride: Any, dilation: Any, padding: Any, group_layout: str
) -> Any:
    """Apply the operator to tensors."""
    strides, dilations = (n if isinstance(n, tuple) else (n, n) for n in (stride, dilation))
    batch, height, width, *taps, groups = kernel.shape
    channels, count = x.shape[3], taps[0] * taps[1]
    (top, bottom), (left, right) = (
        margins(x.shape[1 + axis], taps[axis], strides[axis], dilations[axis], padding, axis)
        for axis in (0, 1)
    )
    image = pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    patches = unfold(image, taps, dilations, stride=strides)
    # Channels in groups: c is g * M + m if blocked, m * G + g if interleaved.
    if group_layout == "blocked":
        members, shared = (groups, channels // groups), (groups, 1)
    else:
        members, shared = (channels // groups, groups), (1, groups)
    patches = patches.reshape(batch, *members, count, height, width)
    weights = kernel.reshape(batch, height, width, count, *shared).permute(0, 4, 5, 3, 1, 2)
    y = (weights * patches).sum(3)
    return y.reshape(batch, channels, height, width).permute(0, 2, 3, 1)


# Transposed operands stay transposed. Compiling takes some ten seconds for each geometry and dtype,
# and the whole suite more than an hour.
eager = adapt.torch(involution, order="K", capabilities=capabilities)
compiled = adapt.torch(involution, compile=True, order="K", capabilities=capabilities)
forward, backward, environment = eager.forward, eager.backward, eager.environment
jvp, double_backward = eager.jvp, eager.double_backward
