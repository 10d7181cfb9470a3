"""The whole layer, forward and backward: kernel generation around the oracle's operator.

In float64 and plain NumPy, each step as chapter LAY of the specification has it. The operator's
sums are exact and rounded once (NUM-5); every other step rounds as float64 does. It is no layer to
train with (that is `refimpl.keras.Involution`): it is what a layer is compared with.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refimpl import _generator as generator
from refimpl import involution
from refimpl._layer_config import STATISTICS, Config, keras_example, official
from refimpl._parameters import check_parameters
from refimpl._shown import shown
from refimpl._validation import addressable, operand, some_pixels, switch

__all__ = [
    "STATISTICS",
    "Config",
    "Forward",
    "backward",
    "capabilities",
    "forward",
    "keras_example",
    "official",
]

Floats = npt.NDArray[np.float64]

# What the conformance suite needs to know to judge the reference like any other layer.
capabilities: dict[str, Any] = {
    "result": "float64",
    "accumulator": "float64",
    "gradual_underflow": True,
}


class Forward(NamedTuple):
    """What a layer answers.

    Attributes
    ----------
    y : ndarray of float64, shape (B, Ho, Wo, C)
        Output (LAY-2).
    kernel : ndarray of float64, shape (B, Ho, Wo, Kh, Kw, G)
        Generated kernels (LAY-11).
    moving : dict of str to ndarray of float64
        ``moving_mean`` and ``moving_variance`` after the call (LAY-12); empty without
        normalisation.
    """

    y: Floats
    kernel: Floats
    moving: dict[str, Floats]


class _Trace(NamedTuple):
    """All values of one forward pass."""

    x: Floats
    parameters: dict[str, Floats]
    windows: tuple[generator.Windows, generator.Windows]
    pooled: Floats
    number: Floats
    normalised: generator.Normalised | None
    z: Floats
    a: Floats
    kernel: Floats


def forward(
    x: npt.ArrayLike,
    parameters: Mapping[str, npt.ArrayLike],
    config: Config,
    *,
    training: bool = False,
) -> Forward:
    """Generate a kernel for each output pixel from the input, and apply it.

    Parameters
    ----------
    x : array_like, shape (B, H, W, C)
        Input, channels last; float16, bfloat16, float32 or float64.
    parameters : mapping of str to array_like
        Those that ``config.shapes(C)`` names, in these shapes (LAY-1), each in one of the four
        formats.
    config : Config
        What the layer computes.
    training : bool, default False
        Normalise by the statistics of this batch, and move the moving ones towards them
        (LAY-8, LAY-12).

    Returns
    -------
    Forward
        ``y``, ``kernel`` and ``moving``, in float64.

    Raises
    ------
    TypeError
        An operand of another dtype or masked, parameters that are no mapping, a `config` that is
        no Config (LAY-1, LAY-18, ERR-9).
    ValueError
        An `x` not of rank 4 or with H, W or C of zero (ERR-1, ERR-3), parameters that the
        configuration does not ask for (LAY-1), a generated grid that is not the output grid
        (LAY-6); in training mode an empty batch, or a single pixel where the unbiased variance is
        asked for (LAY-12).

    Notes
    -----
    Specification: chapter LAY. Source: Li et al., CVPR 2021, arXiv 2103.06255, section 3; the
    generators of the official code and of the Keras example.

    Examples
    --------
    >>> import numpy as np
    >>> from refimpl import layer
    >>> config = layer.keras_example(channel=3, group_number=1, kernel_size=3, reduction_ratio=2)
    >>> parameters = {name: np.ones(shape) for name, shape in config.shapes(3).items()}
    >>> layer.forward(np.ones((1, 4, 4, 3)), parameters, config).y.shape
    (1, 4, 4, 3)
    """
    # What overflows is infinite, as in the operator; NumPy would warn of it.
    with np.errstate(all="ignore"):
        training = switch("training", training)
        trace = _trace(x, parameters, config, training=training)
        y = involution.forward(trace.x, trace.kernel, **config.options)
        return Forward(y, trace.kernel, _moving(trace, config, training=training))


def backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    parameters: Mapping[str, npt.ArrayLike],
    config: Config,
    *,
    training: bool = False,
) -> tuple[Floats, dict[str, Floats]]:
    """Return the gradients with respect to the input and to each parameter.

    Parameters
    ----------
    dy : array_like, shape (B, Ho, Wo, C)
        Gradient with respect to ``y`` of ``forward(x, parameters, config, training=training)``.
    x, parameters, config, training
        As for `forward`. In training mode the gradient flows through the batch's statistics
        (LAY-15).

    Returns
    -------
    dx : ndarray of float64, shape (B, H, W, C)
        Through the operator and through the generator (LAY-13).
    dparameters : dict of str to ndarray of float64
        For each parameter but the moving statistics, in its shape (LAY-14).

    Raises
    ------
    TypeError, ValueError
        As `forward`, and for a `dy` whose shape is not that of y (ERR-4).
    """
    with np.errstate(all="ignore"):
        training = switch("training", training)
        gradient = operand("dy", dy).astype(np.float64)
        trace = _trace(x, parameters, config, training=training)
        dx, found = _pulled_back(gradient, trace, config, training=training)
    names = config.shapes(trace.x.shape[3])
    return dx, {name: found[name] for name in names if name in found}


def _pulled_back(
    dy: Floats, trace: _Trace, config: Config, *, training: bool
) -> tuple[Floats, dict[str, Floats]]:
    given = trace.parameters
    dx, dkernel = involution.backward(dy, trace.x, trace.kernel, **config.options)
    dentries = generator.arrange_vjp(dkernel, config.kernel_order)
    da, dexpand, dexpand_bias = generator.pointwise_vjp(dentries, trace.a, given["expand_kernel"])
    found = {"expand_kernel": dexpand, "expand_bias": dexpand_bias}
    dh = generator.relu_vjp(da, trace.z)
    if trace.normalised is not None:
        dh, found["gamma"], found["beta"] = generator.normalise_vjp(
            dh, trace.normalised, given["gamma"], through_statistics=training
        )
    dpooled, found["reduce_kernel"], found["reduce_bias"] = generator.pointwise_vjp(
        dh, trace.pooled, given["reduce_kernel"]
    )
    return dx + generator.pool_vjp(dpooled, trace.number, *trace.windows, trace.x), found


def _trace(x: Any, parameters: Any, config: Config, *, training: bool) -> _Trace:
    """Compute all that comes before the operator."""
    wide, given, windows = _checked(x, parameters, config)
    pooled, number = generator.pool(wide, *windows)
    z = h = generator.pointwise(pooled, given["reduce_kernel"], given.get("reduce_bias"))
    normalised = None
    if config.normalise:
        if training:
            _check_pixels(h, wide, config)
        moving = given["moving_mean"], given["moving_variance"]
        mean, variance = generator.statistics(h) if training else moving
        normalised = generator.normalise(
            h, given["gamma"], given["beta"], mean, variance, config.epsilon
        )
        z = normalised.z
    a = np.maximum(z, 0.0)
    entries = generator.pointwise(a, given["expand_kernel"], given.get("expand_bias"))
    kernel = generator.arrange(entries, config.taps, config.groups, config.kernel_order)
    return _Trace(wide, given, windows, pooled, number, normalised, z, a, kernel)


def _moving(trace: _Trace, config: Config, *, training: bool) -> dict[str, Floats]:
    """Moving statistics after the call (LAY-12)."""
    if trace.normalised is None:
        return {}
    mean, variance = trace.parameters["moving_mean"], trace.parameters["moving_variance"]
    if training:
        pixels = trace.z[..., 0].size
        factor = pixels / (pixels - 1) if config.unbiased_moving_variance else 1.0
        old, new = config.momentum, 1 - config.momentum
        mean = old * mean + new * trace.normalised.mean
        variance = old * variance + new * (trace.normalised.variance * factor)
    return {"moving_mean": mean, "moving_variance": variance}


def _checked(
    x: Any, parameters: Any, config: Config
) -> tuple[Floats, dict[str, Floats], tuple[generator.Windows, generator.Windows]]:
    """Give x and the parameters in float64, and the pooling windows, or refuse the call."""
    if not issubclass(type(config), Config):
        raise TypeError(f"config must be a Config (LAY-18), got {shown(config)}")
    pixels = operand("x", x)
    some_pixels(pixels.shape)
    if pixels.shape[3] % config.groups:
        raise ValueError(
            "groups must divide the channels C of x (ERR-3), "
            f"got groups = {config.groups} and C = {pixels.shape[3]}"
        )
    given = check_parameters(parameters, config, pixels.shape[3])
    vertical, horizontal = (
        generator.windows(size, stride, config.pooling)
        for size, stride in zip(pixels.shape[1:3], config.strides, strict=True)
    )
    if min(vertical.outputs, horizontal.outputs) < 1:
        raise ValueError(
            "pooling must leave at least one window a row and column (LAY-4), "
            f"got x of shape {pixels.shape} and stride = {config.stride}"
        )
    grid = vertical.outputs, horizontal.outputs
    _check_grid(pixels.shape, grid, config)
    for channels in (given["reduce_kernel"].shape[1], given["expand_kernel"].shape[1]):
        addressable("x", (pixels.shape[0], *grid, channels), "lead to")
    return pixels.astype(np.float64), given, (vertical, horizontal)


def _check_pixels(h: Floats, x: Floats, config: Config) -> None:
    least = 2 if config.unbiased_moving_variance else 1
    if h[..., 0].size < least:
        raise ValueError(
            f"x must give at least {least} pixels to take statistics of in training mode "
            f"(LAY-12), got x of shape {x.shape}"
        )


def _check_grid(shape: tuple[int, ...], grid: tuple[int, int], config: Config) -> None:
    """Say in the layer's words what the operator would refuse (LAY-6)."""
    due = config.grid(*shape[1:3])
    if min(due) > 0 and grid != due:
        raise ValueError(
            f"pooling must give the output grid (Ho, Wo) = {due} (LAY-6), got "
            f"{grid} from x of shape {shape}, stride = {config.stride} "
            f"and pooling = {config.pooling!r}"
        )
