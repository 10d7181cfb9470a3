"""Probes of what a call changes, shares, remembers, assumes and accepts."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conformance.answers import Outcome, Probe, Values, answer, differing, equal, raw
from conformance.capabilities import Capabilities, declared
from conformance.cases import Case, with_outputs
from conformance.implementation import Implementation
from conformance.recipes import operands


def behaviours(base: Case, claimed: Capabilities) -> list[Probe]:
    """Ask what a call changes, shares, remembers, assumes and accepts."""
    case = replace(base, batch=2, groups=2, members=4, recipe="integers")
    sizes = iter([(13, n) for n in range(11, 30)])

    def fresh() -> Case:
        height, width = next(sizes)
        return with_outputs(replace(case, height=height, width=width))

    asked = [
        _behaves("memory", fresh(), _memory),
        _behaves("sequence", fresh(), _sequence),
        _behaves("gradients alone", fresh(), _gradients_alone),
        _behaves("repetition", replace(fresh(), recipe="normal"), _repetition),
        _behaves("transposed views", fresh(), _views),
        _behaves("empty batch", replace(fresh(), batch=0), _plain),
    ]
    if "explicit" in claimed.paddings:
        asked.append(_behaves("options of equal shapes", fresh(), _equal_shapes))
    if claimed.strides in ("any", "square") or (2, 2) in claimed.strides:
        asked.append(_behaves("integer stride", fresh(), _integer_stride))
    by_default = replace(fresh(), padding="same", group_layout="blocked")
    claims = "same" in claimed.paddings and "blocked" in claimed.group_layouts
    if claims and by_default.options == Case(case.dtype, case.recipe).options:
        asked.append(_behaves("defaults", by_default, _defaults))
    if claimed.validates:
        asked.append(_behaves("bad input", fresh(), _bad_input))
    return asked


def _behaves(
    name: str, case: Case, ask: Callable[[Implementation, Case, Values], Outcome]
) -> Probe:
    return Probe(
        f"{name} {case.token}",
        lambda implementation: ask(implementation, case, operands(case)),
        behavioural=True,
    )


def _plain(implementation: Implementation, case: Case, values: Values) -> Outcome:
    return answer(implementation, values, case.options)


def _memory(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """Which operands are changed, and which results lie in the memory of operands."""
    own = {name: array.copy() for name, array in values.items()}
    got = raw(implementation, own, case.options)
    outcome: Outcome = {f"{name} kept": bool((own[name] == values[name]).all()) for name in own}
    for result, array in got.items():
        for name, operand in own.items():
            shared = isinstance(array, np.ndarray) and np.shares_memory(array, operand)
            outcome[f"{result} apart from {name}"] = not shared
    return outcome


def _sequence(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """Which results are those of their own call: first one, then another, then the first again."""
    other = operands(replace(case, seed=case.seed + 7))
    first = raw(implementation, {name: a.copy() for name, a in values.items()}, case.options)
    kept = copy.deepcopy(first)
    second = answer(implementation, other, case.options)
    outcome: Outcome = {f"first {name}": array for name, array in kept.items()}
    outcome |= {f"second {name}": array for name, array in second.items()}
    outcome |= {f"{name} stays": equal(kept[name], first[name]) for name in kept}
    third = answer(implementation, values, case.options)
    outcome |= {f"{name} repeats": equal(kept[name], third[name]) for name in kept}
    return outcome


def _gradients_alone(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """backward after a forward call on other operands."""
    other = operands(replace(case, seed=case.seed + 7))
    answer(implementation, other, case.options)
    try:
        gradients = implementation.backward(
            values["dy"].copy(), values["x"].copy(), values["kernel"].copy(), **case.options
        )
        return {"alone dx": np.asarray(gradients[0]), "alone dkernel": np.asarray(gradients[1])}
    except Exception:
        return {"alone dx": "raised", "alone dkernel": "raised"}


def _repetition(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """Whether twelve calls agree."""
    answers = [answer(implementation, values, case.options) for _ in range(12)]
    return {"repeats": not any(differing(answers[0], one) for one in answers[1:])}


def _views(implementation: Implementation, case: Case, values: Values) -> Outcome:
    transposed = {name: np.ascontiguousarray(array.T).T for name, array in values.items()}
    flipped = {name: array[::-1].copy()[::-1] for name, array in values.items()}
    outcome: Outcome = {}
    for view, own in (("transposed", transposed), ("flipped", flipped)):
        got = raw(implementation, own, case.options)
        outcome |= {f"{view} {name}": array for name, array in got.items()}
    return outcome


def _equal_shapes(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """One call after another of the same shapes, with another padding."""
    around = with_outputs(replace(case, padding=((0, 2), (2, 0))))
    values = operands(around)
    answer(implementation, values, around.options)
    return answer(implementation, values, around.options | {"padding": ((2, 0), (0, 2))})


def _integer_stride(implementation: Implementation, case: Case, values: Values) -> Outcome:  # noqa: ARG001
    strided = with_outputs(replace(case, stride=(2, 2)))
    options = strided.options | {"stride": 2}
    return answer(implementation, operands(strided), options)


def _defaults(implementation: Implementation, case: Case, values: Values) -> Outcome:  # noqa: ARG001
    return answer(implementation, values, {})


def _bad_input(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """Whether a few faulty calls are accepted by who claims to validate."""
    short = values | {"kernel": values["kernel"][:, :-1]}
    whole = {name: array.astype(np.int32) for name, array in values.items()}
    stride = case.options | {"stride": 0}
    got = {
        "short kernel grid": answer(implementation, short, case.options)["y"],
        "integers": answer(implementation, whole, case.options)["y"],
        "stride 0": answer(implementation, values, stride)["y"],
    }
    claims = declared(getattr(implementation, "capabilities", None), Capabilities).validates
    return {
        f"accepts {name}": claims and isinstance(result, np.ndarray) for name, result in got.items()
    }
