# SPDX-License-Identifier: Apache-2.0
"""What happens before the first test, and what a session that could not begin ends with.

It happens once, in the process that the user started. With pytest-xdist that process collects
nothing itself and knows the tests from what its workers report.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Sequence

import pytest
from _pytest.terminal import TerminalReporter

from harness.errors import TrapgateError
from harness.kernels import KernelSource, Supply, obtain
from harness.kernels.reporter import Reporter, SilentReporter
from harness.plugin.configuration import Configuration
from harness.plugin.options import configurations, supply_of
from harness.target.qemu import settle_accelerator
from harness.tools import require_tools

_TOOLS = ("qemu-system-x86_64", "cc", "setpriv")
_TOOLS_OF_HOSTS = ("cc",)
_UNABLE = 2


class TerminalLines:
    """Shows what a fetch says between pytest's own lines.

    Args:
        terminal: pytest's reporter.
    """

    def __init__(self, terminal: TerminalReporter) -> None:
        self._terminal = terminal

    def say(self, line: str) -> None:
        """Write the line."""
        self._terminal.ensure_newline()
        self._terminal.write_line(f"trapgate: {line}")

    def progress(self, name: str, done: int, total: int) -> None:
        """Write a line as the download begins."""
        if done == 0:
            self.say(f"fetching {name} ({total / 1e6:.1f} MB)")


def refuse(error: TrapgateError) -> int:
    """Say why there will be no session, and return its exit status."""
    print(f"trapgate: {error}", file=sys.stderr)
    return _UNABLE


class Preparation:
    """Fetches kernels and settles accelerators; a session that it fails for runs no test.

    Args:
        config: the session's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._trouble: TrapgateError | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Prepare for collected tests; True ends the session here."""
        if session.testsfailed or self._config.option.collectonly:
            return None
        wanted = _wanted(getattr(session, "items", ()), configurations(self._config))
        return None if self.prepare(wanted) else True

    def prepare(self, wanted: Iterable[Configuration]) -> bool:
        """Fetch what is wanted and say what it is; False keeps the trouble for the end."""
        lines = _lines(self._config)
        supply = Supply(supply_of(self._config).mirrors, reporter=lines)
        try:
            for configuration in wanted:
                require_tools(_TOOLS if configuration.boots else _TOOLS_OF_HOSTS)
                lines.say(_ready(configuration, supply))
        except TrapgateError as error:
            self._trouble = error
        return self._trouble is None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End with status 2 when there was trouble."""
        if self._trouble:
            session.exitstatus = _UNABLE

    def pytest_unconfigure(self) -> None:
        """Say last, and alone, what kept the session from starting."""
        if self._trouble:
            refuse(self._trouble)


class NotPreparedError(Exception):
    """Takes a distributed session out of its loop before it hands out a test."""


class Distribution:
    """Prepares between the collection of xdist's workers and their first test.

    Args:
        config: the controlling process's.
        preparation: does it.
    """

    def __init__(self, config: pytest.Config, preparation: Preparation) -> None:
        self._config = config
        self._preparation = preparation
        self._prepared = False

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Prepare when the first worker has collected; they all collect the same."""
        if not self._prepared:
            self._prepared = True
            wanted = [c for c in configurations(self._config) if any(c.named_in(i) for i in ids)]
            if not self._preparation.prepare(wanted):
                raise NotPreparedError

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """End the session there if there was trouble."""
        try:
            return (yield)
        except NotPreparedError:
            return True


def register(config: pytest.Config) -> None:
    """Have this session prepared, unless another process does that for it."""
    if hasattr(config, "workerinput"):
        return
    preparation = Preparation(config)
    config.pluginmanager.register(preparation, "trapgate-preparation")
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(Distribution(config, preparation), "trapgate-distribution")


def _ready(configuration: Configuration, supply: Supply) -> str:
    """Fetch a kernel, choose its accelerator, and return what is to be said of both."""
    if not isinstance(configuration.source, KernelSource):
        return f"{configuration.id} is {configuration.source.identity}"
    kernel = obtain(configuration.source, supply)
    chosen = settle_accelerator(kernel, configuration.options)
    return (
        f"{configuration.id} is Linux {kernel.release} ({kernel.version}), "
        f"by {chosen.name}: {chosen.reason}"
    )


def _lines(config: pytest.Config) -> Reporter:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    return TerminalLines(terminal) if isinstance(terminal, TerminalReporter) else SilentReporter()


def _wanted(
    items: Iterable[pytest.Item], known: Iterable[Configuration]
) -> Iterable[Configuration]:
    """Return the configurations that collected tests ask for, in the order of the options."""
    parameters = (
        item.callspec.params.get("configuration")
        for item in items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    )
    asked = {asked.plain for asked in parameters if isinstance(asked, Configuration)}
    return [configuration for configuration in known if configuration in asked]
