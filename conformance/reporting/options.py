"""The options of the command line, the same for pytest and for ``python -m conformance``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance.judging.kind import Kind


def file(name: Any) -> Path:
    """Give a file that is read. In settings it stands beside the file of the settings."""
    return Path(name)


def add(to: Callable[..., Any], kinds: tuple[Kind, ...]) -> None:
    """Add them to a parser, of argparse or of pytest.

    Parameters
    ----------
    to : callable
        ``add_argument`` or ``addoption``.
    kinds : tuple of Kind
        What can be judged.
    """
    for kind in kinds:
        to(
            kind.option,
            action="append",
            default=[],
            metavar="PACKAGE.MODULE:ATTRIBUTE",
            help=f"{kind.name} to judge (repeatable); where nothing is named, this project's own",
        )
    to("--check", action="append", default=[], metavar="NAME", help="run this check only")
    to("--seed", type=int, help="repeat the run that printed this seed")
    to(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="for each implementation (default 120); what is not reached by then is named",
    )
    to(
        "--quick",
        action="store_true",
        help="certificates and exact sums alone, in some ten seconds: no verdict on the rest",
    )
    to(
        "--until-failure",
        action="store_true",
        help="judge an implementation no further once it has failed",
    )
    to(
        "--in-process",
        action="store_true",
        help="judge in the process of the judge, for a debugger: not isolated",
    )
    to(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="for one call (default 60); without an answer by then it fails",
    )
    to(
        "--memory",
        type=float,
        metavar="GIB",
        help="address space that the judged process may have (default: no limit)",
    )
    to(
        "--specification",
        metavar="VERSION",
        help="refuse to judge by another version of the specification than this one",
    )
    to(
        "--shapes",
        metavar="FILE",
        type=Path,
        help="judge these shapes too, of a network of your own, each at its full size: lines of "
        "JSON or CSV with B, H, W, C, G, K, stride, dilation, padding and layout",
    )
    to(
        "--power",
        action="store_true",
        help="measure how many known faults the cases of this run would have shown",
    )
    to("--no-diagnosis", action="store_true", help="do not compare what fails with known faults")
    to(
        "--waivers",
        metavar="FILE",
        type=file,
        help="TOML file of deviations that are known and stay, each with its reason; one that is "
        "no longer true fails the run",
    )
    to(
        "--report",
        metavar="DIR",
        type=Path,
        help="write a page, JSON with its schema, and JUnit into this folder; with "
        "FILE.json the JSON alone",
    )
