# SPDX-License-Identifier: Apache-2.0
"""How a fetch tells what it is doing, to whoever called it."""

from __future__ import annotations

import sys
from typing import Protocol


class Reporter(Protocol):
    """Receives what a fetch has to say; the command line shows bars, the plugin lines."""

    def say(self, line: str) -> None:
        """Show one line that the user should see."""

    def progress(self, name: str, done: int, total: int) -> None:
        """Show that `done` of `total` bytes of the download called `name` are here."""


class LineReporter:
    """Writes plain lines to standard error: one as a download begins, none while it runs."""

    def say(self, line: str) -> None:
        """Write the line."""
        print(f"trapgate: {line}", file=sys.stderr, flush=True)

    def progress(self, name: str, done: int, total: int) -> None:
        """Write a line at the beginning only."""
        if done == 0:
            self.say(f"fetching {name} ({total / 1e6:.1f} MB)")


class SilentReporter:
    """Says nothing."""

    def say(self, line: str) -> None:
        """Drop the line."""

    def progress(self, name: str, done: int, total: int) -> None:
        """Drop the figure."""
