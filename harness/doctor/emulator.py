# SPDX-License-Identifier: Apache-2.0
"""Look at what QEMU was built with, and at KVM."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.command import run
from harness.doctor.finding import Finding, Standing
from harness.tools import find_tool

_PATIENCE_S = 20
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_IDLE = ("-nodefaults", "-machine", "none", "-display", "none", "-S", "-monitor", "stdio")
_KVM = Path("/dev/kvm")


def examine_emulator() -> Iterator[Finding]:
    """Ask QEMU for its accelerators, start it in its sandbox, and look at /dev/kvm.

    Returns:
        Findings about accelerators, sandbox and KVM; only the last where there is no QEMU.
    """
    qemu = find_tool("qemu-system-x86_64")
    if qemu:
        yield _examine_accelerators(qemu)
        yield _examine_sandbox(qemu)
    yield examine_kvm(_KVM)


def examine_kvm(device: Path) -> Finding:
    """Look at KVM's device node, which proves nothing: nested hosts offer it and then fail.

    Args:
        device: where the node is, ``/dev/kvm``.
    """
    if not device.exists():
        detail = f"{device} does not exist; kernels are emulated (TCG)"
        return Finding("kvm", Standing.ABSENT, detail)
    if not os.access(device, os.R_OK | os.W_OK):
        hint = "join the group that owns it, then log in again: sudo usermod -aG kvm $USER"
        return Finding("kvm", Standing.FAILED, f"no access to {device}", remedy=hint)
    detail = f"{device} is accessible; unproven until a kernel has booted with it"
    return Finding("kvm", Standing.UNPROVEN, detail)


def _examine_accelerators(qemu: Path) -> Finding:
    ended = run([qemu, "-accel", "help"], timeout_s=_PATIENCE_S)
    # The first line is a heading, which newer versions print to another stream.
    names = [line for line in ended.output.split("\n") if line and not line.endswith(":")]
    if ended.status != 0 or not names:
        trouble = ended.last_lines(1) or "QEMU names none"
        return Finding("accelerators", Standing.FAILED, trouble, required=True)
    return Finding("accelerators", Standing.OK, ", ".join(names), required=True)


def _examine_sandbox(qemu: Path) -> Finding:
    ended = run([qemu, "-sandbox", _SANDBOX, *_IDLE], timeout_s=_PATIENCE_S, stdin="quit\n")
    if ended.status == 0:
        return Finding("sandbox", Standing.OK, "QEMU starts in its seccomp sandbox")
    trouble = ended.last_lines(1) or f"QEMU ended with status {ended.status}"
    hint = "QEMU works without it; a build with seccomp support adds it"
    return Finding("sandbox", Standing.FAILED, trouble, remedy=hint)
