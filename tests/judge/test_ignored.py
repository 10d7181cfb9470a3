"""Options that an operator does not look at are found, and do not hide what else is wrong."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

import conformance
from conformance.claims.loading import load
from conformance.diagnosis import asking
from conformance.diagnosis.explainer import explained
from conformance.diagnosis.explanation import Explanation
from conformance.diagnosis.ignored import ignored
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.kinds import OPERATOR
from conformance.mutants.operator import MUTANTS
from tests.opponents.right_operators import RIGHT


def without(mutated: type[Any] = Unfold, **fixed: Any) -> type[Any]:
    """Make an operator that takes these values of its options, whatever is asked."""

    def value(name: str, kernel: Any, options: Mapping[str, Any]) -> Any:
        if fixed[name] != "half":
            return fixed[name]
        dilation = fixed.get("dilation", options.get("dilation", 1))
        pair = (dilation, dilation) if isinstance(dilation, int) else dilation
        rows, columns = (d * (k - 1) // 2 for k, d in zip(kernel.shape[3:5], pair, strict=True))
        return ((rows, rows), (columns, columns))

    class Without(mutated):  # type: ignore[misc]
        def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
            own = {name: value(name, kernel, options) for name in fixed}
            return super().forward(x, kernel, **options | own)

        def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
            own = {name: value(name, kernel, options) for name in fixed}
            return super().backward(dy, x, kernel, **options | own)

    return Without


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where other tests run beside this one, what is found takes longer."""
    monkeypatch.setattr(asking, "SECONDS", dict.fromkeys(asking.SECONDS, 60.0))


def explanation(operator: Any, **claims: Any) -> Explanation:
    claimed = {"dtypes": ["float32"], "validates": False} | claims
    report = conformance.check(
        operator, capabilities=claimed, profile="quick", seed=3, diagnosis=False
    )
    assert report.smallest is not None
    judged = load(operator, OPERATOR, claimed)
    failing = OPERATOR.case.parse(report.smallest.token)
    found = explained(judged, failing, report.smallest.check, report.failures)
    assert found is not None
    return found


def test_what_it_does_not_have_is_told_and_what_to_declare() -> None:
    found = explanation(without(dilation=1, padding="half", group_layout="blocked"))
    assert found.certain
    assert found.what == (
        "ignores dilation, padding and group_layout: it answers as for dilation 1, padding half "
        "and group_layout blocked, whatever is asked",
        '  if it has no other, it declares "dilations": [(1, 1)], "paddings": "half", '
        '"group_layouts": "blocked"',
        "the answers to these values are right, as far as was asked",
    )


def test_what_is_declared_so_conforms() -> None:
    """What the explanation advises is what the judge accepts."""
    report = conformance.check(
        without(dilation=1, padding="half", group_layout="blocked"),
        capabilities={
            "dilations": [(1, 1)], "paddings": "half", "group_layouts": "blocked",
            "validates": False,
        },
        profile="quick",
    )  # fmt: skip
    assert report.conforms


def test_a_fault_beside_them_is_explained_within_what_it_has() -> None:
    found = explanation(
        without(MUTANTS["VerticalStrideForBoth"], dilation=1, group_layout="blocked")
    )
    assert found.certain
    assert found.exact
    said = " ".join(found.what)
    assert said.startswith("ignores dilation and group_layout: it answers as for dilation 1 and")
    assert "and, where these are as declared: reads column" in said
    assert "sh where sw belongs" in said


def test_the_other_order_of_groups_is_found_too() -> None:
    found = explanation(without(dilation=1, group_layout="interleaved"))
    assert "group_layout interleaved" in found.what[0]


def test_one_option_alone_is_told_by_its_map() -> None:
    found = explanation(without(dilation=1))
    assert found.certain
    assert "ignores" not in found.what[0]


class Sometimes(without(group_layout="blocked")):  # type: ignore[misc]
    """Looks at the order of groups where there are many channels."""

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        if x.shape[3] >= 64:
            return Unfold.forward(self, x, kernel, **options)
        return super().forward(x, kernel, **options)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_operator_ignores_nothing(name: str) -> None:
    assert ignored(load(RIGHT[name], OPERATOR), 5.0) is None


def test_what_is_ignored_on_small_images_alone_is_not_ignored() -> None:
    assert ignored(load(without(group_layout="blocked"), OPERATOR), 20.0) is not None
    assert ignored(load(Sometimes, OPERATOR), 20.0) is None


class PlanRemembered(Unfold):
    """Remembers the padding of the first call of its shapes."""

    def __init__(self) -> None:
        self.plans: dict[Any, Any] = {}

    def call(self, image: Any, kernel: Any, *rest: Any, **options: Any) -> Any:
        found = super().call(image, kernel, *rest, **options)
        padding = self.plans.setdefault(
            (image, kernel, found.stride, found.dilation), found.padding
        )
        return replace(found, padding=padding)


def test_what_is_remembered_is_not_ignored() -> None:
    """The answer to the second of two calls was that to the first, whose padding was remembered."""
    assert ignored(load(PlanRemembered, OPERATOR), 20.0) is None


def test_what_claims_one_value_is_asked_for_no_other() -> None:
    claimed = {"group_layouts": "blocked"}
    assert ignored(load(without(group_layout="blocked"), OPERATOR, claimed), 5.0) is None


def test_a_map_that_ignores_nothing_is_not_said_to() -> None:
    for name in ("VerticalStrideForBoth", "OddPixelBefore", "DkernelMean"):
        assert ignored(load(MUTANTS[name], OPERATOR), 5.0) is None


class SquareAlone(without(padding="half", dilation=1, group_layout="blocked")):  # type: ignore[misc]
    """Takes the root of the number of taps for both sides, as code with one number for K does."""

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        rows, columns = kernel.shape[3:5]
        if rows != columns:
            raise ValueError("cannot reshape")
        return super().forward(x, kernel, **options)


@pytest.mark.parametrize(
    ("operator", "claims", "said"),
    [
        (SquareAlone, {"dilations": [(1, 1)], "paddings": "half", "group_layouts": "blocked"},
         '"kernel_shapes": "square"'),
        (MUTANTS["EvenKernelsRefused"], {}, '"kernel_shapes": "odd"'),
    ],
)  # fmt: skip
def test_what_raises_is_told_within_which_claims_it_is_right(
    operator: Any, claims: Any, said: str
) -> None:
    claimed = {"dtypes": ["float32"], "validates": False} | claims
    report = conformance.check(operator, capabilities=claimed, profile="quick", seed=3)
    assert not report.conforms
    assert f"right, as far as was asked, within {said}: it declares so, if that is meant" in (
        report.hints
    )


def test_what_is_wrong_and_never_raises_is_not_declared_away() -> None:
    report = conformance.check(
        MUTANTS["VerticalStrideForBoth"], profile="quick", seed=3, until_failure=True
    )
    assert not any("within" in one for one in report.hints)


def test_what_has_narrowed_every_entry_itself_gets_no_advice() -> None:
    """The hint had nothing to choose from, and the verdict was lost with it."""
    claimed = {
        "dtypes": ["float32"], "kernel_shapes": [(3, 3)], "strides": "square", "ragged": False,
        "dilations": [(1, 1)], "images": "square", "resizes": False, "empty_batch": False,
        "validates": False,
    }  # fmt: skip

    class Raises(Unfold):
        def forward(self, *operands: Any, **options: Any) -> Any:  # noqa: ARG002
            raise ValueError("never")

    report = conformance.check(
        Raises, capabilities=claimed, profile="quick", seed=3, until_failure=True
    )
    assert report.verdict in {"fails", "refuses"}
    assert not any("within" in one for one in report.hints)
