# SPDX-License-Identifier: Apache-2.0
"""`trapgate tables`: where each system-call number leads in a running kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from harness.cli.app import app
from harness.cli.machine import MachineChoice, takes_machine
from harness.errors import DeclarationError
from harness.evidence.inside import Inside
from harness.evidence.tables import Table, compare, describe, read_kernel_table
from harness.kernels import find_source
from harness.kernels.catalogue import default_specs
from harness.target.spring import start_guest
from harness.wording import numbered

_Diff = Annotated[
    tuple[str, str] | None,
    typer.Option("--diff", metavar="BEFORE AFTER", help="Show what differs between two kernels."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
@takes_machine
def tables(*, machine: MachineChoice, diff: _Diff = None, as_json: _Json = False) -> None:
    """Show where each system-call number leads, for each ABI.

    What a number leads to is read from the running kernel: from its table of pointers, or from the
    code of the switch that dispatches instead.

    Status 0: the tables were shown. 2: they could not be.
    """
    if not diff:
        show = _as_json if as_json else _as_text
        typer.echo("\n".join(show(*_read(machine, default_specs()[-1]))))
        return
    if machine.spec:
        raise DeclarationError("--diff names both kernels", hint="leave --kernel out")
    for spec in diff:
        find_source(spec)
    pairs = _pairs(*(_read(replace(machine, spec=spec), spec)[1] for spec in diff))
    typer.echo("\n".join(_diff_as_json(pairs) if as_json else _diff_as_text(pairs)))


def _read(machine: MachineChoice, default: str) -> tuple[list[str], list[Table]]:
    """Return the tables of a kernel, and a headline of each."""
    kernel = machine.obtain(default)
    with start_guest(kernel, machine.options) as guest:
        inside = Inside(guest, kernel)
        found = [read_kernel_table(inside, abi) for abi in kernel.arch.abis]
        return [describe(table, inside.symbols) for table in found], found


def _pairs(before: list[Table], after: list[Table]) -> list[tuple[Table, Table]]:
    """Return the tables of ABIs that both kernels have.

    Raises:
        DeclarationError: there are none.
    """
    others = {table.abi: table for table in after}
    return [(table, others[table.abi]) for table in before if table.abi in others]


def _as_text(headlines: Sequence[str], found: Sequence[Table]) -> Iterator[str]:
    for headline, table in zip(headlines, found, strict=True):
        yield headline
        for row in table.rows:
            routine = row.routine if row.implemented else "unimplemented"
            yield f"{row.number:>5}  {row.name or '-':<28}{routine}"


def _as_json(headlines: Sequence[str], found: Sequence[Table]) -> list[str]:
    return [json.dumps({str(t.abi): _facts(h, t) for h, t in zip(headlines, found, strict=True)})]


def _facts(headline: str, table: Table) -> dict[str, Any]:
    rows = [
        {
            "number": r.number,
            "name": r.name or None,
            "routine": r.routine if r.implemented else None,
        }
        for r in table.rows
    ]
    return {"says": headline, "switch": bool(table.dispatch.switch), "rows": rows}


def _diff_as_text(pairs: Sequence[tuple[Table, Table]]) -> Iterator[str]:
    for before, after in pairs:
        changes = list(compare(before, after))
        yield f"{before.abi}: {numbered(len(changes), 'change')}"
        for change in changes:
            yield f"{change.number:>5}  {change.kind:<8}  {change.name:<28}{change.says}"


def _diff_as_json(pairs: Sequence[tuple[Table, Table]]) -> list[str]:
    return [
        json.dumps(
            {str(before.abi): [vars(c) for c in compare(before, after)] for before, after in pairs}
        )
    ]
