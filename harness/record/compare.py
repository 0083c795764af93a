# SPDX-License-Identifier: Apache-2.0
"""What has changed between two runs, and whose doing it is.

Verdicts are compared question by question. That another kernel gives another answer is a
regression, or a repair; that the same kernel does so with the same inputs is a flake. Where nothing
answered, nothing is said about the kernel.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.errors import DeclarationError, OutcomeKind
from harness.record.reading import Run
from harness.record.result import Configuration, Result
from harness.record.table import BLAMELESS, GUILTY, SEVERITY, UNASKED

_SLOWER, _SLOWER_S = 2.0, 0.1
"""By which factor, and by how many seconds, a question has to take longer to be called slower."""

Key = tuple[str, str]
"""A configuration's name, and a question."""


class Difference(enum.Enum):
    """What has become of a question, in the order of what to do about it."""

    WORSE = "worse: the kernel has changed, and its answer is wrong now (a regression)"
    NEW_FAILURE = "new and wrong: not answered before"
    NO_ANSWER = "lost: without an answer now, which says nothing about the kernel"
    FLAKE = "flaky: another answer of the same kernel to the same inputs"
    OURS = "asked differently: the same kernel, but scenario, harness or machine have changed"
    SLOWER = "slower: beyond what the whole run is"
    BETTER = "better: wrong before, right or less wrong now"
    ANSWERED = "answered again: lost before"
    NEW = "new: not asked before"
    GONE = "gone: not asked any more"


CALLS_FOR_ACTION = (Difference.WORSE, Difference.NEW_FAILURE)


@dataclass(frozen=True)
class Change:
    """A question that is not as it was; at least one of its results is there.

    Attributes:
        difference: in which way.
        before: its result in the earlier run.
        after: its result in the later run.
        known: what earlier runs say of it, empty where they were not asked.
    """

    difference: Difference
    before: Result | None
    after: Result | None
    known: str = ""

    @property
    def result(self) -> Result:
        """The later result, or the only one."""
        found = self.after or self.before
        assert found  # noqa: S101
        return found

    @property
    def step(self) -> str:
        """What it was and what it is: "pass -> fail"."""
        ends = (self.before, self.after)
        return " -> ".join(end.kind.word if end else "not asked" for end in ends)


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        before: the earlier run.
        after: the later one.
        changes: what differs, first what calls for action.
        same: how many questions ended as before.
        pace: how many times as long as before a question took, in the middle.
    """

    before: Run
    after: Run
    changes: list[Change]
    same: int
    pace: float

    def of(self, difference: Difference) -> list[Change]:
        """Return the changes of one sort."""
        return [change for change in self.changes if change.difference is difference]

    @property
    def exit_status(self) -> int:
        """1 when something is worse, 2 when guests were lost that answered before, else 0."""
        found = {change.difference for change in self.changes}
        if found & set(CALLS_FOR_ACTION):
            return OutcomeKind.FAIL.value.exit_status
        return OutcomeKind.LOST.value.exit_status if Difference.NO_ANSWER in found else 0


def compare(before: Run, after: Run) -> Comparison:
    """Compare two runs.

    Configurations are paired by their names. Where no name is in both, each run's only kernel of
    an architecture is paired with the other's.

    Args:
        before: the earlier run.
        after: the later one.

    Raises:
        DeclarationError: no configuration can be paired.
    """
    names = _pair(_configurations(before), _configurations(after))
    old = {(names.get(r.configuration.id, ""), r.question): r for r in before.results}
    new = {(r.configuration.id, r.question): r for r in after.results}
    paired = [(old[key], new[key]) for key in new if key in old]
    pace = _pace(paired)
    changes = [*_paired_changes(paired, pace), *_lonely_changes(before, old, new, names)]
    same = len(paired) - sum(bool(change.before and change.after) for change in changes)
    return Comparison(before, after, in_order(changes), same, pace)


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Return changes so that what calls for action comes first."""
    order = {difference: at for at, difference in enumerate(Difference)}
    return sorted(changes, key=lambda change: order[change.difference])


def _configurations(run: Run) -> dict[str, Configuration]:
    return {result.configuration.id: result.configuration for result in run.results}


def _pair(
    before: Mapping[str, Configuration], after: Mapping[str, Configuration]
) -> dict[str, str]:
    """Return the later name of each earlier configuration that has one."""
    common = {name: name for name in before if name in after}
    if common:
        return common
    chosen = _pair_by_arch(before, after)
    return {
        name: chosen[one.chosen] + name.removeprefix(one.chosen)
        for name, one in before.items()
        if one.chosen in chosen
    }


def _pair_by_arch(
    before: Mapping[str, Configuration], after: Mapping[str, Configuration]
) -> dict[str, str]:
    earlier, later = _only_ones(before), _only_ones(after)
    pairs = {earlier[arch]: later[arch] for arch in earlier if arch in later}
    if pairs:
        return pairs
    raise DeclarationError(
        f"the runs have no kernel in common: {_names(before)} before, {_names(after)} after",
        hint="compare runs of the same kernels, or of one kernel each of an architecture",
    )


def _only_ones(known: Mapping[str, Configuration]) -> dict[str, str]:
    """Return what was chosen of each architecture of which nothing else was."""
    chosen = {one.chosen: one.arch for one in known.values()}
    archs = list(chosen.values())
    return {arch: name for name, arch in chosen.items() if archs.count(arch) == 1}


def _names(known: Mapping[str, Configuration]) -> str:
    return ", ".join(dict.fromkeys(one.chosen for one in known.values()))


def _paired_changes(paired: Iterable[tuple[Result, Result]], pace: float) -> Iterator[Change]:
    for old, new in paired:
        difference = _difference(old, new) or _slowness(old, new, pace)
        if difference:
            yield Change(difference, old, new)


def _lonely_changes(
    before: Run, old: Mapping[Key, Result], new: Mapping[Key, Result], names: Mapping[str, str]
) -> Iterator[Change]:
    """Yield what only one of the runs has asked, or answered."""
    for key, result in new.items():
        if key not in old and result.kind not in UNASKED:
            yield Change(_newness(result), None, result)
    for result in before.results:
        key = (names.get(result.configuration.id, ""), result.question)
        if key not in new and result.kind not in UNASKED:
            yield Change(Difference.GONE, result, None)


def _newness(result: Result) -> Difference:
    if result.kind in BLAMELESS:
        return Difference.NO_ANSWER
    return Difference.NEW_FAILURE if result.kind in GUILTY else Difference.NEW


def _difference(old: Result, new: Result) -> Difference | None:
    """Return in which way a verdict has changed, None when it has not."""
    if old.kind is new.kind or {old.kind, new.kind} <= UNASKED:
        return None
    if new.kind in BLAMELESS:
        return None if old.kind in BLAMELESS else Difference.NO_ANSWER
    if new.kind in UNASKED:
        return Difference.GONE
    if old.kind in UNASKED:
        return _newness(new)
    if old.kind in BLAMELESS:
        return Difference.NEW_FAILURE if new.kind in GUILTY else Difference.ANSWERED
    return _whose_doing(old, new)


def _whose_doing(old: Result, new: Result) -> Difference:
    """Return what it means that two answers differ."""
    if old.configuration.kernel == new.configuration.kernel:
        return Difference.FLAKE if old.inputs == new.inputs else Difference.OURS
    worse = SEVERITY.index(new.kind) < SEVERITY.index(old.kind)
    return Difference.WORSE if worse and new.kind in GUILTY else Difference.BETTER


def _pace(paired: Iterable[tuple[Result, Result]]) -> float:
    """Return the middle of how many times as long the same answers took: a busy host slows all."""
    factors = [new.duration_s / old.duration_s for old, new in paired if _timed(old, new)]
    return statistics.median(factors) if factors else 1.0


def _timed(old: Result, new: Result) -> bool:
    both = {old.kind, new.kind} == {OutcomeKind.PASS}
    return both and old.duration_s > 0 and new.duration_s > 0


def _slowness(old: Result, new: Result, pace: float) -> Difference | None:
    usual_s = old.duration_s * pace
    late_s = new.duration_s - usual_s
    slow = _timed(old, new) and new.duration_s >= _SLOWER * usual_s and late_s >= _SLOWER_S
    return Difference.SLOWER if slow else None
