"""Shapes of the Keras operator and layer, in plain integers (specification chapters GEO and ERR).

Whatever is known when a call is made or traced is checked here: in eager mode everything, in a
graph all but the sizes that are unknown, for which None stands. Every message names the argument,
the rule with its clause, and the sizes received. No tensor is computed here.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from refimpl.keras._arguments import Options, Pair

Shape = tuple[int | None, ...]
Grid = tuple[int | None, int | None]


def check_shapes(x: Any, kernel: Any) -> None:
    """Check what the operator's operands must have in common, as far as their sizes are known.

    Raises
    ------
    ValueError
        ERR-1, ERR-2 and ERR-3, and a Kh, Kw or G that is unknown.
    """
    image = _ranked("x", x, ("B", "H", "W", "C"))
    taps = _ranked("kernel", kernel, ("B", "Ho", "Wo", "Kh", "Kw", "G"))
    if _differ(image[0], taps[0]):
        raise ValueError(
            "kernel must have the batch size of x (ERR-2), "
            f"got x of shape {image} and kernel of shape {taps}"
        )
    if 0 in image[1:]:
        raise ValueError(f"x must have H, W and C of at least 1 (ERR-3), got shape {image}")
    if 0 in taps[3:]:
        raise ValueError(f"kernel must have Kh, Kw and G of at least 1 (ERR-3), got shape {taps}")
    if None in taps[3:]:
        raise ValueError(
            f"kernel must have Kh, Kw and G that are known when it is traced, got shape {taps}"
        )
    channels, groups = image[3], taps[5]
    if channels is not None and groups is not None and channels % groups:
        raise ValueError(
            "kernel must have a number of groups G that divides the channels C of x (ERR-3), "
            f"got G = {groups} and C = {channels}"
        )


def check_grid(grid: Grid, x: Any, kernel: Any) -> None:
    """Check the operator's output grid (Ho, Wo), and the kernel's against it.

    Raises
    ------
    ValueError
        ERR-4 and ERR-8.
    """
    shape = tuple(kernel.shape)
    _check_outputs(grid, f"x of shape {tuple(x.shape)} and kernel of shape {shape}")
    if _grids_differ(grid, shape[1:3]):
        raise ValueError(
            f"kernel must have the output grid (Ho, Wo) = {grid} (ERR-4), "
            f"got {shape[1:3]} in shape {shape}"
        )


class LayerShapes(NamedTuple):
    """What every shape of a layer follows from.

    Attributes
    ----------
    taps : (int, int)
        Kh and Kw.
    groups : int
        G.
    options : Options
        The operator's.
    first : bool
        Whether images lie channels first.
    """

    taps: Pair
    groups: int
    options: Options
    first: bool

    @property
    def entries(self) -> int:
        """Kh * Kw * G, the channels that are generated."""
        return self.taps[0] * self.taps[1] * self.groups

    def image(self, shape: Sequence[int | None]) -> Shape:
        """Check the shape of an input and return it channels last.

        Raises
        ------
        ValueError
            ERR-1 and ERR-3, and channels that are unknown.
        """
        names = "(B, C, H, W)" if self.first else "(B, H, W, C)"
        given = tuple(shape)
        if len(given) != 4:
            raise ValueError(f"x must have rank 4, shape {names} (ERR-1), got shape {given}")
        order = (0, 2, 3, 1) if self.first else range(4)
        batch, height, width, channels = (given[axis] for axis in order)
        if channels is None:
            raise ValueError(f"x must have a known number of channels C, got shape {given}")
        if channels < 1 or channels % self.groups:
            raise ValueError(
                "group_number must divide the channels C of x (ERR-3), "
                f"got group_number = {self.groups} and C = {channels}"
            )
        if 0 in (height, width):
            raise ValueError(f"x must have H and W of at least 1 (ERR-3), got shape {given}")
        return batch, height, width, channels

    def grid(self, image: Shape) -> Grid:
        """Return the operator's output grid (Ho, Wo) for an image (B, H, W, C).

        Raises
        ------
        ValueError
            ERR-8.
        """
        sizes = image[1:3]
        rows, columns = (
            None if size is None else outputs(size, axis, self.taps[axis], self.options)
            for axis, size in enumerate(sizes)
        )
        _check_outputs((rows, columns), f"(H, W) = {sizes} and kernel_size = {self.taps}")
        return rows, columns

    def check_generated(self, generated: Shape, image: Shape) -> None:
        """Hold generated kernels to their number of entries and to the operator's grid.

        Raises
        ------
        ValueError
            ERR-4 and ERR-8, and a wrong rank or number of entries.
        """
        if len(generated) != 4 or _differ(generated[3], self.entries):
            raise ValueError(
                "kernel_generator must return shape (B, Ho, Wo, Kh * Kw * G) with Kh * Kw * G = "
                f"{self.entries}, got shape {generated}"
            )
        grid, made = self.grid(image), generated[1:3]
        if _grids_differ(made, grid):
            raise ValueError(
                "pooling or kernel_generator must give kernels on the operator's output grid "
                f"(Ho, Wo) = {grid} (ERR-4), got kernels on {made} from (H, W) = {image[1:3]}"
            )

    def results(self, image: Shape) -> tuple[Shape, Shape]:
        """Return the shapes of the output, which lies as the input does, and of the kernel."""
        batch, *_, channels = image
        grid = self.grid(image)
        output = (batch, channels, *grid) if self.first else (batch, *grid, channels)
        return output, (batch, *grid, self.taps[0] * self.taps[1], 1, self.groups)

    def keeps_size(self) -> bool:
        """Tell whether every image comes out as large as it went in."""
        options = self.options
        if options.strides != (1, 1) or options.sides is None:
            return options.strides == (1, 1)
        extents = ((taps - 1) * d for taps, d in zip(self.taps, options.dilations, strict=True))
        return all(sum(side) == more for side, more in zip(options.sides, extents, strict=True))


def outputs(size: Any, axis: int, taps: int, options: Options) -> Any:
    """Return the outputs along one axis (GEO-3, GEO-4 to GEO-7); a scalar tensor for a tensor."""
    stride = options.strides[axis]
    if options.sides is None:
        return -(-size // stride)
    extent = (taps - 1) * options.dilations[axis] + 1
    return (size + sum(options.sides[axis]) - extent) // stride + 1


def pooled_grid(sizes: Sequence[int | None], strides: Pair, pooling: str) -> Grid:
    """Return the grid that the generator makes kernels for."""
    height, width = sizes
    if pooling == "none":
        return height, width
    rest = [stride - 1 if pooling == "same" else 0 for stride in strides]
    return (
        None if height is None else (height + rest[0]) // strides[0],
        None if width is None else (width + rest[1]) // strides[1],
    )


def _ranked(name: str, tensor: Any, sizes: Sequence[str]) -> Shape:
    unranked = getattr(tensor.shape, "rank", 0) is None
    shape = None if unranked else tuple(tensor.shape)
    if shape is None or len(shape) != len(sizes):
        raise ValueError(
            f"{name} must have rank {len(sizes)}, shape ({', '.join(sizes)}) (ERR-1), "
            f"got {'unknown rank' if shape is None else f'shape {shape}'}"
        )
    return shape


def _check_outputs(grid: Grid, source: str) -> None:
    if any(size is not None and size < 1 for size in grid):
        raise ValueError(
            "padding must leave at least one output row and column (ERR-8), got (Ho, Wo) = "
            f"{grid} from {source}"
        )


def _grids_differ(one: Shape, other: Shape) -> bool:
    return any(_differ(a, b) for a, b in zip(one, other, strict=True))


def _differ(one: int | None, other: int | None) -> bool:
    """Tell whether two sizes are known and not equal."""
    return one is not None and other is not None and one != other
