"""Settings from ``palate.toml`` and the environment: read, merged, and checked against the components' own models.

The file's tables mirror the tree of settings; ``PALATE_SERVING__PORT=9000`` overrides ``[serving] port``. A double
underscore goes one level down, so variables without one (``PALATE_CACHE``) are never mistaken for settings.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from palate.core.errors import UsageError

PREFIX = "PALATE_"
LEVEL = "__"

SettingsT = TypeVar("SettingsT", bound=BaseModel)


def read_settings(
    model: type[SettingsT], path: Path | None = None, environment: Mapping[str, str] | None = None
) -> SettingsT:
    """Settings of a tree of components.

    Parameters
    ----------
    model
        The tree: a frozen model whose fields are the components' settings.
    path
        A TOML file; defaults alone where None.
    environment
        Variables that override the file, e.g. ``os.environ``.

    Raises
    ------
    UsageError
        The file cannot be read, or holds unknown keys or values of a wrong type; the message names file, key and value.
    """
    tree = {} if path is None else read_toml(path)
    overrides, origins = _from_environment(environment or {})
    _merge(tree, overrides)
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = [_in_words(model, problem, path, origins) for problem in error.errors()]
        raise UsageError("\n".join(lines)) from None


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a tree.

    Raises
    ------
    UsageError
        The file is missing, not UTF-8 or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"{path} is not there. `palate init` writes a commented one.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None


def complaint(problem: Mapping[str, Any]) -> str:
    """What is wrong with a value, of one of pydantic's errors, without pydantic's preface."""
    return str(problem["msg"]).removeprefix("Value error, ").removesuffix(".")


def suggestion(name: str, known: list[str]) -> str:
    """ "Did you mean ...?" where a known name is close, else the list of known names."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(sorted(known))}."


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """The tree that variables spell, and the variable behind each of its leaves."""
    tree: dict[str, Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    for variable, value in sorted(environment.items()):
        if not variable.startswith(PREFIX) or LEVEL not in variable:
            continue
        *parents, leaf = variable.removeprefix(PREFIX).lower().split(LEVEL)
        place = tree
        for name in parents:
            below = place.setdefault(name, {})
            if not isinstance(below, dict):
                raise UsageError(f"{variable} goes below {name!r}, which another variable already set to a value.")
            place = below
        place[leaf] = _value(value)
        origins[(*parents, leaf)] = variable
    return tree, origins


def _value(text: str) -> Any:
    """Lists and tables are written as in TOML; everything else is text, which the models turn into numbers."""
    if text[:1] in ("[", "{"):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _merge(tree: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Lay one tree over another, in place."""
    for name, value in overrides.items():
        below = tree.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            _merge(below, value)
        else:
            tree[name] = value


def _in_words(model: type[BaseModel], problem: Any, path: Path | None, origins: Mapping[tuple[str, ...], str]) -> str:
    location = tuple(str(part) for part in problem["loc"])
    where = origins.get(location) or f"{path or 'settings'}: {'.'.join(location)}"
    if problem["type"] == "extra_forbidden":
        return f"{where} is not a setting. {suggestion(location[-1], _fields_at(model, location[:-1]))}"
    return f"{where} = {problem['input']!r}: {complaint(problem)}."


def _fields_at(model: type[BaseModel], location: tuple[str, ...]) -> list[str]:
    """Names of the settings at a place in the tree."""
    for part in location:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)
