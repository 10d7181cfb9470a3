"""What a call leaves of its process is seen and put back: here NumPy's global generator (FWD-7)."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from conformance.worker.surroundings import changed, restore, surroundings

STATE = "the state of numpy.random"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    generator = np.random.get_bit_generator()
    state = generator.state
    yield
    np.random.set_bit_generator(generator)
    generator.state = state


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.PCG64])
@pytest.mark.parametrize(
    "change",
    [
        np.random.rand,
        np.random.randn,
        lambda: np.random.set_bit_generator(np.random.MT19937(5)),
        lambda: np.random.set_bit_generator(np.random.PCG64(5)),
    ],
    ids=["drawn", "two drawn", "another twister", "another kind"],
)
def test_another_state_is_seen_and_put_back(kind: type, change: Callable[[], object]) -> None:
    np.random.set_bit_generator(kind(7))
    before = surroundings()
    assert changed(before, surroundings()) == []
    due = np.random.rand(3)  # noqa: NPY002
    restore(before, [STATE])
    change()
    assert changed(before, surroundings()) == [STATE]
    restore(before, [STATE])
    assert changed(before, surroundings()) == []
    assert np.array_equal(np.random.rand(3), due)  # noqa: NPY002
