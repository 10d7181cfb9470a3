"""One screen for a verdict: what it is, what is wrong, where, how to see it again.

What judged code says is data: it is shown as text, whatever it looks like. Everything else is left
to ``-v`` and to the report file.
"""

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from conformance.specification import clauses
from conformance.words import listed

if TYPE_CHECKING:
    from conformance.reporting.report import Report

WIDTH = 100
_STYLES = {
    "conforms": "bold green",
    "fails": "bold red",
    "refuses": "bold red",
    "stale": "bold red",
}
_WORDS = {
    "conforms": "CONFORMS",
    "fails": "FAILS",
    "refuses": "REFUSES",
    "incomplete": "INCOMPLETE",
    "stale": "STALE",
}
# Lines that the diagnosis may take on one screen.
_MOST_LINES = 14


def screen(report: "Report", *, more: str = "") -> RenderableType:
    """The verdict on one implementation, on one screen.

    Parameters
    ----------
    report : Report
        What was found.
    more : str
        Where everything else stands.
    """
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for title, lines in _rows(report, more):
        for number, line in enumerate(lines):
            table.add_row("" if number else f"  {title}", Text(_shown(line)))
    again = [_Command(report.smallest.replay)] if report.smallest else []
    return Group(_headline(report), table, *again)


class _Command:
    """A command on a line of its own, which no console breaks: it is there to be copied."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment("  again", console.get_style("dim"))
        yield Segment(f"   {_shown(self.command)}")
        yield Segment.line()


def _headline(report: "Report") -> Text:
    word, _, rest = report.verdict.partition(" ")
    line = Text(_WORDS[word] + (f" {rest}" if rest else ""), _STYLES.get(word, "bold yellow"))
    if report.conforms and len(report.records) < report.checks:
        line.append(" in the checks that were selected")
    line.append(f"  {_shown(report.name)}", "bold")
    runs_on = f"; {_shown(report.environment)}" if report.environment else ""
    line.append(f"  ({report.kind}{runs_on})", "dim")
    return line


def _rows(report: "Report", more: str) -> Iterable[tuple[str, list[str]]]:
    yield "judged", [_judged(report)]
    claimed = report.capabilities
    scope = claimed.scope
    if claimed == type(claimed)():
        scope += " (it declares nothing, so everything is claimed)"
    yield "claims", [scope, claimed.arithmetic_words]
    if report.verdict == "refuses":
        yield "what", ["it raises where it should answer; no result that it gives is wrong"]
    yield from _waived(report)
    if number := report.tolerated:
        where = " or ".join(report.capabilities.may_refuse)
        said = f"{number} call{'s were' if number > 1 else ' was'} refused, which may be: {where}"
        yield "refused", [said]
    yield from _explained(report)
    if report.hints:
        yield "hint", report.hints
    if report.failures:
        yield "broken", [_broken(report)]
    shown = report.smallest
    if shown is not None:
        called = next(
            (line.split(None, 1)[1] for line in shown.message.splitlines() if "  call  " in line),
            shown.token,
        )
        yield "see", [called, f"{shown.clause}: {shown.words}"]
    if not report.failures:
        not_measured = "not measured: how many faults this would have shown; --power does"
        yield "power", report.power.lines if report.power else [not_measured]
    if shapes := list(_shapes(report)):
        yield "shapes", shapes
    yield from _left_out(report)
    if more and not report.conforms:
        yield "more", [more]


def _waived(report: "Report") -> Iterable[tuple[str, list[str]]]:
    """What is wrong and waived, and which waivers are no longer true."""
    if faults := [one.fault for one in report.waivers if one.fault]:
        yield "waiver", faults
    used = [one for one in report.waivers if one.failures]
    lines = [
        f"{one.waiver}, {one.failures} failure{'s' * (one.failures > 1)}: {one.waiver.reason}"
        + (f" <{one.waiver.link}>" if one.waiver.link else "")
        + (f" (until {one.waiver.expires})" if one.waiver.expires else "")
        for one in used
    ]
    if lines:
        yield "waived", lines
    if untried := [f"{one.waiver}: {one.untried}" for one in report.waivers if one.untried]:
        yield "untried", untried
    if ended := [f"{record.check}" for record in report.records if record.ended]:
        words = "what comes after a waived failure or a tolerated refusal was not asked in"
        yield "note", [f"{words} {_some(ended)}"]


def _explained(report: "Report") -> Iterable[tuple[str, list[str]]]:
    """What is wrong, where and when; and which known fault it is like."""
    found, like = report.explanation, report.diagnosis
    if found is not None and found.certain:
        # That it raises stands in the line above.
        what = "" if report.verdict == "refuses" else "what"
        for title, lines in ((what, found.what), ("where", found.where), ("when", found.when)):
            if lines:
                yield title, list(lines[:_MOST_LINES])
        yield "tested", [found.tested]
        if like is not None and like.matches:
            yield "like", like.lines[:1]
        return
    if like is not None:
        yield ("" if report.verdict == "refuses" else "what"), like.lines[:_MOST_LINES]
    if found is not None and found.asked:
        yield "hint", [*found.what[:4], *found.when[:2], found.tested]


def _judged(report: "Report") -> str:
    failed, passed = (len(report.outcome(name)) for name in ("failed", "passed"))
    unclaimed, unrun = len(report.outcome("not claimed")), len(report.outcome("not run"))
    selected = len(report.records) < report.checks
    claimed = len(report.records) - unclaimed
    said = f"{failed} of {claimed} checks fail" if failed else f"{passed} of {claimed} checks pass"
    if waived := len(report.outcome("waived")):
        said += f", {waived} meet what is waived alone"
    if refused := len(report.outcome("refused")):
        said += f", {refused} were refused whatever they asked"
    said += f" (selected from {report.checks})" if selected else ""
    said += f", {report.judged:,} results judged in {report.seconds:.1f} s, seed {report.seed}"
    said += "" if report.isolated else ", not isolated"
    if unclaimed:
        said += f"; {unclaimed} more {'is' if unclaimed == 1 else 'are'} not claimed"
    if unrun:
        said += f"; {unrun} were not run"
    worst = [(entry.worst, name) for name, entry in report.clauses.items() if entry.worst]
    if worst and not failed:
        said += f"; largest error {max(worst)[0]:.2f} of its bound ({max(worst)[1]})"
    return said


def _broken(report: "Report") -> str:
    """Name the clauses that are broken, those first that most checks found so."""
    found: dict[int, list[str]] = {}
    for name, entry in report.clauses.items():
        if entry.verdict == "fails":
            found.setdefault(entry.failed, []).append(name)
    words = [f"{listed(found[count])} ({count})" for count in sorted(found, reverse=True)]
    most = max(found)
    words[0] = f"{listed(found[most])} (found by {most} check{'s' * (most > 1)})"
    passing = sum(entry.verdict == "passes" for entry in report.clauses.values())
    return f"{', '.join(words)}; {passing} clauses pass"


def _shapes(report: "Report") -> Iterable[str]:
    """A row for each shape that was named."""
    for record in report.records:
        name, bracket, rest = record.check.partition("[")
        if (name, bracket) != ("shape", "["):
            continue
        worst = max((one.worst for one in record.counts.values()), default=0.0)
        largest = f", largest error {worst:.2f} of its bound" if worst else ""
        said = {
            "passed": f"right: {record.judged} results in {record.seconds:.1f} s{largest}",
            "failed": f"wrong in {record.seconds:.1f} s",
        }
        reason = record.reason.removeprefix("not claimed: ")
        yield f"{rest[:-1]}: {said.get(record.outcome, f'{record.outcome}: {reason}')}"


def _left_out(report: "Report") -> Iterable[tuple[str, list[str]]]:
    """What was not judged, and why, or with fewer cases; what was tried and refused."""
    if report.refused:
        yield "note", [f"it was refused what it tried: {_some(report.refused)}"]
    if report.economised:
        words = "each new geometry is dear to call (compiled?), so fewer were tried"
        yield "note", [f'{words}; declare "compiles": True']
    if fewer := [f"{one.check} ({one.cut_short})" for one in report.records if one.cut_short]:
        yield "note", [f"fewer cases were asked, for want of time: {_some(fewer)}"]
    if unasked := [
        f"{one.check} ({one.reason.removeprefix('not asked ')})"
        for one in report.outcome("not claimed")
        if one.reason.startswith("not asked")
    ]:
        yield "not asked", [_some(unasked)]
    reasons: dict[str, list[str]] = {}
    for record in report.outcome("not run"):
        reasons.setdefault(record.reason, []).append(record.check)
    for reason, names in reasons.items():
        yield "not run", [f"{reason}: {_some(names)}"]


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")


def overview(reports: "Sequence[Report]") -> RenderableType:
    """A row for each chapter, a column for each of several implementations."""
    table = Table.grid(padding=(0, 3))
    table.add_column(no_wrap=True, style="dim")
    for _ in reports:
        table.add_column(no_wrap=True, justify="right")
    table.add_row("clauses that pass", *(f"[{number}]" for number, _ in enumerate(reports, 1)))
    for chapter in dict.fromkeys(number[:3] for number in clauses()):
        cells = [_chapter(report, chapter) for report in reports]
        if any(cells):
            table.add_row(f"  {chapter}", *cells)
    return table


def _chapter(report: "Report", chapter: str) -> Text:
    own = [entry for name, entry in report.clauses.items() if name[:3] == chapter]
    passing = sum(entry.verdict == "passes" for entry in own)
    judged = sum(entry.verdict != "not claimed" for entry in own)
    if not judged:
        return Text("not claimed" if own else "", "dim")
    failing = sum(entry.verdict == "fails" for entry in own)
    return Text(f"{passing} of {judged}", "red" if failing else "")


def by_clause(report: "Report") -> RenderableType:
    """The long form: every clause with its results, its worst error, and its verdict."""
    table = Table(box=None, pad_edge=False)
    for title in ("clause", "results", "worst", "checks that fail", "verdict"):
        table.add_column(title, no_wrap=True, justify="left" if title == "clause" else "right")
    for name, entry in report.clauses.items():
        # "=": nothing but equality was demanded.
        worst = f"{entry.worst:.3f}" if entry.worst else "="
        failed = str(entry.failed or entry.waived or "")
        table.add_row(name, f"{entry.cases:,}", worst, failed, entry.verdict)
    return table


def as_text(*shown: RenderableType, width: int = WIDTH, color: bool = False) -> str:
    """Render what is shown as text of a fixed width."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=color, no_color=not color, markup=False,
        highlight=False, emoji=False, legacy_windows=False,
        # In a notebook rich would show it there and then, and leave nothing to return.
        force_jupyter=False,
    )  # fmt: skip
    console.print(*shown, sep="\n", crop=False)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def as_html(shown: RenderableType) -> str:
    """Render what is shown for a notebook."""
    console = Console(
        record=True, file=io.StringIO(), width=WIDTH, markup=False, highlight=False,
        force_jupyter=False,
    )  # fmt: skip
    console.print(shown)
    return console.export_html(
        inline_styles=True, code_format='<pre style="line-height:1.3;white-space:pre">{code}</pre>'
    )


def _shown(words: str) -> str:
    """Show control characters, terminal escapes among them, instead of obeying them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
