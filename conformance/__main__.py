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
        0 if everything passes, 1 if something fails, 2 for a command that cannot be understood.
    """
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Judge implementations of involution. Other options are pytest's.",
    )
    parser.add_argument(
        "--implementation",
        action="append",
        default=[],
        metavar="PACKAGE.MODULE:ATTRIBUTE",
        help="what to judge (repeatable); by default this project's TensorFlow operator and layer",
    )
    parser.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="PACKAGE.MODULE:ATTRIBUTE",
        help="which layer to judge (repeatable)",
    )
    parser.add_argument(
        "--case", metavar="TOKEN", help="replay the one case that a failure printed"
    )
    options, others = parser.parse_known_args(arguments)
    named = [f"--implementation={name}" for name in options.implementation]
    named += [f"--layer={name}" for name in options.layer]
    if options.case is None:
        return int(pytest.main([str(Path(__file__).parent), *named, *others]))
    if len(named) != 1 or others:
        parser.error("--case goes with exactly one --implementation or --layer and nothing else")
    # Not at the top: pytest warns of Hypothesis if it was imported before pytest started.
    from conformance.cases import parse
    from conformance.implementation import LoadError, load
    from conformance.layers.cases import LayerCase
    from conformance.layers.replay import replay_layer
    from conformance.layers.seam import LAYER
    from conformance.replay import replay

    try:
        if options.layer:
            judged, case = load(options.layer[0], LAYER), parse(options.case, LayerCase)
        else:
            judged, case = load(options.implementation[0]), parse(options.case)
    except (LoadError, ValueError) as error:
        parser.error(str(error))
    return 0 if (replay_layer if options.layer else replay)(judged, case) else 1


if __name__ == "__main__":
    sys.path.insert(0, "")  # as pytest does: what is judged may stand in the current folder
    sys.exit(main(sys.argv[1:]))
