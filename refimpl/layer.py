"""The whole layer, forward and backward: kernel generation around the oracle's operator.

In float64 and plain NumPy, each step as chapter LAY of the specification has it. It is no layer to
train with (that is `refimpl.keras.Involution`): it is what a layer is compared with.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refimpl import _generator as generator
from refimpl import involution
from refimpl._layer_config import STATISTICS, Config, check_parameters, keras_example, official
from refimpl._validation import FORMATS

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
        An operand of another dtype (LAY-18, ERR-9).
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
    trace = _trace(x, parameters, config, training=training)
    given = trace.parameters
    gradient = _wide("dy", dy)
    dx, dkernel = involution.backward(gradient, trace.x, trace.kernel, **config.options)
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
    dx = dx + generator.pool_vjp(dpooled, trace.number, *trace.windows, trace.x)
    names = config.shapes(trace.x.shape[3])
    return dx, {name: found[name] for name in names if name in found}


def _trace(x: Any, parameters: Mapping[str, Any], config: Config, *, training: bool) -> _Trace:
    """Compute all that comes before the operator."""
    wide = _wide("x", x)
    _check(wide, config)
    check_parameters(parameters, config, wide.shape[3])
    given = {name: np.asarray(value).astype(np.float64) for name, value in parameters.items()}
    windows = tuple(
        generator.windows(size, stride, config.pooling)
        for size, stride in zip(wide.shape[1:3], config.strides, strict=True)
    )
    if min(axis.outputs for axis in windows) < 1:
        raise ValueError(
            "pooling must leave at least one window a row and column (LAY-4), "
            f"got x of shape {wide.shape} and stride = {config.stride}"
        )
    pooled, number = generator.pool(wide, windows[0], windows[1])
    z = h = generator.pointwise(pooled, given["reduce_kernel"], given.get("reduce_bias"))
    normalised = None
    if config.normalise:
        if training and h[..., 0].size <= config.unbiased_moving_variance:
            least = 2 if config.unbiased_moving_variance else 1
            raise ValueError(
                f"x must give at least {least} pixels to take statistics of in training mode "
                f"(LAY-12), got x of shape {wide.shape}"
            )
        moving = given["moving_mean"], given["moving_variance"]
        mean, variance = generator.statistics(h) if training else moving
        normalised = generator.normalise(
            h, given["gamma"], given["beta"], mean, variance, config.epsilon
        )
        z = normalised.z
    a = np.maximum(z, 0.0)
    entries = generator.pointwise(a, given["expand_kernel"], given.get("expand_bias"))
    kernel = generator.arrange(entries, config.taps, config.groups, config.kernel_order)
    _check_grid(wide, kernel, config)
    return _Trace(wide, given, (windows[0], windows[1]), pooled, number, normalised, z, a, kernel)


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


def _wide(name: str, value: Any) -> Floats:
    array = np.asarray(value)
    if array.dtype.name not in FORMATS:
        raise TypeError(f"{name} must be of dtype {', '.join(FORMATS)} (ERR-9), got {array.dtype}")
    if array.ndim != 4:
        raise ValueError(
            f"{name} must have rank 4, shape (B, H, W, C) (ERR-1), got shape {array.shape}"
        )
    return array.astype(np.float64)


def _check(x: Floats, config: Config) -> None:
    if 0 in x.shape[1:]:
        raise ValueError(f"x must have H, W and C of at least 1 (ERR-3), got shape {x.shape}")
    if x.shape[3] % config.groups:
        raise ValueError(
            "groups must divide the channels C of x (ERR-3), "
            f"got groups = {config.groups} and C = {x.shape[3]}"
        )


def _check_grid(x: Floats, kernel: Floats, config: Config) -> None:
    """Say in the layer's words what the operator would refuse (LAY-6)."""
    due = config.grid(*x.shape[1:3])
    if min(due) > 0 and kernel.shape[1:3] != due:
        raise ValueError(
            f"pooling must give the output grid (Ho, Wo) = {due} (LAY-6), got "
            f"{kernel.shape[1:3]} from x of shape {x.shape}, stride = {config.stride} "
            f"and pooling = {config.pooling!r}"
        )
