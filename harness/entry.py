# SPDX-License-Identifier: Apache-2.0
"""The ways into the kernel, one record each; the instruction itself is in `guest/entry/NAME.S`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.arch import ARCH_X86_64, ARCHES, I386, X86_64, Abi, Arch
from harness.errors import DeclarationError
from harness.landscape import STACK_TOP
from harness.suggest import nearest


@dataclass(frozen=True)
class EntryPath:
    """One way from a program into the kernel, and the contract that its registers are under.

    Attributes:
        name: what it is called everywhere; also the name of its assembly file.
        abi: the interface of the code that executes it.
        table: the interface whose system-call numbers it takes.
        arguments: the registers that carry the first to sixth argument, as the kernel's
            documentation has them; the executor's code rearranges what its path needs rearranged.
        may_clobber: general registers that the kernel may leave changed, the result's included.
        source: where that contract is written down.
        may_change_flags: the bits of the flags register that may come back changed.
        arches: the kernels that set it up at all.
    """

    name: str
    abi: Abi
    table: Abi
    arguments: tuple[str, ...]
    may_clobber: frozenset[str]
    source: str
    may_change_flags: int = 0
    arches: tuple[Arch, ...] = tuple(ARCHES.values())

    def exists_on(self, arch: Arch) -> bool:
        """Tell whether a kernel of `arch` has this way in, given the right processor."""
        return self.abi in arch.abis and arch in self.arches

    @property
    def number(self) -> str:
        """The register that carries the system-call number in and the result out."""
        return self.abi.registers[0]

    @property
    def place(self) -> int:
        """Its place among the entry paths of its ABI: what C calls ENTRY_NAME."""
        return entry_paths_of(self.abi).index(self)

    def __str__(self) -> str:
        """Return the name, which is what reports and test identifiers show."""
        return self.name


_I386_ARGUMENTS = ("ebx", "ecx", "edx", "esi", "edi", "ebp")
_COMPAT_ARGUMENTS = ("rbx", "rcx", "rdx", "rsi", "rdi", "rbp")
_X86_64_ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_EAX = frozenset({"eax"})
STATUS_FLAGS = 0x8D5
"""CF, PF, AF, ZF, SF and OF, which arithmetic sets. The kernel switches page tables between
SYSENTER and the push of the flags, so they do not survive it where page tables are isolated.
Source: arch/x86/entry/entry_64_compat.S entry_SYSENTER_compat, SWITCH_TO_KERNEL_CR3 (6.1).
"""
_VDSO32 = "arch/x86/entry/vdso/vdso32/system_call.S, 6.1"

INT80 = EntryPath(
    "int80", I386, I386, _I386_ARGUMENTS, _EAX, "arch/x86/entry/entry_32.S entry_INT80_32, 6.1"
)
KERNEL_VSYSCALL = EntryPath(
    "kernel_vsyscall", I386, I386, _I386_ARGUMENTS, _EAX, _VDSO32, STATUS_FLAGS
)
SYSENTER = EntryPath("sysenter", I386, I386, _I386_ARGUMENTS, _EAX, _VDSO32, STATUS_FLAGS)
SYSCALL32 = EntryPath(
    "syscall32", I386, I386, _I386_ARGUMENTS, _EAX, _VDSO32, arches=(ARCH_X86_64,)
)
SYSCALL = EntryPath(
    "syscall",
    X86_64,
    X86_64,
    _X86_64_ARGUMENTS,
    frozenset({"rax", "rcx", "r11"}),
    "arch/x86/entry/entry_64.S entry_SYSCALL_64, 6.1",
)
INT80_64 = EntryPath(
    "int80_64",
    X86_64,
    I386,
    _COMPAT_ARGUMENTS,
    frozenset({"rax"}),
    "arch/x86/entry/entry_64_compat.S entry_INT80_compat, 6.1",
)

FUNCTION_I386 = EntryPath(
    "function_i386",
    I386,
    I386,
    ("ebx", "ecx", "edx", "esi"),
    frozenset({"eax", "ecx", "edx"}),
    "System V ABI, i386 supplement, chapter 3: function calling sequence",
    STATUS_FLAGS,
)
FUNCTION_X86_64 = EntryPath(
    "function_x86_64",
    X86_64,
    X86_64,
    ("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    frozenset({"rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"}),
    "System V ABI, AMD64 supplement, chapter 3: function calling sequence",
    STATUS_FLAGS,
)
FUNCTIONS = (FUNCTION_I386, FUNCTION_X86_64)
"""Calls of a C function instead of the kernel, whose address travels as the number does: what a
program does with the vDSO, with the vsyscall page, and with code that a scenario brings along."""

DEFAULT_FLAGS = 0x202
"""Interrupts on, and the bit that is always one."""


@functools.cache
def default_registers(abi: Abi) -> Mapping[str, int]:
    """Return what general registers and "flags" hold at a call that does not set them.

    Values are distinct, have bits in each half, and are addresses of nothing; the stack pointer
    is a good one.
    """
    wide = 0x5EED_0000_0000_0000 if abi is X86_64 else 0
    values = {
        name: wide | 0xC0DE_0000 | 0x0101 * (place + 1) for place, name in enumerate(abi.registers)
    }
    return MappingProxyType(values | {abi.registers[7]: STACK_TOP, "flags": DEFAULT_FLAGS})


ENTRY_PATHS = {
    path.name: path for path in (INT80, KERNEL_VSYSCALL, SYSENTER, SYSCALL32, SYSCALL, INT80_64)
}

ENTRY_POINTS = ("int80", "sysenter", "syscall32", "syscall", "int80_64")
"""Names of the paths that lead to each entry point of the kernel once; kernel_vsyscall is one of
the first three, by the kernel's choice."""


def find_entry_path(name: str) -> EntryPath:
    """Return the entry path called `name`.

    Raises:
        DeclarationError: there is none; the message gives the nearest names.
    """
    if name in ENTRY_PATHS:
        return ENTRY_PATHS[name]
    raise DeclarationError(f"unknown entry path {name!r}", hint=nearest(name, ENTRY_PATHS))


def entry_paths_of(abi: Abi) -> tuple[EntryPath, ...]:
    """Return the entry paths that code of `abi` can execute, in the executor's order.

    The last one calls a function, see `FUNCTIONS`.
    """
    return tuple(path for path in (*ENTRY_PATHS.values(), *FUNCTIONS) if path.abi is abi)


def function_path(abi: Abi) -> EntryPath:
    """Return what calls a function of `abi`: its address goes where a call's number would."""
    return entry_paths_of(abi)[-1]


def entry_names_taking(table: Abi) -> tuple[str, ...]:
    """Return the names of the entry paths that take the system-call numbers of `table`."""
    return tuple(path.name for path in ENTRY_PATHS.values() if path.table is table)


def native_entry(abi: Abi) -> EntryPath:
    """Return the entry path of an ABI's plainest calls, which every processor has."""
    return INT80 if abi is I386 else SYSCALL
