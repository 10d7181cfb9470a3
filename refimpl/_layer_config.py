"""What a layer is made of: its configuration, the two named conventions.

Checks and arithmetic on sizes only (specification chapter LAY); no array comes in here.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from refimpl._shown import shown
from refimpl._validation import GROUP_LAYOUTS, pair, positive, sides, switch, word
from refimpl.geometry import Padding, axes

Pair = int | tuple[int, int]
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
        """Take every field down as a plain integer, number, word or tuple of integers."""
        for name, clause in (("kernel_size", "LAY-18"), ("stride", "ERR-5"), ("dilation", "ERR-5")):
            value = getattr(self, name)
            both = pair(name, value, clause)
            self._set(name, both if issubclass(type(value), tuple | list) else both[0])
        for name in ("groups", "reduced_channels"):
            self._set(name, positive(name, getattr(self, name), "LAY-18"))
        self._set("padding", sides(self.padding))
        choices = {
            "group_layout": GROUP_LAYOUTS,
            "pooling": ("same", "valid", "none"),
            "kernel_order": ("tap_major", "group_major"),
        }
        for name, allowed in choices.items():
            self._set(name, word(name, getattr(self, name), allowed, "LAY-18"))
        for name in ("reduce_bias", "expand_bias", "normalise", "unbiased_moving_variance"):
            self._set(name, switch(name, getattr(self, name)))
        self._set("epsilon", _number("epsilon", self.epsilon, "at least 0", math.inf))
        self._set("momentum", _number("momentum", self.momentum, "between 0 and 1", 1.0))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def taps(self) -> tuple[int, int]:
        """Kh and Kw."""
        return _both(self.kernel_size)

    @property
    def strides(self) -> tuple[int, int]:
        """Vertical and horizontal stride."""
        return _both(self.stride)

    @property
    def options(self) -> dict[str, Any]:
        """The operator's options."""
        names = ("stride", "dilation", "padding", "group_layout")
        return {name: getattr(self, name) for name in names}

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Give the output grid (Ho, Wo) of an image (GEO-3).

        Parameters
        ----------
        height, width : int
            H and W of the input.

        Returns
        -------
        (int, int)
            Not positive on an axis that the kernel exceeds (ERR-8).

        Raises
        ------
        TypeError, ValueError
            For what is no positive integer (ERR-3).
        """
        sizes = positive("height", height, "ERR-3"), positive("width", width, "ERR-3")
        vertical, horizontal = axes(
            sizes, self.taps, self.strides, _both(self.dilation), self.padding
        )
        return vertical.outputs, horizontal.outputs

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Give the shape of each parameter, in the order of LAY-1.

        Parameters
        ----------
        channels : int
            C, the channels of the input.

        Raises
        ------
        TypeError, ValueError
            For what is no positive integer (LAY-1).
        """
        channels = positive("channels", channels, "LAY-1")
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


def _both(value: Pair) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _number(name: str, value: Any, limits: str, most: float) -> float:
    """`value` as a float within limits that NaN is not in."""
    kinds = [kind for kind in (int, float, np.floating) if issubclass(type(value), kind)]
    if not kinds or issubclass(type(value), bool):
        raise TypeError(f"{name} must be a number (LAY-18), got {shown(value)}")
    try:
        number: float = kinds[0].__float__(value)
    except OverflowError:
        number = math.inf
    if not (0 <= number <= most and math.isfinite(number)):
        raise ValueError(f"{name} must be {limits} (LAY-18), got {shown(value)}")
    return number


def keras_example(
    channel: int, group_number: int, kernel_size: Pair, stride: Pair = 1, reduction_ratio: int = 1
) -> Config:
    """Give the configuration of the Keras example's layer.

    Parameters
    ----------
    channel, group_number, reduction_ratio : int
        As the example's layer takes them; R is ``channel // reduction_ratio``.
    kernel_size, stride : int or (int, int)
        As the example's layer takes them.

    Raises
    ------
    TypeError, ValueError
        For what is no positive integer, and where R would be 0 (LAY-18).

    References
    ----------
    A. R. Gosthipaty, *Involutional neural networks*, Keras code examples, 2021.
    """
    return Config(
        kernel_size=kernel_size,
        groups=positive("group_number", group_number, "LAY-18"),
        reduced_channels=_share("channel", channel, "reduction_ratio", reduction_ratio),
        stride=stride,
    )


def official(
    channels: int,
    kernel_size: int,
    stride: Pair = 1,
    *,
    group_channels: int = 16,
    reduction_ratio: int = 4,
) -> Config:
    """Give the configuration of the official PyTorch code's layer.

    Parameters
    ----------
    channels, kernel_size, stride : int
        As the official layer takes them; `stride` may be a pair.
    group_channels : int, default 16
        Channels of a group, C / G.
    reduction_ratio : int, default 4
        C / R.

    Raises
    ------
    TypeError, ValueError
        For what is no positive integer, and where G or R would be 0 (LAY-18).

    References
    ----------
    Li et al., *Involution: Inverting the Inherence of Convolution for Visual Recognition*,
    CVPR 2021, and the code that was published with it.
    """
    taps = positive("kernel_size", kernel_size, "LAY-18")
    return Config(
        kernel_size=taps,
        groups=_share("channels", channels, "group_channels", group_channels),
        reduced_channels=_share("channels", channels, "reduction_ratio", reduction_ratio),
        stride=stride,
        padding=(taps - 1) // 2,
        group_layout="blocked",
        pooling="valid",
        kernel_order="group_major",
        reduce_bias=False,
        epsilon=1e-5,
        momentum=0.9,
        unbiased_moving_variance=True,
    )


def _share(name: str, channels: Any, divisor: str, ratio: Any) -> int:
    """Channels by what they are divided by, rounded down to no less than one."""
    whole, part = positive(name, channels, "LAY-18"), positive(divisor, ratio, "LAY-18")
    if part > whole:
        raise ValueError(f"{divisor} must be at most {name} = {whole} (LAY-18), got {part}")
    return whole // part
