"""The oracle on dask arrays: for every chunking the bits of the call in memory.

``python -m tests.oracle.test_dask`` draws more geometries and chunkings, from a seed of its own.
"""

import argparse
import math
import subprocess
import sys
from unittest import mock

import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from refimpl import _blocks, geometry, involution


def sizes(draw, extent: int, dilation: int, padding: int) -> int:
    least = max(1, (extent - 1) * dilation + 1 - padding)
    return draw(st.integers(least, least + 5))


@st.composite
def problems(draw):
    """Operands of one call, and its options: small, of every padding, layout and format."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    stride, dilation, taps = draw(pairs), draw(pairs), draw(pairs)
    side = st.integers(0, 4)
    explicit = st.tuples(st.tuples(side, side), st.tuples(side, side))
    padding = draw(st.sampled_from(["same", "valid"]) | st.integers(0, 3) | explicit)
    around = (
        [sum(sides) for sides in padding]
        if isinstance(padding, tuple)
        else [2 * padding if isinstance(padding, int) else 0] * 2
    )
    if padding == "same":
        around = [math.inf] * 2
    H, W = (
        sizes(draw, taps[i], dilation[i], around[i]) if around[i] < math.inf
        else draw(st.integers(1, 8))
        for i in (0, 1)
    )  # fmt: skip
    B, G, M = (draw(st.integers(low, 3)) for low in (0, 1, 1))
    both = geometry.axes((H, W), taps, stride, dilation, padding)
    grid = tuple(axis.outputs for axis in both)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["float16", "float32", "float64"]))
    shapes = {"x": (B, H, W, G * M), "kernel": (B, *grid, *taps, G), "dy": (B, *grid, G * M)}
    operands = {
        name: (rng.standard_normal(shape) * 10.0 ** rng.integers(-4, 4, shape)).astype(dtype)
        for name, shape in shapes.items()
    }
    layout = draw(st.sampled_from(["blocked", "interleaved"]))
    options = {"stride": stride, "dilation": dilation, "padding": padding, "group_layout": layout}
    return operands, options


@st.composite
def chunked(draw, array):
    """The array in chunks that end anywhere, on every axis."""
    chunks = []
    for length in array.shape:
        cuts = draw(st.sets(st.integers(1, length - 1), max_size=3)) if length > 1 else ()
        chunks.append(tuple(np.diff([0, *sorted(cuts), length]).tolist()))
    return da.from_array(array, chunks=tuple(chunks))


def results(operands, options):
    x, kernel, dy = operands["x"], operands["kernel"], operands["dy"]
    return (
        involution.forward(x, kernel, **options),
        *involution.backward(dy, x, kernel, **options),
    )


def differ(operands, options, blocks) -> list[str]:
    """Which results in blocks have other bits than those in memory."""
    lazy = results(blocks, options)
    assert all(type(one) is da.Array for one in lazy)
    computed = dask.compute(*lazy, scheduler="synchronous", optimize_graph=False)
    expected = results(operands, options)
    names = ("y", "dx", "dkernel")
    for name, one, plan, due in zip(names, computed, lazy, expected, strict=True):
        assert (one.shape, one.dtype) == (due.shape, due.dtype) == (plan.shape, plan.dtype), name
    return [
        name
        for name, one, due in zip(names, computed, expected, strict=True)
        if one.tobytes() != due.tobytes()
    ]


@given(st.data())
def test_chunks_change_no_bit(data: st.DataObject) -> None:
    operands, options = data.draw(problems())
    blocks = {name: data.draw(chunked(array)) for name, array in operands.items()}
    assert differ(operands, options, blocks) == []


def survey(geometries: int, start: int) -> None:
    """Hold so many drawn geometries and chunkings to the call in memory."""
    drawn = settings(
        max_examples=geometries, derandomize=False, deadline=None, database=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    seed(start)(drawn(test_chunks_change_no_bit))()


def example():
    rng = np.random.default_rng(17)
    shapes = {"x": (2, 9, 7, 6), "kernel": (2, 5, 4, 3, 3, 3), "dy": (2, 5, 4, 6)}
    operands = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    chunks = {"x": (1, 4, 5, 4), "kernel": (2, 2, 3, 2, 3, 2), "dy": (1, 3, 4, 6)}
    blocks = {name: da.from_array(array, chunks=chunks[name]) for name, array in operands.items()}
    return operands, blocks


@pytest.mark.parametrize("layout", ["blocked", "interleaved"])
def test_a_short_halo_is_noticed(layout: str) -> None:
    """One output row less for dx; one row of pixels less for y and dkernel."""
    operands, blocks = example()
    options = {"stride": 2, "group_layout": layout}
    assert differ(operands, options, blocks) == []
    touching, cut = _blocks.touching, _blocks.cut

    def shorter(axis, pixels):
        first, last = touching(axis, pixels)
        return first, max(last - 1, first)

    def cropped(axis, outputs, taps, window):
        return cut(axis, outputs, taps, (window[0], window[1] - 1))

    with mock.patch.object(_blocks, "touching", shorter):
        assert differ(operands, options, blocks) == ["dx"]
    with mock.patch.object(_blocks, "cut", cropped):
        names = ("y", "dx", "dkernel")
        lazy = dict(zip(names, results(blocks, options), strict=True))
        due = dict(zip(names, results(operands, options), strict=True))
        for name in ("y", "dkernel"):
            assert lazy[name].compute(scheduler="synchronous").tobytes() != due[name].tobytes()


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    operands, blocks = example()
    seen = []
    watched = {
        name: array.map_blocks(lambda block: seen.append(1) or block, dtype=array.dtype, meta=array)
        for name, array in blocks.items()
    }
    y, dx, dkernel = results(watched, {"stride": 2})
    assert seen == []
    assert dx.chunks == blocks["x"].chunks
    assert dkernel.chunks == blocks["kernel"].chunks
    assert y.chunks == ((1, 1), (2, 2, 1), (3, 1), (4, 2))
    few = y[:1, :2].compute(scheduler="synchronous")
    assert (
        few.tobytes()
        == involution.forward(operands["x"], operands["kernel"], stride=2)[:1, :2].tobytes()
    )
    assert len(seen) < math.prod(blocks["x"].numblocks) + math.prod(blocks["kernel"].numblocks)


def test_in_memory_beside_in_blocks() -> None:
    """In both orders; and bfloat16, big-endian numbers and threads."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    operands, blocks = example()
    for name in operands:
        assert differ(operands, {"stride": 2}, operands | {name: blocks[name]} | {
            "x": blocks["x"], "dy": blocks["dy"]
        }) == []  # fmt: skip
    for dtype in (ml_dtypes.bfloat16, ">f4"):
        narrow = {name: array.astype(dtype) for name, array in operands.items()}
        lazy = {name: array.astype(dtype) for name, array in blocks.items()}
        for one, due in zip(
            dask.compute(*results(lazy, {"stride": 2}), scheduler="threads"),
            results(narrow, {"stride": 2}),
            strict=True,
        ):
            assert one.tobytes() == due.tobytes()


def test_what_is_refused() -> None:
    """By the plan already; with the words of a call in memory, where that has any."""
    operands, blocks = example()
    x, kernel = blocks["x"], blocks["kernel"]
    unknown = x[x[:, 0, 0, 0] > 0]
    with pytest.raises(ValueError, match=r"x must have chunks of known sizes .*got chunks \(\(nan"):
        involution.forward(unknown, kernel, stride=2)
    with pytest.raises(TypeError, match=r"x must have blocks that are plain NumPy arrays"):
        involution.forward(da.ma.masked_equal(x, 0.0), kernel, stride=2)
    for wrong in ({"stride": 0}, {"stride": 1}, {"stride": 2, "padding": "all"}):
        with pytest.raises(ValueError, match="must") as lazy:
            involution.forward(x, kernel, **wrong)
        with pytest.raises(ValueError, match="must") as due:
            involution.forward(operands["x"], operands["kernel"], **wrong)
        assert str(lazy.value) == str(due.value)
    with pytest.raises(TypeError, match="ERR-9"):
        involution.forward(x.astype("f4"), kernel, stride=2)


def test_dask_is_imported_by_those_who_bring_it() -> None:
    script = (
        "import sys, numpy as np; from refimpl import involution;"
        "involution.forward(np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 1, 1, 1)));"
        "assert 'dask' not in sys.modules and 'refimpl._dask' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--geometries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    survey(chosen.geometries, chosen.seed)
    print(
        f"{chosen.geometries} geometries and chunkings from seed {chosen.seed}: y, dx and dkernel "
        "have the bits of the call in memory"
    )


if __name__ == "__main__":
    main()
