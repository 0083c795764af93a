# SPDX-License-Identifier: Apache-2.0
"""The index over runs: which there were on this host, and where their records are."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.errors import DeclarationError
from harness.places import state_dir
from harness.record.database import Database
from harness.record.run import FACTS, RunFacts
from harness.record.scanning import find_facts, scan
from harness.record.table import count, in_words
from harness.suggest import nearest

_NOTE = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)"
_KNOWN = "SELECT folder FROM runs"
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
    """The runs of this host, in a database of the state directory.

    Those whose folder is there, too, are known even when the database has been lost.
    """

    def __init__(self) -> None:
        self._database = Database()

    def note(self, folder: Path, facts: RunFacts, outcomes: str = "") -> None:
        """Enter a run, or what has become of it.

        Args:
            folder: where its record is.
            facts: which run it is.
            outcomes: how its results ended.

        Raises:
            HostError: the index cannot be written.
        """
        row = _row(folder, facts, outcomes)
        self._database.use(lambda database: database.execute(_NOTE, row))

    def runs(self) -> list[Noted]:
        """Return the runs whose records are still there, oldest first.

        Raises:
            HostError: the index cannot be read.
        """
        rows = self._database.use(_list_all)
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


def _list_all(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    known = {folder for (folder,) in database.execute(_KNOWN)}
    database.executemany(_NOTE, _unknown(known))
    return database.execute(_LIST).fetchall()


def _unknown(known: Container[str]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the runs in the state directory that are not known."""
    for path in sorted((state_dir() / "runs").resolve().glob(f"*/{FACTS}")):
        folder = path.parent
        facts = find_facts(folder) if str(folder) not in known else None
        if facts:
            outcomes = in_words(count(result for _, result in scan(folder)))
            yield _row(folder, facts, outcomes)


def _row(folder: Path, facts: RunFacts, outcomes: str) -> tuple[str, ...]:
    known = (facts.started, facts.ended, facts.state.value, facts.trapgate)
    return (str(folder), folder.name, *known, outcomes)


def new_run_folder() -> Path:
    """Return a folder for a run that begins now: dated, in the state directory, not there yet."""
    stem = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    folder = state_dir() / "runs" / stem
    number = 2
    while folder.exists():
        folder = folder.with_name(f"{stem}-{number}")
        number += 1
    return folder
