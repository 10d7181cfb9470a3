"""Forward mode and second derivatives of the oracle: bit for bit those of rational arithmetic."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refimpl import involution

CALLS: list[dict[str, Any]] = [
    {"stride": 2, "dilation": (2, 1), "padding": "same", "group_layout": "interleaved"},
    {"stride": (1, 3), "dilation": 1, "padding": ((2, 0), (1, 3)), "group_layout": "blocked"},
]
SHAPES = {"image": (2, 5, 6, 4), "taps": (2, 3, 2)}


def operands(options: dict[str, Any], dtype: str, scale: float) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    image, grid = SHAPES["image"], {2: (3, 3), (1, 3): (6, 3)}[options["stride"]]
    kernel, out = (2, *grid, *SHAPES["taps"]), (2, *grid, 4)
    shapes = {
        "x": image, "kernel": kernel, "dy": out, "tx": image, "tkernel": kernel,
    }  # fmt: skip
    values = {
        n: (scale ** rng.uniform(-1, 1, s) * rng.choice([-1, 1], s)) for n, s in shapes.items()
    }
    return {name: array.astype(dtype) for name, array in values.items()}


def exact(name: str, options: dict[str, Any], given: dict[str, Any]) -> Any:
    """Sum products of fractions, each where its operands meet, and round once."""
    x, kernel, dy, tx, tkernel = (given[n] for n in ("x", "kernel", "dy", "tx", "tkernel"))
    stride, dilation = (
        n if isinstance(n, tuple) else (n, n) for n in (options["stride"], options["dilation"])
    )
    padding = options["padding"]
    if padding == "same":
        # 5 and 6 pixels, stride 2, extents 3 and 3: 2 and 1 pixels are missing.
        padding = ((1, 1), (0, 1))
    sums: dict[tuple[int, ...], Fraction] = {}
    groups, members = kernel.shape[5], x.shape[3] // kernel.shape[5]
    for b, i, j, u, v, c in np.ndindex(*kernel.shape[:5], x.shape[3]):
        h = i * stride[0] + u * dilation[0] - padding[0][0]
        w = j * stride[1] + v * dilation[1] - padding[1][0]
        if not (0 <= h < x.shape[1] and 0 <= w < x.shape[2]):
            continue
        g = c // members if options["group_layout"] == "blocked" else c % groups
        pixel, entry, out = (b, h, w, c), (b, i, j, u, v, g), (b, i, j, c)
        a, k, d, p, q = (
            Fraction(float(one[at]))
            for one, at in ((x, pixel), (kernel, entry), (dy, out), (tx, pixel), (tkernel, entry))
        )
        at, term = {
            "ty": (out, p * k + a * q), "d2x": (pixel, d * q), "d2kernel": (entry, d * p),
        }[name]  # fmt: skip
        sums[at] = sums.get(at, Fraction(0)) + term
    shape = {"ty": dy, "d2x": x, "d2kernel": kernel}[name].shape
    due = np.zeros(shape)
    for at, total in sums.items():
        due[at] = float(total)
    return due


@pytest.mark.parametrize(("dtype", "scale"), [("float64", 1e30), ("float32", 1e9), ("float16", 9)])
@pytest.mark.parametrize("options", CALLS, ids=["same", "explicit"])
def test_each_result_is_the_exact_sum_rounded_once(
    options: dict[str, Any], dtype: str, scale: float
) -> None:
    given = operands(options, dtype, scale)
    x, kernel, dy, tx, tkernel = (given[n] for n in ("x", "kernel", "dy", "tx", "tkernel"))
    ty = involution.jvp(x, kernel, tx, tkernel, **options)
    ddy, d2x, d2kernel = involution.double_backward(tx, tkernel, dy, x, kernel, **options)
    due = exact("ty", options, given)
    assert np.array_equal(ty, due)
    assert np.array_equal(ddy, due)
    assert np.array_equal(d2x, exact("d2x", options, given))
    assert np.array_equal(d2kernel, exact("d2kernel", options, given))


def test_both_parts_are_one_sum() -> None:
    """The parts alone would be rounded, and what is left of them lost."""
    one, entry = np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1, 1, 1))
    tiny = 1 + 2.0**-52
    ty = involution.jvp(tiny * one, -tiny * entry, tiny * one, (1 + 2.0**-51) * entry)
    parts = -(tiny * tiny) + tiny * (1 + 2.0**-51)
    assert ty.item() == 2.0**-52 + 2.0**-104
    assert ty.item() != parts


def test_padded_taps_of_nan_add_nothing() -> None:
    x, kernel = np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 3, 3, 1))
    kernel[0, 0, 0, 0, 0, 0] = np.nan
    assert np.isfinite(involution.jvp(x, kernel, x, kernel * 0 + 1)).all()


def test_an_empty_batch_is_answered() -> None:
    x, kernel = np.ones((0, 2, 2, 1)), np.ones((0, 2, 2, 3, 3, 1))
    assert involution.jvp(x, kernel, x, kernel).shape == x.shape
    assert [a.shape for a in involution.double_backward(x, kernel, x, x, kernel)] == [
        x.shape, x.shape, kernel.shape,
    ]  # fmt: skip


def test_what_does_not_fit_is_refused() -> None:
    x, kernel = np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 3, 3, 1))
    with pytest.raises(ValueError, match=r"tx must have the shape of x, \(1, 2, 2, 1\) \(GRD-7\)"):
        involution.jvp(x, kernel, x[:, :1], kernel)
    with pytest.raises(ValueError, match=r"ddkernel must have the shape of kernel.*\(GRD-8\)"):
        involution.double_backward(x, kernel[..., :1, :, :], x, x, kernel)
    with pytest.raises(ValueError, match=r"tkernel must have rank 6"):
        involution.jvp(x, kernel, x, x)
    with pytest.raises(TypeError, match=r"must have one dtype \(ERR-9\)"):
        involution.jvp(x, kernel, x.astype(np.float32), kernel)
