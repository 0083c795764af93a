# SPDX-License-Identifier: Apache-2.0
"""Where /proc/kcore has which of the kernel's memory, and what its note says of the kernel.

Source: fs/proc/kcore.c, kernel/crash_core.c crash_save_vmcoreinfo_init (5.10), kernel/vmcore_info.c
(6.12).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment, Segment

from harness.evidence.elf import ELF_DAMAGE
from harness.evidence.trouble import BadEvidence

HEAD_BYTES = 32 << 10
"""How much of it holds the headers and the notes."""

_NOTE = "VMCOREINFO"
_MOST_SEGMENTS = 256
_NO_ADDRESS = (0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True)
class Range:
    """A piece of the kernel's memory.

    Attributes:
        start: its first address.
        size_bytes: its length.
        offset: where in the file it is.
        physical: the physical address of its start, None where its pages have no order.
    """

    start: int
    size_bytes: int
    offset: int
    physical: int | None


@dataclass(frozen=True)
class Kcore:
    """The headers of /proc/kcore.

    Attributes:
        ranges: the memory that it has, in no order.
        info: the lines of the note VMCOREINFO, such as "SYMBOL(_stext)" and "BUILD-ID".
    """

    ranges: tuple[Range, ...]
    info: Mapping[str, str]

    def offset_of(self, address: int, size_bytes: int) -> int | None:
        """Return where in the file some memory is, None where it is not, or not all of it."""
        for piece in self.ranges:
            within = address - piece.start
            if 0 <= within <= piece.size_bytes - size_bytes:
                return piece.offset + within
        return None

    def physical_offset_of(self, address: int, size_bytes: int) -> int | None:
        """Return where in the file some physical memory is, None where it is not."""
        for piece in self.ranges:
            within = address - (address + 1 if piece.physical is None else piece.physical)
            if 0 <= within <= piece.size_bytes - size_bytes:
                return piece.offset + within
        return None

    def physical_of(self, address: int) -> int | None:
        """Return the physical address of some mapped memory, None where that is not said."""
        for piece in self.ranges:
            if 0 <= address - piece.start < piece.size_bytes and piece.physical is not None:
                return piece.physical + address - piece.start
        return None

    def symbol(self, name: str) -> int:
        """Return the address of one of the symbols that the note names.

        Raises:
            BadEvidence: it names no such symbol.
        """
        try:
            return int(self.info[f"SYMBOL({name})"], 16)
        except (KeyError, ValueError) as error:
            raise BadEvidence(f"/proc/kcore: its note gives no address of {name}") from error


def parse_kcore(head: bytes) -> Kcore:
    """Read the beginning of /proc/kcore.

    Args:
        head: its first `HEAD_BYTES` bytes.

    Raises:
        BadEvidence: it is cut short, or no such file.
    """
    try:
        elf = ELFFile(io.BytesIO(head))
        if elf["e_type"] != "ET_CORE" or elf.num_segments() > _MOST_SEGMENTS:
            raise ValueError(f"{elf['e_type']} of {elf.num_segments()} segments")
        segments = list(elf.iter_segments())
        ranges = tuple(_range(s) for s in segments if s["p_type"] == "PT_LOAD")
        text = "".join(_note(s, head) for s in segments if isinstance(s, NoteSegment))
    except ELF_DAMAGE as error:
        said = str(error) or type(error).__name__
        raise BadEvidence(f"/proc/kcore is no whole core file: {said}") from error
    pairs = (line.partition("=") for line in text.splitlines())
    return Kcore(ranges, {key: value for key, _, value in pairs})


def _range(segment: Segment) -> Range:
    unordered = segment["p_paddr"] in _NO_ADDRESS
    physical = None if unordered else int(segment["p_paddr"])
    return Range(segment["p_vaddr"], segment["p_memsz"], segment["p_offset"], physical)


def _note(segment: NoteSegment, head: bytes) -> str:
    """Return what the note VMCOREINFO of a segment says, nothing where it has none.

    A segment that is not in `head` is never looked into: its notes might have no end.
    """
    if segment["p_offset"] + segment["p_filesz"] > len(head):
        raise ValueError("its notes end behind its head")
    for note in segment.iter_notes():
        if note["n_name"] == _NOTE:
            said = note["n_desc"]
            return said if isinstance(said, str) else bytes(said).decode("ascii", "replace")
    return ""
