"""Says what a layer computes instead of what it should: steps beside the due ones, in words."""

from collections.abc import Iterable, Mapping, Sequence

from conformance.diagnosis.conditions import Condition
from conformance.diagnosis.layers.asking import SeenLayer
from conformance.diagnosis.layers.search import APART, VALUES, Found
from conformance.diagnosis.observing import COUNTED
from conformance.diagnosis.sentences import Said
from conformance.words import listed

_GRADIENTS: Mapping[str, str] = {
    APART: "backward is that of the due one",
    VALUES: "each step is differentiated as the due one is, at the values of this one",
}


def sentences(
    found: Found,
    when: Mapping[str, Condition],
    told: Condition | None,
    seen: Sequence[SeenLayer],
    own: Mapping[str, bool],
) -> Said:
    """Put an explanation into words.

    Parameters
    ----------
    found : Found
        The steps that are others.
    when : mapping of str to Condition
        When each result is wrong of which no step was found.
    told : Condition or None
        When the steps show.
    seen : sequence of SeenLayer
        The cases that were learned from.
    own : mapping of str to bool
        Of gradients whether they are the derivative of the layer's own forward pass.
    """
    answered = [one for one in seen if not one.raised]
    names = list(dict.fromkeys(name for one in answered for name in one.due))
    faulty = [name for name in names if any(one.wrong.get(name) for one in answered)]
    where = listed(faulty) + (
        "; every other result is right" if 0 < len(faulty) < len(names) else ""
    )
    what = (*_what(found, faulty), *_derived(found, faulty, own))
    return Said(what, (where,), tuple(_when(found, when, told, answered)))


def _what(found: Found, faulty: Sequence[str]) -> Iterable[str]:
    for one in (*(found.forward or ()), *(found.moving or ()), *(found.backward or ())):
        due = f"   due {one.instead}" if one.instead else ""
        yield f"{one.words}{due}   ({one.clause})"
    unknown = [name for name in faulty if not found.tells(name)]
    if unknown:
        yield f"{listed(unknown)}: no step was found that gives the answers"


def _derived(found: Found, faulty: Sequence[str], own: Mapping[str, bool]) -> Iterable[str]:
    """Say whether the backward pass is the derivative of this forward pass: as was measured."""
    if not own or not any(name.startswith("d") for name in faulty):
        return
    wrong = "y" in faulty
    forward = f"forward is {'wrong' if wrong else 'right'}"
    apart = [name for name, is_ in own.items() if not is_]
    modelled = wrong and found.backward == () and found.gradients in _GRADIENTS
    if not apart and modelled:
        # Where both are near, differences alone do not tell them apart; the model does.
        yield f"{forward}; {_GRADIENTS[found.gradients]}"
        return
    if not apart:
        yield f"{forward}; backward is the derivative of this forward pass"
        return
    names = "backward" if len(apart) == len(own) else listed(apart)
    said = f"{forward}; {names} {'are' if names.count(' and ') else 'is'} not its derivative"
    if modelled:
        said += f": {_GRADIENTS[found.gradients]}"
    yield said


def _when(
    found: Found,
    when: Mapping[str, Condition],
    told: Condition | None,
    seen: Sequence[SeenLayer],
) -> Iterable[str]:
    if not found.nothing:
        if told is None:
            yield "wherever this differs from what is due"
        else:
            yield str(told)
    said: dict[str, list[str]] = {}
    for name, condition in when.items():
        said.setdefault(str(condition), []).append(name)
    for words, names in said.items():
        yield f"{listed(names)}: {words}"
    off = sum(any(one.wrong.values()) for one in seen)
    yield f"{COUNTED}{off} of {len(seen)} cases that were asked"
