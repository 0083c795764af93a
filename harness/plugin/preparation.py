# SPDX-License-Identifier: Apache-2.0
"""What happens before the first test, and what a session that could not begin ends with."""

from __future__ import annotations

import sys

import pytest
from _pytest.terminal import TerminalReporter

from harness.errors import TrapgateError
from harness.kernels import Supply, obtain
from harness.plugin import outcomes
from harness.plugin.configuration import Configuration
from harness.plugin.options import configurations, supply_of
from harness.target.qemu import settle_accelerator
from harness.tools import require_tools

_TOOLS = ("qemu-system-x86_64", "cc", "setpriv")
_UNABLE = 2
_TROUBLE = pytest.StashKey[TrapgateError]()


class TerminalLines:
    """Shows what a fetch says between pytest's own lines.

    Args:
        terminal: pytest's reporter.
    """

    def __init__(self, terminal: TerminalReporter) -> None:
        self._terminal = terminal

    def say(self, line: str) -> None:
        """Write the line."""
        self._terminal.write_line(f"trapgate: {line}")

    def progress(self, name: str, done: int, total: int) -> None:
        """Write a line as the download begins."""
        if done == 0:
            self.say(f"fetching {name} ({total / 1e6:.1f} MB)")


def refuse(error: TrapgateError) -> int:
    """Say why there will be no session, and return its exit status."""
    print(f"trapgate: {error}", file=sys.stderr)
    return _UNABLE


def prepare(session: pytest.Session) -> bool | None:
    """Fetch what the collected tests need.

    Returns:
        None to go on, True to end the session here, without a test and with the trouble kept.
    """
    wanted = _wanted(session)
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if not wanted or not isinstance(terminal, TerminalReporter):
        return None
    supply = Supply(supply_of(session.config).mirrors, reporter=TerminalLines(terminal))
    try:
        require_tools(_TOOLS)
        for configuration in wanted:
            kernel = obtain(configuration.source, supply)
            chosen = settle_accelerator(kernel, configuration.options)
            terminal.write_line(
                f"trapgate: {configuration.id} is Linux {kernel.release} "
                f"({kernel.version}), by {chosen.name}: {chosen.reason}"
            )
    except TrapgateError as error:
        session.config.stash[_TROUBLE] = error
        return True
    return None


def exit_status(session: pytest.Session) -> int:
    """Return what the session ends with."""
    if _TROUBLE in session.config.stash:
        return _UNABLE
    failed = session.exitstatus == pytest.ExitCode.TESTS_FAILED
    return _UNABLE if failed and outcomes.only_blameless() else int(session.exitstatus)


def say_trouble(config: pytest.Config) -> None:
    """Say what kept the session from starting, as its last words."""
    trouble = config.stash.get(_TROUBLE, None)
    if trouble:
        print(f"trapgate: {trouble}", file=sys.stderr)


def _wanted(session: pytest.Session) -> list[Configuration]:
    """Return the configurations that collected tests ask for, in the order of the options."""
    asked = {
        item.callspec.params["configuration"]
        for item in session.items
        if isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "configuration" in item.callspec.params
    }
    return [c for c in configurations(session.config) if c in asked]
