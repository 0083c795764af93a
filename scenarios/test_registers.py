# SPDX-License-Identifier: Apache-2.0
"""What registers and flags hold after a call: what they held before, but for what the ABI says.

Source: the contract above each file of guest/entry/; arch/x86/entry/calling.h (6.1).
"""

from errno import EBADF, EFAULT, ENOSYS

import pytest

from harness.landscape import HOLE
from harness.wire import SEGMENTS

DIRECTION, ALIGNMENT, IDENTIFICATION, STATUS = 0x400, 0x40000, 0x200000, 0x8D5

CALLS = {
    "a success": (("getppid",), None),
    "an error": (("close", -1), EBADF),
    "a fault": (("read", 0, HOLE, 16), EFAULT),
    "no such call": ((0x7FFF,), ENOSYS),
}


@pytest.mark.claim(17)
@pytest.mark.claim(26)
@pytest.mark.parametrize("kind", CALLS)
def test_no_other_register_changes(guest, entry, kind):
    call, errno = CALLS[kind]
    said = guest.call(entry, *call)
    assert said.errno == errno
    assert said.clobbered <= entry.may_clobber


@pytest.mark.parametrize("value", [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF_FFFF_FFFF])
def test_any_value_survives_in_every_register(guest, entry, value):
    stack = entry.abi.registers[7]
    others = {name: value for name in entry.abi.registers if name not in (entry.number, stack)}
    said = guest.call(entry, "getppid", **others)
    assert said.value == 1
    assert said.clobbered <= entry.may_clobber


@pytest.mark.parametrize("flag", [0, DIRECTION, ALIGNMENT, IDENTIFICATION, STATUS])
def test_flags_come_back_as_they_were(guest, entry, flag):
    said = guest.call(entry, "getppid", flags=0x202 | flag)
    assert said.value == 1
    assert (said.before["flags"] ^ said.after["flags"]) & ~entry.may_change_flags == 0


def test_segment_registers_come_back_as_they_were(guest, entry):
    assert not guest.call(entry, "getppid").changed & set(SEGMENTS)


@pytest.mark.claim(30)
@pytest.mark.entries("syscall")
@pytest.mark.parametrize("flags", [0x202, 0x202 | STATUS, 0x202 | DIRECTION])
def test_syscall_leaves_return_address_and_flags_in_rcx_and_r11(guest, entry, flags):
    said = guest.call(entry, "getppid", flags=flags)
    assert said.after["rcx"] == said.after["ip"]
    assert said.after["r11"] == flags


@pytest.mark.entries("syscall", "int80_64")
def test_no_register_brings_a_kernel_address_back(guest, entry):
    said = guest.call(entry, "getppid")
    values = [said.after[name] for name in entry.abi.registers]
    assert not [hex(value) for value in values if value >> 63]
