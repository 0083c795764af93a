# SPDX-License-Identifier: Apache-2.0
"""`trapgate gdb`: a script's last call under a debugger."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.answered import show_answered
from harness.cli.app import app
from harness.cli.machine import MachineChoice, takes_machine
from harness.cli.replay import Recorded, obtain_for, open_recording
from harness.cli.terminal import kept_terminal
from harness.errors import GuestError
from harness.repro.backwards import stopped_in_recording
from harness.repro.debugging import Call, Stopped, asking, cut, stopped_before
from harness.repro.opening import open_program
from harness.script.replay import Replay
from harness.script.writing import show_statement
from harness.target.spring import Spring
from harness.tools import require_tool

_File = Annotated[Path, typer.Argument(metavar="FILE", help="A script, a bundle, or a recording.")]
_Given = Annotated[
    list[str] | None, typer.Argument(metavar="[GDB'S OPTIONS]...", help="Behind --: for gdb.")
]


@app.command()
@takes_machine
def gdb(
    file: _File, given: _Given = None, *, machine: MachineChoice, recorded: Recorded = False
) -> None:
    """Stop a guest before a script's last call, and attach gdb.

    What comes before it has been carried out. gdb knows the kernel's sections and symbols where
    they lie in this boot, and has a breakpoint on the call's entry point: "continue" makes it. In a
    recording it goes backwards, too: "reverse-stepi", "reverse-continue".

    Status: gdb's; 1 when the kernel panicked.
    """
    debugger = str(require_tool("gdb"))
    if recorded:
        status = _play(debugger, file, machine, given or [])
    else:
        status = _ask(debugger, file, machine, given or [])
    raise typer.Exit(status)


def _play(debugger: str, file: Path, machine: MachineChoice, given: list[str]) -> int:
    """Play a recording to gdb."""
    recording, kernel = open_recording(file, machine)
    typer.echo("playing the run")
    sys.stdout.flush()
    with stopped_in_recording(recording, kernel, Path(debugger)) as stopped:
        said = "stopped before" if stopped.made else "stopped before its end, as it does not make"
        typer.echo(f"{said}: {show_statement(stopped.call)}")
        return _debug(debugger, stopped, given)


def _ask(debugger: str, file: Path, machine: MachineChoice, given: list[str]) -> int:
    """Have a script's last call made under gdb, and show what came of it."""
    with open_program(file, machine.spec) as opened:
        choice, kernel = obtain_for(machine, opened.script)
        before, call = cut(opened.script)
        with Spring(kernel, choice.options).start_with_machine() as (guest, running):
            replay = Replay(guest)
            for answered in replay.run(before):
                typer.echo(show_answered(answered))
            with (
                stopped_before(call, guest, running, kernel) as stopped,
                asking(replay, call, running) as asked,
            ):
                typer.echo(f"stopped before: {show_statement(call)}")
                status = _debug(debugger, stopped, given)
    _tell(asked)
    return status


def _debug(debugger: str, stopped: Stopped, given: list[str]) -> int:
    """Run gdb to its end."""
    sys.stdout.flush()
    said = [word for command in stopped.commands for word in ("-ex", command)]
    line = [debugger, "-q", str(stopped.symbols), "-iex", "set confirm off", *said, *given]
    with kept_terminal(), _without_interruptions():
        status = subprocess.run(line, check=False).returncode
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def _without_interruptions() -> Iterator[None]:
    """Leave Control-C to gdb, in whose process group we are."""
    former = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _tell(asked: Call) -> None:
    if asked.answered:
        typer.echo(show_answered(asked.answered))
    elif isinstance(asked.trouble, GuestError):
        raise asked.trouble
