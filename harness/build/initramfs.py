# SPDX-License-Identifier: Apache-2.0
"""The initramfs of a guest: agent, executors, the probes of many tests, and a console."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from harness.arch import Abi, Arch
from harness.build.cpio import Entry, character_device, file, folder, program, write_newc
from harness.build.programs import (
    STANDING_PROBES,
    Recipe,
    agent_recipe,
    build_programs,
    executor_recipe,
    probe_path,
    probe_recipe,
)
from harness.kernels.storing import translated
from harness.places import cache_dir
from harness.wire import REQUESTS_FILE

_KEPT_S = 7 * 24 * 3600


@dataclass(frozen=True)
class Initramfs:
    """An archive on disk.

    Attributes:
        path: where it lies.
        sha256: of its bytes; the same input gives the same bytes.
    """

    path: Path
    sha256: str


def build_initramfs(arch: Arch) -> Initramfs:
    """Pack what a guest of `arch` starts with, and keep it under its hash for some days.

    Args:
        arch: the kernel's; its executors for every ABI go in.

    Raises:
        HostError: the guest's programs cannot be compiled, or the cache cannot be written.
    """
    archive = write_newc(_base(arch))
    sha256 = hashlib.sha256(archive).hexdigest()
    path = cache_dir() / "initramfs" / f"{arch}-{sha256[:16]}.cpio"
    with translated(path):
        _keep(path, archive)
    return Initramfs(path, sha256)


def add_requests(archive: bytes, requests: bytes) -> bytes:
    """Return an initramfs whose agent takes its requests from a file, and then resets the machine.

    The kernel unpacks archives that follow one another into one file system.
    Source: Documentation/driver-api/early-userspace/buffer-format.rst (6.1).

    Args:
        archive: the initramfs of a guest that is talked to.
        requests: frames, one after the other.
    """
    return archive + write_newc([file(REQUESTS_FILE, requests)])


def _keep(path: Path, archive: bytes) -> None:
    try:
        os.utime(path)
    except FileNotFoundError:
        _write_atomically(path, archive)
        _sweep(path.parent)


def _sweep(folder: Path) -> None:
    """Remove archives that nobody has used for days: each version of ours makes one."""
    for path in folder.glob("*.cpio"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _KEPT_S:
                path.unlink()


def guest_programs(arch: Arch) -> tuple[bytes, ...]:
    """Return the files that run in every guest of `arch`: the agent, and its executors.

    Raises:
        HostError: they cannot be compiled, or the cache cannot be written.
    """
    return tuple(path.read_bytes() for path in build_programs([*_always(arch).values()]))


def _always(arch: Arch) -> dict[str, tuple[Recipe, Abi]]:
    """Return what runs in every guest, by its path."""
    executors = {f"executor.{abi}": (executor_recipe(abi), abi) for abi in arch.abis}
    return {"init": (agent_recipe(arch.abi), arch.abi), **executors}


def _base(arch: Arch) -> list[Entry]:
    probes = ((name, abi) for name in STANDING_PROBES for abi in arch.abis)
    standing = {probe_path(name, abi): (probe_recipe(name, abi), abi) for name, abi in probes}
    programs = {**_always(arch), **standing}
    built = build_programs([*programs.values()])
    return [
        folder("dev"),
        character_device("dev/console", 5, 1),
        folder("bin"),
        folder("probes"),
        *(program(path, made.read_bytes()) for path, made in zip(programs, built, strict=True)),
    ]


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".writing-{path.name}-{os.getpid()}-{threading.get_native_id()}")
    try:
        scratch.write_bytes(content)
        scratch.rename(path)
    finally:
        scratch.unlink(missing_ok=True)
