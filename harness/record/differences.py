# SPDX-License-Identifier: Apache-2.0
"""A comparison in words: what a maintainer must act on comes first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.record.compare import Change, Comparison, Difference

_PACE_WORTH_SAYING = 1.25
_KERNELS = 4


@dataclass(frozen=True)
class Line:
    """Changes of one question that are alike, on some kernels.

    Attributes:
        question: the question.
        step: what became of it, "pass -> fail".
        changes: one for each configuration, at least one.
    """

    question: str
    step: str
    changes: list[Change]

    @property
    def names(self) -> str:
        """Where, with a count instead of more names than can be read."""
        names = [change.result.configuration.id for change in self.changes]
        more = f" and {len(names) - _KERNELS} more" if len(names) > _KERNELS else ""
        return ", ".join(names[:_KERNELS]) + more

    @property
    def reason(self) -> str:
        """What the first of the later results says of itself, may be empty."""
        return next((c.after.evidence.message for c in self.changes if c.after), "")

    @property
    def known(self) -> str:
        """What earlier runs say of the first of them, may be empty."""
        return next((change.known for change in self.changes if change.known), "")

    def __str__(self) -> str:
        """Return it in a line."""
        times = f", {_took(self.changes[0])}" if self.slower else ""
        return f"{self.question}: {self.step}{times} on {self.names}"

    @property
    def slower(self) -> bool:
        """Whether it is about time."""
        return self.changes[0].difference is Difference.SLOWER


def lines_of(changes: Iterable[Change]) -> list[Line]:
    """Gather changes that are alike, in the order in which they come."""
    gathered: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        gathered.setdefault((change.result.question, change.step), []).append(change)
    return [Line(question, step, alike) for (question, step), alike in gathered.items()]


def summary(comparison: Comparison) -> str:
    """Return one sentence with the number of changes of each sort."""
    counts = ((len(comparison.of(one)), _short(one)) for one in Difference)
    said = ", ".join(f"{number} {word}" for number, word in counts if number)
    return f"{said or 'nothing has changed'}; {comparison.same} as before"


def show_text(comparison: Comparison, most: int) -> Iterator[str]:
    """Yield the lines for a terminal.

    Args:
        comparison: what to show.
        most: how many lines a sort of change gets at most.
    """
    before, after = comparison.before, comparison.after
    yield f"{before.name} ({before.facts.started}) -> {after.name} ({after.facts.started})"
    yield summary(comparison)
    yield from (f"{run.name}: {remark}" for run in (before, after) for remark in run.remarks)
    if comparison.pace >= _PACE_WORTH_SAYING or comparison.pace <= 1 / _PACE_WORTH_SAYING:
        yield f"the later run takes {comparison.pace:.2f} times as long as a whole"
    for difference in Difference:
        yield from _section(difference, lines_of(comparison.of(difference)), most)


def show_json(comparison: Comparison) -> dict[str, Any]:
    """Return all of it as JSON values; every sort of change is there."""
    return {
        "before": comparison.before.name,
        "after": comparison.after.name,
        "same": comparison.same,
        "pace": round(comparison.pace, 3),
        "remarks": [*comparison.before.remarks, *comparison.after.remarks],
        "changes": {
            one.name.lower(): [_plain(change) for change in comparison.of(one)]
            for one in Difference
        },
    }


def _section(difference: Difference, lines: list[Line], most: int) -> Iterator[str]:
    if not lines:
        return
    yield ""
    yield difference.value
    for line in lines[:most]:
        yield f"  {line}"
        yield from (f"    {said}" for said in (line.reason, line.known) if said)
    if len(lines) > most:
        yield f"  ... and {len(lines) - most} more: see --all"


def _plain(change: Change) -> dict[str, Any]:
    result = change.result
    return {
        "question": result.question,
        "configuration": result.configuration.id,
        "before": change.before.kind.word if change.before else None,
        "after": change.after.kind.word if change.after else None,
        "kernel_before": change.before.configuration.version if change.before else None,
        "kernel_after": change.after.configuration.version if change.after else None,
        "duration_before_s": change.before.duration_s if change.before else None,
        "duration_after_s": change.after.duration_s if change.after else None,
        "known": change.known,
        "message": result.evidence.message,
        "reproduce": result.evidence.reproduce,
    }


def _took(change: Change) -> str:
    assert change.before and change.after  # noqa: S101, PT018
    return f"{change.before.duration_s:.2f} s -> {change.after.duration_s:.2f} s"


def _short(difference: Difference) -> str:
    return difference.value.partition(":")[0]
