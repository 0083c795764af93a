# SPDX-License-Identifier: Apache-2.0
"""Real kernels with a planted bug: a few bytes of a stock vmlinux, written over a function."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from harness.kernels import Kernel
from harness.machine.plan import MachineOptions
from harness.places import cache_dir
from harness.target.spring import start_guest

_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_FAR = 4096
_TRACER_BYTES = 5
"""The call to __fentry__, which a booting kernel itself rewrites (kernel/trace/ftrace.c)."""

OOPS = b"\x0f\x0b"
"""ud2"""
HANG = b"\xfa\xeb\xfe"
"""cli; jmp ."""
TRIPLE_FAULT = b"\x6a\x00\x6a\x00\x0f\x01\x1c\x24\x0f\x0b"
"""push 0; push 0; lidt (%rsp); ud2"""


def returning(value: int) -> bytes:
    """Return code that only returns `value`: movq $value, %rax; ret."""
    return b"\x48\xc7\xc0" + value.to_bytes(4, "little", signed=True) + b"\xc3"


@dataclass(frozen=True)
class Bug:
    """What is planted.

    Attributes:
        function: the kernel function that has the bug, by its name in kallsyms.
        code: x86-64 instructions that run first thing in it.
        instead_of: bytes of the function that `code` replaces instead, where it has them first;
            as many as `code` has. Empty: the function's beginning.
    """

    function: str
    code: bytes
    instead_of: bytes = b""


def plant(kernel: Kernel, bug: Bug, folder: Path) -> Path:
    """Write a copy of a kernel's vmlinux that has a bug.

    Args:
        kernel: a stock one, whose vmlinux has a PVH entry: booted so, it lies where it was linked.
        bug: what to plant.
        folder: where the copy goes.

    Returns:
        The copy's path, which is a kernel spec.
    """
    assert kernel.vmlinux
    assert kernel.pvh
    image = bytearray(kernel.vmlinux.read_bytes())
    offset = file_offset(kernel.vmlinux, symbols(kernel)[bug.function])
    offset += _place(bytes(image[offset : offset + _FAR]), bug)
    image[offset : offset + len(bug.code)] = bug.code
    planted = folder / f"vmlinux-{bug.function}"
    planted.write_bytes(image)
    return planted


def symbols(kernel: Kernel) -> dict[str, int]:
    """Return the addresses of a kernel's functions, asked of the kernel once and then kept."""
    kept = cache_dir() / "symbols" / f"{kernel.sha256}.kallsyms"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        scratch = kept.with_suffix(f".{os.getpid()}")
        scratch.write_bytes(read_symbols(kernel))
        scratch.replace(kept)
    rows = (line.split() for line in kept.read_text(encoding="ascii").splitlines())
    return {row[2]: int(row[0], 16) for row in rows if row[1] in "tT"}


def read_symbols(kernel: Kernel) -> bytes:
    """Boot a kernel and return its /proc/kallsyms."""
    with start_guest(kernel, MachineOptions(accelerator="tcg", boot=True)) as guest:
        guest.write_file("/proc/sys/kernel/kptr_restrict", b"0")
        return guest.read_file("/proc/kallsyms")


def file_offset(vmlinux: Path, address: int) -> int:
    """Return where in the file the byte at a virtual address lies."""
    with vmlinux.open("rb") as file:
        (offset,) = ELFFile(file).address_offsets(address)
    return int(offset)


def _place(function: bytes, bug: Bug) -> int:
    """Where the bug goes: behind what the kernel itself rewrites, or over what it replaces."""
    if not bug.instead_of:
        marker = len(_ENDBR64) if function.startswith(_ENDBR64) else 0
        return marker + _TRACER_BYTES
    assert len(bug.code) == len(bug.instead_of)
    assert bug.instead_of in function, f"{bug.function} has no {bug.instead_of.hex(' ')}"
    return function.index(bug.instead_of)
