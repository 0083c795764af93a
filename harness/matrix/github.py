# SPDX-License-Identifier: Apache-2.0
"""What GitHub Actions shows of a run: a summary of the step, and annotations.

Source: GitHub's documentation, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.matrix.progress import UNANSWERED, WRONG, Row
from harness.record.result import Result

_MOST_ANNOTATIONS = 10
"""That many of a kind are shown of a step."""
_MOST_LISTED = 100
_HEADS = ("configuration", "passed", "failed", "no answer", "known", "skipped")


def is_there() -> bool:
    """Whether this is a step of a workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def append_summary(rows: Iterable[Row], results: Iterable[Result]) -> None:
    """Add a table and the failures to the step's summary, where there is one.

    Raises:
        OSError: the file that the environment names cannot be written.
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write("\n".join(show_summary(rows, results)) + "\n")


def show_summary(rows: Iterable[Row], results: Iterable[Result]) -> Iterator[str]:
    """Yield the lines of the summary, in Markdown."""
    yield "## trapgate"
    yield ""
    yield _line(_HEADS)
    yield _line(["---"] * len(_HEADS))
    yield from (_line(_cells(row)) for row in rows)
    failures = [result for result in results if result.kind in (*WRONG, *UNANSWERED)]
    if failures:
        yield ""
        yield from (_item(result) for result in failures[:_MOST_LISTED])
    if len(failures) > _MOST_LISTED:
        yield f"- and {len(failures) - _MOST_LISTED} more, in the record"


def show_annotations(results: Iterable[Result]) -> Iterator[str]:
    """Yield workflow commands: an error for each question that kernels have failed.

    What says nothing about a kernel is a warning.
    """
    found = list(results)
    yield from _annotate("error", [r for r in found if r.kind in WRONG])
    yield from _annotate("warning", [r for r in found if r.kind in UNANSWERED])


def _annotate(command: str, results: Sequence[Result]) -> Iterator[str]:
    by_question: dict[str, list[Result]] = {}
    for result in results:
        by_question.setdefault(result.test.partition("[")[0], []).append(result)
    for question, failed in list(by_question.items())[:_MOST_ANNOTATIONS]:
        asked = ", ".join(dict.fromkeys(result.configuration.id for result in failed))
        file, _, name = question.partition("::")
        said = f"{failed[0].kind.word} on {asked}: {failed[0].evidence.message}"
        title = f"file={_escaped(file, ':,')},title={_escaped(name, ':,')}"
        yield f"::{command} {title}::{_escaped(said)}"


def _escaped(text: str, more: str = "") -> str:
    """Return text as a command's data, or as a property's value with what else ends that."""
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _cells(row: Row) -> list[str]:
    kinds = {kind.word: count for kind, count in row.kinds.items()}
    tail = [kinds.get(word, 0) for word in ("known", "skip")]
    return [row.name, *map(str, (kinds.get("pass", 0), row.wrong, row.unanswered, *tail))]


def _item(result: Result) -> str:
    message = result.evidence.message.partition("\n")[0].replace("`", "'")
    return f"- **{result.kind.word}** `{result.test}` {f'`{message}`' if message else ''}".rstrip()


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
