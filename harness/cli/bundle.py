# SPDX-License-Identifier: Apache-2.0
"""`trapgate bundle`: a failure with all that another person needs to see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.answered import show_answered
from harness.cli.app import app
from harness.cli.machine import MachineChoice, takes_machine
from harness.cli.replay import obtain_for
from harness.errors import OutcomeKind
from harness.repro.archive import KERNEL, SUFFIX, write_archive
from harness.repro.bundle import make_bundle
from harness.repro.opening import open_program
from harness.repro.result import run_script
from harness.script.header import header_of
from harness.script.statements import Script
from harness.target.spring import start_guest
from harness.whole import check_output

_File = Annotated[Path, typer.Argument(metavar="FAILURE", help="The script of a failure.")]
_Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help=f"The bundle, NAME{SUFFIX}.")
]
_WithKernel = Annotated[bool, typer.Option("--with-kernel", help="Put the kernel's image in.")]


@app.command()
@takes_machine
def bundle(
    failure: _File, *, machine: MachineChoice, output: _Output, with_kernel: _WithKernel = False
) -> None:
    """Put a script and all that came of it into a file for others.

    In it are the program, the kernel's identity and hash, machine and versions, the outcome and
    what the kernel logged. `trapgate replay FILE` runs it again, on any machine.

    Status 0: the bundle is written, whatever the outcome was. 2: it is not.
    """
    check_output(output)
    with open_program(failure, machine.spec) as opened:
        choice, kernel = obtain_for(machine, opened.script)
        script = _with_machine(opened.script, choice)
        with start_guest(kernel, choice.options) as guest:
            result = run_script(guest, script, lambda said: typer.echo(show_answered(said)))
            members = dict(make_bundle(script, kernel, guest.identity, result))
        if with_kernel:
            members[KERNEL] = kernel.image.read_bytes()
    write_archive(output, members)
    said = f": {result.message}" if result.kind is not OutcomeKind.PASS else ""
    size_kib = (output.stat().st_size + 1023) // 1024
    typer.echo(f"{output}, {size_kib} KiB: {result.kind.word}{said}")


def _with_machine(script: Script, choice: MachineChoice) -> Script:
    """Return a script whose header says in which machine it is run."""
    return replace(script, header=header_of(choice.spec, choice.options))
