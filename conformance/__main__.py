"""``python -m conformance``: the suite from an installed package, one case of it, or a command."""

import argparse
import difflib
import importlib
import sys
from pathlib import Path

import pytest

# What a replay of one case has no use for.
_OF_A_RUN = (
    "check",
    "seed",
    "budget",
    "quick",
    "until_failure",
    "no_diagnosis",
    "report",
    "specification",
    "waivers",
    "shapes",
    "power",
)
# Commands by the word that calls them: modules whose function `main` takes what follows the word.
_COMMANDS = {
    "reveal": "conformance.reporting.revealed",
    "matrix": "conformance.reporting.matrix",
    "vectors": "conformance.vectors.command",
    "campaign": "conformance.campaign.command",
}
# Words that say what is done anyway.
_WORDS = ("judge", "replay")


def main(arguments: list[str]) -> int:
    """Run the suite, replay one case, or do what a command says.

    Returns
    -------
    int
        0 if all that was asked for conforms, 1 if not, 2 for a command that cannot be understood,
        4 for what cannot be loaded.
    """
    if arguments and arguments[0] in _COMMANDS:
        command = importlib.import_module(_COMMANDS[arguments[0]])
        return int(command.main(arguments[1:]))
    word, *rest = arguments or [""]
    if word in _WORDS:
        arguments = rest
    elif word and word[0] != "-" and not Path(word).exists() and "::" not in word:
        near = difflib.get_close_matches(word, [*_WORDS, *_COMMANDS], 1)
        instead = f"did you mean {near[0]}?" if near else "say what is to be judged with an option"
        print(
            f"refimpl: there is no command {word}; {instead} "
            f"(commands: {', '.join([*_WORDS, *_COMMANDS])})",
            file=sys.stderr,
        )
        return 2
    # Not at the top: pytest warns of Hypothesis if it was imported before pytest started, and what
    # knows the kinds imports it.
    parser = argparse.ArgumentParser(
        prog="refimpl",
        usage="refimpl [judge] --implementation=PACKAGE.MODULE:ATTRIBUTE [options]\n"
        "       refimpl replay --implementation=PACKAGE.MODULE:ATTRIBUTE --case=TOKEN\n"
        f"       refimpl {{{','.join(_COMMANDS)}}} --help",
        description="Judge implementations of involution, clause by clause, with no tolerance to "
        "tune. `python -m conformance` is the same program.",
        epilog="Exit status: 0 all that was asked for conforms; 1 something does not, or was not "
        "run; 2 interrupted, or a command that cannot be understood; 4 what is named cannot be "
        "judged; 5 nothing was selected. "
        "Each option may stand in pyproject.toml, under [tool.refimpl] and without its dashes "
        "(profile for --hypothesis-profile); what the command line says goes before it. "
        "Other options are pytest's: -x stops at the first failure, -k EXPRESSION selects "
        "checks by name, -v prints every failure, -n 2 --dist loadgroup uses two processes "
        "(pytest-xdist), --hypothesis-profile=ci|network|nightly|survey tries less or more hard.",
        allow_abbrev=False,
    )
    if not {"-h", "--help", "--case"} & {one.partition("=")[0] for one in arguments}:
        if word == "replay":
            parser.error("replay needs --case=TOKEN, the one that a failure printed")
        # What pytest says of itself stands in nobody's way here.
        return int(pytest.main([str(Path(__file__).parent), "--no-header", *arguments]))
    from conformance.claims.loading import LoadError, Where, load
    from conformance.judging.replay import replay
    from conformance.kinds import KINDS
    from conformance.reporting import options

    options.add(parser.add_argument, KINDS)
    parser.add_argument(
        "--case", metavar="TOKEN", help="replay the one case that a failure printed"
    )
    given = parser.parse_args(arguments)
    named = [
        (kind, name) for kind in KINDS for name in getattr(given, kind.option.removeprefix("--"))
    ]
    if len(named) != 1 or any(getattr(given, name) for name in _OF_A_RUN):
        parser.error("--case goes with exactly one --implementation or --layer and nothing else")
    kind, name = named[0]
    try:
        where = Where(given.in_process, given.timeout, given.memory)
        judged, case = load(name, kind, where=where), kind.case.parse(given.case)
        kind.check_case(case, judged.capabilities)
    except (LoadError, ValueError) as error:
        parser.error(str(error))
    return 0 if replay(judged, case) else 1


if __name__ == "__main__":
    sys.path.insert(0, "")  # as pytest does: what is judged may stand in the current folder
    sys.exit(main(sys.argv[1:]))
