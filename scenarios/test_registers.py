# SPDX-License-Identifier: Apache-2.0
"""What general registers hold after a call: what they held before, but for what the ABI says.

Source: the contract above each file of guest/entry/; arch/x86/entry/calling.h PUSH_REGS, POP_REGS;
entry_64.S syscall_return_via_sysret (6.1).
"""

import struct
from errno import EBADF, EFAULT, ENOSYS

import pytest

from harness.agent.calls import Call
from harness.agent.code import CODE, place_code
from harness.agent.vdso import read_vdso
from harness.entry import INT80, function_path
from harness.landscape import ARENA, HOLE

pytestmark = pytest.mark.machine(append="pti=on")

PLAIN = 0x202
DIRECTION, STATUS = 0x400, 0x8D5
CALLS = {
    "a success": (("getppid",), None),
    "an error": (("close", -1), EBADF),
    "a fault": (("read", 0, HOLE, 16), EFAULT),
    "no such call": ((0x7FFF,), ENOSYS),
    "a negative number": ((-1,), ENOSYS),
}


@pytest.mark.claim(13)
@pytest.mark.claim(17)
@pytest.mark.claim(26)
def test_no_other_register_changes(guest, entry):
    said = {kind: guest.call(entry, *call) for kind, (call, _) in CALLS.items()}
    changed = {kind: o for kind, o in said.items() if not o.clobbered <= entry.may_clobber}
    assert {kind: o.errno for kind, o in said.items()} == {k: e for k, (_, e) in CALLS.items()}
    assert changed == {}


@pytest.mark.claim(17)
@pytest.mark.room("its parent is the first process")
def test_any_value_survives_in_every_register(guest, entry):
    number, stack = guest.table(entry).number("getppid"), entry.abi.registers[7]
    names = set(entry.abi.registers) - {entry.number, stack}
    calls = [
        Call.of(entry, number, (), f"all {value:#x}", **dict.fromkeys(names, value))
        for value in (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF_FFFF_FFFF)
    ]
    said = guest.calls(calls)
    assert [outcome.value for outcome in said] == [1] * len(calls)
    assert [outcome for outcome in said if not outcome.clobbered <= entry.may_clobber] == []


@pytest.mark.claim(30)
@pytest.mark.entries("syscall")
@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("flags", [0, STATUS, DIRECTION | STATUS], ids=hex)
def test_syscall_leaves_return_address_and_flags_in_rcx_and_r11(guest, entry, kind, flags):
    said = guest.call(entry, *CALLS[kind][0], rcx=0x1111, r11=0x2222, flags=PLAIN | flags)
    assert hex(said.after["rcx"]) == hex(said.after["ip"])
    assert hex(said.after["r11"]) == hex(PLAIN | flags)


@pytest.mark.claim(30)
@pytest.mark.entries("syscall")
def test_syscall_changes_nothing_but_result_rcx_and_r11(guest, entry):
    said = guest.call(entry, "getppid", rcx=0x1111, r11=0x2222)
    assert said.changed == {"rax", "rcx", "r11"}


@pytest.mark.entries("int80_64")
@pytest.mark.parametrize("kind", CALLS)
def test_int80_leaves_the_registers_alone_that_32_bit_code_has_not(guest, entry, kind):
    upper = {f"r{n}": 0x8080_0000_0000_0000 | n for n in range(8, 16)}
    said = guest.call(entry, *CALLS[kind][0], **upper)
    assert {name: said.after[name] for name in upper} == upper


@pytest.mark.entries("int80_64")
@pytest.mark.parametrize("kind", CALLS)
def test_int80_leaves_the_upper_halves_alone(guest, entry, kind):
    call, errno = CALLS[kind]
    lower = guest.call(entry, *call).before
    wide = {name: 0xFACE_0000_0000_0000 | lower[name] & 0xFFFF_FFFF for name in entry.arguments}
    said = guest.call(entry, *call, **wide)
    assert said.errno == errno
    assert {name: hex(said.after[name]) for name in wide} == {n: hex(v) for n, v in wide.items()}


@pytest.mark.entries("syscall", "int80_64")
@pytest.mark.parametrize("kind", CALLS)
def test_no_register_brings_a_kernel_address_back(guest, entry, kind):
    said = guest.call(entry, *CALLS[kind][0])
    news = {name: said.after[name] for name in said.clobbered - {entry.number}}
    assert {name: hex(value) for name, value in news.items() if value >> 63} == {}


WIDE, NARROW = 0x33, 0x23
"""Code segments of 64 and of 32 bits. Source: asm/segment.h __USER_CS, __USER32_CS (6.1)."""
UPPER = {f"r{n}": 0x8080_0000_00C0_0000 | n << 24 for n in range(8, 16)}
EVERY_FLAG = 0x3F_FFFF
"""SYSRET takes them from r11."""


def far(address, segment):
    return address.to_bytes(4, "little") + segment.to_bytes(2, "little")


def within_wide_code(at, instructions):
    """Assemble, for 32-bit code at an address: go on in 64-bit code, and come back behind it."""
    pointer = at + 7 + len(instructions) + 7
    come_back = b"\xff\x2c\x25" + pointer.to_bytes(4, "little") + far(pointer + 6, NARROW)
    return b"\xea" + far(at + 7, WIDE) + instructions + come_back


def setting_upper():
    """Assemble moves of numbers to r8 to r15."""
    values = [value.to_bytes(8, "little") for value in UPPER.values()]
    return b"".join(bytes([0x49, 0xB8 + place]) + value for place, value in enumerate(values))


def storing_upper(at):
    """Assemble moves of r8 to r15 to eight words of memory."""
    places = [(at + 8 * place).to_bytes(4, "little") for place in range(8)]
    return b"".join(bytes([0x4C, 0x89, 8 * n + 4, 0x25]) + place for n, place in enumerate(places))


def upper_after(guest, abi, name, *arguments):
    """Return r8 to r15, which held `UPPER`, after a call that 32-bit code makes by the vDSO."""
    number = guest.table(INT80).number(name).to_bytes(4, "little")
    code = within_wide_code(CODE, setting_upper()) + b"\xb8" + number
    behind = CODE + len(code) + 5
    way = read_vdso(guest, abi).address("__kernel_vsyscall", "LINUX_2.5") - behind
    code += b"\xe8" + (way & abi.mask).to_bytes(4, "little")
    code += within_wide_code(behind, storing_upper(ARENA.start)) + b"\xc3"
    guest.call(function_path(abi), place_code(guest, abi, code), *arguments)
    return dict(zip(UPPER, struct.unpack("<8Q", guest.read(abi, ARENA.start, 64)), strict=True))


DEEP_CALLS = (("pipe", ARENA.start + 0x100), ("mmap2", 0, 4096, 1, 0x22))
"""Calls that go through enough of the kernel to use every register there."""


@pytest.mark.needs(arch="x86_64")
@pytest.mark.machine(cpu="EPYC")
@pytest.mark.abis("i386")
def test_a_fast_call_leaves_nothing_of_the_kernels_where_64_bit_code_can_look(guest, abi):
    """Source: arch/x86/entry/entry_64_compat.S sysret32_from_system_call (6.1)."""
    left = {}
    for name, *arguments in DEEP_CALLS:
        seen = upper_after(guest, abi, name, *arguments)
        seen["r11"] &= ~EVERY_FLAG
        left |= {(name, r): hex(v) for r, v in seen.items() if v not in (0, UPPER[r])}
    assert left == {}
