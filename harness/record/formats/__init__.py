# SPDX-License-Identifier: Apache-2.0
"""A run in the formats that others read."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from harness.errors import DeclarationError
from harness.record.compare import Comparison
from harness.record.reading import Run
from harness.suggest import nearest

FORMATS = {
    "html": ".html",
    "junit": ".xml",
    "ktap": ".ktap",
    "jsonl": ".jsonl",
    "kcidb": ".json",
    "markdown": ".md",
}
"""What there is, and how such files' names end; `harness.record.formats.NAME.render` makes it."""

Render = Callable[[Run, Comparison | None], str]


def choose_format(name: str, output: Path | None) -> str:
    """Return a format's name.

    Args:
        name: what the user called it; empty for what the output's name says.
        output: where it goes, None for the terminal.

    Raises:
        DeclarationError: there is no such format.
    """
    by_suffix = {suffix: known for known, suffix in FORMATS.items()}
    wanted = name or by_suffix.get(output.suffix if output else "", "")
    if wanted in FORMATS:
        return wanted
    if name:
        said = f"no format is called {name!r}"
        raise DeclarationError(said, hint=nearest(name, FORMATS))
    raise DeclarationError(f"which format? {', '.join(FORMATS)}", hint="say it with --format")


def render(name: str, run: Run, comparison: Comparison | None = None) -> str:
    """Return a run in a format.

    Args:
        name: the format's.
        run: what to show.
        comparison: with an earlier run; only "html" and "markdown" show it.

    Raises:
        HostError: a library that the format needs is not installed.
    """
    make: Render = importlib.import_module(f"harness.record.formats.{name}").render
    return make(run, comparison)
