"""What a kind of implementation must tell so that it can be judged.

The judge asks a kind for everything that is not the same for operators and layers; the kinds
themselves are in `conformance.kinds`. Nothing is judged here.
"""

import functools
import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis.strategies import SearchStrategy

from conformance.bounds.expected import Expected
from conformance.cases.bad_calls import Fault
from conformance.cases.case import Array, Case, Recipe
from conformance.cases.picture import Picture
from conformance.claims.capabilities import OFFERED, Capabilities, DeclarationError
from conformance.judging.checks import Check
from conformance.judging.condition import Condition, ConditionError
from conformance.worker.finding import Seam

Shapes = dict[str, tuple[int, ...]]
FUNCTIONS = ("forward", "backward")


@dataclass(frozen=True)
class Rules:
    """Which clause is broken by what is wrong.

    Attributes
    ----------
    value : mapping of result to clause
        Where equality is demanded.
    bound : mapping of result to tuple of clauses
        Where a result is outside its bound.
    raises : mapping of function to clause
        Where a function raises instead of answering.
    dtype : mapping of function to clause
        For a result of another format.
    derivatives : tuple of str
        What else is about derivatives alone.
    shape, memory, empty : str
        For a wrong shape; for what is written or shared; for an empty batch.
    further : str
        By which further functions are held to what is said of the others; nothing where there are
        none. A check that names it is run for them too.
    """

    value: Mapping[str, str]
    bound: Mapping[str, tuple[str, ...]]
    raises: Mapping[str, str]
    dtype: Mapping[str, str]
    shape: str
    memory: str
    empty: str
    derivatives: tuple[str, ...] = ()
    further: str = ""

    def others(self, result: str) -> set[str]:
        """Give the clauses of the values and bounds of other results, and not of one."""
        own = {self.value[result], *self.bound[result]}
        values = {number for name, number in self.value.items() if name != result}
        bounds = {number for name in self.bound if name != result for number in self.bound[name]}
        return (values | bounds) - own

    @property
    def clauses(self) -> set[str]:
        """What any check may find broken, whatever it decides."""
        bounds = (number for several in self.bound.values() for number in several)
        each = (self.value, self.raises, self.dtype)
        named = (number for mapping in each for number in mapping.values())
        return {*bounds, *named, self.shape, self.memory, self.empty}


class Kind(ABC):
    """A kind of implementation: everything in which operators and layers differ."""

    name: ClassVar[str]
    """In words."""
    option: ClassVar[str]
    """Of the command line."""
    signature: ClassVar[str]
    """The module whose `forward` and `backward` have the signature that is asked for."""
    operands: ClassVar[tuple[str, ...]]
    """Positional arguments of `backward`; those of `forward` are all but the first."""
    keywords: ClassVar[tuple[str, ...]]
    """Keyword arguments of both."""
    further: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Functions that an implementation may have besides, with their positional arguments."""
    adapter: ClassVar[str]
    """What to say to who has a framework's object; {framework} is its name."""
    other: ClassVar["Kind"]
    """The kind that it may be mistaken for."""
    chapters: ClassVar[frozenset[str]]
    """Chapters of the specification whose checks are for it."""
    capabilities: ClassVar[type[Capabilities]]
    case: ClassVar[type[Any]]
    recipes: ClassVar[Mapping[str, Recipe]]
    rules: ClassVar[Rules]
    settling: ClassVar[str]
    """The name of a check on drawn cases, which needs all that the judge consists of."""
    optional: ClassVar[frozenset[str]] = frozenset()
    """Results that may be there though they are not due."""
    share: ClassVar[int]
    """Of so many drawn cases of an operator one is drawn."""

    @abstractmethod
    def draw(self, claimed: Any, **wanted: Any) -> SearchStrategy[Any]:
        """Draw cases that are claimed."""

    @abstractmethod
    def plain(self, claimed: Any, **changes: Any) -> Any:
        """Give a case of moderate sizes in the plainest geometry that is claimed, with changes."""

    @abstractmethod
    def values(self, case: Any, bits: int) -> dict[str, Array]:
        """Make the operands of a case."""

    @abstractmethod
    def wrong_calls(
        self, function: str, case: Any, values: Mapping[str, Array]
    ) -> Iterator[tuple[Fault, dict[str, Array], dict[str, Any]]]:
        """Give calls of a function that must be refused: the fault, operands and options."""

    @abstractmethod
    def unclaimed(self, case: Any, claimed: Any) -> str:
        """Say what of a case is not claimed; nothing if all of it is."""

    def askable(self, case: Any, claimed: Any) -> bool:
        """Tell whether the specification and the claims have an answer to a case."""
        return case.specified and not self.unclaimed(case, claimed)

    def may_refuse(self, case: Any, claimed: Any) -> bool:
        """Tell whether a case is among those that may be refused."""
        return any(self._condition(text)(case) for text in claimed.may_refuse)

    def check_claims(self, claimed: Any) -> None:
        """Refuse conditions that no case has an answer to.

        Raises
        ------
        DeclarationError
            With what is not understood of them.
        """
        for text in claimed.may_refuse:
            try:
                self._condition(text)
            except ConditionError as error:
                raise DeclarationError(f"capabilities['may_refuse']: {error}") from error

    @functools.cache  # noqa: B019 (there are two kinds, and they live as long as the process)
    def _condition(self, text: str) -> Condition:
        return Condition(text, self.case("float32", next(iter(self.recipes))))

    @abstractmethod
    def call_of(self, case: Any) -> str:
        """The call of a case in words."""

    @abstractmethod
    def request(self, function: str) -> str:
        """Name a function as a request of the protocol does."""

    @abstractmethod
    def arguments(
        self, function: str, case: Any, values: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Operands by name and options of a call."""

    @abstractmethod
    def shapes(self, function: str, case: Any, values: Mapping[str, Array], claimed: Any) -> Shapes:
        """Shape of each result of a function (GEO-1, LAY-17)."""

    @abstractmethod
    def expected(self, case: Any, values: Mapping[str, Array], claimed: Any) -> dict[str, Expected]:
        """Truth and bound of each result."""

    @abstractmethod
    def blamed(
        self, decides: tuple[str, ...], case: Any, wrong: set[str], right: set[str]
    ) -> tuple[str, ...]:
        """Of a check's clauses those that wrong results break besides their own."""

    @abstractmethod
    def axes(self, result: str, rank: int) -> tuple[str, ...]:
        """Names of a result's axes."""

    @abstractmethod
    def picture(
        self, case: Any, claimed: Any, result: str, got: Array, expected: Array
    ) -> Picture | None:
        """Draw what a certificate shows, if the case is one and something is wrong."""

    def certificate_of(self, case: Any, result: str) -> Any:  # noqa: ARG002
        """Give the case that shows in the same geometry which pixels a result reads, if any."""
        return None

    @abstractmethod
    def probes(self, claimed: Any, failing: Any) -> list[Any]:
        """List what a failing implementation is asked; a case that it fails comes first."""

    @abstractmethod
    def known(self) -> Any:
        """Give what a failing implementation is compared with."""

    @abstractmethod
    def where(self, judged: Any, failing: Any, *, brief: bool) -> tuple[str, ...]:
        """Say where an implementation is wrong, as far as it can be read off its answers."""

    def explain(self, judged: Any, failing: Any, seconds: float | None = None) -> Any:  # noqa: ARG002
        """Find what it computes instead of what it should; nothing where there is no way."""
        return None

    def drawn(self, claimed: Any, rng: random.Random) -> Iterator[Any]:  # noqa: ARG002
        """Draw claimed cases of exact values, for ever; none where there is no way."""
        return iter(())

    def ignored(self, judged: Any, seconds: float) -> Any:  # noqa: ARG002
        """Find options that it does not look at; nothing where there is no way."""
        return None

    @abstractmethod
    def apart(self, case: Any, claimed: Any, times: float) -> Mapping[str, Array]:
        """Give how far equal results may be apart: so many times their bounds, or nothing."""

    @abstractmethod
    def weight(self, case: Any) -> tuple[Any, ...]:
        """Order cases by how small and plain they are."""

    @abstractmethod
    def simpler(self, case: Any) -> Iterator[Any]:
        """Give simpler cases than one, the simplest first."""

    @property
    def seam(self) -> Seam:
        """What is asked of an implementation, in words."""
        other = set(self.other.operands) - set(self.operands)
        return Seam(
            self.name, self.option, self.signature, self.operands, self.keywords, self.adapter,
            self.other.name, self.other.option, sorted(other), self.further,
        )  # fmt: skip

    guards: ClassVar[bool] = False
    """Whether faults behind guards can be made that keep to what is claimed."""

    @property
    @abstractmethod
    def settled(self) -> list[Any]:
        """Small cases for which the oracle takes each of its compiled loops, in all formats."""

    def networks(self, claimed: Any, seed: int) -> list[Any]:  # noqa: ARG002
        """List cases of many kinds that are claimed."""
        return []

    def allows(self, call: Any, dtype: str, claimed: Any) -> bool:  # noqa: ARG002
        """Tell whether a call, as guards of generated faults see it, is claimed and cheap."""
        return True

    def modes(self, claimed: Any) -> tuple[dict[str, Any], ...]:  # noqa: ARG002
        """Changes of a case that give each mode of a call that is claimed."""
        return ({},)

    def enlarged(self, case: Any, spare: tuple[int, int], claimed: Any) -> Any:
        """Give a case on the smallest image that fits it, and so many pixels more.

        Or on the nearest larger one that is claimed.
        """
        raise NotImplementedError(f"{self.name} cases have the size that they have")

    @abstractmethod
    def fitting(self, case: Any, claimed: Any) -> Any:
        """Give the case on the nearest image that it fits; None where none is claimed."""

    @abstractmethod
    def operands_of(self, values: Mapping[str, Array]) -> list[tuple[str, ...]]:
        """Sets of operands to be placed otherwise in memory: each kind of them, and all."""

    def may_share(self, case: Case, result: str, operand: str) -> bool:  # noqa: ARG002
        """Tell whether a result may be an operand's own memory."""
        return False

    def function_of(self, result: str) -> str:
        """Name the function that gives a result."""
        return "backward" if result.startswith("d") else "forward"

    @property
    def first_order(self) -> tuple[str, ...]:
        """The results of `forward` and `backward`, which an explanation is about."""
        return tuple(name for name in self.rules.value if self.function_of(name) in FUNCTIONS)

    def implied(self, declaration: Any, offers: Collection[str]) -> Any:
        """Give a declaration, and with it that what is there is offered unless it is declared."""
        if declaration is not None and not isinstance(declaration, Mapping):
            return declaration
        claims = {name: OFFERED for name in self.further if name in offers}
        return {**claims, **(declaration or {})} or None

    def has(self, function: str, claimed: Any) -> bool:
        """Tell whether a function is claimed."""
        return function == FUNCTIONS[0] or bool(getattr(claimed, function))

    def operands_for(self, function: str) -> tuple[str, ...]:
        """Name the positional arguments of a function."""
        own = {FUNCTIONS[0]: self.operands[1:], FUNCTIONS[1]: self.operands}
        return {**own, **self.further}[function]

    def beyond(self, case: Any) -> Any:  # noqa: ARG002
        """Give a case with operands of further functions; None where its recipe makes none."""
        return None

    def is_beyond(self, case: Case) -> bool:
        """Tell whether a case is about none but functions that there may be or not."""
        decides = self.recipe_of(case).decides
        return bool(decides) and all(self.function_of(name) in self.further for name in decides)

    def is_asked(self, recipe: Recipe, claimed: Any) -> bool:
        """Tell whether a recipe is about no further function, or about one that is claimed."""
        functions = {self.function_of(name) for name in recipe.decides} & set(self.further)
        return not functions or any(self.has(name, claimed) for name in functions)

    def clauses(self, check: Check, claimed: Any) -> tuple[str, ...]:
        """Of a check's clauses those that can be decided on what is claimed; none may be left."""
        listed = check.of(self.chapters)
        kept: set[str] = set()
        lost: set[str] = set()
        for function in (*FUNCTIONS, *self.further):
            (kept if self.has(function, claimed) else lost).update(self._about(function))
        return tuple(number for number in listed if number not in lost - kept)

    def unclaimed_of(self, check: Check, claimed: Any) -> str:
        """Name the functions that a check is about and that are not claimed."""
        listed = set(check.of(self.chapters))
        return ", ".join(
            function
            for function in (*FUNCTIONS, *self.further)
            if not self.has(function, claimed) and self._about(function) & listed
        )

    def _about(self, function: str) -> set[str]:
        """Give the clauses that are about the results of a function."""
        results = [name for name in self.rules.value if self.function_of(name) == function]
        own = {self.rules.value[name] for name in results}
        own |= {self.rules.bound[name][0] for name in results} | {self.rules.dtype[function]}
        if function in self.further:
            return own | {self.rules.further}
        return own | (set(self.rules.derivatives) if function == "backward" else set())

    def recipe_of(self, case: Case) -> Recipe:
        """Give the recipe of a case.

        Raises
        ------
        ValueError
            For a recipe that there is not.
        """
        if case.recipe not in self.recipes:
            known = ", ".join(self.recipes)
            raise ValueError(f"recipe must be one of {known}, got {case.recipe!r}")
        return self.recipes[case.recipe]

    def check_case(self, case: Case, claimed: Capabilities) -> None:
        """Refuse a case that somebody wrote and that means nothing.

        Raises
        ------
        ValueError
            With the words of what cannot be made of it.
        """
        self.recipe_of(case)
        try:
            values = self.values(case, self.bits(case, claimed))
            self.expected(case, values, claimed)
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            raise ValueError(f"--case={case.token} is no call that can be made: {words}") from error

    def bits(self, case: Case, claimed: Capabilities) -> int:
        """Significand bits in which sums of a case are exact (NUM-1)."""
        return claimed.arithmetic(case.dtype).bits
