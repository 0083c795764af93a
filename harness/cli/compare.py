# SPDX-License-Identifier: Apache-2.0
"""`trapgate compare`: what has changed between two runs, first what calls for action."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from harness.cli.app import app
from harness.record import compare as comparing
from harness.record.differences import show_json, show_text
from harness.record.flakes import with_history
from harness.record.reading import read_run

_LINES = 20
_Before = Annotated[str, typer.Argument(metavar="RUN_A", help="The earlier run.")]
_After = Annotated[str, typer.Argument(metavar="RUN_B", help="The later run.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_All = Annotated[bool, typer.Option("--all", help="Every line, not the first of each sort.")]


@app.command()
def compare(
    before: _Before, after: _After, *, as_json: _Json = False, everything: _All = False
) -> None:
    """Say what has changed between two runs, the worst first.

    Status 0: nothing is worse. 1: something is. 2: guests were lost that answered before, or the
    runs cannot be compared.
    """
    found = with_history(comparing.compare(read_run(before), read_run(after)))
    if as_json:
        typer.echo(json.dumps(show_json(found), indent=2))
    else:
        most = len(found.changes) if everything else _LINES
        typer.echo("\n".join(show_text(found, most)))
    raise typer.Exit(found.exit_status)
