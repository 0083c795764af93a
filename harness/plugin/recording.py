# SPDX-License-Identifier: Apache-2.0
"""The record of a session, made of reports as they come in, with pytest-xdist's workers or without.

Where a test runs, its reports are given what the record needs (`attach`); the process that the user
started writes it down (`Recorder`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.agent.guest import Guest
from harness.errors import OutcomeKind
from harness.plugin.configuration import Configuration
from harness.plugin.evidence import Comparison, find_evidence
from harness.plugin.options import configurations, supply_of
from harness.plugin.outcomes import find_kind
from harness.plugin.subject import inputs_of, subject_of
from harness.record import Configuration as Subject
from harness.record import Evidence, Result, RunWriter, State
from harness.record.result import NO_EVIDENCE, as_json
from harness.record.run import this_run
from harness.record.writer import check_folder

_CARRIED = "trapgate"
"""The attribute of a report with what the record needs; plain values, as xdist wants them."""
_COMPARED = pytest.StashKey[Comparison]()
_SUBJECTS = pytest.StashKey[dict[Configuration, Subject]]()


def add_option(parser: pytest.Parser) -> None:
    """Add the option that says where the record goes."""
    parser.getgroup("trapgate").addoption(
        "--run-dir",
        metavar="DIR",
        help="record every result there, as it happens, for `trapgate report` and `compare`",
    )


def check(config: pytest.Config) -> None:
    """See that a record can go where it is to go.

    Raises:
        DeclarationError: there is one already.
    """
    folder = _folder_of(config)
    if folder:
        check_folder(folder)


def register(config: pytest.Config) -> None:
    """Have this session's results written down, if they are to be, and in this process."""
    folder = _folder_of(config)
    if folder:
        config.pluginmanager.register(Recorder(config, folder), "trapgate-recorder")


def _folder_of(config: pytest.Config) -> Path | None:
    given = config.getoption("--run-dir")
    return Path(given) if given and not hasattr(config, "workerinput") else None


def note_comparison(config: pytest.Config, comparison: Comparison) -> None:
    """Keep a comparison that does not hold until the report of its test is made."""
    config.stash[_COMPARED] = comparison


def attach(
    item: pytest.Item,
    report: pytest.TestReport,
    call: pytest.CallInfo[None],
    guest: Guest | None,
) -> None:
    """Give a report what the record needs, if there is to be one."""
    compared = item.config.stash.get(_COMPARED, None)
    if compared:
        del item.config.stash[_COMPARED]
    configuration = getattr(getattr(item, "callspec", None), "params", {}).get("configuration")
    if not item.config.getoption("--run-dir") or not isinstance(configuration, Configuration):
        return
    carried: dict[str, Any] = {}
    if call.when == "setup":
        subject = _subject(item.config, configuration)
        carried["configuration"] = as_json(subject)
        carried["inputs"] = inputs_of(item.path, subject)
    if not report.passed:
        carried["evidence"] = as_json(find_evidence(report, call, guest, compared))
    if carried:
        vars(report)[_CARRIED] = carried


def _subject(config: pytest.Config, configuration: Configuration) -> Subject:
    known = config.stash.setdefault(_SUBJECTS, {})
    if configuration not in known:
        known[configuration] = subject_of(configuration, supply_of(config))
    return known[configuration]


@dataclass
class _Pieces:
    """What is known of a test so far."""

    subject: Subject | None = None
    inputs: str = ""
    entry: str = ""
    duration_s: float = 0.0
    evidence: Evidence = NO_EVIDENCE

    def take(self, report: pytest.TestReport) -> None:
        carried = vars(report).pop(_CARRIED, {})  # the terminal's reporter keeps every report
        if "configuration" in carried:
            self.subject = Subject(**carried["configuration"])
            self.inputs = carried["inputs"]
            self.entry = str(dict(report.user_properties).get("entry", ""))
        if "evidence" in carried:
            self.evidence = Evidence(**carried["evidence"])
        if report.when == "call":
            self.duration_s = report.duration


class Recorder:
    """Writes results down as their tests end; the folder is made for the first one.

    Args:
        config: the session's.
        folder: where the record goes.
    """

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._facts = this_run(sys.argv)
        self._writer: RunWriter | None = None
        self._pieces: dict[str, _Pieces] = {}
        self._cut_short = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather a test's phases; after the last one its result is written."""
        pieces = self._pieces.setdefault(report.nodeid, _Pieces())
        pieces.take(report)
        if report.when in ("setup", "call"):
            return
        del self._pieces[report.nodeid]
        if report.when != "teardown":  # its worker has died: xdist's word for that is "???"
            pieces.evidence = Evidence(message=report.longreprtext.rpartition("\n")[2])
            pieces.subject = pieces.subject or self._subject_in(report.nodeid)
        kind = find_kind(report) or OutcomeKind.INFRASTRUCTURE
        if pieces.subject:
            self._add(report.nodeid, pieces, pieces.subject, kind)

    def pytest_keyboard_interrupt(self) -> None:
        """Remember that results are missing."""
        self._cut_short = True

    def pytest_internalerror(self) -> None:
        """Remember that results are missing."""
        self._cut_short = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the record."""
        stopped = self._cut_short or session.shouldfail or session.shouldstop
        if self._writer:
            self._writer.close(State.INTERRUPTED if stopped else State.FINISHED)

    def _subject_in(self, nodeid: str) -> Subject | None:
        """Return who was to be asked, as far as a test's identifier says it."""
        known = (one for one in configurations(self._config) if one.named_in(nodeid))
        named = max(known, key=lambda one: len(one.id), default=None)
        return _subject(self._config, named) if named else None

    def _add(self, test: str, pieces: _Pieces, subject: Subject, kind: OutcomeKind) -> None:
        self._writer = self._writer or RunWriter(self._folder, self._facts)
        self._writer.add(
            Result(
                test=test,
                configuration=subject,
                kind=kind,
                duration_s=pieces.duration_s,
                entry=pieces.entry,
                inputs=pieces.inputs,
                evidence=pieces.evidence,
            )
        )
