# SPDX-License-Identifier: Apache-2.0
"""Reading a command line that is plainly right, without typer, which costs more than a clone.

Whatever is not plain (an option that nobody knows, a value that is missing, --help) is not read
here: typer reads the whole line again, and says what there is to say.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from harness.cli.parameter import Argument, Option

Command = Callable[..., None]

_INTEGER = re.compile(r"0|[1-9][0-9]{0,8}")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_READERS: dict[object, Callable[[str], object]] = {
    str: str,
    int: lambda text: int(_plain(_INTEGER, text)),
    float: lambda text: float(_plain(_DECIMAL, text)),
    float | None: lambda text: float(_plain(_DECIMAL, text)),
    Path: Path,
    Path | None: Path,
}
_LISTS = list[str] | None


class NotPlainError(Exception):
    """A command line is for typer to read."""


def read_line(command: Command, line: Sequence[str]) -> dict[str, Any]:
    """Return what a command line gives to a command's parameters.

    Args:
        command: its parameters are annotated with `Option` and `Argument`.
        line: what comes behind the command's name: options, then arguments.

    Raises:
        NotPlainError: typer has to read it.
    """
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    declared = [(p, *get_args(p.annotation)) for p in parameters]
    options = {
        name: (parameter.name, kind)
        for parameter, kind, how in declared
        if isinstance(how, Option)
        for name in how.names
    }
    values = {parameter.name: parameter.default for parameter in parameters}
    rest = _read_options(options, list(line), values)
    for parameter, kind, how in declared:
        if isinstance(how, Argument):
            values[parameter.name] = _read_argument(kind, rest)
    if rest:
        raise NotPlainError
    return values


def _read_options(
    options: dict[str, tuple[str, Any]], line: list[str], values: dict[str, Any]
) -> list[str]:
    """Read options up to the first argument into `values`, and return what is left."""
    while line and line[0].startswith("-"):
        name, equals, value = line.pop(0).partition("=")
        if name not in options:
            raise NotPlainError
        target, kind = options[name]
        if kind is bool:
            values[target] = not equals or _not_plain()
            continue
        if not equals:
            value = line.pop(0) if line and not line[0].startswith("-") else _not_plain()
        values[target] = _with(values[target], value) if kind == _LISTS else _READERS[kind](value)
    return line


def _read_argument(kind: object, rest: list[str]) -> object:
    if kind == _LISTS:
        given = rest[:]
        rest.clear()
        return given or None
    return _READERS[kind](rest.pop(0)) if rest else _not_plain()


def _with(given: list[str] | None, value: str) -> list[str]:
    return [*(given or ()), value]


def _plain(form: re.Pattern[str], text: str) -> str:
    return text if form.fullmatch(text) else _not_plain()


def _not_plain() -> Any:
    raise NotPlainError
