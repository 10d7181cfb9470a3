"""Network-shaped cases: that they cover what they say, for every seed, and what they can see."""

import contextlib
import itertools
import math
from typing import Any

import numpy as np
import pytest

import conformance
import conformance.suite
from conformance.cases import network
from conformance.cases.covering import cover, soonest
from conformance.cases.network import FULL, MOST, STRUCTURED, VALUES, networks, structures
from conformance.cases.operator import OperatorCase
from conformance.cases.operator_recipes import STRUCTURE
from conformance.claims.capabilities import Capabilities, declared, padding_kind
from conformance.claims.formats import FORMATS
from conformance.claims.loading import load
from conformance.implementations.operator.numpy_shifted import Shifted
from conformance.implementations.operator.numpy_unfold import Array, Call
from conformance.judging.checks import checks_of
from conformance.judging.failing import ConformanceError
from conformance.judging.judge import Judge
from conformance.judging.record import Record
from conformance.kinds import OPERATOR
from conformance.mutants.operator import MUTANTS
from refimpl import involution

FACTORS = {"a": (1, 2, 3), "b": "xy", "c": (True, False), "d": (1, 2, 3, 4)}


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_a_cover_has_every_choice(strength: int) -> None:
    rows = cover(FACTORS, strength)
    for names in itertools.combinations(FACTORS, strength):
        due = set(itertools.product(*(FACTORS[name] for name in names)))
        assert {tuple(row[name] for name in names) for row in rows} == due
    largest = sorted(len(levels) for levels in FACTORS.values())[-strength:]
    # Greedy: no more than half as many again as there have to be.
    assert len(rows) <= 1.5 * np.prod(largest)
    assert sorted(map(str, soonest(rows, strength, lambda _: 1))) == sorted(map(str, rows))


def test_what_is_not_allowed_occurs_nowhere_and_the_rest_does() -> None:
    def allowed(row: dict[str, Any]) -> bool:
        # No level of d goes with 1 and x; that shows once d is chosen.
        return not (row.get("a") == 1 and row.get("b") == "x" and "d" in row)

    rows = cover(FACTORS, 2, allowed)
    assert all(allowed(row) for row in rows)
    pairs = {pair for row in rows for pair in itertools.combinations(row.items(), 2)}
    assert (("a", 1), ("b", "x")) not in pairs
    assert (("a", 1), ("b", "y")) in pairs
    assert len(pairs) == 6 + 6 + 12 + 4 + 8 + 8 - 1


def test_what_is_cheap_and_new_comes_first() -> None:
    rows = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 2}, {"a": 3, "b": 3}]
    costs = {1: 1.0, 2: 5.0, 3: 100.0}
    ordered = list(soonest(rows, 1, lambda row: costs[row["a"]]))
    assert ordered == [rows[0], rows[1], rows[2], rows[3]]


CLAIMS: dict[str, dict[str, Any]] = {
    "everything": {},
    "one dtype": {"dtypes": ["float32"], "group_layouts": ["blocked"]},
    "valid and square": {"paddings": ["valid"], "kernel_shapes": "square", "strides": "square"},
    "shapes of its own": {"kernel_shapes": [(9, 1), (6, 6)], "dilations": [(1, 1)]},
    "official": {"strides": [(1, 1), (2, 2)], "dilations": [(1, 1)], "paddings": ["int"]},
}


def classes(case: OperatorCase, factors: network.Classes) -> dict[str, str]:
    """Tell which class of each factor a case belongs to."""
    where, plain = case.geometry, case.recipe.removesuffix("-real")
    values = {
        "size": case.size,
        "channels": (where.groups, where.members),
        "padding": padding_kind(where.padding),
        "batch": case.batch,
        "dtype": case.dtype,
        "values": (case.recipe, case.seed % 3 if plain in STRUCTURE else None),
    }
    return {
        name: next(
            level
            for level, members in levels.items()
            if values.get(name, getattr(where, name, None)) in members
        )
        for name, levels in factors.items()
    }


@pytest.mark.parametrize("claims", CLAIMS)
@pytest.mark.parametrize("seed", [0, 1, 987_654_321])
def test_each_three_classes_meet(claims: str, seed: int) -> None:
    claimed = declared(CLAIMS[claims])
    check_cover(networks(claimed, seed), claimed, network.classes_of(claimed, VALUES), MOST)


@pytest.mark.parametrize("claims", CLAIMS)
@pytest.mark.parametrize("seed", [0, 1, 987_654_321])
def test_each_structure_meets_each_two_coarse_classes(claims: str, seed: int) -> None:
    claimed = declared(CLAIMS[claims])
    factors = network.coarse(network.classes_of(claimed, STRUCTURED))
    check_cover(structures(claimed, seed), claimed, factors, MOST // 4)


def test_a_row_that_cannot_be_completed_is_not_tried_in_vain() -> None:
    """One level of the first factor goes with none of the last; between them stand twenty."""
    asked = 0

    def allowed(row: Any) -> bool:
        nonlocal asked
        asked += 1
        # 3^20 rows begin with what nothing completes.
        assert asked < 20_000
        return not (row.get("first") == "a" and "last" in row)

    factors: dict[str, Any] = {"first": "ab", **{f"f{n}": "xyz" for n in range(20)}, "last": "z"}
    rows = cover(factors, 2, allowed)
    assert {row["first"] for row in rows} == {"b"}


def check_cover(
    cases: list[OperatorCase], claimed: Capabilities, factors: network.Classes, most: int
) -> None:
    strength, met = 3, set()
    for case in cases:
        assert OPERATOR.unclaimed(case, claimed) == ""
        assert case.products <= 4 * most
        assert min(case.grid) > 0
        met |= set(itertools.combinations(classes(case, factors).items(), strength))
    fits = network.Fits(factors, most)
    for names in itertools.combinations(factors, strength):
        for chosen in itertools.product(*(factors[name] for name in names)):
            choice = tuple(zip(names, chosen, strict=True))
            possible = any(fits({"padding": kind} | dict(choice)) for kind in factors["padding"])
            assert choice in met or not possible, choice


def test_the_seed_chooses_the_numbers() -> None:
    one, other = networks(Capabilities(), 1), networks(Capabilities(), 2)
    assert one == networks(Capabilities(), 1)
    differ = [a != b for a, b in zip(one, other, strict=True)]
    assert sum(differ) > 0.9 * len(differ)


def test_few_geometries_where_each_is_compiled() -> None:
    claimed = declared({"compiles": True})
    cases = networks(claimed, 0)
    assert len(cases) <= 7
    factors = network.classes_of(claimed, VALUES)
    for name, levels in factors.items():
        assert {classes(case, factors)[name] for case in cases} == set(levels)
    shapes = [case.changed(recipe="", seed=0) for case in cases]
    structured = structures(claimed, 0)
    assert all(case.changed(recipe="", seed=0) in shapes for case in structured)
    asked = {case.recipe.removesuffix("-real") for case in structured}
    assert asked == {level[0][0] for level in STRUCTURED.values()}


@pytest.mark.parametrize("recipe", STRUCTURE)
@pytest.mark.parametrize("bits", [3, 8, 24])
def test_structured_integers_sum_exactly(recipe: str, bits: int) -> None:
    for seed in range(6):
        case = OPERATOR.plain(Capabilities(), recipe=recipe, seed=seed, members=9, batch=3)
        values = OPERATOR.values(case, bits)
        base = "split" if bits >= 24 and recipe != "constant" else "integers"
        plain = OPERATOR.values(case.changed(recipe=base), bits)
        size = {name: np.abs(array) for name, array in values.items()}
        options = case.geometry.options
        sums = [involution.forward(size["x"], size["kernel"], **options)]
        sums += involution.backward(size["dy"], size["x"], size["kernel"], **options)
        assert max(array.max() for array in sums) <= 2**bits
        changed = [name for name in values if not np.array_equal(values[name], plain[name])]
        assert changed in ([["x", "kernel", "dy"][seed % 3]], [])


@pytest.mark.parametrize("bits", [8, 11, 24, 53])
@pytest.mark.parametrize("layout", ["blocked", "interleaved"])
@pytest.mark.parametrize("sizes", [(2, 16, 7), (1, 200, 3), (8, 1, 1), (3, 5, 11)])
def test_split_integers_sum_exactly(bits: int, layout: str, sizes: tuple[int, int, int]) -> None:
    groups, members, k = sizes
    for seed in range(3):
        case = OPERATOR.plain(
            Capabilities(), recipe="split", dtype="float64", seed=seed, groups=groups,
            members=members, kernel_shape=(k, k), group_layout=layout, stride=(1, 2),
        )  # fmt: skip
        size = {name: np.abs(array) for name, array in OPERATOR.values(case, bits).items()}
        options = case.geometry.options
        sums = [involution.forward(size["x"], size["kernel"], **options)]
        sums += involution.backward(size["dy"], size["x"], size["kernel"], **options)
        assert max(array.max() for array in sums) <= 2**bits
        # The range is used.
        assert max(array.max() for array in sums) > 2.0 ** (bits - 1.5)


@pytest.mark.parametrize(
    ("dtype", "narrower"), [("float32", (11, 8)), ("float64", (24, 11)), ("float16", (8,))]
)
def test_no_narrower_format_holds_split_operands(dtype: str, narrower: tuple[int, ...]) -> None:
    long = set()
    for seed in range(3):
        case = OPERATOR.plain(Capabilities(), recipe="split", dtype=dtype, seed=seed)
        for name, array in OPERATOR.values(case, FORMATS[dtype].bits).items():
            mantissa = np.frexp(array.astype(np.float64))[0]
            if all((mantissa * 2.0**bits % 1 != 0).any() for bits in narrower):
                long.add(name)
            if name == "x" and dtype != "float16":
                assert all((mantissa * 2.0**bits % 1 != 0).all() for bits in narrower)
    assert long == {"x", "kernel", "dy"}


# Each check of network shapes, and a fault that it rejects on its own.
FOUND = {
    "network_integers": "VectorsIgnoreDilation",
    "network_split": "ManyOutputsThroughTensorCores",
    "network_reals": "ManyOutputsThroughTensorCores",
    "network_structure[zero]": "ZeroKernelsSkipped",
    "network_structure[one]": "OnesAreNotPadded",
    "network_structure[constant]": "ConstantImagesAreNotPadded",
    "network_structure[one-hot]": "EmptyRowsShiftTheGroups",
    "network_structure[sparse]": "SparseImagesLoseTheCentre",
    "network_structure[equal]": "EqualKernelsConvolved",
    "network_structure[repeated]": "EqualImagesOnce",
    "network_specials": "WideNanLost",
    "network_extremes[cancelling]": "ChannelsSummedInHalf",
    "network_extremes[subnormal]": "VectorsFlush",
    "network_extremes[large]": "VectorsScaledUp",
    "network_extremes[ties]": "TiesLoseTheirCarry",
    "network_extremes[beyond]": "WideHalfSaturates",
}


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_check_rejects_a_fault_of_its_own(name: str, seed: int) -> None:
    listed = conformance.checks(MUTANTS[FOUND[name]], seed=seed)
    (check,) = (one for one in listed if one.name == name)
    with pytest.raises(ConformanceError):
        check()


def test_all_checks_of_network_shapes_are_among_them() -> None:
    names = {one.name for one in conformance.checks(Shifted) if one.name.startswith("network")}
    assert names == set(FOUND)


FULL_SIZE = [one for one in checks_of(OPERATOR.chapters, full_size=True) if one.full_size]


class BlocksCountedIn16Bits(Shifted):
    """Samples and groups past the 65,535th are not computed."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        y = super().y(call, x, kernel)
        y[65_535 // call.groups :] = 0
        return y


def at_full_size(target: Any, size: str) -> Judge:
    check = next(one for one in FULL_SIZE if one.name == f"at_full_size[{size}]")
    judge = Judge(load(target, OPERATOR), Record("one", check.name, check.clauses), 3)
    with contextlib.suppress(ConformanceError):
        check.function(judge, **check.parameters)
    return judge


def test_full_size_is_asked_for_alone() -> None:
    assert len(FULL_SIZE) == len(FULL) + len(FORMATS) + 1
    assert not any(one.full_size for one in checks_of(OPERATOR.chapters))


@pytest.mark.parametrize("size", ["RedNet-50, stage 4", "65,535 samples and groups"])
def test_full_size(size: str) -> None:
    judge = at_full_size(Shifted, size)
    assert not judge.record.failures
    assert judge.record.judged == 3


def test_blocks_counted_in_16_bits() -> None:
    assert not at_full_size(BlocksCountedIn16Bits, "RedNet-50, stage 4").record.failures
    judge = at_full_size(BlocksCountedIn16Bits, "65,535 samples and groups")
    assert [one.clause for one in judge.record.failures] == ["FWD-1"]


@pytest.mark.parametrize("size", FULL)
def test_full_sizes_are_what_they_say(size: str) -> None:
    case = OPERATOR.plain(Capabilities(), **FULL[size])
    outputs, groups = math.prod(case.shapes["dy"]), case.geometry.groups
    assert {
        "2^24 kernel entries": math.prod(case.shapes["kernel"]) > 2**24,
        # In blocks of 256 too.
        "2^24 outputs": outputs > 2**24 and outputs / 256 > 65_535,
        "65,535 samples and groups": case.batch * groups > 65_535,
        "65,535 rows of outputs": case.batch * case.grid[0] > 65_535,
    }.get(size, case.geometry.members == 16)
