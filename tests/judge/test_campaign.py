"""The campaign against false alarms, in small; and that an alarm would be seen."""

import pytest

from tests.opponents.right_operators import Terms
from tests.surveys import campaign


def test_no_false_alarm() -> None:
    count = campaign.run(3_000, seed=1)
    assert count.alarms == []
    assert sum(count.judged.values()) >= 2_500
    assert len(count.judged) >= 8
    assert max(count.worst.values()) > 0.9


def test_an_alarm_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Off(Terms):
        def rounded(self, total, dtype):
            return super().rounded(total * 1.01, dtype)

    monkeypatch.setattr(campaign, "RIGHT", {"Off": Off})
    assert campaign.run(20, seed=1).alarms
