# SPDX-License-Identifier: Apache-2.0
"""The command line: one module a command, and one place where errors become exit statuses."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from harness.cli.commands import find_quick, run_by_typer
from harness.cli.quick import Command, NotPlainError, read_line
from harness.errors import TrapgateError


def main() -> None:
    """Run the command line and exit: 0 done, 1 the guest is at fault, 2 anything else is."""
    line = sys.argv[1:]
    try:
        command = find_quick(line)
        if not (command and _run_quickly(command, line[1:])):
            run_by_typer(line)
    except TrapgateError as error:
        print(f"trapgate: {error}", file=sys.stderr)
        sys.exit(error.kind.value.exit_status)


def _run_quickly(command: Command, line: Sequence[str]) -> bool:
    """Run a command whose line can be read at once; tell whether it could.

    An interruption and a reader that goes away end it as they end typer's commands.
    """
    try:
        command(**read_line(command, line))
    except NotPlainError:
        return False
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    return True
