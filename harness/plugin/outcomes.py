# SPDX-License-Identifier: Apache-2.0
"""Outcomes by kind: in pytest's words, in its report's properties, in its exit status."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import _pytest
import pluggy
import pytest
from _pytest._code.code import TerminalRepr

import harness
from harness.agent.guest import Guest
from harness.agent.identity import Identity
from harness.errors import NotForHosts, OutcomeKind, TrapgateError
from harness.evidence.trouble import NotShown
from harness.machine.console import last_lines
from harness.plugin.configuration import Configuration

_MACHINERY = (
    *(Path(str(package.__file__)).parent for package in (harness, _pytest, pluggy)),
    Path(contextlib.__file__),
)
_PHASES = ("setup", "call", "teardown")
_PROPERTY = "outcome"
_SO_FAR = pytest.StashKey[OutcomeKind]()
_KINDS = {kind.word: kind for kind in OutcomeKind}
_BLAMELESS = (OutcomeKind.LOST, OutcomeKind.INFRASTRUCTURE)


def note_identity(item: pytest.Item, identity: Identity) -> None:
    """Write into a test's report which kernel answered."""
    item.user_properties += [("kernel", identity.spec), ("guest", str(identity))]


def note_question(item: pytest.Item) -> None:
    """Write into a test's report what it is put to, and the claims that it decides.

    ``machine`` is the configuration's name, ``entry`` the entry path's, ``claim`` a number: with
    an "x" behind it when the test passes where the claim does not hold.
    """
    parameters = _parameters(item)
    configuration = parameters.get("configuration")
    if not isinstance(configuration, Configuration):
        return  # a test of ours, or a scenario that no chosen kernel is asked
    item.user_properties.append(("machine", configuration.id))
    if "entry_path" in parameters:
        item.user_properties.append(("entry", str(parameters["entry_path"])))
    item.user_properties += [("claim", _claim(mark)) for mark in item.iter_markers("claim")]


def _parameters(item: pytest.Item) -> dict[str, object]:
    """Return what a test was multiplied by; empty for one that was not."""
    return dict(getattr(getattr(item, "callspec", None), "params", {}))


def _claim(mark: pytest.Mark) -> str:
    return f"{mark.args[0]}{'x' if mark.kwargs.get('refuted') else ''}"


def conceal(call: pytest.CallInfo[None]) -> TerminalRepr | None:
    """Let the traceback of an error of ours end in the last code that is neither ours nor pytest's.

    Returns:
        What to show instead of a traceback where there is no such code, else None.
    """
    if not call.excinfo or not isinstance(call.excinfo.value, TrapgateError):
        return None
    error = call.excinfo.value
    error.__cause__, error.__suppress_context__ = None, True
    steps = list(_steps(error.__traceback__))
    while steps and _is_machinery(steps[-1]):
        steps.pop()
    if not steps:
        return call.excinfo.getrepr(style="value")
    steps[-1].tb_next = None
    return None


@contextlib.contextmanager
def skipped_unasked(item: pytest.Item) -> Iterator[None]:
    """Turn into a skip, with its reason, what is for guests only or what a kernel does not show."""
    configuration = _parameters(item).get("configuration")
    try:
        yield
    except NotForHosts as error:
        if not isinstance(configuration, Configuration):
            raise
        pytest.skip(error.message)
    except NotShown as error:
        pytest.skip(f"not shown: {error.message}")


def _steps(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace:
        yield trace
        trace = trace.tb_next


def _is_machinery(step: TracebackType) -> bool:
    path = Path(step.tb_frame.f_code.co_filename)
    return any(path.is_relative_to(place) for place in _MACHINERY)


def classify(item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Give a report its kind; what says nothing about a kernel becomes an error, not a failure.

    A phase that passes repeats what an earlier one ended in: JUnit's report has the last one's.
    """
    kind = _kind_of(report, call)
    kind = item.stash.get(_SO_FAR, kind) if kind is OutcomeKind.PASS else kind
    item.stash[_SO_FAR] = kind
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


def find_kind(report: pytest.TestReport | pytest.CollectReport) -> OutcomeKind | None:
    """Return the kind that a report was given, None for a report that was given none.

    One whose phase pytest does not know is xdist's own: the test's worker has died.
    """
    if isinstance(report, pytest.TestReport) and report.when not in _PHASES:
        return OutcomeKind.INFRASTRUCTURE
    properties = getattr(report, "user_properties", ())
    words = [value for name, value in properties if name == _PROPERTY]
    return _KINDS.get(str(words[-1])) if words else None


def status_of(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """Return category, letter and word for what pytest itself would only call failed."""
    kind = find_kind(report) if report.failed else None
    if kind in _BLAMELESS:
        return "error", "E", kind.word.upper()
    if kind in (OutcomeKind.PANIC, OutcomeKind.SPLAT, OutcomeKind.TIMEOUT):
        return "failed", "F", kind.word.upper()
    return None


class Tally:
    """Counts what went wrong, for the session's exit status.

    Status 2 when something did, and nothing that a kernel is to blame for; 1 when something is,
    also where xdist calls the session interrupted because `--maxfail` has ended it (3.8,
    dsession.py pytest_runtestloop).
    """

    def __init__(self) -> None:
        self._kinds: list[OutcomeKind] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the kind of a failure; one that was given none is a plain one."""
        if report.failed:
            self._kinds.append(find_kind(report) or OutcomeKind.FAIL)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Settle the exit status."""
        wanted = session.config.getoption("maxfail") or 0
        enough = 0 < wanted <= len(self._kinds)
        if enough and session.exitstatus == pytest.ExitCode.INTERRUPTED:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        failed = session.exitstatus == pytest.ExitCode.TESTS_FAILED
        if failed and self._kinds and set(self._kinds) <= set(_BLAMELESS):
            session.exitstatus = OutcomeKind.INFRASTRUCTURE.value.exit_status
