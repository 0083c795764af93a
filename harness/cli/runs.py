# SPDX-License-Identifier: Apache-2.0
"""`trapgate runs`: the runs that were recorded on this host."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from harness.cli.app import app
from harness.record.history import History
from harness.record.index import Noted, RunIndex

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Flaky = Annotated[bool, typer.Option("--flaky", help="What a kernel answers now so and now so.")]


@app.command()
def runs(*, flaky: _Flaky = False, as_json: _Json = False) -> None:
    """List the runs that were recorded here, oldest first.

    With --flaky it lists the questions to which a kernel has given several answers in them, from
    the same inputs, and how often which.
    """
    if flaky:
        _show_flaky(as_json=as_json)
        return
    known = [_row(one) for one in RunIndex().runs()]
    if as_json:
        typer.echo(json.dumps(known, indent=2))
        return
    names = ("name", "started", "state", "outcomes")
    widths = [max((len(row[name]) for row in known), default=0) for name in names]
    for row in known:
        cells = (f"{row[name]:<{w}}" for name, w in zip(names, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _show_flaky(*, as_json: bool) -> None:
    found = History().changing()
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        typer.echo(str(one))


def _row(noted: Noted) -> dict[str, str]:
    return {
        "name": noted.name,
        "started": noted.started,
        "state": noted.state,
        "outcomes": noted.outcomes,
        "folder": str(noted.folder),
    }
