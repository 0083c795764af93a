# SPDX-License-Identifier: Apache-2.0
"""What the later stages receive: one kernel, ready to boot, with its origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.arch import Arch
from harness.version import KernelVersion


@dataclass(frozen=True)
class Provenance:
    """Where a packaged kernel came from.

    Attributes:
        package: the binary package's name.
        version: the package's Debian version.
        sha256: the package file's hash, in hexadecimal.
        pinned: whether it is the package that the catalogue names.
        replaced: why another one was taken, empty for a pinned one.
    """

    package: str
    version: str
    sha256: str
    pinned: bool
    replaced: str = ""


@dataclass(frozen=True)
class Kernel:
    """A kernel on this machine's disk.

    Attributes:
        spec: what the user called it.
        arch: what it was built for.
        version: its version; for a distribution's kernel the upstream version of its package,
            as `release` often stays the same over many stable updates.
        release: what `uname -r` says in it.
        image: the bzImage, or the vmlinux where only that exists.
        sha256: the hash of `image`, in hexadecimal.
        vmlinux: the ELF payload of the image, None where it could not be taken out.
        pvh: whether `vmlinux` has the PVH entry note, so that QEMU can start it directly.
        config: its build configuration, None where there is none to be had.
        modules: the wanted modules that were kept, by name ("msr"), as uncompressed ``.ko``.
        provenance: its package, None for a user's own file.
    """

    spec: str
    arch: Arch
    version: KernelVersion
    release: str
    image: Path
    sha256: str
    vmlinux: Path | None
    pvh: bool
    config: Path | None = None
    modules: Mapping[str, Path] = field(default_factory=dict, hash=False)
    provenance: Provenance | None = None

    @property
    def boot_file(self) -> Path:
        """What QEMU's ``-kernel`` gets: the vmlinux by the PVH entry where it has one."""
        return self.vmlinux if self.pvh and self.vmlinux else self.image
