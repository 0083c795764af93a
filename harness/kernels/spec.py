# SPDX-License-Identifier: Apache-2.0
"""What a user may call a kernel, resolved without fetching anything."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness.arch import Arch
from harness.errors import DeclarationError
from harness.kernels.catalogue import Entry, all_entries, find_entry
from harness.kernels.files import HOST, KernelFiles, host_files, is_there, read_files
from harness.suggest import nearest

_PATH_BEGINNINGS = (os.sep, f".{os.sep}", f"..{os.sep}", "~")
_PATHS = (".", "..")


@dataclass(frozen=True)
class KernelSource:
    """A kernel that is known to exist somewhere; exactly one of `entry` and `files` is there.

    Attributes:
        spec: what the user called it.
        arch: what it is built for.
        entry: its entry in the catalogue.
        files: the user's own files.
    """

    spec: str
    arch: Arch
    entry: Entry | None = None
    files: KernelFiles | None = None

    @property
    def id(self) -> str:
        """A short name for test identifiers: the spec, or the last part of a path."""
        return self.spec if self.entry else Path(self.spec).name or self.spec


def find_source(spec: str) -> KernelSource:
    """Return what a kernel spec means; nothing is downloaded, and only a file's head is read.

    Args:
        spec: a name of the catalogue ("6.1/i386"), the path of a bzImage, a vmlinux or a build
            tree, or "host" for this host's own kernel.

    Raises:
        DeclarationError: there is no such kernel, or the file is none.
    """
    if spec == HOST:
        files = host_files()
        return KernelSource(spec, files.arch, files=files)
    entry = None if looks_like_path(spec) else find_entry(spec)
    if entry:
        return KernelSource(spec, entry.arch, entry=entry)
    if looks_like_path(spec) or (spec and is_there(Path(spec))):
        files = read_files(Path(spec))
        return KernelSource(spec, files.arch, files=files)
    raise DeclarationError(f"no kernel is called {spec!r}", hint=_nearest(spec))


def looks_like_path(spec: str) -> bool:
    """Whether a spec can only be a path: those of the catalogue have a slash inside, too."""
    return spec.startswith(_PATH_BEGINNINGS) or spec in _PATHS


def _nearest(spec: str) -> str:
    known = [entry.spec for entry in all_entries()]
    series, _, flavour = spec.partition("/")
    siblings = [name for name in known if name.startswith(f"{series}/")]
    said = nearest(spec if flavour or not siblings else "", siblings or known)
    return said or "see `trapgate kernels list`"
