"""Calls in turn and in other processes, and what a process holds: what each check rejects."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import conformance
from conformance.cases.layer_network import FACTORS, networks
from conformance.claims.capabilities import LayerCapabilities, declared
from conformance.claims.loading import Where, load
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.judging.checks import Check
from conformance.judging.judge import Judge
from conformance.judging.record import Record
from conformance.judging.session import PROFILES, Session
from conformance.kinds import LAYER, OPERATOR
from conformance.mutants.guarded import guarded
from conformance.worker import host
from conformance.worker.memory import Operands
from conformance.worker.messages import dump_message, parse_message

# Check, fault, clause, and words of what is said.
FOUND = [
    ("values_in_turn[small]", "AnswerCachedBySum", "FWD-5", "of the same "),
    ("values_in_turn[small]", "ImageCachedByAddress", "FWD-5", "made anew"),
    ("values_in_turn[network]", "AnswerCachedByFirstKilobyte", "FWD-5", "of the same first"),
    ("calls_in_turn[small]", "FormatOfTheCallBefore", "FWD-5", "16: y differs"),
    ("calls_in_turn[network]", "NanStays", "FWD-5", "after an image of NaN: y differs"),
    ("calls_in_turn[network]", "BorderOfALargerCall", "FWD-5", "again, after"),
    ("calls_in_turn[small]", "OutputBufferReused", "FWD-5", "was overwritten by a later call"),
    ("nothing_is_kept", "ImagesKept", "FWD-7", "more of memory"),
    ("nothing_is_kept", "FilesLeftOpen", "FWD-7", "more of open files"),
    ("nothing_is_kept", "ThreadsLeftRunning", "FWD-7", "more of threads"),
    ("threads_of_the_environment", "RowsOfThreadsLost", "FWD-8", "threads in the environment: y"),
    ("forked_child", "ChildrenHaveNoThreads", "FWD-8", "in a forked child: y"),
]
FOUND_OF_LAYERS = [
    ("values_in_turn[small]", "AnswerCachedBySum", "LAY-17", "of the same"),
    ("calls_in_turn[small]", "FormatOfTheCallBefore", "LAY-17", "16: "),
    ("nothing_is_kept", "ImagesKept", "LAY-17", "more of memory"),
    ("threads_of_the_environment", "RowsOfThreadsLost", "LAY-17", "threads in the environment"),
    ("forked_child", "ChildrenHaveNoThreads", "LAY-17", "in a forked child"),
]


def record_of(name: str, check: str, *, layer: bool = False, seed: int = 3) -> Record:
    session = conformance._session(name, layer, None, None, "default", seed, None, Where())
    (chosen,) = (one for one in conformance._chosen(session, None) if one.name == check)
    record = session.run(chosen)
    session.close()
    return record


@pytest.mark.parametrize(("check", "fault", "clause", "words"), FOUND)
def test_each_check_rejects_its_fault_of_operators(
    check: str, fault: str, clause: str, words: str
) -> None:
    check_found(record_of(f"conformance.mutants:{fault}", check), clause, words)


@pytest.mark.parametrize(("check", "fault", "clause", "words"), FOUND_OF_LAYERS)
def test_each_check_rejects_its_fault_of_layers(
    check: str, fault: str, clause: str, words: str
) -> None:
    record = record_of(f"conformance.mutants.layer:{fault}", check, layer=True)
    check_found(record, clause, words)


def check_found(record: Record, clause: str, words: str) -> None:
    assert record.failures, record.reason
    for failure in record.failures:
        # Of state and of processes, not of values or of geometry.
        assert failure.clauses == (clause,)
        assert "--case" not in failure.replay
    assert any(words in one.words for one in record.failures), record.failures[0].words


def test_an_object_is_not_asked_for_other_processes_and_that_is_said() -> None:
    report = conformance.check(Unfold, clauses=["FWD-8"], profile="ci")
    (record,) = (one for one in report.records if one.check == "threads_of_the_environment")
    assert record.outcome == "not claimed"
    assert record.reason == "not asked in the judge's own process: there is no other"
    said = " ".join(str(report).split())
    assert "not asked threads_of_the_environment (in the judge's own process: there" in said


def test_calls_at_once_let_others_come_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """At almost every step of a short call, and in each 70 steps of a long one."""
    slept: list[int] = []
    step = 0
    monkeypatch.setattr(host.time, "sleep", lambda _: slept.append(step))
    give_way = host._giving_way(3)
    for step in range(20_000):  # noqa: B007  (read by what stands in for sleep)
        give_way()
    assert [one for one in slept if one < 40] == [2, 9, 16, 23, 30, 37]
    assert max(later - one for one, later in itertools.pairwise(slept)) == 70
    assert len(slept) < 500


DIES = """
import os
from conformance.implementations.operator.numpy_unfold import Unfold

class Dies(Unfold):
    owner = os.getpid()

    def y(self, call, x, kernel):
        return super().y(call, x, kernel) if os.getpid() == self.owner else os.abort()
"""


def test_a_forked_child_that_is_right_and_one_that_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = "conformance.implementations.operator.numpy_unfold:Unfold"
    assert record_of(right, "forked_child").outcome == "passed"
    (tmp_path / "dies.py").write_text(DIES)
    monkeypatch.syspath_prepend(tmp_path)
    record = record_of("dies:Dies", "forked_child")
    assert [one.clause for one in record.failures] == ["FWD-8"]
    assert "ChildError: the forked child was killed by SIGABRT" in record.failures[0].words


def test_a_fault_of_state_is_none_of_geometry() -> None:
    """Whatever check meets it: border pixels that a larger call left."""
    name = "conformance.mutants:BorderOfALargerCall"
    report = conformance.check(name, clauses=["GEO-7", "GEO-8"], diagnosis=False, seed=1)
    assert {one.clauses for one in report.failures} == {("FWD-5",)}
    assert "right on an implementation made anew" in report.failures[0].words


def test_no_check_passes_by_having_judged_nothing() -> None:
    session = Session(load(Unfold, OPERATOR), PROFILES["ci"])

    def nothing(_: Judge) -> None:
        """Ask nothing."""

    record = session.run(Check("nothing", ("FWD-1",), nothing, {}, drawn=False))
    assert (record.outcome, record.reason) == ("not run", "it judged nothing")


@pytest.mark.parametrize("seed", [0, 7])
def test_each_two_choices_of_a_layer_meet(seed: int) -> None:
    cases = networks(LayerCapabilities(), seed)
    assert 480 < len(cases) < 640
    options = ("kernel_order", "reduce_bias", "expand_bias", "pooling", "normalise", "epsilon")
    for one, other in itertools.combinations((*options, "group_layout"), 2):
        met = {(getattr(c.config, one), getattr(c.config, other)) for c in cases}
        assert len(met) == len(FACTORS[one]) * len(FACTORS[other]), (one, other)
    assert not any(LAYER.unclaimed(case, LayerCapabilities()) for case in cases)


def test_choices_that_a_layer_does_not_claim() -> None:
    claims = {"training": False, "optional_normalisation": False, "kernel_shapes": [(3, 3)]}
    claimed = declared(claims, LayerCapabilities)
    cases = networks(claimed, 0)
    assert len(cases) > 60
    assert not any(case.training or not case.config.normalise for case in cases)
    assert "not training, optional_normalisation" in claimed.scope


def test_guarded_layers_are_the_same_for_a_seed() -> None:
    one, other = (guarded(3, 4, layer=True) for _ in range(2))
    assert [a.words for a in one] == [b.words for b in other]
    assert len({a.words for a in one}) == 4


def test_operands_lie_where_they_lay_whatever_was_called_between() -> None:
    """Forward has no dy: after backward it once got memory of its own, and luck decided."""
    operands = Operands()
    names = ("dy", "x", "kernel")
    values = {name: np.arange(6.0) for name in names}
    forward = {name: values[name] for name in names[1:]}
    addresses = []
    for given in (forward, values, forward, values):
        operands.place({name: one + 1 for name, one in given.items()}, {}, again=True)
        assert set(operands.arrays) == set(given)
        assert not operands.changed()
        addresses.append({name: operands.arrays[name].ctypes.data for name in names[1:]})
    assert all(one == addresses[0] for one in addresses)
    assert np.array_equal(operands.arrays["x"], np.arange(1.0, 7))


def test_tensors_of_a_message_come_in_one_order() -> None:
    """The library lists them in another order each time: parameters were another mapping."""
    sent = {f"parameter_{n}": np.zeros(n + 1, np.float32) for n in range(9)}
    orders = {tuple(parse_message(dump_message({}, sent))[1]) for _ in range(20)}
    assert len(orders) == 1
