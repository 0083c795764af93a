# SPDX-License-Identifier: Apache-2.0
"""Showing downloads: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator

from harness.kernels.reporter import LineReporter, Reporter


class BarsWhenNeeded:
    """Shows bars from the first word on: mostly there is nothing to fetch.

    Args:
        stack: what the bars end with.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def say(self, line: str) -> None:
        """Write the line above the bars."""
        self._bars.say(line)

    def progress(self, name: str, done: int, total: int) -> None:
        """Move the bar of that download."""
        self._bars.progress(name, done, total)

    @functools.cached_property
    def _bars(self) -> Reporter:
        from harness.cli.bars import shown_bars  # noqa: PLC0415 - loading rich costs a call's time

        return self._stack.enter_context(shown_bars())


@contextlib.contextmanager
def shown_progress() -> Iterator[Reporter]:
    """Give a reporter that fits what standard error is."""
    with contextlib.ExitStack() as stack:
        yield BarsWhenNeeded(stack) if sys.stderr.isatty() else LineReporter()
