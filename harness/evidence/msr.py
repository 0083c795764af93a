# SPDX-License-Identifier: Apache-2.0
"""The model-specific registers of the fast entry paths.

Source: Intel SDM volume 4, table 2-2; AMD APM volume 2, 6.1; arch/x86/include/asm/msr-index.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

BY_MODULE = "msr.ko of the kernel's package"
BY_EMULATOR = "the processor's state that the emulator has saved"


class Msr(IntEnum):
    """Their numbers."""

    SYSENTER_CS = 0x174
    SYSENTER_ESP = 0x175
    SYSENTER_EIP = 0x176
    EFER = 0xC000_0080
    STAR = 0xC000_0081
    LSTAR = 0xC000_0082
    CSTAR = 0xC000_0083
    SFMASK = 0xC000_0084


SAVED_AS: Mapping[Msr, str] = {
    Msr.SYSENTER_CS: "env.sysenter_cs",
    Msr.SYSENTER_ESP: "env.sysenter_esp",
    Msr.SYSENTER_EIP: "env.sysenter_eip",
    Msr.EFER: "env.efer",
    Msr.STAR: "env.star",
    Msr.LSTAR: "env.lstar",
    Msr.CSTAR: "env.cstar",
    Msr.SFMASK: "env.fmask",
}
"""How QEMU calls them in what it saves. Source: QEMU 7.2, target/i386/machine.c vmstate_x86_cpu."""


@dataclass(frozen=True)
class MsrReading:
    """What the registers held.

    Attributes:
        values: by register; one that could not be read is not there.
        source: who has read them.
    """

    values: Mapping[Msr, int]
    source: str

    def __getitem__(self, register: Msr) -> int:
        """Return what a register held; 0 where the processor has no such register."""
        return self.values.get(register, 0)
