"""What a verdict is worth: how many known faults the very cases of a run would have shown.

A narrow claim makes faults invisible, and so does a short run. Here known faults, and faults that
are made from a seed, are put to what a run asked. Nothing here changes a verdict.
"""

from conformance.power.figures import Generated, Power, interval
from conformance.power.measuring import measure

__all__ = ["Generated", "Power", "interval", "measure"]
