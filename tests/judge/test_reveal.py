"""What `reveal` says of operators whose arithmetic is known, and that it foretells bit for bit."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from conformance.__main__ import main
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS
from conformance.claims.loading import load
from conformance.diagnosis import described, trees
from conformance.diagnosis.arithmetic import MODES, Arithmetic, Rounding
from conformance.diagnosis.identify import factors
from conformance.diagnosis.reveal import Found, arithmetic_of, reveal
from conformance.kinds import OPERATOR
from conformance.mutants.operator import MUTANTS
from tests.opponents.arithmetics import ARITHMETICS, Squares, Uncertain
from tests.opponents.right_operators import RIGHT

# What is said of y, where it is not what `Terms` does; of float32 where no format is named.
KNOWN: dict[str, dict[str, str]] = {
    "Terms": {},
    "Reversed": {"order": "in reverse order"},
    "Pairwise": {"order": "pairwise, neighbours first"},
    "Blocked": {"order": "in 4 lanes that are added pairwise"},
    "EightLanes": {"order": "in 8 lanes that are added in order"},
    "Rows": {"order": "each row in order, then the rows"},
    "Compensated": {"sums": "in float32, compensated"},
    "SumsInDouble": {"sums": "in float64", "products": "exact"},
    "SumsInHalf": {"sums": "in float16", "products": "fused, but for term 0"},
    "OperandsInBfloat16": {"factors": "both rounded to bfloat16", "products": "exact"},
    "OperandsInTf32": {"factors": "both rounded to TF32", "products": "exact"},
    "OperandsTruncatedToTf32": {
        "factors": "both rounded to TF32, towards zero", "products": "exact",
    },
    "KernelInHalf": {"factors": "kernel rounded to float16"},
    "FusedExactly": {"products": "fused, but for term 0"},
    "SumsTruncated": {"sums": "in float32, towards zero", "products": "rounded to float32"},
    "ResultThroughHalf": {"result": "through float16, rounded to nearest"},
    "Clipped": {"result": "rounded to nearest, clipped at 65504"},
    "Flushing": {"subnormals": "flushed: x, kernel, products, sums"},
    "FlushesResults": {"subnormals": "flushed: results"},
    "Exact": {
        "sums": "exact, or wider than can be seen", "products": "exact", "order": "cannot be told",
    },
    "HalfInHalf float16": {"sums": "in float16"},
    "HalfInHalf bfloat16": {"sums": "in bfloat16"},
    "ProductsInHalf float16": {"products": "rounded to float16"},
    "ResultTruncated bfloat16": {"result": "rounded towards zero", "products": "exact"},
    "SumsInDouble float16": {"sums": "in float64", "products": "exact"},
    "Reversed float64": {"order": "in reverse order", "sums": "in float64"},
}  # fmt: skip
USUAL = {
    "factors": "as they are", "products": "rounded as sums are", "sums": "in float32",
    "order": "in order", "result": "rounded to nearest", "subnormals": "kept",
}  # fmt: skip
MADE = RIGHT | ARITHMETICS


def of(operator: Any, dtype: str = "float32", **options: Any) -> Found:
    return reveal(load(operator, OPERATOR), dtype, **options)


def said(found: Found, result: str, which: int = 0) -> dict[str, str]:
    """Say what was found, as the table does."""
    part = found.parts[result]
    one = part.found[which]
    return {
        "factors": described.factors(one, result, FORMATS[found.dtype]),
        "products": described.products(one),
        "sums": described.sums(one.arithmetic),
        "order": described.order(one, part.names),
        "result": described.results(one.arithmetic),
        "subnormals": described.flushed(one, result).removesuffix(" (hint)"),
    }


@pytest.mark.parametrize("case", KNOWN)
def test_a_known_arithmetic_is_identified(case: str) -> None:
    name, _, dtype = case.partition(" ")
    found = of(MADE[name](), dtype or "float32", results=("y",), sides=(3,), network=False)
    own = USUAL if dtype in {"", "float64"} else USUAL | {"products": "exact"}
    if case in {"HalfInHalf float16", "HalfInHalf bfloat16"}:
        own = USUAL
    assert said(found, "y") == own | KNOWN[case]
    assert found.foretold == found.asked >= 200


@pytest.mark.parametrize(
    ("name", "order"),
    [("Blocked", "in 4 lanes that are added pairwise"), ("SumsTruncated", "in order")],
)
def test_all_results_and_49_terms(name: str, order: str) -> None:
    found = of(MADE[name](), sides=(3, 7), network=False)
    for result in ("y", "dx", "dkernel"):
        assert [one.terms for one in found.parts[result].found] == [9, 49]
        assert said(found, result, 1)["order"] == order
    assert found.certain


@pytest.mark.parametrize(
    ("name", "dtype", "declared"),
    [
        ("SumsInHalf", "float32", {"accumulator": {"float32": "float16"}}),
        ("HalfInHalf", "bfloat16", {"accumulator": {"bfloat16": "bfloat16"}}),
        ("Wider", "float32", {"accumulator": {"float32": "float64"}}),
        ("ProductsInHalf", "float16", {"accumulator": {"float16": "float16"}}),
        ("OperandsInTf32", "float32", {"multiplier": {"float32": "tfloat32"}}),
    ],
)
def test_the_tightest_declaration(name: str, dtype: str, declared: dict[str, Any]) -> None:
    found = of(MADE[name](), dtype, results=("y",), sides=(3,), network=False)
    assert found.declaration.items() >= declared.items()
    assert found.declaration["gradual_underflow"]


def test_what_is_undeclared_is_to_be_declared_or_mended() -> None:
    options: Any = {"results": ("y",), "sides": (3,), "network": False}
    found = of(MADE["SumsInHalf"](), **options)
    assert found.words == ["y: sums are kept in float16"]
    assert found.verdict == ["declare \"accumulator\": {'float32': 'float16'}"]
    found = of(MADE["KernelInHalf"](), **options)
    assert found.words == ["y: factors are kernel rounded to float16"]
    assert found.verdict == ["mend: y: factors are kernel rounded to float16"]
    found = of(MADE["Clipped"](), **options)
    assert "y: results are rounded to nearest, clipped at 65504" in found.words
    assert any("infinity gives 65504, due inf" in one for one in found.verdict)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NanToZero", "NaN as first factor gives 0, due nan"),
        ("ZeroWeightsSkipped", "NaN times zero gives 0, due nan"),
        ("DkernelThroughHalf", "dkernel: results are through float16"),
        ("FlushesSubnormals", "subnormal numbers are flushed: results"),
        ("OperandsThroughHalf", "factors are both rounded to float16"),
    ],
)
def test_a_planted_fault_is_said(name: str, words: str) -> None:
    found = of(MUTANTS[name](), sides=(3,), network=False)
    assert any(words in one for one in found.words)
    assert found.certain


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", ["Terms", "Pairwise", "Compensated", "Unfold", "MatrixUnit"])
def test_nothing_is_said_of_right_ones(name: str, dtype: str) -> None:
    found = of(MADE[name](), dtype, sides=(3,), network=False)
    assert found.words == []
    assert found.verdict == ["nothing to do: it is as declared"]


def test_what_is_not_known_is_called_a_hint() -> None:
    options: Any = {"results": ("y",), "sides": (3,), "network": False}
    found = of(Squares(), **options)
    assert not found.certain
    assert found.words[0].startswith("y: hint: ")
    assert found.verdict[0].startswith("hint: ")
    found = of(Uncertain(), **options)
    assert not found.certain
    assert found.words == ["y: the same sums have other answers when they are asked again"]


def test_of_a_wrong_map_nothing_is_said() -> None:
    found = of(MUTANTS["KernelFlipped"](), results=("y",), sides=(3,), network=False)
    assert found.unasked["y"].startswith("one times one is not one")
    assert found.words == []
    assert found.verdict == ["nothing was found"]


def test_another_order_at_another_size_is_found() -> None:
    found = of(MADE["Unfold"](), results=("y",), sides=(3,))
    large = found.parts["y"].large
    assert large is not None
    assert said(found, "y")["order"] == "pairwise, neighbours first"
    assert described.order(large, []) == "in order"
    assert large.certain


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("Reversed", "float32"), ("Blocked", "float64"), ("HalfInHalf", "bfloat16"),
     ("TensorCores", "float32"), ("FusedExactly", "float32")],
)  # fmt: skip
def test_a_case_is_foretold(name: str, dtype: str) -> None:
    """Of another geometry than was asked, and of other numbers of terms."""
    judged = load(MADE[name](), OPERATOR)
    found = arithmetic_of(judged, dtype, sides=(3,), network=False)
    case = OperatorCase(dtype, "normal", 3, 2, 7, 6)
    case = case.changed(
        groups=2, members=3, kernel_shape=(3, 2), stride=(2, 1), dilation=(1, 2), padding=1,
        group_layout="interleaved",
    ).large_enough  # fmt: skip
    values = OPERATOR.values(case, 24)
    due = found.predict(case, values)
    assert set(due) == {"y", "dx", "dkernel"}
    operator, options = judged.host.implementation, case.geometry.options
    got = {"y": operator.forward(values["x"], values["kernel"], **options)}
    got["dx"], got["dkernel"] = operator.backward(
        *(values[n] for n in OPERATOR.operands), **options
    )
    for result, array in due.items():
        assert array.dtype == got[result].dtype
        np.testing.assert_array_equal(array, got[result], err_msg=result)


@pytest.mark.parametrize("n", [2, 9, 49])
def test_trees_are_told_from_their_sizes(n: int) -> None:
    for name, build in trees.orders(n):
        tree = trees.canonical(build(range(n)))
        assert trees.tree_of(trees.sizes_of(tree)) == tree
        assert name in trees.names(tree, n)
        assert trees.built(name, n) == tree
    several = ((0, 1, 2), (3, 4, 5), 6)
    assert trees.tree_of(trees.sizes_of(several)) == several
    assert trees.tree_of(np.full((3, 3), 2)) is None
    assert trees.expression((((0, 1), 2), ((5, 6), 4), 3)) == "(0..2 + 6..4 + 3)"


@pytest.mark.parametrize("mode", MODES)
def test_a_rounding_is_that_of_its_words(mode: str) -> None:
    scale = 6
    rounding = Rounding(3, mode, smallest=-1, largest=2)
    for number in range(-2 * 64 * 4, 2 * 64 * 4, 3):
        exact, got = Fraction(number, 64), rounding(number, scale)
        step = Fraction(1, 8)
        while abs(exact) >= 8 * step:
            step *= 2
        down = abs(exact) // step
        rest = abs(exact) / step - down
        up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and (mode == MODES[2] or down % 2))
        due = (down + (up and mode != MODES[1])) * step
        if due >= 8:
            assert got == (np.inf if exact > 0 else -np.inf)
        else:
            assert Fraction(abs(got), 64) == due


def test_an_exact_sum_is_that_of_fractions() -> None:
    a, b = factors(np.random.default_rng(1), 3, 9, FORMATS["float64"])
    end = Rounding.to(FORMATS["float64"])
    exact = Arithmetic(trees.in_order(range(9)), (end, end), None, None, (end,))
    rows = [zip(x, k, strict=True) for x, k in zip(a.tolist(), b.tolist(), strict=True)]
    due = [float(sum(Fraction(x) * Fraction(k) for x, k in row)) for row in rows]
    assert exact.sums(a, b, FORMATS["float64"]).tolist() == due


def test_random_factors_are_of_the_format() -> None:
    for dtype, format_ in FORMATS.items():
        for one in factors(np.random.default_rng(0), 4, 9, format_):
            assert np.array_equal(one, one.astype(format_.dtype).astype(np.float64)), dtype


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    name = "conformance.implementations.operator.numpy_shifted:Shifted"
    assert main(["reveal", f"--implementation={name}", "--dtype", "float16", "--in-process"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"REVEALS  {name}  (operator")
    assert "fresh sums, bit for bit" in shown
    assert "nothing to do: it is as declared" in shown
    assert "'accumulator': {'float16': 'float32'}" in shown


def test_the_command_refuses_what_it_cannot_load(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["reveal", "--implementation=no.such.module"])
    assert stopped.value.code == 2
    assert "no.such" in capsys.readouterr().err
