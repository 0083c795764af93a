# SPDX-License-Identifier: Apache-2.0
"""The command line: one module a command, and one place where errors become exit statuses."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence

from harness.cli.commands import find_quick, run_by_typer
from harness.cli.ending import endings_heard
from harness.cli.quick import NotPlainError, read_line
from harness.errors import TrapgateError


def main() -> None:
    """Run the command line and exit: 0 done, 1 the guest is at fault, 2 anything else is."""
    line = sys.argv[1:]
    _fill_standard_files()
    try:
        with endings_heard():
            if not _run_quickly(line):
                run_by_typer(line)
    except TrapgateError as error:
        print(f"trapgate: {error}", file=sys.stderr)
        sys.exit(error.kind.value.exit_status)
    except KeyboardInterrupt:  # wherever it came, as modules are loaded, too
        sys.exit(128 + signal.SIGINT)


def _fill_standard_files() -> None:
    """Open what somebody has closed of descriptors 0 to 2: nothing else may come to lie there."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _run_quickly(line: Sequence[str]) -> bool:
    """Run a command that has to be quick, if its line can be read at once; tell whether it could.

    A reader that goes away ends it as it ends typer's commands. Looking for garbage, as modules are
    loaded and again at the end, would take an eighth of its time.
    """
    gc.disable()
    try:
        command = find_quick(line)
        values = read_line(command, line[1:]) if command else {}
    except NotPlainError:
        command = None
    if not command:
        gc.enable()
        return False
    try:
        command(**values)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    finally:
        gc.freeze()
    return True
