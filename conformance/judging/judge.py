"""Judges one implementation on behalf of one check: asks, examines, counts, and raises.

What it raises is made in `conformance.judging.failing`.
"""

import contextlib
import copy
import functools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from conformance.cases.case import Array
from conformance.claims.capabilities import OFFERED
from conformance.claims.loading import Judged
from conformance.claims.program import CannotCarryError, DiedError
from conformance.judging.ask import Answer, NotRunError, ask, ask_faulty, ask_together
from conformance.judging.examine import Finding, examine
from conformance.judging.failing import Answered, ConformanceError, WaivedError, failure
from conformance.judging.kind import FUNCTIONS
from conformance.judging.record import Record
from conformance.judging.scope import NotClaimedError, Scope
from conformance.judging.waivers import Waivers


def _nothing() -> None:
    """Stand for a comparison where none goes on."""


class Judge(Scope):
    """Judges one implementation on behalf of one check.

    Parameters
    ----------
    judged : Judged
        The implementation.
    record : Record
        Where it is counted; it names the check and the clauses that this decides.
    seed : int
        Of the run, for the command that shows a failure again.
    watch : callable, optional
        Is told how many seconds each answer took, and how to ask again.
    late : callable, optional
        Says why nothing more is to be asked, once the time is over.
    passed : list of Case, optional
        Where to note the cases that are right.
    share : float
        Seconds for a long list of cases.
    one_in : int
        Of such a list one in so many is asked.
    waivers : Waivers, optional
        What is known to be wrong, and stays.
    beside : Executor, optional
        Compares one answer while the next is asked for. What is wrong is raised then by the next
        demand, by whoever looks at the results, or by `settle`.
    offers : dict of (str, str) to str, optional
        Where to note what functions that are offered, and not declared, raised in a format.

    Attributes
    ----------
    passed : list of Case
        Cases that were right, to be asked again later.
    overwritten : list of str
        Results of earlier calls that were written since.
    left : list of str
        What of the process calls changed.
    held : dict of str to int
        What the process held after the last call of which that was asked.
    """

    def __init__(
        self,
        judged: Judged,
        record: Record,
        seed: int = 0,
        watch: Callable[[Callable[[], Any], float], None] | None = None,
        late: Callable[[], str] = str,
        passed: list[Any] | None = None,
        share: float = float("inf"),
        one_in: int = 1,
        waivers: Waivers | None = None,
        beside: Executor | None = None,
        offers: dict[tuple[str, str], str] | None = None,
    ) -> None:
        super().__init__(judged, record, seed, share, one_in, beside)
        self.offers = {} if offers is None else offers
        self._comparison = _nothing
        self.passed: list[Any] = [] if passed is None else passed
        self.overwritten: list[str] = []
        self.left: list[str] = []
        self.held: dict[str, int] = {}
        self._watch, self._late, self._waivers = watch, late, waivers

    # Other processes.

    def beyond(self) -> "Judge":
        """Give a judge of the functions that there may be or not, on behalf of the same check."""
        __tracebackhide__ = True
        self.settle()
        other = copy.copy(self)
        other.further, other._drawing = True, {}
        return other

    @contextlib.contextmanager
    def beside(self, **variables: str) -> "Iterator[Judge]":
        """Judge the same program in a process beside its own, with variables in its environment."""
        __tracebackhide__ = True
        program = self.judged.host.beside(variables)
        # Who asks for it has claimed isolation.
        assert program is not None
        self.settle()
        other = copy.copy(self)
        other.judged, other._watch = replace(self.judged, host=program), None
        try:
            yield other
            other.settle()
        finally:
            program.close()

    # What is demanded.

    def check(
        self,
        case: Any,
        results: Collection[str] | None = None,
        *,
        values: Mapping[str, Array] | None = None,
        functions: Collection[str] | None = None,
        blame: tuple[str, ...] = (),
        course: str = "",
        **how: Any,
    ) -> Mapping[str, Array]:
        """Demand that the results of a case are right, and return them.

        Where all that is wrong is waived, nothing is returned, and whatever comes next is asked;
        what was refused, and may be, is not returned. Who needs it all the same asks no further.

        Parameters
        ----------
        case : Case
            Geometry and values.
        results : collection of str, optional
            Which to demand; by default all that the recipe decides.
        values : mapping, optional
            Operands in the place of the case's own.
        functions : collection of str, optional
            Which functions to call, where none is demanded in particular; by default all that the
            judge asks.
        blame : tuple of str
            What is broken if anything is wrong; by default the clause of what is wrong, or that of
            memory if it is right on an implementation made anew.
        course : str
            In the course of what it is asked, for the words of what is wrong.
        **how
            How it is called: `again`, `page`, `forked` and `backward_first` of `ask`.

        Raises
        ------
        ConformanceError
            Something is wrong.
        NotClaimedError
            The case is not claimed.
        """
        __tracebackhide__ = True
        whole = values is None and results is None
        # In another order of its functions it is no other question.
        plain = values is None and not blame and not course and not set(how) - {"backward_first"}
        values = self.values(case) if values is None else values
        wanted = results or self.kind.recipe_of(case).decides
        functions = functions or self.functions
        if wanted:
            asked = dict.fromkeys(self.kind.function_of(name) for name in wanted)
            functions = self._claimed(asked, case.dtype)
            wanted = [name for name in wanted if self.kind.function_of(name) in functions]
        if plain:
            self.record.asked.append((case.token, *(wanted or ())))
        self.record.otherwise += not plain
        answer = self._ask(case, values, functions, **how)
        got = {name: a for name, a in answer.results.items() if not wanted or name in wanted}
        # Of the answer before.
        self.settle()
        answered = Answered(got, self.settle)
        examined = self._examined(case, values, got)

        def compare() -> None:
            __tracebackhide__ = True
            try:
                self._compare(case, values, examined(), answer.findings, blame, course)
            except WaivedError:
                answered.waive()
                return
            if whole and got:
                self.passed.append(case)

        self._comparison = compare
        if self._beside is None:
            self.settle()
        return answered

    def compare(
        self,
        case: Any,
        values: Mapping[str, Array],
        got: Mapping[str, Array],
        findings: Iterable[Finding] = (),
        blame: tuple[str, ...] = (),
        course: str = "",
    ) -> None:
        """Demand that results are right, and that nothing else was found."""
        __tracebackhide__ = True
        self.settle()
        self._compare(case, values, self._examined(case, values, got)(), findings, blame, course)

    def settle(self) -> None:
        """End the comparison that goes on beside, if there is one.

        Raises
        ------
        ConformanceError
            What it found wrong.
        """
        __tracebackhide__ = True
        compare, self._comparison = self._comparison, _nothing
        compare()

    def _examined(
        self, case: Any, values: Mapping[str, Array], got: Mapping[str, Array]
    ) -> Callable[[], Any]:
        """Begin to compare results with what they should be; what is returned waits for that."""

        def examined() -> Any:
            expected = self.kind.expected(case, values, self.claimed) if got else {}
            return examine(self.judged, case, got, expected)

        return examined if self._beside is None else self._beside.submit(examined).result

    def _compare(
        self,
        case: Any,
        values: Mapping[str, Array],
        examined: tuple[Mapping[str, Any], Sequence[Finding]],
        findings: Iterable[Finding] = (),
        blame: tuple[str, ...] = (),
        course: str = "",
    ) -> None:
        """Demand that results were right, and that nothing else was found."""
        __tracebackhide__ = True
        right, wrong = examined
        rules, decides = self.kind.rules, self.clauses
        for name, used in right.items():
            own = rules.bound[name] if used.worst else (rules.value[name],)
            self.record.count((*decides, *own), used, rules.others(name))
        found = [*findings, *wrong]
        if course:
            found = [replace(one, words=f"{course}: {one.words}") for one in found]
        if found and not blame and self._is_right_anew(case, values, found):
            blame = (rules.memory,)
            said = "; right on an implementation made anew"
            found = [replace(one, words=one.words + said) for one in found]
        if found and blame:
            # Its case alone does not show it: it was right there, or is asked in another way.
            self.fail(case, [replace(one, clauses=blame, remembered=True) for one in found])
        if found:
            blamed = self.kind.blamed(decides, case, {one.result for one in wrong}, set(right))
            self.fail(case, found, blamed)

    def run(
        self,
        case: Any,
        values: Mapping[str, Array] | None = None,
        *,
        functions: Collection[str] | None = None,
        **how: Any,
    ) -> Mapping[str, Array]:
        """Demand an answer of the due form, whatever its values, and return it.

        `how` it is called is that of `ask`, options in the place of the case's among it.
        """
        __tracebackhide__ = True
        self.settle()
        values = self.values(case) if values is None else values
        self.record.otherwise += 1
        answer = self._ask(case, values, functions or self.functions, **how)
        if answer.findings:
            self.fail(case, answer.findings)
        return Answered(answer.results)

    def check_together(self, cases: Sequence[Any], rounds: int, blame: tuple[str, ...]) -> None:
        """Demand that cases which are asked at once, each in a thread of its own, are right."""
        __tracebackhide__ = True
        self.settle()
        asked = [(case, self.values(case)) for case in cases]
        self.record.otherwise += len(asked)
        for function in self._claimed(self.functions, cases[0].dtype):
            self._in_time()
            replies = ask_together(self.judged, asked, function, rounds)
            for (case, values), answers in zip(asked, replies, strict=False):
                # What is due is the same of every answer.
                given = any(answer.results for answer in answers)
                expected = self.kind.expected(case, values, self.claimed) if given else {}
                for answer in answers:
                    self.record.tolerated += answer.tolerated
                    examined = examine(self.judged, case, answer.results, expected)
                    self._compare(case, values, examined, answer.findings, blame)

    def refuses(
        self, case: Any, function: str, operands: Mapping[str, Array], options: Mapping[str, Any]
    ) -> bool:
        """Tell whether a call that is no call raises an exception."""
        __tracebackhide__ = True
        self.settle()
        self._claimed([function], case.dtype)
        self._in_time()
        self.record.otherwise += 1
        try:
            answer = ask_faulty(self.judged, function, case, operands, options)
        except CannotCarryError as error:
            raise NotClaimedError(f"not claimed: {error}") from error
        self.record.refused += answer.refused
        if answer.findings:
            self.fail(case, answer.findings)
        return bool(answer.raised)

    def expect(self, case: Any, holds: bool, words: str) -> None:
        """Demand something else than a value; it is the check's first clause that it breaks."""
        __tracebackhide__ = True
        self.settle()
        if not holds:
            self.fail(case, [Finding(self.record.clauses[:1], words)])
        self.count()

    def count(self) -> None:
        """Count that what the check asks, and is no value, is right once more."""
        self.record.count(self.clauses)

    @property
    def clauses(self) -> tuple[str, ...]:
        """What the check decides, as far as it is about the functions that are asked."""
        listed = self.record.clauses
        if self.further:
            return listed
        return tuple(number for number in listed if number != self.kind.rules.further)

    def fail(self, case: Any, findings: Iterable[Finding], blamed: tuple[str, ...] = ()) -> None:
        """Note what is wrong and raise it.

        Raises
        ------
        ConformanceError
            Something that no waiver covers.
        WaivedError
            Nothing else is wrong than what waivers cover.
        """
        __tracebackhide__ = True
        about = (self.judged, self.record, self.seed, case)
        blamed = (*blamed, self.kind.rules.further) if self.further else blamed
        found = [failure(*about, one, blamed) for one in findings]
        waived = [one for one in found if self._waivers and self._waivers.cover(one)]
        failures = [one for one in found if one not in waived]
        self.record.waived += waived
        self.record.failures += failures
        raise ConformanceError(failures) if failures else WaivedError(waived)

    @property
    def functions(self) -> tuple[str, ...]:
        """What it asks: forward, and backward if there is one; or those that there are besides."""
        listed = tuple(self.kind.further) if self.further else FUNCTIONS
        return tuple(name for name in listed if self.kind.has(name, self.claimed))

    def among(self, results: Collection[str]) -> Collection[str]:
        """Of what it asks give some results of forward or backward; of others all, as none says."""
        return () if self.further else results

    def _claimed(self, functions: Collection[str], dtype: str) -> Collection[str]:
        """Of some functions those that there are; the check is not claimed if none is.

        Of those that are offered, and not declared, those that do not raise in a format.
        """
        __tracebackhide__ = True
        there = [name for name in functions if self.kind.has(name, self.claimed)]
        raised = {name: words for name in there if (words := self._refused(name, dtype))}
        left = [name for name in there if name not in raised]
        if not left and raised:
            words = "; ".join(raised.values())
            raise NotClaimedError(f"not claimed, as it is not declared: {words}")
        if not left:
            raise NotClaimedError(f"not claimed: {', '.join(functions)}")
        return left

    def _refused(self, function: str, dtype: str) -> str:
        """Give what a function that is offered raised in a format, on a plain case; asked once."""
        __tracebackhide__ = True
        if function not in self.kind.further or getattr(self.claimed, function) != OFFERED:
            return ""
        if dtype not in self.claimed.dtypes:
            return ""
        if (function, dtype) not in self.offers:
            case = self.kind.beyond(self.kind.plain(self.claimed, dtype=dtype))
            self._in_time()
            answer = ask(self.judged, case, self.values(case), functions=[function])
            said = [one.words for one in answer.findings if one.refusal]
            self.offers[function, dtype] = said[0] if said else ""
        return self.offers[function, dtype]

    def _in_time(self) -> None:
        if reason := self._late():
            raise NotRunError(reason)

    def _is_right_anew(
        self, case: Any, values: Mapping[str, Array], found: Sequence[Finding]
    ) -> bool:
        """Tell whether results that are wrong are right where nothing was asked before."""
        wrong = {one.result for one in found if one.mismatch is not None}
        if not wrong or len(wrong) < len(found) or self._late():
            return False
        functions = {self.kind.function_of(name) for name in wrong}
        try:
            self.judged.host.anew()
            answer = ask(self.judged, case, values, functions=functions)
        except (DiedError, NotRunError):
            return False
        got = {name: a for name, a in answer.results.items() if name in wrong}
        if answer.findings or set(got) != wrong:
            return False
        expected = self.kind.expected(case, values, self.claimed)
        return not examine(self.judged, case, got, expected)[1]

    def _ask(
        self, case: Any, values: Mapping[str, Array], functions: Collection[str], **options: Any
    ) -> Answer:
        __tracebackhide__ = True
        self.claim_case(case)
        functions = self._claimed(functions, case.dtype)
        self._in_time()
        start = time.perf_counter()
        answer = ask(self.judged, case, values, functions=functions, **options)
        self.overwritten += answer.overwritten
        self.left += answer.left
        self.held = answer.held
        self.record.refused += answer.refused
        self.record.tolerated += answer.tolerated
        if self._watch is not None and not answer.died:
            again = functools.partial(ask, self.judged, case, values, functions=functions)
            self._watch(again, time.perf_counter() - start)
        return answer
