"""The checks, a module for each chapter; importing this notes them all, in the order they are run.

What decides most in the least time comes first: the certificate and what else is exact, sizes, then
every format with its rounding and its special values. Long lists come last, and take what time is
left.
"""

# isort: off
from conformance.suite import (  # noqa: F401
    geometry,
    groups,
    forward,
    gradients,
    second,
    layer,
    sizes,
    precision,
    special,
    errors,
    layer_fixed,
    calls,
    sequences,
    processes,
    networks,
    full_size,
    again,
)
