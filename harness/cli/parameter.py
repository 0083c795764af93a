# SPDX-License-Identifier: Apache-2.0
"""What a command takes, as data beside its parameters' types: `Annotated[str, Option("--cpu")]`.

typer's own declarations would have every call load typer. These are made into typer's where
typer is what reads them, and for commands that have to be quick `harness.cli.quick` reads by them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, init=False)
class Option:
    """An option.

    Attributes:
        names: what it is called, "--kernel".
        metavar: what its value is called, None for what typer would call it.
        help: a sentence.
    """

    names: tuple[str, ...]
    metavar: str | None
    help: str

    def __init__(self, *names: str, help: str, metavar: str | None = None) -> None:  # noqa: A002
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "metavar", metavar)
        object.__setattr__(self, "help", help)


@dataclass(frozen=True)
class Argument:
    """An argument; a list takes the rest of the line.

    Attributes:
        metavar: what it is called.
        help: a sentence, empty for none.
    """

    metavar: str
    help: str = ""
