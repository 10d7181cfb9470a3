"""Faults that show in some calls only: after others, on some values, on large calls, in sums."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from conformance.claims.loading import load
from conformance.diagnosis.asking import Asking
from conformance.diagnosis.compared import as_foretold
from conformance.diagnosis.conditions import separating
from conformance.diagnosis.explainer import steady
from conformance.diagnosis.explanation import Explanation
from conformance.diagnosis.expressions import atom
from conformance.diagnosis.laws import suspected
from conformance.diagnosis.model import DUE, RIGHT, Model, Part, Slot, products, sampled
from conformance.diagnosis.observing import FEWEST, Learned, Observed, put_to_test
from conformance.diagnosis.preludes import prelude_of
from conformance.diagnosis.readings import read
from conformance.diagnosis.starting import least
from conformance.diagnosis.states import explain_state
from conformance.diagnosis.telling import of_one_product, telling_values
from conformance.implementations.operator.numpy_shifted import Shifted
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.kinds import OPERATOR
from conformance.mutants.operator import MUTANTS
from refimpl import involution

SMALL = OPERATOR.case.parse(
    "dtype=float32,recipe=integers,batch=2,height=5,width=4,groups=2,members=2,kernel_shape=3x3"
)


class Moment(NamedTuple):
    """The number of a call, what the call before was to it, and its operand."""

    calls: int
    # The call before was the same, and it was on a larger image.
    again: bool
    smaller: bool
    x: Any


class Behind:
    """A fault behind a condition on the number of the call, on the call before, and on x."""

    capabilities = Unfold.capabilities

    def __init__(self, fault: str, holds: Any) -> None:
        self.faulty, self.plain, self.holds = MUTANTS[fault](), Shifted(), holds
        self.calls, self.before, self.size = 0, None, (0, 0)

    def _chosen(self, x: Any, kernel: Any, options: Any) -> Any:
        self.calls += 1
        now, size = (x.shape, kernel.shape, str(options)), x.shape[1:3]
        wrong = self.holds(Moment(self.calls, self.before == now, self.size > size, x))
        self.before, self.size = now, size
        return self.faulty if wrong else self.plain

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        return self._chosen(x, kernel, options).forward(x, kernel, **options)

    def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
        return self._chosen(x, kernel, options).backward(dy, x, kernel, **options)


def behind(fault: str, holds: Any) -> Any:
    return load(lambda: Behind(fault, holds), OPERATOR)


def every_third(now: Moment) -> bool:
    return now.calls % 3 == 0


def from_the_fifth(now: Moment) -> bool:
    return now.calls >= 5


def the_same_again(now: Moment) -> bool:
    return now.again


def after_a_larger_image(now: Moment) -> bool:
    return now.smaller and len(now.x) >= 4


def on_large_numbers(now: Moment) -> bool:
    return bool((np.abs(now.x) > 1000).any())


@pytest.mark.parametrize(
    ("holds", "words", "once"),
    [
        (every_third, "2 calls", False),
        (from_the_fifth, "4 calls", True),
        (the_same_again, "a call of its shapes and options", False),
        # Neither a count nor another format, though a plain call is on a larger image too.
        (after_a_larger_image, "a call on a larger image", False),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_has_to_come_before_is_found(holds: Any, words: str, once: bool) -> None:
    found = prelude_of(behind("KernelFlipped", holds), SMALL.changed(batch=4))
    assert found is not None
    assert (found.words, found.once) == (words, once)


def test_what_is_remembered_by_its_values_is_no_state() -> None:
    assert prelude_of(load(MUTANTS["KernelCachedByShape"], OPERATOR), SMALL) is None
    assert prelude_of(load(Shifted, OPERATOR), SMALL) is None


def test_a_state_is_explained_by_what_comes_before_and_what_is_wrong_then() -> None:
    found = explain_state(behind("KernelFlipped", from_the_fifth), SMALL, 60.0, steady)
    assert found is not None
    assert "Kh - 1 - u" in found.what[0]
    assert "only if: number of the call >= 5" in found.when
    assert found.certain, found
    assert found.exact


def test_the_fault_after_a_larger_image_is_found_on_both_axes() -> None:
    """From a case in which rows alone show it."""
    failing = OPERATOR.case.parse(
        "dtype=float32,recipe=integers,batch=4,kernel_shape=2x1,dilation=2x1"
    )
    judged = behind("SymmetricPadding", after_a_larger_image)
    found = explain_state(judged, failing, 60.0, steady)
    assert found is not None
    said = " ".join(found.what)
    assert "(Kh - 1) // 2*dh where top belongs" in said, found
    assert "(Kw - 1) // 2*dw where left belongs" in said, found
    assert "B >= 4" in said, found
    assert "only if: the call before was on a larger image" in found.when
    assert found.certain, found


def test_where_a_fault_is_rare_more_are_put_to_the_test() -> None:
    def observed(every: int) -> Iterator[Observed]:
        return (
            Observed({}, frozenset({"wrong"} if n % every == 0 else ())) for n in itertools.count(1)
        )

    assert len(put_to_test(observed(2), float("inf"), 20)) == 20
    assert len(put_to_test(observed(10), float("inf"), 20)) == 10 * FEWEST
    assert len(put_to_test(observed(100), float("inf"), 20)) == 80


def test_what_is_doubtful_in_part_is_a_hint() -> None:
    known = {"foretold": 400, "asked": 400, "faulty": 90}
    assert Explanation(**known).certain
    assert not Explanation(**known, doubtful=True).certain
    few = {"foretold": 30, "asked": 30, "faulty": 9, "caught": 9}
    told = {"what": ("it is late",), "where": (), "when": ()}
    assert not Learned(**told, **few, scant=True).certain


def test_a_fault_of_large_numbers_is_read_on_large_numbers() -> None:
    judged = behind("KernelFlipped", on_large_numbers)
    asking = Asking(judged, SMALL, 5.0)
    assert not any(asking.ask(SMALL).wrong.values())
    assert asking.rescaled()
    assert asking.scale == 2.0**11
    reading = read(judged, SMALL, "y", asking.scale)
    assert reading.complete
    assert not np.array_equal(reading.columns["Eu"], products(SMALL, RIGHT)["Eu"])


def test_sums_in_a_narrow_format_are_no_fault_of_large_numbers() -> None:
    asking = Asking(load(MUTANTS["SumsInHalf"], OPERATOR), SMALL, 5.0)
    assert not asking.rescaled()


@pytest.mark.parametrize("result", ["y", "dx", "dkernel"])
def test_some_entries_of_a_large_result_are_those_of_the_whole(result: str) -> None:
    case = SMALL.changed(batch=4, height=24, width=23, members=6).large_enough
    flipped = Part((Slot("Eu", atom("Kh") - atom("u") - atom("sh")),))
    values = OPERATOR.values(case, 11)
    for part in (RIGHT, flipped):
        shape = {"y": "dy", "dx": "x", "dkernel": "kernel"}[result]
        telling = [np.array([1])] * len(case.shapes[shape])
        places, index = sampled(case, part, result, 1 << 12, telling)
        model = Model({result: part})
        whole = model(case, values, (result,))[result]
        some = model(case, values, (result,), places)[result]
        assert np.array_equal(some[index], whole[index])
        assert whole[index].size < whole.size
    right = dict(
        zip(
            ("dx", "dkernel"),
            involution.backward(
                values["dy"], values["x"], values["kernel"], **case.geometry.options
            ),
            strict=True,
        )
    )
    right["y"] = involution.forward(values["x"], values["kernel"], **case.geometry.options)
    assert np.array_equal(Model()(case, values, (result,))[result], right[result])


def test_large_results_are_compared_where_they_are_wrong() -> None:
    judged = load(MUTANTS["LastRowUnread"], OPERATOR)
    case = SMALL.changed(batch=4, height=40, width=40, members=4).large_enough
    one = Asking(judged, SMALL, 5.0).ask(case)
    assert one.wrong["y"]
    clamped = Part((Slot("Ph", DUE["Ph"], "clamped"),))
    assert not as_foretold(one, Model({"y": clamped}), "y")


def test_three_parts_are_found_though_one_of_them_tells_little() -> None:
    rng = np.random.default_rng(7)
    n = 400
    columns = {
        "dtype": np.where(rng.random(n) < 0.85, "float32", "float16"),
        "C": rng.integers(1, 40, n), "H": rng.integers(1, 60, n), "W": rng.integers(1, 60, n),
        "products": rng.integers(1, 300_000, n), "B": rng.integers(1, 9, n),
    }  # fmt: skip
    wrong = (columns["dtype"] == "float32") & (columns["C"] % 8 == 0)
    wrong &= columns["products"] >= 131_072
    words = [str(one) for one in separating(columns, wrong)]
    assert words
    parts = set(words[0].split(" and "))
    assert {"dtype is float32", "C % 8 = 0"} <= parts, words[:3]


def test_a_law_of_an_operand_is_suspected_where_it_gives_the_answer() -> None:
    judged = load(MUTANTS["KernelNormalised"], OPERATOR)
    one = Asking(judged, SMALL, 5.0).ask(SMALL)
    found = suspected(one.case, one.values, one.got, "y")
    assert found == {"the kernel is divided by the sum of its taps' magnitudes"}


def test_an_arithmetic_is_asked_on_values_that_show_it_each_time() -> None:
    judged = load(MUTANTS["OperandsThroughBfloat16"], OPERATOR)
    told = telling_values(judged, SMALL, float("inf"))
    assert told.shares[told.own] == {"y": 1.0, "dx": 1.0, "dkernel": 1.0}
    assert told.own[1] == "float32"
    assert told.moot(told.case, ("y", "dx", "dkernel")) == frozenset()
    # Of one tap y and dx are single products.
    single = told.case.changed(kernel_shape=(1, 1))
    assert of_one_product(single) == {"y", "dx"}
    assert of_one_product(single.changed(members=1)) == {"y", "dx", "dkernel"}


def test_paddings_are_made_small_too() -> None:
    judged = load(Shifted, OPERATOR)
    case = SMALL.changed(padding=((3, 2), (4, 1))).large_enough
    found = least(judged, case, lambda one: isinstance(one.geometry.padding, tuple), 5.0)
    assert set(itertools.chain(*found.geometry.padding)) == {0}
