"""The oracle on CUDA arrays: in Numba's simulator, compiled for a CPU, on a GPU if there is one.

What is asked of a device is in `cuda_cases`. Here it is run, in a process of its own, since Numba
decides on its import whether it simulates; and what needs no device is asked.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any
from unittest import mock

import ml_dtypes
import numba
import numba.core.config
import numpy as np
import pytest

from refimpl import _device, _loops, involution
from refimpl._validation import check
from tests.oracle import hard_sums

ROOT = Path(__file__).parents[2]


def run(**variables: str) -> None:
    """Run the cases in a process of their own, where none may fail and none be skipped."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
        "tests/oracle/cuda_cases.py",
    ]  # fmt: skip
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.clause("ERR-11", "NUM-5", "SPC-1", "SPC-2", "SPC-3", "SPC-4", "SPC-6", "FWD-6")
def test_in_the_simulator() -> None:
    run(NUMBA_ENABLE_CUDASIM="1")


@pytest.mark.clause("ERR-11", "NUM-5")
def test_on_a_gpu() -> None:
    from numba import cuda

    if not cuda.is_available():
        pytest.skip("it needs a GPU: no CUDA device is visible")
    run(NUMBA_ENABLE_CUDASIM="0")


# --- The kernels, as numba compiles them, but for a CPU ---


@numba.njit
def _first(_axes):
    return 0


@numba.njit
def _all(_axes):
    return 1


@numba.njit
def _digits(_length, _dtype):
    # As a GPU's memory, not zero.
    return np.full(_loops.LENGTH, 3)


def one_thread(kernel: Any) -> Any:
    """Compile a kernel as the only thread of a grid."""
    stand_in, stand_in.local = ModuleType("cuda"), ModuleType("local")
    stand_in.grid, stand_in.gridsize, stand_in.local.array = _first, _all, _digits
    code, names = kernel.py_func.__code__, kernel.py_func.__globals__
    return numba.njit(FunctionType(code, names | {"cuda": stand_in}))


def operands(dtype: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    rng = np.random.default_rng(7)
    shapes = {"x": (2, 4, 5, 6), "kernel": (2, 2, 5, 2, 3, 3), "dy": (2, 2, 5, 6)}
    shapes |= {"tx": shapes["x"], "tkernel": shapes["kernel"]}
    values = {
        name: (rng.standard_normal(shape) * 2.0 ** rng.integers(-9, 9, shape)).astype(dtype)
        for name, shape in shapes.items()
    }
    values["x"][0, 1, 1] = values["kernel"][1, 0, 1, 1, 1] = np.inf
    return values, {"stride": (2, 1), "dilation": (1, 2), "group_layout": "interleaved"}


@pytest.mark.skipif(numba.core.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.clause("NUM-5")
@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float32, np.float64])
def test_compiled_for_a_cpu(dtype: Any) -> None:
    """Types are inferred as for a GPU; the simulator has those of Python and NumPy."""
    from refimpl import _cuda

    values, options = operands(dtype)
    both = {name: values[name] for name in ("x", "kernel")}
    problem = check(both, options["stride"], options["dilation"], "same", options["group_layout"])
    dx, dkernel = involution.backward(values["dy"], **both, **options)
    tangents = {name: values[name] for name in ("tx", "tkernel")}
    due = {
        "y": involution.forward(**both, **options),
        "dx": dx,
        "dkernel": dkernel,
        "ty": involution.jvp(**both, **tangents, **options),
    }
    for name, expected in due.items():
        kernel, sources, _ = _cuda._MADE_OF[name]
        given = [values[source] for source in sources]
        if dtype is ml_dtypes.bfloat16:
            given = [array.view(np.uint16) for array in given]
        got = np.full(expected.shape, 0.25)
        one_thread(kernel)(*given, *involution.steps_of(problem), got)
        np.testing.assert_array_equal(got, expected)
        assert not np.signbit(got[got == 0]).any()


@pytest.mark.clause("NUM-5")
def test_digits_are_interpreted_as_they_are_compiled() -> None:
    """The simulator's sums, which are Python's, and all numbers of bfloat16."""
    rng = np.random.default_rng(5)
    total = np.full(_loops.LENGTH, 3)
    factors = [recipe(rng, "float64", 5, 9) for recipe in hard_sums.RECIPES.values()]
    for pair in (hard_sums.special_pairs(), *factors):
        for a, b in zip(*pair, strict=True):
            _loops.clear(total)
            for one, other in zip(a, b, strict=True):
                _loops.add_product(total, one, other)
            np.testing.assert_equal(_loops.rounded(total), hard_sums.due(a, b))
    bits = np.arange(1 << 16, dtype=np.uint16)
    with np.errstate(invalid="ignore"):
        expected = bits.view(ml_dtypes.bfloat16).astype(np.float64)
        np.testing.assert_array_equal([_loops.number(one) for one in bits], expected)


# --- Where an operand lies, and what is said of it ---


class There:
    """A host's array that says that it is on a device."""

    def __init__(self, array: np.ndarray, kind: int = 2) -> None:
        self.array, self.kind = array, kind

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0

    def __dlpack__(self) -> object:
        return self.array.__dlpack__()


def test_where_it_lies() -> None:
    array = np.ones((1, 2, 2, 1))
    odd = type("Odd", (), {"__dlpack_device__": lambda _: 1 / 0, "__cuda_array_interface__": 1})
    for kind, there in ((1, ()), (2, ("x",)), (3, ()), (13, ("x",)), (10, ())):
        assert _device.on_device({"kernel": array, "x": There(array, kind)}) == there
    assert _device.on_device({"x": odd(), "kernel": None, "dy": [array]}) == ()


@pytest.mark.parametrize("framework", ["jax", "tensorflow", "torch"])
def test_arrays_of_frameworks_in_the_host_stay_there(framework: str) -> None:
    made = {
        "jax": lambda module: module.numpy.ones((1, 2, 2, 1)),
        "tensorflow": lambda module: module.ones((1, 2, 2, 1)),
        "torch": lambda module: module.ones((1, 2, 2, 1)),
    }
    array = made[framework](pytest.importorskip(framework))
    assert _device.on_device({"x": array}) == ()
    # The question is understood; and so is the capsule, wherever it were.
    assert int(array.__dlpack_device__()[0]) == 1
    described = _device.memory("x", There(array))
    assert (described.shape, described.format) == ((1, 2, 2, 1), "float32")
    kernel = np.ones((1, 2, 2, 1, 1, 1), np.float32)
    assert type(involution.forward(array, kernel)) is np.ndarray


def test_capsules_as_others_make_them() -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)[:, ::-2, 1:]
    described = _device.memory("x", There(array))
    assert described[:4] == (array.ctypes.data, array.shape, array.strides, "float32")
    before = sys.getrefcount(array)
    held = [_device.memory("x", There(array)) for _ in range(9)]
    assert sys.getrefcount(array) > before
    del held
    # Whoever lent it has it back.
    assert sys.getrefcount(array) == before


@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_a_bfloat16_by_dlpack(framework: str) -> None:
    module = pytest.importorskip(framework)
    numbers = module.numpy if framework == "jax" else module
    array = numbers.ones((2, 3), dtype=numbers.bfloat16)
    described = _device.memory("x", There(array))
    address = array.unsafe_buffer_pointer() if framework == "jax" else array.data_ptr()
    assert (described.address, described.shape, described.format) == (address, (2, 3), "bfloat16")
    assert described.strides in (None, (6, 2))


@pytest.mark.clause("ERR-11")
def test_what_numba_does_not_reach() -> None:
    from numba import cuda

    x, kernel = There(np.ones((1, 2, 2, 1))), There(np.ones((1, 2, 2, 1, 1, 1)))
    words = (
        r'^x must lie in the host.*\(ERR-11; .*pip install "refimpl\[cuda\]".*got .*There on a C'
    )
    with (
        mock.patch.object(cuda, "is_available", return_value=False),
        pytest.raises(TypeError, match=words),
    ):
        involution.forward(x, kernel)
    with pytest.raises(TypeError, match=r"^kernel must lie on a CUDA device, as x does"):
        involution.forward(x, kernel.array)


@pytest.mark.clause("ERR-11")
def test_a_numba_without_cuda() -> None:
    script = (
        "import sys, numpy as np; sys.modules['numba.cuda'] = None;"
        "from refimpl import involution; from tests.oracle.test_cuda import There;"
        "involution.forward(There(np.ones((1, 2, 2, 1))), np.ones((1, 2, 2, 1, 1, 1)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "TypeError: x must lie in the host's memory where Numba has no CUDA (ERR"
    )
    assert last.endswith("got tests.oracle.test_cuda.There on a CUDA device")


def test_cuda_is_imported_by_those_who_bring_it() -> None:
    script = (
        "import sys, numpy as np; from refimpl import involution;"
        "involution.forward(np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 1, 1, 1)));"
        "assert not {'numba.cuda', 'numba_cuda', 'refimpl._cuda'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
