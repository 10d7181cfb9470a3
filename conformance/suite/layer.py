"""Chapter LAY: whole layers. Equality where nothing rounds, running error bounds elsewhere."""

from typing import Any

from conformance.claims.formats import FORMATS
from conformance.judging.checks import check
from conformance.judging.judge import Judge
from conformance.judging.scope import NotClaimedError

CONVENTIONS = ("any", "keras_example", "official")
MODES = ("inference", "training")


def in_training(judge: Judge, mode: str) -> bool:
    """Whether a mode is training, which has to be claimed."""
    __tracebackhide__ = True
    if mode == "training":
        judge.claim_flag("training")
    return mode == "training"


@check("LAY-2", "LAY-10", "LAY-11", "LAY-16", convention=CONVENTIONS, exact=True)
def kernel_from_bias(judge: Judge, draw: Any, convention: str) -> None:
    """Where the kernel is the expansion's bias, its order and the operator are exact."""
    (convention,) = judge.claim("conventions", convention)
    judge.check(draw(judge.cases(recipe="plain", training=False, convention=convention)))


@check("LAY-1", "LAY-7", "LAY-9", "LAY-13", "LAY-14", mode=MODES, exact=True)
def integers(judge: Judge, draw: Any, mode: str) -> None:
    """Without normalisation nothing rounds, and ReLU meets zeros."""
    (convention,) = judge.claim("conventions", "any")
    training = in_training(judge, mode)
    judge.check(draw(judge.cases(recipe="integers", training=training, convention=convention)))


@check("LAY-3", "LAY-4", "LAY-5", "LAY-6", pooling=["same", "valid", "none"], exact=True)
def pooling(judge: Judge, draw: Any, pooling: str) -> None:
    """Every rule, on sizes that the stride divides and, where it may be, on ragged ones."""
    (convention,) = judge.claim("conventions", "any")
    drawn = judge.cases(recipe="integers", training=False, convention=convention, pooling=pooling)
    judge.check(draw(drawn))


@check(
    "LAY-8", "LAY-7", "LAY-9", "LAY-12", "LAY-13", "LAY-14", "LAY-15", "LAY-16",
    recipe=["normal", "faint"], convention=CONVENTIONS, mode=MODES, dtype=FORMATS,
)  # fmt: skip
def bound(judge: Judge, draw: Any, recipe: str, convention: str, mode: str, dtype: str) -> None:
    """Every result on real numbers, in both modes."""
    (convention,), (dtype,) = judge.claim("conventions", convention), judge.claim("dtypes", dtype)
    training = in_training(judge, mode)
    drawn = judge.cases(dtype=dtype, recipe=recipe, training=training, convention=convention)
    judge.check(draw(drawn))


@check("LAY-3", "LAY-6", stride=[(3, 3), (4, 3)], exact=True)
def ragged_windows(judge: Judge, stride: tuple[int, int]) -> None:
    """Every remainder that a size can leave: where the windows begin shows from stride 3 on."""
    case = judge.plain(stride=stride, kernel_size=(2, 2))
    if case.config.pooling != "same" or case.config.strides[0] < 3:
        raise NotClaimedError(f"not claimed: ragged sizes with stride {stride} (LAY-6)")
    sizes = ((3, 3),) if judge.claimed.compiles else ((0, 1), (3, 3), (4, 6), (5, 4), (6, 2))
    for spare in sizes:
        judge.check(judge.enlarged(case, spare))


@check("LAY-8", "LAY-14", "LAY-16", dtype=FORMATS)
def large_image(judge: Judge, dtype: str) -> None:
    """More than a thousand pixels: sums that a narrow accumulator would spoil."""
    (dtype,) = judge.claim("dtypes", dtype)
    narrow = {"members": 1, "reduced_channels": 1, "kernel_size": (1, 1)}
    # In training every sum over the pixels is taken.
    case = judge.plain(dtype=dtype, training=True, **narrow)
    judge.check(judge.enlarged(case, (28, 40)))


@check("LAY-7", "LAY-8", "LAY-10", "LAY-11", "LAY-14", "LAY-16", mode=MODES)
def large_at_once(judge: Judge, mode: str) -> None:
    """More samples, groups, reduced channels, rows and columns than the pools have."""
    training = in_training(judge, mode)
    wide = {"batch": 7, "groups": 9, "members": 4, "reduced_channels": 10}
    case = judge.plain(training=training, **wide)
    judge.check(judge.enlarged(case, (65, 4)))


@check("LAY-19")
def empty_batch(judge: Judge) -> None:
    """No samples: empty results, gradients of zero."""
    judge.claim_flag("empty_batch")
    judge.check(judge.plain(batch=0, reduced_channels=3, kernel_size=(2, 2)))
