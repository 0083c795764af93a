# SPDX-License-Identifier: Apache-2.0
"""Run a program that may fail, for no longer than it should take."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        status: its exit status; -1 when it could not be started or was not done in time.
        output: what it wrote to standard output and standard error, in the order it wrote it.
    """

    status: int
    output: str

    def last_lines(self, count: int) -> str:
        """Return the last lines of the output that are not blank."""
        lines = [line.rstrip() for line in self.output.splitlines() if line.strip()]
        return "\n".join(lines[-count:])


def run(command: Sequence[str | Path], *, timeout_s: float, stdin: str = "") -> Ended:
    """Run a program to its end in the C locale; it never raises, and never waits for an answer.

    Args:
        command: the program and its arguments.
        timeout_s: how long it may take, in seconds.
        stdin: what it reads before the end of its input.
    """
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return Ended(-1, f"{Path(command[0]).name}: not done within {timeout_s:g} s")
    except OSError as error:
        return Ended(-1, f"{Path(command[0]).name}: {error.strerror}")
    return Ended(done.returncode, done.stdout)
