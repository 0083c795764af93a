# SPDX-License-Identifier: Apache-2.0
"""Pointers that the kernel must refuse to write through, by entry path and architecture."""

from __future__ import annotations

from dataclasses import dataclass

from harness.arch import ARCH_I386, I386, Arch
from harness.entry import EntryPath
from harness.landscape import HOLE, NO_ACCESS, READ_ONLY


@dataclass(frozen=True)
class BadPointer:
    """One address at which a program has nothing to be written to.

    Attributes:
        name: what kind of bad it is.
        address: the pointer.
        readable: whether the program may read there.
    """

    name: str
    address: int
    readable: bool = False


_COMMON = (
    BadPointer("null", 0),
    BadPointer("unmapped", HOLE),
    BadPointer("no_access", NO_ACCESS.start),
    BadPointer("read_only", READ_ONLY.start, readable=True),
)

# 16 bytes from the wrapping ones would end past the last address.
_KERNEL_I386 = (
    BadPointer("kernel_start", 0xC000_0000),
    BadPointer("kernel_text", 0xC100_0000),
    BadPointer("last_page", 0xFFFF_F000),
    BadPointer("wrapping", 0xFFFF_FFF8),
)
_COMPAT = (
    BadPointer("last_page", 0xFFFF_F000),
    BadPointer("wrapping", 0xFFFF_FFF8),
)
_X86_64 = (
    BadPointer("past_user", 0x7FFF_FFFF_F000),
    BadPointer("non_canonical_low", 0x8000_0000_0000),
    BadPointer("non_canonical_middle", 0x8000_0000_0000_0000),
    BadPointer("non_canonical_high", 0xFFFF_7FFF_FFFF_F000),
    BadPointer("kernel_start", 0xFFFF_8000_0000_0000),
    BadPointer("direct_map", 0xFFFF_8880_0000_0000),
    BadPointer("kernel_text", 0xFFFF_FFFF_8100_0000),
    BadPointer("vsyscall", 0xFFFF_FFFF_FF60_0000),
    BadPointer("wrapping", 0xFFFF_FFFF_FFFF_FFF8),
)


def bad_pointers(entry: EntryPath, arch: Arch) -> tuple[BadPointer, ...]:
    """Return what a call through `entry` may be given to write to, and has to answer EFAULT to.

    Args:
        entry: decides how wide an address that reaches the kernel is.
        arch: decides where the kernel's own addresses begin.

    Source: Documentation/x86/x86_64/mm.rst (6.1); arch/x86/include/asm/page_32_types.h,
    CONFIG_PAGE_OFFSET 0xC0000000 (6.1).
    """
    if entry.table is not I386:
        return _COMMON + _X86_64
    return _COMMON + (_KERNEL_I386 if arch is ARCH_I386 else _COMPAT)


def is_refused_unseen(bad: BadPointer, entry: EntryPath, arch: Arch) -> bool:
    """Tell whether every kernel refuses a pointer for what it is, before anything is moved.

    Args:
        bad: the pointer.
        entry: the call's way in: a 64-bit kernel finds nothing wrong with 32-bit addresses.
        arch: decides where the kernel's own addresses begin.

    Source: arch/x86/include/asm/uaccess_64.h access_ok, of which 6.4 to 6.11 had the least.
    """
    if entry.table is I386:
        return arch is ARCH_I386 and bad.address >= user_limit(entry, arch)
    return bool(bad.address >> 63)


def user_limit(entry: EntryPath, arch: Arch) -> int:
    """Return the first address at which no program that uses `entry` finds memory.

    64-bit code that makes 32-bit calls could have some further up; where 32-bit code ends is as
    good an edge for it as any.

    Source: arch/x86/include/asm/page_64_types.h TASK_SIZE_MAX, IA32_PAGE_OFFSET;
    arch/x86/include/asm/page_32_types.h TASK_SIZE (6.1).
    """
    if arch is ARCH_I386:
        return 0xC000_0000
    if entry.table is not I386:
        return 0x7FFF_FFFF_F000
    return 0xFFFF_E000
