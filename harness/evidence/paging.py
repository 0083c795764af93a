# SPDX-License-Identifier: Apache-2.0
"""The walk from a virtual to a physical address, through page tables that are read as bytes.

Source: Intel SDM volume 3, 4.3 (32-bit paging), 4.4 (PAE), 4.5 (4-level).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.evidence.trouble import BadEvidence

_PRESENT, _LARGE = 1, 1 << 7
_OFFSET_BITS = 12


@dataclass(frozen=True)
class Paging:
    """One way of paging.

    Attributes:
        levels: how many tables an address goes through.
        entry_bytes: how long an entry is.
        index_bits: how many bits of the address each table but the first takes.
        large: the levels, counted from the last table as 0, whose entries may map large pages.
    """

    levels: int
    entry_bytes: int
    index_bits: int
    large: tuple[int, ...]

    @property
    def frame(self) -> int:
        """The bits of an entry that say where the next table, or the page, is."""
        return ((1 << min(8 * self.entry_bytes, 52)) - 1) & ~((1 << _OFFSET_BITS) - 1)


TWO_LEVELS = Paging(2, 4, 10, (1,))
PAE = Paging(3, 8, 9, (1,))
FOUR_LEVELS = Paging(4, 8, 9, (1, 2))


def walk(address: int, top: int, paging: Paging, read: Callable[[int, int], bytes]) -> int:
    """Return the physical address that a virtual one stands for.

    Args:
        address: the virtual address.
        top: the physical address of the first table.
        paging: how many tables there are, and of what.
        read: returns some bytes at a physical address.

    Raises:
        BadEvidence: nothing is mapped there.
    """
    table = top
    for level in reversed(range(paging.levels)):
        shift = _OFFSET_BITS + level * paging.index_bits
        index = address >> shift & (1 << paging.index_bits) - 1
        raw = read(table + index * paging.entry_bytes, paging.entry_bytes)
        entry = int.from_bytes(raw, "little")
        if not entry & _PRESENT:
            raise BadEvidence(f"the kernel's page tables map nothing at {address:#x}")
        if not level or (level in paging.large and entry & _LARGE):
            within = (1 << shift) - 1
            return (entry & paging.frame & ~within) | (address & within)
        table = entry & paging.frame
    raise AssertionError
