# SPDX-License-Identifier: Apache-2.0
"""Taking a machine back to the state it started from, in its own process.

A clone's memory is a private mapping of the state's file. What it has written to since stands out
in /proc/PID/pagemap: such a page is no longer the file's. Those pages get the file's bytes back,
the devices are loaded once more, and the guest never knows. No process is started for it, and what
TCG has translated stays, unless a page with code was among the written ones.
Source: Documentation/admin-guide/mm/pagemap.rst (6.1).
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import mmap
import os
import struct
from collections.abc import Collection
from pathlib import Path

from harness.errors import HostError
from harness.landscape import PAGE
from harness.machine.process import QemuProcess
from harness.machine.snapshot import load_devices
from harness.machine.vmstate import SavedDevices, read_saved_devices
from harness.wire import AGENT_CLOCK

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
_CLOCK = struct.Struct("<Q")
_LONGEST = 1 << 50
"""More ticks than any guest lives for: several days of any processor's."""


class Rewinder:
    """Knows where in a QEMU process the guest's memory is, and what its devices were.

    Args:
        process: a machine that was started from a state.
        code: the numbers of the state's pages that hold code.

    Raises:
        HostError: QEMU is gone, or this host does not let us look into the process.
    """

    def __init__(self, process: QemuProcess, code: Collection[int]) -> None:
        assert process.origin.ram  # noqa: S101 - only clones are taken back
        self._process = process
        self._code = frozenset(code)
        self._saved = _read_saved(process)
        self._tsc_offset = 0
        folder = Path(f"/proc/{process.process.pid}")
        opened = (folder / "pagemap", folder / "mem", process.origin.ram)
        with contextlib.ExitStack() as stack:
            try:
                self._start, self._pages = _find_mapping(folder / "maps", process.origin.ram)
                files = [stack.enter_context(path.open("rb", 0)) for path in opened]
                self._pagemap, self._memory, self._ram = (file.fileno() for file in files)
                mapped = mmap.mmap(self._ram, 0, access=mmap.ACCESS_COPY)
                self._content = stack.enter_context(mapped)
            except (OSError, ValueError) as error:
                raise HostError(f"a machine's memory cannot be looked into: {error}") from error
            self._files = stack.pop_all()

    def rewind(self) -> None:
        """Stop the machine, give it back its memory and devices, and leave it stopped.

        Raises:
            HostError: QEMU is gone, or could not load its devices.
        """
        self._process.ask("stop")
        try:
            written = self._find_written()
            code = self._code.intersection(itertools.chain(*written))
            code_changed = any(map(self._is_changed, code))
            self._write_back(written)
        except OSError as error:
            raise HostError(f"a machine could not be taken back: {error}") from error
        if self._saved:
            self._prepare_devices(self._saved, forget=code_changed)
        load_devices(self._process)

    def close(self) -> None:
        """Close what was opened."""
        self._files.close()

    def _prepare_devices(self, saved: SavedDevices, *, forget: bool) -> None:
        """Write what is to be loaded, with the time stamp counter as it was.

        QEMU does not turn that counter back, so its offset has to make up for it.
        Source: QEMU 7.2, softmmu/cpu-timers.c cpu_get_ticks_locked.
        """
        (clock,) = _CLOCK.unpack_from(self._process.window.bytes, AGENT_CLOCK)
        elapsed = clock - saved.ticks if clock else 0
        if not 0 <= elapsed < _LONGEST:
            raise HostError(f"the guest's time stamp counter went from {saved.ticks} to {clock}")
        self._tsc_offset -= elapsed
        stream = saved.whole if forget or not saved.lean else saved.lean
        content = stream.with_tsc_offset(self._tsc_offset)
        os.pwrite(self._process.devices, content, saved.start)
        _CLOCK.pack_into(self._process.window.bytes, AGENT_CLOCK, 0)

    def _find_written(self) -> list[range]:
        """Return runs of pages; of each page's entry, the last byte says what we want to know."""
        size, at = self._pages * _ENTRY_BYTES, self._start // PAGE * _ENTRY_BYTES
        flags = os.pread(self._pagemap, size, at)[_ENTRY_BYTES - 1 :: _ENTRY_BYTES]
        is_written = flags.translate(_IS_WRITTEN) + b"\0"
        runs, end = [], 0
        while (start := is_written.find(1, end)) >= 0:
            end = is_written.find(0, start)
            runs.append(range(start, end))
        return runs

    def _is_changed(self, page: int) -> bool:
        now = os.pread(self._memory, PAGE, self._start + page * PAGE)
        return now != os.pread(self._ram, PAGE, page * PAGE)

    def _write_back(self, written: list[range]) -> None:
        """Copy runs of pages from the state's file, hundreds with one call.

        Only the kernel reads the mapping: to us a file that somebody cuts short would be SIGBUS.
        """
        ours = ctypes.addressof(ctypes.c_char.from_buffer(self._content))
        for some in (written[n : n + _MOST_RUNS] for n in range(0, len(written), _MOST_RUNS)):
            from_ours, to_theirs = _vector(ours, some), _vector(self._start, some)
            pid, count = self._process.process.pid, len(some)
            done = _LIBC.process_vm_writev(pid, from_ours, count, to_theirs, count, 0)
            if done != sum(map(len, some)) * PAGE:
                raise OSError(ctypes.get_errno(), f"{done} bytes of memory written back")


def _vector(start: int, runs: list[range]) -> bytes:
    """Return runs of pages of what begins at `start` as the kernel's ``struct iovec``."""
    words = ((start + run.start * PAGE, len(run) * PAGE) for run in runs)
    return struct.pack(f"{2 * len(runs)}N", *itertools.chain.from_iterable(words))


def _read_saved(process: QemuProcess) -> SavedDevices | None:
    """Read what the machine was started from; only TCG forgets, and only TCG's counter goes on."""
    if process.plan.accelerator != "tcg" or not process.origin.devices:
        return None
    return read_saved_devices(process.origin.devices.read_bytes())


def _find_mapping(maps: Path, ram: Path) -> tuple[int, int]:
    """Return where a file is mapped, and how many pages long."""
    for line in maps.read_text(encoding="utf-8").splitlines():
        if line.endswith(str(ram)):
            first, _, last = line.split()[0].partition("-")
            return int(first, 16), (int(last, 16) - int(first, 16)) // PAGE
    raise HostError(f"qemu has not mapped {ram}")
