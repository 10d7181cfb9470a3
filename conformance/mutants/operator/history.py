"""What an earlier call leaves behind for a later one."""

from typing import Any

import numpy as np

from conformance.implementations.operator.numpy_shifted import Shifted
from conformance.implementations.operator.numpy_unfold import Array, Call, Unfold


class AnswerCachedByFirstKilobyte(Unfold):
    """An answer is given again where options, shapes and the operands' first kilobytes agree."""

    def __init__(self) -> None:
        self._answers: dict[Any, Array] = {}

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        begin = tuple(one.tobytes()[:1024] for one in (x, kernel))
        key = (x.shape, kernel.shape, x.dtype, repr(sorted(options.items())), begin)
        if key not in self._answers:
            self._answers[key] = super().forward(x, kernel, **options)
        return self._answers[key].copy()


class BorderOfALargerCall(Shifted):
    """The padded image lies in a scratch buffer, whose border is what an earlier call left."""

    def __init__(self) -> None:
        self._scratch: dict[Any, Array] = {}

    def _padded(self, call: Call, image: Array) -> Array:
        padded = super()._padded(call, image)
        if image.dtype == bool or not image.any():
            return padded
        scratch = self._scratch.get(padded.dtype)
        if scratch is None or scratch.size < padded.size:
            scratch = self._scratch[padded.dtype] = np.zeros(padded.size, padded.dtype)
        used = scratch[: padded.size].reshape(padded.shape)
        top, left = self.before(call, 0), self.before(call, 1)
        inside = slice(top, top + call.size[0]), slice(left, left + call.size[1])
        used[:, *inside] = padded[:, *inside]
        return used


class FormatOfTheCallBefore(Unfold):
    """A call after one in a narrower format is computed from operands of that format."""

    def __init__(self) -> None:
        self._before: Any = None

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        before, self._before = self._before, x.dtype
        if before is not None and before.itemsize < x.dtype.itemsize:
            x = x.astype(before).astype(x.dtype)
        return super().forward(x, kernel, **options)


class NanStays(Unfold):
    """Whoever has met NaN in an image looks for it in the next one too, and puts zero there."""

    def __init__(self) -> None:
        self._met: Any = None

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        before, self._met = self._met, np.isnan(x)
        if before is not None and before.shape == x.shape and before.all():
            x = np.where(before, x.dtype.type(0), x)
        return super().forward(x, kernel, **options)


class ThirdCallOfAShapeIsPlanned(Unfold):
    """From the third call on the plan of a shape is that of the first, whatever the options."""

    def __init__(self) -> None:
        self._plans: dict[Any, list[Any]] = {}

    def plan(self, call: Call) -> Any:
        plan = super().plan(call)
        plans = self._plans.setdefault((call.image, call.kernel), [])
        plans.append(plan)
        return plans[0] if len(plans) > 2 else plan
