"""A Sphinx extension: makes the page of clauses, and links clauses wherever they are named.

What stands on the page is read from the suite, the tests, the stored tables and the changelog. It
writes no file: the text is put in the place of a mark when Sphinx reads the page.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docutils import nodes

from conformance.specification import clauses

ROOT = Path(__file__).parents[1]
MARK = "<!-- clauses -->"
TABLES = {"operators": "kill-matrix", "layers": "layer-kill-matrix"}
_NUMBER = re.compile(r"\b(?:GEO|GRP|FWD|GRD|NUM|ERR|SPC|LAY)-\d+\b")
_RANGE = re.compile(r"\b([A-Z]{3})-(\d+) to \1-(\d+)\b")
_TITLE = re.compile(r"^## ([A-Z]{3}): (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| ((?:[A-Z]{3}-\d+(?:, )?)+) \|", re.MULTILINE)
# What a number in a text is not linked in.
_BARRED = (nodes.reference, nodes.title, nodes.literal, nodes.literal_block, nodes.strong)


def checks() -> Mapping[str, Mapping[str, tuple[str, str, list[str]]]]:
    """Of each clause the functions that decide it: module, sentence, and their parameters."""
    import conformance.suite  # noqa: F401  (it notes the checks)
    from conformance.judging.checks import checks_of
    from conformance.kinds import KINDS

    found: dict[str, dict[str, tuple[str, str, list[str]]]] = defaultdict(dict)
    for kind in KINDS:
        for one in checks_of(kind.chapters, full_size=True):
            name, _, parameters = one.name.partition("[")
            sentence = (one.function.__doc__ or "").partition("\n")[0]
            for number in one.of(kind.chapters):
                entry = found[number].setdefault(name, (one.function.__module__, sentence, []))
                entry[2].extend([parameters.removesuffix("]")] if parameters else [])
    return found


def tests() -> Mapping[str, list[str]]:
    """Of each clause the files of tests that are marked with it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        marks = " ".join(re.findall(r"mark\.clause\((.*?)\)", path.read_text("utf-8"), re.DOTALL))
        for number in sorted(set(_NUMBER.findall(marks))):
            found[number].append(str(path.relative_to(ROOT)))
    return found


def rejected() -> Mapping[str, Mapping[str, list[str]]]:
    """Of each clause the mutants that were seen to break it, by kind."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for kind, name in TABLES.items():
        for mutant, broken in _ROW.findall((ROOT / f"docs/tables/{name}.md").read_text("utf-8")):
            for number in broken.split(", "):
                found[number][kind].append(mutant)
    return found


def history() -> Mapping[str, list[str]]:
    """Of each clause the entries of the changelog that name it."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry in re.split(r"^- ", (ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.M)[1:]:
        text = " ".join(entry.partition("\n\n")[0].split())
        for number in sorted(_named(text)):
            found[number].append(text)
    return found


def _named(text: str) -> set[str]:
    """Give the clauses that a text names, each of "GRD-7 to GRD-10" too."""
    named = set(_NUMBER.findall(text))
    for chapter, first, last in _RANGE.findall(text):
        named |= {f"{chapter}-{number}" for number in range(int(first), int(last) + 1)}
    return named


def page() -> str:
    """Give the page's text, in Markdown."""
    decided, cited, broken, told = checks(), tests(), rejected(), history()
    titles = dict(_TITLE.findall((ROOT / "docs/spec.md").read_text("utf-8")))
    lines: list[str] = []
    chapter = ""
    for number, sentence in clauses().items():
        if number[:3] != chapter:
            chapter = number[:3]
            lines += [f"## {chapter}: {titles[chapter]}", ""]
        # The specification links to its own headings.
        quoted = sentence.replace("](#", "](spec.md#")
        lines += [f"### {number}", "", f"> {quoted} [Specification](#clause-{number.lower()})", ""]
        lines += _decided(decided.get(number, {}))
        if number in cited:
            named = ", ".join(f"`{one}`" for one in cited[number])
            lines += [f"Tests of this repository that decide it: {named}.", ""]
        for kind, names in broken.get(number, {}).items():
            many = len(names) > 1
            words = f"{len(names)} {kind if many else kind[:-1]} with a planted fault break"
            words += " it" if many else "s it"
            listed = ", ".join(f"`{name}`" for name in names)
            lines += _folded(words, [listed])
        if number in told:
            lines += _folded("History", [f"- {text}" for text in told[number]])
    return "\n".join(lines)


def _decided(functions: Mapping[str, tuple[str, str, list[str]]]) -> list[str]:
    if not functions:
        return ["It binds the oracle alone: no check of the suite decides it.", ""]
    lines = ["| check | in | asks |", "|---|---|---|"]
    for name, (module, sentence, parameters) in functions.items():
        times = f", {len(parameters)} times" if len(parameters) > 1 else ""
        said = sentence or ", ".join(parameters[:4]) + (", ..." if len(parameters) > 4 else "")
        where = module.removeprefix("conformance.")
        lines.append(f"| `{name}`{times} | `{where}` | {said.replace('|', chr(92) + '|')} |")
    return [*lines, ""]


def _folded(title: str, lines: list[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


def read(_app: Any, name: str, source: list[str]) -> None:
    """Fill the page of clauses; give each clause of the specification an address, and a link."""
    if name == "clauses":
        source[0] = source[0].replace(MARK, page())
    if name == "spec":
        for number, sentence in re.findall(
            r"^\*\*([A-Z]{3}-\d+)\.\*\*(.*?)(?=\n\n|\Z)", source[0], re.MULTILINE | re.DOTALL
        ):
            link = f"clauses.md#{number.lower()}"
            written = f"**{number}.**{sentence}"
            made = f"(clause-{number.lower()})=\n{written} [checks]({link})"
            source[0] = source[0].replace(written + "\n\n", made + "\n\n", 1)


def link(app: Any, tree: Any, name: str) -> None:
    """Make links of the numbers of clauses in running text."""
    if name == "clauses":
        return
    known, uri = clauses(), app.builder.get_relative_uri(name, "spec")
    for text in list(tree.findall(nodes.Text)):
        parents, above = [], text.parent
        while above is not None:
            parents.append(above)
            above = above.parent
        if any(isinstance(one, _BARRED) for one in parents) or not _NUMBER.search(str(text)):
            continue
        parts, at = [], 0
        for match in _NUMBER.finditer(str(text)):
            if match[0] not in known:
                continue
            parts += [nodes.Text(str(text)[at : match.start()])]
            target = f"{uri}#clause-{match[0].lower()}"
            parts += [
                nodes.reference("", match[0], internal=True, refuri=target, classes=["clause"])
            ]
            at = match.end()
        text.parent.replace(text, [*parts, nodes.Text(str(text)[at:])])


def outdated(_app: Any, env: Any, *_: Any) -> list[str]:
    """Read the page anew each time: what it is made of is no source of Sphinx's."""
    return [name for name in ("clauses", "spec") if name in env.found_docs]


def setup(app: Any) -> dict[str, bool]:
    """Be an extension."""
    app.connect("source-read", read)
    app.connect("doctree-resolved", link)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
