# SPDX-License-Identifier: Apache-2.0
"""Taking a machine back to the state it started from, in its own process.

A clone's memory is a private mapping of the state's file. What it has written to since stands out
in /proc/PID/pagemap: such a page is no longer the file's. Those pages get the file's bytes back,
the devices are loaded once more, and the guest never knows. No process is started for it.
Source: Documentation/admin-guide/mm/pagemap.rst (6.1).
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HostError
from harness.landscape import PAGE
from harness.machine.process import QemuProcess
from harness.machine.snapshot import load_devices

_PRESENT = 1 << 63
_SWAPPED = 1 << 62
_OF_THE_FILE = 1 << 61
_ENTRY_BYTES = 8


class Rewinder:
    """Knows where in a QEMU process the guest's memory is.

    Args:
        process: a machine that was started from a state.

    Raises:
        HostError: this host does not let us look into the process.
    """

    def __init__(self, process: QemuProcess) -> None:
        assert process.origin.ram  # noqa: S101 - only clones are taken back
        self._process = process
        folder = Path(f"/proc/{process.process.pid}")
        self._start, self._pages = _find_mapping(folder / "maps", process.origin.ram)
        self._files = [
            os.open(folder / "pagemap", os.O_RDONLY),
            os.open(folder / "mem", os.O_RDWR),
            os.open(process.origin.ram, os.O_RDONLY),
        ]

    def rewind(self) -> None:
        """Stop the machine, give it back its memory and devices, and leave it stopped.

        Raises:
            HostError: QEMU is gone, or could not load its devices.
        """
        pagemap, memory, ram = self._files
        self._process.ask("stop")
        try:
            for first, count in _runs(self._find_written(pagemap)):
                content = os.pread(ram, count * PAGE, first * PAGE)
                os.pwrite(memory, content, self._start + first * PAGE)
        except OSError as error:
            raise HostError(f"a machine could not be taken back: {error}") from error
        load_devices(self._process)

    def close(self) -> None:
        """Close what was opened."""
        for descriptor in self._files:
            os.close(descriptor)
        self._files.clear()

    def _find_written(self, pagemap: int) -> list[int]:
        entries = array("Q")
        wanted = self._pages * _ENTRY_BYTES
        entries.frombytes(os.pread(pagemap, wanted, self._start // PAGE * _ENTRY_BYTES))
        there = _PRESENT | _SWAPPED
        return [n for n, e in enumerate(entries) if e & there and not e & _OF_THE_FILE]


def _find_mapping(maps: Path, ram: Path) -> tuple[int, int]:
    """Return where a file is mapped, and how many pages long."""
    for line in maps.read_text(encoding="utf-8").splitlines():
        if line.endswith(str(ram)):
            first, _, last = line.split()[0].partition("-")
            return int(first, 16), (int(last, 16) - int(first, 16)) // PAGE
    raise HostError(f"qemu has not mapped {ram}")


def _runs(pages: list[int]) -> Iterator[tuple[int, int]]:
    """Yield neighbours as one: the first page and how many."""
    first, count = -1, 0
    for page in pages:
        if page == first + count:
            count += 1
            continue
        if count:
            yield first, count
        first, count = page, 1
    if count:
        yield first, count
