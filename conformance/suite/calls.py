"""A call depends on its operands and on nothing else, and touches nothing else.

For every kind: chapter FWD asks it of the operator, chapter LAY of the layer.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from conformance.cases.case import Array
from conformance.cases.geometries import DILATIONS, pairs
from conformance.cases.views import VIEWS
from conformance.claims.formats import FORMATS
from conformance.judging.checks import check
from conformance.judging.judge import Judge
from conformance.judging.scope import NotClaimedError
from conformance.worker.pages import PLACES


@check("FWD-7", "LAY-17", "GRD-11")
def process_is_left_alone(judge: Judge, draw: Any) -> None:
    """A call changes nothing of the process, but for a first one that loads what it needs."""
    case = draw(judge.cases(recipe="normal"))
    for mode in judge.kind.modes(judge.claimed):
        judge.run(case.changed(**mode))
        judge.left.clear()
        judge.run(case.changed(**mode))
        changed = ", ".join(dict.fromkeys(judge.left))
        judge.expect(case, not changed, f"a call changed {changed}")


# Calls in one stretch, and numbers of stretches: what grows in both of the last two is kept.
_CALLS, _STRETCHES = 10, 3


@check("FWD-7", "LAY-17", "GRD-11")
def nothing_is_kept(judge: Judge) -> None:
    """From stretch to stretch of calls the process holds no more memory, files or threads.

    Memory is kept where it grows by half as much as it would if the smallest operand were kept of
    each call: less is what allocators and caches of plans may do, a bounded cache stops growing.
    """
    batch = {"batch": 1} if judge.further else {}
    case = judge.enlarged(judge.plain(members=4, **batch), (31, 32))
    for mode in judge.kind.modes(judge.claimed):
        one, held = case.changed(**mode), list[dict[str, int]]()
        for turn in range(_CALLS * _STRETCHES):
            # Other values in each call: who keeps answers by their values keeps them all.
            values = judge.values(one.changed(seed=turn))
            judge.run(one, values, counted=(turn + 1) % _CALLS == 0)
            if judge.held:
                held.append(judge.held)
        if not held:
            raise NotClaimedError("not asked: it cannot count what it holds")
        image = min(values[name].nbytes for name in ("x", "dy"))
        for name in held[0]:
            enough = _CALLS * (image // 2 if name == "memory" else 1)
            first, second, third = (counts[name] for counts in held)
            grown = min(second - first, third - second)
            unit = " bytes" if name == "memory" else ""
            words = f"{_CALLS} calls leave {grown:,}{unit} more of {name}, and {_CALLS} more again"
            judge.expect(one, grown < enough, words)


@check("FWD-5", "LAY-17", "GRD-11", dtype=FORMATS)
def memory_is_left_alone(judge: Judge, draw: Any, dtype: str) -> None:
    """Operands keep their bits, and results have memory of their own."""
    judge.claim_flag("memory")
    case = draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0], recipe="normal"))
    for mode in judge.kind.modes(judge.claimed):
        judge.run(case.changed(**mode))
        judge.count()


@check("FWD-5", "LAY-17", "GRD-11", page=PLACES)
def pages(judge: Judge, draw: Any, page: str) -> None:
    """Operands end at memory that nobody may touch, begin at such, or cannot be written at all."""
    judge.claim_flag("memory")
    judge.claim_isolation("the processor would stop it")
    case = draw(judge.cases())
    judge.check(case)
    judge.check(case, page=page, blame=judge.record.clauses[:1])


@check("FWD-5", "LAY-17", "GRD-11")
def calls_leave_no_trace(judge: Judge, draw: Any) -> None:
    """First results stay; and the call gives the same bits again after others, if so claimed."""
    dtypes = st.sampled_from(judge.claimed.dtypes)
    case, other = (draw(judge.cases(dtype=draw(dtypes), recipe="normal")) for _ in range(2))
    for mode in judge.kind.modes(judge.claimed):
        _leaves_no_trace(judge, case.changed(**mode), other)


def _leaves_no_trace(judge: Judge, case: Any, other: Any) -> None:
    __tracebackhide__ = True
    values = judge.values(case)
    judge.overwritten.clear()
    kept = _bits(judge.run(case, values))
    # The same shapes with other values, more often than buffers are many; then other cases.
    for seed in range(1, 5):
        judge.run(case, judge.values(case.changed(seed=case.seed + seed)))
    for mode in judge.kind.modes(judge.claimed):
        judge.run(other.changed(**mode))
    # Before the repeated call, which would put into a reused buffer what was there.
    changed = ", ".join(dict.fromkeys(judge.overwritten))
    judge.expect(case, not changed, f"{changed} was overwritten by a later call")
    # What is unusual leaves no trace either: NaN of the same shapes, and no samples.
    judge.run(case, values | {"x": np.full_like(values["x"], np.nan)})
    if judge.claimed.empty_batch and not getattr(case, "training", False):
        judge.run(case.changed(batch=0))
    again = _bits(judge.run(case, values))
    if not judge.claimed.deterministic:
        return
    varying = [name for name in kept if again[name] != kept[name]]
    judge.expect(case, not varying, f"{', '.join(varying)} differs when the call is repeated")


def _bits(results: Mapping[str, Array]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in results.items()}


@check("FWD-5", "LAY-17", "GRD-11")
def operands_are_read_to_the_last_bit(judge: Judge, draw: Any) -> None:
    """Operands that agree in half precision, and differ beyond it, are other operands."""
    wide = [name for name in ("float32", "float64") if name in judge.claimed.dtypes]
    if not wide or any(name in (judge.claimed.multiplier or {}) for name in wide):
        raise NotClaimedError("not claimed: dtypes wider than what is multiplied")
    case = draw(judge.cases(dtype=draw(st.sampled_from(wide)), recipe="normal"))
    values = judge.values(case)
    for name in ("x", "dy"):
        values[name] = values[name].astype(np.float16).astype(values[name].dtype)
    # No more than a quarter of a unit in the last place of float16.
    near = {name: values[name] * values[name].dtype.type(1 + 2.0**-13) for name in ("x", "dy")}
    judge.check(case, values=values)
    judge.check(case, values=values | near, again=True, blame=judge.record.clauses[:1])


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
            judge.check(judge.enlarged(case, spare), blame=blame)


@check("FWD-6", "LAY-17", "GRD-11", view=VIEWS)
def views(judge: Judge, draw: Any, view: Callable[[Array], Array]) -> None:
    """Views give what their C-contiguous copies give: one operand at a time, and all."""
    judge.claim_flag("memory")
    case = draw(judge.cases())
    values = judge.values(case)
    for chosen in judge.kind.operands_of(values):
        seen = values | {name: view(values[name]) for name in chosen}
        copies = {name: np.array(array, order="C") for name, array in seen.items()}
        judge.check(case, values=copies)
        judge.check(case, values=seen, blame=judge.record.clauses[:1])
