# SPDX-License-Identifier: Apache-2.0
"""Saving and loading what a machine is besides its memory, by QEMU's snapshot jobs.

The memory stays in its file: with the capability `x-ignore-shared` it is left out of snapshots.
Source: QEMU 7.2, qapi/migration.json snapshot-save, qapi/job.json.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.machine.origin import SNAPSHOT_NODE, SNAPSHOT_TAG
from harness.machine.process import QemuProcess
from harness.wire import WINDOW_DEVICE

_CAPABILITY = "x-ignore-shared"
_COMMANDS = frozenset({"snapshot-save", "snapshot-delete", "blockdev-create"})
_PAUSE_S = 0.002
_CONTAINER_BYTES = 65536


def missing_features(commands: Iterable[str], capabilities: Iterable[str]) -> list[str]:
    """Return what a QEMU lacks for keeping states, by its own account; empty for nothing.

    Args:
        commands: the names that its query-commands gives.
        capabilities: the names that its query-migrate-capabilities gives.
    """
    return [*sorted(_COMMANDS.difference(commands)), *({_CAPABILITY}.difference(capabilities))]


def why_unable(process: QemuProcess) -> str:
    """Return what this QEMU lacks for keeping states, empty when it lacks nothing."""
    commands: Any = process.ask("query-commands")
    capabilities: Any = process.ask("query-migrate-capabilities")
    missing = missing_features(
        [known["name"] for known in commands], [known["capability"] for known in capabilities]
    )
    return f"this qemu has no {', '.join(missing)}" if missing else ""


def make_container(process: QemuProcess, path: Path) -> None:
    """Make the file that `save_devices` will write to.

    Raises:
        HostError: QEMU could not.
    """
    path.touch()
    process.ask("blockdev-add", **{"driver": "file", "node-name": "file", "filename": str(path)})
    options = {"driver": "qcow2", "file": "file", "size": _CONTAINER_BYTES}
    _run_job(process, "blockdev-create", options=options)
    process.ask("blockdev-add", **{"driver": "qcow2", "node-name": SNAPSHOT_NODE, "file": "file"})
    leave_memory_out(process)


def save_devices(process: QemuProcess) -> None:
    """Write everything but the memory of a stopped machine to its container.

    Raises:
        HostError: QEMU could not.
    """
    nodes = {"vmstate": SNAPSHOT_NODE, "devices": [SNAPSHOT_NODE]}
    _run_job(process, "snapshot-save", tag=SNAPSHOT_TAG, **nodes)


def forget_devices(process: QemuProcess) -> None:
    """Remove from its container what was saved of a machine.

    Raises:
        HostError: QEMU could not.
    """
    _run_job(process, "snapshot-delete", tag=SNAPSHOT_TAG, devices=[SNAPSHOT_NODE])


def place_window(process: QemuProcess, address: int) -> None:
    """Put the window of a machine that has not run yet where a state's machine had it.

    QEMU refuses to load a state whose shared memory stood elsewhere. Nobody has set the function's
    second base address yet, so we do, through the ports that a BIOS would use.
    Source: QEMU 7.2, migration/ram.c ("Mismatched GPAs"); PCI Local Bus 3.0, 3.2.2.3.2 and 6.1.
    """
    device = int(WINDOW_DEVICE.rpartition(":")[2].partition(".")[0], 16)
    base_low, base_high, command, memory_on = 0x18, 0x1C, 0x04, 2
    registers = ((base_low, address & 0xFFFF_FFFF), (base_high, address >> 32))
    for register, value in (*registers, (command, memory_on)):
        write_port(process, 0xCF8, 1 << 31 | device << 11 | register)
        write_port(process, 0xCFC, value)


def write_port(process: QemuProcess, port: int, word: int) -> None:
    """Write four bytes to a port of a machine, as its processor would."""
    process.tell(f"o/w {port:#x} {word:#x}")


def load_devices(process: QemuProcess) -> None:
    """Load everything but the memory into a stopped machine, which stays stopped.

    The monitor's `loadvm` answers when it is done, and says what went wrong; a job would have to be
    asked after. Source: QEMU 7.2, migration/migration-hmp-cmds.c hmp_loadvm.

    Raises:
        HostError: QEMU could not.
    """
    trouble = process.tell(f"loadvm {SNAPSHOT_TAG}").strip()
    if trouble:
        said = f"qemu could not load its devices: {trouble}"
        raise HostError(said, evidence=process.error_text())


def leave_memory_out(process: QemuProcess) -> None:
    """Tell QEMU that memory in files is not part of snapshots."""
    capability = {"capability": _CAPABILITY, "state": True}
    process.ask("migrate-set-capabilities", capabilities=[capability])


def _run_job(process: QemuProcess, command: str, **arguments: object) -> None:
    """Run a job to its end; asking costs less than reading all that QEMU tells of it."""
    process.ask(command, **{"job-id": "job"}, **arguments)
    while True:
        time.sleep(_PAUSE_S)
        jobs: Any = process.ask("query-jobs")
        (job,) = (job for job in jobs if job["id"] == "job")
        if job["status"] == "concluded":
            break
    process.ask("job-dismiss", id="job")
    if "error" in job:
        raise HostError(f"qemu's {command} failed: {job['error']}", evidence=process.error_text())
