# SPDX-License-Identifier: Apache-2.0
"""What came of a whole script, in words that can be kept and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.agent.calls import Outcome
from harness.agent.guest import Guest
from harness.errors import GuestError, GuestLost, OutcomeKind
from harness.script.lifting import answer_of
from harness.script.notation import show_bytes
from harness.script.replay import Answer, Answered, Ended, Replay, Written
from harness.script.statements import Script

_LONGEST = 120


@dataclass(frozen=True)
class Result:
    """What came of a script.

    Attributes:
        kind: how it ended.
        message: what is to be said of that, empty for a pass.
        answers: what each statement answered that was carried out, in one line each.
        console: what the kernel logged meanwhile; of one that died, its last words.
    """

    kind: OutcomeKind
    message: str
    answers: tuple[str, ...]
    console: str


def run_script(guest: Guest, script: Script, tell: Callable[[Answered], None]) -> Result:
    """Carry a script out, whatever becomes of the guest.

    Args:
        guest: who is asked.
        script: what.
        tell: takes what came of each statement, as soon as it did.

    Raises:
        DeclarationError: a statement cannot be carried out there.
        HostError: this host failed.
    """
    answers: list[str] = []
    wrong = ""
    try:
        for number, answered in enumerate(Replay(guest).run(script), start=1):
            tell(answered)
            answers.append(describe(answered.answer))
            if answered.held is False:
                wrong = wrong or f"statement {number} was not answered as expected"
        splat = guest.find_splat()
    except (GuestError, GuestLost) as error:
        return Result(error.kind, error.message, tuple(answers), error.evidence)
    kind = OutcomeKind.SPLAT if splat else OutcomeKind.FAIL if wrong else OutcomeKind.PASS
    return Result(kind, splat or wrong, tuple(answers), guest.log)


def describe(answer: Answer) -> str:
    """Return what a statement answered in one line."""
    match answer:
        case Outcome() as outcome:
            said = str(answer_of(outcome))
        case bytes() as content:
            said = show_bytes(content)
        case Written(left_bytes=left):
            said = f"{left} bytes left"
        case Ended(end=end):
            said = "timeout" if end.timed_out else f"status {end.status}"
        case GuestError() as error:
            said = f"{error.kind.word}: {error.message}"
        case Mapping() as report:
            said = " ".join(f"{name}={value}" for name, value in report.items())
        case _:
            said = ""
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
