# SPDX-License-Identifier: Apache-2.0
"""Two files of figures side by side: every change, down to one instruction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.cost.figures import Cost, Figures, unit_of
from harness.errors import DeclarationError


@dataclass(frozen=True)
class Change:
    """One cost that is no longer what it was.

    Attributes:
        where: kernel and processor.
        before: None where it was not measured then.
        after: None where it is not measured any more.
    """

    where: str
    before: Cost | None
    after: Cost | None

    def __str__(self) -> str:
        """Return it in one line."""
        subject, abi, path = (self.before or self.after or _NOTHING).key
        what = f"{self.where}: {subject} by {path} ({abi})"
        if not self.before or not self.after:
            return f"{what}: {'only in the ' + ('first' if self.before else 'second')}"
        difference = self.after.value - self.before.value
        share = f", {100 * difference / self.before.value:+.1f} %" if self.before.value else ""
        return f"{what}: {self.before.value:g} -> {self.after.value:g} ({difference:+g}{share})"


_NOTHING = Cost("", "", "", 0, 0, 0)


def compare(before: Sequence[Figures], after: Sequence[Figures]) -> list[Change]:
    """Return all changes, in the order of the first file; empty when everything is the same.

    Where each file holds one kernel of the same architecture, these two are compared, whatever
    they are called.

    Raises:
        DeclarationError: the files hold different kernels, processors or units.
    """
    return [change for pair in _pairs(before, after) for change in _changes(*pair)]


def _pairs(
    before: Sequence[Figures], after: Sequence[Figures]
) -> Iterator[tuple[Figures, Figures]]:
    unit_of([*before, *after])
    first, second = ({f.name: f for f in figures} for figures in (before, after))
    if len(first) == len(second) == 1 and before[0].arch == after[0].arch:
        yield before[0], after[0]
        return
    alone = sorted(first.keys() ^ second.keys())
    if alone:
        raise DeclarationError(f"only one of the files has {', '.join(alone)}")
    yield from ((first[name], second[name]) for name in first)


def _changes(before: Figures, after: Figures) -> Iterator[Change]:
    old = {cost.key: cost for cost in before.costs}
    new = {cost.key: cost for cost in after.costs}
    where = before.name if before.name == after.name else f"{before.name} -> {after.name}"
    for key in [*old, *(key for key in new if key not in old)]:
        if _differ(old.get(key), new.get(key)):
            yield Change(where, old.get(key), new.get(key))


def _differ(before: Cost | None, after: Cost | None) -> bool:
    """Tell whether two costs are different: in cycles, if their middle halves do not overlap."""
    if not before or not after:
        return True
    return before.high < after.low or after.high < before.low
