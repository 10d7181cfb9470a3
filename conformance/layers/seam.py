"""The seam of the layer: what can be judged, what it declares, how it is found.

A layer is any object with `forward` and `backward` of exactly `refimpl.layer`'s signature. Nothing
here knows how to compute anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from conformance.capabilities import Capabilities
from conformance.implementation import Seam
from refimpl.layer import Config

Array = npt.NDArray[Any]


class LayerImplementation(Protocol):
    """What is judged: a layer and its vector-Jacobian product.

    Operands are arrays of the dtype under test, results are arrays of that dtype (LAY-17). `config`
    is a `refimpl.layer.Config`, whose attributes an adapter reads.
    """

    def forward(
        self, x: Array, parameters: Mapping[str, Array], config: Config, *, training: bool = False
    ) -> tuple[Array, Array | None, Mapping[str, Array]]:
        """Return y, the generated kernel and the moving statistics."""

    def backward(
        self,
        dy: Array,
        x: Array,
        parameters: Mapping[str, Array],
        config: Config,
        *,
        training: bool = False,
    ) -> tuple[Array, Mapping[str, Array]]:
        """Return dx and the gradient of each parameter."""


@dataclass(frozen=True)
class LayerCapabilities(Capabilities):
    """What a layer claims: as an operator, and beyond.

    Attributes
    ----------
    conventions : tuple of str
        "keras_example", "official" (the two of `refimpl.layer`), "any" (every configuration).
    training : bool
        Training mode is supported.
    returns_kernel : bool
        `forward` returns the generated kernel; else None stands in its place.
    """

    conventions: tuple[str, ...] = ("any", "keras_example", "official")
    training: bool = True
    returns_kernel: bool = True


LAYER = Seam("--layer", "refimpl.layer", "parameters", LayerCapabilities)
