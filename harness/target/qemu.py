# SPDX-License-Identifier: Apache-2.0
"""Guests in QEMU: from a kernel and options to a `Guest` that answers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace

from harness.agent.channel import ChannelBroken, ChannelSilent, Port, Window
from harness.agent.client import AgentClient
from harness.agent.frames import FrameStream
from harness.agent.guest import Guest
from harness.agent.identity import Identity
from harness.build.initramfs import build_initramfs
from harness.deadline import Deadline, Patience
from harness.errors import DeclarationError
from harness.kernels.kernel import Kernel
from harness.machine.accelerator import Accelerator, choose_accelerator
from harness.machine.errata import QemuVersion
from harness.machine.machine import Machine, start_machine
from harness.machine.origin import BOOTED, Origin
from harness.machine.plan import DEFAULT_CPU, MachineOptions, MachinePlan, plan_machine

_TCG_FACTOR = 4.0
_PROOF = Patience(start_s=5.0, boot_s=6.0)


def patience_for(accelerator: str) -> Patience:
    """Return how long a guest's phases may take.

    Emulation gets four times as long; the environment's TRAPGATE_TIMEOUT_SCALE multiplies that.

    Raises:
        DeclarationError: TRAPGATE_TIMEOUT_SCALE is no positive number.
    """
    text = os.environ.get("TRAPGATE_TIMEOUT_SCALE", "1")
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not scale > 0:
        raise DeclarationError(f"TRAPGATE_TIMEOUT_SCALE: expected a positive number, got {text!r}")
    return Patience().scaled(scale * (_TCG_FACTOR if accelerator == "tcg" else 1.0))


def settle_accelerator(kernel: Kernel, options: MachineOptions) -> Accelerator:
    """Decide on the accelerator; for "auto", KVM first has to boot `kernel` in a few seconds."""
    kvm = replace(options, accelerator="kvm")

    def prove() -> None:
        with boot_guest(kernel, plan_guest(kernel, kvm), _PROOF):
            pass

    return choose_accelerator(options.accelerator, options.cpu or DEFAULT_CPU["kvm"], prove)


def plan_guest(kernel: Kernel, options: MachineOptions) -> MachinePlan:
    """Decide on the machine for `kernel`; `options` name an accelerator, not "auto".

    Args:
        kernel: what to boot.
        options: the machine's.
    """
    initramfs = build_initramfs(kernel.arch)
    return plan_machine(kernel.arch, kernel.boot_file, initramfs.path, options.accelerator, options)


@contextlib.contextmanager
def boot_guest(
    kernel: Kernel, plan: MachinePlan, patience: Patience, reason: str = "", origin: Origin = BOOTED
) -> Iterator[tuple[Guest, Machine]]:
    """Boot a kernel; the machine is gone when the block is left.

    Args:
        kernel: what to boot.
        plan: in which machine.
        patience: how long its phases may take.
        reason: why it has the accelerator that it has.
        origin: where its memory is.

    Raises:
        HostError: QEMU is missing or failed.
        GuestError: the kernel did not boot.
    """
    with start_machine(plan, patience, origin) as machine:
        client = connect(machine)
        try:
            client.greet(Deadline.after(patience.boot_s, f"boot of {kernel.spec}"))
        except (ChannelBroken, ChannelSilent) as error:
            raise machine.explain(error) from error
        client.share(open_window(machine), Deadline.after(patience.request_s, "window"))
        identity = identify(kernel, plan, machine.process.version(), reason)
        yield Guest(client, machine, identity, patience), machine


def connect(machine: Machine) -> AgentClient:
    """Return a conversation with the agent of a machine that boots."""
    return AgentClient(FrameStream(Port(machine.process.frames)))


def open_window(machine: Machine, *, looking: bool = False) -> FrameStream:
    """Return the stream through the memory that a machine and this host share."""
    process = machine.process
    return FrameStream(Window(process.window, Port(process.frames), looking=looking))


def identify(kernel: Kernel, plan: MachinePlan, qemu: QemuVersion, reason: str) -> Identity:
    """Return what a guest's messages call it."""
    return Identity(
        spec=kernel.spec,
        arch=kernel.arch,
        version=kernel.version,
        release=kernel.release,
        accelerator=plan.accelerator,
        cpu=plan.cpu,
        qemu=qemu,
        reason=reason,
    )
