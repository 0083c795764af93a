# SPDX-License-Identifier: Apache-2.0
"""`trapgate runs`: the runs that were recorded on this host."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from harness.cli.app import app
from harness.record.index import Noted, RunIndex

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def runs(*, as_json: _Json = False) -> None:
    """List the runs that were recorded here, oldest first."""
    known = [_row(one) for one in RunIndex().runs()]
    if as_json:
        typer.echo(json.dumps(known, indent=2))
        return
    names = ("name", "started", "state", "outcomes")
    widths = [max((len(row[name]) for row in known), default=0) for name in names]
    for row in known:
        cells = (f"{row[name]:<{w}}" for name, w in zip(names, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _row(noted: Noted) -> dict[str, str]:
    return {
        "name": noted.name,
        "started": noted.started,
        "state": noted.state,
        "outcomes": noted.outcomes,
        "folder": str(noted.folder),
    }
