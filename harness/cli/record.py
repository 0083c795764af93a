# SPDX-License-Identifier: Apache-2.0
"""`trapgate record`: a script carried out deterministically, and the run kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import app
from harness.cli.machine import MachineChoice, takes_machine
from harness.cli.played import show_played
from harness.cli.replay import obtain_for
from harness.repro.opening import open_program
from harness.repro.recorder import plan_recorded
from harness.repro.recorder import record as record_run
from harness.repro.recording import SUFFIX, write_recording
from harness.whole import check_output

_File = Annotated[Path, typer.Argument(metavar="FILE", help="A script, or a bundle.")]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help=f"The recording; NAME{SUFFIX} when not given."
    ),
]


@app.command()
@takes_machine
def record(file: _File, *, machine: MachineChoice, output: _Output = None) -> None:
    """Carry a script out deterministically, and keep the run.

    The kernel is booted and asked under QEMU's record, whose every run of it is the same:
    `trapgate replay --recorded` plays it again, instruction for instruction. The script is
    tried first, for a guest that is recorded has to know all its calls beforehand.

    Status 0: the recording is written, whatever the outcome was. 1: the guest fell silent, so that
    there is no end to record. 2: it is not written.
    """
    path = output or Path(file.with_suffix(SUFFIX).name)
    check_output(path)
    with open_program(file, machine.spec) as opened:
        choice, kernel = obtain_for(machine, opened.script)
        plan = plan_recorded(kernel, choice.options)
        played = record_run(kernel, plan, opened.script)
    write_recording(path, played.recording)
    size_kib = (path.stat().st_size + 1023) // 1024
    typer.echo("\n".join([*show_played(played), f"{path}, {size_kib} KiB"]))
