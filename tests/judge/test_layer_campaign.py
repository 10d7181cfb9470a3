"""A small campaign in every run: correct layers, written or rounded in other ways, all conform."""

import pytest

from tests.surveys.layer_campaign import Campaign, layers


@pytest.mark.clause("LAY-16")
@pytest.mark.parametrize("judged", layers(keras=False), ids=lambda judged: judged.name)
def test_correct_layers_conform(judged) -> None:
    campaign = Campaign(judged, examples=2, seed=1)
    campaign.run()
    assert campaign.cases >= 100
    # A refused layer raises; how near its results came to their bounds is no matter of luck.
    assert all(worst <= 1 for worst in campaign.worst.values())
