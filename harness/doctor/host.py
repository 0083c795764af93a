# SPDX-License-Identifier: Apache-2.0
"""Look at folders, memory and cores."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.finding import Finding, Standing
from harness.places import cache_dir, state_dir

_MIB = 1024 * 1024
# A kernel package is up to 108 MB and is unpacked beside itself; a boot state holds a guest's RAM.
_ROOM_MIB = 1024
_MEMORY_MIB = 512


def examine_host() -> Iterator[Finding]:
    """Look at the folders that are written to, and at memory and cores.

    Returns:
        Findings about cache and state, memory, cores.
    """
    yield _examine_folder("cache", cache_dir(), "TRAPGATE_CACHE")
    yield _examine_folder("state", state_dir(), "TRAPGATE_STATE")
    yield _examine_memory()
    yield Finding("cores", Standing.OK, str(len(os.sched_getaffinity(0))))


def _examine_folder(name: str, folder: Path, variable: str) -> Finding:
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    standing, detail, hint = _try_folder(place)
    remedy = f"{hint}, or name another folder in {variable}" if hint else ""
    return Finding(name, standing, f"{folder}, {detail}", required=True, remedy=remedy)


def _try_folder(place: Path) -> tuple[Standing, str, str]:
    try:
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        return Standing.FAILED, f"not writable: {error.strerror}", f"make {place} writable"
    free_mib = shutil.disk_usage(place).free // _MIB
    if free_mib < _ROOM_MIB:
        return Standing.LOW, f"only {free_mib} MiB free", f"free {_ROOM_MIB} MiB"
    return Standing.OK, f"{free_mib} MiB free", ""


def _examine_memory() -> Finding:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    sizes_kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    available_mib = sizes_kib["MemAvailable"] // 1024
    standing = Standing.OK if available_mib >= _MEMORY_MIB else Standing.LOW
    detail = f"{available_mib} MiB available of {sizes_kib['MemTotal'] // 1024}"
    return Finding("memory", standing, detail)
