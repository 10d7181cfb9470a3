"""Says what a layer computes instead of what it should: steps beside the due ones, in words."""

from collections.abc import Iterable, Mapping, Sequence

from conformance.diagnosis.conditions import ALWAYS, Condition
from conformance.diagnosis.layers.asking import SeenLayer
from conformance.diagnosis.layers.search import APART, VALUES, Found
from conformance.diagnosis.sentences import Said, listed

_GRADIENTS: Mapping[str, str] = {
    APART: "forward is wrong; backward is the derivative of the due forward pass",
    VALUES: "forward is wrong; backward differentiates the due step, at the values of this one",
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
    what = (*_what(found, faulty), *_own(own))
    return Said(what, (where,), tuple(_when(found, when, told, answered)))


def _what(found: Found, faulty: Sequence[str]) -> Iterable[str]:
    for one in (*(found.forward or ()), *(found.moving or ()), *(found.backward or ())):
        due = f"   due {one.instead}" if one.instead else ""
        yield f"{one.words}{due}   ({one.clause})"
    if found.forward:
        gradients = any(name.startswith("d") for name in faulty)
        if found.backward == () and found.gradients in _GRADIENTS:
            yield _GRADIENTS[found.gradients]
        elif found.backward == () and gradients:
            yield "forward is wrong; backward is the derivative of this forward pass"
    elif found.forward == () and found.backward:
        yield "forward is right; backward is not its derivative"
    unknown = [name for name in faulty if not found.tells(name)]
    if unknown:
        yield f"{listed(unknown)}: no step was found that gives the answers"


def _own(own: Mapping[str, bool]) -> Iterable[str]:
    for is_, words in ((False, "not the derivative"), (True, "the derivative")):
        names = [name for name, value in own.items() if value is is_]
        if names:
            yield f"{listed(names)}: {words} of its own forward pass"


def _when(
    found: Found,
    when: Mapping[str, Condition],
    told: Condition | None,
    seen: Sequence[SeenLayer],
) -> Iterable[str]:
    if not found.nothing:
        if told is None:
            yield "wherever this gives another answer than what is due"
        else:
            yield "always" if told is ALWAYS else str(told)
    said: dict[str, list[str]] = {}
    for name, condition in when.items():
        words = "always" if condition is ALWAYS else str(condition)
        said.setdefault(words, []).append(name)
    for words, names in said.items():
        yield f"{listed(names)}: {words}"
    off = sum(any(one.wrong.values()) for one in seen)
    yield f"wrong in {off} of {len(seen)} cases that were asked"
