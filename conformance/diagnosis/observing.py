"""Observations of behaviour, and the conditions under which something is wrong with it.

An observation is a row of attributes and the labels of what was wrong. The simplest condition that
separates is taken for each label, and must foretell observations that took no part in finding it.
How observations are made is not known here.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.diagnosis import model
from conformance.diagnosis.attributes import Row, of_values
from conformance.diagnosis.conditions import Condition, nearly, separating
from conformance.diagnosis.expressions import Column
from conformance.words import listed

# Labels of which conditions are looked for; fresh observations that are to be foretold.
_LABELS, FORETOLD = 6, 240
# Where a fault is rare, so many times as many are asked, until enough of them are wrong.
_MORE = 4
# The word of an attribute of an operand that a call does not have.
LACKS = "no"
# Of what is foretold; below it an explanation is a hint.
SURE = 0.95
# Wrong ones that must be among what it is tested by, or half of all where few are asked.
FEWEST = 5
# Rounds of learning from what was not foretold, before it is tested; and how often it is tested
# and learned from that, until which share of the time, and until which the last test lasts.
_ROUNDS = 4
TURNS, _LATE, _TESTED = 4, 0.8, 0.95


# Up to this cost of a condition nothing else is thought of; what is asked late is so much dearer.
_PLAIN, _FURTHER = 5.0, 1.0


# How the line begins that counts what was asked.
COUNTED = "wrong in "


class Observed(NamedTuple):
    """What was seen once: its attributes, what was wrong, and all that belongs to it."""

    row: Row
    labels: frozenset[str]
    about: Any = None
    # Attributes that are asked only where the others do not separate.
    more: Row = {}  # noqa: RUF012
    # Labels that could not show here, if they are not there.
    moot: frozenset[str] = frozenset()

    @property
    def whole(self) -> Row:
        """All attributes."""
        return self.row | self.more


class Learned(NamedTuple):
    """What was found, in sentences, and how far it was tested."""

    what: tuple[str, ...]
    where: tuple[str, ...]
    when: tuple[str, ...]
    foretold: int
    asked: int
    faulty: int
    # Of the wrong ones so many were foretold.
    caught: int
    exact: bool = False
    # A condition grants chance: it must have foretold all.
    granting: bool = False
    # Too few of what was asked could show anything.
    scant: bool = False

    @property
    def certain(self) -> bool:
        """Whether enough was foretold, of the wrong answers too."""
        if self.scant or (self.granting and self.foretold < self.asked):
            return False
        enough = self.foretold >= SURE * self.asked and self.caught >= SURE * self.faulty
        return bool(self.faulty) and enough

    @property
    def share(self) -> float:
        """How much was foretold."""
        return self.foretold / max(self.asked, 1)


@dataclass(frozen=True)
class Rule:
    """When a label is there: of calls of one function, or of all."""

    condition: Condition
    function: str = ""

    def holds(self, row: Row) -> bool:
        """Evaluate it on one row."""
        if self.function and row.get("function") != self.function:
            return False
        return holds(self.condition, row)


@dataclass
class Rules:
    """When each label is there."""

    conditions: dict[str, Rule] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def of_the_case_alone(self, seen: Sequence[Observed]) -> bool:
        """Tell whether none of the conditions speaks of what is asked first."""
        first = {name for one in seen[:1] for name in one.row} - {"function"}
        return not any(first & rule.condition.formula.atoms for rule in self.conditions.values())

    def foretells(self, one: Observed) -> bool:
        """Tell whether the labels of an observation are those that are due to it."""
        if one.labels & self.unknown:
            return False
        row = one.whole
        said = {label for label, rule in self.conditions.items() if rule.holds(row)}
        return said - (one.moot - one.labels) == set(one.labels)


def attributes_of(case: Any, values: Mapping[str, Array] | None = None) -> Row:
    """Give the attributes of a case of either kind, and of its values."""
    if isinstance(case, OperatorCase):
        return model.attributes_of(case, values or {})
    row: Row = of_values(values) if values else {}
    for one in (case, getattr(case, case.part)):
        for name in (entry.name for entry in fields(one)):
            value = getattr(one, name)
            if name not in {case.part, "seed"}:
                # An epsilon is one of a few kinds, and no size.
                plain = isinstance(value, int) and not isinstance(value, bool)
                row[name] = value if plain else str(value)
    return row


def holds(condition: Condition, row: Row) -> bool:
    """Evaluate a condition on one row; what a call lacks has no attribute."""
    columns = defaultdict[str, Column](lambda: np.array([LACKS]))
    columns |= {name: np.array([value]) for name, value in row.items()}
    return bool(condition(columns)[0])


def columns_of(rows: Sequence[Row]) -> dict[str, Column]:
    """Give rows as columns; calls of some layers lack operands that others have."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, LACKS) for row in rows]) for name in names}


def learned_rules(seen: Sequence[Observed]) -> Rules:
    """Find the simplest condition of each label that was seen."""
    counts = Counter(label for one in seen for label in one.labels)
    rules, found = Rules(), dict[tuple[str, bytes], Condition | None]()
    for label, _ in counts.most_common(_LABELS):
        function, own = _own(label, seen)
        cared = [one for one in own if label in one.labels or label not in one.moot]
        wrong = np.array([label in one.labels for one in cared])
        key = function, bytes(label in one.moot for one in own) + wrong.tobytes()
        if key not in found:
            found[key] = _simplest(cared, wrong)
        condition = found[key]
        if condition is None:
            rules.unknown.add(label)
        else:
            rules.conditions[label] = Rule(condition, function)
    rules.unknown |= {label for label, _ in counts.most_common()[_LABELS:]}
    return rules


def joint_rules(seen: Sequence[Observed]) -> Rules | None:
    """Find one condition for all labels, if one is enough: more was observed of it than of each."""
    faulty: dict[str, set[str]] = {}
    for one in seen:
        faulty.setdefault(str(one.row.get("function", "")), set()).update(one.labels)
    if len(set().union(*faulty.values())) < 2:
        return None
    cared = [
        one for one in seen if one.labels or faulty[str(one.row.get("function", ""))] - one.moot
    ]
    condition = _simplest(cared, np.array([bool(one.labels) for one in cared]))
    if condition is None:
        return None
    labels = [(label, function) for function, own in faulty.items() for label in own]
    return Rules({label: Rule(condition, function) for label, function in labels})


# For each observation that has a label so many may lack it by chance.
SELDOM = 0.15


def learned_nearly(seen: Sequence[Observed]) -> Rules:
    """Find conditions, and where none separates one that holds hardly anywhere else."""
    rules = learned_rules(seen)
    for label in sorted(rules.unknown):
        if (rule := _nearly(label, seen, SELDOM)) is not None:
            rules.conditions[label] = rule
            rules.unknown.discard(label)
    return rules


# So much dearer a condition is that was fitted to what is right by chance.
_FITTED = 2.0


def with_chance(rules: Rules, seen: Sequence[Observed], share: float) -> Rules:
    """Give conditions of labels that are missing by chance where they might be, that often at most.

    A condition that separates exactly has been fitted to chance where a much simpler one hardly
    separates less.

    Parameters
    ----------
    rules : Rules
        What was learned of other labels.
    seen : sequence of Observed
        From what.
    share : float
        For each observation with a label so many without it may be where the condition holds.
    """
    found = Rules(dict(rules.conditions), set(rules.unknown))
    for label in sorted({*rules.unknown, *rules.conditions}):
        rule, exact = _nearly(label, seen, share), rules.conditions.get(label)
        if rule is not None and (
            exact is None or rule.condition.cost + _FITTED <= exact.condition.cost
        ):
            found.conditions[label] = rule
            found.unknown.discard(label)
    return found


def _nearly(label: str, seen: Sequence[Observed], share: float) -> Rule | None:
    function, own = _own(label, seen)
    cared = [one for one in own if label in one.labels or label not in one.moot]
    wrong = np.array([label in one.labels for one in cared])
    condition = nearly(columns_of([one.whole for one in cared]), wrong, share)
    return None if condition is None else Rule(condition, function)


def _own(label: str, seen: Sequence[Observed]) -> tuple[str, list[Observed]]:
    """Give the one function of which calls have a label, if it is one, and its observations."""
    functions = {str(one.row.get("function", "")) for one in seen if label in one.labels}
    if len(functions) > 1 or functions == {""}:
        return "", list(seen)
    function = functions.pop()
    return function, [one for one in seen if one.row.get("function") == function]


def _simplest(cared: Sequence[Observed], wrong: Any) -> Condition | None:
    """Find the simplest condition, on what is asked first before all else."""
    found: Condition | None = None
    for rows in ([one.row for one in cared], [one.whole for one in cared]):
        listed_ = separating(columns_of(rows), wrong, 8) if rows[0] else []
        if listed_ and (found is None or listed_[0].cost + _FURTHER < found.cost):
            found = listed_[0]
        if found is not None and found.cost <= _PLAIN:
            break
    return found


def learn(
    observations: Iterator[Observed], number: int, stop: float
) -> tuple[Rules, list[Observed]]:
    """Observe, learn conditions, and learn from what they do not foretell.

    Parameters
    ----------
    observations : iterator of Observed
        As many as are wanted.
    number : int
        How many to begin with.
    stop : float
        When to end, as `time.perf_counter` counts.
    """
    seen = list(until(observations, number, stop))
    rules = learned_rules(seen) if seen else Rules()
    if not any(one.labels for one in seen):
        return rules, seen
    for _ in range(_ROUNDS):
        more = list(until(observations, number, stop))
        seen += more
        if not more or all(map(rules.foretells, more)):
            break
        rules = learned_rules(seen)
    return rules, seen


def counted(foretold: Sequence[bool], asked: Sequence[Observed]) -> tuple[int, int, int, int]:
    """Count what was foretold, what was asked, what of it was wrong, and foretold to be so."""
    off = [right for right, one in zip(foretold, asked, strict=True) if one.labels]
    return sum(foretold), len(asked), len(off), sum(off)


def shares(start: float, seconds: float) -> Callable[[float], float]:
    """Give what tells when a share of the seconds is over; half a second there is always."""

    def stop(share: float) -> float:
        return max(start + share * seconds, time.perf_counter() + 0.5)

    return stop


def until(observations: Iterator[Observed], number: int, stop: float) -> Iterator[Observed]:
    """Give so many observations, or fewer when the time is over."""
    for count, one in enumerate(observations, 1):
        yield one
        if count >= number or time.perf_counter() > stop:
            return


def put_to_test(
    observations: Iterator[Observed], stop: float, number: int = FORETOLD
) -> list[Observed]:
    """Give so many observations to test by, and more where few of them are wrong."""
    taken, off = list[Observed](), 0
    for one in until(observations, _MORE * number, stop):
        taken.append(one)
        off += bool(one.labels)
        if len(taken) >= number and off >= FEWEST:
            break
    return taken


class Tested(NamedTuple):
    """Conditions, what they were learned from, and the fresh observations that tested them."""

    rules: Rules
    seen: list[Observed]
    fresh: list[Observed]
    foretold: list[bool]


def put_to_tests(
    observed: Callable[[int], Iterator[Observed]],
    rules: Rules,
    seen: Sequence[Observed],
    until_: Callable[[float], float],
    *,
    turns: int = TURNS,
    learned: Callable[[Sequence[Observed]], Rules] = learned_rules,
) -> Tested:
    """Put conditions to fresh observations; from those that contradict is learned, others test.

    Parameters
    ----------
    observed : callable
        Gives of the number of a turn observations that no other turn makes.
    rules, seen : Rules, sequence of Observed
        What was learned, and from what.
    until_ : callable
        As `shares` gives it.
    turns : int
        How often at most.
    learned : callable
        Gives the conditions of what was observed.
    """
    seen, before = list(seen), list[Observed]()
    for turn in range(turns):
        late = until_(_LATE)
        # What is learned again stands by all its tests.
        fresh = before + put_to_test(observed(turn), until_(_TESTED))
        foretold = [rules.foretells(one) for one in fresh]
        if all(foretold) or turn == turns - 1 or time.perf_counter() > late:
            break
        seen += fresh[len(before) :]
        last, rules = rules, learned(seen)
        before = fresh if rules == last else []
    return Tested(rules, seen, fresh, foretold)


def whens(rules: Rules, seen: Sequence[Observed]) -> tuple[str, ...]:
    """Say when each label is there, and in how many cases."""
    said: dict[str, list[str]] = {}
    for label, rule in rules.conditions.items():
        said.setdefault(str(rule.condition), []).append(label)
    lines = [
        words if len(said) == 1 and not rules.unknown else f"{listed(labels)}: {words}"
        for words, labels in said.items()
    ]
    lines += [f"{one}: no simple condition was found" for one in sorted(rules.unknown)]
    off = sum(bool(one.labels) for one in seen)
    return (*lines, f"{COUNTED}{off} of {len(seen)} calls that were observed")


def results_of(labels: Iterable[str], names: Mapping[str, Any]) -> list[str]:
    """Give the results among labels, in their order."""
    found = set(labels)
    return [name for name in names if name in found]
