# SPDX-License-Identifier: Apache-2.0
"""Sections of a vmlinux, as far as they lie in the file that they claim to be in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

from harness.evidence.trouble import BadEvidence

ELF_DAMAGE = (
    *(ELFError, ConstructError, ValueError, LookupError, TypeError, AttributeError),
    *(OverflowError, OSError),
)
"""What pyelftools raises for headers that contradict themselves: it may seek below zero."""

MOST_BYTES = 64 << 20
_MOST_SECTIONS = 1024


@dataclass(frozen=True)
class ElfSection:
    """A section.

    Attributes:
        address: where it is linked to.
        content: its bytes, or the first of them.
    """

    address: int
    content: bytes


def read_sections(path: Path, *names: str, most_bytes: int = MOST_BYTES) -> dict[str, ElfSection]:
    """Read some sections of an ELF file.

    Args:
        path: the file.
        names: of the sections; those that it does not have are left out.
        most_bytes: how much of each is read at most.

    Raises:
        BadEvidence: it is no ELF file, or cut short.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            elf = ELFFile(file)
            if elf.num_sections() > _MOST_SECTIONS:
                raise ValueError(f"{elf.num_sections()} sections")
            headers = {s.name: s.header for s in elf.iter_sections() if s.name in names}
        except ELF_DAMAGE as error:
            said = str(error) or type(error).__name__
            raise BadEvidence(f"{path} is no whole ELF file: {said}") from error
        found = {}
        for name, header in headers.items():
            at, length = int(header["sh_offset"]), int(header["sh_size"])
            if at + length > size:
                raise BadEvidence(f"{path} is cut short: section {name} ends behind its end")
            file.seek(at)
            found[name] = ElfSection(int(header["sh_addr"]), file.read(min(length, most_bytes)))
        return found
