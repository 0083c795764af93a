# SPDX-License-Identifier: Apache-2.0
"""How commands show what came of statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.agent.calls import Outcome
from harness.cli.answer import show_bytes, show_short
from harness.errors import GuestError
from harness.script.notation import printable
from harness.script.replay import Answered, Ended, Written
from harness.script.writing import show_statement
from harness.wording import numbered


def show_answered(answered: Answered) -> str:
    """Return a statement, and what came of it, indented."""
    lines = (f"  {line}" for line in show_answer(answered))
    return "\n".join([show_statement(answered.statement), *lines])


def show_answer(answered: Answered) -> list[str]:
    """Return what came of a statement in a few lines."""
    return [*_lines(answered), *(["not what was expected"] if answered.held is False else [])]


def _lines(answered: Answered) -> list[str]:
    lines: list[str] = []
    match answered.answer:
        case Outcome() as outcome:
            lines = show_short(outcome)
        case bytes() as content:
            lines = [f"{len(content)} bytes:", *show_bytes(content)]
        case Written(left_bytes=left) if left:
            lines = [f"{left} bytes could not be written"]
        case Ended(end=end, output=output):
            said = "ended after its time" if end.timed_out else f"status {end.status}"
            lines = [said, *map(printable, output.decode(errors="replace").splitlines())]
        case GuestError() as error:
            lines = [f"{error.kind.word}: {error.message}"]
        case Mapping() as report:
            lines = [f"{name}: {value} ({value:#x})" for name, value in report.items()]
    return lines


def show_summary(answers: Sequence[Answered]) -> str:
    """Return in one line how many statements there were, and how many held."""
    judged = [answered.held for answered in answers if answered.held is not None]
    said = f"{sum(judged)} of {len(judged)} expectations held" if judged else "nothing expected"
    return f"{numbered(len(answers), 'statement')}, {said}"
