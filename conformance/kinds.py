"""The two kinds of what is judged: the operator and the layer. The only file that knows both.

A kind binds what stands elsewhere: its cases, its bounds, its rules. Everything that judges,
counts or reports asks a kind and knows none.
"""

import itertools
import random
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from hypothesis.strategies import SearchStrategy

from conformance.bounds import layer as layer_bounds
from conformance.bounds import operator as operator_bounds
from conformance.bounds.expected import Array, Expected
from conformance.cases import layer as layer_cases
from conformance.cases import layer_network, layer_recipes, network, operator_recipes
from conformance.cases import operator as operator_cases
from conformance.cases.bad_calls import FAULTS, LAYER_FAULTS, MIXED, Fault, changed
from conformance.cases.geometries import Geometry
from conformance.cases.impulses import meetings
from conformance.cases.layer import LayerCase
from conformance.cases.operator import OperatorCase
from conformance.cases.picture import Picture, localise
from conformance.claims.capabilities import Capabilities, LayerCapabilities
from conformance.claims.formats import FORMATS
from conformance.diagnosis import experiments
from conformance.diagnosis import layer as layer_diagnosis
from conformance.diagnosis import operator as operator_diagnosis
from conformance.diagnosis.answers import Probe
from conformance.diagnosis.diagnose import Known
from conformance.diagnosis.explain import explain
from conformance.diagnosis.explanation import Explanation
from conformance.diagnosis.ignored import Ignored, ignored
from conformance.diagnosis.layers.asking import fitting
from conformance.diagnosis.layers.explain import explain_layer
from conformance.judging.kind import Kind, Rules, Shapes
from conformance.specification import clauses
from conformance.worker.host import ARGUMENTS, FURTHER
from refimpl.layer import STATISTICS

_CHAPTERS = frozenset(number[:3] for number in clauses())
_IMAGE = ("batch", "row", "column", "channel")
_KERNEL = ("batch", "row", "column", "tap u", "tap v", "group")
# Of each result of an operator which function gives it, and which operand has its shape (GEO-1).
_FUNCTION = {
    "y": "forward", "dx": "backward", "dkernel": "backward",
    "ty": "jvp", **dict.fromkeys(("ddy", "d2x", "d2kernel"), "double_backward"),
}  # fmt: skip
_LIKE = {
    "y": "dy", "dx": "x", "dkernel": "kernel",
    "ty": "dy", "ddy": "dy", "d2x": "x", "d2kernel": "kernel",
}  # fmt: skip


class _Operator(Kind):
    """The operator, its two vector-Jacobian products and their derivatives (GEO to SPC)."""

    name = "operator"
    option = "--implementation"
    signature = "refimpl.involution"
    operands = ("dy", "x", "kernel")
    keywords = ("stride", "dilation", "padding", "group_layout")
    further: ClassVar[Mapping[str, tuple[str, ...]]] = {name: ARGUMENTS[name] for name in FURTHER}
    adapter = "conformance.adapt.{framework} does so for a function of tensors"
    chapters = _CHAPTERS - {"LAY"}
    capabilities = Capabilities
    case = OperatorCase
    recipes = operator_recipes.RECIPES
    settling = "exact_sums[float32]"
    share = 1
    rules = Rules(
        value={
            "y": "FWD-1",
            "dx": "GRD-1",
            "dkernel": "GRD-2",
            "ty": "GRD-7",
            "ddy": "GRD-8",
            "d2x": "GRD-8",
            "d2kernel": "GRD-8",
        },
        bound={
            "y": ("NUM-2",),
            "dx": ("NUM-3",),
            "dkernel": ("NUM-4",),
            **dict.fromkeys(operator_recipes.SECOND, ("GRD-9",)),
        },
        raises={
            "forward": "FWD-1",
            "backward": "GRD-1",
            "jvp": "GRD-7",
            "double_backward": "GRD-8",
        },
        dtype={"forward": "FWD-4", "backward": "GRD-6", **dict.fromkeys(FURTHER, "GRD-10")},
        derivatives=("GRD-3", "GRD-4", "GRD-5", "GRD-6", "SPC-3"),
        shape="GEO-1",
        memory="FWD-5",
        empty="SPC-6",
        further="GRD-11",
    )

    guards = True

    @property
    def settled(self) -> list[OperatorCase]:
        # NaN is summed by the definition; many channels of a group have loops of their own.
        return [
            operator_cases.plain_case(Capabilities(), dtype=dtype, members=members, recipe=recipe)
            for dtype in ("float32", "float64")
            for members in (2, 32)
            for recipe in ("normal", "specials")
        ]

    def networks(self, claimed: Capabilities, seed: int) -> list[OperatorCase]:
        return [*network.networks(claimed, seed), *network.structures(claimed, seed)]

    def allows(self, call: Any, dtype: str, claimed: Capabilities) -> bool:
        where = Geometry(
            call.groups, call.channels // call.groups, call.taps, call.stride, call.dilation,
            call.padding, call.group_layout,
        )  # fmt: skip
        height, width = call.size
        case = OperatorCase(dtype, "normal", 0, call.batch, height, width, where)
        return case.products <= network.MOST // 16 and not operator_cases.unclaimed(case, claimed)

    def draw(self, claimed: Capabilities, **wanted: Any) -> SearchStrategy[OperatorCase]:
        return operator_cases.cases(claimed, **wanted)

    def plain(self, claimed: Capabilities, **changes: Any) -> OperatorCase:
        return operator_cases.plain_case(claimed, **changes)

    def beyond(self, case: OperatorCase) -> OperatorCase | None:
        recipe = operator_recipes.further(case.recipe)
        return None if recipe is None else case.changed(recipe=recipe)

    def values(self, case: OperatorCase, bits: int) -> dict[str, Array]:
        return operator_recipes.operands(case, bits)

    def wrong_calls(
        self, function: str, case: OperatorCase, values: Mapping[str, Array]
    ) -> Iterator[tuple[Fault, dict[str, Array], dict[str, Any]]]:
        right = {**values, **case.geometry.options}
        given = {*self.operands_for(function), *self.keywords}
        for fault in (*FAULTS, MIXED):
            wrong = fault.change(right)
            if changed(right, wrong) & given:
                operands, _ = self.arguments(function, case, wrong)
                yield fault, operands, {name: wrong[name] for name in self.keywords}

    def unclaimed(self, case: OperatorCase, claimed: Capabilities) -> str:
        return operator_cases.unclaimed(case, claimed)

    def call_of(self, case: OperatorCase) -> str:
        return operator_cases.call_of(case)

    def request(self, function: str) -> str:
        return function

    def arguments(
        self, function: str, case: OperatorCase, values: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        return {name: values[name] for name in ARGUMENTS[function]}, case.geometry.options

    def function_of(self, result: str) -> str:
        return _FUNCTION[result]

    def shapes(
        self,
        function: str,
        case: OperatorCase,  # noqa: ARG002
        values: Mapping[str, Array],
        claimed: Capabilities,  # noqa: ARG002
    ) -> Shapes:
        own = (name for name, giving in _FUNCTION.items() if giving == function)
        return {name: values[_LIKE[name]].shape for name in own}

    def expected(
        self, case: OperatorCase, values: Mapping[str, Array], claimed: Capabilities
    ) -> dict[str, Expected]:
        arithmetic, options = claimed.arithmetic(case.dtype), case.geometry.options
        exact, format_ = self.recipe_of(case).exact, FORMATS[case.dtype]
        parts = []
        # A sample depends on itself alone (FWD-3): what is large takes the memory of a part.
        for some in operator_bounds.samples(values):
            of = operator_bounds.second if "tx" in some else operator_bounds.truths
            truths = of(some, options, format_, exact=exact)
            if self.recipe_of(case).rounds:
                truths = {name: truth.rounded(arithmetic) for name, truth in truths.items()}
            parts.append({name: truth.within(arithmetic) for name, truth in truths.items()})
        return operator_bounds.joined(parts)

    def blamed(
        self,
        decides: tuple[str, ...],
        case: OperatorCase,  # noqa: ARG002
        wrong: set[str],
        right: set[str],
    ) -> tuple[str, ...]:
        """Blame geometry and groups, which y, dx and dkernel share, where none of them is right.

        And exactness, where a check of it finds any result wrong.
        """
        shared = {"GEO", "GRP"} if wrong and not right else set()
        return tuple(
            number for number in decides if number[:3] in shared or (number == "NUM-1" and wrong)
        )

    def operands_of(self, values: Mapping[str, Array]) -> list[tuple[str, ...]]:
        return [*((name,) for name in values), tuple(values)]

    def probes(self, claimed: Capabilities, failing: OperatorCase | None) -> list[Probe]:
        return operator_diagnosis.probes(claimed, failing)

    def known(self) -> Known:
        from conformance.implementations.operator.numpy_unfold import Twice, Unfold
        from conformance.mutants.operator import CONVENTIONS, MUTANTS, SECOND

        def both() -> Iterator[tuple[str, Any]]:
            for one, other in itertools.combinations(CONVENTIONS, 2):
                yield f"{one}+{other}", type("Both", (CONVENTIONS[one], CONVENTIONS[other]), {})

        return Known(Unfold, MUTANTS, both, (Twice, SECOND))

    def explain(
        self, judged: Any, failing: OperatorCase | None, seconds: float | None = None
    ) -> Explanation | None:
        # It reads y, dx and dkernel together.
        return explain(judged, failing, seconds) if judged.capabilities.backward else None

    def drawn(self, claimed: Capabilities, rng: random.Random) -> Iterator[OperatorCase]:
        return experiments.drawn(claimed, claimed.first_dtype, rng)

    def ignored(self, judged: Any, seconds: float) -> Ignored | None:
        # It compares y, dx and dkernel.
        return ignored(judged, seconds) if judged.capabilities.backward else None

    def where(self, judged: Any, failing: OperatorCase | None, *, brief: bool) -> tuple[str, ...]:
        return operator_diagnosis.where(judged, failing, brief=brief)

    def apart(self, case: OperatorCase, claimed: Capabilities, times: float) -> dict[str, Array]:  # noqa: ARG002
        # Its probes are exact.
        return {}

    def enlarged(
        self, case: OperatorCase, spare: tuple[int, int], claimed: Capabilities
    ) -> OperatorCase:
        height, width = case.geometry.large_enough((1, 1))
        larger = case.changed(height=height + spare[0], width=width + spare[1])
        return operator_cases.fitted(larger, claimed)

    def fitting(self, case: OperatorCase, claimed: Capabilities) -> OperatorCase | None:
        fits = case.large_enough
        return None if operator_cases.unclaimed(fits, claimed) else fits

    def weight(self, case: OperatorCase) -> tuple[Any, ...]:
        return operator_cases.weight(case)

    def simpler(self, case: OperatorCase) -> Iterator[OperatorCase]:
        return operator_cases.simpler(case)

    def axes(self, result: str, rank: int) -> tuple[str, ...]:  # noqa: ARG002
        return _KERNEL if _LIKE[result] == "kernel" else _IMAGE

    def picture(
        self, case: OperatorCase, claimed: Capabilities, result: str, got: Array, expected: Array
    ) -> Picture | None:
        recipe = self.recipe_of(case)
        if not recipe.certifies or result not in recipe.decides:
            return None
        bits = self.bits(case, claimed)
        shown = (meetings(case, bits, result, array) for array in (got, expected))
        return localise(case, result, *shown)

    def certificate_of(self, case: OperatorCase, result: str) -> OperatorCase | None:
        """One sample for each entry, where that is affordable."""
        recipe = "impulse-x" if result == "y" else "impulse-dy"
        sure = case.changed(recipe=recipe, batch=1)
        return sure if operator_diagnosis.few_entries(case) else None


class _Layer(Kind):
    """The whole layer: kernel generation and operator (chapter LAY)."""

    name = "layer"
    option = "--layer"
    signature = "refimpl.layer"
    operands = ("dy", "x", "parameters", "config")
    keywords = ("training",)
    adapter = ""
    chapters = frozenset({"LAY"})
    capabilities = LayerCapabilities
    case = LayerCase
    recipes = layer_recipes.RECIPES
    settling = "bound[normal-any-training-float32]"
    optional = frozenset({"kernel"})
    # Each case has up to a dozen results.
    share = 2
    _parameters = tuple(
        name for name in layer_cases.LayerCase("", "").shapes if name not in {"x", "dy"}
    )
    _value: Mapping[str, str] = {
        "y": "LAY-2",
        "kernel": "LAY-11",
        **dict.fromkeys(STATISTICS, "LAY-12"),
        "dx": "LAY-13",
        **{f"d{name}": "LAY-14" for name in _parameters if name not in STATISTICS},
    }
    rules = Rules(
        value=_value,
        bound={result: (clause, "LAY-16") for result, clause in _value.items()},
        raises={"forward": "LAY-2", "backward": "LAY-13"},
        dtype={"forward": "LAY-17", "backward": "LAY-17"},
        derivatives=("LAY-15",),
        shape="LAY-17",
        memory="LAY-17",
        empty="LAY-19",
    )

    def draw(self, claimed: LayerCapabilities, **wanted: Any) -> SearchStrategy[LayerCase]:
        usual: dict[str, Any] = {
            "recipe": "normal",
            "training": claimed.training,
            "convention": claimed.conventions[0],
        }
        return layer_cases.cases(claimed, **usual | wanted)

    @property
    def settled(self) -> list[LayerCase]:
        plain = layer_cases.plain_case(LayerCapabilities(), recipe="normal", training=True)
        return [plain.changed(members=members) for members in (2, 32)]

    def networks(self, claimed: LayerCapabilities, seed: int) -> list[LayerCase]:
        return layer_network.networks(claimed, seed)

    def modes(self, claimed: LayerCapabilities) -> tuple[dict[str, Any], ...]:
        return ({"training": False}, *([{"training": True}] if claimed.training else []))

    def enlarged(
        self,
        case: LayerCase,
        spare: tuple[int, int],
        claimed: LayerCapabilities,  # noqa: ARG002
    ) -> LayerCase:
        return layer_cases.with_pixels(case, spare)

    def operands_of(self, values: Mapping[str, Array]) -> list[tuple[str, ...]]:
        weights = tuple(name for name in values if name not in {"x", "dy"})
        return [("x",), ("dy",), weights, tuple(values)]

    def plain(self, claimed: LayerCapabilities, **changes: Any) -> LayerCase:
        return layer_cases.plain_case(claimed, **changes)

    def values(self, case: LayerCase, bits: int) -> dict[str, Array]:
        return layer_recipes.operands(case, bits)

    def wrong_calls(
        self, function: str, case: LayerCase, values: Mapping[str, Array]
    ) -> Iterator[tuple[Fault, dict[str, Array], dict[str, Any]]]:
        if function != "forward":
            return
        right: dict[str, Any] = {name: one for name, one in values.items() if name != "dy"}
        for fault in LAYER_FAULTS:
            wrong = fault.change(right | {"config": case.config, "training": case.training})
            options = {name: wrong.pop(name) for name in ("config", "training")}
            yield fault, wrong, options

    def unclaimed(self, case: LayerCase, claimed: LayerCapabilities) -> str:
        return layer_cases.unclaimed(case, claimed)

    def call_of(self, case: LayerCase) -> str:
        return layer_cases.call_of(case)

    def request(self, function: str) -> str:
        return f"layer-{function}"

    def arguments(
        self, function: str, case: LayerCase, values: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        operands = {n: one for n, one in values.items() if n != "dy" or function == "backward"}
        return operands, {"config": case.config, "training": case.training}

    def shapes(
        self,
        function: str,
        case: LayerCase,
        values: Mapping[str, Array],
        claimed: LayerCapabilities,
    ) -> Shapes:
        parameters = {n: one.shape for n, one in values.items() if n not in {"x", "dy"}}
        if function == "backward":
            trained = {n: shape for n, shape in parameters.items() if n not in STATISTICS}
            return {"dx": values["x"].shape, **{f"d{n}": shape for n, shape in trained.items()}}
        grid, config = values["dy"].shape[:3], case.config
        kernel = {"kernel": (*grid, *config.taps, config.groups)} if claimed.returns_kernel else {}
        moving = {n: shape for n, shape in parameters.items() if n in STATISTICS}
        return {"y": values["dy"].shape, **kernel, **moving}

    def expected(
        self, case: LayerCase, values: Mapping[str, Array], claimed: LayerCapabilities
    ) -> dict[str, Expected]:
        arithmetic = claimed.arithmetic(case.dtype)
        return layer_bounds.expected(arithmetic, values, case.config, training=case.training)

    def blamed(
        self, decides: tuple[str, ...], case: LayerCase, wrong: set[str], right: set[str]
    ) -> tuple[str, ...]:
        """Blame the steps before the kernel where the kernel is wrong, or y if it is not shown.

        And the derivative through the statistics where all but a gradient is right in training.
        """
        seen = "kernel" if "kernel" in wrong | right else "y"
        forward = {"y", "kernel", *STATISTICS}
        steps = {f"LAY-{number}" for number in (1, *range(3, 12))}
        if seen not in wrong:
            steps = {"LAY-15"} if case.training and not wrong & forward and wrong else set()
        return tuple(number for number in decides if number in steps)

    def axes(self, result: str, rank: int) -> tuple[str, ...]:
        if result in {"y", "dx"}:
            return _IMAGE
        if result == "kernel":
            return _KERNEL
        return ("channel",) if rank == 1 else ("row of the weights", "column of the weights")

    def picture(self, *_: Any) -> None:
        # Its results depend on one another, and no certificate shows them apart.
        return None

    def probes(self, claimed: LayerCapabilities, failing: LayerCase | None) -> list[Probe]:
        return layer_diagnosis.probes(claimed, failing)

    def known(self) -> Known:
        from conformance.implementations.layer.numpy_layer import NumpyLayer
        from conformance.mutants.layer import MUTANTS

        return Known(NumpyLayer, MUTANTS, lambda: iter(()))

    def explain(
        self, judged: Any, failing: LayerCase | None, seconds: float | None = None
    ) -> Explanation | None:
        return explain_layer(judged, failing, seconds)

    def where(self, judged: Any, failing: LayerCase | None, *, brief: bool) -> tuple[str, ...]:  # noqa: ARG002
        # Its results depend on one another, and no certificate shows them apart.
        return ()

    def apart(self, case: LayerCase, claimed: LayerCapabilities, times: float) -> dict[str, Array]:
        values = self.values(case, self.bits(case, claimed))
        expected = self.expected(case, values, claimed)
        return {name: times * one.bound for name, one in expected.items()}

    def fitting(self, case: LayerCase, claimed: LayerCapabilities) -> LayerCase | None:
        return fitting(case, claimed)

    def weight(self, case: LayerCase) -> tuple[Any, ...]:
        return layer_cases.weight(case)

    def simpler(self, case: LayerCase) -> Iterator[LayerCase]:
        return layer_cases.simpler(case)

    def may_share(self, case: Any, result: str, operand: str) -> bool:
        """In inference the moving statistics may be the operands themselves."""
        return not case.training and result == operand and result in STATISTICS


OPERATOR, LAYER = _Operator(), _Layer()
_Operator.other, _Layer.other = LAYER, OPERATOR
KINDS: tuple[Kind, ...] = (OPERATOR, LAYER)
