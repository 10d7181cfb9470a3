"""``python -m tests.surveys.vectors``: choose the vectors, and say which faults they catch.

The candidates are put to the faults that files can show, each until eight of them have caught it.
Each fault is to be caught by three
vectors, where so many catch it, and each candidate stands for what it costs in bytes; what shows
a value recipe in a format stays whatever it catches, since faults that nobody knows are not in the
list. The faults behind guards, of which the choice knows nothing, are asked afterwards.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from conformance.cases.operator import OperatorCase, certificate
from conformance.cases.operator_recipes import OPERANDS, STRUCTURE
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from conformance.kinds import OPERATOR
from conformance.mutants.guarded import guarded
from conformance.suite.sizes import LARGE, SMALL
from conformance.vectors.choice import PATH
from conformance.vectors.due import Due, operands
from conformance.vectors.known import SHOWN, catches, catches_refusal
from conformance.vectors.request import FORMS, refused_calls

# So often each fault is to be caught, and bytes of the largest candidate's operands.
_TIMES, _LARGEST = 3, 400_000
# After so many candidates that catch it no further one is put to a fault.
_ENOUGH = 8
# What a file costs beside its values.
_FILE = 4000
_CLAIMED = Capabilities()


class Candidate(NamedTuple):
    """A vector that may be chosen."""

    case: OperatorCase
    function: str
    form: str = "whole"


def cases() -> Iterator[tuple[OperatorCase, str]]:
    """Give cases, and what each stands for: the cheapest of a name is kept whatever it catches."""
    plain = OPERATOR.plain
    for dtype in FORMATS:
        brief = dtype != "float32"
        for recipe in ("impulse-x", "impulse-dy"):
            for case in certificate(_CLAIMED, dtype, recipe, brief=brief):
                yield case, f"{recipe} {dtype}"
        shapes = [one.geometry for one in certificate(_CLAIMED, dtype, "normal", brief=True)]
        for recipe in (
            "integers", "split", "normal", "wide", "cancelling", "subnormal", "large", "ties",
            "beyond", "specials", "nearest-x", "nearest-dy",
        ):  # fmt: skip
            for number, where in enumerate(shapes[:6]):
                case = OperatorCase(dtype, recipe, number, 2, 9, 8, where).large_enough
                yield case, f"{recipe} {dtype}"
            for groups, members in ((2, 8), (1, 32), (2, 40)):
                case = plain(_CLAIMED, dtype=dtype, recipe=recipe, batch=1, height=5, width=6)
                yield case.changed(groups=groups, members=members), ""
        for function in ("empty",):
            yield plain(_CLAIMED, dtype=dtype, recipe="normal", batch=0), f"{function} {dtype}"
    for name in STRUCTURE:
        for seed, operand in enumerate(OPERANDS):
            case = plain(_CLAIMED, recipe=name, seed=seed, batch=2, height=6, width=7)
            yield case, f"{name} {operand}"
            yield case.changed(recipe=f"{name}-real"), ""
    yield from ((case, "") for case in sizes())


def sizes() -> Iterator[OperatorCase]:
    """Give cases past block edges, past what narrow indices count, and on fast paths."""
    plain = OPERATOR.plain
    for axis in SMALL:
        for size in (9, 16, 17, 33, 67, 129):
            for stride in ((1, 1), (2, 2)):
                yield plain(_CLAIMED, stride=stride, **SMALL | {axis: size})
    yield from (plain(_CLAIMED, **one) for one in LARGE.values())
    thin: dict[str, Any] = {"batch": 1, "height": 1, "width": 1, "groups": 1, "members": 1}
    yield plain(_CLAIMED, **thin | {"width": 66_001, "kernel_shape": (1, 2), "stride": (1, 64)})
    yield plain(_CLAIMED, **thin | {"width": 2501, "kernel_shape": (1, 2), "stride": (1, 3)})
    yield plain(_CLAIMED, **thin | {"height": 301, "width": 2, "kernel_shape": (2, 1)})
    yield plain(_CLAIMED, **thin | {"height": 67, "width": 69})
    half: dict[str, Any] = {"dtype": "float16", "kernel_shape": (7, 7), "batch": 1}
    yield plain(_CLAIMED, **half, height=20, width=18, groups=4, members=1)
    for size in ((9, 9), (1, 33), (65, 1), (6, 11)):
        yield plain(_CLAIMED, kernel_shape=size, height=size[0] + 1, width=size[1] + 2)
    for recipe in ("integers", "normal"):
        some: dict[str, Any] = {"recipe": recipe, "batch": 1, "height": 8, "width": 8}
        for changes in (
            {"kernel_shape": (7, 7), "groups": 1, "members": 16},
            {"kernel_shape": (7, 7), "groups": 2, "members": 16},
            {"stride": (2, 2), "groups": 2, "members": 16},
            {"stride": (2, 2), "groups": 8, "members": 1},
            {"dilation": (2, 2), "groups": 1, "members": 16},
            {"dilation": (2, 2), "groups": 2, "members": 16, "group_layout": "interleaved"},
            {"batch": 16, "height": 3, "width": 4},
            {"batch": 8, "padding": "valid"},
            {"padding": 1, "groups": 4, "members": 8},
            {"height": 32, "width": 32, "groups": 1, "members": 16, "kernel_shape": (3, 1)},
            {"height": 28, "width": 28, "groups": 1, "members": 8, "kernel_shape": (5, 5)},
            {"height": 14, "width": 14, "groups": 4, "members": 16, "kernel_shape": (3, 3)},
            {"height": 7, "width": 7, "groups": 8, "members": 16, "kernel_shape": (3, 3)},
        ):
            yield plain(_CLAIMED, **some | changes)


def candidates() -> tuple[list[Candidate], dict[Candidate, str], dict[Candidate, int]]:
    """Give all candidates, what they stand for, and what they cost."""
    names: dict[Candidate, str] = {}
    cost: dict[Candidate, int] = {}
    for case, name in cases():
        values = operands(case)
        size = sum(array.nbytes for array in values.values())
        if size > _LARGEST:
            continue
        decides = OPERATOR.recipe_of(case).decides
        for function in ("forward", "backward"):
            if decides and OPERATOR.function_of(decides[0]) != function:
                continue
            one = Candidate(case, function)
            names[one] = f"{name} {function}" if name else ""
            exact = OPERATOR.recipe_of(case).exact
            due = values["dy"].size if function == "forward" else values["x"].size * 2
            cost[one] = size + due * (8 if exact else 48) + _FILE
    plain = OPERATOR.plain
    for changes in ({"batch": 1}, {"batch": 1, "stride": (2, 2)}, {"batch": 1, "dilation": (2, 2)}):
        for function in ("forward", "backward"):
            one = Candidate(plain(_CLAIMED, **changes), function, FORMS[1])
            names[one], cost[one] = f"short {changes} {function}", 2 * _FILE
    return list(cost), names, cost


def measured(
    listed: list[Candidate], faults: Mapping[str, Any], enough: float = _ENOUGH
) -> dict[Candidate, set[str]]:
    """Put the candidates to the faults, to each until enough have caught it."""
    caught = Counter[str]()
    found: dict[Candidate, set[str]] = {}
    start = time.perf_counter()
    dues: dict[OperatorCase, Due] = {}
    for number, one in enumerate(listed):
        due = dues.get(one.case)
        if due is None:
            dues = {one.case: (due := Due(one.case, operands(one.case)))}
        found[one] = {
            name
            for name, fault in faults.items()
            if caught[name] < enough and catches(fault(), one.case, one.function, one.form, due)
        }
        caught.update(found[one])
        if number % 50 == 0:
            print(f"{number} of {len(listed)}, {time.perf_counter() - start:.0f} s", flush=True)
    return found


def chosen(
    found: dict[Candidate, set[str]], names: dict[Candidate, str], cost: dict[Candidate, int]
) -> list[Candidate]:
    """Choose greedily: each fault `_TIMES` times, and each thing that is stood for once."""
    wanted = Counter({fault: 0 for some in found.values() for fault in some})
    for fault in wanted:
        wanted[fault] = min(_TIMES, sum(fault in some for some in found.values()))
    standing = {name for name in names.values() if name}
    left, taken = set(found), list[Candidate]()
    while True:
        worth = {
            one: (sum(wanted[f] > 0 for f in found[one]) + 2 * (names[one] in standing)) / cost[one]
            for one in left
        }
        best = max(left, key=lambda one: (worth[one], one.case.token, one.function), default=None)
        if best is None or not worth[best]:
            return taken
        taken.append(best)
        left.remove(best)
        standing.discard(names[best])
        wanted.subtract(found[best])


def main() -> None:
    """Measure, choose, and write the choice."""
    parser = argparse.ArgumentParser(prog="python -m tests.surveys.vectors", description=__doc__)
    parser.add_argument("--guarded", type=int, default=0, help="so many guarded faults are asked")
    parser.add_argument("--seed", type=int, default=0, help="of the guarded faults")
    given = parser.parse_args()
    if given.guarded:
        unseen(given.seed, given.guarded)
        return
    listed, names, cost = candidates()
    # From all over the list in turn: what catches a fault is to be of more than one sort.
    taken = chosen(measured([one for k in range(7) for one in listed[k::7]], SHOWN), names, cost)
    taken.sort(key=lambda one: (one.case.dtype != "float32", cost[one], one.case.token))
    found = measured(taken, SHOWN, float("inf"))
    entries: list[dict[str, Any]] = [
        {
            "case": one.case.token,
            "function": one.function,
            "form": one.form,
            "catches": sorted(found[one]),
        }
        for one in taken
    ]
    for words in refused_calls():
        caught = [name for name, fault in SHOWN.items() if catches_refusal(fault(), words)]
        entries.append({"refused": words, "catches": sorted(caught)})
    lines = ",\n".join(json.dumps(one) for one in entries)
    PATH.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    caught_by = Counter(fault for one in entries for fault in one["catches"])
    missed = sorted(set(SHOWN) - set(caught_by))
    print(
        f"{len(entries)} vectors of {len(listed)} candidates catch {len(caught_by)} of {len(SHOWN)}"
    )
    print(f"not caught: {', '.join(missed) or 'none'}")
    print(f"caught once: {[name for name, number in caught_by.items() if number == 1]}")


def unseen(seed: int, number: int) -> None:
    """Ask the chosen vectors faults that they were not chosen for."""
    from conformance.vectors.choice import choice

    listed = [
        one for one in guarded(seed, number) if all(g.family != "history" for g in one.guards)
    ]
    vectors = [(one, Due(one.case, operands(one.case))) for one in choice() if one.case is not None]
    caught = sum(
        any(catches(fault, one.case, one.function, one.form, due) for one, due in vectors)
        for fault in listed
    )
    print(f"seed {seed}: {caught} of {len(listed)} faults behind guards, none with a history")


if __name__ == "__main__":
    main()
