# SPDX-License-Identifier: Apache-2.0
"""Write a record as a run goes on, so that whatever ends it leaves what was found."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import IO, Self

from harness.errors import DeclarationError, HostError
from harness.record.history import History
from harness.record.index import RunIndex
from harness.record.result import Result
from harness.record.run import FACTS, RESULTS, RunFacts, State
from harness.record.table import Counts, in_words
from harness.whole import write_whole


def check_folder(folder: Path) -> None:
    """See that a record can go there.

    Raises:
        DeclarationError: there is a record, or a file.
    """
    if (folder / FACTS).exists() or (folder / RESULTS).exists():
        raise DeclarationError(f"{folder}: there is a record already", hint="name another folder")
    if folder.exists() and not folder.is_dir():
        raise DeclarationError(f"{folder}: expected a folder for the record, got a file")


def write_facts(folder: Path, facts: RunFacts, outcomes: str = "") -> None:
    """Say in a record, and in the index, which run it is of.

    Args:
        folder: the record's.
        facts: which run it is.
        outcomes: how its results ended.

    Raises:
        OSError: the record cannot be written.
    """
    write_whole(folder / FACTS, json.dumps(facts.to_json(), indent=2) + "\n")
    with contextlib.suppress(HostError):  # the record matters more, and is found by its folder
        RunIndex().note(folder.resolve(), facts, outcomes)


class RunWriter:
    """A record that grows; leaving its block closes it, as interrupted when an error is the reason.

    Args:
        folder: where it goes; made when it is missing.
        facts: which run it is.

    Raises:
        DeclarationError: there is a record already.
        HostError: the folder cannot be written.
    """

    def __init__(self, folder: Path, facts: RunFacts) -> None:
        check_folder(folder)
        self.folder = folder.resolve()
        self.facts = facts
        self._counts: Counts = Counter()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_facts(self.folder, facts)
            self._results: IO[str] = (self.folder / RESULTS).open("x", encoding="utf-8")
        except OSError as error:
            raise HostError(f"{folder}: the record cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: object, *raised: object) -> None:
        """Close the record."""
        self.close(State.INTERRUPTED if kind else State.FINISHED)

    def add(self, result: Result) -> None:
        """Write a result; it is on its way to the disk before this returns."""
        self._results.write(json.dumps(result.to_json()) + "\n")
        self._results.flush()
        self._counts[result.kind] += 1

    def close(self, state: State) -> None:
        """Say how the run ended; once is enough, and later words do not count."""
        if self._results.closed:
            return
        self._results.close()
        self.facts = self.facts.closed(state)
        write_facts(self.folder, self.facts, in_words(self._counts))
        with contextlib.suppress(HostError):
            History().remember(self.folder, self.facts.started)
