"""Forms: functions with axes and arguments of their own, right ones and wrong ones."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import conformance
from conformance import adapt
from refimpl import involution

CLAIMS = {"paddings": "half", "group_layouts": "blocked"}
# Where each form has the kernel entry of a group and a tap: b, g, u, v, i, j, and the sizes.
READ: dict[str, Callable[..., Any]] = {
    "b g (u v) h w": lambda k, b, g, u, v, i, j, s: k[b, g, u * s["v"] + v, i, j],
    "b (u v g) h w": lambda k, b, g, u, v, i, j, s: k[b, (u * s["v"] + v) * s["g"] + g, i, j],
    "b (g u v) h w": lambda k, b, g, u, v, i, j, s: k[b, (g * s["u"] + u) * s["v"] + v, i, j],
    "b h w (u v g)": lambda k, b, g, u, v, i, j, s: k[b, i, j, (u * s["v"] + v) * s["g"] + g],
    "(b h w u v g)": lambda k, b, g, u, v, i, j, s: k[
        ((((b * s["h"] + i) * s["w"] + j) * s["u"] + u) * s["v"] + v) * s["g"] + g
    ],
}
SIZES = {"h": 3, "w": 2, "u": 3, "v": 5, "g": 2}


def operands(batch: int = 2) -> tuple[Any, Any, Any]:
    """Give dy, x and kernel at stride 2, of 6 channels in two groups."""
    rng = np.random.default_rng(5)
    shapes = ((batch, 3, 2, 6), (batch, 5, 4, 6), (batch, 3, 2, 3, 5, 2))
    dy, x, kernel = (rng.integers(-9, 9, shape).astype(np.float64) for shape in shapes)
    return dy, x, kernel


OPTIONS: dict[str, Any] = {"stride": (2, 2), "padding": ((1, 1), (2, 2))}


class ChannelsFirst:
    """Loops over channels-first images, and a kernel that `read` finds an entry in."""

    def __init__(self, read: Callable[..., Any]) -> None:
        self.read, self.told = read, dict[str, Any]()

    def terms(self, x: Any) -> Any:
        """Give b, c, i, j, u, v and the row and column that is read, where it is inside."""
        for b, c, i, j in itertools.product(range(len(x)), range(6), range(3), range(2)):
            for u, v in itertools.product(range(3), range(5)):
                row, column = 2 * i + u - 1, 2 * j + v - 2
                if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                    yield b, c, i, j, u, v, row, column

    def forward(self, x: Any, kernel: Any, **told: Any) -> Any:
        self.told = told
        y = np.zeros((len(x), 6, 3, 2))
        for b, c, i, j, u, v, row, column in self.terms(x):
            y[b, c, i, j] += self.read(kernel, b, c // 3, u, v, i, j, SIZES) * x[b, c, row, column]
        return y

    def backward(self, dy: Any, x: Any, kernel: Any, **told: Any) -> Any:  # noqa: ARG002
        # Of numbers in the order of memory each place is read by its own number.
        places = np.arange(kernel.size).reshape(kernel.shape)
        dx, dkernel = np.zeros(x.shape), np.zeros(kernel.size)
        for b, c, i, j, u, v, row, column in self.terms(x):
            entry = (b, c // 3, u, v, i, j, SIZES)
            dx[b, c, row, column] += self.read(kernel, *entry) * dy[b, c, i, j]
            dkernel[self.read(places, *entry)] += x[b, c, row, column] * dy[b, c, i, j]
        return dx, dkernel.reshape(kernel.shape)


def agrees(adapter: Any, batch: int = 2) -> bool:
    """Compare with the oracle, on integers, exactly."""
    dy, x, kernel = operands(batch)
    due = involution.forward(x, kernel, **OPTIONS), *involution.backward(dy, x, kernel, **OPTIONS)
    got = adapter.forward(x, kernel, **OPTIONS), *adapter.backward(dy, x, kernel, **OPTIONS)
    return all(np.array_equal(one, other) for one, other in zip(got, due, strict=True))


@pytest.mark.parametrize("words", READ)
def test_the_order_of_the_axes(words: str) -> None:
    form = adapt.Form(x="b c h w", kernel=words, passes={"stride": "stride"})
    for name, read in READ.items():
        # Only one reading of the kernel is that of the form.
        if name.count("(") != words.count("(") or len(name.split()) != len(words.split()):
            continue
        right = name == words
        try:
            got = agrees(adapt.arrays(ChannelsFirst(read), form=form, capabilities=CLAIMS))
        except IndexError:
            got = False
        assert got == right, name


class Sample:
    """One sample at a time, by the oracle."""

    def forward(self, x: Any, kernel: Any, steps: int) -> Any:
        return involution.forward(x[None], kernel[None], **OPTIONS | {"stride": steps})[0], kernel

    def backward(self, dy: Any, x: Any, kernel: Any, steps: int) -> Any:
        arrays = (array[None] for array in (dy, x, kernel))
        dx, dkernel = involution.backward(*arrays, **OPTIONS | {"stride": steps})
        return dx[0], dkernel[0]


# Of each function what its operands are, and its results: image, kernel or output.
ROLES = {
    "forward": ("xk", "y"),
    "backward": ("yxk", "xk"),
    "jvp": ("xkxk", "y"),
    "double_backward": ("xkyxk", "yxk"),
}


class Transposed:
    """The oracle, images channels first, outputs with their pixels in one axis."""

    def __init__(self, *names: str) -> None:
        for name in names:
            setattr(self, name, partial(self.asked, name))

    def asked(self, name: str, *operands: Any, s: Any) -> Any:
        given, due = ROLES[name]
        seen = {
            "x": lambda a: np.moveaxis(a, 1, 3), "k": np.asarray,
            "y": lambda a: a.reshape(len(a), SIZES["h"], SIZES["w"], -1),
        }  # fmt: skip
        told = {
            "x": lambda a: np.moveaxis(a, 3, 1), "k": np.asarray,
            "y": lambda a: a.reshape(len(a), SIZES["h"] * SIZES["w"], -1),
        }  # fmt: skip
        back = (seen[role](one) for role, one in zip(given, operands, strict=True))
        found = getattr(involution, name)(*back, **OPTIONS | {"stride": s})
        turned = [told[role](one) for role, one in zip(due, listed(found), strict=True)]
        return tuple(turned) if len(due) > 1 else turned[0]


def listed(found: Any) -> Any:
    return found if isinstance(found, tuple) else (found,)


def test_second_derivatives_lie_as_what_they_are_derivatives_of() -> None:
    form = adapt.Form(x="b c h w", y="b (h w) c", passes={"s": "stride"})
    inner = Transposed("forward", "backward", "jvp", "double_backward")
    adapter = adapt.arrays(inner, form=form, capabilities=CLAIMS)
    assert agrees(adapter)
    dy, x, kernel = operands()
    for name, asked in (
        ("jvp", (x, kernel, x + 1, kernel - 2)),
        ("double_backward", (x + 1, kernel - 2, dy, x, kernel)),
    ):
        got, due = (getattr(one, name)(*asked, **OPTIONS) for one in (adapter, involution))
        for one, other in zip(listed(got), listed(due), strict=True):
            np.testing.assert_array_equal(one, other)
    # What it has not, the adapter has not.
    bare = adapt.arrays(Transposed("forward", "backward"), form=form, capabilities=CLAIMS)
    assert not hasattr(bare, "jvp")
    assert not hasattr(bare, "double_backward")


def test_unbatched_with_the_kernel_beside_and_one_stride() -> None:
    form = adapt.Form(
        x="h w c", kernel="h w u v g", passes={"steps": "stride"}, scalars=True, output=0
    )
    adapter = adapt.arrays(Sample(), form=form, capabilities=CLAIMS)
    assert agrees(adapter, 3)
    assert adapter.capabilities == {
        "strides": "square", "dilations": [(1, 1)], "empty_batch": False, **CLAIMS,
    }  # fmt: skip
    _, x, kernel = operands()
    for wrong, words in (
        ({"stride": (2, 1)}, "takes one number for stride, got"),
        ({"dilation": 2}, "takes no dilation, got 2"),
    ):
        with pytest.raises(ValueError, match=words):
            adapter.forward(x, kernel, **OPTIONS | wrong)


def test_what_is_passed() -> None:
    form = adapt.Form(
        x="b c h w", kernel="b g (u v) h w",
        passes={
            "s": "stride", "p": "padding", "size": "kernel_size", "each": "group_channels",
            "number": "groups", "together": "channels", "how": "group_layout",
        },
    )  # fmt: skip
    inner = ChannelsFirst(READ["b g (u v) h w"])
    assert agrees(adapt.arrays(inner, form=form))
    assert inner.told == {
        "s": (2, 2), "p": ((1, 1), (2, 2)), "size": (3, 5), "each": 3, "number": 2, "together": 6,
        "how": "blocked",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"x": "b c h"}, "x must have each of the axes b h w c once"),
        ({"kernel": "b g (k k) h w"}, "kernel must have each of the axes b h w u v g once"),
        ({"x": "c h w"}, "must all have the axis b, or none"),
        ({"passes": {"s": "steps"}}, "passes may give stride, .*, got steps"),
    ],
)
def test_bad_forms(form: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        adapt.Form(**form)


def test_what_a_function_is_not_told_must_be_declared() -> None:
    form = adapt.Form(passes={})
    both = r'no padding and no group_layout: declare .*{"paddings": "half", "group_l'
    with pytest.raises(ValueError, match=both):
        adapt.arrays(Sample(), form=form)
    with pytest.raises(ValueError, match="no group_layout: declare which it has"):
        adapt.arrays(Sample(), form=form, capabilities={"paddings": "half"})


def test_a_result_of_another_rank() -> None:
    class Flat(Sample):
        def forward(self, x: Any, kernel: Any) -> Any:
            return involution.forward(x, kernel, padding=((1, 1), (2, 2))).sum(-1)

    adapter = adapt.arrays(Flat(), form=adapt.Form(passes={}), capabilities=CLAIMS)
    _, x, kernel = operands()
    with pytest.raises(ValueError, match="y must have the axes b h w c, got shape"):
        adapter.forward(x[:, :3, :2], kernel)


def torch_function(x: Any, kernel: Any, stride: int, padding: int, shift: int = 0) -> Any:
    """The operator as PyTorch code has it: channels first, kernel as (B, G, K * K, Ho, Wo)."""
    from torch.nn.functional import unfold

    batch, groups, taps, height, width = kernel.shape
    size = round(taps**0.5)
    patches = unfold(x, size, padding=padding, stride=stride)
    patches = patches.view(batch, groups, x.shape[1] // groups, taps, height, width)
    return (patches * kernel.roll(shift, 2)[:, :, None]).sum(3).view(batch, -1, height, width)


TORCH = adapt.Form(
    x="b c h w", kernel="b g (u v) h w", passes={"stride": "stride", "padding": "padding"},
    scalars=True,
)  # fmt: skip
SCOPE = {
    "dtypes": "float32", "kernel_shapes": "odd square", "paddings": ["half", "int"],
    "group_layouts": "blocked", "empty_batch": False, "validates": False,
}  # fmt: skip


@pytest.mark.parametrize("shift", [0, 1])
def test_a_function_of_tensors_is_judged(shift: int) -> None:
    pytest.importorskip("torch", reason="torch is not installed")

    def function(x: Any, kernel: Any, **told: Any) -> Any:
        return torch_function(x, kernel, **told, shift=shift)

    adapter = adapt.torch(function, form=TORCH, capabilities=SCOPE)
    report = conformance.check(adapter, clauses=["GEO-8"], seed=0, diagnosis=False)
    assert report.verdict == ("fails" if shift else "conforms"), str(report)
    assert report.clauses["GEO-8"].verdict == ("fails" if shift else "passes")


@pytest.mark.parametrize("framework", ["tensorflow", "jax"])
def test_forms_in_other_frameworks(framework: str) -> None:
    pytest.importorskip(framework, reason=f"{framework} is not installed")

    def function(x: Any, kernel: Any) -> Any:
        # One tap, channels first.
        return x * kernel[:, :1]

    form = adapt.Form(x="b c h w", kernel="b (g u v) h w", passes={})
    make = getattr(adapt, framework)
    modes = ("eager", "graph") if framework == "tensorflow" else (False, True)
    rng = np.random.default_rng(3)
    shapes = ((2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 1, 1, 1))
    dy, x, kernel = (rng.integers(-9, 9, shape).astype(np.float32) for shape in shapes)
    due = involution.forward(x, kernel), *involution.backward(dy, x, kernel)
    for mode in modes:
        how = {"mode": mode} if framework == "tensorflow" else {"jit": mode}
        adapter = make(function, form=form, capabilities=CLAIMS, **how)
        got = adapter.forward(x, kernel), *adapter.backward(dy, x, kernel)
        assert all(np.array_equal(one, other) for one, other in zip(got, due, strict=True))


def layer(channels: int, kernel_size: int, stride: int, group_channels: int, wrong: bool) -> Any:
    """A layer of the official kind in our own words, its kernel read tap-major if it is wrong."""
    import torch

    class Layer(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            groups = channels // group_channels
            self.pool = torch.nn.AvgPool2d(stride, stride)
            self.reduce = torch.nn.Conv2d(channels, max(1, channels // 4), 1)
            self.span = torch.nn.Conv2d(max(1, channels // 4), groups * kernel_size**2, 1)

        def forward(self, x: Any) -> Any:
            weight = self.span(self.reduce(self.pool(x) if stride > 1 else x))
            batch, _, height, width = weight.shape
            if wrong:
                weight = weight.view(batch, kernel_size**2, -1, height, width).transpose(1, 2)
            weight = weight.reshape(batch, -1, kernel_size**2, height, width)
            return torch_function(x, weight, stride, (kernel_size - 1) // 2)

    return Layer()


LAYER = adapt.Form(
    x="b c h w", kernel="b (g u v) h w", scalars=True,
    passes={name: name for name in ("channels", "kernel_size", "stride", "group_channels")},
)  # fmt: skip


@pytest.mark.parametrize("wrong", [False, True])
def test_the_operator_within_a_layer(wrong: bool) -> None:
    pytest.importorskip("torch", reason="torch is not installed")

    def make(**told: Any) -> Any:
        return layer(**told, wrong=wrong)

    claims = {**SCOPE, "paddings": "half", "ragged": False}
    adapter = adapt.torch_layer(make, "span", form=LAYER, capabilities=claims)
    report = conformance.check(adapter, clauses=["GEO-8"], seed=0, diagnosis=False)
    assert report.verdict == ("fails" if wrong else "conforms"), str(report)


def test_a_layer_that_is_made_and_one_without_such_a_generator() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    form = adapt.Form(x="b c h w", kernel="b (g u v) h w", passes={})
    made = layer(4, 3, 1, 2, False)
    x, kernel = np.ones((1, 5, 5, 4), np.float32), np.ones((1, 5, 5, 3, 3, 2), np.float32)
    due = involution.forward(x, kernel)
    adapter = adapt.torch_layer(made, "span", form=form, capabilities=CLAIMS)
    assert np.array_equal(adapter.forward(x, kernel), due)
    with pytest.raises(ValueError, match=r"has no submodule 'spam'; did you mean span\?"):
        adapt.torch_layer(made, "spam", form=form, capabilities=CLAIMS).forward(x, kernel)
    made.idle = type(made.span)(1, 1, 1)
    with pytest.raises(ValueError, match="the layer never asked idle for a kernel"):
        adapt.torch_layer(made, "idle", form=form, capabilities=CLAIMS).forward(x, kernel)
