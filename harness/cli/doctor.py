# SPDX-License-Identifier: Apache-2.0
"""`trapgate doctor`: what of the host's side is there, what is not, and how to get it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import typer

from harness.cli.app import app
from harness.doctor import Finding, Standing, examine
from harness.doctor.install import find_missing, install_missing
from harness.errors import OutcomeKind
from harness.tools import remedy

_Install = Annotated[
    bool, typer.Option("--install", help="Install required programs that are missing.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")]


@app.command()
def doctor(*, install: _Install = False, as_json: _Json = False) -> None:
    """Look at what the harness needs of this host.

    Status 2 when something required is missing. It asks no questions. With --install it runs
    the distribution's package manager, through sudo unless it is root.
    """
    if install:
        install_missing(lambda line: typer.echo(line, err=True))
    findings = examine()
    typer.echo(_as_json(findings) if as_json else _as_text(findings))
    if any(finding.blocks for finding in findings):
        raise typer.Exit(OutcomeKind.INFRASTRUCTURE.value.exit_status)


def _as_json(findings: Sequence[Finding]) -> str:
    rows = [
        dataclasses.asdict(finding) | {"standing": finding.standing.value} for finding in findings
    ]
    ready = not any(finding.blocks for finding in findings)
    return json.dumps({"ready": ready, "remedy": _remedy(), "findings": rows}, indent=2)


def _as_text(findings: Sequence[Finding]) -> str:
    width = max(len(finding.name) for finding in findings)
    lines = [line for finding in findings for line in _as_lines(finding, width)]
    blocking = [finding.name for finding in findings if finding.blocks]
    verdict = f"not ready: {', '.join(blocking)}" if blocking else "ready"
    return "\n".join([*lines, verdict, *_remedy().splitlines()])


def _remedy() -> str:
    missing = find_missing()
    return remedy(missing) if missing else ""


def _as_lines(finding: Finding, width: int) -> list[str]:
    lacking = finding.standing in {Standing.ABSENT, Standing.FAILED}
    note = " (optional)" if lacking and not finding.required else ""
    line = f"{finding.standing.value:<9} {finding.name:<{width}}  {finding.detail}{note}"
    indent = " " * (width + 12)
    return [line, *(f"{indent}{advice}" for advice in finding.remedy.splitlines())]
