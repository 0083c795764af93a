# SPDX-License-Identifier: Apache-2.0
"""What a vmlinux says of itself: machine, PVH entry, banner."""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment

from harness.arch import ARCHES, Arch
from harness.errors import DeclarationError

_PHYS32_ENTRY = 18  # XEN_ELFNOTE_PHYS32_ENTRY, include/xen/interface/elfnote.h
_BANNER = re.compile(rb"Linux version (\d+\.\d+[ -~]*)")  # linux_banner, init/version.c


@dataclass(frozen=True)
class VmlinuxFacts:
    """What was read from a vmlinux.

    Attributes:
        arch: what the kernel was built for.
        pvh: whether it has the PVH entry note, so that QEMU can start it.
        banner: what follows "Linux version " in it, empty when that is not found.
    """

    arch: Arch
    pvh: bool
    banner: str


def read_vmlinux(path: Path, name: str = "") -> VmlinuxFacts:
    """Read a vmlinux file's facts.

    Args:
        path: the file.
        name: what to call it in messages; its path if left out.

    Raises:
        DeclarationError: it is no ELF file of an architecture that we know, or cut short.
        OSError: it cannot be read.
    """
    name = name or str(path)
    with path.open("rb") as file:
        try:
            elf = ELFFile(file)
            return VmlinuxFacts(_arch(elf, name), _has_pvh_note(elf), _banner(path))
        except (ELFError, UnicodeDecodeError, ValueError) as error:
            said = str(error) or type(error).__name__
            raise DeclarationError(f"{name} is no whole ELF file: {said}") from error


def _arch(elf: ELFFile, name: str) -> Arch:
    machine = elf["e_machine"]
    for arch in ARCHES.values():
        if arch.abi.elf_machine == machine and elf["e_type"] == "ET_EXEC":
            return arch
    raise DeclarationError(
        f"{name} is no x86 vmlinux: expected an ET_EXEC file for EM_386 or EM_X86_64, "
        f"got {elf['e_type']} for {machine}"
    )


def _has_pvh_note(elf: ELFFile) -> bool:
    """Look where QEMU looks: in the note segments."""
    return any(
        note["n_name"] == "Xen" and str(note["n_type"]) == str(_PHYS32_ENTRY)
        for segment in elf.iter_segments()
        if isinstance(segment, NoteSegment)
        for note in segment.iter_notes()
    )


def _banner(path: Path) -> str:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = _BANNER.search(data)
        return found[1].decode("ascii") if found else ""
