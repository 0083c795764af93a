# SPDX-License-Identifier: Apache-2.0
"""Results at a glance: how those of each group ended on each kernel."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import OutcomeKind
from harness.record.result import Result

SEVERITY = (
    OutcomeKind.PANIC,
    OutcomeKind.TIMEOUT,
    OutcomeKind.SPLAT,
    OutcomeKind.FAIL,
    OutcomeKind.LOST,
    OutcomeKind.INFRASTRUCTURE,
    OutcomeKind.KNOWN,
    OutcomeKind.PASS,
    OutcomeKind.SKIP,
)
"""All kinds of outcome, the worst first: what several results together are called."""

GUILTY = frozenset({OutcomeKind.PANIC, OutcomeKind.TIMEOUT, OutcomeKind.SPLAT, OutcomeKind.FAIL})
"""The kinds that a kernel is to blame for."""

BLAMELESS = frozenset({OutcomeKind.LOST, OutcomeKind.INFRASTRUCTURE})
"""The kinds that say nothing about a kernel: there is no answer."""

UNASKED = frozenset({OutcomeKind.SKIP, OutcomeKind.KNOWN})
"""The kinds of what was not put to a kernel."""

Counts = Counter[OutcomeKind]


@dataclass(frozen=True)
class Table:
    """How many results of each kind there are.

    Attributes:
        columns: what the user chose to ask, by its name, sorted as versions are; scenarios may
            have changed the machine.
        groups: the rows, sorted.
        cells: the counts by group and column.
    """

    columns: tuple[str, ...]
    groups: tuple[str, ...]
    cells: dict[tuple[str, str], Counts]

    def cell(self, group: str, column: str) -> Counts:
        """Return the counts of one cell; empty where nothing was asked."""
        return self.cells.get((group, column), Counter())


def tabulate(results: Iterable[Result]) -> Table:
    """Count results by group and by what the user chose to ask."""
    cells: dict[tuple[str, str], Counts] = {}
    for result in results:
        place = (result.group, result.configuration.chosen)
        cells.setdefault(place, Counter())[result.kind] += 1
    groups, columns = ({place[at] for place in cells} for at in (0, 1))
    return Table(tuple(sorted(columns, key=by_version)), tuple(sorted(groups)), cells)


def by_version(name: str) -> list[tuple[int, str]]:
    """Return what names are sorted by, so that 6.12 comes after 6.1 and 7.2 after both."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def count(results: Iterable[Result]) -> Counts:
    """Count results by kind."""
    return Counter(result.kind for result in results)


def in_words(counts: Counts) -> str:
    """Return counts in words, the worst kind first: "2 panic, 31 pass"."""
    return ", ".join(f"{counts[kind]} {kind.word}" for kind in SEVERITY if counts[kind])
