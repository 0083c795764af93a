# SPDX-License-Identifier: Apache-2.0
"""What kernels have answered in all runs of this host: who answers now so and now so is known.

An answer counts for a question, a kernel, and inputs that are the same: `Result.inputs`. A record
is read when its run ends, or when somebody wants to know, and what was read once is not read again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import OutcomeKind
from harness.record.database import Database
from harness.record.index import RunIndex
from harness.record.result import KINDS, Result
from harness.record.scanning import scan, size_of
from harness.record.table import GUILTY, Counts

ANSWERS = GUILTY | {OutcomeKind.PASS}
"""The kinds of what a kernel has answered."""

_MOST = 2_000_000
"""So many answers are kept, and of more the oldest are forgotten: about 60 MB."""
_ALL_READ = "SELECT folder, started, bytes FROM remembered"
_READ = "SELECT bytes FROM remembered WHERE folder = ? AND started = ?"
_MARK = "INSERT OR REPLACE INTO remembered VALUES (?, ?, ?)"
_COUNT = """
INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (asked, kind) DO UPDATE SET times = times + excluded.times, seen = excluded.seen
"""
_NUMBER = "SELECT COUNT(*) FROM answers"
_FORGET = """
DELETE FROM answers WHERE seen < (SELECT seen FROM answers ORDER BY seen DESC LIMIT 1 OFFSET ?)
"""
_RECALL = "SELECT asked, kind, times FROM answers WHERE asked IN (SELECT value FROM json_each(?))"
_CHANGING = """
SELECT MAX(question), MAX(configuration), json_group_object(kind, times) FROM answers
GROUP BY asked HAVING COUNT(*) > 1 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Changing:
    """A question to which a kernel has given several answers, from the same inputs.

    Attributes:
        question: the question.
        configuration: who was asked, with the kernel's version.
        answers: how often it was answered how, by the kinds' words.
    """

    question: str
    configuration: str
    answers: Mapping[str, int]

    def __str__(self) -> str:
        """Return it in a line."""
        said = ", ".join(f"{times} {word}" for word, times in self.answers.items())
        return f"{self.question} on {self.configuration}: {said}"


def key_of(result: Result) -> int:
    """Return what tells a question, its kernel and its inputs from all others."""
    parts = (result.configuration.kernel, result.question, result.inputs)
    digest = hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=8)
    return int.from_bytes(digest.digest(), "little", signed=True)


class History:
    """The answers of this host's runs, in the database of the index."""

    def __init__(self) -> None:
        self._database = Database()

    def remember(self, folder: Path, started: str) -> None:
        """Take in what is new in a record.

        Args:
            folder: the record's, as the index has it.
            started: when its run began, which tells it from an earlier one in the same folder.

        Raises:
            HostError: the database cannot be written.
        """
        self._database.use(lambda database: _remember(database, folder, started))

    def recall(self, results: Iterable[Result]) -> dict[int, Counts]:
        """Return how often what was answered to each question, by `key_of` of the results.

        Raises:
            HostError: the database cannot be used.
        """
        self._catch_up()
        keys = json.dumps([key_of(result) for result in results])
        rows = self._database.use(lambda database: database.execute(_RECALL, (keys,)).fetchall())
        known: dict[int, Counts] = {}
        for key, word, times in rows:
            known.setdefault(key, Counter())[KINDS[word]] = times
        return known

    def changing(self) -> list[Changing]:
        """Return the questions that a kernel has answered in several ways.

        Raises:
            HostError: the database cannot be used.
        """
        self._catch_up()
        rows = self._database.use(lambda database: database.execute(_CHANGING).fetchall())
        return [Changing(question, who, json.loads(said)) for question, who, said in rows]

    def _catch_up(self) -> None:
        """Take in the runs that nobody could: killed ones, and all when the database was lost."""
        rows = self._database.use(lambda database: database.execute(_ALL_READ).fetchall())
        read = {(folder, started): size for folder, started, size in rows}
        for run in RunIndex().runs():
            if size_of(run.folder) > read.get((str(run.folder), run.started), 0):
                self.remember(run.folder, run.started)


def _remember(database: sqlite3.Connection, folder: Path, started: str) -> None:
    place = (str(folder), started)
    database.execute("BEGIN IMMEDIATE")
    begin = next((read for (read,) in database.execute(_READ, place)), 0)
    found = list(scan(folder, begin))
    end = max((end for end, _ in found), default=begin)
    database.execute(_MARK, (*place, end))
    database.executemany(_COUNT, sorted(_rows(result for _, result in found)))
    if database.execute(_NUMBER).fetchone()[0] > _MOST:
        database.execute(_FORGET, (_MOST,))


def _rows(results: Iterable[Result]) -> Iterator[tuple[Any, ...]]:
    """Yield what is kept of each answer: of right ones, which are many, no name."""
    now = int(time.time())
    for result in results:
        if result.kind not in ANSWERS or not result.inputs:
            continue
        who = result.configuration
        wrong = result.kind is not OutcomeKind.PASS
        names = (result.question, f"{who.id} ({who.version})") if wrong else ("", "")
        yield key_of(result), result.kind.word, 1, now, *names
