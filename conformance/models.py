"""The shapes of the involutions of a model, found by running it once on an image of zeros.

Of a Keras model the layers are those of `refimpl.keras`, which say everything about themselves. Of
PyTorch modules there is no one class: what is known of one is what it says and what it was seen to
do, and whatever is not known must be told. Nothing is guessed, and nothing is judged here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance.cases.shapes import Shape, ShapeError, distinct

__all__ = ["shapes_of"]

# Names of attributes that public modules have for one thing.
_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "K": ("kernel_size",),
    "stride": ("stride",),
    "dilation": ("dilation",),
    "padding": ("padding",),
}


def shapes_of(
    model: Any,
    size: Sequence[int] | None = None,
    *,
    modules: type | tuple[type, ...] | str | None = None,
    told: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | None = None,
) -> tuple[Shape, ...]:
    """Give the shapes of the involutions in a model, in the order in which they are called.

    Parameters
    ----------
    model : keras.Model or torch.nn.Module
        It is run once, on zeros; a PyTorch module as for inference.
    size : sequence of int, optional
        Shape of the model's input, batch included: (B, H, W, C) of a Keras model, (B, C, H, W) of a
        PyTorch module as they are wont to have it. A Keras model may know it itself; B is then 1.
    modules : type, tuple of types or str, optional
        PyTorch: the class of the involutions, or a part of its name; by default every module whose
        class has "involution" in its name and which holds no other such.
    told : mapping, or callable from a module to one, optional
        PyTorch: what a module does not say itself: G, K, stride, dilation, padding or layout.

    Returns
    -------
    tuple of Shape
        For ``conformance.check(..., shapes=...)``; ``.line`` of each is a line for ``--shapes``.
        Layers of one shape are one, named after the first and with their number.

    Raises
    ------
    conformance.cases.shapes.ShapeError
        There is no involution, or something of one cannot be known, or what it says of itself does
        not give the size of its output; the message names it, and what to tell.
    TypeError
        Neither a Keras nor a PyTorch model.
    """
    ancestors = [one.__module__.partition(".")[0] for one in type(model).__mro__]
    if "keras" in ancestors:
        found = list(_keras(model, size))
        wanted = "a layer of refimpl.keras"
    elif "torch" in ancestors:
        found = list(_torch(model, size, modules, told))
        wanted = "a module whose class is named so; name theirs with modules=..."
    else:
        raise TypeError(f"model must be of Keras or PyTorch, got {type(model).__name__}")
    if not found:
        raise ShapeError(f"the model must call an involution ({wanted}), got none")
    alike: dict[Shape, list[str]] = {}
    for shape in found:
        alike.setdefault(replace(shape, name=""), []).append(shape.name)
    return distinct(replace(one, name=_together(names)) for one, names in alike.items())


def _together(names: Sequence[str]) -> str:
    several = len(names) - 1
    return names[0] + (f" and {several} more like it" if several else "")


# Keras: the layers of this project.


def _keras(model: Any, size: Sequence[int] | None) -> Iterator[Shape]:
    import numpy as np

    known = getattr(model, "input_shape", None) if size is None else size
    if size is None and isinstance(known, tuple) and known and known[0] is None:
        known = (1, *known[1:])
    if not isinstance(known, list | tuple) or not all(type(n) is int and n > 0 for n in known):
        raise ShapeError(f"size must say the model's input, (B, H, W, C), which knows {known}")
    seen: list[tuple[Any, tuple[int, ...]]] = []
    layers = [layer for layer in model._flatten_layers() if _is_ours(layer)]
    for layer in layers:
        layer.generate_kernel = _noting(layer, layer.generate_kernel, seen)
    try:
        model(np.zeros(known, "float32"))
    finally:
        for layer in layers:
            del layer.generate_kernel
    for layer, (batch, height, width, channels) in seen:
        yield _shape(layer.name, {
            "B": batch, "H": height, "W": width, "C": channels, "G": layer.group_number,
            "K": layer.kernel_size, "stride": layer.stride, "dilation": layer.dilation,
            "padding": layer.padding, "layout": layer.group_layout,
        })  # fmt: skip


def _is_ours(layer: Any) -> bool:
    own = ("refimpl.keras.layer", "Involution")
    return any((one.__module__, one.__name__) == own for one in type(layer).__mro__)


def _noting(layer: Any, generate: Any, seen: list[Any]) -> Any:
    """Note the image, channels last, and go on."""

    def noted(x: Any, **options: Any) -> Any:
        seen.append((layer, tuple(int(n) for n in x.shape)))
        return generate(x, **options)

    return noted


# PyTorch: anybody's modules.


def _torch(model: Any, size: Any, modules: Any, told: Any) -> Iterator[Shape]:
    import torch

    if size is None:
        raise ShapeError("size must say the module's input, (B, C, H, W), got none")
    chosen = _chosen(model, modules)
    seen: list[tuple[str, Any, Any, Any]] = []
    hooks = [
        module.register_forward_hook(
            lambda module, args, output, name=name: seen.append((name, module, args, output))
        )
        for name, module in chosen.items()
    ]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(*size))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    for name, module, args, output in seen:
        yield _of_module(name or type(module).__name__, module, args, output, told)


def _chosen(model: Any, modules: Any) -> dict[str, Any]:
    """Give the involutions of a module by name: the innermost of those that match."""
    if isinstance(modules, type | tuple):
        return {n: one for n, one in model.named_modules() if isinstance(one, modules)}
    part = (modules or "involution").lower()

    def named(one: Any) -> bool:
        return part in type(one).__name__.lower()

    return {
        name: one
        for name, one in model.named_modules()
        if named(one) and not any(named(inner) for inner in one.modules() if inner is not one)
    }


def _of_module(name: str, module: Any, args: Any, output: Any, told: Any) -> Shape:
    """Read what a module says of itself, and hold it against what it answered."""
    images = [one for one in args if getattr(one, "ndim", 0) == 4]
    results = output if isinstance(output, tuple | list) else (output,)
    answers = [one for one in results if getattr(one, "ndim", 0) == 4]
    if not images or not answers:
        raise ShapeError(f"{name} must take an image (B, C, H, W) and answer one, but does not")
    batch, channels, height, width = (int(n) for n in images[0].shape)
    own = dict((told(module) if callable(told) else told) or {})
    if unknown := sorted(set(own) - {"G", *_ATTRIBUTES, "layout"}):
        raise ShapeError(
            f"told may have G, {', '.join(_ATTRIBUTES)} and layout, got {unknown[0]!r}"
        )
    said = _said(module, channels) | own
    said.setdefault("layout", "blocked")
    if lacking := [one for one in ("G", *_ATTRIBUTES) if one not in said]:
        raise ShapeError(
            f"{name} ({type(module).__name__}) does not say {' or '.join(lacking)} in an attribute "
            f"that is known; tell it: told={{{lacking[0]!r}: ...}}"
        )
    shape = _shape(name, {"B": batch, "H": height, "W": width, "C": channels} | said)
    grid = tuple(int(n) for n in answers[0].shape[2:])
    if grid != shape.case("float32", "normal").grid:
        due = shape.case("float32", "normal").grid
        raise ShapeError(
            f"{name} answers {grid[0]}x{grid[1]} outputs, but {shape.words} has {due[0]}x{due[1]} "
            "(GEO-3); tell what differs with told=..."
        )
    return shape


def _said(module: Any, channels: int) -> dict[str, Any]:
    """Read the attributes of a module, and of an unfolding in it."""
    said: dict[str, Any] = {}
    unfold = [one for one in module.modules() if type(one).__name__ == "Unfold"]
    for name, attributes in _ATTRIBUTES.items():
        holders = (module, *unfold) if len(unfold) < 2 else (module,)
        values = [getattr(one, n) for one in holders for n in attributes if hasattr(one, n)]
        if values:
            said[name] = _plain(name, values[0])
    groups = getattr(module, "groups", None)
    members = getattr(module, "group_channels", None)
    if isinstance(members, int) and members > 0 and channels % members == 0:
        groups = channels // members if not isinstance(groups, int) else groups
    if isinstance(groups, int):
        said["G"] = groups
    return said


def _plain(name: str, value: Any) -> Any:
    """Give an attribute as a column has it: PyTorch's padding is (vertical, horizontal)."""
    if isinstance(value, list | tuple) and all(type(n) is int for n in value):
        if name == "padding" and len(value) == 2:
            return [[value[0]] * 2, [value[1]] * 2]
        return list(value)
    return value


def _shape(name: str, entries: Mapping[str, Any]) -> Shape:
    try:
        return Shape.read({"name": name} | dict(entries))
    except ShapeError as error:
        raise ShapeError(f"{name}: {error}") from error
