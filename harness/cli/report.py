# SPDX-License-Identifier: Apache-2.0
"""`trapgate report`: a run as a page, or in a format that another program reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import app
from harness.record.compare import compare
from harness.record.flakes import with_history
from harness.record.formats import FORMATS, choose_format, render
from harness.record.reading import read_run
from harness.whole import write_output

_Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or its folder.")]
_Format = Annotated[
    str, typer.Option("--format", metavar="NAME", help=f"One of {', '.join(FORMATS)}.")
]
_Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to; its name says the format."),
]
_Against = Annotated[
    str, typer.Option("--against", metavar="RUN", help="An earlier run: what has changed since.")
]


@app.command()
def report(
    run: _Run, *, format_: _Format = "", output: _Output = None, against: _Against = ""
) -> None:
    """Write what a run has found, as a page or for other programs.

    HTML, JUnit, KTAP, JSON Lines, KCIDB, Markdown; without --output on standard output.
    """
    chosen = choose_format(format_, output)
    found = read_run(run)
    comparison = with_history(compare(read_run(against), found)) if against else None
    text = render(chosen, found, comparison)
    for remark in found.remarks:
        print(f"trapgate: {found.name}: {remark}", file=sys.stderr)
    if output:
        write_output(output, text, "report")
    else:
        sys.stdout.write(text)
