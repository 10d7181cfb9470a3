"""A call depends on its operands and on nothing else, and touches nothing else.

For every kind: chapter FWD asks it of the operator, chapter LAY of the layer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from conformance.cases.case import Array
from conformance.cases.geometries import DILATIONS, pairs
from conformance.cases.views import VIEWS
from conformance.claims.formats import FORMATS
from conformance.judging.checks import check
from conformance.judging.judge import Judge


@check("FWD-5", "LAY-17", dtype=FORMATS)
def memory_is_left_alone(judge: Judge, draw: Any, dtype: str) -> None:
    """Operands keep their bits, and results have memory of their own."""
    judge.claim_flag("memory")
    case = draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0], recipe="normal"))
    for mode in judge.kind.modes(judge.claimed):
        judge.run(case.changed(**mode))
        judge.record.count(judge.record.clauses)


@check("FWD-5", "LAY-17")
def calls_leave_no_trace(judge: Judge, draw: Any) -> None:
    """First results stay; and the call gives the same bits again after others, if so claimed."""
    dtypes = st.sampled_from(judge.claimed.dtypes)
    case, other = (draw(judge.cases(dtype=draw(dtypes), recipe="normal")) for _ in range(2))
    for mode in judge.kind.modes(judge.claimed):
        _leaves_no_trace(judge, case.changed(**mode), other)


def _leaves_no_trace(judge: Judge, case: Any, other: Any) -> None:
    __tracebackhide__ = True
    values = judge.values(case)
    first = judge.run(case, values)
    kept = _bits(first)
    # The same shapes with other values, then other cases in every mode.
    judge.run(case, judge.values(case.changed(seed=case.seed + 1)))
    # Before the repeated call, which would put into a reused buffer what was there.
    now = _bits(first)
    changed = [name for name in kept if now[name] != kept[name]]
    judge.expect(case, not changed, f"{', '.join(changed)} was overwritten by a later call")
    for mode in judge.kind.modes(judge.claimed):
        judge.run(other.changed(**mode))
    # What is unusual leaves no trace either: NaN of the same shapes, and no samples.
    judge.run(case, values | {"x": np.full_like(values["x"], np.nan)})
    if judge.claimed.empty_batch and not getattr(case, "training", False):
        judge.run(case.changed(batch=0))
    again = _bits(judge.run(case, values))
    if not judge.claimed.deterministic:
        return
    varying = [name for name in kept if again[name] != kept[name]]
    judge.expect(case, not varying, f"{', '.join(varying)} differs when the call is repeated")


def _bits(results: dict[str, Array]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in results.items()}


@check("FWD-5", "LAY-17")
def backward_needs_no_forward(judge: Judge, draw: Any) -> None:
    """The gradients are those of the operands given, whatever forward saw last."""
    case = draw(judge.cases())
    values, other = (judge.values(case.changed(seed=case.seed + n)) for n in (0, 1))
    judge.check(case, values=values, functions=("backward",))
    for mode in judge.kind.modes(judge.claimed):
        judge.run(case.changed(**mode), other, functions=("forward",))
        judge.check(case, values=values, functions=("backward",), blame=judge.record.clauses[:1])


@check("FWD-5")
def shapes_do_not_tell_the_options(judge: Judge) -> None:
    """Calls of the same shapes with other options, one after the other."""
    claimed, case = judge.claimed, judge.plain()
    again = [case, *(case.changed(group_layout=name) for name in claimed.group_layouts)]
    again += [case.changed(padding=sides) for sides in (((1, 0), (2, 0)), ((0, 1), (0, 2)))]
    again += [case.changed(dilation=pair) for pair in pairs(DILATIONS, claimed.dilations)]
    for one in judge.claimed_of([*again, case]):
        judge.check(one)


@check("LAY-17")
def sizes_in_turn(judge: Judge) -> None:
    """One layer, image after image: of one pixel, larger, smaller, ragged, the first again."""
    blame = judge.record.clauses[:1]
    between = ((6, 3),) if judge.claimed.compiles else ((6, 3), (11, 2))
    for mode in judge.kind.modes(judge.claimed):
        case = judge.plain(stride=(2, 2), kernel_size=(2, 2), **mode)
        for spare in ((0, 0), *between, (0, 0)):
            judge.check(judge.kind.enlarged(case, spare), blame=blame)


@check("FWD-6", "LAY-17", view=VIEWS)
def views(judge: Judge, draw: Any, view: Callable[[Array], Array]) -> None:
    """Views give what their C-contiguous copies give: one operand at a time, and all."""
    judge.claim_flag("memory")
    case = draw(judge.cases())
    values = judge.values(case)
    for chosen in judge.kind.operands_of(values):
        seen = values | {name: view(values[name]) for name in chosen}
        judge.check(case, values={name: np.array(array) for name, array in seen.items()})
        judge.check(case, values=seen, blame=judge.record.clauses[:1])
