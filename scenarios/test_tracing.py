# SPDX-License-Identifier: Apache-2.0
"""What a tracer sees of a call, and what it can change, through every entry path.

Source: kernel/entry/common.c syscall_trace_enter, syscall_exit_work; arch/x86/kernel/ptrace.c;
kernel/ptrace.c (6.1); man 2 ptrace.
"""

from errno import ENOSYS
from os import O_RDONLY

import pytest

from harness.agent.puppet import CALL_STOP, TRAP_STOP, Request, plain_name, start_puppet
from harness.entry import KERNEL_VSYSCALL, SYSCALL

FAST = ("kernel_vsyscall", "sysenter", "syscall32")
PLAIN = ("int80", "syscall", "int80_64")
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
PAGE = 4096
WHERE = 0x2E00_0000


@pytest.fixture
def puppet(guest, entry):
    """Give a process that is traced by one of the kernel's own ABI."""
    with start_puppet(guest, entry.abi) as puppet:
        yield puppet


def arguments_seen(entry, registers):
    return [registers[plain_name(name)] for name in entry.arguments]


@pytest.mark.claim(56)
def test_a_call_stops_once_at_its_entry_and_once_at_its_exit(puppet, entry):
    puppet.prepare(entry, "getppid")
    assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, CALL_STOP, TRAP_STOP]


@pytest.mark.claim(56)
def test_the_entry_stop_shows_number_arguments_and_enosys(puppet, entry):
    puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16)
    puppet.resume(Request.SYSCALL)
    seen = puppet.registers()
    assert seen["orig_ax"] == puppet.number(entry, "getppid")
    assert seen["ax"] == -ENOSYS & puppet.view.mask
    assert arguments_seen(entry, seen) == [11, 12, 13, 14, 15, 16]


@pytest.mark.claim(35)
@pytest.mark.entries(*PLAIN)
def test_the_entry_stop_shows_every_other_register_as_it_was(puppet, entry):
    values = puppet.prepare(entry, "getppid", flags=0xAD7)
    puppet.resume(Request.SYSCALL)
    seen = puppet.registers()
    landed = puppet.strings.landed[entry.name]
    after_syscall = {"cx": landed, "r11": 0xAD7} if entry is SYSCALL else {}
    expected = values | after_syscall | {"ip": landed, "ax": -ENOSYS & puppet.view.mask}
    assert {name: seen[name] for name in expected} == expected


@pytest.mark.claim(22)
@pytest.mark.entries(*FAST)
def test_the_entry_stop_of_a_fast_call_is_at_an_int80_with_the_callers_registers(puppet, entry):
    values = puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16)
    puppet.resume(Request.SYSCALL)
    seen = puppet.registers()
    pushed = values["sp"] - seen["sp"]
    kept = {name: seen[name] for name in ("bx", "cx", "dx", "si", "di", "bp")}
    assert kept == {name: values[name] for name in kept}
    assert pushed == 16 or (entry is KERNEL_VSYSCALL and pushed == 4)
    assert puppet.read(seen["ip"] - 2, 2) == b"\xcd\x80"


def test_the_segments_seen_at_a_stop_are_the_programs_own(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    seen = puppet.registers()
    list(puppet.stops(Request.SYSCALL))
    found = puppet.after()
    assert {name: seen[name] for name in SEGMENTS} == {name: found[name] for name in SEGMENTS}


@pytest.mark.claim(56)
def test_the_exit_stop_shows_the_result_and_nothing_else_has_changed(puppet, entry):
    puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16)
    puppet.resume(Request.SYSCALL)
    at_entry = puppet.registers()
    puppet.resume(Request.SYSCALL)
    assert puppet.registers() == at_entry | {"ax": 1}


def test_the_program_finds_its_registers_as_the_exit_stop_showed_them(puppet, entry):
    values = puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16)
    *_, _ = puppet.stops(Request.SYSCALL)
    found = puppet.after()
    landed = puppet.strings.landed[entry.name]
    free = {"cx", "r11"} if entry is SYSCALL else {"flags"} if entry.name in FAST else set()
    expected = values | {"ax": 1, "ip": landed}
    assert {n: found[n] for n in expected if n not in free} == {
        n: expected[n] for n in expected if n not in free
    }


def test_a_number_changed_at_the_entry_makes_another_call(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    puppet.set_registers(orig_ax=puppet.number(entry, "getpid"))
    list(puppet.stops(Request.SYSCALL))
    assert puppet.after()["ax"] == puppet.pid


def test_arguments_changed_at_the_entry_are_those_of_the_call(guest, puppet, entry):
    guest.write_file("/numbered", b"".join(bytes([page]) * PAGE for page in range(8)))
    name, unit = ("mmap2", 1) if entry.table.name == "i386" else ("mmap", PAGE)
    puppet.write(puppet.strings.stage, b"/numbered\0")
    wrong, fd = (puppet.call(entry, "open", puppet.strings.stage, O_RDONLY) for _ in range(2))
    puppet.call(entry, "close", wrong)
    puppet.prepare(entry, name, 1, 1, 0, 0, wrong, 3 * unit)
    puppet.resume(Request.SYSCALL)
    changed = (WHERE, 2 * PAGE, 1, 0x12, fd, 5 * unit)
    puppet.set_registers(**dict(zip(map(plain_name, entry.arguments), changed, strict=True)))
    list(puppet.stops(Request.SYSCALL))
    assert puppet.after()["ax"] == WHERE
    assert puppet.read(WHERE, 2 * PAGE) == b"\5" * PAGE + b"\6" * PAGE


def test_a_result_changed_at_the_exit_is_what_the_program_gets(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    puppet.resume(Request.SYSCALL)
    puppet.set_registers(ax=0x5EED_C0DE)
    puppet.resume()
    assert puppet.after()["ax"] == 0x5EED_C0DE


@pytest.mark.entries(*PLAIN)
def test_every_register_set_at_the_exit_arrives(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    puppet.resume(Request.SYSCALL)
    general = [plain_name(name) for name in entry.abi.registers]
    chosen = {name: 0x0BAD_0000 + place for place, name in enumerate(general)}
    chosen |= {"sp": puppet.strings.stage + 0x8000, "flags": 0x8D7 | 0x202}
    puppet.set_registers(**chosen)
    puppet.resume()
    found = puppet.after()
    assert {name: found[name] for name in chosen} == chosen


@pytest.mark.parametrize("left", [None, 77], ids=["untouched", "77"])
def test_a_call_skipped_at_its_entry_returns_what_ax_was_left_as(puppet, entry, left):
    old = puppet.call(entry, "umask", 0o22)
    puppet.prepare(entry, "umask", 0o77)
    puppet.resume(Request.SYSCALL)
    puppet.set_registers(orig_ax=-1, **({} if left is None else {"ax": left}))
    assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, TRAP_STOP]
    expected = -ENOSYS if left is None else left
    assert entry.abi.signed(puppet.after()["ax"]) == expected
    assert puppet.call(entry, "umask", old) == 0o22


@pytest.mark.parametrize("number", [0x7FF, 0x7FFF_FFFF, -2, -4096])
def test_a_number_past_the_table_set_at_the_entry_is_enosys(puppet, entry, number):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    puppet.set_registers(orig_ax=number)
    assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, TRAP_STOP]
    assert entry.abi.signed(puppet.after()["ax"]) == -ENOSYS
