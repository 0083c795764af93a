# SPDX-License-Identifier: Apache-2.0
"""What is fixed by an architecture or a binary interface, one frozen record each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Abi:
    """One binary interface between programs and the kernel.

    Attributes:
        name: "i386" or "x86_64".
        bits: the width of a general register.
        registers: general registers in the order in which the executor reports them.
        elf_machine: ``e_machine`` of its programs, by pyelftools' name.
        compiler_flag: what makes gcc and clang compile for it.
        linker_emulation: what ``ld -m`` calls it.
        mmap: the call that maps memory and takes six arguments; i386's mmap takes one pointer.
    """

    name: str
    bits: int
    registers: tuple[str, ...]
    elf_machine: str
    compiler_flag: str
    linker_emulation: str
    mmap: str

    @property
    def mask(self) -> int:
        """All bits of a general register set."""
        return (1 << self.bits) - 1

    @property
    def word_bytes(self) -> int:
        """How many bytes a register, a pointer or a C `long` has."""
        return self.bits // 8

    def words(self, *values: int) -> bytes:
        """Return values as they lie in memory, each as wide as a pointer; negative ones wrap."""
        return b"".join((v & self.mask).to_bytes(self.word_bytes, "little") for v in values)

    def signed(self, value: int) -> int:
        """Read a register's bits as a two's complement number."""
        return value - (1 << self.bits) if value >> (self.bits - 1) else value

    def __str__(self) -> str:
        """Return the name, which is what reports and test identifiers show."""
        return self.name


I386 = Abi(
    name="i386",
    bits=32,
    registers=("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp"),
    elf_machine="EM_386",
    compiler_flag="-m32",
    linker_emulation="elf_i386",
    mmap="mmap2",
)

X86_64 = Abi(
    name="x86_64",
    bits=64,
    registers=(
        *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"),
        *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
    ),
    elf_machine="EM_X86_64",
    compiler_flag="-m64",
    linker_emulation="elf_x86_64",
    mmap="mmap",
)


@dataclass(frozen=True)
class Arch:
    """What a kernel was built for.

    Attributes:
        name: the second half of a spec, "i386" or "x86_64".
        abis: the interfaces that its programs can use, its own first.
        debian: what Debian calls it.
    """

    name: str
    abis: tuple[Abi, ...]
    debian: str

    @property
    def abi(self) -> Abi:
        """The kernel's own interface, which the agent in its guests uses."""
        return self.abis[0]

    def __str__(self) -> str:
        """Return the name."""
        return self.name


ARCH_I386 = Arch("i386", (I386,), "i386")
ARCH_X86_64 = Arch("x86_64", (X86_64, I386), "amd64")

ABIS = {abi.name: abi for abi in (I386, X86_64)}
ARCHES = {arch.name: arch for arch in (ARCH_I386, ARCH_X86_64)}
