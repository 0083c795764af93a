# SPDX-License-Identifier: Apache-2.0
"""What a machine begins with: a boot, a boot whose end is to be kept, or such an end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SNAPSHOT_NODE = "snapshot"
"""The block node that a kept state's devices are in."""
SNAPSHOT_TAG = "booted"


@dataclass(frozen=True)
class Origin:
    """Where a machine's memory comes from.

    Attributes:
        ram: the file that is its memory, None for memory of its own.
        devices: the kept state of everything else, None where the machine is to boot.
    """

    ram: Path | None = None
    devices: Path | None = None

    @property
    def boots(self) -> bool:
        """Whether a kernel is loaded and started."""
        return self.devices is None

    def memory_backend(self, size_mib: int) -> str:
        """Return the object that QEMU makes the machine's memory of.

        A state is made in the file itself; whoever starts from it gets a private copy of each
        page that it writes to.
        """
        if self.ram is None:
            return f"memory-backend-ram,id=ram,size={size_mib}M"
        share = "on" if self.boots else "off"
        return f"memory-backend-file,id=ram,size={size_mib}M,mem-path={self.ram},share={share}"


BOOTED = Origin()
