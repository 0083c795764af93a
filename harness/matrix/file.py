# SPDX-License-Identifier: Apache-2.0
"""A matrix kept in a file: `matrix.toml`, whose keys are the options' names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DeclarationError
from harness.suggest import nearest

_LIST, _TEXT, _NUMBER, _SWITCH = "a list of strings", "a string", "a number", "true or false"
_KEYS = {
    "kernels": _LIST,
    "cpus": _LIST,
    "select": _TEXT,
    "scenarios": _LIST,
    "accel": _TEXT,
    "memory": _NUMBER,
    "append": _LIST,
    "mirrors": _LIST,
    "boot": _SWITCH,
    "workers": _NUMBER,
    "run-dir": _TEXT,
    "scheduler": _TEXT,
}
_PATHS = ("scenarios", "run-dir")


@dataclass(frozen=True)
class MatrixFile:
    """What a file says.

    Attributes:
        choice: values for the attributes of `Matrix`, of those that it names.
        run_dir: where the record goes, empty when it does not say.
        scheduler: the address of a cluster's scheduler, empty when it names none.
    """

    choice: Mapping[str, Any]
    run_dir: str = ""
    scheduler: str = ""


def read_matrix(path: Path) -> MatrixFile:
    """Read a matrix; the paths in it begin at its folder.

    Raises:
        DeclarationError: it cannot be read, is not TOML, or has a key that is none.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DeclarationError(f"matrix {path} cannot be read: {error}") from error
    found = {key: _checked(path, key, value) for key, value in table.items()}
    return MatrixFile(
        choice={key: value for key, value in found.items() if key not in ("run-dir", "scheduler")},
        run_dir=found.get("run-dir", ""),
        scheduler=found.get("scheduler", ""),
    )


def _checked(path: Path, key: str, value: object) -> Any:
    """Return a key's value as `Matrix` has it."""
    if key not in _KEYS:
        raise DeclarationError(f"matrix {path} has an unknown key {key!r}", hint=_hint(key))
    if not _fits(value, _KEYS[key]):
        raise DeclarationError(f"matrix {path}: {key} is {_KEYS[key]}, got {value!r}")
    if key in _PATHS:
        value = _below(path, value)
    if key == "workers":
        return str(value)
    return tuple(value) if isinstance(value, list) else value


def _fits(value: object, wanted: str) -> bool:
    match value:
        case bool():
            return wanted is _SWITCH
        case int():
            return wanted is _NUMBER
        case str():
            return wanted is _TEXT
        case list():
            return wanted is _LIST and all(isinstance(one, str) for one in value)
    return False


def _below(path: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_below(path, one) for one in value]
    return str(path.parent / Path(value).expanduser())


def _hint(key: str) -> str:
    return nearest(key, _KEYS) or f"there are: {', '.join(_KEYS)}"
