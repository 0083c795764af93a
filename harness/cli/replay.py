# SPDX-License-Identifier: Apache-2.0
"""`trapgate replay`: a script of calls put to a kernel, and what came of each line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.agent.guest import Guest
from harness.arch import ARCH_I386, ARCH_X86_64
from harness.cli.answer import show_identity
from harness.cli.answered import show_answered, show_summary
from harness.cli.app import app
from harness.cli.call import check_log
from harness.cli.compared import show_comparison
from harness.cli.machine import MachineChoice, takes_machine
from harness.cli.played import show_played
from harness.errors import DeclarationError
from harness.kernels import Kernel
from harness.kernels.catalogue import default_specs, find_entry
from harness.machine.plan import DEFAULT_MEMORY_MIB, MachineOptions
from harness.repro.bundle import Manifest
from harness.repro.opening import open_program
from harness.repro.recorder import replay as play_recording
from harness.repro.recording import Recording, packaged_spec, read_recording
from harness.repro.result import run_script
from harness.script.replay import Answered, Replay, abis_of, check_names
from harness.script.statements import Header, Script
from harness.target.target import QemuTarget

_WRONG = 1

_File = Annotated[Path, typer.Argument(metavar="FILE", help="A script, or a bundle.")]
Recorded = Annotated[
    bool, typer.Option("--recorded", help="FILE is a recording: play it as it was.")
]


@app.command()
@takes_machine
def replay(file: _File, *, machine: MachineChoice, recorded: Recorded = False) -> None:
    """Put the calls of a script to a guest, and show what each did.

    What the script's header says of kernel and machine holds where no option says otherwise; a
    real host has its own. A bundle of `trapgate bundle` is replayed, too, and in a guest compared
    with what was recorded. A recording of `trapgate record` is played instruction for instruction,
    by the same QEMU on the same kernel; only --kernel and --mirror go with it.

    Status 0: every expectation held, or there is none. 1: one did not, or the kernel warned,
    panicked or hung. 2: the script is wrong, or there is no guest.
    """
    if recorded:
        _play(file, machine)
        return
    with open_program(file, machine.spec if machine.boots else machine.target) as opened:
        script = opened.script
        choice = with_header(machine, script.header) if machine.boots else machine
        with choice.open_target(default_spec(script)) as target:
            check_names(script, target.version)
            with target.start() as guest:
                if opened.manifest and isinstance(target, QemuTarget):
                    _compare(guest, script, opened.manifest, target.kernel)
                else:
                    _carry_out(guest, script)


def _play(file: Path, machine: MachineChoice) -> None:
    """Play a recording, and show that it is the same."""
    recording, kernel = open_recording(file, machine)
    played = play_recording(recording, kernel)
    typer.echo("\n".join([*show_played(played), "the same run as recorded"]))
    raise typer.Exit(played.result.kind.value.exit_status)


def open_recording(file: Path, machine: MachineChoice) -> tuple[Recording, Kernel]:
    """Return a recording, and the kernel that it is played with.

    Raises:
        DeclarationError: it is none, or the user wants another machine than it has.
        HostError: its kernel cannot be had.
    """
    if not machine.boots or machine.options != MachineOptions():
        raise DeclarationError(
            "a recording has its machine already",
            hint="--target, --cpu, --accel, --memory, --append and --boot are for scripts",
        )
    recording = read_recording(file)
    spec = machine.spec or packaged_spec(recording.facts)
    return recording, replace(machine, spec=spec).obtain(spec)


def _carry_out(guest: Guest, script: Script) -> None:
    answers = list(_told(Replay(guest).run(script)))
    typer.echo("\n".join([show_summary(answers), *show_identity(guest.identity)]))
    _look_at_log(guest)
    if any(answered.held is False for answered in answers):
        raise typer.Exit(_WRONG)


def _compare(guest: Guest, script: Script, manifest: Manifest, kernel: Kernel) -> None:
    result = run_script(guest, script, lambda said: typer.echo(show_answered(said)))
    said = [*show_identity(guest.identity), *show_comparison(manifest, kernel, result)]
    typer.echo("\n".join(said))
    raise typer.Exit(result.kind.value.exit_status)


def with_header(machine: MachineChoice, header: Header) -> MachineChoice:
    """Return a user's choice, filled up with what a script's header says."""
    given = machine.options
    usual_memory = given.memory_mib == DEFAULT_MEMORY_MIB
    options = replace(
        given,
        cpu=given.cpu or header.cpu,
        accelerator=header.accel or "auto" if given.accelerator == "auto" else given.accelerator,
        memory_mib=header.memory_mib or given.memory_mib if usual_memory else given.memory_mib,
        append=given.append or header.append,
    )
    return replace(machine, spec=machine.spec or header.kernel, options=options)


def obtain_for(machine: MachineChoice, script: Script) -> tuple[MachineChoice, Kernel]:
    """Return in what a script is carried out, and the kernel, which knows all its calls.

    Raises:
        DeclarationError: it does not know one, or cannot be meant.
        HostError: it cannot be had.
    """
    choice = with_header(machine, script.header)
    kernel = choice.obtain(default_spec(script))
    check_names(script, kernel.version)
    return choice, kernel


def _told(answers: Iterable[Answered]) -> Iterable[Answered]:
    for answered in answers:
        typer.echo(show_answered(answered))
        yield answered


def _look_at_log(guest: Guest) -> None:
    if guest.usable:
        check_log(guest)


def default_spec(script: Script) -> str:
    """Return the first default kernel that can run programs of every ABI in a script."""
    arch = ARCH_I386 if abis_of(script) <= set(ARCH_I386.abis) else ARCH_X86_64
    fitting = (spec for spec in default_specs() if (e := find_entry(spec)) and e.arch is arch)
    return next(fitting, default_specs()[0])
