# SPDX-License-Identifier: Apache-2.0
"""Look at what QEMU was built with, and at KVM."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.command import run
from harness.doctor.finding import Finding, Standing
from harness.doctor.recording import examine_recording
from harness.machine.snapshot import missing_features
from harness.tools import find_tool

_PATIENCE_S = 20
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_BARE = ("-nodefaults", "-machine", "none", "-display", "none", "-S")
_IDLE = (*_BARE, "-monitor", "stdio")
_COMMANDS = ("qmp_capabilities", "query-commands", "query-migrate-capabilities", "quit")
_QUESTIONS = "".join(json.dumps({"execute": command}) + "\n" for command in _COMMANDS)
_WITHOUT_CLONES = "kernels are booted, which takes seconds; another build of QEMU clones them"
_KVM = Path("/dev/kvm")


def examine_emulator() -> Iterator[Finding]:
    """Ask QEMU for its accelerators and features, start it in its sandbox, look at /dev/kvm.

    Returns:
        Findings about accelerators, sandbox, clones, recordings and KVM; only the last where there
        is no QEMU.
    """
    qemu = find_tool("qemu-system-x86_64")
    if qemu:
        yield _examine_accelerators(qemu)
        yield _examine_sandbox(qemu)
        yield _examine_clones(qemu)
        yield examine_recording(qemu)
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


def _examine_clones(qemu: Path) -> Finding:
    ended = run([qemu, *_BARE, "-qmp", "stdio"], timeout_s=_PATIENCE_S, stdin=_QUESTIONS)
    try:
        missing = missing_features(*_answers(ended.output))
    except ValueError:
        trouble = ended.last_lines(1) or f"QEMU ended with status {ended.status}"
        return Finding("clones", Standing.FAILED, trouble, remedy=_WITHOUT_CLONES)
    if missing:
        detail = f"QEMU has no {', '.join(missing)}"
        return Finding("clones", Standing.ABSENT, detail, remedy=_WITHOUT_CLONES)
    return Finding("clones", Standing.OK, "QEMU can keep booted kernels and clone them")


def _answers(output: str) -> tuple[list[str], list[str]]:
    """Read the names of commands and of capabilities out of a conversation with QEMU's monitor.

    Raises:
        ValueError: they are not there.
    """
    said = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    lists = [answer["return"] for answer in said if isinstance(answer.get("return"), list)]
    commands, capabilities = lists
    return [known["name"] for known in commands], [known["capability"] for known in capabilities]
