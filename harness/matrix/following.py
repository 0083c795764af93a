# SPDX-License-Identifier: Apache-2.0
"""Reading along while a session writes: what it is going to ask, and each result as it comes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Protocol

from harness.matrix.session import Session
from harness.record.result import Result
from harness.record.run import RESULTS

_PAUSE_S = 0.1


class Watcher(Protocol):
    """Somebody who is told how a run goes."""

    def plan(self, tests: Mapping[str, int]) -> None:
        """Learn how many tests there are to come, by configuration."""

    def note(self, result: Result) -> None:
        """Learn of a result."""

    def look(self) -> None:
        """Be called again and again."""


class Follower:
    """Reads a record that grows.

    Args:
        plan: the file that will say how many tests there are of each configuration.
        folder: the record's.
        watcher: is told of everything, once.
    """

    def __init__(self, plan: Path, folder: Path, watcher: Watcher) -> None:
        self._plan = plan
        self._folder = folder
        self._watcher = watcher
        self._planned = False
        self._results: IO[bytes] | None = None
        self._begun = b""

    def read(self) -> None:
        """Pass on what is new."""
        if not self._planned:
            self._read_plan()
        for line in self._new_lines():
            self._watcher.note(Result.from_json(json.loads(line)))

    def close(self) -> None:
        """Let go of the record."""
        if self._results:
            self._results.close()

    def _read_plan(self) -> None:
        if self._plan.exists():
            self._planned = True
            self._watcher.plan(json.loads(self._plan.read_bytes()))

    def _new_lines(self) -> Iterator[bytes]:
        path = self._folder / RESULTS
        if not self._results:
            if not path.exists():
                return
            self._results = path.open("rb")
        *whole, self._begun = (self._begun + self._results.read()).split(b"\n")
        yield from whole


@contextlib.contextmanager
def following(plan: Path, folder: Path, watcher: Watcher) -> Iterator[Follower]:
    """Give what reads along; in the end, whatever ends it, the rest is read.

    Args:
        plan: see `Follower`.
        folder: see `Follower`.
        watcher: see `Follower`.
    """
    follower = Follower(plan, folder, watcher)
    try:
        yield follower
    finally:
        follower.read()
        follower.close()


def follow(session: Session, follower: Follower, watcher: Watcher) -> int:
    """Tell a watcher of everything that a session records, until it ends.

    Args:
        session: runs.
        follower: reads its record.
        watcher: is told; what it raises ends this.

    Returns:
        The session's status.
    """
    while (status := session.wait(_PAUSE_S)) is None:
        follower.read()
        watcher.look()
    follower.read()
    return status
