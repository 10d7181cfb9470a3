"""A judge that compares one answer while it asks for the next loses nothing of either."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from conformance.claims.loading import load
from conformance.implementations.operator.numpy_unfold import Array, Unfold
from conformance.judging.ask import NotRunError
from conformance.judging.checks import Check
from conformance.judging.failing import ConformanceError
from conformance.judging.judge import Judge
from conformance.judging.record import Record
from conformance.judging.session import PROFILES, Session
from conformance.kinds import OPERATOR


class SecondIsOff(Unfold):
    """Wrong in its second call of forward, and in no other."""

    def __init__(self) -> None:
        self.calls = 0

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        self.calls += 1
        return super().forward(x, kernel, **options) + (self.calls == 2)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as one:
        yield one


def judging(pool: ThreadPoolExecutor | None) -> tuple[SecondIsOff, Judge]:
    off = SecondIsOff()
    judged = load(off, OPERATOR)
    return off, Judge(judged, Record("it", "it", ("FWD-1",)), beside=pool)


def test_what_is_wrong_is_raised_once_the_next_was_asked(pool: ThreadPoolExecutor) -> None:
    off, judge = judging(pool)
    case = judge.plain()
    for _ in range(2):
        judge.check(case, ("y",))
    assert off.calls == 2
    assert not judge.record.failures
    with pytest.raises(ConformanceError):
        judge.check(case, ("y",))
    # The third, and the second again: is it right where nothing was asked before?
    assert off.calls == 4
    # Of the third nothing was compared: the check is over.
    judge.settle()
    assert len(judge.record.failures) == 1


def test_results_are_given_to_nobody_before_they_are_right(pool: ThreadPoolExecutor) -> None:
    _, judge = judging(pool)
    first = judge.check(judge.plain(), ("y",))
    assert set(first) == {"y"}
    second = judge.check(judge.plain(), ("y",))
    with pytest.raises(ConformanceError):
        second["y"]


def test_without_a_pool_it_is_raised_at_once() -> None:
    _, judge = judging(None)
    judge.check(judge.plain(), ("y",))
    with pytest.raises(ConformanceError):
        judge.check(judge.plain(), ("y",))


@pytest.mark.parametrize("demand", ["run", "expect", "refuses"])
def test_no_other_demand_comes_before_a_comparison_has_ended(
    demand: str, pool: ThreadPoolExecutor
) -> None:
    _, judge = judging(pool)
    case = judge.plain()
    for _ in range(2):
        judge.check(case, ("y",))
    operands, options = judge.kind.arguments("forward", case, judge.values(case))
    asked = {
        "run": lambda: judge.run(case),
        "expect": lambda: judge.expect(case, True, "it"),
        "refuses": lambda: judge.refuses(case, "forward", operands, options),
    }
    with pytest.raises(ConformanceError):
        asked[demand]()


def wrong_and_then(what: Any) -> Check:
    """A check whose second case is wrong, and which then comes to an end of another kind."""

    def function(judge: Judge) -> None:
        for _ in range(2):
            judge.check(judge.plain(), ("y",))
        what()

    return Check("it", ("FWD-1",), function, {}, drawn=False)


def _not_run() -> None:
    raise NotRunError("no time")


@pytest.mark.parametrize("what", [_not_run, lambda: None])
def test_the_last_answer_is_compared_however_a_check_ends(
    what: Any, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "_beside", lambda _: pool)
    session = Session(load(SecondIsOff(), OPERATOR), PROFILES["quick"])
    record = session.run(wrong_and_then(what))
    assert record.outcome == "failed"
    assert record.failures[0].result == "y"


def test_answers_are_compared_in_a_thread_of_their_own(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, judge = judging(pool)
    seen = []
    expected = judge.kind.expected

    def noted(*arguments: Any) -> Any:
        seen.append(threading.current_thread())
        return expected(*arguments)

    monkeypatch.setattr(type(judge.kind), "expected", lambda _, *rest: noted(*rest))
    assert judge.check(judge.plain(), ("y",))
    assert seen
    assert threading.main_thread() not in seen


def test_operands_are_made_ahead_and_are_those_of_their_case(pool: ThreadPoolExecutor) -> None:
    _, judge = judging(pool)
    listed = [judge.plain(seed=seed) for seed in (1, 2, 3, 2)]
    for case in judge.as_time_allows(listed):
        got, due = judge.values(case), judge.kind.values(case, judge.kind.bits(case, judge.claimed))
        assert all(np.array_equal(got[name], due[name]) for name in due)
        # Asked once more, they are made anew: who changed them changed none of these.
        assert judge.values(case)["x"] is not got["x"]
