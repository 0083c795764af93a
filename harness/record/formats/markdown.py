# SPDX-License-Identifier: Apache-2.0
"""Markdown, as forges show it: the table first, then what changed, then what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.record.compare import Comparison, Difference
from harness.record.differences import Line, lines_of, summary
from harness.record.formats.text import legal
from harness.record.reading import Run
from harness.record.result import Result
from harness.record.table import SEVERITY, Counts, count, in_words, tabulate

_FAILURES = 50
_CHANGES = 20
_SHOWN = ("expected", "got", "call", "registers", "console", "log")
_FENCE = "```"


def render(run: Run, comparison: Comparison | None) -> str:
    """Return the document."""
    pieces = [
        *_head(run),
        "\n".join(_table(run)),
        *(_changes(comparison) if comparison else ()),
        *_failures([one for one in run.results if one.kind.value.exit_status]),
    ]
    return legal("\n\n".join(pieces)) + "\n"


def _head(run: Run) -> Iterator[str]:
    facts = run.facts
    yield f"# {_inline(run.name)}: {in_words(count(run.results))}"
    yield (
        f"{facts.started}, trapgate {facts.trapgate}, QEMU {facts.qemu or 'unknown'}, "
        f"host {_inline(facts.host)}"
    )
    yield from (f"**{remark}**" for remark in run.remarks)


def _table(run: Run) -> Iterator[str]:
    table = tabulate(run.results)
    yield _row(["", *table.columns])
    yield _row(["---"] * (1 + len(table.columns)))
    for group in table.groups:
        cells = (_cell(table.cell(group, one)) for one in table.columns)
        yield _row([group, *cells])


def _cell(counts: Counts) -> str:
    """Return the worst kind and its number, and out of how many."""
    worst = next((kind for kind in SEVERITY if counts[kind]), None)
    if worst is None:
        return ""
    total = counts.total()
    said = f"{counts[worst]} {worst.word}"
    said = said if counts[worst] == total else f"{said} of {total}"
    return f"**{said}**" if worst.value.exit_status else said


def _changes(comparison: Comparison) -> Iterator[str]:
    yield f"## Against {_inline(comparison.before.name)}"
    yield summary(comparison)
    for difference in Difference:
        lines = lines_of(comparison.of(difference))
        if lines:
            shown = [f"- {_inline(_said(line))}" for line in lines[:_CHANGES]]
            more = len(lines) - _CHANGES
            shown += [f"- and {more} more"] if more > 0 else []
            yield "\n".join([f"**{difference.value}**", "", *shown])


def _said(line: Line) -> str:
    return f"{line} ({line.known})" if line.known else str(line)


def _failures(results: list[Result]) -> Iterator[str]:
    if not results:
        return
    yield "## What went wrong"
    for result in results[:_FAILURES]:
        yield f"### {result.kind.word}: {_inline(result.question)} on {result.configuration.id}"
        yield _inline(result.evidence.message)
        shown = ((name, getattr(result.evidence, name)) for name in _SHOWN)
        yield _block("\n".join(_named(name, text) for name, text in shown if text))
        if result.evidence.reproduce:
            yield f"Reproduce: `{result.evidence.reproduce}`"
    if len(results) > _FAILURES:
        yield f"... and {len(results) - _FAILURES} more."


def _named(name: str, text: str) -> str:
    return f"{name}:\n{text}" if "\n" in text else f"{name}: {text}"


def _block(text: str) -> str:
    fence = _FENCE
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_inline(cell, bold=True) for cell in cells)} |"


def _inline(text: str, *, bold: bool = False) -> str:
    """Return text in which nothing is taken for markup, but stars where bold is meant."""
    kept = "" if bold else "*"
    return "".join(f"\\{char}" if char in f"|<>`_[]\\{kept}" else char for char in text)
