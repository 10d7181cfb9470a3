"""A network in training, kept in one file that is replaced as a whole or not at all.

Everything that the next epoch depends on is in it: weights, the optimizer's state and the record of
the epochs so far. Plain NumPy arrays, no pickles. It is no format for trained models to be shared.
"""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.keras.study import StudyError


def save(path: Path, model: Any, record: dict[str, Any]) -> None:
    """Write a compiled model and its record; a crash leaves the file before or this one."""
    arrays = {
        f"variable_{number:03}": np.asarray(variable)
        for number, variable in enumerate(_variables(model))
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a file is renamed in one step on its own file system only.
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        np.savez(file, allow_pickle=False, record=np.array(json.dumps(record)), **arrays)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def record_of(path: Path) -> dict[str, Any] | None:
    """Read the record alone; None where there is no checkpoint.

    Raises
    ------
    StudyError
        For a file that cannot be read.
    """
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(str(_read(path, "record")[0]))
    return record


def restore(path: Path, model: Any) -> None:
    """Give a compiled model the state that was saved.

    Raises
    ------
    StudyError
        For a file that cannot be read, or that holds another network.
    """
    variables = _variables(model)
    values = _read(path, "variable_")
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise StudyError(f"{path} holds another network; --fresh starts anew.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(model: Any) -> list[Any]:
    model.optimizer.build(model.trainable_variables)
    return [*model.weights, *model.optimizer.variables]


def _read(path: Path, prefix: str) -> list[Any]:
    """Return the arrays whose names start so, in the order of their names."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in sorted(arrays.files) if name.startswith(prefix)]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise StudyError(f"{path} cannot be read ({error}); --fresh starts anew.") from error
