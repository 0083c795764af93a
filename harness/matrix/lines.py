# SPDX-License-Identifier: Apache-2.0
"""How a run goes, told in plain lines: where there is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import IO

from harness.matrix.progress import (
    UNANSWERED,
    WRONG,
    Progress,
    Row,
    show_counts,
    show_time,
)
from harness.record.result import Result
from harness.wording import numbered

_EVERY_S = 30.0


def show_result(result: Result) -> str:
    """Return what has to be said at once of a failure, in a line."""
    return f"{result.kind.word.upper()} {show_message(result)}"


def show_message(result: Result) -> str:
    """Return a test's name, and what its failure says in its first line."""
    message = result.evidence.message.partition("\n")[0]
    return f"{result.test}: {message}" if message else result.test


def is_failure(result: Result) -> bool:
    """Whether a result has to be said at once."""
    return result.kind in (*WRONG, *UNANSWERED)


def show_row(row: Row) -> str:
    """Return a configuration that has been asked everything."""
    return f"{row.name}: {', '.join(show_counts(row))}"


class Lines:
    """Writes a line for each failure, for each configuration at its end, and now and then.

    Args:
        progress: what is counted.
        stream: where lines go.
    """

    def __init__(self, progress: Progress, stream: IO[str] = sys.stderr) -> None:
        self._progress = progress
        self._stream = stream
        self._said_s = time.monotonic()

    def plan(self, tests: Mapping[str, int]) -> None:
        """Say how much there is to do, when that is news."""
        before = self._progress.total.tests
        self._progress.plan(tests)
        total = self._progress.total
        if total.tests != before:
            asked = numbered(len(self._progress.rows), "configuration")
            self._say(f"{numbered(total.tests, 'test')} of {asked}")

    def note(self, result: Result) -> None:
        """Say of a result what is worth a line."""
        row = self._progress.note(result)
        if is_failure(result):
            self._say(show_result(result))
        if row.tests and not row.left:
            self._say(show_row(row))

    def look(self) -> None:
        """Say where we are when nothing was said for a while."""
        if time.monotonic() - self._said_s > _EVERY_S:
            self._say(", ".join(self._standing()) or "collecting tests")

    def _standing(self) -> Iterator[str]:
        total = self._progress.total
        if not total.tests:
            return
        yield f"{total.done} of {total.tests} done"
        yield f"{total.wrong} failed"
        yield f"{show_time(self._progress.left_s)} left"

    def _say(self, line: str) -> None:
        self._said_s = time.monotonic()
        print(line, file=self._stream, flush=True)
