"""The parameters of the default generator by name, as plain arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from refimpl.keras.generator import KernelGenerator

__all__ = ["NamedParameters"]


class NamedParameters:
    """What a layer with a `generator` has so that its parameters can be carried elsewhere."""

    generator: Any
    name: str

    reduce = property(lambda self: self.generator.reduce, doc="The first convolution.")
    normalise = property(lambda self: self.generator.normalise, doc="The normalisation, or None.")
    expand = property(lambda self: self.generator.expand, doc="The second convolution.")

    def get_parameters(self) -> dict[str, Any]:
        """Return the default generator's parameters by name (see `refimpl.keras.weights`).

        Returns
        -------
        dict of str to numpy.ndarray
            In the dtype of the variables.
        """
        return _get(self._built_generator())

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Set the default generator's parameters, all of them, by name.

        Parameters
        ----------
        parameters : mapping of str to array
            What `get_parameters` returns, or `refimpl.keras.weights.parameters_from_official`.

        Raises
        ------
        ValueError
            A name that is missing or unknown, a wrong shape, a layer that is not built or has a
            generator of another kind.
        """
        _set(self._built_generator(), parameters)

    def _built_generator(self) -> KernelGenerator:
        if not isinstance(self.generator, KernelGenerator) or not self.generator.built:
            raise ValueError(
                f"layer {self.name!r} must be built and have the default generator for its "
                "parameters to have names"
            )
        return self.generator


def _get(generator: Any) -> dict[str, Any]:
    """Return the variables of a built generator by name, convolution kernels as matrices."""
    return {
        name: ops.convert_to_numpy(variable).reshape(_shape(variable))
        for name, variable in _named(generator).items()
    }


def _set(generator: Any, parameters: Mapping[str, Any]) -> None:
    """Set the variables of a built generator by name, all or none."""
    named = _named(generator)
    if set(parameters) != set(named):
        raise ValueError(
            f"parameters must be {', '.join(named)}, got {', '.join(map(str, parameters))}"
        )
    arrays = {name: np.asarray(value) for name, value in parameters.items()}
    for name, variable in named.items():
        if arrays[name].shape != _shape(variable):
            raise ValueError(
                f"{name} must be of shape {_shape(variable)}, got {arrays[name].shape}"
            )
    for name, variable in named.items():
        variable.assign(arrays[name].reshape(tuple(variable.shape)))


def _named(generator: Any) -> dict[str, Any]:
    reduce, normalise, expand = generator.reduce, generator.normalise, generator.expand
    statistics = ("gamma", "beta", "moving_mean", "moving_variance")
    named = {
        "reduce_kernel": reduce.kernel,
        "reduce_bias": reduce.bias,
        **{name: getattr(normalise, name, None) for name in statistics},
        "expand_kernel": expand.kernel,
        "expand_bias": expand.bias,
    }
    return {name: variable for name, variable in named.items() if variable is not None}


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(variable.shape)[-2:]
