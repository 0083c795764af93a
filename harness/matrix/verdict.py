# SPDX-License-Identifier: Apache-2.0
"""Good, bad, or not to be told: what a few tests say of one kernel, as `git bisect run` has it."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.errors import OutcomeKind, TrapgateError
from harness.matrix.asking import ask_here
from harness.matrix.choice import Matrix
from harness.matrix.lines import show_message
from harness.matrix.progress import UNANSWERED, WRONG
from harness.record.result import Result
from harness.scratch import scratch_folder


class Verdict(enum.IntEnum):
    """What a kernel is; the values are the exit statuses that `git bisect run` expects."""

    GOOD = 0
    BAD = 1
    UNKNOWN = 125


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reason.

    Attributes:
        verdict: the verdict.
        reason: it, in a few words.
    """

    verdict: Verdict
    reason: str

    def __str__(self) -> str:
        """Return both, as one sentence."""
        word = "cannot tell" if self.verdict is Verdict.UNKNOWN else self.verdict.name.lower()
        return f"{word}: {self.reason}"


@dataclass
class _Gathering:
    """Keeps results for itself."""

    results: list[Result] = field(default_factory=list)

    def plan(self, tests: Mapping[str, int]) -> None:
        """Nothing is shown."""

    def note(self, result: Result) -> None:
        """Keep it."""
        self.results.append(result)

    def look(self) -> None:
        """Nothing is shown."""


def judge(results: Iterable[Result]) -> Judgement:
    """Say what results tell of their kernel.

    One wrong answer makes it bad. Else, what got no answer makes it unknown: a guest that was lost,
    a scenario with an error of its own. So does not having asked: skips, and known errors, which
    are not provoked.
    """
    found = list(results)
    kinds = Counter(result.kind for result in found)
    reason = ", ".join(f"{kinds[kind]} {kind.word}" for kind in OutcomeKind if kinds[kind])
    failed = [result for result in found if result.kind in WRONG]
    raised = next((result for result in failed if result.evidence.raised), None)
    wrong = next((result for result in failed if not result.evidence.raised), None)
    if wrong:
        return Judgement(Verdict.BAD, f"{reason}; {show_message(wrong)}")
    if raised:
        said = f"a {raised.evidence.raised} in the scenario {show_message(raised)}"
        return Judgement(Verdict.UNKNOWN, f"{reason}; {said}")
    if any(kinds[kind] for kind in UNANSWERED) or not kinds[OutcomeKind.PASS]:
        return Judgement(Verdict.UNKNOWN, reason or "nothing was asked")
    return Judgement(Verdict.GOOD, reason)


def ask_one(matrix: Matrix) -> Judgement:
    """Ask one kernel, and judge it; whatever keeps us from asking is a reason not to know."""
    gathering = _Gathering()
    try:
        with scratch_folder("step") as scratch:
            ask_here(matrix.checked(), scratch / "record", gathering)
    except TrapgateError as error:
        return Judgement(Verdict.UNKNOWN, str(error))
    return judge(gathering.results)
