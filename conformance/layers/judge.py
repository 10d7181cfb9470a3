"""Runs a layer on a case and speaks: nothing, or a failure that says everything."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.implementation import Array, Judged
from conformance.judge import ConformanceError
from conformance.layers.analysis import Machine
from conformance.layers.bounds import allowed
from conformance.layers.cases import LayerCase, layer_operands
from conformance.ledger import Failure, Ledger
from conformance.memory import Guarded
from conformance.specification import clauses
from conformance.verdict import Finding, compare
from refimpl import layer

# The clause that says what each result is.
RULES = {
    "y": "LAY-2",
    "kernel": "LAY-11",
    "moving_mean": "LAY-12",
    "moving_variance": "LAY-12",
    "dx": "LAY-13",
}


class LayerJudge:
    """Judges one layer on behalf of one test.

    Parameters
    ----------
    judged : Judged
        The layer.
    decides : tuple of str
        Clauses that the test decides; the first is quoted in a failure.
    ledger : Ledger
        Where cases are counted.
    """

    def __init__(self, judged: Judged, decides: tuple[str, ...], ledger: Ledger) -> None:
        self.judged, self.claimed = judged, judged.capabilities
        self.decides, self._ledger = decides, ledger

    def check(self, case: LayerCase) -> None:
        """Demand that every result of a case is right (LAY-16).

        Raises
        ------
        ConformanceError
            One is not.
        """
        __tracebackhide__ = True
        self.check_operands(case, layer_operands(case))

    def check_operands(self, case: LayerCase, values: dict[str, Array]) -> None:
        """Do what `check` does on operands of the caller's making."""
        __tracebackhide__ = True
        got = self.run(case, values)
        self.compare(case, values, got)

    def compare(self, case: LayerCase, values: dict[str, Array], got: dict[str, Array]) -> None:
        """Demand that results, all or some of them, are right."""
        __tracebackhide__ = True
        due, limits = expected(case, values), self.limits(case, values)
        for name, array in got.items():
            self.check_form(case, name, array, due[name].shape)
            result = self.claimed.result_format(case.dtype)
            worst, finding = compare(name, array, due[name], limits[name], result)
            if finding is not None:
                tier = "equality" if finding.bound == 0 else "bound"
                self.fail(case, describe(finding), tier)
            self._ledger.count(self.judged.name, self.decides, worst)

    def limits(self, case: LayerCase, values: dict[str, Array]) -> dict[str, Any]:
        """Bounds of a case in the declared arithmetic."""
        machine = Machine(
            self.claimed.result_format(case.dtype),
            self.claimed.accumulator_format(case.dtype),
            self.claimed.multiplier_format(case.dtype),
            self.claimed.gradual_underflow,
        )
        return allowed(machine, values, case.config, training=case.training)

    def run(self, case: LayerCase, values: dict[str, Array]) -> dict[str, Array]:
        """Call the layer, forward and backward, and give every result by its name."""
        __tracebackhide__ = True
        return self.forward(case, values) | self.backward(case, values)

    def forward(self, case: LayerCase, values: dict[str, Array]) -> dict[str, Array]:
        """Call `forward`: y, the kernel if it is returned, the moving statistics."""
        __tracebackhide__ = True
        guarded = Guarded(values)
        x, parameters = guarded.arrays["x"], _parameters(guarded.arrays)
        answer = self.call(case, "forward", x, parameters)
        if not isinstance(answer, tuple) or len(answer) != 3 or not isinstance(answer[2], Mapping):
            self.fail(case, "forward must return (y, kernel, moving statistics) (LAY-17)")
        y, kernel, moving = answer
        got = {"y": y, "kernel": kernel} if self.claimed.returns_kernel else {"y": y}
        statistics = [name for name in layer.STATISTICS if name in parameters]
        self._check_names(case, got | dict(moving), {*got, *statistics})
        # In inference the moving statistics may be the operands themselves.
        self._check_memory(case, guarded, got | dict(moving if case.training else {}))
        return got | dict(moving)

    def backward(self, case: LayerCase, values: dict[str, Array]) -> dict[str, Array]:
        """Call `backward`: dx and the gradients of the parameters, named with a d before."""
        __tracebackhide__ = True
        guarded = Guarded(values)
        dy, x, parameters = guarded.arrays["dy"], guarded.arrays["x"], _parameters(guarded.arrays)
        answer = self.call(case, "backward", dy, x, parameters)
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], Mapping):
            self.fail(case, "backward must return (dx, gradients of the parameters) (LAY-17)")
        dx, gradients = answer
        got = {"dx": dx} | {f"d{name}": array for name, array in gradients.items()}
        trained = (name for name in parameters if name not in layer.STATISTICS)
        self._check_names(case, got, {"dx", *(f"d{name}" for name in trained)})
        self._check_memory(case, guarded, got)
        return got

    def _check_names(self, case: LayerCase, got: dict[str, Array], due: set[str]) -> None:
        __tracebackhide__ = True
        if set(got) != due:
            missing, surplus = ", ".join(sorted(due - set(got))), ", ".join(sorted(set(got) - due))
            self.fail(case, f"results: {missing or 'none'} missing, {surplus or 'none'} too many")

    def _check_memory(self, case: LayerCase, guarded: Guarded, got: dict[str, Array]) -> None:
        __tracebackhide__ = True
        if changed := guarded.changed():
            self.fail(case, f"{', '.join(changed)} was modified by the call (LAY-17)")
        arrays = {name: array for name, array in got.items() if isinstance(array, np.ndarray)}
        if shared := guarded.shared(arrays):
            self.fail(case, f"results share memory: {'; '.join(shared)} (LAY-17)")

    def call(self, case: LayerCase, function: str, *operands: Any) -> Any:
        """Call `forward` or `backward`; whatever it raises is a failure of this case."""
        __tracebackhide__ = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return getattr(self.judged.implementation, function)(
                    *operands, case.config, training=case.training
                )
        except Exception as error:
            message = f"{function} raised {type(error).__name__}: {error}"
            raise self._error(case, message) from error

    def check_form(self, case: LayerCase, name: str, array: Any, shape: tuple[int, ...]) -> None:
        """Demand an array of the due shape and dtype (LAY-17)."""
        __tracebackhide__ = True
        dtype = self.claimed.result_format(case.dtype).dtype
        if not isinstance(array, np.ndarray):
            self.fail(case, f"{name} must be a NumPy array, got {type(array).__name__}")
        if array.shape != shape:
            self.fail(case, f"{name} must have shape {shape} (LAY-17), got {array.shape}")
        if array.dtype != dtype:
            self.fail(case, f"{name} must have dtype {dtype} (LAY-17), got {array.dtype}")

    def expect(self, case: LayerCase, holds: bool, message: str) -> None:
        """Demand something else than a value, and count it as a case."""
        __tracebackhide__ = True
        if not holds:
            self.fail(case, message)
        self._ledger.count(self.judged.name, self.decides, 0.0)

    def fail(self, case: LayerCase, what: str, tier: str = "behaviour") -> None:
        """Raise a `ConformanceError`: what is wrong, against which clause, how to see it."""
        __tracebackhide__ = True
        raise self._error(case, what, tier)

    def _error(self, case: LayerCase, what: str, tier: str = "behaviour") -> ConformanceError:
        name, clause = self.judged.name, self.decides[0]
        return ConformanceError(
            f"{clause}: {clauses()[clause]}\n\n"
            f"  layer           {name}\n"
            f"  call            {call(case)}\n"
            f"  {what}\n\n"
            f"  replay          python -m conformance --layer={name} --case={case.token}",
            Failure(name, clause, case.token, tier, self._ledger.judged(name)),
        )


def expected(case: LayerCase, values: dict[str, Array]) -> dict[str, Any]:
    """The reference's results by name."""
    parameters = _parameters(values)
    config, training = case.config, case.training
    y, kernel, moving = layer.forward(values["x"], parameters, config, training=training)
    dx, gradients = layer.backward(values["dy"], values["x"], parameters, config, training=training)
    named = {f"d{name}": gradient for name, gradient in gradients.items()}
    return {"y": y, "kernel": kernel, **moving, "dx": dx, **named}


def _parameters(values: dict[str, Array]) -> dict[str, Array]:
    return {name: value for name, value in values.items() if name not in {"x", "dy"}}


def call(case: LayerCase) -> str:
    """The call of a case in words."""
    x = f"({case.batch}, {case.height}, {case.width}, {case.channels})"
    mode = "training" if case.training else "inference"
    return f"x {x} {case.dtype}, {mode}, {case.config}; values: {case.recipe}, seed {case.seed}"


def describe(finding: Finding) -> str:
    """What is wrong, a line for each side of it."""
    count, rule = int(finding.wrong.sum()), RULES.get(finding.result, "LAY-14")
    limit = "equality demanded" if finding.bound == 0 else f"error bound {finding.bound:.9g}"
    error = abs(finding.got - finding.expected)
    return (
        f"wrong           {finding.result}: {count} of {finding.wrong.size} elements, "
        f"first at index {finding.index}\n"
        f"  got             {finding.got!r}\n"
        f"  expected        {finding.expected!r}   (error {error:.9g}, {limit})\n"
        f"  rule            {rule}: {clauses()[rule]}"
    )
