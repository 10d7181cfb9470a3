"""Asks an implementation a case: calls it, and looks at what it did to memory.

Pure in this sense: it gives an answer and findings about its form; what its values should be is
not known here, and nothing is counted.
"""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.claims.loading import Judged
from conformance.claims.program import DiedError, RefusedError
from conformance.judging.examine import Finding
from conformance.judging.kind import FUNCTIONS, MalformedError
from conformance.judging.memory import Guarded, poison

# From so many elements on a failure to allocate is no fault, but a limit that is reported.
_LARGE = 1 << 16


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
    """

    results: dict[str, Array] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def ask(
    judged: Judged,
    case: Any,
    values: Mapping[str, Array],
    *,
    functions: Collection[str] = FUNCTIONS,
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
        Operands, which are handed over between guards.
    functions : collection of str
        "forward", "backward" or both.
    **options
        Keyword arguments in the place of the case's.

    Raises
    ------
    NotRunError
        A large result cannot be allocated.
    """
    answer = Answer()
    for function in (name for name in FUNCTIONS if name in functions):
        _ask(judged, function, case, values, options, answer)
    return answer


def _ask(
    judged: Judged,
    function: str,
    case: Any,
    values: Mapping[str, Array],
    options: Mapping[str, Any],
    answer: Answer,
) -> None:
    kind, rules = judged.kind, judged.kind.rules
    guarded = Guarded(dict(values))
    due = kind.shapes(function, case, values, judged.capabilities)
    poison(due, guarded.arrays["x"].dtype)
    arguments, keywords = kind.arguments(function, case, guarded.arrays)
    if options:
        keywords = dict(options)
    try:
        returned = call(judged.implementation, function, arguments, keywords)
        results = kind.unpack(function, returned, judged.capabilities)
    except MalformedError as error:
        answer.findings.append(Finding((rules.shape,), str(error), alone=True))
        return
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever its class, it is the implementation's
        if _cannot_allocate(error) and sum(a.size for a in values.values()) >= _LARGE:
            raise NotRunError(f"{function} could not allocate its memory: {error}") from error
        answer.findings.append(_raised(rules, function, case, error))
        return
    if changed := guarded.changed():
        words = f"{', '.join(changed)} was modified by {function}"
        answer.findings.append(Finding((rules.memory,), words))
    answer.results |= _well_formed(judged, function, case, results, due, answer)
    held = {name: array for name, array in results.items() if isinstance(array, np.ndarray)}
    for result, operand in guarded.shared(held):
        if not kind.may_share(case, result, operand):
            words = f"results share memory: {result} with {operand}"
            answer.findings.append(Finding((rules.memory,), words, result=result))


def call(
    implementation: Any, function: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Call a function of an implementation; what it leaves set does not reach the judge."""
    with warnings.catch_warnings(), np.errstate():
        # That NumPy warns of NaN or overflow breaks no clause.
        warnings.simplefilter("ignore")
        return getattr(implementation, function)(*arguments, **keywords)


def _raised(rules: Any, function: str, case: Any, error: BaseException) -> Finding:
    clause = rules.empty if case.batch == 0 else rules.raises[function]
    # What a program behind a pipe raised it says itself; that it died is no refusal.
    kind = "" if isinstance(error, RefusedError | DiedError) else f"{type(error).__name__}: "
    verb = "gave no answer:" if isinstance(error, DiedError) else "raised"
    return Finding(
        (clause,),
        f"{function} {verb} {kind}{_first_line(error)}",
        refusal=not isinstance(error, DiedError),
        alone=True,
        details=(f"{kind}{error}",),
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return lines[0][:160]


def _cannot_allocate(error: BaseException) -> bool:
    """Tell the frameworks' words for memory that is not to be had."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or any(
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
    if set(results) != set(due):
        missing = ", ".join(sorted(set(due) - set(results))) or "none"
        surplus = ", ".join(sorted(map(str, set(results) - set(due)))) or "none"
        words = f"results of {function}: {missing} missing, {surplus} too many"
        answer.findings.append(Finding((rules.shape,), words, alone=True))
    for name in (name for name in due if name in results):
        array = results[name]
        if not isinstance(array, np.ndarray):
            clause, words = rules.dtype[function], f"a NumPy array, got {type(array).__name__}"
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
