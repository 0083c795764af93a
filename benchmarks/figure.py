# SPDX-License-Identifier: Apache-2.0
"""What a measurement says: a table of medians, and the targets that it is held against."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Measure = Callable[[], float]
"""Measures once."""


@dataclass(frozen=True)
class Row:
    """One thing that was measured several times.

    Attributes:
        what: the thing.
        unit: of the values, "s" or "1/s".
        values: every measurement, in the order in which they were made; not empty.
    """

    what: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)


@dataclass(frozen=True)
class Target:
    """One number that follows from rows of the same run, and what it is to be.

    Attributes:
        what: the number.
        value: what came out.
        limit: what it must not pass, None for a number that is there for information.
        at_most: whether the limit is the largest good value; the smallest otherwise.
    """

    what: str
    value: float
    limit: float | None = None
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the value is good; None where nothing is asked of it."""
        if self.limit is None:
            return None
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True)
class Figure:
    """What one module of this package found out.

    Attributes:
        title: its heading.
        rows: what was measured; may be empty where something optional is missing.
        targets: what follows.
        notes: how it was measured, as sentences.
    """

    title: str
    rows: tuple[Row, ...]
    targets: tuple[Target, ...] = ()
    notes: tuple[str, ...] = ()

    def as_markdown(self) -> str:
        """Return a section with a table, its notes and its targets."""
        lines = (f"## {self.title}", "", *self._table(), *self._list())
        return "\n".join(lines).rstrip() + "\n"

    def as_data(self) -> dict[str, object]:
        """Return the same for JSON, with every single value."""
        return {
            "title": self.title,
            "rows": [
                {"what": r.what, "unit": r.unit, "median": r.median, "values": list(r.values)}
                for r in self.rows
            ],
            "targets": [
                {"what": t.what, "value": t.value, "limit": t.limit, "met": t.met}
                for t in self.targets
            ],
            "notes": list(self.notes),
        }

    def _table(self) -> Iterator[str]:
        if self.rows:
            yield "| what | median | lowest | highest | times |"
            yield "|---|--:|--:|--:|--:|"
        for row in self.rows:
            cells = (
                f"{show(v)} {row.unit}" for v in (row.median, min(row.values), max(row.values))
            )
            yield f"| {row.what} | {' | '.join(cells)} | {len(row.values)} |"
        if self.rows:
            yield ""

    def _list(self) -> Iterator[str]:
        yield from (f"- {note}" for note in self.notes)
        yield from (f"- {_judgement(target)}" for target in self.targets)


def show(value: float) -> str:
    """Return a number with as many digits as are worth reading."""
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"  # noqa: PLR2004


def interleaved(
    times: int, measures: Sequence[tuple[str, Measure]], unit: str = "s"
) -> tuple[Row, ...]:
    """Measure several things in turn (A B A B), so that a busy moment meets all of them.

    Args:
        times: how often each is measured.
        measures: names, and functions that measure once and return the value.
        unit: of the values.
    """
    values: dict[str, list[float]] = {what: [] for what, _ in measures}
    for _ in range(times):
        for what, measure in measures:
            values[what].append(measure())
    return tuple(Row(what, unit, tuple(found)) for what, found in values.items())


def _judgement(target: Target) -> str:
    said = f"{target.what}: **{show(target.value)}**"
    if target.limit is None:
        return said
    bound = "at most" if target.at_most else "at least"
    return f"{said} (target: {bound} {show(target.limit)}; {'met' if target.met else 'missed'})"
