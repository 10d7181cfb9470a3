"""Calls in turn and in other processes, and what a process holds: what each check rejects."""

import pytest

import conformance
from conformance.claims.loading import Where
from conformance.judging.record import Record

# Check, fault, clause, and words of what is said.
FOUND = [
    ("values_in_turn[small]", "AnswerCachedBySum", "FWD-5", "of the same "),
    ("values_in_turn[small]", "ImageCachedByAddress", "FWD-5", "in the same memory"),
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
