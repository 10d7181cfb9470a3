"""Shapes of the Keras layer in plain integers, None standing for a size that is unknown."""

from collections.abc import Sequence

from refimpl.keras._arguments import Options, Pair, Shape, differ

Grid = tuple[int | None, int | None]


def input_shape_last(shape: Sequence[int | None], first: bool, groups: int) -> Shape:
    """Check the shape of an input and return it channels last.

    Raises
    ------
    ValueError
        ERR-1 and ERR-3, and channels that are unknown.
    """
    names = "(B, C, H, W)" if first else "(B, H, W, C)"
    given = tuple(shape)
    if len(given) != 4:
        raise ValueError(f"x must have rank 4, shape {names} (ERR-1), got shape {given}")
    batch, height, width, channels = (given[i] for i in ((0, 2, 3, 1) if first else range(4)))
    if channels is None:
        raise ValueError(f"x must have a known number of channels C, got shape {given}")
    if channels < 1 or channels % groups:
        raise ValueError(
            "group_number must divide the channels C of x (ERR-3), "
            f"got group_number = {groups} and C = {channels}"
        )
    if 0 in (height, width):
        raise ValueError(f"x must have H and W of at least 1 (ERR-3), got shape {given}")
    return batch, height, width, channels


def operator_grid(sizes: Sequence[int | None], kernel_size: Pair, options: Options) -> Grid:
    """Return (Ho, Wo) of the operator (GEO-3, GEO-4 to GEO-7).

    Raises
    ------
    ValueError
        ERR-8.
    """
    rows, columns = (_outputs(a, sizes[a], kernel_size[a], options) for a in (0, 1))
    if any(size is not None and size < 1 for size in (rows, columns)):
        raise ValueError(
            "padding must leave at least one output row and column (ERR-8), got (Ho, Wo) = "
            f"{(rows, columns)} from (H, W) = {tuple(sizes)} and kernel_size = {kernel_size}"
        )
    return rows, columns


def _outputs(axis: int, size: int | None, taps: int, options: Options) -> int | None:
    stride = options.strides[axis]
    if size is None:
        return None
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


def check_entries(generated: Shape, entries: int) -> None:
    """Hold what a generator returned to rank 4 and Kh * Kw * G channels.

    Raises
    ------
    ValueError
        Naming the number and the shape.
    """
    if len(generated) != 4 or differ(generated[3], entries):
        raise ValueError(
            "kernel_generator must return shape (B, Ho, Wo, Kh * Kw * G) with Kh * Kw * G = "
            f"{entries}, got shape {generated}"
        )


def check_grids(generated: Sequence[int | None], due: Grid, size: Sequence[int | None]) -> None:
    """Compare the grid of the generated kernels with the operator's.

    Raises
    ------
    ValueError
        ERR-4, in the words of the layer.
    """
    if any(differ(one, other) for one, other in zip(generated, due, strict=True)):
        raise ValueError(
            "pooling or kernel_generator must give kernels on the operator's output grid (Ho, Wo) "
            f"= {due} (ERR-4), got kernels on {tuple(generated)} from (H, W) = {tuple(size)}"
        )


def keeps_size(kernel_size: Pair, options: Options) -> bool:
    """Tell whether every image comes out as large as it went in."""
    if options.strides != (1, 1) or options.sides is None:
        return options.strides == (1, 1)
    extents = ((taps - 1) * d for taps, d in zip(kernel_size, options.dilations, strict=True))
    return all(sum(side) == more for side, more in zip(options.sides, extents, strict=True))
