# SPDX-License-Identifier: Apache-2.0
"""How far a run has come: counted by configuration, with a guess at the time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.errors import OutcomeKind
from harness.matrix.groups import Groups
from harness.record.result import Result

WRONG = (OutcomeKind.FAIL, OutcomeKind.SPLAT, OutcomeKind.PANIC, OutcomeKind.TIMEOUT)
"""What a kernel is to blame for."""
UNANSWERED = (OutcomeKind.LOST, OutcomeKind.INFRASTRUCTURE)
"""What says nothing about a kernel."""


@dataclass
class Row:
    """One configuration.

    Attributes:
        name: what it is called.
        tests: how many are put to it.
        kinds: how many ended how.
    """

    name: str
    tests: int = 0
    kinds: Counter[OutcomeKind] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """How many have ended."""
        return self.kinds.total()

    @property
    def wrong(self) -> int:
        """How many the kernel is to blame for."""
        return sum(self.kinds[kind] for kind in WRONG)

    @property
    def unanswered(self) -> int:
        """How many ended without an answer that nobody is to blame for."""
        return sum(self.kinds[kind] for kind in UNANSWERED)

    @property
    def left(self) -> int:
        """How many are to come."""
        return max(self.tests - self.done, 0)


class Progress:
    """All configurations of a run, in their order.

    Args:
        names: theirs, and those of their kernels.
    """

    def __init__(self, names: list[str]) -> None:
        self._groups = Groups(names)
        self._rows = {name: Row(name) for name in names}
        self._begun_s = 0.0

    def plan(self, tests: Mapping[str, int]) -> None:
        """Say how many tests there are; of a configuration known by now, nothing changes."""
        for name, count in tests.items():
            row = self._row(name)
            row.tests = row.tests or count
        self._begun_s = self._begun_s or time.monotonic()

    def note(self, result: Result) -> Row:
        """Count a result, and return its configuration's row."""
        row = self._row(self._groups.of(result.test))
        row.kinds[result.kind] += 1
        return row

    @property
    def rows(self) -> list[Row]:
        """Those that anything is asked of."""
        return [row for row in self._rows.values() if row.tests or row.done]

    @property
    def total(self) -> Row:
        """The sum of all."""
        kinds = sum((row.kinds for row in self.rows), Counter[OutcomeKind]())
        return Row("all", sum(max(row.tests, row.done) for row in self.rows), kinds)

    @property
    def left_s(self) -> float | None:
        """How long the rest takes if it goes on like this; None while nobody can say."""
        total = self.total
        if not total.done:
            return None
        return (time.monotonic() - self._begun_s) / total.done * total.left

    def _row(self, name: str) -> Row:
        return self._rows.setdefault(name, Row(name))


def show_time(seconds: float | None) -> str:
    """Return a time as minutes and seconds, "?" for none."""
    if seconds is None:
        return "?"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def show_counts(row: Row) -> Iterator[str]:
    """Yield how many ended how, each as a number and a word."""
    for kind in OutcomeKind:
        if row.kinds[kind]:
            yield f"{row.kinds[kind]} {kind.word}"
