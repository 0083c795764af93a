# SPDX-License-Identifier: Apache-2.0
"""Which commands there are; of their modules, only those that a command line needs are loaded."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence

from harness.cli.quick import Command

QUICK = {"call": "call", "exec": "execute", "explain": "explain", "shell": "shell"}
"""Commands that have to answer in a moment: by name, the function in `harness.cli.NAME`, whose
parameters are declared as `harness.cli.parameter` has it."""
MODULES = (
    *("call", "shell", "exec", "replay", "record", "bundle", "gdb"),
    *("explain", "tables", "cost"),
    *("matrix", "runs", "report", "compare", "bisect"),
    "claims",
    *("doctor", "qemu", "cache", "kernels"),
)
"""All commands, in the order of --help; modules that are not quick add themselves to the app."""

_COMPLETION = "_TRAPGATE_COMPLETE"
SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def find_quick(line: Sequence[str]) -> Command | None:
    """Return the command that a command line names, None unless it has to be quick."""
    name = line[0] if line else ""
    return _load_quick(name) if name in QUICK and _COMPLETION not in os.environ else None


def run_by_typer(line: Sequence[str]) -> None:
    """Have typer read the command line, run the command and exit, as it does."""
    from harness.cli.app import app  # noqa: PLC0415 - a quick command has no need of typer

    alone = line[0] if line and line[0] in MODULES and _COMPLETION not in os.environ else ""
    for name in (alone,) if alone else MODULES:
        if name in QUICK:
            app.command(name, context_settings=SETTINGS)(_load_quick(name))
        else:
            importlib.import_module(f"harness.cli.{name}")
    app(prog_name="trapgate")


def _load_quick(name: str) -> Command:
    command: Command = getattr(importlib.import_module(f"harness.cli.{name}"), QUICK[name])
    return command
