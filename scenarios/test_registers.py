# SPDX-License-Identifier: Apache-2.0
"""What general registers hold after a call: what they held before, but for what the ABI says.

Source: the contract above each file of guest/entry/; arch/x86/entry/calling.h PUSH_REGS, POP_REGS;
entry_64.S syscall_return_via_sysret (6.1).
"""

from errno import EBADF, EFAULT, ENOSYS

import pytest

from harness.agent.calls import Call
from harness.landscape import HOLE

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
