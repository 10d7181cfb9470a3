"""Adapter to the official layer in PyTorch: a layer of the official convention, for the judge."""

from collections.abc import Mapping
from typing import Any

import torch

from conformance.adapt import from_torch, to_torch
from refimpl.keras.weights import official_from_parameters, parameters_from_official
from tests.opponents.official_torch import OfficialInvolution

# Measured in the profile nightly: float16 and bfloat16 are not summed in float32 throughout.
capabilities: dict[str, Any] = {
    "conventions": ["official"],
    "accumulator": {"float16": "float16", "bfloat16": "bfloat16"},
    "returns_kernel": False,
}
environment = f"PyTorch {torch.__version__}, cpu, eager"
STATISTICS = ("moving_mean", "moving_variance")


def built(x: Any, parameters: Mapping[str, Any], config: Any, training: bool) -> Any:
    """Build the layer with these parameters."""
    channels, stride = x.shape[3], config.strides[0]
    layer = OfficialInvolution(
        channels,
        config.taps[0],
        stride,
        group_channels=channels // config.groups,
        reduction_ratio=max(1, channels // config.reduced_channels),
    ).to(to_torch(x).dtype)
    state = {name: to_torch(a) for name, a in official_from_parameters(parameters).items()}
    state["conv1.bn.num_batches_tracked"] = torch.tensor(0)
    layer.load_state_dict(state)
    return layer.train(training)


def images(x: Any) -> Any:
    return to_torch(x.transpose(0, 3, 1, 2), requires_grad=True)


def back(y: Any) -> Any:
    return from_torch(y.permute(0, 2, 3, 1))


def forward(
    x: Any, parameters: Mapping[str, Any], config: Any, *, training: bool = False
) -> tuple[Any, None, dict[str, Any]]:
    """Return y and the moving statistics."""
    layer = built(x, parameters, config, training)
    y = layer(images(x))
    state = {name: from_torch(value) for name, value in layer.state_dict().items()}
    after = parameters_from_official(state)
    return back(y), None, {name: after[name] for name in STATISTICS}


def backward(
    dy: Any, x: Any, parameters: Mapping[str, Any], config: Any, *, training: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Return dx and the gradients by our names."""
    layer, pixels = built(x, parameters, config, training), images(x)
    layer(pixels).backward(images(dy).detach())
    found = {name: from_torch(one.grad) for name, one in layer.named_parameters()}
    # The renaming wants statistics too.
    still = {f"conv1.bn.running_{name}": found["conv1.bn.bias"] for name in ("mean", "var")}
    named = parameters_from_official(found | still)
    return back(pixels.grad), {n: a for n, a in named.items() if n not in STATISTICS}
