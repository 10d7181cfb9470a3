"""The campaign against false alarms, in small; and that an alarm would be seen."""

import pytest

from conformance.claims.loading import load
from conformance.kinds import LAYER, OPERATOR
from tests.opponents.right_operators import Terms
from tests.surveys import campaign


@pytest.mark.clause("LAY-16")
@pytest.mark.parametrize("kind", [OPERATOR, LAYER], ids=lambda kind: kind.name)
def test_no_false_alarm(kind) -> None:
    count = campaign.run(kind, 3_000, 1, campaign.right(kind, shipped=kind is OPERATOR))
    assert count.alarms == []
    assert count.judged.total() >= 2_400
    assert len(count.judged) >= 7
    # The bounds are not vacuous: some case comes near its own.
    assert max(count.worst.values()) > 0.85


class Off(Terms):
    """A percent too much."""

    def rounded(self, total, dtype):
        return super().rounded(total * 1.01, dtype)


def test_an_alarm_is_counted() -> None:
    assert campaign.run(OPERATOR, 36, 1, [load(Off, OPERATOR)]).alarms
