# SPDX-License-Identifier: Apache-2.0
"""The table of claims and kernels: as text for a terminal, as Markdown for a page."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from harness.claims.catalogue import Claim, Claims
from harness.claims.verdicts import Result, judge

_TEXT_WIDTH = 60
_GAP = 2
_HEAD = """\
# What textbooks say, and what kernels answer

Made by `trapgate claims --markdown`. A verdict is the kernel's: it *holds*, or *does not hold*,
with the number of scenarios that say so; one against it is enough. *Not asked* is what no scenario
put to that kernel, or what it did not answer.
"""


def show_text(claims: Claims, results: Sequence[Result], kernels: Sequence[str]) -> Iterator[str]:
    """Yield a table's lines: a claim a row with a verdict for each kernel.

    Args:
        claims: what is shown.
        results: what is known; may be empty.
        kernels: the columns.
    """
    rows = [(c, [str(judge(results, c.number, k)) for k in kernels]) for c in claims.claims]
    widths = [
        max([len(kernel), *(len(cells[n]) for _, cells in rows)]) + _GAP
        for n, kernel in enumerate(kernels)
    ]
    left = 4 + _TEXT_WIDTH + _GAP
    for section, members in itertools.groupby(rows, key=lambda row: row[0].section):
        heads = "".join(f"{kernel:<{w}}" for kernel, w in zip(kernels, widths, strict=True))
        yield f"{section:<{left}}{heads}".rstrip()
        for claim, cells in members:
            shown = "".join(f"{cell:<{w}}" for cell, w in zip(cells, widths, strict=True))
            first, *rest = textwrap.wrap(claim.text, _TEXT_WIDTH)
            yield f"{claim.number:>2}  {first:<{_TEXT_WIDTH + _GAP}}{shown}".rstrip()
            yield from (f"    {line}" for line in rest)
            yield from (f"    {line}" for note in _notes(claim) for line in textwrap.wrap(note, 96))
        yield ""


def show_markdown(claims: Claims, results: Sequence[Result], kernels: Sequence[str]) -> str:
    """Return the page; see `show_text`."""
    pieces = [_HEAD, " · ".join(f"**{a}** {title}" for a, title in claims.texts.items()) + "\n"]
    for section, members in itertools.groupby(claims.claims, key=lambda claim: claim.section):
        pieces += [f"## {section}\n", "\n".join(_rows(members, results, kernels)) + "\n"]
    return "\n".join(pieces)


def skeleton(page: str) -> list[list[str]]:
    """Return what a page says besides verdicts: of each row of a table the first three cells.

    The head of a table is a row whose every cell counts.
    """
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return [row if row[0] == "#" else row[:3] for row in rows]


def _rows(
    claims: Iterable[Claim], results: Sequence[Result], kernels: Sequence[str]
) -> Iterator[str]:
    yield _row(["#", "claim", "texts", *kernels])
    yield _row(["---"] * (3 + len(kernels)))
    for claim in claims:
        text = "<br>".join([claim.text, *(f"*{note}*" for note in _notes(claim))])
        cells = [str(judge(results, claim.number, kernel)) for kernel in kernels]
        yield _row([str(claim.number), text, " ".join(claim.sources), *cells])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _notes(claim: Claim) -> Iterator[str]:
    if claim.outdated:
        yield f"Outdated: {claim.outdated}"
    if claim.unseen:
        yield f"No program can see it: {claim.unseen}"
    if claim.open:
        yield f"Open: {claim.open}"
