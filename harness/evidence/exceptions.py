# SPDX-License-Identifier: Apache-2.0
"""The exception table: which instructions may fault, and where the kernel goes on if they do.

Source: arch/x86/include/asm/extable.h struct exception_table_entry, arch/x86/include/asm/
extable_fixup_types.h (5.10: a relative pointer to a handler; from 5.16 on a type and a register).
"""

from __future__ import annotations

import bisect
import itertools
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from harness.evidence.elf import ElfSection
from harness.evidence.trouble import BadEvidence
from harness.version import KernelVersion

TYPED_SINCE = KernelVersion(5, 16)
_ENTRY = struct.Struct("<iii")
_TYPE_BITS = 0xFF
_TYPES: Mapping[int, str] = {
    0: "NONE",
    1: "DEFAULT",
    2: "FAULT",
    3: "UACCESS",
    4: "COPY",
    5: "CLEAR_FS",
    6: "FPU_RESTORE",
    7: "BPF",
    8: "WRMSR",
    9: "RDMSR",
    10: "WRMSR_SAFE",
    11: "RDMSR_SAFE",
    12: "WRMSR_IN_MCE",
    13: "RDMSR_IN_MCE",
    14: "DEFAULT_MCE_SAFE",
    15: "FAULT_MCE_SAFE",
    16: "POP_REG",
    17: "IMM_REG",
    18: "FAULT_SGX",
    19: "UCOPY_LEN",
    20: "ZEROPAD",
    21: "ERETU",
}


@dataclass(frozen=True)
class Fixup:
    """One entry, at the addresses that a running kernel has.

    Attributes:
        row: its place in the table, from 0.
        instruction: the address of the instruction that may fault.
        target: where the kernel goes on.
        handler: the address of the function that decides how; 0 where a type does.
        type: how the kernel goes on, as extable_fixup_types.h calls it; empty where a handler does.
    """

    row: int
    instruction: int
    target: int
    handler: int
    type: str


@dataclass(frozen=True)
class ExceptionTable:
    """All of them.

    Attributes:
        fixups: in the order in which the image has them.
    """

    fixups: tuple[Fixup, ...]

    @property
    def is_sorted(self) -> bool:
        """Whether the addresses of the instructions rise from entry to entry."""
        addresses = [fixup.instruction for fixup in self.fixups]
        return all(low < high for low, high in itertools.pairwise(addresses))

    def find(self, instruction: int) -> Fixup | None:
        """Return the entry of an instruction, as the kernel searches for it: by bisection."""
        at = bisect.bisect_left(self.fixups, instruction, key=lambda fixup: fixup.instruction)
        found = self.fixups[at] if at < len(self.fixups) else None
        return found if found and found.instruction == instruction else None


def parse_exception_table(
    section: ElfSection, version: KernelVersion, bits: int, slide: int = 0
) -> ExceptionTable:
    """Read section __ex_table of a vmlinux.

    Args:
        section: it.
        version: the kernel's, which decides on the format.
        bits: how wide its addresses are.
        slide: how far the kernel runs from where it was linked to.

    Raises:
        BadEvidence: its length is no multiple of an entry's.
    """
    if len(section.content) % _ENTRY.size:
        raise BadEvidence(f"__ex_table: {len(section.content)} bytes are no whole entries")
    mask, typed = (1 << bits) - 1, version >= TYPED_SINCE
    fixups = []
    for row, fields in enumerate(_ENTRY.iter_unpack(section.content)):
        at = section.address + slide + row * _ENTRY.size
        instruction, target = ((at + 4 * n + fields[n]) & mask for n in range(2))
        handler = 0 if typed else (at + 8 + fields[2]) & mask
        kind = fields[2] & _TYPE_BITS
        name = _TYPES.get(kind, f"type {kind}") if typed else ""
        fixups.append(Fixup(row, instruction, target, handler, name))
    return ExceptionTable(tuple(fixups))
