"""The command line of the study: ``python -m refimpl.keras.study``."""

import argparse
import sys
from pathlib import Path

from refimpl.keras.study import StudyError

DESCRIPTION = """\
Train the two classifiers of the published Keras example, one of convolutions and
one of involutions, and write one page about them.

The networks, the optimizer and the defaults are the published ones: Adam, 20
epochs, batches of 256, a shuffle buffer of 256, pixels from 0 to 1. The same
seed gives the same figures, to the last bit, on the same machine and versions.
"""

EPILOG = """\
what is written to the folder:
  index.html     everything on one page that needs no other file
  study.json     every figure, with seed, versions and durations
  pictures/      the data, loss, accuracy and kernel heat maps, light and dark
  *.keras        the trained networks, for keras.saving.load_model
  checkpoints/   the state after the last epoch
  verdict/       what the judge was asked about the trained layers, and its answer

interrupted? Run the same command again. It goes on after the last whole epoch and
ends with the figures that it would have had without the interruption.

the data:
  cifar10        50,000 + 10,000 images, from Keras's cache or else the network
  photographs    tiles of two photographs that scikit-learn ships; about a minute
                 on two cores; no network needed
  digits         handwritten digits that scikit-learn ships, 8x8 pixels; quicker
The last two are stand-ins to try things with. Their figures say nothing about
CIFAR-10, and the page says so.

exit status: 0 done, 1 the judge rejected a layer, 2 something to be mended, which
is said, 130 interrupted.

examples:
  python -m refimpl.keras.study --data photographs --out study
  python -m refimpl.keras.study --seed 1 --out study-1
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        from refimpl.keras.study.run import run
        from refimpl.keras.study.training import INTERRUPTIONS, Recipe
    except ModuleNotFoundError as error:
        print(
            f'The study needs {error.name}: pip install "refimpl[study,tensorflow]"',
            file=sys.stderr,
        )
        return 2
    recipe = Recipe(options.epochs, options.batch_size, options.seed)
    try:
        with INTERRUPTIONS.heard():
            passed = run(options.data, recipe, options.limit, options.fresh, options.out)
    except StudyError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nInterrupted. The same command, without --fresh, goes on after the last epoch.",
            file=sys.stderr,
        )
        return 130
    print(f"\nThe study is at {options.out / 'index.html'}")
    if not passed:
        print("The judge rejects a trained layer: see the page.", file=sys.stderr)
    return 0 if passed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m refimpl.keras.study",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data",
        choices=("cifar10", "photographs", "digits"),
        default="cifar10",
        help="the images (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs", type=_positive, default=20, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--batch-size", type=_positive, default=256, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=42,
        metavar="N",
        help="decides first weights and shuffling (default: %(default)s)",
    )
    trial = "use the first N images of training and of validation only, for a trial"
    parser.add_argument("--limit", type=_positive, metavar="N", help=trial)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("study"),
        metavar="FOLDER",
        help="where all is written, and where an interrupted study goes on (default: %(default)s)",
    )
    parser.add_argument("--fresh", action="store_true", help="start anew, forgetting checkpoints")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _seed(text: str) -> int:
    number = int(text)
    # What NumPy and Keras both take.
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"must be from 0 to {2**32 - 1}, got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
