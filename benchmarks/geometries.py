"""Odd geometries: strides, dilations, small and large kernels, few and many groups, tiny images.

Gives their operands, and times the oracle and our operator on them beside the published
formulation. That knows the interleaved layout alone, so that all have it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.interleaved import Times, in_turn
from benchmarks.operators import PASSES
from benchmarks.rivals import ORACLE, RIVALS, Rival, check
from benchmarks.workloads import LARGEST, WORKLOADS, Operands
from refimpl import geometry

LAYOUT = "interleaved"
PUBLISHED, OURS = "published-graph", ("oracle", "operator-graph", "operator-xla")


class Problem(NamedTuple):
    """What is timed: x of (batch, size, size, channels), and the rest of a call."""

    name: str
    batch: int
    size: int
    channels: int
    groups: int
    taps: tuple[int, int]
    options: dict[str, Any]

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Give the shapes of x, of the kernel and of dy."""
        side, o = (self.size, self.size), self.options
        pair = {name: (o.get(name, 1),) * 2 for name in ("stride", "dilation")}
        padding = o.get("padding", "same")
        axes = geometry.axes(side, self.taps, pair["stride"], pair["dilation"], padding)
        grid = (self.batch, axes[0].outputs, axes[1].outputs)
        x, dy = (self.batch, *side, self.channels), (*grid, self.channels)
        return x, (*grid, *self.taps, self.groups), dy

    def integers(self) -> Operands:
        """Draw integers, the same ones every time, whose sums are exact in float32 (NUM-1)."""
        random = np.random.default_rng(2021)
        drawn = (
            random.integers(-LARGEST, LARGEST, shape, endpoint=True) for shape in self.shapes()
        )
        return Operands(*(one.astype(np.float32) for one in drawn))


def workloads() -> list[Problem]:
    """The workloads of the benchmarks."""
    return [
        Problem(str(one), one.batch, one.size, one.channels, one.groups, (one.taps,) * 2, {})
        for one in WORKLOADS
    ]


def odd() -> list[Problem]:
    """Strides, dilations, kernels from 1 to 11, one group and as many as channels, both layouts."""
    changes: list[tuple[str, int, int, int, dict[str, Any]]] = [
        *((f"stride {s}, {c} channels", 7, c, 4, {"stride": s}) for s in (2, 3) for c in (16, 64)),
        *(
            (f"dilation {d}, {c} channels", 3, c, 4, {"dilation": d})
            for d in (2, 5)
            for c in (16, 64)
        ),
        *((f"kernel {k}, {c} channels", k, c, 4, {}) for k in (1, 3, 11) for c in (16, 64)),
        *((f"G = 1, {c} channels", 7, c, 1, {}) for c in (1, 3, 8, 20, 64)),
        *((f"G = C = {c}", 7, c, c, {}) for c in (8, 64)),
        *((f"interleaved, {c} channels", 7, c, 4, {"group_layout": LAYOUT}) for c in (16, 64)),
        ("valid, stride 2, dilation 2", 3, 32, 4, {"stride": 2, "dilation": 2, "padding": "valid"}),
    ]
    large = [Problem(name, 4, 28, c, g, (k, k), options) for name, k, c, g, options in changes]
    tiny = [
        Problem(f"{size} x {size}, M = {m}", 64, size, 8 * m, 8, (3, 3), {})
        for size in (1, 2, 4)
        for m in (1, 4, 16)
    ]
    return large + tiny


def measure(rounds: int) -> dict[str, dict[str, dict[str, Times]]]:
    """Time `OURS` and the published formulation on each, in turn.

    Returns
    -------
    dict
        By problem and by pass the rounds of each, by name.
    """
    named = {rival.name: rival for rival in (ORACLE, *RIVALS["tensorflow"])}
    rivals = [named[name] for name in (*OURS, PUBLISHED) if name in named]
    return {
        problem.name: {
            passes: in_turn(dict(_right(rivals, problem, backward)), rounds)
            for passes, backward in PASSES.items()
        }
        for problem in odd()
    }


def _right(rivals: Sequence[Rival], problem: Problem, backward: bool) -> Iterator[tuple[str, Any]]:
    operands, options = problem.integers(), problem.options | {"group_layout": LAYOUT}
    for rival in rivals:
        call = rival.call(operands, backward=backward, device="CPU:0", **options)
        check(rival, operands, call(), **options)
        yield rival.name, call
