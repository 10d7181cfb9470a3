"""The campaign against false alarms, in small; and that an alarm would be seen."""

import pytest

from conformance.kinds import LAYER, OPERATOR
from tests.surveys import campaign


@pytest.mark.clause("LAY-16")
@pytest.mark.parametrize("kind", [OPERATOR, LAYER], ids=lambda kind: kind.name)
def test_no_false_alarm(kind, tmp_path) -> None:
    names = campaign.right(kind, shipped=kind is OPERATOR)
    report = campaign.run(kind, 2_000, 1, names, tmp_path)
    assert report["failures"] == []
    assert report["verdict"] == "nothing found"
    assert sum(report["judged"].values()) >= 1_600
    assert len(report["judged"]) >= 7
    # The bounds are not vacuous: some case comes near its own.
    assert max(report["worst"].values()) > 0.85
    assert campaign.table(report)


def test_mutants_are_found_by_the_same_command(tmp_path) -> None:
    names = [
        "conformance.mutants:KernelFlipped",
        "conformance.implementations.operator.numpy_unfold",
    ]
    found = campaign.found_by(OPERATOR, 12, 3, names, tmp_path)
    assert list(found) == names[:1]
    number, clause = found[names[0]]
    assert 1 <= number <= 12
    assert clause
    assert campaign.kills(found, names, 12)[0].startswith("1 of 2 mutants are found among 12 drawn")
    assert set(campaign.wrong(OPERATOR)) > {names[0]}


def test_an_alarm_is_counted(tmp_path) -> None:
    report = campaign.run(
        OPERATOR, 36, 1, ["tests.opponents.wrong_operators:PercentTooMuch"], tmp_path
    )
    assert report["failures"]
    assert report["verdict"] == "fails"
