"""The Keras operator against a loop nest written here, with equality: all numbers are integers."""

import itertools
import re
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

tf = pytest.importorskip("tensorflow", reason="the Keras operator runs on TensorFlow here")
keras = pytest.importorskip("keras", reason="the Keras operator needs Keras")

from refimpl.keras import involution  # noqa: E402

Array = npt.NDArray[Any]

# (H, W), (Kh, Kw), (C, G), options
GEOMETRIES: list[tuple[tuple[int, int], tuple[int, int], tuple[int, int], dict[str, Any]]] = [
    ((5, 6), (3, 3), (4, 2), {}),
    ((5, 6), (3, 3), (4, 2), {"group_layout": "interleaved"}),
    ((7, 5), (2, 3), (6, 3), {"stride": (2, 3), "group_layout": "interleaved"}),
    ((7, 6), (3, 2), (3, 1), {"stride": (3, 1), "dilation": (1, 2)}),
    ((6, 7), (2, 2), (2, 2), {"padding": "valid", "stride": 2}),
    ((4, 4), (1, 2), (4, 2), {"padding": 2, "stride": (4, 3)}),
    ((4, 5), (4, 3), (2, 1), {"padding": ((0, 3), (2, 1)), "dilation": (1, 3)}),
    ((1, 1), (5, 4), (4, 2), {"stride": 3}),
    ((8, 9), (1, 1), (2, 1), {"stride": 5}),
    ((2, 9), (3, 3), (6, 2), {"dilation": 4, "stride": (1, 2), "group_layout": "interleaved"}),
    # Where XLA compiles, dx is summed in another form from four members of a group on.
    ((7, 5), (2, 3), (8, 2), {"stride": (2, 3), "group_layout": "interleaved"}),
    ((4, 4), (3, 2), (4, 1), {"padding": ((2, 0), (1, 3)), "stride": (4, 3), "dilation": (1, 2)}),
]


def pair(value: Any) -> Any:
    return value if isinstance(value, tuple) else (value, value)


def geometry(size: int, taps: int, stride: int, dilation: int, padding: Any) -> tuple[int, int]:
    """Outputs and pixels before of one axis, found by counting windows."""
    reach = (taps - 1) * dilation
    if padding == "same":
        last = ((size - 1) // stride) * stride
        total = max(0, last + reach - (size - 1))
        before, after = total // 2, total - total // 2
    else:
        before, after = (0, 0) if padding == "valid" else pair(padding)
    return len(range(0, before + size + after - reach, stride)), before


def axes(x: Array, taps: tuple[int, int], options: dict[str, Any]) -> list[tuple[int, int]]:
    padding = options.get("padding", "same")
    stride, dilation = (pair(options.get(name, 1)) for name in ("stride", "dilation"))
    sides = padding if isinstance(padding, tuple) else (padding, padding)
    return [geometry(x.shape[1 + a], taps[a], stride[a], dilation[a], sides[a]) for a in (0, 1)]


def looped(dy: Array, x: Array, kernel: Array, options: dict[str, Any]) -> tuple[Array, ...]:
    """Y, dx and dkernel in float64, one multiplication at a time."""
    stride, dilation = (pair(options.get(name, 1)) for name in ("stride", "dilation"))
    (_, top), (_, left) = axes(x, kernel.shape[3:5], options)
    blocked = options.get("group_layout", "blocked") == "blocked"
    channels, groups = x.shape[3], kernel.shape[5]
    y, dx, dkernel = (np.zeros(a.shape) for a in (dy, x, kernel))
    for b, i, j, u, v, c in itertools.product(*map(range, (*kernel.shape[:5], channels))):
        g = c // (channels // groups) if blocked else c % groups
        h, w = i * stride[0] + u * dilation[0] - top, j * stride[1] + v * dilation[1] - left
        if 0 <= h < x.shape[1] and 0 <= w < x.shape[2]:
            y[b, i, j, c] += float(kernel[b, i, j, u, v, g]) * float(x[b, h, w, c])
            dx[b, h, w, c] += float(kernel[b, i, j, u, v, g]) * float(dy[b, i, j, c])
            dkernel[b, i, j, u, v, g] += float(x[b, h, w, c]) * float(dy[b, i, j, c])
    return y, dx, dkernel


def operands(case: Any, batch: int = 2, dtype: str = "float32") -> tuple[Array, Array, Array]:
    """Integers so small that every partial sum is exact in all four formats."""
    size, taps, (channels, groups), options = case
    random = np.random.default_rng(20210306)
    x = random.integers(-2, 3, (batch, *size, channels))
    grid = [outputs for outputs, _ in axes(x, taps, options)]
    kernel = random.integers(-2, 3, (batch, *grid, *taps, groups))
    dy = random.integers(-2, 3, (batch, *grid, channels))
    wanted = tf.as_dtype(dtype).as_numpy_dtype
    return dy.astype(wanted), x.astype(wanted), kernel.astype(wanted)


def answers(dy: Any, x: Any, kernel: Any, options: dict[str, Any]) -> Any:
    with tf.GradientTape() as tape:
        tape.watch((x, kernel))
        y = involution(x, kernel, **options)
    return y, *tape.gradient(y, (x, kernel), output_gradients=dy)


def traced(case: Any, dtype: str, *, xla: bool) -> Any:
    """Everything but Kh, Kw and G unknown; XLA must know C for the sum over a group."""
    (_, taps, (channels, groups), options) = case
    image = tf.TensorSpec((None, None, None, channels if xla else None), dtype)
    spec = tf.TensorSpec((None, None, None, *taps, groups), dtype)
    function = tf.function(lambda *tensors: answers(*tensors, options), jit_compile=xla)
    return function.get_concrete_function(image, image, spec)


def assert_equal(got: Any, expected: tuple[Array, ...], dtype: str) -> None:
    for name, tensor, value in zip(("y", "dx", "dkernel"), got, expected, strict=True):
        assert tensor.dtype == dtype, name
        np.testing.assert_array_equal(tensor.numpy().astype(np.float64), value, err_msg=name)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("case", GEOMETRIES, ids=str)
@pytest.mark.clause("FWD-1", "GRD-1", "GRD-2", "GRP-2", "GRP-3")
def test_eager_equals_the_loops(case: Any, dtype: str) -> None:
    arrays = operands(case, dtype=dtype)
    got = answers(*map(tf.constant, arrays), case[3])
    assert_equal(got, looped(*arrays, case[3]), dtype)


# XLA compiles anew for each size, which is what takes the time here: every third geometry.
@pytest.mark.parametrize(
    ("case", "xla"), [(c, False) for c in GEOMETRIES] + [(c, True) for c in GEOMETRIES[::3]]
)
@pytest.mark.clause("FWD-1", "GRD-1", "GRD-2", "SPC-6")
def test_one_graph_of_unknown_sizes_equals_the_loops(case: Any, xla: bool) -> None:
    function = traced(case, "float32", xla=xla)
    (height, width), *rest = case
    for size, batch in (((height, width), 2), ((height + 3, width + 1), 1), ((height, width), 0)):
        arrays = operands((size, *rest), batch=batch)
        got = function(*map(tf.constant, arrays))
        assert_equal(got, looped(*arrays, case[3]), "float32")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.clause("NUM-2", "NUM-3", "NUM-4")
def test_half_precision_is_rounded_once(dtype: str) -> None:
    # 2^p + 1 + 1 is exact in float32 and representable; rounding between, the ones are lost.
    large = {"float16": 2.0**11, "bfloat16": 2.0**8}[dtype]
    x = tf.reshape(tf.constant([large, 1, 1], dtype), (1, 1, 3, 1))
    y = involution(x, tf.ones((1, 1, 1, 1, 3, 1), dtype), padding="valid")
    assert y.numpy().item() == large + 2
    ones = tf.ones((1, 1, 3, 1), dtype)
    dy, kernel = x, tf.ones((1, 1, 3, 1, 3, 1), dtype)
    assert answers(dy, ones, kernel, {})[1].numpy()[0, 0, 1, 0] == large + 2
    channels = tf.reshape(x, (1, 1, 1, 3))
    gradients = answers(tf.ones_like(channels), channels, tf.ones((1, 1, 1, 1, 1, 1), dtype), {})
    assert gradients[2].numpy().item() == large + 2


@pytest.mark.parametrize("special", [np.nan, np.inf])
@pytest.mark.parametrize("case", GEOMETRIES, ids=str)
@pytest.mark.clause("SPC-1", "SPC-2", "SPC-3")
def test_a_special_value_reaches_exactly_who_reads_it(case: Any, special: float) -> None:
    _, x, kernel = operands(case)
    dy = np.ones(operands(case)[0].shape, np.float32)
    x, kernel = np.ones_like(x), np.ones_like(kernel)
    for operand in (x, dy):
        spot = tuple(n // 2 for n in operand.shape)
        operand[spot] = special
        got = answers(*map(tf.constant, (dy, x, kernel)), case[3])
        # What the loops skip at a padded tap is zero there and unspecified here.
        _, _, inside = looped(np.ones_like(dy), np.ones_like(x), kernel, case[3])
        expected = looped(dy, x, kernel, case[3])
        for tensor, value, judged in zip(got, expected, (True, True, inside != 0), strict=True):
            np.testing.assert_array_equal(tensor.numpy()[judged], value[judged])
        operand[spot] = 1


@pytest.mark.clause("SPC-1")
def test_a_nan_in_the_kernel_reaches_one_group_of_one_output() -> None:
    _, x, kernel = operands(GEOMETRIES[0])
    kernel[1, 2, 3, 1, 1, 0] = np.nan
    y = involution(x, kernel).numpy()
    assert np.argwhere(np.isnan(y)).tolist() == [[1, 2, 3, 0], [1, 2, 3, 1]]


def second(operands: Any, directions: Any, options: dict[str, Any]) -> Any:
    """Differentiate the inner product of the gradients of the sum of y with directions."""
    with tf.GradientTape() as outer:
        outer.watch(operands)
        with tf.GradientTape() as inner:
            inner.watch(operands)
            y = involution(*operands, **options)
        gradients = inner.gradient(y, operands, output_gradients=tf.ones_like(y))
        products = [tf.reduce_sum(g * d) for g, d in zip(gradients, directions, strict=True)]
        total = tf.add_n(products)
    return outer.gradient(total, operands)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("case", GEOMETRIES[1::3], ids=str)
def test_it_is_differentiated_twice_and_forward(case: Any, graph: bool) -> None:
    options, (dy, *rest) = case[3], operands(case)
    given = tuple(map(tf.constant, rest))
    random = np.random.default_rng(5)
    steps = [random.integers(-2, 3, a.shape).astype(a.dtype) for a in rest]
    function = tf.function(second) if graph else second
    got = function(given, tuple(map(tf.constant, steps)), options)
    # <dx, step> is <ones, y(step, kernel)>, and <dkernel, step> is <ones, y(x, step)> (GRD-4).
    ones = np.ones_like(dy)
    due = looped(ones, rest[0], steps[1], options)[1], looped(ones, steps[0], rest[1], options)[2]
    for tensor, value in zip(got, due, strict=True):
        np.testing.assert_array_equal(tensor, value)
    with tf.autodiff.ForwardAccumulator(given, tuple(map(tf.constant, steps))) as forward:
        y = involution(*given, **options)
    one, other = ((steps[0], rest[1]), (rest[0], steps[1]))
    moved = looped(dy, *one, options)[0] + looped(dy, *other, options)[0]
    np.testing.assert_array_equal(forward.jvp(y), moved)


def test_a_graph_never_holds_the_patches() -> None:
    x, kernel = tf.ones((1, 24, 24, 64)), tf.ones((1, 24, 24, 7, 7, 4))
    dy, patches = tf.ones_like(x), 49 * 4 * 24 * 24 * 64
    for function, few in (
        (tf.function(involution), 8),
        (tf.function(lambda x, kernel: answers(dy, x, kernel, {})), 4),
    ):
        function(x, kernel)
        try:
            tf.config.experimental.reset_memory_stats("CPU:0")
        except ValueError:
            pytest.skip("this TensorFlow does not count what it holds on a CPU")
        before = tf.config.experimental.get_memory_info("CPU:0")["current"]
        results = function(x, kernel)
        held = tf.config.experimental.get_memory_info("CPU:0")["peak"] - before
        assert held < patches / few, (held, patches, len(results))


@pytest.mark.parametrize(("backward", "sums"), [(False, 1), (True, 3)])
def test_xla_computes_each_sum_once(backward: bool, sums: int) -> None:
    """Each is a computation of its own, which XLA cannot fuse into each tap that reads its result.

    Fused, a step took a hundred times as long. What XLA has made of the program is looked at.
    """

    def step(x: Any, kernel: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            y = involution(x, kernel)
            loss = tf.reduce_sum(y * y)
        return (loss, *tape.gradient(loss, (x, kernel))) if backward else loss

    x, kernel = tf.ones((2, 5, 6, 4)), tf.ones((2, 5, 6, 3, 3, 2))
    compiled = tf.function(step, jit_compile=True)
    program = compiled.experimental_get_compiler_ir(x, kernel)(stage="optimized_hlo")
    assert len(re.findall(r" conditional\(", program)) == sums


@pytest.mark.parametrize("stride", [(2, 3), (1, 2)])
def test_in_a_graph_taps_read_neighbours_whatever_the_stride(stride: tuple[int, int]) -> None:
    """TensorFlow reads pixels that lie apart five times as slowly: no node of a graph does."""

    def step(x: Any, kernel: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            y = involution(x, kernel, stride=stride)
        return (y, *tape.gradient(y, (x, kernel)))

    x, outputs = tf.ones((2, 6, 6, 4)), (6 // stride[0], 6 // stride[1])
    traced = tf.function(step).get_concrete_function(x, tf.ones((2, *outputs, 3, 3, 2)))
    read = [node for node in traced.graph.get_operations() if node.type == "StridedSlice"]
    steps = [tf.get_static_value(node.inputs[3]) for node in read]
    assert steps
    assert all(set(one) == {1} for one in steps)


def test_channels_come_last_whatever_keras_is_set_to() -> None:
    arrays = operands(GEOMETRIES[2])
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        got = answers(*map(tf.constant, arrays), GEOMETRIES[2][3])
    finally:
        keras.config.set_image_data_format(before)
    assert_equal(got, looped(*arrays, GEOMETRIES[2][3]), "float32")


def test_lists_and_views_are_taken() -> None:
    assert involution([[[[2.0]]]], [[[[[[3.0]]]]]]).numpy().item() == 6
    dy, x, kernel = operands(GEOMETRIES[0])
    views = x[:, ::-1], kernel.transpose(5, 4, 3, 2, 1, 0).copy().transpose(5, 4, 3, 2, 1, 0)
    expected, *_ = looped(dy, *views, {})
    np.testing.assert_array_equal(involution(*views).numpy(), expected)


def test_it_is_a_node_of_a_functional_model_that_can_be_saved(tmp_path: Any) -> None:
    x = keras.Input((None, None, 4))
    kernel = keras.Input((None, None, 3, 3, 2))
    y = involution(x, kernel, stride=2)
    assert y.shape == (None, None, None, 4)
    keras.Model([x, kernel], y).save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    arrays = operands(((7, 6), (3, 3), (4, 2), {"stride": 2}))
    expected, *_ = looped(*arrays, {"stride": 2})
    np.testing.assert_array_equal(model(list(arrays[1:])).numpy(), expected)


X, KERNEL = np.ones((2, 5, 6, 4), np.float32), np.ones((2, 5, 6, 3, 3, 2), np.float32)
REJECTED: list[tuple[dict[str, Any], type[Exception], str, str, str]] = [
    ({"x": X[0]}, ValueError, "x", "ERR-1", r"\(5, 6, 4\)"),
    ({"kernel": KERNEL[..., 0]}, ValueError, "kernel", "ERR-1", r"\(2, 5, 6, 3, 3\)"),
    ({"kernel": KERNEL[:1]}, ValueError, "kernel", "ERR-2", r"\(1, 5, 6, 3, 3, 2\)"),
    ({"x": X[..., :3]}, ValueError, "kernel", "ERR-3", "G = 2 and C = 3"),
    ({"x": X[:, :0]}, ValueError, "x", "ERR-3", r"\(2, 0, 6, 4\)"),
    ({"kernel": KERNEL[:, :, :, :0]}, ValueError, "kernel", "ERR-3", r"\(2, 5, 6, 0, 3, 2\)"),
    ({"kernel": KERNEL[:, :1]}, ValueError, "kernel", "ERR-4", r"got \(1, 6\)"),
    ({"stride": 2}, ValueError, "kernel", "ERR-4", r"got \(5, 6\)"),
    ({"stride": 0}, ValueError, "stride", "ERR-5", "got 0"),
    ({"stride": True}, TypeError, "stride", "ERR-5", "got True"),
    ({"stride": np.True_}, TypeError, "stride", "ERR-5", "True"),
    ({"stride": (1, 1, 1)}, TypeError, "stride", "ERR-5", r"got \(1, 1, 1\)"),
    ({"dilation": (1, -2)}, ValueError, "dilation", "ERR-5", r"got \(1, -2\)"),
    ({"dilation": 1.0}, TypeError, "dilation", "ERR-5", "got 1.0"),
    ({"dilation": None}, TypeError, "dilation", "ERR-5", "got None"),
    ({"padding": "SAME"}, ValueError, "padding", "ERR-6", "got 'SAME'"),
    ({"padding": -1}, ValueError, "padding", "ERR-6", "got -1"),
    ({"padding": True}, TypeError, "padding", "ERR-6", "got True"),
    ({"padding": (1, 1)}, TypeError, "padding", "ERR-6", r"got \(1, 1\)"),
    ({"padding": ((1, 1),)}, TypeError, "padding", "ERR-6", r"got \(\(1, 1\),\)"),
    ({"padding": ((1, 1), (1, -1))}, ValueError, "padding", "ERR-6", r"\(1, -1\)"),
    ({"group_layout": "Blocked"}, ValueError, "group_layout", "ERR-7", "got 'Blocked'"),
    ({"group_layout": None}, ValueError, "group_layout", "ERR-7", "got None"),
    ({"padding": "valid", "dilation": 3}, ValueError, "padding", "ERR-8", r"\(-1, 0\)"),
    ({"x": X.astype(complex)}, TypeError, "x", "ERR-9", "complex128"),
    ({"x": X.astype(object)}, TypeError, "x", "ERR-9", "object"),
    ({"x": X.astype(bool)}, TypeError, "x", "ERR-9", "bool"),
    ({"kernel": KERNEL.astype(int)}, TypeError, "kernel", "ERR-9", "int64"),
    ({"kernel": KERNEL.astype(float)}, TypeError, "x and kernel", "ERR-9", "kernel float64"),
]


@pytest.mark.parametrize(("change", "error", "argument", "clause", "received"), REJECTED)
def test_the_message_names_argument_rule_and_value(
    change: dict[str, Any], error: type[Exception], argument: str, clause: str, received: str
) -> None:
    with pytest.raises(error, match=rf"^{argument} must .*\({clause}\).*{received}"):
        involution(**({"x": X, "kernel": KERNEL} | change))


def test_a_kernel_extent_that_is_unknown_is_rejected() -> None:
    kernel = keras.Input((None, None, 3, None, 2))
    with pytest.raises(ValueError, match="kernel must have Kh, Kw and G that are known"):
        involution(keras.Input((None, None, 4)), kernel)


@pytest.mark.clause("ERR-1")
def test_an_unknown_rank_is_rejected() -> None:
    spec = tf.TensorSpec(None, "float32")
    function = tf.function(lambda x: involution(x, KERNEL), input_signature=[spec])
    with pytest.raises(ValueError, match=r"x must have rank 4.*got unknown rank"):
        function(X)


# What no trace can know, a graph still must not broadcast. Shapes (B, H, W), (B, Ho, Wo), padding.
UNKNOWN: list[tuple[tuple[int, int, int], tuple[int, int, int], Any]] = [
    ((2, 4, 5), (2, 1, 5), "same"),
    ((2, 4, 5), (2, 1, 1), "same"),
    ((2, 4, 5), (2, 5, 4), "same"),
    ((2, 4, 5), (2, 5, 5), "same"),
    ((2, 1, 1), (2, 4, 5), "same"),
    ((2, 4, 5), (1, 4, 5), "same"),
    ((1, 4, 5), (2, 4, 5), "same"),
    ((2, 0, 5), (2, 0, 5), "same"),
    ((2, 0, 5), (2, 1, 5), "same"),
    ((2, 0, 5), (2, 2, 7), 2),
    ((2, 2, 5), (2, 0, 3), "valid"),
    ((2, 2, 5), (2, 1, 3), "valid"),
    ((2, 1, 5), (2, 1, 3), "valid"),
]


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(("image", "grid", "padding"), UNKNOWN)
@pytest.mark.clause("ERR-2", "ERR-3", "ERR-4", "ERR-8")
def test_sizes_unknown_when_traced_are_checked_when_run(
    image: Any, grid: Any, padding: Any, xla: bool
) -> None:
    x, kernel = np.ones((*image, 4), np.float32), np.ones((*grid, 3, 3, 2), np.float32)
    specs = (
        tf.TensorSpec((None, None, None, 4), "float32"),
        tf.TensorSpec((None, None, None, 3, 3, 2), "float32"),
    )
    function = tf.function(
        lambda x, kernel: involution(x, kernel, padding=padding),
        input_signature=specs,
        jit_compile=xla,
    )
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        function(x, kernel)


def test_without_keras_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['keras'] = None; import refimpl.keras"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "refimpl[tensorflow]"' in done.stderr
