"""What ``pytest conformance`` collects: every check of everything that is judged.

The checks themselves stand in the modules beside this one; `conformance/conftest.py` says what is
judged.
"""

from typing import Any

import pytest

from conformance.judging.failing import ConformanceError
from conformance.judging.scope import NotClaimedError


def test_conformance(asked: Any, record_of: Any, request: pytest.FixtureRequest) -> None:
    """Run one check of one implementation, and hand on what came of it."""
    __tracebackhide__ = True
    record = record_of(*asked)
    # As `record_property` would, which is refused beside --junitxml: a warning, and so an error.
    request.node.user_properties.append(("conformance", record.dump()))
    if record.failures:
        raise ConformanceError(record.failures)
    if record.outcome != "passed":
        raise NotClaimedError(record.reason)
