"""The operator within `Involution2d` of Holocron (the package ``pylocron``), as it is published.

The layer's own unfolding, product and sum; only its generated kernel is replaced by a given one. It
trusts its arguments. What is claimed is what its arguments say, for images whose sizes the stride
divides: the pixels that are left over reach no kernel, since its pooling drops them.
"""

import importlib
import importlib.util
import sys
from importlib import metadata
from typing import Any

from conformance import adapt

# Its module alone: what else the package imports (torchvision and more) has no part in it.
if "holocron" not in sys.modules and (found := importlib.util.find_spec("holocron")):
    sys.modules["holocron"] = importlib.util.module_from_spec(found)
layers = importlib.import_module("holocron.nn")

FORM = adapt.Form(
    x="b c h w",
    kernel="b (g u v) h w",
    passes={
        "in_channels": "channels",
        # One hidden channel: what generates the kernel is not asked, and needs no C * C weights.
        "reduction_ratio": "channels",
        **{name: name for name in ("kernel_size", "padding", "stride", "groups", "dilation")},
    },
    scalars=True,
)
capabilities: dict[str, Any] = {
    "group_layouts": "blocked",
    "ragged": False,
    "empty_batch": False,
    # Products are rounded to the format of the operands, and dx is added up in it.
    "accumulator": {"float16": "float16", "bfloat16": "bfloat16"},
    "validates": False,
}
operator = adapt.torch_layer(
    layers.Involution2d, generator="span", form=FORM, capabilities=capabilities
)
capabilities = operator.capabilities
forward, backward = operator.forward, operator.backward
jvp, double_backward = operator.jvp, operator.double_backward
environment = operator.environment
for package in metadata.packages_distributions().get("holocron", [])[:1]:
    environment = f"{package} {metadata.version(package)}, {environment}"
