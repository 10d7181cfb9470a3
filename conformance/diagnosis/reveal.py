"""Reveals the arithmetic of an implementation: what it does to numbers, and what it may declare.

What is found is a program that foretells answers bit for bit; what it did not foretell of fresh
sums is called a hint. The map, which pixel meets which kernel entry, is taken to be right.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import ACCUMULATORS, FORMATS, MULTIPLIERS
from conformance.claims.loading import Judged
from conformance.diagnosis import described, foretell, trees
from conformance.diagnosis.arithmetic import NEAREST, Arithmetic, chain
from conformance.diagnosis.identify import EXTREME, Identified, factors_of, identify, translated
from conformance.diagnosis.identify import together as asked_together
from conformance.diagnosis.limits import specials
from conformance.diagnosis.probes import order
from conformance.diagnosis.sums import FACTORS, RESULTS, NoAnswerError, Sums, sums_of

# Kernels of 3 x 3 and 7 x 7 taps: sums of 9 and of 49 terms.
SIDES = (3, 7)
_CHOOSING = 14
# Of what becomes of special values so much is said.
_SHOWN = 3


@dataclass(frozen=True)
class Part:
    """The arithmetic of one result.

    Attributes
    ----------
    result : str
        "y", "dx" or "dkernel".
    found : tuple of Identified
        For each number of terms that could be asked.
    large : Identified or None
        In a call of the shape that networks have, where it is another; None: it is the same.
    shape : str
        That shape.
    specials : tuple of str
        What special values become that they should not.
    """

    result: str
    found: tuple[Identified, ...]
    large: Identified | None
    shape: str
    specials: tuple[str, ...]

    @property
    def every(self) -> tuple[Identified, ...]:
        """All that was found."""
        return (*self.found, *(() if self.large is None else (self.large,)))

    @cached_property
    def names(self) -> list[str]:
        """Names of orders that fit every number of terms."""
        listed = [trees.names(one.arithmetic.tree, one.terms) for one in self.found if one.ordered]
        return [name for name in listed[0] if all(name in one for one in listed)] if listed else []

    def arithmetic(self, terms: int) -> Arithmetic | None:
        """Give the arithmetic of so many terms, if it is known."""
        return self._of_terms(self.found, terms)

    def arithmetics(self, terms: int) -> list[Arithmetic]:
        """Give every arithmetic of so many terms: of small calls, and of large ones."""
        large = () if self.large is None else (self.large,)
        listed = (self._of_terms(some, terms) for some in (self.found, large))
        return [one for one in listed if one is not None]

    def _of_terms(self, found: Sequence[Identified], terms: int) -> Arithmetic | None:
        for one in found:
            if one.terms == terms:
                return one.arithmetic
        return _continued(found[0], terms, self.names) if found else None


def _continued(found: Identified, terms: int, names: list[str]) -> Arithmetic | None:
    """Continue what was found of another number of terms, where that is sure."""
    known = found.arithmetic
    tree = trees.built(names[0], terms) if names else None
    if terms <= 2:
        tree = (0, 1) if terms == 2 else 0
    if known.partial is None:
        tree = trees.in_order(range(terms)) if tree is None else tree
    apart = set(range(found.terms)) - known.fused
    plain = not known.fused or apart == {chain(known.tree)[0]}
    if tree is None or known.later or not plain:
        return None
    fused = frozenset(range(terms)) - {chain(tree)[0]} if known.fused else frozenset()
    values: dict[str, Any] = vars(known) | {"tree": tree, "fused": fused}
    return Arithmetic(**values)


@dataclass(frozen=True)
class Found:
    """The arithmetic of an implementation on operands of one format.

    Attributes
    ----------
    judged : Judged
        Whose.
    dtype : str
        The format.
    parts : mapping of str to Part
        By result.
    unasked : mapping of str to str
        Results that could not be asked, and why.
    """

    judged: Judged = field(repr=False)
    dtype: str
    parts: Mapping[str, Part]
    unasked: Mapping[str, str]

    @property
    def asked(self) -> int:
        """How many fresh sums were to be foretold."""
        return sum(one.asked for part in self.parts.values() for one in part.every)

    @property
    def foretold(self) -> int:
        """How many of them were, bit for bit."""
        return sum(one.foretold for part in self.parts.values() for one in part.every)

    @property
    def at_ends(self) -> tuple[int, int]:
        """Of sums of huge and of tiny terms, how many were foretold, and how many were asked."""
        every = [one for part in self.parts.values() for one in part.every]
        return sum(one.at_ends for one in every), EXTREME * len(every)

    @property
    def certain(self) -> bool:
        """Whether every fresh sum was foretold; else what is said is a hint."""
        return all(one.certain for part in self.parts.values() for one in part.every)

    @property
    def declaration(self) -> dict[str, Any]:
        """The tightest declaration that holds, in the terms of capabilities."""
        format_ = FORMATS[self.dtype]
        every = [one for part in self.parts.values() for one in part.every]
        names = [described.declarable(one, format_) for one in every]
        declared: dict[str, Any] = {}
        if all(names) and names:
            declared["accumulator"] = {self.dtype: min(names, key=lambda n: ACCUMULATORS[n].bits)}
        factors = [rounding for one in every for rounding in one.arithmetic.operands]
        bits = min((one.bits for one in factors), default=format_.bits)
        whole = all(one.largest >= format_.largest_exponent for one in factors)
        fitting = [
            name for name, one in MULTIPLIERS.get(self.dtype, {}).items() if one.bits <= bits
        ]
        if bits < format_.bits and whole and fitting:
            declared["multiplier"] = {self.dtype: fitting[0]}
        declared["gradual_underflow"] = not any(one.ends.flushed for one in every)
        return declared

    def of(self, result: str) -> "Found":
        """Give it of one result alone."""
        return replace(self, parts={result: self.parts[result]})

    @property
    def words(self) -> list[str]:
        """What differs from what is due, or declared, in sentences; nothing if nothing does."""
        said: dict[str, list[str]] = {}
        for result, part in self.parts.items():
            for one in part.every:
                for sentence in self._differences(result, one):
                    said.setdefault(sentence, []).append(result)
            if part.specials:
                some = "; ".join(part.specials[:_SHOWN])
                more = len(part.specials) - _SHOWN
                said.setdefault(some + (f"; {more} more" if more > 0 else ""), []).append(result)
        return [
            f"{', '.join(dict.fromkeys(where))}: {sentence}" for sentence, where in said.items()
        ]

    def _differences(self, result: str, one: Identified) -> list[str]:
        """Say what of a result's arithmetic is less than is declared."""
        format_, due = FORMATS[self.dtype], self.judged.capabilities.arithmetic(self.dtype)
        known, said = one.arithmetic, []
        if one.varies:
            return ["the same sums have other answers when they are asked again"]
        if not one.certain:
            share = f"foretold {one.foretold} of {one.asked} sums of {one.terms} terms"
            return [f"hint: no arithmetic that is tried here is its own; the nearest {share}"]
        multiplied = due.multiplier.bits if due.multiplier else format_.bits
        scaled = [described.ends(one_.largest) for one_ in known.operands]
        for name, end in zip(FACTORS[result], scaled, strict=True):
            if end:
                said.append(f"{name} overflows {end}")
        if any(
            one_.bits < multiplied or (one_.largest < format_.largest_exponent and not end)
            for one_, end in zip(known.operands, scaled, strict=True)
        ):
            said.append(f"factors are {described.factors(one, result, format_)}")
        partial = known.partial
        apart = known.product is not None and known.product.bits < due.accumulator.bits
        if apart and (partial is None or partial.bits != getattr(known.product, "bits", 0)):
            said.append(f"products are {described.products(one)}")
        bits = [r.bits for r in (known.partial, *(r for _, r in known.later)) if r is not None]
        if bits and min(bits) < due.accumulator.bits:
            said.append(f"sums are kept {described.sums(known)}")
        if known.partial is not None and (end := described.ends(known.partial.largest)):
            said.append(f"sums overflow {end}")
        truncated = known.partial is not None and known.partial.mode != NEAREST
        if truncated and due.multiplier is None:
            said.append("sums are rounded towards zero")
        last = known.results[-1]
        inexact = known.partial is None or last.bits < known.partial.bits
        odd = len(known.results) > 1 or (last.mode != NEAREST and inexact)
        if odd or known.clips is not None:
            said.append(f"results are {described.results(known)}")
        if due.gradual_underflow and one.ends.flushed:
            said.append(f"subnormal numbers are {described.flushed(one, result)}")
        if said and not one.sure_of_ends:
            said.append(
                f"hint: of {EXTREME} sums of huge and of tiny terms {one.at_ends} were foretold"
            )
        return said

    @property
    def verdict(self) -> list[str]:
        """What to do: declare it, mend it, or nothing."""
        claimed = self.judged.capabilities.arithmetic(self.dtype)
        found, said = self.declaration, []
        if not self.parts:
            return ["nothing was found"]
        if not self.certain:
            return ["hint: not all was foretold, so that nothing is advised"]
        name = found.get("accumulator", {}).get(self.dtype)
        if name is None:
            said.append("mend: no declaration grants how its sums are computed")
        elif ACCUMULATORS[name].bits < claimed.accumulator.bits:
            whole = {**(self.judged.capabilities.accumulator or {}), **found["accumulator"]}
            said.append(f'declare "accumulator": {whole}')
        multiplier = found.get("multiplier")
        if multiplier and claimed.multiplier is None:
            said.append(f'declare "multiplier": {multiplier}')
        if claimed.gradual_underflow and not found["gradual_underflow"]:
            said.append('mend, or declare "gradual_underflow": False')
        said += [f"mend: {one}" for one in self.words if self._undeclarable(one, multiplier)]
        return said or ["nothing to do: it is as declared"]

    def _undeclarable(self, sentence: str, multiplier: Any) -> bool:
        """Whether no declaration grants what a sentence says."""
        what = sentence.partition(": ")[2]
        if what.startswith(("factors are", "sums are rounded towards zero")):
            return not multiplier
        return not what.startswith(
            ("hint:", "products are", "sums are kept", "subnormal numbers are")
        )

    def predict(self, case: OperatorCase, values: Mapping[str, Array]) -> dict[str, Array]:
        """Foretell results bit for bit.

        Parameters
        ----------
        case : OperatorCase
            The call, on operands of this format.
        values : mapping of str to ndarray
            Its operands. Some hundred thousand products take a second.

        Returns
        -------
        dict of str to ndarray
            Results in the format of the results, by name; those are left out whose arithmetic is
            not known for as many terms.
        """
        format_ = FORMATS[self.dtype]
        result = self.judged.capabilities.arithmetic(self.dtype).result
        foretold = {}
        for name, part in self.parts.items():
            where = case.geometry
            known = part.arithmetic(where.members if name == "dkernel" else where.taps)
            if known is not None:
                sums = known.sums(*foretell.terms(case, values, name), format_)
                with np.errstate(over="ignore"):
                    foretold[name] = sums.astype(result.dtype)
        return foretold


def together(found: Iterable[Found]) -> dict[str, Any]:
    """Give the tightest declaration that holds for several formats."""
    declared: dict[str, Any] = {}
    for one in found:
        for entry, value in one.declaration.items():
            if isinstance(value, dict):
                declared[entry] = declared.get(entry, {}) | value
            else:
                declared[entry] = declared.get(entry, True) and value
    return declared


def reveal(
    judged: Judged,
    dtype: str,
    *,
    results: Iterable[str] = RESULTS,
    sides: Iterable[int] = SIDES,
    network: bool = True,
    cases: Mapping[str, OperatorCase] | None = None,
    like: "Found | None" = None,
) -> Found:
    """Find the arithmetic of an operator on operands of a format.

    Parameters
    ----------
    judged : Judged
        The implementation; it is asked some hundred calls.
    dtype : str
        "float16", "bfloat16", "float32" or "float64".
    results : iterable of str
        Of "y", "dx" and "dkernel" those that are asked for.
    sides : iterable of int
        Sums of the squares of these numbers of terms.
    network : bool
        A call of the shape that networks have is asked too.
    cases : mapping of str to OperatorCase, optional
        By result: sums are asked in calls of these shapes alone, in the place of the usual ones.
    like : Found, optional
        What was found of another format: that is tried first, as it may be of this one.

    Returns
    -------
    Found
        What was found, and what could not be asked.
    """
    parts, unasked = dict[str, Part](), {}
    for result in results:
        try:
            if cases:
                likes = _likes(parts, like, result, dtype)
                found = identify(Sums(judged, result, cases[result]), likes)
                special = tuple(specials(Sums(judged, result, cases[result])))
                part: Part | None = Part(result, (found,), None, "", special)
            else:
                likes = _likes(parts, like, result, dtype)
                part = _part(judged, result, dtype, tuple(sides), likes, network=network)
        except NoAnswerError as error:
            unasked[result] = str(error)
            continue
        if part is None:
            unasked[result] = "no geometry that would show it is claimed"
        else:
            parts[result] = part
    return Found(judged, dtype, parts, unasked)


arithmetic_of = reveal


def _likes(
    parts: Mapping[str, Part], other: Found | None, result: str, dtype: str
) -> list[Identified]:
    """Give what was found of other results, or of another format, as it may be of these sums."""
    found = [one for part in parts.values() for one in part.found if one.certain]
    if other is None:
        return found
    own = [other.parts[result]] if result in other.parts else other.parts.values()
    formats = FORMATS[other.dtype], FORMATS[dtype]
    for one in [one for part in own for one in part.found if one.certain]:
        found += translated(one, *formats)
    return found


def _part(
    judged: Judged,
    result: str,
    dtype: str,
    sides: tuple[int, ...],
    likes: Sequence[Identified],
    *,
    network: bool,
) -> Part | None:
    """Find the arithmetic of one result; what is known of others is tried first."""
    asked = [sums_of(judged, result, dtype, side) for side in sides]
    first = next((one for one in asked if one is not None), None)
    if first is None:
        return None
    found: list[Identified] = []
    for sums in asked:
        if sums is not None:
            found.append(identify(sums, [*found[-1:], *likes]))
    large, shape = None, ""
    side = round(first.terms**0.5)
    many = sums_of(judged, result, dtype, side, network=True) if network else None
    if many is not None:
        large, shape = _at_size(many, found[0])
    return Part(result, tuple(found), large, shape, tuple(specials(first)))


def _at_size(sums: Sums, known: Identified) -> tuple[Identified | None, str]:
    """Find the arithmetic of a larger call, where what is known does not foretell it."""
    format_ = FORMATS[sums.case.dtype]
    (answers,) = asked_together(sums, factors_of(sums, format_, _CHOOSING, seed=5))
    same = answers.all_foretold(known.arithmetic, format_)
    # Results of few bits do not show in which order a wide sum was taken; masks do.
    seen = order(sums, format_).tree
    same = same and seen == (known.arithmetic.tree if known.ordered else None)
    shape = "x".join(map(str, sums.case.shapes["x"]))
    return None if same else identify(sums), shape
