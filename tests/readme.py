# SPDX-License-Identifier: Apache-2.0
"""The README and docs/ as data: sessions, files, and the README's table of kernels.

`python tests/readme.py` writes the table that the catalogue gives into the README.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.arch import ARCHES, Arch
from harness.kernels.catalogue import Entry, all_entries

_HERE = Path(__file__).resolve().parents[1]
README = _HERE / "README.md"
DOCUMENTS = (README, *sorted((_HERE / "docs").glob("*.md")))
BEGIN = "<!-- made from the catalogue by tests/readme.py -->"
END = "<!-- end of it -->"
FENCE = "```"
PROMPT = "$ "

LANGUAGES = ("python", "c", "toml", "text")
FILE_NAME = re.compile(r"(?:#|//) (\S+\.\w+)\n")
"""The first line of a block that is a file."""

SETS_UP = ("pip install ", "tox", "git clone ")
"""Commands that begin so put the project in place or are what CI itself runs: no test does."""


@dataclass(frozen=True)
class Step:
    """One command of a session.

    Attributes:
        command: what is typed.
        shown: what the README says it prints, "" for nothing said.
    """

    command: str
    shown: str

    @property
    def sets_up(self) -> bool:
        """Whether it is left out of tests."""
        return self.command.startswith(SETS_UP)


def kernel_table() -> str:
    """Return the Markdown table of the kernels in the catalogue, a row a series."""
    archs = list(ARCHES.values())
    rows = [["series", "pinned", *map(str, archs)], ["---"] * (2 + len(archs))]
    for series, entries in itertools.groupby(all_entries(), key=lambda entry: entry.series):
        rows.append(list(_cells(series, list(entries), archs)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def blocks(language: str, document: Path = README) -> list[str]:
    """Return the contents of a document's fenced blocks in a language, in order."""
    _, *pieces = document.read_text(encoding="utf-8").split(f"\n{FENCE}{language}\n")
    return [piece.split(f"\n{FENCE}\n")[0] + "\n" for piece in pieces]


def steps(document: Path = README) -> list[Step]:
    """Return the commands of all sessions, in order, each with what it is to print."""
    return [step for block in blocks("console", document) for step in _steps(block)]


def examples(document: Path = README) -> dict[str, str]:
    """Return the files that a document shows, by the name in their first line."""
    texts = [text for language in LANGUAGES for text in blocks(language, document)]
    named = [(FILE_NAME.match(text), text) for text in texts]
    return {name[1]: text for name, text in named if name}


def updated(text: str) -> str:
    """Return the README's text with the table that the catalogue gives."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{kernel_table()}\n{END}{after}"


def _steps(block: str) -> Iterator[Step]:
    for piece in f"\n{block}".split(f"\n{PROMPT}")[1:]:
        command, _, shown = piece.partition("\n")
        yield Step(command, shown.strip("\n"))


def _cells(series: str, entries: list[Entry], archs: Iterable[Arch]) -> Iterator[str]:
    pins = [entry.packages["image"].version for entry in entries if entry.packages]
    yield series
    yield pins[0] if pins else ""
    for arch in archs:
        yield ", ".join(_spec(entry) for entry in entries if entry.arch is arch)


def _spec(entry: Entry) -> str:
    return f"**`{entry.spec}`**" if entry.default else f"`{entry.spec}`"


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
