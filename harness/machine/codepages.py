# SPDX-License-Identifier: Apache-2.0
"""Which pages of a state hold code that is executed: the kernel's own, and its programs'.

Guest memory lies in a state's file at its physical address: there is less of it than the hole
below 4 GiB begins at. Source: QEMU 7.2, hw/i386/pc.c pc_memory_init.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path

from elftools.elf.constants import P_FLAGS
from elftools.elf.elffile import ELFFile

from harness.landscape import PAGE

_KERNEL = "Kernel code"


def find_code_pages(iomem: str, ram: Path, programs: Collection[bytes]) -> list[int]:
    """Return the numbers of all such pages, in no order.

    Args:
        iomem: the guest's /proc/iomem, as root reads it.
        ram: the state's memory.
        programs: the files that run in the guest; their pages are found by what is in them.
    """
    return [*_kernel_pages(iomem), *_program_pages(ram, programs)]


def _kernel_pages(iomem: str) -> range:
    (line,) = (line for line in iomem.splitlines() if line.endswith(_KERNEL))
    first, _, last = line.split()[0].partition("-")
    return range(int(first, 16) // PAGE, int(last, 16) // PAGE + 1)


def _program_pages(ram: Path, programs: Collection[bytes]) -> list[int]:
    wanted = {page for program in programs for page in _text_pages(program)}
    with ram.open("rb") as file:
        return [n for n, page in enumerate(iter(lambda: file.read(PAGE), b"")) if page in wanted]


def _text_pages(program: bytes) -> Iterator[bytes]:
    for segment in ELFFile(io.BytesIO(program)).iter_segments("PT_LOAD"):
        if segment["p_flags"] & P_FLAGS.PF_X:
            first = segment["p_offset"] // PAGE * PAGE
            for at in range(first, segment["p_offset"] + segment["p_filesz"], PAGE):
                yield program[at : at + PAGE].ljust(PAGE, b"\0")
