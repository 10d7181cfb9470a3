"""What `conformance.adapt` makes of arrays on their way to a framework and back."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from conformance import adapt
from conformance.cases.views import VIEWS
from conformance.claims.formats import FORMATS


@pytest.fixture(params=("torch", "tensorflow", "jax"))
def framework(request: pytest.FixtureRequest) -> str:
    """A framework that is installed."""
    name: str = request.param
    pytest.importorskip(name, reason=f"{name} is not installed")
    return name


@pytest.fixture
def there(framework: str) -> Callable[..., Any]:
    """Convert to a framework, in JAX's case as an adapter does: with 64-bit numbers."""
    if framework == "jax":
        return adapt.jax(plain).to_tensor
    convert: Callable[..., Any] = getattr(adapt, f"to_{framework}")
    return convert


@pytest.fixture
def back(framework: str) -> Callable[..., Any]:
    """Convert from a framework."""
    convert: Callable[..., Any] = getattr(adapt, f"from_{framework}")
    return convert


def plain(array: Any) -> Any:
    return array


def swapped(array: Any) -> Any:
    """The same values in the other byte order."""
    return array.astype(array.dtype.newbyteorder("S"))


def numbers(dtype: Any, *shape: int) -> Any:
    return (np.arange(np.prod(shape)) - 3).reshape(shape).astype(dtype)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("view", [plain, swapped, *VIEWS], ids=lambda view: view.__name__)
def test_every_view_goes_there_and_back(
    there: Callable[..., Any],
    back: Callable[..., Any],
    view: Callable[[Any], Any],
    dtype: str,
) -> None:
    due = FORMATS[dtype].dtype
    given = view(numbers(due, 2, 3, 4))
    before = given.tobytes()
    got = back(there(given))
    assert (got.dtype, got.shape) == (due, (2, 3, 4))
    assert got.dtype.isnative
    assert got.flags.c_contiguous
    assert got.flags.writeable
    assert np.array_equal(got, given)
    assert not np.shares_memory(got, given)
    got[...] = 7
    assert given.tobytes() == before


@pytest.mark.parametrize("dtype", FORMATS)
def test_bits_are_kept(there: Callable[..., Any], back: Callable[..., Any], dtype: str) -> None:
    """NaN, infinities, a negative zero and a subnormal number."""
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0], FORMATS[dtype].dtype)
    special[-1] = FORMATS[dtype].smallest_subnormal
    assert back(there(special)).tobytes() == special.tobytes()


@pytest.mark.parametrize("dtype", ["bool", "int32", "complex64"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 2)])
def test_what_the_judge_gives_to_be_rejected_passes(
    there: Callable[..., Any], back: Callable[..., Any], dtype: str, shape: tuple[int, ...]
) -> None:
    """It is the function that must refuse it (ERR-9)."""
    given = np.ones(shape, dtype)
    got = back(there(given))
    assert (got.dtype, got.shape) == (given.dtype, shape)
    assert np.array_equal(got, given)


def test_objects_are_refused(there: Callable[..., Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        there(np.array([None, "one"], object))


def test_arrays_are_no_results(back: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="got ndarray"):
        back(np.zeros(3))


def test_torch_takes_plain_memory_as_it_is() -> None:
    """So that the judge sees what is written there, and NaN around it."""
    pytest.importorskip("torch", reason="torch is not installed")
    for dtype in (np.float32, ml_dtypes.bfloat16):
        array = numbers(dtype, 2, 3)
        tensor = adapt.to_torch(array)
        tensor += 1
        assert array[0, 0] == -2
        assert np.shares_memory(adapt.from_torch(tensor, copy=False), array)
    leaf = adapt.to_torch(numbers(np.float32, 2, 3), requires_grad=True)
    assert leaf.is_leaf
    assert leaf.requires_grad


def test_torch_keeps_the_order_of_axes_if_asked() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    for dtype in (np.float32, ml_dtypes.bfloat16):
        array = numbers(dtype, 2, 3, 4)
        assert adapt.to_torch(array.T).is_contiguous()
        tensor = adapt.to_torch(array.T[::-1], order="K")
        assert tensor.stride() == (1, 4, 12)
        assert np.array_equal(adapt.from_torch(tensor), array.T[::-1])


def test_jax_makes_no_float32_of_float64() -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    assert not jax.config.jax_enable_x64
    with pytest.raises(TypeError, match="JAX would make float32 of float64: call jax"):
        adapt.to_jax(np.zeros(3))
