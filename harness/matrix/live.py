# SPDX-License-Identifier: Apache-2.0
"""How a run goes, as a table that changes: on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.matrix.lines import is_failure, show_result
from harness.matrix.progress import Progress, Row, show_time
from harness.record.result import Result

_HEADS = ("configuration", "done", "failed", "no answer", "left")
_TOO_FEW = 6
"""Lines of a terminal that the table leaves free."""


class LiveTable:
    """Shows every configuration in a row, and failures above the table.

    Args:
        progress: what is counted.
        live: what redraws it.
    """

    def __init__(self, progress: Progress, live: Live) -> None:
        self._progress = progress
        self._live = live

    def plan(self, tests: Mapping[str, int]) -> None:
        """Show how much there is to do."""
        self._progress.plan(tests)

    def note(self, result: Result) -> None:
        """Count a result; show it if it is a failure."""
        self._progress.note(result)
        if is_failure(result):
            self._live.console.print(Text(show_result(result), style="red"))

    def look(self) -> None:
        """Redraw the table."""
        self._live.update(make_table(self._progress, self._live.console.height), refresh=True)


def make_table(progress: Progress, height: int) -> Table:
    """Return the table as it stands.

    Args:
        progress: what is counted.
        height: the terminal's; where there are more rows, those that are done are left out.
    """
    caption = f"{show_time(progress.left_s)} left" if progress.rows else "collecting tests"
    table = Table(*_HEADS, box=None, caption=caption, caption_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    rows = progress.rows
    if len(rows) > height - _TOO_FEW:
        rows = [row for row in rows if row.left or row.wrong][: max(height - _TOO_FEW, 1)]
    for row in (*rows, progress.total):
        table.add_row(*_cells(row))
    return table


@contextlib.contextmanager
def live_table(progress: Progress) -> Iterator[LiveTable]:
    """Give a table on standard error's terminal; what it last showed stays there."""
    with Live(console=Console(stderr=True), auto_refresh=False, transient=False) as live:
        table = LiveTable(progress, live)
        try:
            yield table
        finally:
            table.look()


def _cells(row: Row) -> Iterator[Text]:
    yield Text(row.name)
    yield Text(str(row.done))
    yield Text(str(row.wrong), style="red" if row.wrong else "dim")
    yield Text(str(row.unanswered), style="yellow" if row.unanswered else "dim")
    yield Text(str(row.left))
