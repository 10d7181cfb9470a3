"""Hypothesis profiles of the repository's own tests."""

import os

import numba.core.config
import pytest
from hypothesis import HealthCheck, Phase, settings

from conformance.diagnosis import asking
from conformance.judging import session
from conformance.reporting import report

# A fault of ours in explaining is to be seen here, and not to be reported politely.
report.HARMLESS = ()

# Two processes test at once, and a third is judged: more threads of PyTorch wait for each other and
# use the processors meanwhile (54 seconds of them for one layer, and 31 with one thread). What
# several threads change is asked by the judge, which sets their number itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Without the compiler the loops run as Python, some hundred times slower: a smaller sample.
_EXAMPLES = 8 if numba.core.config.DISABLE_JIT else 60

settings.register_profile(
    "repository",
    max_examples=_EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repository")
# The survey of mutations asks only whether a test fails: no counterexample is made small.
settings.register_profile("mutation", phases=[Phase.explicit, Phase.generate])


@pytest.fixture(autouse=True)
def _asks_the_same_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test asks the same cases in every run; other ones are for tests/surveys."""
    monkeypatch.setattr(session, "fresh_seed", lambda: 1)


@pytest.fixture(autouse=True)
def _explains_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not about explanations spends little time on them; who is says how long."""
    monkeypatch.setattr(asking, "SECONDS", {"operator": 1.0, "layer": 1.0})
