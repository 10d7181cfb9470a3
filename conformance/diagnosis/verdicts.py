"""What is wrong with one call: asked, examined, and put into the labels that conditions are about.

Right is what the suite calls right: equality where sums are exact, the derived bound elsewhere. It
knows no kind, and counts nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.bounds.expected import Expected
from conformance.cases.case import Array
from conformance.claims.loading import Judged
from conformance.judging.ask import Answer, ask
from conformance.judging.examine import compare

RAISES, DIES = "raises", "gives no answer"
_LATER = "a later call writes into"


@dataclass(frozen=True)
class Verdict:
    """One call, and what came of it.

    Attributes
    ----------
    answer : Answer
        What was answered.
    due : mapping of str to Expected
        What was due.
    labels : frozenset of str
        What is wrong: names of results whose values are, and words for all else.
    raised : str
        What was raised.
    """

    answer: Answer
    due: Mapping[str, Expected]
    labels: frozenset[str] = field(default=frozenset())

    @property
    def raised(self) -> str:
        """What was raised in the place of a result."""
        return self.answer.raised


def verdict(
    judged: Judged,
    case: Any,
    values: Mapping[str, Array],
    function: str,
    due: Mapping[str, Expected] | None = None,
    **how: Any,
) -> Verdict:
    """Ask one function of a case, in the manner of `ask`, and say what is wrong.

    Parameters
    ----------
    judged : Judged
        The implementation.
    case : Case
        Geometry and sizes.
    values : mapping of str to ndarray
        Operands.
    function : str
        "forward" or "backward".
    due : mapping, optional
        What is expected, where it is known already; of results that it lacks no value is looked at.
    **how
        As of `ask`: `again`, `page`, `forked`, options of the call.
    """
    kind, claimed = judged.kind, judged.capabilities
    answer = ask(judged, case, values, functions=(function,), **how)
    labels = set()
    if answer.raised:
        labels.add(RAISES)
    if answer.died:
        labels.add(DIES)
    labels |= {label for one in answer.findings for label in _labels(one.words)}
    labels |= {f"{function} changes {one}" for one in answer.left}
    labels |= {_overwritten(one) for one in answer.overwritten}
    if not answer.results:
        return Verdict(answer, due or {}, frozenset(labels))
    due = kind.expected(case, values, claimed) if due is None else due
    format_ = claimed.arithmetic(case.dtype).result
    wanted = kind.recipe_of(case).decides
    for name, array in answer.results.items():
        if name not in due or (wanted and name not in wanted):
            continue
        if compare(array, due[name], format_)[1] is not None:
            labels.add(name)
    return Verdict(answer, due, frozenset(labels))


def expected(judged: Judged, case: Any, values: Mapping[str, Array]) -> Mapping[str, Expected]:
    """Give what is due."""
    found: Mapping[str, Expected] = judged.kind.expected(case, values, judged.capabilities)
    return found


def _labels(words: str) -> set[str]:
    """Give the labels of a finding of form or memory."""
    if " was modified by " in words:
        names, _, function = words.partition(" was modified by ")
        return {f"{function} writes into {name}" for name in names.split(", ")}
    return {label} if (label := _label(words)) else set()


def _label(words: str) -> str:
    """Give the words of a finding, without what changes from case to case."""
    if words.startswith("results share memory: "):
        result, _, other = words.removeprefix("results share memory: ").partition(" with ")
        return f"{result} lies in the memory of {other}"
    if " must be of shape " in words:
        return words.partition(" must be ")[0] + " is of another shape than is due"
    if " must be of dtype " in words:
        name, got = words.partition(" must be ")[0], words.rpartition(" ")[2]
        return of_dtype(name, got)
    if " must be a NumPy array" in words:
        return words.replace(" must be a NumPy array, got ", " is no NumPy array but ")
    return words if words.startswith("results of ") else ""


def of_dtype(result: str, dtype: str) -> str:
    """Give the label of a result that is of a format that is not due."""
    return f"{result} is of dtype {dtype} where another is due"


def _overwritten(said: str) -> str:
    return f"{_LATER} {said.partition(' ')[0]} of an earlier one"


def is_overwriting(label: str) -> bool:
    """Tell whether a label is about results of earlier calls."""
    return label.startswith(_LATER)
