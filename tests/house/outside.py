"""What a type checker sees of the installed packages; ``.ci/run`` asks mypy. It is never run.

Each ``type: ignore`` is a mistake that must be seen: mypy is told to complain of those that are not
needed.
"""

import numpy as np

import conformance
from conformance import adapt
from refimpl import involution, layer
from refimpl.geometry import Axis

x = np.ones((1, 4, 4, 2))
kernel = np.ones((1, 2, 2, 3, 3, 1))
y = involution.forward(x, kernel, stride=2, padding=((1, 1), (1, 1)))
dx, dkernel = involution.backward(y, x, kernel, stride=2)
shape: tuple[int, ...] = (dx + 1).shape + dkernel.shape
config: layer.Config = layer.official(16, kernel_size=3)
outputs: int = Axis(size=7, taps=3, stride=2, dilation=1, before=1, after=1).outputs
form = adapt.Form(x="b c h w", kernel="b g (u v) h w", passes={})
report = conformance.check(involution, clauses=["GRP"], seed=0)
conforms: bool = report.conforms
words: list[str] = [failure.words for failure in report.failures]
names: list[str] = [one.name for one in conformance.checks(involution)]

involution.forward(x, kernel, strides=2)  # type: ignore[call-arg]
layer.official(16, kernel_size="3")  # type: ignore[arg-type]
print(report.verdicts)  # type: ignore[attr-defined]
print(y.channels)  # type: ignore[attr-defined]
