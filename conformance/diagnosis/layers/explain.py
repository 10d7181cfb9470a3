"""Explains a failing layer: which step is another one, which derivative, when, and where.

What is found is a program, which must foretell the answers to cases that took no part in finding
it: an answer within what a layer may be from what is foretold. Documented in docs/explanation.md.
"""

import functools
import itertools
import time
from collections.abc import Mapping, Sequence

import numpy as np

from conformance.cases.layer import LayerCase
from conformance.claims.loading import Judged
from conformance.diagnosis.asking import patience
from conformance.diagnosis.conditions import ALWAYS, Condition, separating
from conformance.diagnosis.explain import of_exceptions
from conformance.diagnosis.explanation import Explanation, Turn, settled
from conformance.diagnosis.layers.asking import LayerAsking, SeenLayer
from conformance.diagnosis.layers.derivative import derivatives
from conformance.diagnosis.layers.search import Found, Search, as_foretold
from conformance.diagnosis.layers.sentences import sentences
from conformance.diagnosis.learning import learned

# Cases that are asked to learn from, and fresh ones that an explanation must foretell.
_LEARNED, _FORETOLD = 70, 200
# Seconds for which an explanation is tested at least.
_LEAST = 3.0
# Cases on which it is worked out when a program is wrong.
_SIMULATED = 80
# Wrong cases on which gradients are held against differences.
_DERIVED = 3


def explain_layer(
    judged: Judged, failing: LayerCase | None = None, seconds: float | None = None
) -> Explanation | None:
    """Find what a layer computes instead of what it should.

    Parameters
    ----------
    judged : Judged
        The implementation and what it claims.
    failing : LayerCase, optional
        A case that it fails, made small.
    seconds : float, optional
        How long to ask, `patience` by default; it says what it had by then.

    Returns
    -------
    Explanation or None
        None where nothing that is asked here is wrong.
    """
    asking = LayerAsking(judged, failing, patience("layer") if seconds is None else seconds)
    asking.learn(_LEARNED, 0.2)
    off = [one for one in asking.seen if any(one.wrong.values())]
    if not off:
        return None
    raising = [one for one in off if one.raised]
    if len(raising) == len(off):
        return of_exceptions(asking, raising)
    return settled(asking, functools.partial(_explained, asking))


def _explained(asking: LayerAsking, turn: Turn) -> tuple[Explanation, list[SeenLayer]]:
    """Explain what was seen, and test it on cases of this turn."""
    found = Search(asking).run()
    return _tested(asking, found, _conditions(asking, found), turn)


def _conditions(asking: LayerAsking, found: Found) -> dict[str, Condition]:
    """Learn when each result is wrong of which nothing is told; those that are alike at once."""
    answered = [one for one in asking.seen if not one.raised]
    names = dict.fromkeys(name for one in answered for name in one.due)
    known: dict[str, Condition] = {}
    for name in names:
        if found.tells(name) or not any(one.wrong.get(name) for one in answered):
            continue
        alike = next((other for other in known if _alike(answered, name, other)), "")
        if alike:
            known[name] = known[alike]
            continue
        conditions = learned(
            asking,
            name,
            functools.partial(_is_wrong, name=name),
            functools.partial(_has, name=name),
        )
        if conditions:
            known[name] = conditions[0]
    return known


def _is_wrong(one: SeenLayer, name: str) -> bool:
    return bool(one.wrong.get(name))


def _has(one: SeenLayer, name: str) -> bool:
    return name in one.wrong and not one.raised


def _alike(seen: Sequence[SeenLayer], name: str, other: str) -> bool:
    return all(
        one.wrong[name] == one.wrong[other]
        for one in seen
        if name in one.wrong and other in one.wrong
    )


def simulated(asking: LayerAsking, found: Found) -> Condition | None:
    """Work out when what was found differs from what is due; nothing needs to be asked for it.

    None where no simple condition says so.
    """
    seen = [one for one in asking.seen if not one.raised]
    for case in itertools.islice(asking.cases(), _SIMULATED):
        if not asking.left(0.75):
            break
        seen.append(asking.unasked(case))
    off = np.array([differs(one, found) for one in seen])
    if not off.any():
        return ALWAYS
    conditions = separating(asking.columns(seen), off)
    return conditions[0] if conditions else None


def differs(one: SeenLayer, found: Found) -> bool:
    """Whether what is told of a case is outside the bounds of what is due."""
    foretold = found.foretold(one)
    return any(one.off(name, foretold[name]) for name in one.due if found.tells(name))


def _tested(
    asking: LayerAsking, found: Found, when: Mapping[str, Condition], turn: Turn
) -> tuple[Explanation, list[SeenLayer]]:
    """Put an explanation to cases that took no part in finding it, and give these."""
    known = {one.case for one in asking.seen}
    told: Condition | None = found.when
    if told is ALWAYS and not found.nothing:
        told = simulated(asking, found)
    foretold = asked = off = 0
    fresh: list[SeenLayer] = []
    stop = max(asking.start + 0.95 * asking.seconds, time.perf_counter() + _LEAST)
    for case in itertools.islice(asking.cases(fresh=turn.number), 4 * _FORETOLD):
        if asked >= _FORETOLD or time.perf_counter() > stop:
            break
        if case in known:
            continue
        one = asking.ask(case)
        fresh.append(one)
        asked += 1
        off += any(one.wrong.values())
        foretold += _foretold(asking, one, found, when)
        if turn.enough(asked - foretold):
            break
    if told is not None and found.when is ALWAYS and fresh and not found.nothing:
        # A condition that fresh cases contradict is not said; the steps tell when all the same.
        wrong = np.array([any(one.wrong.values()) for one in fresh])
        told = told if (told(asking.columns(fresh)) == wrong).all() else None
    said = sentences(found, when, told, asking.seen, _own(asking))
    explained = Explanation(
        said.what, said.where, said.when, foretold, asked, off, found.whole, bounded=True,
        seconds=time.perf_counter() - asking.start,
    )  # fmt: skip
    return explained, fresh


def _own(asking: LayerAsking) -> dict[str, bool]:
    """Which gradients are the derivatives of the layer's own forward pass, where it is wrong."""
    off = [one for one in asking.seen if not one.raised and any(one.wrong.values())]
    told: dict[str, bool] = {}
    off.sort(key=lambda one: one.values["x"].size)
    # Of a single pixel the statistics do not show.
    modes = [
        [one for one in off if one.case.training is mode and one.case.pixels > 2]
        for mode in (False, True)
    ]
    for one in itertools.chain.from_iterable(some[:_DERIVED] for some in modes):
        for name, is_ in derivatives(asking, one).items():
            told[name] = told.get(name, True) and is_
    return told


def _foretold(
    asking: LayerAsking, one: SeenLayer, found: Found, when: Mapping[str, Condition]
) -> bool:
    """Tell whether every result of a fresh case is as foretold."""
    if one.raised:
        return False
    columns = asking.columns([one])
    if not found.nothing and found.when(columns)[0]:
        if not as_foretold(one, found, refused=True):
            return False
    elif any(one.wrong[name] for name in one.due if found.tells(name)):
        return False
    return all(
        bool(condition(columns)[0]) == one.wrong[name]
        for name, condition in when.items()
        if name in one.due
    ) and not any(one.wrong[name] for name in one.due if name not in when and not found.tells(name))
