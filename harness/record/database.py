# SPDX-License-Identifier: Apache-2.0
"""What this host remembers of its runs: a database of the state directory.

Nothing is in it that the records do not say, so one that is damaged, or of another harness, is
thrown away; who asks it next fills it again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from filelock import FileLock

from harness.errors import HostError
from harness.places import state_dir

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_PATIENCE_S = 20
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    folder TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    started TEXT NOT NULL,
    ended TEXT NOT NULL,
    state TEXT NOT NULL,
    trapgate TEXT NOT NULL,
    outcomes TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS remembered (
    folder TEXT NOT NULL,
    started TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (folder, started)
);
CREATE TABLE IF NOT EXISTS answers (
    asked INTEGER NOT NULL,
    kind TEXT NOT NULL,
    times INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    question TEXT NOT NULL,
    configuration TEXT NOT NULL,
    PRIMARY KEY (asked, kind)
) WITHOUT ROWID;
"""
_DAMAGE = {
    sqlite3.SQLITE_ERROR,  # its tables are not ours
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
}


class Database:
    """The database; it is opened for each piece of work, and begun when it is not there."""

    def __init__(self) -> None:
        self._path = state_dir() / "runs.db"

    def use(self, work: Work[T]) -> T:
        """Return what some work in one transaction gives.

        Args:
            work: may be begun a second time, with an empty database.

        Raises:
            HostError: there can be no database.
        """
        try:
            with contextlib.suppress(_DamagedError):
                return self._try(work)
            with FileLock(f"{self._path}.lock", timeout=_PATIENCE_S):
                with contextlib.suppress(_DamagedError):  # somebody else may have been here
                    return self._try(work)
                self._remove()
                return self._try(work)
        except (OSError, sqlite3.Error, _DamagedError) as error:
            raise HostError(
                f"{self._path}: the index of runs cannot be used: {error}",
                hint="remove it: records are read by their folders without it",
            ) from error

    def _remove(self) -> None:
        """Remove it; what SQLite would undo of it goes first, or it would be undone in the next."""
        self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)

    def _try(self, work: Work[T]) -> T:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=_PATIENCE_S)) as database:
                database.executescript(_TABLES)
                with database:
                    return work(database)
        except sqlite3.Error as error:
            if _primary(error) in _DAMAGE:
                raise _DamagedError(str(error)) from error
            raise


class _DamagedError(Exception):
    """Nothing can be read of it."""


def _primary(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, which the lowest byte of an extended one is."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
