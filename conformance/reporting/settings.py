"""Settings of a user's own: the table ``[tool.refimpl]`` of the nearest ``pyproject.toml``.

They stand in the place of options that the command line leaves out. Nothing is judged here.
"""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from conformance.judging.kind import Kind
from conformance.reporting import options

# The name of an option of Hypothesis', in the words of this suite.
_RENAMED = {"profile": "--hypothesis-profile"}


class SettingsError(ValueError):
    """A setting that there is not, or that has a value that it cannot have."""


def apply(options_given: Any, kinds: tuple[Kind, ...], folder: Path) -> None:
    """Put the settings in the place of options that the command line left as they are.

    Parameters
    ----------
    options_given : argparse.Namespace
        What the command line gave. If it names what is to be judged, it names all of it.
    kinds : tuple of Kind
        What can be judged.
    folder : Path
        Where it is called; the nearest ``pyproject.toml`` of it and of those above it is read.

    Raises
    ------
    SettingsError
        Naming the file, the setting, and the rule.
    """
    known = _known(kinds)
    named = {_attribute(kind.option) for kind in kinds}
    names_some = any(getattr(options_given, name, None) for name in named)
    for name, value in _table(folder, known).items():
        attribute = _attribute(known[name].option)
        if names_some and attribute in named:
            continue
        if getattr(options_given, attribute, None) in (None, False, []):
            setattr(options_given, attribute, value)


class _Known(NamedTuple):
    """An option, what its value is made by, and whether it is repeatable."""

    option: str
    type: Callable[[Any], Any]
    several: bool = False


def _attribute(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _known(kinds: tuple[Kind, ...]) -> dict[str, _Known]:
    """Give what each setting stands for."""
    found = {"profile": _Known("--hypothesis-profile", str)}

    def add(option: str, action: str = "", type: Any = str, **_: Any) -> None:  # noqa: A002
        kind = bool if action == "store_true" else type
        found[option.removeprefix("--")] = _Known(option, kind, action == "append")

    options.add(add, kinds)
    return found


def _table(folder: Path, known: Mapping[str, _Known]) -> Mapping[str, Any]:
    """Read the settings of the nearest file, each of the type that its option has."""
    paths = (one / "pyproject.toml" for one in (folder, *folder.parents))
    path = next((one for one in paths if one.is_file()), None)
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("refimpl", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    read = {}
    for name, value in table.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            instead = f"; did you mean {near[0]}?" if near else f"; it may have {', '.join(known)}"
            raise SettingsError(f"{path}: [tool.refimpl] has no setting {name}{instead}")
        one = known[name]
        listed = value if one.several and isinstance(value, list) else [value]
        if not all(_fits(each, one.type) for each in listed):
            due = {bool: "true or false", int: "an integer", float: "a number"}
            words = due.get(one.type, "text")  # type: ignore[call-overload]
            raise SettingsError(f"{path}: [tool.refimpl] {name} must be {words}, got {value!r}")
        # What is read stands beside the file that names it.
        made = [
            one.type(path.parent / each if one.type is options.file else each) for each in listed
        ]
        read[name] = made if one.several else made[0]
    return read


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether a value of the file is one of an option's."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, int if kind is int else str)
