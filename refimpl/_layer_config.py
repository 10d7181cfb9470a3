"""What a layer is made of: its configuration, its parameters, the two named conventions.

Checks and arithmetic on sizes only (specification chapter LAY); no value is computed here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from refimpl._validation import FORMATS, GROUP_LAYOUTS, integer, pair, sides_of
from refimpl.geometry import Axis

Array = npt.NDArray[Any]
Pair = int | tuple[int, int]
Padding = str | int | tuple[tuple[int, int], tuple[int, int]]
# What is given to `forward` beside those for which there is a gradient.
STATISTICS = ("moving_mean", "moving_variance")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a layer computes, its parameters apart.

    Attributes
    ----------
    kernel_size : int or (int, int)
        Kh and Kw.
    groups : int
        G; divides the channels C of the input (GRP-1).
    reduced_channels : int
        R, the channels of the generator's hidden part (LAY-1).
    stride, dilation, padding, group_layout
        The operator's (LAY-2).
    pooling : "same", "valid" or "none", default "same"
        How the input is brought to the grid of the output (LAY-3 to LAY-5).
    kernel_order : "tap_major" or "group_major", default "tap_major"
        Whether a generated channel is ``tap * G + group`` (the Keras example) or
        ``group * Kh * Kw + tap`` (the official code) (LAY-11).
    reduce_bias, expand_bias : bool, default True
        Whether the two 1x1 convolutions have a bias (LAY-7, LAY-10).
    normalise : bool, default True
        Whether there is batch normalisation (LAY-8).
    epsilon : float, default 1e-3
        What is added to the variance (LAY-8).
    momentum : float, default 0.99
        Weight of the old moving statistics (LAY-12); PyTorch's momentum is one minus this.
    unbiased_moving_variance : bool, default False
        Whether the moving variance takes in n / (n - 1) times the batch's variance (LAY-12).

    Raises
    ------
    TypeError, ValueError
        For what none of this could mean (LAY-18).
    """

    kernel_size: Pair
    groups: int
    reduced_channels: int
    stride: Pair = 1
    dilation: Pair = 1
    padding: Padding = "same"
    group_layout: Literal["blocked", "interleaved"] = "interleaved"
    pooling: Literal["same", "valid", "none"] = "same"
    kernel_order: Literal["tap_major", "group_major"] = "tap_major"
    reduce_bias: bool = True
    expand_bias: bool = True
    normalise: bool = True
    epsilon: float = 1e-3
    momentum: float = 0.99
    unbiased_moving_variance: bool = False

    def __post_init__(self) -> None:
        for name in ("kernel_size", "stride", "dilation"):
            pair(name, getattr(self, name))
        for name in ("groups", "reduced_channels"):
            value = getattr(self, name)
            if integer(name, value, "a positive integer (LAY-18)", value) < 1:
                raise ValueError(f"{name} must be a positive integer (LAY-18), got {value!r}")
        # Any sizes will do: whether the padding is one is what is asked.
        sides_of(self.padding, (1, 1), (1, 1), (1, 1), (1, 1))
        self._check_choices()
        self._check_numbers()

    def _check_choices(self) -> None:
        choices: dict[str, tuple[object, ...]] = {
            "group_layout": GROUP_LAYOUTS,
            "pooling": ("same", "valid", "none"),
            "kernel_order": ("tap_major", "group_major"),
        }
        switches = ("reduce_bias", "expand_bias", "normalise", "unbiased_moving_variance")
        for name, allowed in (choices | dict.fromkeys(switches, (True, False))).items():
            value = getattr(self, name)
            if not isinstance(value, str | bool) or value not in allowed:
                words = " or ".join(map(repr, allowed))
                raise ValueError(f"{name} must be {words} (LAY-18), got {value!r}")

    def _check_numbers(self) -> None:
        for name, most in (("epsilon", math.inf), ("momentum", 1.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
                raise TypeError(f"{name} must be a number (LAY-18), got {value!r}")
            if not (0 <= value <= most and math.isfinite(value)):
                limits = "at least 0" if name == "epsilon" else "between 0 and 1"
                raise ValueError(f"{name} must be {limits} (LAY-18), got {value!r}")

    @property
    def taps(self) -> tuple[int, int]:
        """Kh and Kw."""
        return pair("kernel_size", self.kernel_size)

    @property
    def strides(self) -> tuple[int, int]:
        """Vertical and horizontal stride."""
        return pair("stride", self.stride)

    @property
    def options(self) -> dict[str, Any]:
        """The operator's options."""
        names = ("stride", "dilation", "padding", "group_layout")
        return {name: getattr(self, name) for name in names}

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Give the output grid (Ho, Wo) of an image (GEO-3)."""
        sizes, taps, strides = (height, width), self.taps, self.strides
        dilations = pair("dilation", self.dilation)
        sides = sides_of(self.padding, sizes, taps, strides, dilations)
        vertical, horizontal = (
            Axis(sizes[a], taps[a], strides[a], dilations[a], *sides[a]).outputs for a in (0, 1)
        )
        return vertical, horizontal

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Give the shape of each parameter, in the order of LAY-1.

        Parameters
        ----------
        channels : int
            C, the channels of the input.
        """
        reduced, entries = self.reduced_channels, math.prod(self.taps) * self.groups
        present = {
            "reduce_kernel": (channels, reduced),
            "reduce_bias": (reduced,) if self.reduce_bias else None,
            "gamma": (reduced,) if self.normalise else None,
            "beta": (reduced,) if self.normalise else None,
            "moving_mean": (reduced,) if self.normalise else None,
            "moving_variance": (reduced,) if self.normalise else None,
            "expand_kernel": (reduced, entries),
            "expand_bias": (entries,) if self.expand_bias else None,
        }
        return {name: shape for name, shape in present.items() if shape is not None}


def keras_example(
    channel: int, group_number: int, kernel_size: int, stride: int = 1, reduction_ratio: int = 1
) -> Config:
    """Give the configuration of the Keras example's layer.

    Parameters
    ----------
    channel, group_number, kernel_size, stride, reduction_ratio : int
        As the example's layer takes them.

    References
    ----------
    A. R. Gosthipaty, *Involutional neural networks*, Keras code examples, 2021.
    """
    return Config(
        kernel_size=kernel_size,
        groups=group_number,
        reduced_channels=channel // reduction_ratio,
        stride=stride,
    )


def official(
    channels: int,
    kernel_size: int,
    stride: int = 1,
    *,
    group_channels: int = 16,
    reduction_ratio: int = 4,
) -> Config:
    """Give the configuration of the official PyTorch code's layer.

    Parameters
    ----------
    channels, kernel_size, stride : int
        As the official layer takes them.
    group_channels : int, default 16
        Channels of a group, C / G.
    reduction_ratio : int, default 4
        C / R.

    References
    ----------
    Li et al., *Involution: Inverting the Inherence of Convolution for Visual Recognition*,
    CVPR 2021, and the code that was published with it.
    """
    return Config(
        kernel_size=kernel_size,
        groups=channels // group_channels,
        reduced_channels=channels // reduction_ratio,
        stride=stride,
        padding=(kernel_size - 1) // 2,
        group_layout="blocked",
        pooling="valid",
        kernel_order="group_major",
        reduce_bias=False,
        epsilon=1e-5,
        momentum=0.9,
        unbiased_moving_variance=True,
    )


def check_parameters(parameters: Mapping[str, object], config: Config, channels: int) -> None:
    """Check that the parameters are those that the configuration asks for (LAY-1).

    Raises
    ------
    TypeError
        For a dtype that is not under test.
    ValueError
        For a parameter that is missing, not known or of another shape; a negative variance.
    """
    due = config.shapes(channels)
    if set(parameters) != set(due):
        raise ValueError(
            f"parameters must be {', '.join(due)} (LAY-1), got {', '.join(parameters) or 'none'}"
        )
    for name, shape in due.items():
        array = np.asarray(parameters[name])
        if array.dtype.name not in FORMATS:
            words = ", ".join(FORMATS)
            raise TypeError(f"{name} must be of dtype {words} (LAY-18), got {array.dtype}")
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape} (LAY-1), got {array.shape}")
    if config.normalise and (np.asarray(parameters["moving_variance"]) < 0).any():
        least = np.asarray(parameters["moving_variance"]).min()
        raise ValueError(f"moving_variance must be at least 0 (LAY-1), got {least}")
