# SPDX-License-Identifier: Apache-2.0
"""Downloads as bars on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from harness.kernels.reporter import Reporter


class BarReporter:
    """Shows one bar a download, and lines above the bars."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def say(self, line: str) -> None:
        """Write the line above the bars."""
        self._bars.console.print(f"trapgate: {line}", markup=False, highlight=False)

    def progress(self, name: str, done: int, total: int) -> None:
        """Move the bar of that download, which is made when it is new."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)


@contextlib.contextmanager
def shown_bars() -> Iterator[Reporter]:
    """Give a reporter that shows bars on standard error while the block runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True)) as bars:
        yield BarReporter(bars)
