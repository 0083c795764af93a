# SPDX-License-Identifier: Apache-2.0
"""Where a new program's memory lies and what of it may be executed: its file and its personality.

Source: arch/x86/include/asm/elf.h elf_read_implies_exec; arch/x86/kernel/process_64.c
set_personality_64bit, set_personality_ia32; arch/x86/mm/mmap.c mmap_base; fs/exec.c
setup_arg_pages (5.10, 6.1).
"""

import struct

import pytest

from harness.agent.ptrace import CALL_STOP, Request, plain_name
from harness.agent.puppet import INSTRUCTIONS, start_puppet
from harness.arch import I386

pytestmark = pytest.mark.room("the root folder is a guest's")

READ_IMPLIES_EXEC, FIXED, BOTTOM_UP, LIMIT_3GB = 0x400000, 0x40000, 0x200000, 0x8000000
LOAD, GNU_STACK = 1, 0x6474E551
READ_EXECUTE, READ_WRITE, ALL = 5, 6, 7
START, ENTRY, BYTES = 0x40_0000, 0x100, 0x1000
NEAR_BYTES = 1 << 20
"""How far from where its room begins the first mapping may be: the kernel's own are there."""


def least_program(abi, stack):
    """Return an ELF file: two calls, and what it says of its stack; nothing when that is None."""
    wide = abi is not I386
    word, head, segment = ("Q", 64, 56) if wide else ("I", 52, 32)
    content = b"\x7fELF" + bytes([1 + wide, 1, 1]) + bytes(9)
    content += struct.pack("<HHI", 2, 62 if wide else 3, 1)
    content += struct.pack(f"<3{word}", START + ENTRY, head, 0)
    content += struct.pack("<I6H", 0, head, segment, 2, 0, 0, 0)
    for kind, flags, at, size in (
        (LOAD, READ_EXECUTE, START, BYTES),
        (0 if stack is None else GNU_STACK, stack or 0, 0, 0),
    ):
        first, last = ((flags,), ()) if wide else ((), (flags,))
        content += struct.pack(f"<{1 + len(first)}I", kind, *first)
        content += struct.pack(f"<5{word}", 0, at, at, size, size)
        content += struct.pack(f"<{len(last)}I{word}", *last, 0x1000)
    calls = 2 * INSTRUCTIONS["syscall" if wide else "int80"]
    return (content.ljust(ENTRY, b"\0") + calls).ljust(BYTES, b"\xcc")


def path_of(stack):
    return f"/least.{stack}"


@pytest.fixture
def puppet(guest, abi):
    """Give a traced process of `abi` that stands before two calls, and what it may become."""
    for stack in (None, READ_WRITE, ALL):
        guest.write_file(path_of(stack), least_program(abi, stack), 0o755)
    with start_puppet(guest, abi) as puppet:
        puppet.send_to(2 * INSTRUCTIONS[puppet.own_entry.name])
        yield puppet


def make_call(puppet, name, *arguments):
    """Have it make the call before which it stands, and return the result."""
    order = map(plain_name, puppet.own_entry.arguments)
    given = dict(zip(order, (*arguments, *bytes(6 - len(arguments))), strict=True))
    puppet.set_registers(ax=puppet.number(puppet.own_entry, name), **given)
    assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP, CALL_STOP]
    return puppet.registers()["ax"]


def become(guest, puppet, stack=READ_WRITE):
    """Have it become the least program; return its stack's end and rights, and personality."""
    at = puppet.registers()["sp"] - 0x100
    puppet.write(at, path_of(stack).encode() + b"\0")
    assert make_call(puppet, "execve", at) == 0
    maps = guest.read_file(f"/proc/{puppet.pid}/maps").decode().splitlines()
    (where,) = (line.split() for line in maps if line.endswith("[stack]"))
    told = int(guest.read_file(f"/proc/{puppet.pid}/personality"), 16)
    return int(where[0].split("-")[1], 16), where[1], told


def test_a_stack_is_executable_where_the_file_says_so_or_an_old_one_nothing(guest, puppet):
    """And where a 32-bit one says nothing, whatever can be read from then on."""
    old = READ_IMPLIES_EXEC if puppet.abi is I386 else 0
    expected = {
        "without": (READ_WRITE, "rw-p", 0),
        "with": (ALL, "rwxp", 0),
        "no word": (None, "rwxp" if old else "rw-p", old),
    }
    seen = {
        says: (stack, *become(guest, puppet, stack)[1:]) for says, (stack, *_) in expected.items()
    }
    assert seen == expected


LAST = {("i386", "i386"): 0xC000_0000, ("x86_64", "i386"): 0xFFFF_E000}
"""By the kernel's architecture and the program's ABI: where its addresses end."""


def test_memory_lies_where_the_personality_says(guest, puppet):
    """At 3 GiB for 32-bit programs; 64-bit ones forget that to read is to execute."""
    end = LAST.get((guest.identity.arch.name, puppet.abi.name), 0x7FFF_FFFF_F000)
    short, kept = (0xC000_0000, READ_IMPLIES_EXEC) if puppet.abi is I386 else (end, 0)
    name = "mmap2" if puppet.abi is I386 else "mmap"
    below = short - (128 << 20) - NEAR_BYTES
    for personality, last, told, first in (
        (FIXED | LIMIT_3GB | READ_IMPLIES_EXEC, short, FIXED | LIMIT_3GB | kept, below),
        (FIXED | BOTTOM_UP, end, FIXED | BOTTOM_UP, (end // 3 + 0xFFF) & ~0xFFF),
    ):
        make_call(puppet, "personality", personality)
        stack = become(guest, puppet)
        assert (hex(stack[0]), hex(stack[2])) == (hex(last), hex(told))
        at = make_call(puppet, name, 0, 4096, 3, 0x22, 0xFFFF_FFFF, 0)
        assert first <= at < first + NEAR_BYTES, f"{hex(at)} is not near {hex(first)}"
        puppet.set_registers(ip=START + ENTRY)
