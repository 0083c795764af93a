# SPDX-License-Identifier: Apache-2.0
"""Making a boot state so that it is whole or not there, whoever dies or races."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from harness.errors import HostError
from harness.machine.state import (
    DEVICES,
    NOTE,
    RAM,
    BootState,
    Note,
    describe_file,
    find_state,
    states_dir,
)

Maker = Callable[[Path, Path], Note]
"""Boots a machine with its memory in the first file, saves its devices to the second, and returns
what is to be remembered of the guest."""

_LOCK_DIGITS = 2
"""Of a key: lock files stay, so that there must not be one for every state that ever was."""


def make_state(key: str, make: Maker, size_bytes: int, say: Callable[[str], None]) -> BootState:
    """Make a state and keep it, unless another process has done so meanwhile.

    Args:
        key: its name.
        size_bytes: what it takes at most. QEMU dies when there is no room for memory in a file.
        make: boots and saves.
        say: takes a line for the user.

    Raises:
        OSError: the disk is full, or the cache cannot be written.
        HostError: QEMU could not keep a state.
        GuestError: the kernel did not boot.
    """
    states_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(states_dir() / f"{key[:_LOCK_DIGITS]}.lock"):
        found = find_state(key, say)
        if found:
            return found
        _sweep(key)
        if free_bytes(states_dir()) < size_bytes:
            raise HostError(f"{states_dir()} has no room for {size_bytes >> 20} MiB")
        scratch = Path(tempfile.mkdtemp(prefix=f".making-{key}-", dir=states_dir()))
        try:
            guest = make(scratch / RAM, scratch / DEVICES)
            files = {name: describe_file(scratch / name) for name in (RAM, DEVICES)}
            note = json.dumps({"files": files, "guest": guest})
            (scratch / NOTE).write_text(note, encoding="utf-8")
            scratch.rename(states_dir() / key)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    found = find_state(key, say)
    if not found:
        raise OSError(f"the state {key} vanished as soon as it was made")
    return found


def free_bytes(folder: Path) -> int:
    """Return how much can be written there."""
    return shutil.disk_usage(folder).free


def _sweep(key: str) -> None:
    """Remove what a killed process has left of the same state; we hold its lock."""
    for left in states_dir().glob(f".making-{key}-*"):
        shutil.rmtree(left, ignore_errors=True)
