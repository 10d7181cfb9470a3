"""The suite rejects every mutant in its default profile; what they are made of conforms."""

import statistics

import numpy as np
import pytest

import conformance
from conformance.implementations.operator.numpy_unfold import unflat
from conformance.mutants import layer, operator

# All of them are judged by tests.surveys.kill_matrix, in some twenty minutes. Here every sixteenth
# is, in chunks from all over the zoo: faults of one kind are met at one time.
CHUNK, SAMPLE = 4, 16
CHUNKS = [
    (of_layers, list(mutants)[::SAMPLE][start :: -(-len(mutants) // SAMPLE // CHUNK)])
    for of_layers, mutants in ((False, operator.MUTANTS), (True, layer.MUTANTS))
    for start in range(-(-len(mutants) // SAMPLE // CHUNK))
]


@pytest.mark.parametrize(("of_layers", "names"), CHUNKS, ids=lambda one: str(one)[:24])
def test_every_mutant_is_rejected(of_layers: bool, names: list[str]) -> None:
    zoo, judged = (layer if of_layers else operator).MUTANTS, []
    for name in names:
        # In this process it is asked less, and sooner; by its name all that there is.
        for one in (zoo[name], f"{zoo[name].__module__}:{zoo[name].__qualname__}"):
            report = conformance.check(one, layer=of_layers, until_failure=True, diagnosis=False)
            if report.failures:
                break
        assert report.failures, name
        assert report.verdict in {"fails", "refuses"}, name
        judged.append(report.judged)
    # Results, not seconds: how soon it is does not depend on the machine. Half of them fall soon.
    assert statistics.median_low(judged) < 2_000


@pytest.mark.parametrize(
    ("name", "of_layers"),
    [("operator.numpy_unfold:Unfold", False), ("layer.numpy_layer:NumpyLayer", True)],
)
def test_what_they_are_made_of_conforms(name: str, of_layers: bool) -> None:
    name = f"conformance.implementations.{name}"
    report = conformance.check(name, layer=of_layers, profile="survey")
    assert report.conforms, str(report)


def test_numbered_elements_are_taken_apart_where_numpy_does_not() -> None:
    """A mutant was wrong in a second way: NumPy's function errs beyond 8,192 of such a shape."""
    grid = np.arange(33).reshape(33, 1, 1, 1) * 16 + np.zeros((1, 30, 12, 1), np.int64)
    h, w = unflat(grid, (16, 33))
    np.testing.assert_array_equal(h * 33 + w, grid)
    assert w.min() >= 0
    assert w.max() < 33
