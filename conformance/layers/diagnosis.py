"""Names the fault that a failing layer has."""

from conformance.diagnosis import Diagnosis
from conformance.implementation import Judged


def diagnose_layer(judged: Judged) -> Diagnosis:
    """Compare a failing layer with every known fault."""
    raise NotImplementedError
