# SPDX-License-Identifier: Apache-2.0
"""`trapgate cache`: what is kept, how much it may be, and away with it."""

from __future__ import annotations

import re
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.cli.app import app
from harness.errors import DeclarationError
from harness.machine.keeping import (
    Kept,
    clear_states,
    enforce_limit,
    kept_states,
    read_limit,
    write_limit,
)
from harness.wording import numbered

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d+)([KMG]?)(?:i?B)?", re.IGNORECASE)

cache = typer.Typer(help="Show, limit and clear the boot states that clones start from.")
app.add_typer(cache, name="cache", invoke_without_command=True)


@cache.callback()
def show(context: typer.Context) -> None:
    """Show, limit and clear the boot states that clones start from."""
    if context.invoked_subcommand is None:
        show_states()


@cache.command("list")
def show_states() -> None:
    """Show every kept state, the one used last first."""
    table = Table("state", "kernel", "accelerator", "MiB", "last used", box=None)
    states = kept_states()
    for state in states:
        table.add_row(*_row(state))
    console = Console()
    if states:
        console.print(table)
    used, limit = sum(s.size_bytes for s in states), read_limit()
    console.print(
        f"{numbered(len(states), 'state')}, {_mib(used)} of at most {_mib(limit)} MiB on disk"
    )


@cache.command()
def limit(
    size: Annotated[str, typer.Argument(help="How much may be kept: 500M, 4G.")],
) -> None:
    """Say how much may be kept; what was not used for longest goes first."""
    found = _SIZE.fullmatch(size)
    if not found:
        raise DeclarationError(f"size {size!r}: expected something like 500M or 4G")
    write_limit(int(found.group(1)) * _UNITS[found.group(2).upper()])
    typer.echo(f"{numbered(enforce_limit(), 'state')} removed")


@cache.command()
def clear() -> None:
    """Remove every kept state; guests that run from one go on."""
    typer.echo(f"{numbered(clear_states(), 'state')} removed")


def _row(state: Kept) -> tuple[str, ...]:
    used = f"{state.used:%Y-%m-%d %H:%M}"
    return state.key, state.kernel, state.accelerator, _mib(state.size_bytes), used


def _mib(size_bytes: int) -> str:
    return str(round(size_bytes / (1 << 20)))
