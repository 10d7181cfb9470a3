"""What is asked of a failing layer: few cases on which every known fault shows."""

from typing import Any

from conformance.cases.layer import LayerCase, conventional, unclaimed, with_pixels
from conformance.claims.capabilities import LayerCapabilities
from conformance.diagnosis import manners
from conformance.diagnosis.answers import Probe

_OFFICIAL: dict[str, Any] = {
    "group_layout": "blocked", "kernel_order": "group_major", "reduce_bias": False,
    "epsilon": 1e-5, "momentum": 0.9, "unbiased_moving_variance": True, "padding": 1,
}  # fmt: skip


def probes(claimed: LayerCapabilities, failing: LayerCase | None = None) -> list[Probe]:
    """List what is asked of who claims this; a case that it fails comes first."""
    dtype = claimed.first_dtype
    plain = LayerCase(dtype, "normal").changed(reduced_channels=3)
    asked = [Probe(_fitted(with_pixels(case, (4, 6)), claimed)) for case in _cases(dtype)]
    narrow = [name for name in ("float16", "bfloat16") if name in claimed.dtypes and name != dtype]
    for name in narrow:
        large = with_pixels(plain.changed(dtype=name, training=True), (28, 40))
        asked.append(Probe(_fitted(large, claimed)))
    called = plain.changed(training=claimed.training)
    asked += [
        # Each of another width, so that what one leaves behind does not touch the next.
        Probe(_fitted(with_pixels(called, (2, width)), claimed), manner, behavioural=True)
        for width, manner in enumerate(
            (
                manners.memory, manners.repeated, manners.kept, manners.after_another,
                manners.in_the_same_memory, manners.after_a_forward, manners.after_other_sizes,
                manners.on_views, manners.on_reversed_views,
            )
        )
    ]  # fmt: skip
    empty = _fitted(with_pixels(plain, (3, 7)), claimed).changed(batch=0)
    asked.append(Probe(empty, behavioural=True))
    if failing is not None:
        asked.insert(0, Probe(failing))
    return [one for one in asked if not unclaimed(one.case, claimed)]


def _fitted(case: LayerCase, claimed: LayerCapabilities) -> LayerCase:
    """Give a case in the first convention, on the least size from its own that fits."""
    case = conventional(case, claimed.conventions[0])
    return with_pixels(case, (case.height - 1, case.width - 1))


def _cases(dtype: str) -> list[LayerCase]:
    def case(recipe: str, **changes: Any) -> LayerCase:
        return LayerCase(dtype, recipe).changed(**changes)

    def official(recipe: str, **changes: Any) -> LayerCase:
        return case(recipe, **_OFFICIAL | changes)

    return [
        # Without the bias ReLU meets zeros.
        case("integers", normalise=False, reduce_bias=False, kernel_size=(2, 3)),
        case("integers", normalise=False, stride=(2, 2), kernel_order="group_major"),
        case("integers", normalise=False, stride=(4, 2), group_layout="blocked", seed=1),
        case("plain", stride=(2, 2), kernel_size=(2, 3), batch=3, reduced_channels=3),
        official("plain", stride=(3, 1), pooling="valid"),
        case("faint", stride=(2, 2), reduced_channels=3),
        official("faint"),
        case("faint", training=True, stride=(3, 2), batch=3, reduced_channels=3),
        official("faint", training=True),
        case("normal", training=True, groups=1, members=3, batch=1),
        case("normal", stride=(2, 2), pooling="valid", batch=1),
        case("normal", training=True, stride=(2, 2), group_layout="blocked"),
    ]
