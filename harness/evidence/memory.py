# SPDX-License-Identifier: Apache-2.0
"""The kernel's memory, read through /proc/kcore."""

from __future__ import annotations

import functools

from harness.agent.guest import Guest
from harness.arch import ARCH_X86_64
from harness.evidence.kcore import HEAD_BYTES, Kcore, parse_kcore
from harness.evidence.paging import FOUR_LEVELS, PAE, TWO_LEVELS, walk
from harness.evidence.trouble import BadEvidence, refusal_unshown
from harness.landscape import PAGE

_FILE = "/proc/kcore"
_MOST_BYTES = 1 << 20


class KernelMemory:
    """One running kernel's memory.

    Args:
        guest: runs it.
    """

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    @functools.cached_property
    def kcore(self) -> Kcore:
        """The headers of /proc/kcore.

        Raises:
            NotShown: the kernel does not let anybody read it.
        """
        with refusal_unshown():
            return parse_kcore(self._guest.read_part(_FILE, 0, HEAD_BYTES))

    def read(self, address: int, size_bytes: int) -> bytes:
        """Return what is at an address, wherever the kernel has mapped it.

        Raises:
            BadEvidence: nothing is there.
        """
        offset = self.kcore.offset_of(address, size_bytes)
        if offset is not None:
            return self._read_file(offset, size_bytes)
        pieces = _pages(address, size_bytes)
        return b"".join(self._read_physical(self._physical(at), size) for at, size in pieces)

    def _physical(self, address: int) -> int:
        """Walk the kernel's own page tables, for what /proc/kcore leaves out."""
        four = self._guest.identity.arch is ARCH_X86_64
        narrow = PAE if "CONFIG_X86_PAE" in self.kcore.info else TWO_LEVELS
        top = self.kcore.physical_of(self.kcore.symbol("swapper_pg_dir"))
        if top is None:
            raise BadEvidence("/proc/kcore does not say where the kernel's page tables are")
        return walk(address, top, FOUR_LEVELS if four else narrow, self._read_physical)

    def _read_physical(self, address: int, size_bytes: int) -> bytes:
        offset = self.kcore.physical_offset_of(address, size_bytes)
        if offset is None:
            raise BadEvidence(f"/proc/kcore has no memory at physical address {address:#x}")
        return self._read_file(offset, size_bytes)

    def _read_file(self, offset: int, size_bytes: int) -> bytes:
        if not 0 <= size_bytes <= _MOST_BYTES:
            raise BadEvidence(f"{size_bytes} bytes of kernel memory are not read at once")
        content = self._guest.read_part(_FILE, offset, size_bytes)
        if len(content) != size_bytes:
            raise BadEvidence(f"{_FILE}: expected {size_bytes} bytes, got {len(content)}")
        return content


def _pages(address: int, size_bytes: int) -> list[tuple[int, int]]:
    """Cut a piece of memory where pages end."""
    ends = [*range(address // PAGE * PAGE + PAGE, address + size_bytes, PAGE), address + size_bytes]
    starts = [address, *ends[:-1]]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]
