"""``python .ci/skips.py REPORT.xml NUMBER [REASON ...]``: so many were skipped for want of a GPU.

What CI skips is not known to work: nothing but a missing GPU is a reason there, and what is given:
what our own implementations do not claim.
"""

import sys
from xml.etree import ElementTree

path, number, *granted = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
reasons = [skip.get("message", "") for skip in ElementTree.parse(path).iter("skipped")]
for_want = sum("GPU" in reason for reason in reasons)
others = {reason for reason in reasons if "GPU" not in reason} - set(granted)
print(
    f"{len(reasons)} skipped; for want of a GPU {for_want}, {number} expected; "
    f"for other reasons: {sorted(others) or 'none'}"
)
sys.exit(for_want != number or bool(others))
