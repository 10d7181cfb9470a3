"""The checks, a module for each chapter; importing this notes them all, in the order they are run.

What decides most comes first: the certificate and what else is exact. Long lists come last, and
take what time is left.
"""

# isort: off
from conformance.suite import (  # noqa: F401
    geometry,
    groups,
    forward,
    gradients,
    second,
    layer,
    layer_fixed,
    sizes,
    calls,
    sequences,
    processes,
    precision,
    special,
    errors,
    networks,
    full_size,
    again,
)
