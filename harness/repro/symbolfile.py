# SPDX-License-Identifier: Apache-2.0
"""A running kernel's symbols as a debugger reads them: an ELF file of sections without contents.

Source: System V gABI 4.1, chapter 4. It is an ELF64 file for i386 kernels, too: QEMU's stub
describes the 64-bit registers of its processor whatever that runs (gdbstub.c, 7.2).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from harness.evidence.symbols import Symbols

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_IDENT = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
_EXECUTABLE, _X86_64 = 2, 62
_SYMTAB, _STRTAB, _NOBITS = 2, 3, 8
_ALLOC, _EXEC = 2, 4
_ABSOLUTE = 0xFFF1
_FUNCTION, _OBJECT = 0x12, 0x11
_TEXT = ".text"


@dataclass(frozen=True)
class Section:
    """Where a part of the kernel lies.

    Attributes:
        name: as in its vmlinux.
        flags: whether it is written to, or executed: ELF's sh_flags.
        address: of its first byte as it runs.
        size_bytes: its length.
    """

    name: str
    flags: int
    address: int
    size_bytes: int


def read_layout(vmlinux: Path, slide: int) -> list[Section]:
    """Return the sections of a vmlinux as they lie in a kernel that runs elsewhere.

    Those below the code (per-CPU variables, which are linked to zero) are left out.

    Args:
        vmlinux: an ELF file.
        slide: how far the kernel runs from where it is linked to.
    """
    with vmlinux.open("rb") as file:
        headers = [(s.name, s.header) for s in ELFFile(file).iter_sections()]
    start = next((h["sh_addr"] for name, h in headers if name == _TEXT), 0)
    return [
        Section(name, h["sh_flags"], h["sh_addr"] + slide, h["sh_size"])
        for name, h in headers
        if h["sh_flags"] & _ALLOC and h["sh_addr"] >= start > 0
    ]


def write_symbols(path: Path, sections: Sequence[Section], symbols: Symbols) -> None:
    """Write the file.

    Args:
        path: where to.
        sections: may be empty; symbols are then addresses alone.
        symbols: with the addresses that they have as the kernel runs.
    """
    table, texts = [_SYMBOL.pack(0, 0, 0, 0, 0, 0)], _Texts()
    for address, name in symbols:
        place = _place_of(address, sections)
        code = place and sections[place - 1].flags & _EXEC
        kind = _FUNCTION if code or not place else _OBJECT
        table.append(_SYMBOL.pack(texts.add(name), kind, 0, place or _ABSOLUTE, address, 0))
    path.write_bytes(_file(sections, b"".join(table), texts.content))


def _place_of(address: int, sections: Sequence[Section]) -> int:
    """Return the number of the section that an address is in, 0 for none."""
    inside = (
        number
        for number, section in enumerate(sections, start=1)
        if section.address <= address < section.address + section.size_bytes
    )
    return next(inside, 0)


def _file(sections: Sequence[Section], symtab: bytes, strtab: bytes) -> bytes:
    names = _Texts()
    first = _HEADER.size
    plain = [
        _SECTION.pack(names.add(s.name), _NOBITS, s.flags, s.address, first, s.size_bytes, *_REST)
        for s in sections
    ]
    link = len(sections) + 2
    tables = [
        (names.add(".symtab"), _SYMTAB, symtab, link, 1, 8, _SYMBOL.size),
        (names.add(".strtab"), _STRTAB, strtab, 0, 0, 1, 0),
        (names.add(".shstrtab"), _STRTAB, names.content, 0, 0, 1, 0),
    ]
    contents, headers = b"", []
    for name, kind, content, to, info, alignment, size in tables:
        at = first + len(contents)
        headers.append(_SECTION.pack(name, kind, 0, 0, at, len(content), to, info, alignment, size))
        contents += content + bytes(-len(content) % 8)
    every = [bytes(_SECTION.size), *plain, *headers]
    sizes = (_HEADER.size, 0, 0, _SECTION.size, len(every), len(every) - 1)
    at = first + len(contents)
    header = _HEADER.pack(_IDENT, _EXECUTABLE, _X86_64, 1, 0, 0, at, 0, *sizes)
    return header + contents + b"".join(every)


_REST = (0, 0, 16, 0)


class _Texts:
    """A string table."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = [b"\0"]
        self._end = 1

    def add(self, text: str) -> int:
        """Return where a text stands."""
        piece = text.encode() + b"\0"
        self._pieces.append(piece)
        self._end += len(piece)
        return self._end - len(piece)

    @property
    def content(self) -> bytes:
        return b"".join(self._pieces)
