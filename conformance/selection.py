"""What a run judges, how hard, and where: read from the options of the command line.

Bad options are refused here, before anything is judged. The options themselves stand in
`conformance.reporting.options`; what pytest is told of all this, in `conformance/conftest.py`.
"""

import importlib.util
from dataclasses import replace

import pytest

from conformance import specification
from conformance.cases import shapes as shapes_of_a_file
from conformance.cases.shapes import Shape, ShapeError
from conformance.claims.loading import Where
from conformance.judging.session import PROFILES, Profile
from conformance.judging.trial import Trial
from conformance.judging.waivers import Waiver, WaiverError, read
from conformance.kinds import KINDS, LAYER, OPERATOR
from conformance.reporting import folder

# What `pytest conformance` judges where nothing is named.
OURS = {
    LAYER: (
        "conformance.implementations.layer.keras_layer:graph",
        "conformance.implementations.layer.keras_layer:eager",
    ),
    OPERATOR: (
        "conformance.implementations.operator.keras_operator:eager",
        # The operator within the layer, traced: in a graph it is the operator that is traced.
        "conformance.implementations.operator.keras_in_layer:graph",
    ),
}
# Whoever chooses a profile has the time for this one too: XLA compiles every geometry anew.
COMPILED = {LAYER: ("conformance.implementations.layer.keras_layer:xla",), OPERATOR: ()}
# What each may spend of a profile's budget before the fewest cases are asked: then the default
# profile takes five minutes for all of them, on two cores.
_OUR_SHARE = 0.75
# The options that say where it is judged.
_WHERE = ("in_process", "timeout", "memory")


def profile_name(config: pytest.Config) -> str:
    """Name the profile that is asked for."""
    named = config.getoption("hypothesis_profile", None)
    if config.getoption("--quick"):
        if named not in (None, "quick"):
            raise pytest.UsageError(f"--quick is a profile of its own, and not {named}")
        return "quick"
    return str(named or "default")


def check_options(config: pytest.Config) -> None:
    """Refuse before anything is judged what would lose the verdict afterwards."""
    budget, path = config.getoption("--budget"), config.getoption("--report")
    pinned, ours = config.getoption("--specification"), specification.version()
    if pinned not in (None, ours):
        raise pytest.UsageError(
            f"--specification={pinned}: this suite judges by version {ours}; install a release "
            "of refimpl that has the other, or read what changed and say the new one"
        )
    if budget is not None and not budget > 0:
        raise pytest.UsageError(f"--budget must be more than 0 seconds, got {budget:g}")
    if path is not None and (wrong := folder.unwritable(path)):
        raise pytest.UsageError(f"--report={path}: {wrong}")


def shapes(config: pytest.Config) -> tuple[Shape, ...]:
    """Read the shapes that are to be judged beside everything else."""
    path = config.getoption("--shapes")
    if path is None:
        return ()
    if not config.getoption(OPERATOR.option) and config.getoption(LAYER.option):
        raise pytest.UsageError("--shapes are those of operators: name one, --implementation=...")
    try:
        return shapes_of_a_file.read(path)
    except ShapeError as error:
        raise pytest.UsageError(f"--shapes: {error}") from error


def trials(config: pytest.Config, profile: Profile, seed: int) -> list[Trial]:
    """List what is to be judged; nothing of it is loaded yet."""
    named = {kind: config.getoption(kind.option) for kind in KINDS}
    budget, ours = config.getoption("--budget"), not any(named.values())
    if ours and not importlib.util.find_spec("keras"):
        raise pytest.UsageError(
            "name what is to be judged, --implementation=package.module:attribute or "
            "--layer=...: this project's own implementations need TensorFlow and Keras, "
            "which are not installed"
        )
    options = {
        "profile": profile,
        "seed": seed,
        "budget": _OUR_SHARE * profile.budget if ours and budget is None else budget,
        # This project's own are judged to the end, however slow the machine is.
        "to_the_end": ours and budget is None,
        "until_failure": config.getoption("--until-failure"),
        "waivers": waivers(config),
    }
    unusual = replace(profile, shapes=()) not in (PROFILES["default"], PROFILES["quick"])
    where = Where(**{name: config.getoption(f"--{name.replace('_', '-')}") for name in _WHERE})
    return [
        Trial(name, kind, where, **options)
        for kind, names in (OURS if ours else named).items()
        # The dearest first: the last one would keep the other core waiting.
        for name in (*(COMPILED[kind] if ours and unusual else ()), *names)
    ]


def waivers(config: pytest.Config) -> list[Waiver]:
    """Read the file of waivers, if one is given."""
    path = config.getoption("--waivers")
    try:
        return [] if path is None else read(path, KINDS)
    except WaiverError as error:
        raise pytest.UsageError(f"--waivers: {error}") from error
