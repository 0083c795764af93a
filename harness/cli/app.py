# SPDX-License-Identifier: Apache-2.0
"""The root of the command line, to which each command's module adds itself."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path
from typing import Annotated

import typer

_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"

app = typer.Typer(
    name="trapgate",
    help="Put questions to the system-call boundary of real x86 Linux kernels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"trapgate {version()}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Put questions to the system-call boundary of real x86 Linux kernels."""


def version() -> str:
    """Return the harness's version: the checkout's where this is one, else the package's."""
    if _PROJECT.is_file():
        return str(tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"])
    return importlib.metadata.version("trapgate")
