# SPDX-License-Identifier: Apache-2.0
"""`trapgate qemu`: the command line that boots a guest by hand."""

from __future__ import annotations

import shlex
from dataclasses import replace

import typer

from harness.cli.app import app
from harness.cli.machine import MachineChoice, takes_machine
from harness.kernels.catalogue import default_specs
from harness.machine.arguments import BY_HAND, qemu_arguments
from harness.target.qemu import plan_guest, settle_accelerator
from harness.tools import require_tool


@app.command()
@takes_machine
def qemu(*, machine: MachineChoice) -> None:
    """Print the QEMU command line of a guest, to be run by hand.

    The kernel's console is then on the terminal, and the agent's frames on the socket
    ./frames.sock. Control-C ends it. With --append loglevel=7 the kernel says more.
    """
    kernel = machine.obtain(default_specs()[0])
    accelerator = settle_accelerator(kernel, machine.options).name
    plan = plan_guest(kernel, replace(machine.options, accelerator=accelerator))
    emulator = str(require_tool("qemu-system-x86_64"))
    typer.echo(shlex.join([emulator, *qemu_arguments(plan, BY_HAND)]))
