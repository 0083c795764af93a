# SPDX-License-Identifier: Apache-2.0
"""The index over runs: which there were on this host, and where their records are."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.errors import DeclarationError, HostError
from harness.places import state_dir
from harness.record.run import FACTS, RunFacts
from harness.suggest import nearest

_PATIENCE_S = 20
_TABLE = """
CREATE TABLE IF NOT EXISTS runs (
    folder TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    started TEXT NOT NULL,
    ended TEXT NOT NULL,
    state TEXT NOT NULL,
    trapgate TEXT NOT NULL,
    outcomes TEXT NOT NULL
)
"""
_NOTE = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)"
_LIST = "SELECT folder, started, state, outcomes FROM runs ORDER BY started, rowid"


@dataclass(frozen=True)
class Noted:
    """A run that the index knows.

    Attributes:
        folder: where its record is.
        started: when it began, in UTC (ISO 8601).
        state: how far it had come when that was last noted.
        outcomes: how its results ended, "2 fail, 31 pass"; empty while it is running.
    """

    folder: Path
    started: str
    state: str
    outcomes: str

    @property
    def name(self) -> str:
        """What people call it."""
        return self.folder.name


class RunIndex:
    """The runs of this host, in a database of the state directory."""

    def __init__(self) -> None:
        self._path = state_dir() / "runs.db"

    def note(self, folder: Path, facts: RunFacts, outcomes: str = "") -> None:
        """Enter a run, or what has become of it.

        Args:
            folder: where its record is.
            facts: which run it is.
            outcomes: how its results ended.

        Raises:
            HostError: the index cannot be written.
        """
        row = (facts.started, facts.ended, facts.state.value, facts.trapgate, outcomes)
        with self._open() as database:
            database.execute(_NOTE, (str(folder), folder.name, *row))

    def runs(self) -> list[Noted]:
        """Return the runs whose records are still there, oldest first.

        Raises:
            HostError: the index cannot be read.
        """
        with self._open() as database:
            rows = database.execute(_LIST).fetchall()
        noted = (Noted(Path(folder), *others) for folder, *others in rows)
        return [one for one in noted if (one.folder / FACTS).is_file()]

    def find(self, name: str) -> Path:
        """Return the folder of the latest run of that name.

        Raises:
            DeclarationError: there is none.
            HostError: the index cannot be read.
        """
        known = {one.name: one.folder for one in self.runs()}
        if name in known:
            return known[name]
        latest = f"the latest run is {next(reversed(known))}" if known else "no run was recorded"
        raise DeclarationError(
            f"no run is called {name!r}, and no folder there holds a record",
            hint=nearest(name, known) or latest,
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self._path, timeout=_PATIENCE_S)) as database:
                database.execute(_TABLE)
                with database:
                    yield database
        except (OSError, sqlite3.Error) as error:
            raise HostError(
                f"{self._path}: the index of runs cannot be used: {error}",
                hint="remove it: records are read by their folders without it",
            ) from error


def new_run_folder() -> Path:
    """Return a folder for a run that begins now: dated, in the state directory, not there yet."""
    stem = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    folder = state_dir() / "runs" / stem
    number = 2
    while folder.exists():
        folder = folder.with_name(f"{stem}-{number}")
        number += 1
    return folder
