# SPDX-License-Identifier: Apache-2.0
"""Kernels in the cache: one folder each with a record of what is in it.

Finding a kernel here is what every run does, so this module imports nothing of what fetching needs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from harness.arch import ARCHES
from harness.kernels.catalogue import Entry, Package
from harness.kernels.image import version_of
from harness.kernels.kernel import Kernel, Provenance
from harness.places import cache_dir

RECIPE = 1  # counts up whenever what is kept of a kernel, or how, changes
_RECORD = "kernel.json"


@dataclass(frozen=True)
class Stamp:
    """What a cached file looks like.

    Attributes:
        size: its length in bytes.
        time_s: when it was modified, in whole seconds, which is what archivers keep.
        sha256: its hash, which decides where only the time differs.
    """

    size: int
    time_s: int
    sha256: str


@dataclass(frozen=True)
class Record:
    """What is known of a cached kernel; ``kernel.json`` holds it.

    Attributes:
        arch: the architecture's name.
        banner: release, builder and build version, in the kernel's own words.
        pvh: whether the vmlinux has the PVH note.
        sha256: the image's hash.
        provenance: its package, None for a user's own image.
        modules_package: where its modules are, if in a package of their own.
        files: what every file kept looks like, by name.
    """

    arch: str
    banner: str
    pvh: bool
    sha256: str
    provenance: Provenance | None = None
    modules_package: Package | None = None
    files: Mapping[str, Stamp] = field(default_factory=dict)


def folder_of(entry: Entry) -> Path:
    """Return where an entry's kernel is cached: the pin decides, also for its replacement."""
    pin = entry.packages["image"].sha256[:12]
    return cache_dir() / "kernels" / f"{entry.spec.replace('/', '_')}-r{RECIPE}-{pin}"


def folder_of_image(sha256: str) -> Path:
    """Return where the payload of a user's own image is cached."""
    return cache_dir() / "images" / f"r{RECIPE}-{sha256[:16]}"


def find_record(folder: Path) -> Record | None:
    """Return a cached kernel's record, or None where it is missing, damaged or outdated."""
    try:
        fields = json.loads((folder / _RECORD).read_text("utf-8"))
        for name, nested in (("provenance", Provenance), ("modules_package", Package)):
            fields[name] = nested(**fields[name]) if fields[name] else None
        files = {name: Stamp(**stamp) for name, stamp in fields.pop("files").items()}
        whole = all(_is_as(folder / name, stamp) for name, stamp in files.items())
        return Record(**fields, files=files) if whole else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_record(folder: Path, record: Record) -> Record:
    """Write the record of a folder whose files are all there, and return it with their stamps."""
    kept = sorted(path for path in folder.iterdir() if not path.name.startswith(_RECORD))
    record = replace(record, files={path.name: _stamp(path) for path in kept})
    part = folder / f"{_RECORD}.part"
    part.write_text(json.dumps(asdict(record), indent=1) + "\n", "utf-8")
    part.replace(folder / _RECORD)
    return record


def kernel_in(folder: Path, record: Record, spec: str) -> Kernel:
    """Return the kernel that a cache folder holds, called `spec`."""
    names = record.files
    return Kernel(
        spec=spec,
        arch=ARCHES[record.arch],
        version=version_of(record.banner),
        release=record.banner.split(" ", 1)[0],
        image=folder / "vmlinuz",
        sha256=record.sha256,
        vmlinux=folder / "vmlinux" if "vmlinux" in names else None,
        pvh=record.pvh,
        config=folder / "config" if "config" in names else None,
        modules={name[:-3]: folder / name for name in names if name.endswith(".ko")},
        provenance=record.provenance,
    )


def find_cached(entry: Entry) -> Kernel | None:
    """Return an entry's kernel if it is in the cache, whole."""
    record = find_record(folder_of(entry)) if entry.packages else None
    return kernel_in(folder_of(entry), record, entry.spec) if record else None


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    os.utime(path, (found.st_atime, int(found.st_mtime)))
    return Stamp(found.st_size, int(found.st_mtime), _sha256(path))


def _is_as(path: Path, stamp: Stamp) -> bool:
    """Compare size and time, and the content only in doubt: a run asks this of every kernel."""
    found = path.stat()
    same_time = int(found.st_mtime) == stamp.time_s
    return found.st_size == stamp.size and (same_time or _sha256(path) == stamp.sha256)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
