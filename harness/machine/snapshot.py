# SPDX-License-Identifier: Apache-2.0
"""Saving and loading what a machine is besides its memory, by QEMU's snapshot jobs.

The memory stays in its file: with the capability `x-ignore-shared` it is left out of snapshots.
Source: QEMU 7.2, qapi/migration.json snapshot-save and snapshot-load, qapi/job.json.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.machine.origin import SNAPSHOT_NODE, SNAPSHOT_TAG
from harness.machine.process import QemuProcess

_CAPABILITY = "x-ignore-shared"
_COMMANDS = frozenset({"snapshot-save", "snapshot-load", "blockdev-create"})
_PAUSE_S = 0.0003
_CONTAINER_BYTES = 65536


def why_unable(process: QemuProcess) -> str:
    """Return what this QEMU lacks for keeping states, empty when it lacks nothing."""
    known: Any = process.ask("query-commands")
    missing = sorted(_COMMANDS - {command["name"] for command in known})
    offered: Any = process.ask("query-migrate-capabilities")
    if _CAPABILITY not in {capability["capability"] for capability in offered}:
        missing.append(_CAPABILITY)
    return f"this qemu has no {', '.join(missing)}" if missing else ""


def save_devices(process: QemuProcess, path: Path) -> None:
    """Stop a machine and write everything but its memory to a new file.

    Raises:
        HostError: QEMU could not.
    """
    path.touch()
    process.ask("blockdev-add", **{"driver": "file", "node-name": "file", "filename": str(path)})
    options = {"driver": "qcow2", "file": "file", "size": _CONTAINER_BYTES}
    _run_job(process, "blockdev-create", options=options)
    process.ask("blockdev-add", **{"driver": "qcow2", "node-name": SNAPSHOT_NODE, "file": "file"})
    process.ask("stop")
    leave_memory_out(process)
    _run_snapshot_job(process, "snapshot-save")


def load_devices(process: QemuProcess) -> None:
    """Load everything but the memory into a stopped machine.

    Raises:
        HostError: QEMU could not.
    """
    _run_snapshot_job(process, "snapshot-load")


def leave_memory_out(process: QemuProcess) -> None:
    """Tell QEMU that memory in files is not part of snapshots."""
    capability = {"capability": _CAPABILITY, "state": True}
    process.ask("migrate-set-capabilities", capabilities=[capability])


def _run_snapshot_job(process: QemuProcess, command: str) -> None:
    nodes = {"vmstate": SNAPSHOT_NODE, "devices": [SNAPSHOT_NODE]}
    _run_job(process, command, tag=SNAPSHOT_TAG, **nodes)


def _run_job(process: QemuProcess, command: str, **arguments: object) -> None:
    process.ask(command, **{"job-id": "job"}, **arguments)
    while True:
        jobs: Any = process.ask("query-jobs")
        (job,) = (job for job in jobs if job["id"] == "job")
        if job["status"] == "concluded":
            break
        time.sleep(_PAUSE_S)
    process.ask("job-dismiss", id="job")
    if "error" in job:
        raise HostError(f"qemu's {command} failed: {job['error']}")
