# SPDX-License-Identifier: Apache-2.0
"""A user's own kernel: which files a path, a build tree or this host's own kernel stands for."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from harness.arch import ARCH_I386, ARCH_X86_64, Arch
from harness.errors import DeclarationError
from harness.kernels.image import HEADER_BYTES, parse_header

HOST = "host"
_BZIMAGE = Path("arch/x86/boot/bzImage")
_MODULES = Path("arch/x86/kernel")
_ELF_MACHINES = {3: ARCH_I386, 62: ARCH_X86_64}  # EM_386, EM_X86_64: e_machine of the ELF header


@dataclass(frozen=True)
class KernelFiles:
    """The files of a kernel that did not come from a package.

    Attributes:
        image: the bzImage, or the vmlinux where `is_elf`.
        arch: what it was built for, by its first bytes.
        is_elf: whether `image` is a vmlinux.
        config: the build configuration, None where there is none.
        modules: the folder that holds the modules of ``arch/x86/kernel``, None where there is none.
    """

    image: Path
    arch: Arch
    is_elf: bool
    config: Path | None = None
    modules: Path | None = None


def read_files(path: Path) -> KernelFiles:
    """Return what a path stands for: a bzImage, a vmlinux or a kernel's build tree.

    Args:
        path: a file or a folder; relative paths are made absolute.

    Raises:
        DeclarationError: it is not there, cannot be read, or is nothing of the kind.
    """
    path = path.expanduser().absolute()
    if not is_there(path):
        raise DeclarationError(f"kernel {path} is not there, or not for you", hint=_PATH_HINT)
    return _build_tree(path) if path.is_dir() else _file(path)


def host_files(release: str = "") -> KernelFiles:
    """Return the files of the kernel that this host runs.

    Args:
        release: what `uname -r` says; asked for if left out.

    Raises:
        DeclarationError: its image is not there or cannot be read.
    """
    release = release or os.uname().release
    modules = Path("/lib/modules") / release
    image = _first(Path(f"/boot/vmlinuz-{release}"), modules / "vmlinuz")
    if image is None:
        raise DeclarationError(
            f"this host's kernel is not on its disk: expected /boot/vmlinuz-{release} "
            f"or {modules}/vmlinuz",
            hint="containers have no kernel of their own; choose one of `trapgate kernels list`",
        )
    config = _first(Path(f"/boot/config-{release}"), modules / "config")
    return _file(image, config, _first(modules / "kernel" / _MODULES))


def is_there(path: Path) -> bool:
    """Whether a path leads somewhere; one that cannot be followed or is none does not."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


_PATH_HINT = "give a bzImage, a vmlinux, a kernel build tree or one of `trapgate kernels list`"


def _build_tree(tree: Path) -> KernelFiles:
    image = _first(tree / _BZIMAGE, tree / "vmlinux")
    if image is None:
        raise DeclarationError(
            f"folder {tree} is no built kernel tree: expected {_BZIMAGE} or vmlinux in it",
            hint="build the kernel there first (make bzImage)",
        )
    return _file(image, _first(tree / ".config"), _first(tree / _MODULES))


def _file(image: Path, config: Path | None = None, modules: Path | None = None) -> KernelFiles:
    try:
        with image.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise DeclarationError(
            f"kernel {image} cannot be read: {error.strerror}",
            hint="make it readable to you, or give the path of a copy that is",
        ) from error
    if head.startswith(b"\x7fELF"):
        return KernelFiles(
            image, _elf_arch(head, image), is_elf=True, config=config, modules=modules
        )
    try:
        arch = parse_header(head, f"kernel {image}").arch
    except DeclarationError as error:
        raise DeclarationError(error.message, hint=_PATH_HINT) from error
    return KernelFiles(image, arch, is_elf=False, config=config, modules=modules)


def _elf_arch(head: bytes, image: Path) -> Arch:
    machine = struct.unpack_from("<H", head.ljust(20, b"\0"), 18)[0]
    if machine not in _ELF_MACHINES:
        raise DeclarationError(
            f"kernel {image} is built for ELF machine {machine}: expected 3 (i386) or 62 (x86_64)"
        )
    return _ELF_MACHINES[machine]


def _first(*paths: Path) -> Path | None:
    return next(filter(is_there, paths), None)
