# SPDX-License-Identifier: Apache-2.0
"""Known errors of emulators: what they get wrong at the boundary, so that no kernel is blamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.arch import ARCH_X86_64, Arch
from harness.cpu import Cpu
from harness.entry import SYSCALL32, SYSENTER, EntryPath

QemuVersion = tuple[int, int]

IRET_UNDER_SMAP = "iret from a program to itself, under SMAP"


@dataclass(frozen=True)
class Situation:
    """What an instruction is executed in.

    Attributes:
        arch: the kernel's.
        accelerator: "tcg" or "kvm".
        cpu: the processor as the guest sees it.
        qemu: the emulator's version.
    """

    arch: Arch
    accelerator: str
    cpu: Cpu
    qemu: QemuVersion


@dataclass(frozen=True)
class Erratum:
    """One thing that an emulator gets wrong.

    Attributes:
        of: the entry path whose instruction it is, or what else the instruction does.
        applies: whether a situation is affected.
        says: what happens, and what a processor would do.
        source: where that is known from.
    """

    of: EntryPath | str
    applies: Callable[[Situation], bool]
    says: str
    source: str


ERRATA = (
    Erratum(
        of=SYSCALL32,
        applies=lambda s: s.accelerator == "tcg" and s.arch is ARCH_X86_64 and s.cpu.is_intel,
        says="TCG lets 32-bit SYSCALL through on Intel models, and the kernel double-faults; "
        "a processor raises #UD",
        source="measured with QEMU 7.2 on 6.1/x86_64; target/i386/tcg/seg_helper.c helper_syscall",
    ),
    Erratum(
        of=SYSENTER,
        applies=lambda s: (
            s.accelerator == "tcg"
            and s.arch is ARCH_X86_64
            and not s.cpu.is_intel
            and s.qemu < (8, 1)
        ),
        says="TCG lets compatibility-mode SYSENTER through on AMD models; a processor raises #UD",
        source="measured with QEMU 7.2; target/i386/tcg/translate.c, fixed in 8.1",
    ),
    Erratum(
        of=SYSENTER,
        applies=lambda s: s.accelerator == "tcg" and not s.cpu.sep,
        says="TCG executes SYSENTER on models without it: #GP where the kernel has not set it up, "
        "and through where it has; a processor raises #UD",
        source="measured with QEMU 7.2 on 6.1/i386 and 6.1/x86_64; "
        "target/i386/tcg/decode-new.c.inc checks the mode alone",
    ),
    Erratum(
        of=IRET_UNDER_SMAP,
        applies=lambda s: s.accelerator == "tcg" and s.qemu < (9, 1),
        says="TCG reads what iret pops as the kernel would, which SMAP denies; a processor reads "
        "it as the program",
        source="measured with QEMU 7.2 on 6.1/x86_64; target/i386/tcg/seg_helper.c, "
        'fixed in 9.1 ("Allow IRET from user mode to user mode with SMAP")',
    ),
)


def find_erratum(of: EntryPath | str, situation: Situation) -> Erratum | None:
    """Return the emulator's error that `of` would run into, None when there is none known."""
    return next((e for e in ERRATA if e.of == of and e.applies(situation)), None)
