# SPDX-License-Identifier: Apache-2.0
"""Boot states: what a machine was when its agent had said hello, kept in the cache.

A state is a folder: the memory, the devices, and a note of what both were and of what the guest
had said. Its name is made of everything that went into it, so a stale one is never found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.machine.origin import Origin
from harness.machine.plan import MachinePlan
from harness.places import cache_dir
from harness.tools import require_tool

_RECIPE = 9
RAM, DEVICES = "ram", "devices"
NOTE = "state.json"
"""The file that says what a state is; written last."""
_KVM_FACTS = ("/proc/sys/kernel/osrelease", "/proc/sys/kernel/random/boot_id")

Note = dict[str, Any]


@dataclass(frozen=True)
class BootState:
    """One kept state.

    Attributes:
        origin: what a machine starts from to be in that state.
        guest: what was remembered of the guest; JSON values.
    """

    origin: Origin
    guest: Note


def states_dir() -> Path:
    """Return the folder of all states."""
    return cache_dir() / "states"


def state_key(plan: MachinePlan, *hashes: str) -> str:
    """Return the name of a plan's state.

    Args:
        plan: the machine.
        hashes: of the files that the plan only names: kernel and initramfs.
    """
    qemu = require_tool("qemu-system-x86_64")
    stat = qemu.resolve().stat()
    parts = [_RECIPE, plan.accelerator, plan.cpu, plan.machine, plan.memory_mib, plan.vcpus]
    parts += ["counted"] if plan.counted else []
    parts += [*plan.command_line, *hashes, qemu.resolve(), stat.st_size, stat.st_mtime_ns]
    if plan.accelerator == "kvm":
        parts += [Path(fact).read_text(encoding="utf-8") for fact in _KVM_FACTS]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:24]


def find_state(key: str, say: Callable[[str], None]) -> BootState | None:
    """Return the state called `key`, None where there is none; a damaged one is discarded aloud."""
    folder = states_dir() / key
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        note = {}
    trouble = _trouble(folder, note)
    if trouble:
        say(f"discarded the boot state {key}: {trouble}")
        discard(folder)
        return None
    os.utime(folder)
    return BootState(Origin(folder / RAM, folder / DEVICES), note["guest"])


def discard(folder: Path) -> None:
    """Remove a state so that nobody finds half of it."""
    doomed = folder.with_name(f".discarded-{folder.name}-{os.getpid()}")
    with contextlib.suppress(OSError):
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def describe_file(path: Path) -> Note:
    """Return what a note says of one of a state's files."""
    stat = path.stat()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": digest}


def _trouble(folder: Path, note: Note) -> str:
    """Return what is wrong with a state's files, empty for nothing.

    Whoever changes a file changes its time: only then is it worth reading all of it.
    """
    if set(note) != {"files", "guest"}:
        return "its note is damaged"
    for name, expected in note["files"].items():
        try:
            stat = (folder / name).stat()
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}"
        if stat.st_size != expected["size"]:
            return f"{name} has {stat.st_size} bytes instead of {expected['size']}"
        if stat.st_mtime_ns != expected["mtime_ns"] and describe_file(folder / name) != {
            **expected,
            "mtime_ns": stat.st_mtime_ns,
        }:
            return f"{name} has been changed"
    return ""
