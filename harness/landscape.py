# SPDX-License-Identifier: Apache-2.0
"""The memory that every executor maps before its first call, at the same addresses in both ABIs.

A scenario that needs a pointer of a certain kind names a region instead of arranging one. All of
it lies below 2 GiB, so that each address is a valid argument for every entry path.
"""

from __future__ import annotations

from dataclasses import dataclass

PAGE = 4096


@dataclass(frozen=True)
class Region:
    """One mapping of the executor.

    Attributes:
        name: what it is called in C and in scenarios.
        start: its first address; a multiple of the page size.
        size_bytes: its length, a multiple of the page size.
        protection: what `mmap` was asked for, as three letters: "rw-", "r--", "---".
        purpose: what it is there for.
    """

    name: str
    start: int
    size_bytes: int
    protection: str
    purpose: str

    @property
    def end(self) -> int:
        """The first address past it."""
        return self.start + self.size_bytes


ABOUT = Region("about", 0x2000_0000, PAGE, "rw-", "what the executor says of itself")
ARENA = Region("arena", 0x2010_0000, 0x100000, "rw-", "buffers that calls bring along")
STACK = Region("stack", 0x2030_0000, 0x10000, "rw-", "the stack on which calls are made")
EDGE = Region("edge", 0x2040_0000, 2 * PAGE, "rw-", "a page that ends where nothing is mapped")
EDGE_READ_ONLY = Region("edge_read_only", 0x2050_0000, PAGE, "rw-", "ends where read_only begins")
READ_ONLY = Region("read_only", 0x2050_1000, PAGE, "r--", "may be read, not written")
WRITE_ONLY = Region("write_only", 0x2060_0000, PAGE, "-w-", "asked for as write only")
NO_ACCESS = Region(
    "no_access", 0x2070_0000, PAGE, "---", "mapped, and neither readable nor writable"
)
UNTOUCHED = Region(
    "untouched", 0x2080_0000, 0x100000, "rw-", "never touched: each page is filled in"
)

REGIONS = (
    *(ABOUT, ARENA, STACK, EDGE, EDGE_READ_ONLY, READ_ONLY, WRITE_ONLY, NO_ACCESS, UNTOUCHED),
)

HOLE = 0x2F00_0000
"""An address around which nothing is ever mapped."""

STACK_TOP = STACK.end - 0x1000
"""Where the stack pointer stands at a call that does not say otherwise."""
