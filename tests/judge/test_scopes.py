"""What narrows a claim: nothing beyond it is asked, all within it is, and what is false fails."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conformance
from conformance.cases.network import networks
from conformance.cases.operator import OperatorCase, cases, certificate, plain_case, unclaimed
from conformance.claims.capabilities import DeclarationError, declared
from conformance.claims.numbers import Numbers, nearest
from refimpl import involution

Call = Mapping[str, Any]


def half(call: Call) -> bool:
    sides = [
        (d * (k - 1) // 2,) * 2 for k, d in zip(call["K"], pair(call["dilation"]), strict=True)
    ]
    return bool(call["padding"] == tuple(sides))


def pair(number: Any) -> tuple[int, int]:
    return number if isinstance(number, tuple) else (number, number)


SCOPES: dict[str, tuple[dict[str, Any], Callable[[Call], bool]]] = {
    "half": ({"paddings": "half"}, half),
    "square images": ({"images": "square"}, lambda c: c["H"] == c["W"]),
    "no ragged sizes": (
        {"ragged": False},
        lambda c: c["H"] % pair(c["stride"])[0] == c["W"] % pair(c["stride"])[1] == 0,
    ),
    "same size": ({"resizes": False}, lambda c: (c["H"], c["W"]) == (c["Ho"], c["Wo"])),
    "odd kernels": ({"kernel_shapes": "odd"}, lambda c: c["K"][0] % 2 == c["K"][1] % 2 == 1),
    "16 channels a group": ({"group_channels": 16}, lambda c: c["M"] == 16),
    "4 channels a group or more": ({"group_channels": {"least": 4}}, lambda c: c["M"] >= 4),
    "channels in fours": ({"channels": {"multiple": 4}}, lambda c: c["C"] % 4 == 0),
    "small arrays": ({"largest": 20_000}, lambda c: c["largest"] <= 20_000),
    "as PyTorch code has it": (
        {
            "paddings": "half", "kernel_shapes": "odd square", "strides": "square",
            "dilations": [(1, 1)], "ragged": False, "group_layouts": "blocked",
            "group_channels": 16, "empty_batch": False,
        },
        lambda c: half(c) and c["M"] == 16 and c["B"] > 0 and c["H"] % pair(c["stride"])[0] == 0,
    ),
}  # fmt: skip


def call_of(case: OperatorCase) -> Call:
    shapes = case.shapes
    largest = max(np.prod(shape) for shape in shapes.values())
    names = zip("BHWC", shapes["x"], strict=True)
    return {
        **dict(names), "Ho": case.grid[0], "Wo": case.grid[1], "K": case.geometry.kernel_shape,
        "G": case.geometry.groups, "M": case.geometry.members, "largest": largest,
        **case.geometry.options,
    }  # fmt: skip


@pytest.mark.parametrize("scope", SCOPES)
def test_nothing_outside_of_a_scope_is_asked(scope: str) -> None:
    claims, inside = SCOPES[scope]
    claimed = declared(claims)
    listed = certificate(claimed, "float32", "impulse-x")
    assert len(listed) > 10
    listed += [plain_case(claimed), *networks(claimed, 0, 2**19)]
    for case in listed:
        if not unclaimed(case, claimed):
            assert inside(call_of(case)), case.token
    # Nothing that is outside is let through, and hardly anything was made in vain.
    assert sum(not unclaimed(case, claimed) for case in listed) > 0.9 * len(listed)

    @settings(max_examples=30, deadline=None)
    @given(st.data())
    def drawn(data: Any) -> None:
        case = data.draw(cases(claimed))
        assert not unclaimed(case, claimed)
        assert inside(call_of(case)), case.token

    drawn()


def test_half_is_asked_at_every_stride_and_dilation() -> None:
    claimed = declared({"paddings": "half"})
    listed = [case.geometry for case in certificate(claimed, "float32", "impulse-x")]
    assert {(2, 2), (1, 2), (3, 3), (5, 4)} <= {where.stride for where in listed}
    assert len({where.pixels for where in listed}) > 10
    case = OperatorCase.parse("dtype=float32,recipe=integers,kernel_shape=3x5,padding=half")
    assert case.geometry.options["padding"] == ((1, 1), (2, 2))
    # The same pixels in numbers are claimed too, and others are not.
    assert not unclaimed(case.changed(padding=((1, 1), (2, 2))), claimed)
    assert unclaimed(case.changed(padding=((1, 1), (2, 3))), claimed) == "paddings explicit"
    assert not unclaimed(case, declared({"paddings": "explicit"}))


class Halves:
    """The oracle within PyTorch's usual scope; wrong by a pixel at a stride, if it is told so."""

    capabilities: ClassVar[Any] = {
        "dtypes": "float64", "accumulator": "float64", "validates": False, "paddings": "half",
        "images": "square", "group_channels": 4,
    }  # fmt: skip

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def within(self, x: Any, options: Any) -> dict[str, Any]:
        assert x.shape[1] == x.shape[2], "asked outside of its scope"
        (top, bottom), columns = options["padding"]
        shift = self.shift if max(pair(options["stride"])) > 1 and top else 0
        return {**options, "padding": ((top - shift, bottom + shift), columns)}

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        return involution.forward(x, kernel, **self.within(x, options))

    def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
        return involution.backward(dy, x, kernel, **self.within(x, options))


@pytest.mark.parametrize("shift", [0, 1])
def test_half_is_judged(shift: int) -> None:
    report = conformance.check(Halves(shift), clauses=["GEO-8", "GEO-2"], seed=0, diagnosis=False)
    assert report.verdict == ("fails" if shift else "conforms"), str(report)
    assert any("GEO-8" in one.clauses for one in report.failures) == bool(shift)


class Forward:
    """The oracle without derivatives."""

    capabilities: ClassVar[Any] = {"dtypes": "float64", "backward": False, "validates": False}

    def __init__(self, wrong: bool = False) -> None:
        self.wrong = wrong

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        return (-1 if self.wrong else 1) * involution.forward(x, kernel, **options)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_forward_alone_is_judged(wrong: bool) -> None:
    report = conformance.check(
        Forward(wrong), clauses=["GRD", "FWD-1", "FWD-4", "FWD-5", "NUM-3", "SPC-3"], seed=0,
        profile="quick" if wrong else "survey", diagnosis=False,
    )  # fmt: skip
    assert report.verdict == ("fails" if wrong else "conforms"), str(report)
    # No clause of a derivative passes for want of a question.
    for clause in ("GRD-1", "GRD-2", "GRD-4", *(() if wrong else ("GRD-6", "NUM-3", "SPC-3"))):
        assert report.clauses[clause].verdict == "not claimed"
    assert report.clauses["FWD-1"].verdict == ("fails" if wrong else "passes")


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ({"images": "oblong"}, '"any" or "square"'),
        ({"group_channels": 0}, "integers above 0"),
        ({"channels": {"most": 4}}, '"least" and "multiple"'),
        ({"channels": {}}, '"least" and "multiple"'),
        ({"groups": "few"}, "integers above 0"),
        ({"largest": True}, "an integer above 0"),
        ({"strides": "odd"}, "pairs of integers"),
    ],
)
def test_bad_scopes(declaration: object, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        declared(declaration)


def test_a_scope_is_said() -> None:
    claims, _ = SCOPES["as PyTorch code has it"]
    said = declared({**claims, "dtypes": "float32", "channels": {"least": 8, "multiple": 4}}).scope
    assert said == (
        "float32; kernels odd square; strides square; dilations (1, 1); padding half; layout "
        "blocked; channels a group 16; channels from 8 on and multiples of 4; not ragged, "
        "empty_batch"
    )


def test_nearest_numbers() -> None:
    several, sixteen = Numbers(), Numbers((16,))
    assert nearest(2, 3, (several, several, several)) == (2, 3)
    assert nearest(2, 3, (several, sixteen, several)) == (2, 16)
    assert nearest(2, 3, (several, several, Numbers(multiple=4))) == (2, 4)
    assert nearest(3, 1, (several, sixteen, Numbers((64,)))) == (4, 16)
    # There is none: what is wished for stays, and is not claimed.
    assert nearest(3, 1, (several, sixteen, Numbers((40,)))) == (3, 1)
