# SPDX-License-Identifier: Apache-2.0
"""The page: one file that a browser shows without a network.

The results are embedded as data, and shown when somebody looks at them: a page of 100,000 results
opens as fast as one of ten.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jinja2

from harness.record.compare import Comparison, Difference
from harness.record.differences import lines_of, summary
from harness.record.formats.text import legal
from harness.record.reading import Run
from harness.record.result import as_json
from harness.record.table import SEVERITY, by_version, count, in_words

_PARTS = Path(__file__).parent / "page"
_CHANGES = 100
_PICTURES = "cost*.svg"


def render(run: Run, comparison: Comparison | None) -> str:
    """Return the page.

    Args:
        run: what to show.
        comparison: with an earlier run, None for no section about it.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PARTS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.j2").render(
        run=run,
        counts=in_words(count(run.results)),
        kinds=[kind.word for kind in SEVERITY if kind in {one.kind for one in run.results}],
        entries=sorted({result.entry for result in run.results if result.entry}),
        comparison=comparison,
        summary=summary(comparison) if comparison else "",
        changes=_changes(comparison) if comparison else [],
        pictures=[_picture(path) for path in sorted(run.folder.glob(_PICTURES))],
        data=_script_safe(_data(run)),
        style=_part("page.css"),
        script=_part("page.js"),
    )
    return legal(page)


def _changes(comparison: Comparison) -> list[dict[str, Any]]:
    """Return what changed, a section a sort of change, and no more than can be read."""
    sections = ((one, lines_of(comparison.of(one))) for one in Difference)
    return [
        {"title": one.value, "lines": lines[:_CHANGES], "more": max(len(lines) - _CHANGES, 0)}
        for one, lines in sections
        if lines
    ]


def _picture(path: Path) -> dict[str, str]:
    """Return a picture as a browser takes it without running anything that is in it."""
    encoded = base64.b64encode(path.read_bytes()).decode()
    name = path.stem.replace("-", " ").replace("_", " ")
    return {"name": name, "source": f"data:image/svg+xml;base64,{encoded}"}


class _Numbers:
    """Gives each of some values a number, the same for equal ones."""

    def __init__(self) -> None:
        self.known: dict[Any, int] = {}

    def of(self, value: Any) -> int:
        """Return a value's number."""
        return self.known.setdefault(value, len(self.known))


def _data(run: Run) -> dict[str, Any]:
    """Return the results as the page's script takes them: what repeats stands there once."""
    who, groups, questions, entries, evidence = (_Numbers() for _ in range(5))
    rows = [
        [
            who.of(result.configuration),
            groups.of(result.group),
            questions.of(result.question),
            SEVERITY.index(result.kind),
            entries.of(result.entry),
            round(result.duration_s, 3),
            evidence.of(result.evidence),
        ]
        for result in run.results
    ]
    columns = sorted({one.chosen for one in who.known}, key=by_version)
    return {
        "columns": columns,
        "columnOf": [columns.index(one.chosen) for one in who.known],
        "kinds": [kind.word for kind in SEVERITY],
        "wrong": [bool(kind.value.exit_status) for kind in SEVERITY],
        "kernels": _plain(who),
        "groups": list(groups.known),
        "questions": list(questions.known),
        "entries": list(entries.known),
        "evidence": _plain(evidence),
        "results": rows,
    }


def _plain(numbers: _Numbers) -> list[dict[str, str]]:
    return [as_json(one) for one in numbers.known]


def _script_safe(data: dict[str, Any]) -> str:
    """Return JSON that can stand in a script element: nothing in it ends or nests the element.

    Source: HTML standard, 4.12.1.3 Restrictions for contents of script elements.
    """
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")
