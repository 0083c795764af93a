# SPDX-License-Identifier: Apache-2.0
"""Read a record, whole or cut short."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DeclarationError
from harness.record.index import RunIndex
from harness.record.result import Result
from harness.record.run import FACTS, FORMAT, RESULTS, RunFacts, State
from harness.record.table import BLAMELESS, SEVERITY


@dataclass(frozen=True)
class Run:
    """A run that left a record.

    Attributes:
        folder: where that is.
        facts: which run it was.
        results: in the order in which they came, one a test and at least one.
        torn: whether the last line was cut short, so that its result is missing.
    """

    folder: Path
    facts: RunFacts
    results: list[Result]
    torn: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self.folder.name

    @property
    def remarks(self) -> list[str]:
        """What a reader has to know about how complete it is, a sentence each; may be empty."""
        said = {
            State.RUNNING: "the run has not ended, or was killed: results may be missing",
            State.INTERRUPTED: "the run was interrupted: results are missing",
        }
        torn = ["the record's last line is cut short, and its result is left out"]
        return [said[s] for s in (self.facts.state,) if s in said] + (torn if self.torn else [])


def read_run(path_or_name: str | Path) -> Run:
    """Read a run.

    Args:
        path_or_name: the record's folder, or the name of a run that was recorded on this host.

    Raises:
        DeclarationError: there is no such run, its record is damaged, of another format, or empty.
    """
    folder = _find(str(path_or_name))
    facts = _read_facts(folder)
    results, torn = _read_results(folder / RESULTS)
    if not results:
        raise DeclarationError(
            f"run {folder.name} has no results: it ended before the first",
            hint="give a run that has asked something",
        )
    return Run(folder, facts, results, torn)


def _find(given: str) -> Path:
    folder = Path(given)
    if (folder / FACTS).is_file():
        return folder.resolve()
    return RunIndex().find(given)


def _read_facts(folder: Path) -> RunFacts:
    try:
        plain = json.loads((folder / FACTS).read_bytes())
        number = plain["format"]
        if number == FORMAT:
            return RunFacts.from_json(plain)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeclarationError(f"{folder / FACTS}: the record is damaged: {error}") from error
    raise DeclarationError(
        f"{folder}: expected a record of format {FORMAT}, got format {number}",
        hint="read it with the trapgate that wrote it",
    )


def _read_results(path: Path) -> tuple[list[Result], bool]:
    """Return the results, and whether the last line was torn."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise DeclarationError(f"{path}: the record is damaged: {error.strerror}") from error
    torn = bool(lines) and not lines[-1].endswith(b"\n")
    whole = lines[:-1] if torn else lines
    read = (_read_line(path, number, line) for number, line in enumerate(whole, 1))
    return _one_a_test(read), torn


def _one_a_test(results: Iterable[Result]) -> list[Result]:
    """Return one result a test: an answer rather than none, and the worst of several answers."""
    kept: dict[str, Result] = {}
    for result in results:
        earlier = kept.setdefault(result.test, result)
        if _weight(result) < _weight(earlier):
            kept[result.test] = result
    return list(kept.values())


def _weight(result: Result) -> tuple[bool, int]:
    return result.kind in BLAMELESS, SEVERITY.index(result.kind)


def _read_line(path: Path, number: int, line: bytes) -> Result:
    try:
        return Result.from_json(json.loads(line))
    except ValueError as error:
        raise DeclarationError(f"{path}: line {number} is damaged: {error}") from error
