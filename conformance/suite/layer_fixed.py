"""Chapter LAY where drawn cases seldom go: fixed cases of rare sizes, modes, numbers and values."""

from typing import Any

from conformance.cases.layer_network import networks
from conformance.claims.formats import FORMATS
from conformance.judging.checks import check
from conformance.judging.judge import Judge
from conformance.judging.scope import NotClaimedError
from conformance.suite.layer import MODES, in_training

# Shapes of the layers of networks, each with pixels beyond the smallest image.
NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "16 a group": (
        {"batch": 4, "groups": 4, "members": 16, "reduced_channels": 16, "kernel_size": (7, 7)},
        (6, 13),
    ),
    "strided": (
        {"batch": 4, "groups": 8, "members": 4, "reduced_channels": 8, "kernel_size": (5, 5),
         "stride": (2, 2)},
        (15, 15),
    ),
    "one a group": (
        {"batch": 8, "groups": 16, "members": 1, "reduced_channels": 4, "kernel_size": (3, 3)},
        (7, 7),
    ),
    "one group": (
        {"batch": 4, "groups": 1, "members": 64, "reduced_channels": 32, "kernel_size": (9, 9)},
        (6, 6),
    ),
}  # fmt: skip


@check("LAY-8", "LAY-12", "LAY-14", "LAY-16", number=["epsilon", "momentum"], value=[0.0, 1.0])
def numbers_at_their_limits(judge: Judge, number: str, value: float) -> None:
    """An epsilon of zero or one, a momentum of zero or one, in both modes."""
    judge.claim("conventions", "any")
    for mode in judge.kind.modes(judge.claimed):
        judge.check(judge.plain(reduced_channels=3, batch=3, **{number: value}, **mode))


@check("LAY-8", "LAY-9", "LAY-12", "LAY-14", "LAY-15", "LAY-16",
       recipe=["still", "far"], mode=MODES, dtype=FORMATS)  # fmt: skip
def rare_values(judge: Judge, recipe: str, mode: str, dtype: str) -> None:
    """A gamma of zero; statistics, weights and images far from one."""
    (dtype,), training = judge.claim("dtypes", dtype), in_training(judge, mode)
    changes = {"batch": 3, "groups": 3, "members": 2, "reduced_channels": 4}
    case = judge.plain(dtype=dtype, recipe=recipe, training=training, **changes)
    judge.check(judge.enlarged(case, (5, 4)))


@check("LAY-2", "LAY-7", "LAY-8", "LAY-10", "LAY-11", "LAY-13", "LAY-14", "LAY-16",
       size=NETWORKS, mode=MODES)  # fmt: skip
def layer_networks(judge: Judge, size: str, mode: str) -> None:
    """Shapes that networks have, in every format."""
    training = in_training(judge, mode)
    changes, spare = NETWORKS[size]
    claimed = judge.claimed
    for dtype in (claimed.first_dtype,) if claimed.compiles else claimed.dtypes:
        case = judge.plain(training=training, dtype=dtype, **changes)
        judge.check(judge.enlarged(case, spare))


@check("LAY-2", "LAY-5", "LAY-7", "LAY-8", "LAY-9", "LAY-10", "LAY-11", "LAY-12",
       "LAY-13", "LAY-14", "LAY-15", "LAY-16")  # fmt: skip
def layer_choices_together(judge: Judge) -> None:
    """Each two of nineteen choices together: sizes, options, biases, modes, formats, values."""
    for number, case in enumerate(judge.as_time_allows(networks(judge.claimed, judge.seed))):
        # backward first: it comes after a call of another case, of other sizes, format and mode.
        judge.check(case, backward_first=number % 2 == 1)


@check("LAY-8", "LAY-12", "LAY-14", "LAY-16", mode=MODES)
def layer_of_many_pixels(judge: Judge, mode: str) -> None:
    """More pixels than 16 bits count, the last ones largest: none may be left out of a sum."""
    narrow = {"groups": 1, "members": 1, "reduced_channels": 1, "kernel_size": (1, 1), "batch": 1}
    # Sums over so many pixels are no numbers of float16, in which a layer may store them.
    dtype = judge.claim("dtypes", "float32", "float64", "bfloat16")[0]
    training = in_training(judge, mode)
    case = judge.plain(dtype=dtype, training=training, recipe="drift", **narrow)
    judge.check(judge.enlarged(case, (258, 262)))


@check("LAY-8", "LAY-12", "LAY-14", "LAY-15", "LAY-16")
def one_pixel(judge: Judge) -> None:
    """A training batch of one pixel, whose variance is zero."""
    judge.claim_flag("training")
    case = judge.plain(training=True, batch=1, reduced_channels=3, kernel_size=(3, 3))
    if case.pixels > 1:
        raise NotClaimedError("not claimed: one pixel with the biased variance")
    judge.check(case)


@check("LAY-17")
def widths_in_turn(judge: Judge) -> None:
    """One layer on images of the same height, narrow, wide and narrow again."""
    blame = judge.record.clauses[:1]
    for mode in judge.kind.modes(judge.claimed):
        case = judge.plain(stride=(2, 2), kernel_size=(3, 3), **mode)
        narrow, wide = (judge.enlarged(case, (4, spare)) for spare in (2, 8))
        for one in (narrow, wide, narrow):
            judge.check(one, blame=blame)


@check("LAY-17", "LAY-15")
def backward_after_either_mode(judge: Judge) -> None:
    """The gradients are those of their own mode, whatever the mode of the forward before."""
    modes = judge.kind.modes(judge.claimed)
    for before in modes:
        for mode in modes:
            case = judge.plain(reduced_channels=3, **mode)
            judge.run(case.changed(**before), functions=("forward",))
            judge.check(case, functions=("backward",), blame=judge.record.clauses[:1])


PARAMETERS = ("reduce_kernel", "reduce_bias", "gamma", "beta", "moving_mean", "moving_variance",
              "expand_kernel", "expand_bias")  # fmt: skip


@check("LAY-18", "LAY-1", parameter=PARAMETERS)
def misshapen(judge: Judge, parameter: str) -> None:
    """Each parameter one too short, or too long, along each axis."""
    judge.claim_flag("validates")
    case = judge.plain(reduced_channels=3, kernel_size=(3, 3))
    values = judge.values(case)
    if parameter not in values:
        raise NotClaimedError(f"not claimed: {parameter}")
    judge.run(case, values)
    given = values[parameter]
    for axis in range(given.ndim):
        for count in (given.shape[axis] - 1, given.shape[axis] + 1):
            wrong = given.take(range(count), axis, mode="wrap")
            operands, options = judge.kind.arguments("forward", case, values | {parameter: wrong})
            judge.expect(
                case,
                judge.refuses(case, "forward", operands, options),
                f"forward accepted a {parameter} of shape {wrong.shape} for {given.shape}",
            )
