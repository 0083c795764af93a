# SPDX-License-Identifier: Apache-2.0
"""Taking a machine back to the state it started from, in its own process.

The pages that were written since get the state's bytes back, the devices are loaded once more, and
the guest never knows. No process is started for it, and what TCG has translated stays, but for
pages whose code has changed.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Collection

from harness.errors import HostError
from harness.landscape import PAGE
from harness.machine.pages import Pages
from harness.machine.process import QemuProcess
from harness.machine.snapshot import load_devices, write_port
from harness.machine.vmstate import SavedDevices, read_saved_devices
from harness.wire import AGENT_CLOCK

_CLOCK = struct.Struct("<Q")
_LONGEST = 1 << 50
"""More ticks than any guest lives for: several days of any processor's."""
_FILL_PORTS = 0x514, 0x518
_FILL = struct.Struct(">IIQ")
_SELECT_AND_READ, _NO_ENTRY = 0x8 | 0x2, 0xFFFF
_LOW_END = 0xC000_0000
"""Below it memory lies where it lies in its file. Source: QEMU 7.2, hw/i386/pc_piix.c pc_init1."""


class Rewinder:
    """Knows what a machine's memory and devices were.

    Args:
        process: a machine that was started from a state.
        code: the numbers of the state's pages that hold code.

    Raises:
        HostError: QEMU is gone, or this host does not let us look into the process.
    """

    def __init__(self, process: QemuProcess, code: Collection[int]) -> None:
        self._process = process
        self._code = frozenset(code)
        self._saved = _read_saved(process)
        self._tsc_offset = 0
        self._pages = Pages(process)

    def rewind(self) -> None:
        """Stop the machine, give it back its memory and devices, and leave it stopped.

        Raises:
            HostError: QEMU is gone, or could not load its devices.
        """
        self._process.ask("stop")
        try:
            written = self._pages.find_written()
            code = self._code.intersection(itertools.chain(*written))
            changed = filter(self._pages.is_changed, code)
            forget = not (self._saved and all(map(self._drop_translated, changed)))
            self._pages.write_back(written)
        except OSError as error:
            raise HostError(f"a machine could not be taken back: {error}") from error
        if self._saved:
            self._prepare_devices(self._saved, forget=forget)
        load_devices(self._process)

    def close(self) -> None:
        """Close what was opened."""
        self._pages.close()

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

    def _drop_translated(self, page: int) -> bool:
        """Have TCG drop what it has translated of one page, and return whether it did.

        A device's write to memory has that effect. The firmware's configuration device, asked for
        an entry that it has not, fills memory with zeros; what it is asked lies where it does so.
        Source: QEMU 7.2, hw/nvram/fw_cfg.c fw_cfg_dma_transfer, softmmu/physmem.c
        invalidate_and_set_dirty; docs/specs/fw_cfg.rst, "Guest-side DMA Interface".
        """
        if page * PAGE >= _LOW_END:
            return False
        request = _FILL.pack(_NO_ENTRY << 16 | _SELECT_AND_READ, PAGE, page * PAGE)
        self._pages.write(page, request)
        for port, half in zip(_FILL_PORTS, divmod(page * PAGE, 1 << 32), strict=True):
            write_port(self._process, port, int.from_bytes(half.to_bytes(4, "big"), "little"))
        return self._pages.read(page) == bytes(PAGE)


def _read_saved(process: QemuProcess) -> SavedDevices | None:
    """Read what the machine was started from; only TCG forgets, and only TCG's counter goes on."""
    if process.plan.accelerator != "tcg" or not process.origin.devices:
        return None
    return read_saved_devices(process.origin.devices.read_bytes())
