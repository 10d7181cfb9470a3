"""``python .ci/skips.py REPORT.xml NUMBER``: so many tests were skipped, for want of a GPU.

What CI skips is not known to work: nothing but a missing GPU is a reason there.
"""

import sys
from xml.etree import ElementTree

path, number = sys.argv[1], int(sys.argv[2])
reasons = [skip.get("message", "") for skip in ElementTree.parse(path).iter("skipped")]
others = sorted({reason for reason in reasons if "GPU" not in reason})
print(
    f"{len(reasons)} skipped, {number} expected; for other reasons than a GPU: {others or 'none'}"
)
sys.exit(len(reasons) != number or bool(others))
