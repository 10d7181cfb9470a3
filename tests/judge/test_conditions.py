"""The simplest condition that separates: found in the words in which it was planted."""

import numpy as np
import pytest

from conformance.diagnosis.conditions import nearly, separating

RNG = np.random.default_rng(20261128)
SIZES = ("B", "H", "W", "C", "sh", "sw", "dh", "dw")
COLUMNS = {name: RNG.integers(1, 13, 250) for name in SIZES} | {
    "C": RNG.integers(1, 70, 250),
    "padding": RNG.choice(["same", "valid", "int"], 250),
    "x is zero": RNG.choice(["yes", "no"], 250),
}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (COLUMNS["sh"] != COLUMNS["sw"], "sh != sw"),
        (COLUMNS["sh"] > COLUMNS["sw"], "sw < sh"),
        (COLUMNS["H"] % COLUMNS["sh"] != 0, "H % sh != 0"),
        (COLUMNS["W"] % COLUMNS["H"] == 0, "W % H = 0"),
        (COLUMNS["C"] % 8 == 0, "C % 8 = 0"),
        (COLUMNS["C"] % 8 == 7, "C % 8 = 7"),
        (COLUMNS["B"] >= 6, "B >= 6"),
        (COLUMNS["B"] == 1, "B = 1"),
        (COLUMNS["padding"] == "same", "padding is same"),
        (COLUMNS["x is zero"] == "no", "x is not zero"),
        ((COLUMNS["padding"] == "same") & (COLUMNS["dw"] >= 4), "padding is same and dw >= 4"),
        ((COLUMNS["x is zero"] == "yes") | (COLUMNS["B"] >= 6), "x is zero or B >= 6"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_separates_is_found(wrong: np.ndarray, words: str) -> None:
    found = separating(COLUMNS, wrong)
    assert str(found[0]) == words
    for one in found:
        assert (one(COLUMNS) == wrong).all(), str(one)


def test_nothing_separates_what_is_alike() -> None:
    assert separating({"B": np.array([1, 1]), "H": np.array([2, 2])}, np.array([True, False])) == []


def test_what_is_right_by_chance_is_granted() -> None:
    """Where nothing separates: each wrong observation is within, and few right ones are."""
    behind = (COLUMNS["padding"] == "same") & (COLUMNS["B"] >= 5)
    wrong = behind & (RNG.random(250) < 0.92)
    found = nearly(COLUMNS, wrong, 0.3)
    assert found is not None
    assert str(found) == "padding is same and B >= 5"
    assert (found(COLUMNS) >= wrong).all()
    # What is wrong at random has no condition.
    assert nearly(COLUMNS, RNG.random(250) < 0.5, 0.1) is None
