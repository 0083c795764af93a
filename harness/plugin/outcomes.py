# SPDX-License-Identifier: Apache-2.0
"""Outcomes by kind: in pytest's words, in its report's properties, in its exit status."""

from __future__ import annotations

import pytest

from harness.agent.guest import Guest, Identity
from harness.errors import OutcomeKind, TrapgateError
from harness.machine.console import last_lines

_PROPERTY = "outcome"
_KINDS = {kind.word: kind for kind in OutcomeKind}
_BLAMELESS = (OutcomeKind.LOST, OutcomeKind.INFRASTRUCTURE)
_counted: set[OutcomeKind] = set()


def note_identity(item: pytest.Item, identity: Identity) -> None:
    """Write into a test's report which kernel answered."""
    item.user_properties += [("kernel", identity.spec), ("guest", str(identity))]


def classify(report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Give a report its kind; what says nothing about a kernel becomes an error, not a failure."""
    kind = _kind_of(report, call)
    report.user_properties.append((_PROPERTY, kind.word))
    if kind in _BLAMELESS and report.when == "call":
        report.when = "setup"


def _kind_of(report: pytest.TestReport, call: pytest.CallInfo[None]) -> OutcomeKind:
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, TrapgateError):
        return error.kind
    if hasattr(report, "wasxfail") and report.skipped:
        return OutcomeKind.KNOWN
    if report.skipped:
        return OutcomeKind.SKIP
    return OutcomeKind.FAIL if report.failed else OutcomeKind.PASS


def add_log(report: pytest.TestReport, guest: Guest) -> None:
    """Put what the kernel has said meanwhile into a failure."""
    news = guest.drain_log()
    if news:
        report.sections.append(("kernel log", last_lines(news)))


def find_kind(report: pytest.TestReport) -> OutcomeKind | None:
    """Return the kind that a report was given, None for a report that was given none."""
    words = [value for name, value in report.user_properties if name == _PROPERTY]
    return _KINDS.get(str(words[-1])) if words else None


def status_of(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Return category, letter and word for what pytest itself would only call failed."""
    kind = find_kind(report) if report.failed else None
    if kind in _BLAMELESS:
        return "error", "E", kind.word.upper()
    if kind in (OutcomeKind.PANIC, OutcomeKind.SPLAT, OutcomeKind.TIMEOUT):
        return "failed", "F", kind.word.upper()
    return None


def count(report: pytest.TestReport) -> None:
    """Remember what kinds of failure a session has had."""
    kind = find_kind(report)
    if report.failed and kind:
        _counted.add(kind)


def only_blameless() -> bool:
    """Tell whether something went wrong, and nothing that a kernel is to blame for."""
    return bool(_counted) and _counted <= set(_BLAMELESS)
