# SPDX-License-Identifier: Apache-2.0
"""A pytest session as a process: begun, watched, and certain to end with whoever began it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import HostError
from harness.machine.console import last_lines
from harness.tools import require_tool

COULD_ASK = (0, 1)
"""pytest's exit status when it asked: all passed, or some failed."""
NOTHING_BLAMED = 2
"""Nothing that a kernel is to blame for, and something else went wrong: see the plugin."""
NOTHING_CHOSEN = 5
"""pytest's own for a session without a test."""

_REFUSAL = "trapgate: "
"""What the plugin's last word begins with when there was no session."""
_GRACE_S = 1.0
"""How long an interrupted session may take to end its guests."""


class Session:
    """One that runs.

    Attributes:
        process: pytest's.
        output: the file that has what it prints.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    @property
    def status(self) -> int | None:
        """How it ended, None while it runs."""
        return self.process.poll()

    def wait(self, seconds: float) -> int | None:
        """Return how it ended as soon as it has, None after that many seconds."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def trouble(self, what: str) -> HostError:
        """Return the error of a session that could not ask: its own, where it said one."""
        printed = self.output.read_text(encoding="utf-8", errors="replace")
        _, refused, said = printed.rpartition(_REFUSAL)
        if refused and self.status == NOTHING_BLAMED:
            return HostError(f"{what}: {said.strip()}")
        why = f"pytest's status is {self.status}"
        return HostError(f"{what}: {why}", evidence=last_lines(printed))

    def end(self) -> None:
        """End it with all its workers: interrupted first, so that it can say what it knows.

        Whoever is impatient interrupts this.
        """
        if self.status is not None and self.status >= 0:
            return
        try:
            self._signal(signal.SIGINT)
            self.process.wait(_GRACE_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            pass
        finally:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


@contextlib.contextmanager
def start_session(arguments: Sequence[str], output: Path) -> Iterator[Session]:
    """Start pytest, and end it and its workers when the block is left.

    It has a process group of its own: a terminal's Control-C reaches only us, who pass it on.

    Args:
        arguments: pytest's.
        output: the file that gets what it prints.

    Raises:
        HostError: it cannot be started.
    """
    guard = [str(require_tool("setpriv")), "--pdeathsig", "TERM", "--"]
    with output.open("wb") as printed:
        process = subprocess.Popen(
            [*guard, sys.executable, "-m", "pytest", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    session = Session(process, output)
    try:
        yield session
    finally:
        session.end()
