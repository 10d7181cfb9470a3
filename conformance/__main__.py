"""``python -m conformance``: the suite from an installed package, or one case of it."""

import argparse
import sys
from pathlib import Path

import pytest


def main(arguments: list[str]) -> int:
    """Run the suite, or replay one case.

    Returns
    -------
    int
        0 if all that was asked for conforms, 1 if not, 2 for a command that cannot be understood,
        4 for what cannot be loaded.
    """
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Judge implementations of involution. Other options are pytest's: see "
        "`python -m conformance -h --help` and the guide.",
        allow_abbrev=False,
    )
    for option, what in (("--implementation", "operator"), ("--layer", "layer")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="PACKAGE.MODULE:ATTRIBUTE",
            help=f"{what} to judge (repeatable); where nothing is named, this project's own",
        )
    parser.add_argument(
        "--case", metavar="TOKEN", help="replay the one case that a failure printed"
    )
    options, others = parser.parse_known_args(arguments)
    named = [("--implementation", name) for name in options.implementation]
    named += [("--layer", name) for name in options.layer]
    if options.case is None:
        here = str(Path(__file__).parent)
        return int(pytest.main([here, *(f"{option}={name}" for option, name in named), *others]))
    if len(named) != 1 or others:
        parser.error("--case goes with exactly one --implementation or --layer and nothing else")
    # Not at the top: pytest warns of Hypothesis if it was imported before pytest started.
    from conformance.claims.loading import LoadError, load
    from conformance.judging.replay import replay
    from conformance.kinds import KINDS

    (option, name) = named[0]
    kind = next(kind for kind in KINDS if kind.option == option)
    try:
        judged, case = load(name, kind), kind.case.parse(options.case)
        kind.recipe_of(case)
    except (LoadError, ValueError) as error:
        parser.error(str(error))
    return 0 if replay(judged, case) else 1


if __name__ == "__main__":
    sys.path.insert(0, "")  # as pytest does: what is judged may stand in the current folder
    sys.exit(main(sys.argv[1:]))
