# SPDX-License-Identifier: Apache-2.0
"""Figures as a picture: entry paths side by side, and the textbooks' claim as a line."""

from __future__ import annotations

from collections.abc import Sequence

from harness import picture
from harness.cost.figures import Cost, Figures, unit_of
from harness.cost.savings import TEXTBOOK_PERCENT
from harness.cost.subjects import CLOCK, EMPTY, VDSO
from harness.cost.table import promised
from harness.entry import INT80, INT80_64
from harness.picture import Bar, Group, Mark, Tick

_TICKS = 4
_TRAP_GATES = (INT80.name, INT80_64.name)


def draw(all_figures: Sequence[Figures]) -> str:
    """Return an SVG file with a group of bars for each kernel.

    Raises:
        DeclarationError: they count different things.
    """
    unit = unit_of(all_figures)
    shown = [_shown(figures) for figures in all_figures]
    longest = max((cost.value for costs in shown for cost in costs), default=1) * 1.05
    ticks = [Tick(n / _TICKS, f"{longest * n / _TICKS:.0f}") for n in range(_TICKS + 1)]
    groups = [_group(f, costs, longest) for f, costs in zip(all_figures, shown, strict=True)]
    emulators = ", ".join(dict.fromkeys(figures.emulator for figures in all_figures))
    title = f"{EMPTY.name} by each entry path, and the vDSO's {CLOCK.name}: {unit} a call"
    said = f"{emulators}; dashed: {TEXTBOOK_PERCENT} % less than int $0x80, as textbooks have it"
    return picture.draw(title, said, groups, ticks)


def _shown(figures: Figures) -> list[Cost]:
    wanted = {VDSO: CLOCK.name}
    return [c for c in figures.costs if c.subject == wanted.get(c.path, EMPTY.name)]


def _group(figures: Figures, costs: Sequence[Cost], longest: float) -> Group:
    left = 1 - TEXTBOOK_PERCENT / 100
    slow = [cost.value for cost in costs if cost.path in _TRAP_GATES]
    marks = tuple(Mark(value * left / longest) for value in dict.fromkeys(slow))
    bars = (Bar(f"{c.path} ({c.abi})", f"{c.value:.0f}", c.value / longest) for c in costs)
    return Group(figures.name, tuple(bars), marks, promised(figures).partition("; ")[2])
