# SPDX-License-Identifier: Apache-2.0
"""Seconds as bars on a logarithmic scale: what a picture of the figures looks like."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from benchmarks.figure import Figure, show

_LEFT, _WIDTH = 396, 480
_FASTEST_S, _SLOWEST_S = 0.001, 100.0
_TOP, _LINE, _GAP = 84, 28, 36
_TITLE = "From nothing to a kernel's answer, in seconds (logarithmic)"


@dataclass(frozen=True)
class Bar:
    """One row of a figure.

    Attributes:
        group: the figure's title.
        first: whether it is the first of its group.
        what: the row's name.
        text: the median, with its unit.
        y: its upper edge, in the picture's units.
        width: its length, in the same.
    """

    group: str
    first: bool
    what: str
    text: str
    y: int
    width: float


def draw(figures: Sequence[Figure], host: Mapping[str, str]) -> str:
    """Return an SVG file with a bar for every row that is in seconds."""
    bars = list(_bars(figures))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = Path(__file__).with_name("picture.svg.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        title=_TITLE,
        host=f"{host['processor']}; {host['qemu']}; load {host['load average']}",
        bars=bars,
        ticks=[{"x": _LEFT + _length(s), "text": f"{s:g} s"} for s in (0.001, 0.01, 0.1, 1, 10)],
        height=(bars[-1].y if bars else _TOP) + 2 * _LINE + _GAP,
    )


def _bars(figures: Sequence[Figure]) -> Iterator[Bar]:
    y = _TOP - _GAP + _LINE
    for figure in figures:
        rows = [row for row in figure.rows if row.unit == "s"]
        y += _GAP if rows else 0
        for place, row in enumerate(rows):
            text = f"{show(row.median)} s" if row.median >= 0.1 else f"{row.median * 1000:.0f} ms"  # noqa: PLR2004
            yield Bar(figure.title, place == 0, row.what, text, y, _length(row.median))
            y += _LINE


def _length(seconds: float) -> float:
    share = math.log(max(seconds, _FASTEST_S) / _FASTEST_S) / math.log(_SLOWEST_S / _FASTEST_S)
    return round(max(share, 0.004) * _WIDTH, 1)
