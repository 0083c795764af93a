# SPDX-License-Identifier: Apache-2.0
"""What a picture of bars is made of, and where it stands; bars.svg.j2 has how it looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

BAR_LEFT, BAR_WIDTH = 396, 480
"""Where bars begin, and how long the longest may be, in the picture's units."""

_TOP, _LINE, _GAP = 84, 28, 36
_SHORTEST = 0.004


@dataclass(frozen=True)
class Bar:
    """One row.

    Attributes:
        what: the row's name.
        text: its value, as it is written at the bar's end.
        share: of the longest bar there could be, from 0 to 1.
    """

    what: str
    text: str
    share: float

    @property
    def width(self) -> float:
        """The bar's length."""
        return round(max(self.share, _SHORTEST) * BAR_WIDTH, 1)


@dataclass(frozen=True)
class Mark:
    """A dashed line through a group's bars.

    Attributes:
        share: where, as a bar's end is.
    """

    share: float

    @property
    def x(self) -> float:
        """Its place."""
        return round(BAR_LEFT + self.share * BAR_WIDTH, 1)


@dataclass(frozen=True)
class Group:
    """Rows below one heading.

    Attributes:
        title: the heading.
        bars: the rows; a group without any is left out.
        marks: lines through them.
        note: what stands beside the heading, in the colour of the lines.
    """

    title: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Tick:
    """A place of the scale.

    Attributes:
        share: where, as a bar's end is.
        text: what is written there.
    """

    share: float
    text: str

    @property
    def x(self) -> float:
        """Its place."""
        return BAR_LEFT + round(self.share * BAR_WIDTH, 1)


def draw(title: str, host: str, groups: Sequence[Group], ticks: Sequence[Tick]) -> str:
    """Return an SVG file.

    Args:
        title: the picture's.
        host: the line below it: what was measured on what.
        groups: may be empty.
        ticks: the scale.
    """
    placed = list(_placed(groups))
    last = placed[-1][1] + _LINE * (len(placed[-1][0].bars) - 1) if placed else _TOP
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = Path(__file__).with_name("bars.svg.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        title=title,
        host=host,
        groups=placed,
        ticks=ticks,
        line=_LINE,
        height=last + 2 * _LINE + _GAP,
    )


def _placed(groups: Sequence[Group]) -> Iterator[tuple[Group, int]]:
    """Yield each group with the upper edge of its first bar."""
    y = _TOP - _GAP + _LINE
    for group in groups:
        if group.bars:
            y += _GAP
            yield group, y
            y += _LINE * len(group.bars)
