# SPDX-License-Identifier: Apache-2.0
"""Figures as tables: one of all kernels, one a kernel; for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.arch import ABIS
from harness.cost.figures import Cost, Figures, Unit
from harness.cost.savings import TEXTBOOK_PERCENT, savings
from harness.cost.subjects import CLOCK, EMPTY, PATHS, SUBJECTS, VDSO

Column = tuple[str, str]
"""An ABI and an entry path."""

_NONE = "-"
_HEAD = """\
# What each way into the kernel costs, in figures

Made by `trapgate cost --run docs/cost.json --markdown`; [how it is measured](cost.md).
"""


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        title: what stands above it.
        head: one cell a column.
        rows: as long as the head.
        notes: sentences below it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(all_figures: Sequence[Figures]) -> list[Table]:
    """Return the table of all kernels first, where there are several, and one of each kernel."""
    own = [_of_one(figures) for figures in all_figures]
    return [_of_all(all_figures), *own] if len(all_figures) > 1 else own


def show_markdown(all_figures: Sequence[Figures]) -> str:
    """Return the page of all tables."""
    return "\n".join([_HEAD, *(_markdown(table) for table in tables(all_figures))])


def _of_all(all_figures: Sequence[Figures]) -> Table:
    """Entry paths side by side over kernels: the empty call, and the vDSO's clock."""
    columns = _columns([cost for figures in all_figures for cost in figures.costs])
    rows = tuple(
        (figures.name, *(_cell(figures, _subject(column), column) for column in columns))
        for figures in all_figures
    )
    units = " and ".join(dict.fromkeys(figures.unit.value for figures in all_figures))
    title = f"{EMPTY.name}, and {CLOCK.name} in the vDSO: {units} a call"
    notes = tuple(f"{f.name}: {promised(f)}" for f in all_figures if promised(f))
    return Table(title, ("kernel", *map(_name, columns)), rows, notes)


def _of_one(figures: Figures) -> Table:
    columns = _columns(figures.costs)
    rows = (
        (subject.name, *(_cell(figures, subject.name, column) for column in columns))
        for subject in SUBJECTS
    )
    measured = tuple(row for row in rows if set(row[1:]) != {_NONE})
    title = f"{figures.name}: {figures.unit.value} a call"
    return Table(title, ("", *map(_name, columns)), measured, tuple(_notes(figures)))


def _notes(figures: Figures) -> Iterator[str]:
    yield f"Linux {figures.release}, {figures.arch}, by {figures.emulator}"
    held = [f"{name}: {says}" for name, says in figures.mitigations.items()]
    active = [line for line in held if not line.endswith(": Not affected")]
    yield f"mitigations: {'; '.join(active) or 'none needed'}"
    if promised(figures):
        yield promised(figures)


def promised(figures: Figures) -> str:
    """Return the textbooks' claim with what was measured, empty where that is not known."""
    found = ", ".join(map(str, savings(figures)))
    return f"textbooks: {TEXTBOOK_PERCENT} % less; measured: {found}" if found else ""


def _columns(costs: Sequence[Cost]) -> list[Column]:
    known = {(cost.abi, cost.path) for cost in costs}
    return [(abi, path) for abi in ABIS for path in PATHS if (abi, path) in known]


def _name(column: Column) -> str:
    abi, path = column
    return f"{path} ({abi})" if path == VDSO else path


def _subject(column: Column) -> str:
    return CLOCK.name if column[1] == VDSO else EMPTY.name


def _cell(figures: Figures, subject: str, column: Column) -> str:
    cost = figures.find(subject, *column)
    if not cost:
        return _NONE
    if figures.unit is Unit.INSTRUCTIONS:
        return f"{cost.value:.0f}"
    spread = 50 * (cost.high - cost.low) / cost.value if cost.value else 0
    return f"{cost.value:.0f} ±{spread:.0f} %"


def _markdown(table: Table) -> str:
    lines = [
        f"## {table.title}",
        "",
        _row(table.head),
        _row(["---", *["--:"] * len(table.head[1:])]),
    ]
    lines += [_row(row) for row in table.rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in table.notes), ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
