# SPDX-License-Identifier: Apache-2.0
"""Guests in QEMU: from a kernel and options to a `Guest` that answers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.agent.client import AgentClient
from harness.agent.frames import ChannelBroken, ChannelSilent, FrameStream
from harness.agent.guest import Guest, Identity
from harness.agent.mailbox import Mailbox
from harness.build.cpio import Entry
from harness.build.initramfs import build_initramfs
from harness.deadline import Deadline, Patience
from harness.errors import DeclarationError
from harness.kernels.kernel import Kernel
from harness.machine.accelerator import Accelerator, choose_accelerator
from harness.machine.errata import QemuVersion
from harness.machine.machine import start_machine
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
        with _boot(kernel, plan_guest(kernel, kvm), _PROOF):
            pass

    return choose_accelerator(options.accelerator, options.cpu or DEFAULT_CPU["kvm"], prove)


def plan_guest(kernel: Kernel, options: MachineOptions, extra: Sequence[Entry] = ()) -> MachinePlan:
    """Decide on the machine for `kernel`; `options` name an accelerator, not "auto".

    Args:
        kernel: what to boot.
        options: the machine's.
        extra: files and folders that the guest is to find besides ours.
    """
    initramfs = build_initramfs(kernel.arch, extra)
    return plan_machine(kernel.arch, kernel.boot_file, initramfs.path, options.accelerator, options)


@contextlib.contextmanager
def start_guest(
    kernel: Kernel, options: MachineOptions, extra: Sequence[Entry] = ()
) -> Iterator[Guest]:
    """Boot a kernel; the machine is gone when the block is left.

    Args:
        kernel: what to boot.
        options: the machine's; "auto" is settled here.
        extra: files and folders that the guest is to find besides ours.

    Raises:
        HostError: QEMU or the compiler is missing or failed.
        GuestError: the kernel did not boot.
    """
    accelerator = settle_accelerator(kernel, options)
    plan = plan_guest(kernel, replace(options, accelerator=accelerator.name), extra)
    with _boot(kernel, plan, patience_for(accelerator.name), accelerator.reason) as guest:
        yield guest


@contextlib.contextmanager
def _boot(
    kernel: Kernel, plan: MachinePlan, patience: Patience, reason: str = ""
) -> Iterator[Guest]:
    with start_machine(plan, patience) as machine:
        mailbox = Mailbox(machine.process.mailbox)
        client = AgentClient(FrameStream(machine.process.frames), mailbox)
        try:
            client.greet(Deadline.after(patience.boot_s, f"boot of {kernel.spec}"))
        except (ChannelBroken, ChannelSilent) as error:
            raise machine.explain(error) from error
        identity = _identify(kernel, plan, machine.process.version(), reason)
        yield Guest(client, machine, identity, patience)


def _identify(kernel: Kernel, plan: MachinePlan, qemu: QemuVersion, reason: str) -> Identity:
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
