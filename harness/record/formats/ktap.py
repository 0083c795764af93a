# SPDX-License-Identifier: Apache-2.0
"""KTAP, version 1, one line a result and its evidence below it.

Source: Documentation/dev-tools/ktap.rst (6.1).
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.record.compare import Comparison
from harness.record.formats.text import legal
from harness.record.reading import Run
from harness.record.result import Evidence, Result

_SHOWN = ("message", "expected", "got", "call", "reproduce")


def render(run: Run, comparison: Comparison | None) -> str:
    """Return the document: no nesting, so that readers of plain TAP read it, too."""
    del comparison
    lines = ["KTAP version 1", f"1..{len(run.results)}"]
    lines += [f"# run {run.name}, trapgate {run.facts.trapgate}", *_notes(run.remarks)]
    for number, result in enumerate(run.results, 1):
        lines += _result(number, result)
    return "\n".join(lines) + "\n"


def _result(number: int, result: Result) -> Iterator[str]:
    verdict, _, directive = result.kind.value.ktap.partition(" # ")
    name = _plain(f"{result.configuration.id} {result.question}")
    reason = _plain(result.evidence.message) if directive else ""
    tail = f" # {directive} {reason}".rstrip() if directive else ""
    yield f"{verdict} {number} {name}{tail}"
    if result.kind.value.exit_status:
        yield from _notes(_evidence(result.evidence))


def _evidence(evidence: Evidence) -> Iterator[str]:
    for name in _SHOWN:
        text = getattr(evidence, name)
        if text:
            yield f"{name}: {text}"


def _notes(texts: Iterator[str] | list[str]) -> Iterator[str]:
    return (f"# {line}" for text in texts for line in legal(text).splitlines())


def _plain(text: str) -> str:
    """Return a line in which no character begins a directive."""
    return " ".join(legal(text).replace("#", "").split())
