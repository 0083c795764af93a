# SPDX-License-Identifier: Apache-2.0
"""What shows how a test ended, gathered where it ran: what was asked, expected, got."""

from __future__ import annotations

import errno
from collections.abc import Mapping

import pytest

from harness.agent.asked import Ran
from harness.agent.calls import Outcome
from harness.agent.channel import ChannelBroken
from harness.agent.guest import Guest
from harness.errors import TrapgateError
from harness.record import Evidence
from harness.script.lifting import lift
from harness.script.writing import annotated

Comparison = tuple[str, object, object]
_LONGEST = 12_000
_VALUE = 1_000
_STATEMENTS = 20
_SAY_WHY = (AssertionError, TrapgateError, pytest.fail.Exception)
"""What a scenario ends in that did not get the answer that it expected."""


def find_evidence(
    report: pytest.TestReport,
    call: pytest.CallInfo[None],
    guest: Guest | None,
    compared: Comparison | None,
) -> Evidence:
    """Return what a report that is no plain pass has to show.

    Args:
        report: of a phase that failed or was skipped.
        call: that phase.
        guest: who was asked, None where nobody was yet.
        compared: operator and both sides of the comparison that did not hold, None without one.
    """
    if report.skipped:
        return Evidence(message=clean(_reason(report)))
    error = call.excinfo.value if call.excinfo else None
    pieces = _comparison(call, compared) | (_asked(guest) if guest else {})
    pieces |= {
        "message": _first_line(str(error or "")),
        "failure": report.longreprtext,
        "console": error.evidence if isinstance(error, TrapgateError) else "",
        "log": _section(report, "kernel log"),
        "reproduce": _section(report, "reproduce"),
        "raised": "" if isinstance(error, _SAY_WHY) else type(error).__name__,
    }
    return Evidence(**{name: clean(text) for name, text in pieces.items()})


def clean(text: str) -> str:
    """Return text that every format can hold: no halves of characters, and not without end."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    if len(whole) <= _LONGEST:
        return whole
    half = _LONGEST // 2
    return f"{whole[:half]}\n... {len(whole) - 2 * half} characters ...\n{whole[-half:]}"


def _reason(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail).removeprefix("reason: ")
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return report.longreprtext


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _section(report: pytest.TestReport, name: str) -> str:
    return "\n".join(text for title, text in report.sections if title == name)


def _comparison(call: pytest.CallInfo[None], compared: Comparison | None) -> dict[str, str]:
    """Return what was expected and what came; without a comparison the statement is expected."""
    if not call.excinfo or not isinstance(call.excinfo.value, AssertionError):
        return {}
    statement = str(call.excinfo.traceback[-1].statement).strip()
    if not compared:
        return {"expected": statement.removeprefix("assert ")}
    operator, got, wanted = compared
    relation = "" if operator == "==" else f"{operator} "
    names = errno.errorcode if ".errno" in statement else {}
    return {"expected": relation + _show(wanted, names), "got": _show(got, names)}


def _show(value: object, names: Mapping[int, str]) -> str:
    shown = repr(value)[:_VALUE]
    return f"{shown} {names[value]}" if isinstance(value, int) and value in names else shown


def _asked(guest: Guest) -> dict[str, str]:
    last = [*map(annotated, lift(guest.asked, guest.table))][-_STATEMENTS:]
    outcome = _last_outcome(guest)
    said = {"asked": "\n".join(last)}
    return said | {"call": str(outcome), "registers": _registers(outcome)} if outcome else said


def _last_outcome(guest: Guest) -> Outcome | None:
    ran = [one for one in guest.asked if isinstance(one, Ran)]
    try:
        results = ran[-1].results if ran else []
    except ChannelBroken:
        return None
    found = (result for result in reversed(results) if isinstance(result, Outcome))
    return next(found, None)


def _registers(outcome: Outcome) -> str:
    names = [name for name in outcome.before if name in outcome.changed]
    rows = (f"{name}: {outcome.before[name]:#x} -> {outcome.after[name]:#x}" for name in names)
    return "\n".join(rows)
