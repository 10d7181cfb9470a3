"""Cases of the shapes that networks have, where fast code takes its fast paths.

Each of ten factors falls into a few classes; a covering array of strength 3 has each three classes
of different factors together in some case, and one of strength 2 each two of them with values that
shortcuts look for. The classes are the same in every run; the numbers within a class (8 groups or
4, 7 pixels or 8) are another choice from seed to seed.
"""

import functools
import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance.cases.covering import Row, cover, soonest
from conformance.cases.geometries import Geometry
from conformance.cases.operator import OperatorCase, fitted, unclaimed
from conformance.cases.operator_recipes import OPERANDS, STRUCTURE
from conformance.claims.capabilities import Capabilities, Pair, Supported, supports
from refimpl.geometry import Padding, extent

# Products of the largest case: all of y's, as many as of dx and dkernel.
MOST = 2**21
# One case in so many may be as large as that, which the paths of large cases need. The others need
# the same classes together, and have a quarter of it where their classes allow it.
_LARGE_ONE_IN, _USUAL = 6, 4
_RAGGED = tuple(range(9, 48, 2))

# What stands in a class is what fast code asks for: multiples of 7 and of 8, so many channels a
# group, one stride or dilation for both axes; and beside it what it cannot have asked for.
SIZES: Mapping[str, tuple[Any, ...]] = {
    "sevens": ((7, 7), (14, 14), (21, 21)),
    "many sevens": ((28, 28), (42, 42)),
    "eights": ((8, 8), (16, 16), (24, 24)),
    "many eights": ((32, 32), (48, 48), (40, 40)),
    # By themselves: beside smaller ones they would seldom be few enough products.
    "of early stages": ((56, 56), (64, 64), (64, 56)),
    "oblong": ((8, 32), (32, 16), (16, 64), (64, 8), (48, 16), (14, 28), (28, 7)),
    "ragged": tuple((h, w) for h in _RAGGED for w in _RAGGED if h != w and h * w < 900),
}
# (G, M).
CHANNELS: Mapping[str, tuple[Pair, ...]] = {
    "16 a group": ((2, 16), (1, 16), (4, 16), (8, 16)),
    "one a group": ((16, 1), (8, 1), (32, 1), (64, 1)),
    "one group": ((1, 32), (1, 8), (1, 64), (1, 128)),
    "several": ((4, 8), (8, 4), (2, 8), (16, 2), (4, 4), (2, 32)),
    "odd": ((3, 5), (5, 3), (7, 2), (3, 12), (1, 13), (11, 1)),
}
KERNELS: Mapping[str, tuple[Pair, ...]] = {
    **{str(k): ((k, k),) for k in (3, 5, 7, 9, 11)},
    "other": ((2, 2), (4, 4), (1, 1), (3, 5), (7, 3), (1, 7), (5, 1), (2, 4), (3, 2)),
}
STRIDES: Mapping[str, tuple[Pair, ...]] = {
    "1": ((1, 1),),
    "2": ((2, 2),),
    "other": ((3, 3), (4, 4), (1, 2), (2, 1), (2, 3), (3, 2)),
}
DILATIONS: Mapping[str, tuple[Pair, ...]] = {
    "1": ((1, 1),),
    "2": ((2, 2),),
    "other": ((3, 3), (1, 2), (2, 1), (2, 3), (4, 4)),
}
BATCHES: Mapping[str, tuple[int, ...]] = {
    "1": (1,),
    "8": (8,),
    "many": (16, 32),
    "odd": (2, 3, 5, 7),
}
# A recipe, and the operand that its seed chooses, where it chooses one.
VALUES: Mapping[str, tuple[Any, ...]] = {
    name: ((name, None),) for name in ("integers", "split", "normal")
}
# Integers show every wrong term, real numbers how their sums are rounded. A shortcut asks for x or
# for the kernel; what it asks of dy, which backward alone has, is one class.
_SHORTCUTS: Mapping[str, tuple[Any, ...]] = {
    f"{name} {operand}": ((name, place), (f"{name}-real", place))
    for name in STRUCTURE
    for place, operand in enumerate(OPERANDS)
    if operand != "dy"
}
STRUCTURED: Mapping[str, tuple[Any, ...]] = {
    **_SHORTCUTS,
    "dy": tuple(
        (f"{name}{kind}", OPERANDS.index("dy")) for name in STRUCTURE for kind in ("", "-real")
    ),
    **{
        name: ((name, None),)
        for name in ("specials", "cancelling", "subnormal", "large", "ties", "beyond")
    },
}
# One of each kind at the size that it has in networks, and past what 24 bits and 65,535 blocks
# count: a block may be a sample and group, a row of outputs, or up to 256 outputs.
FULL: Mapping[str, Mapping[str, Any]] = {
    "RedNet-50, stem": {
        "batch": 4, "height": 112, "width": 112, "groups": 2, "members": 16, "kernel_shape": (3, 3),
    },
    "RedNet-50, stage 1": {
        "batch": 4, "height": 56, "width": 56, "groups": 4, "members": 16, "kernel_shape": (7, 7),
    },
    "RedNet-50, into stage 2": {
        "batch": 8, "height": 56, "width": 56, "groups": 8, "members": 16, "kernel_shape": (7, 7),
        "stride": (2, 2),
    },
    "RedNet-50, stage 3": {
        "batch": 8, "height": 14, "width": 14, "groups": 16, "members": 16, "kernel_shape": (7, 7),
    },
    "RedNet-50, stage 4": {
        "batch": 32, "height": 7, "width": 7, "groups": 32, "members": 16, "kernel_shape": (7, 7),
    },
    "2^24 kernel entries": {
        "batch": 7, "height": 112, "width": 112, "groups": 4, "members": 2, "kernel_shape": (7, 7),
    },
    "2^24 outputs": {
        "batch": 1, "height": 4099, "width": 4099, "groups": 1, "members": 1,
        "kernel_shape": (1, 1),
    },
    "65,535 samples and groups": {
        "batch": 2201, "height": 3, "width": 3, "groups": 32, "members": 1, "kernel_shape": (3, 3),
    },
    "65,535 rows of outputs": {
        "batch": 1201, "height": 56, "width": 2, "groups": 2, "members": 2, "kernel_shape": (3, 3),
    },
}  # fmt: skip
# What a call costs beside its products, in products: it keeps small cases from all coming first.
_CALL = 2**17
# So often numbers are drawn for a row until they go together; so often until they are few enough.
_DRAWS, _SOME = 400, 40

Classes = Mapping[str, Mapping[str, tuple[Any, ...]]]


def networks(claimed: Capabilities, seed: int, most: int = MOST) -> list[OperatorCase]:
    """List network-shaped cases that are claimed, those first that show most for their cost.

    Parameters
    ----------
    claimed : Capabilities
        Bounds every choice. Where each geometry is compiled, each class occurs, but not with each
        two others.
    seed : int
        Chooses the numbers within the classes.
    most : int
        Products of the largest case, or nearly so. Three classes that together need more, or that
        have no output at any of their sizes, meet in no case.
    """
    return list(_networks(_of_any_arithmetic(claimed), seed, most))


def _of_any_arithmetic(claimed: Capabilities) -> Capabilities:
    """Leave out the arithmetic, of which cases are independent: what is left can be remembered."""
    return replace(claimed, accumulator=None, multiplier=None, result=None)


# Thirteen checks take theirs from the same lists.
@functools.lru_cache(maxsize=8)
def _networks(claimed: Capabilities, seed: int, most: int) -> Sequence[OperatorCase]:
    strength = 1 if claimed.compiles else 3
    return _listed(classes_of(claimed, VALUES), seed, strength, most, claimed)


def structures(claimed: Capabilities, seed: int, most: int = MOST // 4) -> list[OperatorCase]:
    """List network-shaped cases whose values have a structure, with each two coarse classes.

    Where each geometry is compiled, they are on the geometries of `networks`.
    """
    return list(_structures(_of_any_arithmetic(claimed), seed, most))


@functools.lru_cache(maxsize=8)
def _structures(claimed: Capabilities, seed: int, most: int) -> Sequence[OperatorCase]:
    if not claimed.compiles:
        covering = _listed(coarse(classes_of(claimed, STRUCTURED)), seed, 3, most, claimed)
        return [*covering, *_more(classes_of(claimed, _SHORTCUTS), seed, most // 8, claimed)]
    shapes, rng = itertools.cycle(networks(claimed, seed)), random.Random(seed)
    values = (rng.choice(members) for members in STRUCTURED.values())
    return [
        case.changed(recipe=recipe, seed=_seed(place, rng))
        for case, (recipe, place) in zip(shapes, values, strict=False)
    ]


# A shortcut hides behind a value and two or three other conditions, which a cover of each three
# coarse classes meets together by chance; so there are small cases besides: so many, of so many
# times as many that are drawn.
_MORE, _TRIES = 300, 20


def _more(classes: Classes, seed: int, most: int, claimed: Capabilities) -> list[OperatorCase]:
    """Draw small cases of any classes."""
    rng, found = random.Random(seed), list[OperatorCase]()
    for _ in range(_TRIES * _MORE):
        chosen = {
            name: rng.choice(levels[rng.choice(list(levels))]) for name, levels in classes.items()
        }
        case = _cheaper(fitted(_case(chosen, rng), claimed), None, claimed)
        if case is not None and case.products <= most:
            found.append(case)
        if len(found) == _MORE:
            break
    return found


# Classes that are taken together beside structured values, of which there are so many.
_TOGETHER: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "size": {
        "small": ("sevens", "eights", "oblong"),
        "large": ("many sevens", "many eights", "of early stages", "ragged"),
    },
    "channels": {"round": ("16 a group", "several"), "one": ("one a group", "one group", "odd")},
    "kernel_shape": {"3": ("3", "other"), "large": ("5", "7", "9", "11")},
    "stride": {"1": ("1",), "strided": ("2", "other")},
    "dilation": {"1": ("1",), "dilated": ("2", "other")},
    "padding": {"of the size": ("same", "int", "half"), "other": ("valid", "explicit")},
    "batch": {"few": ("1", "odd"), "many": ("8", "many")},
}


def coarse(classes: Classes) -> Classes:
    """Take classes together."""
    result = {}
    for name, levels in classes.items():
        together = {
            word: tuple(itertools.chain(*(levels[one] for one in some if one in levels)))
            for word, some in _TOGETHER.get(name, {}).items()
        }
        # Classes of theirs stay what they are.
        known = {one for some in _TOGETHER.get(name, {}).values() for one in some}
        together |= {word: members for word, members in levels.items() if word not in known}
        result[name] = {word: members for word, members in together.items() if members}
    return result


def _listed(
    classes: Classes, seed: int, strength: int, most: int, claimed: Capabilities
) -> list[OperatorCase]:
    """Draw a case of each row of a cover."""
    listed = tuple((name, tuple(levels.items())) for name, levels in classes.items())
    drawn = (
        _drawn({name: classes[name][level] for name, level in row}, f"{seed} {row}", most, claimed)
        for row in covering_rows(listed, strength, most)
    )
    return [case for case in drawn if case is not None]


def _drawn(
    members: Mapping[str, tuple[Any, ...]], seed: str, most: int, claimed: Capabilities
) -> OperatorCase | None:
    """Draw numbers until they go together: claimed, with an output, and with no more products.

    The least numbers of all are where no others are found; some need more products even so: one
    padding on all sides enlarges what a kernel of unequal ones gives.
    """
    rng, least = random.Random(seed), None
    usual = most if rng.randrange(_LARGE_ONE_IN) == 0 else most // _USUAL
    for number in range(_DRAWS):
        case = _case({name: rng.choice(some) for name, some in members.items()}, rng)
        least = _cheaper(fitted(case, claimed), least, claimed)
        if least and least.products <= (usual if number < _SOME else most):
            return least
    some = {
        name: (max if name == "stride" else min)(some, key=_product)
        for name, some in members.items()
    }
    return _cheaper(fitted(_case(some, rng), claimed), least, claimed)


def _cheaper(
    case: OperatorCase, other: OperatorCase | None, claimed: Capabilities
) -> OperatorCase | None:
    """Give a case rather than another one, if it has an output, is claimed, and costs less."""
    if min(case.grid) <= 0 or unclaimed(case, claimed):
        return other
    return case if other is None or case.products < other.products else other


def classes_of(claimed: Capabilities, values: Mapping[str, tuple[Any, ...]]) -> Classes:
    """Of each factor the classes that are claimed, with what of them is claimed."""
    return {
        "size": SIZES,
        "channels": CHANNELS,
        "kernel_shape": claimed_of(KERNELS, claimed.kernel_shapes),
        "stride": claimed_of(STRIDES, claimed.strides),
        "dilation": claimed_of(DILATIONS, claimed.dilations),
        "padding": {kind: (kind,) for kind in claimed.paddings},
        "group_layout": {layout: (layout,) for layout in claimed.group_layouts},
        "batch": BATCHES,
        "dtype": {dtype: (dtype,) for dtype in claimed.dtypes},
        "values": values,
    }


def claimed_of(
    classes: Mapping[str, tuple[Pair, ...]], supported: Supported
) -> Mapping[str, tuple[Pair, ...]]:
    """Give the classes of pairs that are claimed; where there are none, a class of each pair."""
    kept = {n: tuple(p for p in pairs if supports(supported, p)) for n, pairs in classes.items()}
    found = {name: pairs for name, pairs in kept.items() if pairs}
    # None of ours: each of theirs is a class.
    return found or {str(pair): (pair,) for pair in supported if isinstance(pair, tuple)}


@functools.lru_cache(maxsize=16)
def covering_rows(listed: Any, strength: int, most: int) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Give rows of classes, in order: each as pairs of a factor and its class."""
    fits = Fits({name: dict(levels) for name, levels in listed}, most)
    factors = {name: tuple(levels) for name, levels in fits.classes.items()}
    covering = cover(factors, strength, fits)
    ordered = soonest(covering, strength, lambda row: _CALL + fits.products(row))
    return tuple(tuple(row.items()) for row in ordered)


class Fits:
    """Tells whether a row of classes, or the part of one, has a case: small, and with an output.

    Parameters
    ----------
    classes : mapping
        Of each factor.
    most : int
        Products of the largest case.
    """

    def __init__(self, classes: Classes, most: int) -> None:
        self.classes, self.most = classes, most
        # What each class has at least.
        self._least = {
            name: {level: min(map(_product, levels[level])) for level in levels}
            for name, levels in classes.items()
            if name in {"channels", "kernel_shape", "batch"}
        }
        # No padding gives more outputs than "same". None is a class that is not chosen yet.
        self._outputs = {
            (size, stride): min(
                math.prod(-(-n // s) for n, s in zip(pixels, step, strict=True))
                for pixels in _all_of(classes["size"], size)
                for step in _all_of(classes["stride"], stride)
            )
            for size in (*classes["size"], None)
            for stride in (*classes["stride"], None)
        }

    def __call__(self, row: Row) -> bool:
        """Tell it of a row."""
        return self.products(row) <= self.most and self._has_output(row)

    def products(self, row: Row) -> int:
        """Products of the cheapest case; of what is not chosen yet the cheapest."""
        outputs = self._outputs[row.get("size"), row.get("stride")]
        least = (
            levels[row[name]] if name in row else min(levels.values())
            for name, levels in self._least.items()
        )
        return int(outputs * math.prod(least))

    def _has_output(self, row: Row) -> bool:
        # Paddings of every other kind keep to the image's size.
        paddings = self.classes["padding"]
        kinds = paddings[row["padding"]] if "padding" in row else ("any",)
        if set(kinds) != {"valid"} or not {"size", "kernel_shape"} <= set(row):
            return True
        dilations = self.classes["dilation"]
        chosen = [row["dilation"]] if "dilation" in row else list(dilations)
        return any(
            all(extent(k, d) <= n for n, k, d in zip(size, kernel, dilation, strict=True))
            for size in self.classes["size"][row["size"]]
            for kernel in self.classes["kernel_shape"][row["kernel_shape"]]
            for level in chosen
            for dilation in dilations[level]
        )


def _all_of(levels: Mapping[str, tuple[Any, ...]], level: str | None) -> Iterable[Any]:
    """Members of a class; of all where none is chosen."""
    return itertools.chain(*levels.values()) if level is None else levels[level]


def _product(member: Any) -> int:
    """Product of numbers; 1 of words."""
    numbers = member if isinstance(member, tuple) else (member,)
    return math.prod(number for number in numbers if isinstance(number, int))


def _case(chosen: Mapping[str, Any], rng: random.Random) -> OperatorCase:
    """Make the case of a number of each class."""
    (height, width), (groups, members) = chosen["size"], chosen["channels"]
    kernel, dilation = chosen["kernel_shape"], chosen["dilation"]
    extents = [extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    where = Geometry(
        groups,
        members,
        kernel,
        chosen["stride"],
        dilation,
        _padding(chosen["padding"], extents, rng),
        chosen["group_layout"],
    )
    recipe, place = chosen["values"]
    return OperatorCase(
        chosen["dtype"], recipe, _seed(place, rng), chosen["batch"], height, width, where
    )


def _seed(place: int | None, rng: random.Random) -> int:
    """Draw a seed, one that chooses the operand at a place of the three."""
    seed = rng.randrange(999)
    return seed if place is None else seed // 3 * 3 + place


def _padding(kind: str, extents: Sequence[int], rng: random.Random) -> Padding:
    """Give a padding of a kind that keeps the image's size, as networks do, or nearly so."""
    if kind == "int":
        return (extents[0] - 1) // 2
    if kind != "explicit":
        return kind
    totals = [max(0, extent - 1 - rng.randrange(2)) for extent in extents]
    before = [min(total, total // 2 + rng.randrange(2)) for total in totals]
    vertical, horizontal = ((n, total - n) for n, total in zip(before, totals, strict=True))
    return vertical, horizontal
