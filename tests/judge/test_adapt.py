"""What `conformance.adapt` makes of a function: its gradients, its complaints, and its verdict."""

import importlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from conformance import adapt
from conformance.claims.formats import FORMATS
from tests.house.test_docs import ROOT, blocks

FRAMEWORKS = ("torch", "tensorflow", "jax")
OPTIONS = {"stride": 1, "dilation": 1, "padding": "same", "group_layout": "blocked"}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    """A framework that is installed."""
    name: str = request.param
    pytest.importorskip(name, reason=f"{name} is not installed")
    return name


def returns_x(x: Any, kernel: Any, **options: Any) -> Any:  # noqa: ARG001
    return x


def product(x: Any, kernel: Any, **options: Any) -> Any:  # noqa: ARG001
    """The operator, for a kernel of one tap and one group."""
    return x * kernel[:, :, :, 0, 0, :]


def numbers(dtype: Any, *shape: int) -> Any:
    return (np.arange(np.prod(shape)) - 3).reshape(shape).astype(dtype)


@pytest.mark.parametrize("jit", [False, True])
def test_jax_is_wide_for_float64_alone(jit: bool) -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    seen = []

    def function(x: Any, kernel: Any, **options: Any) -> Any:
        seen.append((x.dtype.name, jax.numpy.zeros(1).dtype.name))
        return product(x, kernel, **options)

    adapter = adapt.jax(function, jit=jit)
    for dtype in ("float64", "float32", "bfloat16"):
        x, kernel = numbers(dtype, 1, 2, 2, 1), numbers(dtype, 1, 2, 2, 1, 1, 1)
        results = adapter.forward(x, kernel), *adapter.backward(x, x, kernel)
        assert {result.dtype for result in results} == {x.dtype}
    default = {"float64": "float64", "float32": "float32", "bfloat16": "float32"}
    assert dict(seen) == default


def adapters(framework: str, function: Callable[..., Any]) -> list[Any]:
    """Adapters of a function in every mode that is soon ready."""
    if framework == "tensorflow":
        return [adapt.tensorflow(function, mode) for mode in ("eager", "graph")]
    if framework == "jax":
        return [adapt.jax(function, jit=jit) for jit in (False, True)]
    return [adapt.torch(function)]


def call(dtype: Any = np.float32) -> tuple[Any, Any, Any]:
    """Give dy, x and kernel, for one tap."""
    return (
        numbers(dtype, 1, 2, 3, 4) + dtype(2),
        numbers(dtype, 1, 2, 3, 4),
        numbers(dtype, 1, 2, 3, 1, 1, 4) * dtype(3),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_gradients(framework: str, dtype: Any) -> None:
    dy, x, kernel = call(dtype)
    for adapter in adapters(framework, product):
        assert np.array_equal(adapter.forward(x, kernel), x * kernel[:, :, :, 0, 0, :])
        dx, dkernel = adapter.backward(dy, x, kernel)
        assert np.array_equal(dx, dy * kernel[:, :, :, 0, 0, :])
        assert np.array_equal(dkernel[:, :, :, 0, 0, :], dy * x)
        assert {dx.dtype, dkernel.dtype} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_forward_mode_and_second_derivatives(framework: str, dtype: Any) -> None:
    dy, x, kernel = call(dtype)
    tx, tkernel = (one[:, ::-1].copy() for one in (x, kernel))
    weights, tweights = kernel[:, :, :, 0, 0, :], tkernel[:, :, :, 0, 0, :]
    for adapter in adapters(framework, product):
        ty = adapter.jvp(x, kernel, tx, tkernel)
        assert np.array_equal(ty, tx * weights + x * tweights)
        ddy, d2x, d2kernel = adapter.double_backward(tx, tkernel, dy, x, kernel)
        assert np.array_equal(ddy, ty)
        assert np.array_equal(d2x, dy * tweights)
        assert np.array_equal(d2kernel[:, :, :, 0, 0, :], dy * tx)
        assert {one.dtype for one in (ty, ddy, d2x, d2kernel)} == {np.dtype(dtype)}


def test_what_does_not_fit_is_refused_by_every_function(framework: str) -> None:
    """Some frameworks would broadcast or cast it."""
    dy, x, kernel = call()
    for adapter in adapters(framework, product):
        for wrong in (x[:1, :1], x.astype(np.float64)):
            with pytest.raises(ValueError, match="tx must be float32 of shape"):
                adapter.jvp(x, kernel, wrong, kernel)
            with pytest.raises(ValueError, match="ddx must be float32 of shape"):
                adapter.double_backward(wrong, kernel, dy, x, kernel)
        with pytest.raises(ValueError, match="tkernel must be float32 of shape"):
            adapter.jvp(x, kernel, x, kernel[..., :1, :1, :1])
        with pytest.raises(ValueError, match="ddkernel must be float32 of shape"):
            adapter.double_backward(x, kernel.astype(np.float64), dy, x, kernel)
        with pytest.raises(ValueError, match="dy must be float32 of shape"):
            adapter.double_backward(x, kernel, dy[:, :1], x, kernel)


def test_forward_mode_of_torch_is_entered_by_one_thread_at_a_time() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    _, x, kernel = call()
    (adapter,) = (one for one in adapters("torch", product) if not one.compiled)
    gate, found = threading.Barrier(4), []

    def run() -> None:
        gate.wait()
        for _ in range(50):
            found.append(adapter.jvp(x, kernel, x, kernel))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200
    assert all(np.array_equal(one, found[0]) for one in found)


def test_all_options_are_passed_on(framework: str) -> None:
    seen = []

    def function(x: Any, kernel: Any, **options: Any) -> Any:
        seen.append(options)
        return product(x, kernel)

    dy, x, kernel = call()
    other = {"stride": True, "dilation": (1, 2), "padding": 0, "group_layout": "interleaved"}
    for adapter in adapters(framework, function):
        seen.clear()
        adapter.forward(x, kernel)
        adapter.forward(x, kernel, **{**OPTIONS, "stride": True})
        adapter.backward(dy, x, kernel, **other)
        assert list(map(repr, seen)) == list(
            map(repr, (OPTIONS, {**OPTIONS, "stride": True}, other))
        )


@pytest.mark.parametrize("got", [np.zeros(3), (1, 2), None], ids=lambda got: type(got).__name__)
def test_a_function_must_return_a_tensor(framework: str, got: Any) -> None:
    dy, x, kernel = call()
    for adapter in adapters(framework, lambda x, kernel, **options: got):  # noqa: ARG005
        words = rf"the function must return a .*(Tensor|Array), got {type(got).__name__}"
        with pytest.raises(TypeError, match=words):
            adapter.forward(x, kernel)
        with pytest.raises(TypeError, match=words):
            adapter.backward(dy, x, kernel)


def test_dy_must_fit(framework: str) -> None:
    """A tape would broadcast it or cast it."""
    dy, x, kernel = call()
    for adapter in adapters(framework, product):
        for wrong in (dy[:, :1], dy[..., :1], dy[0], dy.astype(np.float64)):
            with pytest.raises(ValueError, match=r"dy must be float32 of shape \(1, 2, 3, 4\)"):
                adapter.backward(wrong, x, kernel)


def test_y_must_have_the_shape_of_dy(framework: str) -> None:
    dy, x, kernel = call()
    for adapter in adapters(framework, lambda *operands, **_: product(*operands)[:, :1]):
        with pytest.raises(Exception, match="shape"):
            adapter.backward(dy, x, kernel)


def cut(framework: str, tensor: Any) -> Any:
    """Take a tensor out of automatic differentiation."""
    if framework == "torch":
        return tensor.detach()
    return importlib.import_module(framework).stop_gradient(tensor)


@pytest.mark.parametrize("name", ["x", "kernel"])
@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_gradient_that_is_cut_off_is_an_error(framework: str, name: str) -> None:
    """JAX does not tell what is cut off from what is zero."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    dy, x, kernel = call()

    def function(**operands: Any) -> Any:
        operands[name] = cut(framework, operands[name])
        return product(**operands)

    for adapter in adapters(framework, lambda x, kernel, **_: function(x=x, kernel=kernel)):
        with pytest.raises(RuntimeError, match=f"no gradient flows from it to {name}: the func"):
            adapter.backward(dy, x, kernel)


def once_differentiable(framework: str) -> Callable[..., Any]:
    """Give the product with a gradient of its own, which is cut off from what it is made of."""
    if framework == "torch":
        import torch

        class Once(torch.autograd.Function):  # type: ignore[misc]
            @staticmethod
            def forward(ctx: Any, x: Any, weights: Any) -> Any:
                ctx.save_for_backward(x, weights)
                return x * weights

            @staticmethod
            def backward(ctx: Any, dy: Any) -> Any:
                x, weights = (one.detach() for one in ctx.saved_tensors)
                return dy.detach() * weights, dy.detach() * x

        return lambda x, kernel, **_: Once.apply(x, kernel[:, :, :, 0, 0, :])
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def once(x: Any, weights: Any) -> Any:
        def back(dy: Any) -> Any:
            return tf.stop_gradient(dy * weights), tf.stop_gradient(dy * x)

        return x * weights, back

    return lambda x, kernel, **_: once(x, kernel[:, :, :, 0, 0, :])


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_gradient_that_cannot_be_differentiated_is_an_error(framework: str) -> None:
    """And no gradient of zero."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    dy, x, kernel = call()
    for adapter in adapters(framework, once_differentiable(framework)):
        dx, _ = adapter.backward(dy, x, kernel)
        assert np.array_equal(dx, dy * kernel[:, :, :, 0, 0, :])
        with pytest.raises(RuntimeError, match="nothing flows from them to dy: the gradient that"):
            adapter.double_backward(x, kernel, dy, x, kernel)


def test_what_torch_compiles_claims_neither() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    claimed = adapt.torch(product, compile=True).capabilities
    assert claimed["jvp"] is claimed["double_backward"] is False


def test_what_y_does_not_depend_on_has_a_gradient_of_zero(framework: str) -> None:
    """Where y is zero: every tap is padded, or the batch is empty."""
    dy, x, kernel = call()
    module = importlib.import_module(framework)
    zeros = (module.numpy if framework == "jax" else module).zeros_like
    for adapter in adapters(framework, lambda x, kernel, **_: zeros(x)):  # noqa: ARG005
        assert not adapter.jvp(x, kernel, x, kernel).any()
        second = adapter.double_backward(x, kernel, dy, x, kernel)
        assert [one.shape for one in second] == [dy.shape, x.shape, kernel.shape]
        assert not any(one.any() for one in second)
        dx, dkernel = adapter.backward(dy, x, kernel)
        assert dx.shape == x.shape
        assert dkernel.shape == kernel.shape
        assert {dx.dtype, dkernel.dtype} == {x.dtype}
        assert not dx.any()
        assert not dkernel.any()


def test_sparse_gradients_are_made_dense() -> None:
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    dy, x, kernel = call()

    def gathered(x: Any, kernel: Any, **options: Any) -> Any:
        return product(tf.gather(x, [0]), kernel, **options)

    dx, _ = adapt.tensorflow(gathered).backward(dy, x, kernel)
    assert np.array_equal(dx, dy * kernel[:, :, :, 0, 0, :])


def test_torch_leaves_memory_to_the_judge() -> None:
    """What a function writes to its operands, and what its results share, is not hidden."""
    pytest.importorskip("torch", reason="torch is not installed")
    _, x, kernel = call()
    assert np.shares_memory(adapt.torch(returns_x).forward(x, kernel), x)
    before = x.copy()
    adapt.torch(lambda x, kernel, **_: x.mul_(2) * kernel).forward(x, kernel)
    assert np.array_equal(x, 2 * before)


def test_tensorflow_knows_the_sizes_if_asked() -> None:
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    seen = []

    def function(x: Any, kernel: Any, **options: Any) -> Any:
        seen.append(tuple(x.shape))
        return product(x, kernel, **options)

    _, x, kernel = call()
    adapt.tensorflow(function, "graph").forward(x, kernel)
    adapt.tensorflow(function, "graph", open_sizes=False).forward(x, kernel)
    assert seen == [(None, None, None, 4), (1, 2, 3, 4)]
    with pytest.raises(ValueError, match="mode must be 'eager', 'graph' or 'xla', got 'fast'"):
        adapt.tensorflow(function, "fast")  # type: ignore[arg-type]


def test_what_is_declared_is_passed_on(framework: str) -> None:
    make = getattr(adapt, framework)
    adapter = make(product, capabilities={"validates": False})
    where = "CPU" if framework == "tensorflow" else "cpu"
    due = {"validates": False, "compiles": framework == "jax", "devices": [where]}
    assert adapter.capabilities == due
    assert importlib.import_module(framework).__version__ in adapter.environment
    assert "eager" in adapter.environment


# The suite, on everything that is shown or shipped. JAX compiles for each shape: fewer checks.
QUICK = ("--quick", "--seed=0")
BOUND = ("--hypothesis-profile=survey", "-k", "bound or blocked or exact_sums or empty or views")
FEW = ("--hypothesis-profile=survey", "-k", "padding or blocked or empty")
JUDGED = [
    ("torch", "by_hand", QUICK),
    ("torch", "my_torch:mine", QUICK),
    ("tensorflow", "my_tf:mine", QUICK),
    ("jax", "my_jax:mine", FEW),
    ("torch", "conformance.implementations.operator.torch_unfold:eager", BOUND),
    ("jax", "conformance.implementations.operator.jax_patches:jit", FEW),
]


GUIDES = {"torch": "pytorch", "tensorflow": "tensorflow", "jax": "jax"}


def write_guide(framework: str, folder: Path) -> None:
    """Write the file that a guide shows, and a module of the blocks that do it by hand."""
    code = [
        text
        for language, text, _ in blocks(ROOT / "docs" / "guides" / f"{GUIDES[framework]}.md")
        if language == "python"
    ]
    (folder / code[0].partition("\n")[0].removeprefix("# ")).write_text(code[0])
    texts = [
        text
        for language, text, _ in blocks(ROOT / "docs" / "conformance.md")
        if language == "python" and "parametrize" not in text
    ]
    (folder / "by_hand.py").write_text("\n\n".join(texts))


@pytest.mark.parametrize(("needs", "name", "options"), JUDGED, ids=[name for _, name, _ in JUDGED])
def test_it_conforms(
    needs: str,
    name: str,
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip(needs, reason=f"{needs} is not installed")
    write_guide(needs, tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    # PyTorch's threads would wait for one another wherever other tests run beside this one.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [sys.executable, "-m", "conformance", f"--implementation={name}", *options]
    done = subprocess.run(
        [*command, "--no-diagnosis", "-p", "no:cacheprovider", f"--report={tmp_path / 'r.json'}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = json.loads((tmp_path / "r.json").read_text())["implementations"]
    assert report["verdict"] == "conforms"
    assert set(report["capabilities"]["dtypes"]) == set(FORMATS)


def test_calls_at_once_trace_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with one `tf.function`: what a function keeps while it is traced is its own affair."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    monkeypatch.setattr("conformance.adapt._adapter._MOST_PROGRAMS", 2)
    inside, most = 0, 0

    def function(x: Any, kernel: Any, **_: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.01)
        inside -= 1
        return x * tf.reduce_sum(kernel)

    adapted = adapt.tensorflow(function, "graph")
    x, kernel = np.ones((1, 2, 2, 1), np.float32), np.ones((1, 2, 2, 1, 1, 1), np.float32)

    def calls(first: int) -> None:
        for padding in range(first, first + 4):
            adapted.forward(x, kernel, padding=padding)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(calls, range(4)))
    assert most == 1


def test_a_layer_is_given_the_kernel_of_its_own_thread() -> None:
    pytest.importorskip("keras", reason="Keras is not installed")
    from conformance.implementations.operator import keras_in_layer

    x = np.ones((1, 3, 3, 1), np.float32)

    def right(number: int) -> bool:
        kernel = np.full((1, 3, 3, 1, 1, 1), number, np.float32)
        return all((keras_in_layer.eager.forward(x, kernel) == number).all() for _ in range(20))

    right(0)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, range(4)))
