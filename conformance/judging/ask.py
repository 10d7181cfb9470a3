"""Asks an implementation a case, and looks at the form of its answer and at what it did to memory.

Pure in this sense: it gives an answer and findings about its form; what its values should be is
not known here, and nothing is counted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.cases.case import Array
from conformance.claims.loading import Judged
from conformance.claims.program import DiedError, printable
from conformance.judging.examine import Finding
from conformance.judging.kind import FUNCTIONS
from conformance.worker.host import Call, Form, Reply
from conformance.worker.memory import layout_of

# From so many elements on a failure to allocate is no fault, but a limit that is reported.
_LARGE = 1 << 16
# Of what judged code says, a first line of so many characters is shown.
_SHOWN = 160


class NotRunError(Exception):
    """Something could not be run, which is no fault of the implementation."""


@dataclass
class Answer:
    """What an implementation answered.

    Attributes
    ----------
    results : dict
        Well-formed results by name.
    findings : list of Finding
        What was raised, misshapen, written or shared.
    raised : str
        What was raised.
    overwritten : list of str
        Results of earlier calls that were written since.
    left : list of str
        What of the process the call changed.
    refused : list of str
        What the code tried and may not do.
    held : dict of str to int
        What the process holds after the last of the calls, if that was asked.
    died : bool
        It gave no answer at all.
    tolerated : int
        Functions that refused the case, and may.
    """

    results: dict[str, Array] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    raised: str = ""
    overwritten: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    died: bool = False
    tolerated: int = 0


def ask(
    judged: Judged,
    case: Any,
    values: Mapping[str, Array],
    *,
    functions: Collection[str] = FUNCTIONS,
    again: bool = False,
    page: str = "",
    forked: bool = False,
    counted: bool = False,
    backward_first: bool = False,
    **options: Any,
) -> Answer:
    """Call an implementation on a case.

    Parameters
    ----------
    judged : Judged
        The implementation.
    case : Case
        What is called; it names the call's options.
    values : mapping of str to ndarray
        Operands; a view is handed over as such a view, between guards.
    functions : collection of str
        "forward", "backward" or both, or of those that the kind has further.
    again : bool
        In the memory in which the operands of the call before lay.
    page : str
        "begins" or "ends": each operand begins or ends at a page that nobody may touch;
        "read-only": it lies on pages that cannot be written.
    forked : bool
        In a forked child.
    counted : bool
        Whether to count afterwards what the process holds.
    backward_first : bool
        Whether backward is called before forward.
    **options
        Keyword arguments in the place of the case's.

    Raises
    ------
    NotRunError
        A large result cannot be allocated.
    """
    answer = Answer()
    for function in (*FUNCTIONS[:: -1 if backward_first else 1], *judged.kind.further):
        if function not in functions or not judged.kind.has(function, judged.capabilities):
            continue
        call = call_of(judged, function, case, values, options, again=again, page=page)
        call.forked, call.counted = forked, counted
        try:
            reply = judged.host.call(call)
        except DiedError as error:
            answer.findings.append(_died(judged, function, case, error))
            answer.died = True
            return answer
        _read(judged, function, case, values, reply, answer)
    return answer


def ask_together(
    judged: Judged, asked: Sequence[tuple[Any, Mapping[str, Array]]], function: str, rounds: int
) -> list[list[Answer]]:
    """Call an implementation on several cases at once, each in a thread, so many times each."""
    calls = [call_of(judged, function, case, values, {}) for case, values in asked]
    try:
        replies = judged.host.together(calls, rounds)
    except DiedError as error:
        case, _ = asked[0]
        return [[Answer(findings=[_died(judged, function, case, error)], died=True)]]
    answers = []
    for (case, values), listed in zip(asked, replies, strict=True):
        answers.append([Answer() for _ in listed])
        for reply, answer in zip(listed, answers[-1], strict=True):
            _read(judged, function, case, values, reply, answer)
    return answers


def ask_faulty(
    judged: Judged,
    function: str,
    case: Any,
    operands: Mapping[str, Array],
    options: Mapping[str, Any],
) -> Answer:
    """Put a call to an implementation that it should refuse; say what it raised.

    Raises
    ------
    CannotCarryError
        The call cannot be put to it.
    """
    layouts = {name: how for name, array in operands.items() if (how := layout_of(array))}
    call = Call(judged.kind.request(function), operands, options, layouts)
    try:
        reply = judged.host.call(call)
    except DiedError as error:
        return Answer(findings=[_died(judged, function, case, error)], died=True)
    return Answer(raised=_words(reply.raised), refused=reply.refused)


def call_of(
    judged: Judged,
    function: str,
    case: Any,
    values: Mapping[str, Array],
    options: Mapping[str, Any],
    *,
    again: bool = False,
    page: str = "",
) -> Call:
    """Give the call of a function on a case."""
    kind = judged.kind
    due = kind.shapes(function, case, values, judged.capabilities)
    operands, usual = kind.arguments(function, case, values)
    where = {"page": page} if page else {}
    layouts = {n: how for n, array in operands.items() if (how := layout_of(array) | where)}
    shapes = [list(shape) for shape in due.values()]
    return Call(kind.request(function), operands, options or usual, layouts, shapes, again)


def _read(
    judged: Judged,
    function: str,
    case: Any,
    values: Mapping[str, Array],
    reply: Reply,
    answer: Answer,
) -> None:
    """Take what a reply says into an answer."""
    kind, rules = judged.kind, judged.kind.rules
    answer.refused += reply.refused
    answer.overwritten += reply.overwritten
    answer.left += reply.left
    answer.held = reply.held
    if reply.raised:
        answer.raised = _words(reply.raised)
        if _cannot_allocate(reply.raised) and sum(a.size for a in values.values()) >= _LARGE:
            raise NotRunError(f"{function} could not allocate its memory: {answer.raised}")
        if _tolerated(judged, case, reply.raised):
            answer.tolerated += 1
            return
        answer.findings.append(_raised(rules, function, case, reply.raised))
        return
    if reply.modified:
        words = f"{', '.join(reply.modified)} was modified by {function}"
        answer.findings.append(Finding((rules.memory,), words))
    due = kind.shapes(function, case, values, judged.capabilities)
    answer.results |= _well_formed(judged, function, case, reply.results, due, answer)
    for result, operand in reply.shared:
        if result in due and not kind.may_share(case, result, operand):
            words = f"results share memory: {result} with {operand}"
            answer.findings.append(Finding((rules.memory,), words, result=result))


def _raised(rules: Any, function: str, case: Any, raised: tuple[str, ...]) -> Finding:
    said = _words(raised)
    if raised[0] == "ReturnError":
        return Finding((rules.shape,), printable(raised[1]), alone=True)
    clause = rules.empty if case.batch == 0 else rules.raises[function]
    words = f"{function} raised {(said.splitlines() or [''])[0][:_SHOWN]}"
    return Finding((clause,), words, refusal=True, alone=True, details=tuple(said.splitlines()))


def _tolerated(judged: Judged, case: Any, raised: tuple[str, ...]) -> bool:
    """Tell whether a case may be refused, and was: in words, by what is no fault of its form."""
    refused = raised[0] != "ReturnError" and bool(raised[1].strip())
    return refused and judged.kind.may_refuse(case, judged.capabilities)


def _died(judged: Judged, function: str, case: Any, error: DiedError) -> Finding:
    rules = judged.kind.rules
    clause = rules.empty if case.batch == 0 else rules.raises[function]
    first, *rest = printable(str(error)).splitlines()
    words = f"{function} gave no answer: {first}"
    return Finding((clause,), words, alone=True, died=True, details=tuple(rest))


def _words(raised: tuple[str, ...]) -> str:
    return printable(": ".join(filter(None, (raised[0], raised[1].strip())))) if raised else ""


def _cannot_allocate(raised: tuple[str, ...]) -> bool:
    """Tell the frameworks' words for memory that is not to be had."""
    words = raised[1].lower()
    return "MemoryError" in raised[0] or any(
        known in words
        for known in ("resource_exhausted", "out of memory", "can't allocate memory", "oom when")
    )


def _well_formed(
    judged: Judged,
    function: str,
    case: Any,
    results: Mapping[str, Any],
    due: Mapping[str, tuple[int, ...]],
    answer: Answer,
) -> dict[str, Array]:
    """Give the results that are arrays of the due name, shape and dtype; note the others."""
    rules = judged.kind.rules
    dtype = judged.capabilities.arithmetic(case.dtype).result.dtype
    found: dict[str, Array] = {}
    surplus = set(results) - set(due) - judged.kind.optional
    if surplus or set(due) - set(results):
        lacking = ", ".join(sorted(set(due) - set(results))) or "none"
        said = printable(", ".join(sorted(surplus))) or "none"
        words = f"results of {function}: {lacking} missing, {said} too many"
        answer.findings.append(Finding((rules.shape,), words, alone=True))
    for name in (name for name in due if name in results):
        array = results[name]
        if isinstance(array, Form) and (array.type != "ndarray" or array.dtype == str(dtype)):
            clause, words = rules.dtype[function], f"a NumPy array, got {printable(array.type)}"
        elif array.shape != due[name]:
            clause, words = rules.shape, f"of shape {due[name]}, got {array.shape}"
        elif array.dtype != dtype:
            clause, words = rules.dtype[function], f"of dtype {dtype}, got {array.dtype}"
        else:
            found[name] = array
            continue
        clause = rules.empty if case.batch == 0 else clause
        answer.findings.append(
            Finding((clause,), f"{name} must be {words}", result=name, alone=True)
        )
    return found
