# SPDX-License-Identifier: Apache-2.0
"""What an executor says of itself: registers at exec, auxiliary vector, processor."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from harness.agent.calls import register_names
from harness.arch import Abi
from harness.cpu import Cpu
from harness.entry import entry_paths_of
from harness.wire import REGISTER_SLOTS, SEGMENTS

AT_PLATFORM = 15
AT_HWCAP = 16
AT_HWCAP2 = 26
AT_SYSINFO = 32
AT_SYSINFO_EHDR = 33
AT_MINSIGSTKSZ = 51
AT_RANDOM = 25

_REGISTERS = struct.Struct(f"<{REGISTER_SLOTS}Q")
_AUXV = struct.Struct("<128Q")
_LANDED = struct.Struct("<8Q")
_CPUID = struct.Struct("<16I")

ABOUT_BYTES = _REGISTERS.size + _AUXV.size + _LANDED.size + _CPUID.size
"""How much of region `about` is to be read."""


@dataclass(frozen=True)
class About:
    """One executor process, as it found itself.

    Attributes:
        registers: every register at its first instruction, by name.
        auxv: the auxiliary vector, by type (getauxval(3)).
        landed: the address of the instruction behind each entry path's, by the path's name.
        cpu: the processor.
        features_edx: what CPUID says in edx of leaf 1.
    """

    registers: Mapping[str, int]
    auxv: Mapping[int, int]
    landed: Mapping[str, int]
    cpu: Cpu
    features_edx: int

    @property
    def start(self) -> dict[str, int]:
        """What a call's record is read against: segment registers and landing addresses."""
        return {name: self.registers[name] for name in SEGMENTS} | dict(self.landed)


def decode_about(record: bytes, abi: Abi) -> About:
    """Read region `about`.

    Args:
        record: its first `ABOUT_BYTES` bytes.
        abi: the executor's.
    """
    places = _REGISTERS.unpack_from(record)
    pairs = _AUXV.unpack_from(record, _REGISTERS.size)
    landed = _LANDED.unpack_from(record, _REGISTERS.size + _AUXV.size)
    cpuid = _CPUID.unpack_from(record, ABOUT_BYTES - _CPUID.size)
    vendor = struct.pack("<III", cpuid[1], cpuid[3], cpuid[2])
    return About(
        registers={name: places[place] for place, name in register_names(abi).items()},
        auxv=dict(zip(pairs[::2], pairs[1::2], strict=True)),
        landed=dict(zip((path.name for path in entry_paths_of(abi)), landed, strict=False)),
        cpu=Cpu.of(vendor, cpuid[7], cpuid[11], struct.pack("<III", *cpuid[13:])),
        features_edx=cpuid[7],
    )
