"""The operator within `Inv2d` of the package ``involution-pytorch``, as it is published.

The layer's own unfolding, product and sum; only its generated kernel is replaced by a given one. It
trusts its arguments. What is claimed is what its code is written for: odd square kernels, padding
of (K - 1) // 2 pixels, channels per group, and strides that divide the image, which it pools by.
"""

from importlib import metadata
from typing import Any

from involution_pytorch import Inv2d

from conformance import adapt

FORM = adapt.Form(
    x="b c h w",
    kernel="b (g u v) h w",
    passes={
        "group_ch": "group_channels",
        # One hidden channel: what generates the kernel is not asked.
        "red_ratio": "channels",
        **{name: name for name in ("channels", "kernel_size", "stride")},
    },
    scalars=True,
)
capabilities: dict[str, Any] = {
    "kernel_shapes": "odd square",
    "paddings": "half",
    "group_layouts": "blocked",
    "ragged": False,
    "empty_batch": False,
    "accumulator": {"float16": "float16", "bfloat16": "bfloat16"},
    "validates": False,
}
operator = adapt.torch_layer(Inv2d, generator="span", form=FORM, capabilities=capabilities)
capabilities = operator.capabilities
forward, backward = operator.forward, operator.backward
jvp, double_backward = operator.jvp, operator.double_backward
environment = operator.environment
for package in metadata.packages_distributions().get("involution_pytorch", [])[:1]:
    environment = f"{package} {metadata.version(package)}, {environment}"
