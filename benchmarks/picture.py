# SPDX-License-Identifier: Apache-2.0
"""Seconds as bars on a logarithmic scale: what a picture of the figures looks like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.figure import Figure, Row, show
from harness import picture
from harness.picture import Bar, Group, Tick

_FASTEST_S, _SLOWEST_S = 0.001, 100.0
_TITLE = "From nothing to a kernel's answer, in seconds (logarithmic)"


def draw(figures: Sequence[Figure], host: Mapping[str, str]) -> str:
    """Return an SVG file with a bar for every row that is in seconds."""
    groups = [
        Group(figure.title, tuple(_bar(row) for row in figure.rows if row.unit == "s"))
        for figure in figures
    ]
    ticks = [Tick(_share(s), f"{s:g} s") for s in (0.001, 0.01, 0.1, 1, 10)]
    said = f"{host['processor']}; {host['qemu']}; load {host['load average']}"
    return picture.draw(_TITLE, said, groups, ticks)


def _bar(row: Row) -> Bar:
    text = f"{show(row.median)} s" if row.median >= 0.1 else f"{row.median * 1000:.0f} ms"  # noqa: PLR2004
    return Bar(row.what, text, _share(row.median))


def _share(seconds: float) -> float:
    return math.log(max(seconds, _FASTEST_S) / _FASTEST_S) / math.log(_SLOWEST_S / _FASTEST_S)
