# SPDX-License-Identifier: Apache-2.0
"""A clone's memory, seen from outside of its QEMU: what was written, and how it was before.

It is a private mapping of the state's file. What the guest has written to since stands out in
/proc/PID/pagemap: such a page is no longer the file's.
Source: Documentation/admin-guide/mm/pagemap.rst (6.1).
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import mmap
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from harness.errors import HostError
from harness.landscape import PAGE
from harness.machine.process import QemuProcess

_PRESENT, _SWAPPED, _OF_THE_FILE = 0x80, 0x40, 0x20
_ENTRY_BYTES = 8
_IS_WRITTEN = bytes(
    bool(flags & (_PRESENT | _SWAPPED) and not flags & _OF_THE_FILE) for flags in range(256)
)
_MOST_RUNS = 1024
"""As many as one call takes. Source: include/uapi/linux/uio.h UIO_MAXIOV (6.1)."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.process_vm_writev.restype = ctypes.c_ssize_t
_LIBC.process_vm_writev.argtypes = (
    *(ctypes.c_int, ctypes.c_char_p, ctypes.c_ulong),
    *(ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong),
)


class Pages:
    """The pages of one machine's memory, numbered from 0; any method raises OSError.

    Args:
        process: a machine that was started from a state.

    Raises:
        HostError: QEMU is gone, or this host does not let us look into the process.
    """

    def __init__(self, process: QemuProcess) -> None:
        assert process.origin.ram  # noqa: S101 - only clones have a file behind them
        self._pid = process.process.pid
        folder = Path(f"/proc/{self._pid}")
        opened = (folder / "pagemap", folder / "mem", process.origin.ram)
        with contextlib.ExitStack() as stack:
            try:
                self._start, self._count = _find_mapping(folder / "maps", process.origin.ram)
                files = [stack.enter_context(path.open("rb", 0)) for path in opened]
                self._pagemap, self._memory, self._ram = (file.fileno() for file in files)
                mapped = mmap.mmap(self._ram, 0, access=mmap.ACCESS_COPY)
                self._content = stack.enter_context(mapped)
            except (OSError, ValueError) as error:
                raise HostError(f"a machine's memory cannot be looked into: {error}") from error
            self._files = stack.pop_all()

    def close(self) -> None:
        """Close what was opened."""
        self._files.close()

    def find_written(self) -> list[range]:
        """Return runs of pages; of each page's entry, the last byte says what we want to know."""
        size, at = self._count * _ENTRY_BYTES, self._start // PAGE * _ENTRY_BYTES
        flags = os.pread(self._pagemap, size, at)[_ENTRY_BYTES - 1 :: _ENTRY_BYTES]
        is_written = flags.translate(_IS_WRITTEN) + b"\0"
        runs, end = [], 0
        while (start := is_written.find(1, end)) >= 0:
            end = is_written.find(0, start)
            runs.append(range(start, end))
        return runs

    def is_changed(self, page: int) -> bool:
        """Tell whether a page holds other bytes than the state's."""
        return self.read(page) != os.pread(self._ram, PAGE, page * PAGE)

    def read(self, page: int) -> bytes:
        """Return what a page holds."""
        return os.pread(self._memory, PAGE, self._start + page * PAGE)

    def write(self, page: int, content: bytes) -> None:
        """Have a page begin with `content`."""
        ours = ctypes.create_string_buffer(content, len(content))
        from_ours = (ctypes.addressof(ours), len(content))
        self._copy([from_ours], [(self._start + page * PAGE, len(content))])

    def write_back(self, written: list[range]) -> None:
        """Copy runs of pages from the state's file, hundreds with one call.

        Only the kernel reads the mapping: to us a file that somebody cuts short would be SIGBUS.
        """
        ours = ctypes.addressof(ctypes.c_char.from_buffer(self._content))
        for some in (written[n : n + _MOST_RUNS] for n in range(0, len(written), _MOST_RUNS)):
            places = [
                [(start + run.start * PAGE, len(run) * PAGE) for run in some]
                for start in (ours, self._start)
            ]
            self._copy(*places)

    def _copy(self, ours: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> None:
        done = _LIBC.process_vm_writev(
            self._pid, _vector(ours), len(ours), _vector(theirs), len(theirs), 0
        )
        if done != sum(size_bytes for _, size_bytes in theirs):
            raise OSError(ctypes.get_errno(), f"{done} bytes of memory written")


def _vector(places: Iterable[tuple[int, int]]) -> bytes:
    """Return addresses and sizes as an array of the kernel's ``struct iovec``."""
    words = [*itertools.chain.from_iterable(places)]
    return struct.pack(f"{len(words)}N", *words)


def _find_mapping(maps: Path, ram: Path) -> tuple[int, int]:
    """Return where a file is mapped, and how many pages long."""
    for line in maps.read_text(encoding="utf-8").splitlines():
        if line.endswith(str(ram)):
            first, _, last = line.split()[0].partition("-")
            return int(first, 16), (int(last, 16) - int(first, 16)) // PAGE
    raise HostError(f"qemu has not mapped {ram}")
