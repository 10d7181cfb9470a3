"""Manners of asking: what a call changes, shares, remembers and assumes.

Each is put to an implementation as any other question is, and what it gives is compared. Nothing
is judged here.
"""

import numpy as np

from conformance.cases.views import reversed_, transposed
from conformance.diagnosis.answers import Outcome, Question, differing


def repeated(question: Question) -> Outcome:
    """The second answer to the same question."""
    question.ask()
    return question.ask()


def kept(question: Question) -> Outcome:
    """Whether first results stay what they are when something else is asked."""
    results = question.ask()
    _, replies = question.other.look()
    written = {name.partition(" ")[0] for reply in replies for name in reply.overwritten}
    return {f"{name} stays": name not in written for name in results}


def after_another(question: Question) -> Outcome:
    """The answer after one to other values of the same shapes."""
    question.other.ask()
    return question.ask()


def in_the_same_memory(question: Question) -> Outcome:
    """The answer to other values in the memory of the operands before."""
    question.ask()
    return question.ask(question.other.values, again=True)


def of_the_same_sum(question: Question) -> Outcome:
    """The answer to the same values in the reverse order, after one to them in this order."""
    question.ask()
    return question.ask({name: np.flip(array).copy() for name, array in question.values.items()})


def after_a_forward(question: Question) -> Outcome:
    """Gradients after a forward call on other values."""
    question.other.ask(functions=("forward",))
    return question.ask(functions=("backward",))


def after_other_sizes(question: Question) -> Outcome:
    """The answer after one to a larger image and to a larger batch."""
    kind, case = question.judged.kind, question.case
    larger = kind.enlarged(case, (12, 10), question.judged.capabilities)
    for changed in (larger, case.changed(batch=case.batch + 2)):
        Question(question.judged, changed).ask()
    return question.ask()


def on_views(question: Question) -> Outcome:
    """The answer on transposed operands, which lie otherwise in memory."""
    return question.ask({name: transposed(array) for name, array in question.values.items()})


def on_reversed_views(question: Question) -> Outcome:
    """The answer on operands that lie backwards in memory."""
    return question.ask({name: reversed_(array) for name, array in question.values.items()})


def memory(question: Question) -> Outcome:
    """Which operands are changed, and which results lie in the memory of operands."""
    values = question.values
    got, replies = question.look(values)
    modified = {name for reply in replies for name in reply.modified}
    shared = {pair for reply in replies for pair in reply.shared}
    outcome: Outcome = {f"{name} kept": name not in modified for name in values}
    for result in got:
        for name in values:
            if not question.judged.kind.may_share(question.case, result, name):
                outcome[f"{result} apart from {name}"] = (result, name) not in shared
    return outcome


def varies(question: Question) -> Outcome:
    """Whether twelve answers agree."""
    first = question.ask()
    return {"repeats": not any(differing(first, question.ask()) for _ in range(11))}
