"""How the layer is described: its configuration, and the conventions that have a name."""

from typing import Any, Self

import keras

from refimpl.keras._arguments import positive

__all__ = ["GENERATION", "Configured", "checked_layer"]

ARGUMENTS = (
    "channel", "group_number", "kernel_size", "stride", "reduction_ratio", "dilation", "padding",
    "group_layout", "kernel_order", "return_kernel", "data_format",
)  # fmt: skip
GENERATION = (
    "pooling", "reduce_bias", "expand_bias", "normalise", "epsilon", "momentum",
    "unbiased_moving_variance", "kernel_initializer", "bias_initializer", "kernel_regularizer",
    "bias_regularizer", "kernel_constraint", "bias_constraint",
)  # fmt: skip


class Configured(keras.layers.Layer):  # type: ignore[misc]
    """What `Involution` is beside its constructor and its computation."""

    generator: Any
    _generates: bool

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer."""
        made = self.generator.get_config() if self._generates else {}
        given = None if self._generates else keras.saving.serialize_keras_object(self.generator)
        return {
            **super().get_config(),
            **{key: getattr(self, key) for key in ARGUMENTS},
            **{key: made[key] for key in GENERATION if key in made},
            "kernel_generator": given,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from what `get_config` returned."""
        given = keras.saving.deserialize_keras_object(config.get("kernel_generator"))
        return super().from_config({**config, "kernel_generator": given})

    @classmethod
    def official(
        cls,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        *,
        group_channels: int = 16,
        reduction_ratio: int = 4,
        **kwargs: Any,
    ) -> Self:
        """Make the layer of the paper's official PyTorch code.

        Parameters
        ----------
        channels : int
            Channels of the input.
        kernel_size : int
            Height and width of the kernel, odd.
        stride : int, default 1
            Divides the image, or the layer refuses it (ERR-4), as the official one does.
        group_channels : int, default 16
            Channels that share a kernel; divides `channels`.
        reduction_ratio : int, default 4
            The hidden layer has ``channels // reduction_ratio`` channels.
        **kwargs
            Of `Involution`; they win.

        Returns
        -------
        Involution
            Blocked groups, group-major kernels, padding ``(kernel_size - 1) // 2``, pooling
            without the last windows that the border cuts, no first bias, epsilon 1e-5, momentum
            0.9, an unbiased moving variance, and the output alone.

        Raises
        ------
        ValueError
            A `group_channels` that does not divide `channels`.
        """
        groups, rest = divmod(
            positive("channels", channels), positive("group_channels", group_channels)
        )
        if rest:
            raise ValueError(
                f"group_channels must divide channels, got {group_channels} and {channels}"
            )
        official = {
            "padding": (positive("kernel_size", kernel_size) - 1) // 2,
            "group_layout": "blocked",
            "kernel_order": "group_major",
            "pooling": "valid",
            "reduce_bias": False,
            "epsilon": 1e-5,
            "momentum": 0.9,
            "unbiased_moving_variance": True,
            "return_kernel": False,
        }
        return cls(channels, groups, kernel_size, stride, reduction_ratio, **{**official, **kwargs})


def checked_layer(kernel_generator: Any) -> Any:
    if kernel_generator is None or isinstance(kernel_generator, keras.layers.Layer):
        return kernel_generator
    raise TypeError(f"kernel_generator must be a keras.layers.Layer, got {kernel_generator!r}")
