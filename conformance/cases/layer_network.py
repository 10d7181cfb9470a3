"""Cases of the layer that networks have: sizes, channels, options, formats and values that meet.

Each factor falls into a few classes, as those of the operator do in `conformance.cases.network`,
and a covering array has each two classes of different factors together in some case. The numbers
within a class, and what else meets, are another choice from seed to seed.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.cases.covering import Row, cover
from conformance.cases.layer import LayerCase, NoSizeError, conventional, unclaimed, with_pixels
from conformance.cases.network import claimed_of
from conformance.claims.capabilities import LayerCapabilities

# Products of the operator in the largest case, and pixels of the largest in float16: a layer may
# store there what it sums over them.
MOST, MOST_IN_HALF = 2**20, 2**10
# Of values that float16 may not hold the sums of.
_WIDE = ("integers", "far", "one-far")
# So many arrays, and so often numbers are drawn for a row until they go together.
_COVERS, _DRAWS = 12, 60

# Where both grids do not agree on a size, the next one that they agree on is taken.
FACTORS: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "size": {
        "sevens": ((7, 7), (14, 14)),
        "eights": ((8, 8), (16, 16), (24, 24)),
        "oblong": ((8, 24), (14, 7), (24, 8), (14, 28)),
        "ragged": ((9, 11), (13, 5), (11, 10), (15, 13)),
        "large": ((21, 23), (25, 22), (27, 29), (23, 26)),
    },
    "batch": {"1": (1,), "few": (2, 3, 4, 5), "8": (8,), "16": (16,)},
    # (G, M).
    "channels": {
        # Not one group: of that no order and no layout would show.
        "16 a group": ((2, 16), (3, 16), (4, 16)),
        "several": ((4, 4), (8, 4), (4, 8), (2, 8), (8, 2)),
        "one a group": ((8, 1), (16, 1), (4, 1)),
        "one group": ((1, 8), (1, 32), (1, 4)),
        "odd": ((3, 5), (3, 2), (5, 3)),
    },
    "kernel_size": {
        "3": ((3, 3),),
        "5": ((5, 5),),
        "7": ((7, 7),),
        "even": ((2, 2), (4, 4), (2, 5), (6, 3)),
        "other": ((1, 1), (3, 1), (1, 5)),
    },
    "reduced_channels": {"few": (1, 2, 3), "4 or 8": (4, 8), "16": (16,)},
    "stride": {"1": ((1, 1),), "2": ((2, 2),), "other": ((3, 3), (2, 1), (1, 2), (4, 4))},
    "pooling": {"same": ("same",), "valid": ("valid",), "none": ("none",)},
    "dilation": {"1": ((1, 1),), "2": ((2, 2),), "other": ((1, 2), (3, 3))},
    "group_layout": {"blocked": ("blocked",), "interleaved": ("interleaved",)},
    "kernel_order": {"tap_major": ("tap_major",), "group_major": ("group_major",)},
    "reduce_bias": {"bias": (True,), "none": (False,)},
    "expand_bias": {"bias": (True,), "none": (False,)},
    "normalise": {"yes": (True,), "no": (False,)},
    "unbiased_moving_variance": {"biased": (False,), "unbiased": (True,)},
    "epsilon": {"1e-3": (1e-3,), "1e-5": (1e-5,)},
    "momentum": {"0.99": (0.99,), "less": (0.9, 0.5)},
    "training": {"training": (True,), "inference": (False,)},
    "recipe": {
        name: (name,)
        for name in ("normal", "integers", "faint", "still", "far", "one-far", "sparse")
    },
}


def networks(claimed: LayerCapabilities, seed: int) -> list[LayerCase]:
    """List network-shaped cases that are claimed.

    Parameters
    ----------
    claimed : LayerCapabilities
        Bounds every choice. Where each configuration is compiled there are few.
    seed : int
        Chooses the numbers within the classes, and where the rows begin.
    """
    factors = {
        **{name: dict(levels) for name, levels in FACTORS.items()},
        "dtype": {name: (name,) for name in claimed.dtypes},
    }
    # So that what is not claimed takes no other choice with it.
    for name, level, kept in (
        ("training", "training", claimed.training),
        ("normalise", "no", claimed.optional_normalisation),
        *(("group_layout", one, one in claimed.group_layouts) for one in FACTORS["group_layout"]),
    ):
        if not kept:
            del factors[name][level]
    for name, supported in (
        ("kernel_size", claimed.kernel_shapes),
        ("stride", claimed.strides),
        ("dilation", claimed.dilations),
    ):
        factors[name] = dict(claimed_of(factors[name], supported))
    rng = random.Random(seed)
    found: dict[str, LayerCase] = {}
    for turn in range(1 if claimed.compiles else _COVERS):
        # Another order of levels is another array: a dozen have most of each three classes.
        mixed = {
            name: rng.sample(list(levels), len(levels)) if turn else list(levels)
            for name, levels in factors.items()
        }
        rows = cover(mixed, 1 if claimed.compiles else 2, _fits)
        for row in rows:
            members = {name: factors[name][level] for name, level in row.items()}
            for case in _drawn(members, claimed, rng):
                found.setdefault(case.token, case)
    # In no order of sizes, so that a small image follows on a large one as often as not.
    return rng.sample(list(found.values()), len(found))


def _fits(row: Row) -> bool:
    """Tell whether classes go together: what takes steps is pooled (LAY-6)."""
    unpooled = row.get("pooling") == "none" and row.get("stride", "1") != "1"
    return not unpooled and not (row.get("dtype") == "float16" and row.get("recipe") in _WIDE)


def _drawn(
    members: Mapping[str, tuple[Any, ...]], claimed: LayerCapabilities, rng: random.Random
) -> Iterator[LayerCase]:
    """Draw numbers until they are a case that is claimed, and no larger than it may be."""
    for _ in range(_DRAWS):
        chosen = {name: rng.choice(some) for name, some in members.items()}
        (height, width), (groups, channels) = chosen.pop("size"), chosen.pop("channels")
        case = LayerCase("float32", "normal", seed=rng.randrange(1000), members=channels)
        case = case.changed(**chosen | {"groups": groups})
        if "any" not in claimed.conventions:
            case = conventional(case, rng.choice(claimed.conventions))
        try:
            case = with_pixels(case, (height - 1, width - 1))
        except NoSizeError:
            continue
        taps = case.config.taps
        small = case.pixels * taps[0] * taps[1] * case.channels <= MOST
        small = small and (case.dtype != "float16" or case.pixels <= MOST_IN_HALF)
        if small and not unclaimed(case, claimed):
            yield case
            return
