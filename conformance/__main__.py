"""``python -m conformance``: the suite from an installed package, one case of it, or a command."""

import argparse
import importlib
import sys
from pathlib import Path

import pytest

# What a replay of one case has no use for.
_OF_A_RUN = ("check", "seed", "budget", "quick", "until_failure", "no_diagnosis", "report")
# Commands by the word that calls them: modules whose function `main` takes what follows the word.
_COMMANDS = {
    "reveal": "conformance.reporting.revealed",
    "matrix": "conformance.reporting.matrix",
    "vectors": "conformance.vectors.command",
    "campaign": "conformance.campaign.command",
}


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
    # Not at the top: pytest warns of Hypothesis if it was imported before pytest started, and what
    # knows the kinds imports it.
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Judge implementations of involution.",
        epilog=f"A first word may be a command with options of its own: {', '.join(_COMMANDS)}. "
        "Other options are pytest's: -x stops at the first failure, -k EXPRESSION selects "
        "checks by name, -v prints every failure, -n 2 --dist loadgroup uses two processes "
        "(pytest-xdist), --hypothesis-profile=ci|network|nightly|survey tries less or more hard.",
        allow_abbrev=False,
    )
    if not {"-h", "--help", "--case"} & {one.partition("=")[0] for one in arguments}:
        return int(pytest.main([str(Path(__file__).parent), *arguments]))
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
