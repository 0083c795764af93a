# SPDX-License-Identifier: Apache-2.0
"""Segments that are changed while registers hold them, handed on to a child, or not there.

Source: arch/x86/kernel/tls.c do_set_thread_area; arch/x86/kernel/ldt.c refresh_ldt_segments,
ldt_dup_context; arch/x86/kernel/traps.c exc_segment_not_present, exc_stack_segment (6.1).

The emulator's, not the kernel's: in long mode TCG 7.2 still counts from the base that ds has in a
32-bit program, which ends in an oops. No base is given to ds here.
"""

import struct
from errno import EINVAL, EIO
from signal import SIGBUS, SIGTRAP

import pytest

from harness.agent.arguments import At, Buffer
from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import INT3, load_word, start_puppet
from harness.arch import ARCH_I386, I386
from harness.entry import INT80, INT80_64
from harness.landscape import ARENA

ASKED, AREA, BEFORE, AFTER = 0x1000, 0x1100, 0x2000, 0x2100
FLAT, ABSENT = 0x51, 0x71
"""Flags of struct user_desc: 32 bits, its limit in pages, usable; and the same, not present."""
LIMIT = 0xFFFFF
READ, WRITE, LDT_SELECTOR = 0, 0x11, 7
ROOM = ARENA.start + 0x1000
LOAD = {"ds": b"\x8e\xd8", "es": b"\x8e\xc0", "fs": b"\x8e\xe0", "gs": b"\x8e\xe8"}  # from %eax
PREFIX = {"es": b"\x26", "fs": b"\x64", "gs": b"\x65"}
SI_KERNEL, EVENT_FORK = 0x80, 1
NT_386_TLS = 0x200


@pytest.fixture
def puppet(guest, abi):
    """Give a process of `abi` that is traced by one of the kernel's own."""
    with start_puppet(guest, abi) as puppet:
        yield puppet


def descriptor(number, base, flags=FLAT):
    return struct.pack("<IIII", number, base, LIMIT, flags)


def first_of_gdt(guest):
    return 6 if guest.identity.arch is ARCH_I386 else 12


def change_and_read(puppet, register, selector, call):
    """Assemble: load a segment, make a call by int80, read a word by the segment.

    The call's arguments are already in ebx, ecx and edx.
    """
    read = load_word(puppet.abi, prefix=PREFIX[register])
    number = b"\xb8" + call.to_bytes(4, "little")
    load = b"\xb8" + selector.to_bytes(4, "little") + LOAD[register]
    return load + number + b"\xcd\x80" + read + INT3


def prepare(puppet, asked):
    """Put what is asked for on the stage, and a word where the segment starts before and after."""
    puppet.write(puppet.strings.stage + ASKED, asked)
    puppet.write(puppet.strings.stage + BEFORE, b"old.")
    puppet.write(puppet.strings.stage + AFTER, b"new.")
    puppet.go_home()


def word_read(puppet, code, **registers):
    puppet.send_to(code, **registers)
    assert puppet.resume() == TRAP_STOP
    return (puppet.registers()["ax"] & 0xFFFF_FFFF).to_bytes(4, "little")


def test_a_register_that_holds_a_thread_local_entry_follows_its_change(guest, puppet):
    entry = INT80 if puppet.abi is I386 else INT80_64
    number, stage = first_of_gdt(guest) + 1, puppet.strings.stage
    seen = {}
    for register in ("es", "fs", "gs") if puppet.abi is I386 else ("fs", "gs"):
        prepare(puppet, descriptor(number, stage + BEFORE))
        assert puppet.call(entry, "set_thread_area", stage + ASKED) == 0
        puppet.write(stage + ASKED, descriptor(number, stage + AFTER))
        call = puppet.number(entry, "set_thread_area")
        code = change_and_read(puppet, register, number * 8 + 3, call)
        seen[register] = word_read(puppet, code, bx=stage + ASKED)
    assert seen == dict.fromkeys(seen, b"new.")


@pytest.mark.abis("i386")
def test_a_register_that_holds_an_entry_of_the_ldt_follows_its_change(puppet):
    stage = puppet.strings.stage
    prepare(puppet, descriptor(0, stage + BEFORE))
    assert puppet.call(INT80, "modify_ldt", WRITE, stage + ASKED, 16) == 0
    puppet.write(stage + ASKED, descriptor(0, stage + AFTER))
    code = change_and_read(puppet, "es", LDT_SELECTOR, puppet.number(INT80, "modify_ldt"))
    assert word_read(puppet, code, bx=WRITE, cx=stage + ASKED, dx=16) == b"new."


NOTHING = 0x28
"""Flags of an entry that says nothing: not present, to be read only."""
STORE = {"ds": b"\x8c\xd8", "es": b"\x8c\xc0", "fs": b"\x8c\xe0", "gs": b"\x8c\xe8"}  # to %eax


@pytest.mark.abis("i386")
def test_a_register_whose_thread_local_entry_was_taken_away_is_null(guest, puppet):
    """On the way out by IRET: entry_32.S RESTORE_REGS; tls.c do_set_thread_area."""
    number, at, seen = first_of_gdt(guest) + 1, puppet.strings.stage + ASKED, {}
    call = b"\xb8" + puppet.number(INT80, "set_thread_area").to_bytes(4, "little") + b"\xcd\x80"
    for register, store in STORE.items():
        prepare(puppet, descriptor(number, 0))
        assert puppet.call(INT80, "set_thread_area", at) == 0
        puppet.write(at, struct.pack("<IIII", number, 0, 0, NOTHING))
        puppet.send_to(call + store + INT3, bx=at, **{register: number * 8 + 3})
        assert puppet.resume() == TRAP_STOP, register
        seen[register] = puppet.registers()[register], puppet.registers()["ax"]
    assert seen == dict.fromkeys(STORE, (0, 0))


@pytest.mark.abis("i386")
@pytest.mark.entries("kernel_vsyscall", "sysenter", "syscall32")
def test_a_fast_call_that_takes_the_entry_of_fs_or_gs_away_leaves_null(guest, entry, puppet):
    """On the way out by SYSEXIT: entry_32.S entry_SYSENTER_32."""
    number, at, seen = first_of_gdt(guest) + 1, puppet.strings.stage + ASKED, {}
    for register in ("fs", "gs"):
        prepare(puppet, descriptor(number, 0))
        assert puppet.call(INT80, "set_thread_area", at) == 0
        puppet.set_registers(**{register: number * 8 + 3})
        puppet.write(at, struct.pack("<IIII", number, 0, 0, NOTHING))
        puppet.prepare(entry, "set_thread_area", at)
        assert puppet.resume() == TRAP_STOP, register
        seen[register] = puppet.after()[register]
    assert seen == {"fs": 0, "gs": 0}


CODE_FLAGS = FLAT | 4
"""The same for code."""


@pytest.mark.abis("i386")
@pytest.mark.entries("int80", "kernel_vsyscall", "sysenter", "syscall32")
def test_code_and_stack_segments_set_at_a_calls_exit_are_the_programs(entry, puppet):
    """SYSEXIT and SYSRET know only one of each: arch/x86/entry/common.c do_fast_syscall_32."""
    seen = {}
    for register, flags in (("ss", FLAT), ("cs", CODE_FLAGS)):
        prepare(puppet, descriptor(0, 0, flags))
        assert puppet.call(INT80, "modify_ldt", WRITE, puppet.strings.stage + ASKED, 16) == 0
        puppet.prepare(entry, "getppid")
        assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2
        puppet.set_registers(**{register: LDT_SELECTOR})
        assert puppet.resume() == TRAP_STOP
        seen[register] = puppet.registers()[register]
    assert seen == {"ss": LDT_SELECTOR, "cs": LDT_SELECTOR}


@pytest.mark.machine(cpu="EPYC")
@pytest.mark.needs(arch="x86_64")
@pytest.mark.abis("i386")
@pytest.mark.parametrize("register", ["fs", "gs"])
def test_a_selector_that_a_narrow_tracer_sets_brings_its_base(guest, abi, register):
    """Where programs set bases themselves. Source: arch/x86/kernel/ptrace.c putreg32 (6.1)."""
    with start_puppet(guest, abi, INT80) as puppet:
        number = first_of_gdt(guest) + 1
        prepare(puppet, descriptor(number, puppet.strings.stage + AFTER))
        assert puppet.call(INT80, "set_thread_area", puppet.strings.stage + ASKED) == 0
        read = load_word(abi, prefix=PREFIX[register])
        assert word_read(puppet, read + INT3, **{register: number * 8 + 3}) == b"new."


def ldt_of(process):
    at = process.strings.stage + AREA
    process.write(at, bytes(16))
    process.call(process.own_entry, "modify_ldt", READ, at, 16)
    return process.read(at, 16)


def test_a_child_has_its_parents_ldt_and_its_own_from_then_on(guest, abi):
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, abi, options=options) as puppet:
        at = puppet.strings.stage + ASKED
        puppet.write(at, descriptor(1, 0x1234_5000))
        assert puppet.call(puppet.own_entry, "modify_ldt", WRITE, at, 16) == 0
        puppet.prepare(puppet.own_entry, "fork")
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_FORK)
        child = puppet.follow_child()
        child.resume()
        puppet.resume()
        parents = ldt_of(puppet)
        assert parents[8:] != bytes(8)
        assert ldt_of(child) == parents
        child.write(at, descriptor(0, 0x5000))
        assert child.call(child.own_entry, "modify_ldt", WRITE, at, 16) == 0
        assert ldt_of(puppet) == parents
        assert ldt_of(child)[8:] == parents[8:]
        child.kill()


def test_a_segment_that_is_not_there_is_sigbus(puppet):
    stage, seen = puppet.strings.stage, {}
    puppet.write(stage + ASKED, descriptor(0, 0, ABSENT))
    assert puppet.call(puppet.own_entry, "modify_ldt", WRITE, stage + ASKED, 16) == 0
    for name, code in {**LOAD, "ss": b"\x8e\xd0"}.items():
        puppet.send_to(code + INT3, ax=LDT_SELECTOR)
        assert puppet.resume() == Status.stopped(SIGBUS), name
        seen[name] = puppet.siginfo(), puppet.registers()["ip"] - stage
    assert seen == dict.fromkeys(seen, ((SIGBUS, 0, SI_KERNEL), 0))


def test_a_tracer_is_shown_and_sets_thread_local_entries(guest, puppet):
    number, at = first_of_gdt(guest) + 2, puppet.strings.stage + ASKED
    entry = INT80 if puppet.abi is I386 else INT80_64
    asked, other = (descriptor(number, base) for base in (0x9ABC_DEF1, 0x1234_5000))
    puppet.write(at, asked)
    assert puppet.call(entry, "set_thread_area", at) == 0
    said = puppet.ptrace(Request.GET_THREAD_AREA, number, Buffer(24))
    assert (said.value, said.memory) == (0, (asked + b"\xa5" * 8,))
    assert puppet.ptrace(Request.SET_THREAD_AREA, number, other).value == 0
    assert puppet.call(entry, "get_thread_area", at) == 0
    assert puppet.read(at, 16) == other


@pytest.mark.machine
@pytest.mark.machine(cpu="IvyBridge", arch="x86_64")
@pytest.mark.parametrize("register", ["fs", "gs"])
def test_a_register_addresses_by_the_thread_local_entry_that_its_tracer_set(
    guest, puppet, register
):
    """The second processor has bases apart from entries, and both must be changed."""
    number, stage = first_of_gdt(guest), puppet.strings.stage
    for place, content in ((BEFORE, b"abcd"), (AFTER, b"efgh")):
        puppet.write(stage + place, content)
    before, after = (descriptor(number, stage + place) for place in (BEFORE, AFTER))
    assert puppet.ptrace(Request.SET_THREAD_AREA, number, before).value == 0
    read = load_word(puppet.abi, prefix=PREFIX[register]) + INT3
    puppet.send_to(LOAD[register] + read + read, ax=number * 8 + 3)
    found = {}
    for what, entry in (("where it was", None), ("where its tracer put it", after)):
        if entry:
            assert puppet.ptrace(Request.SET_THREAD_AREA, number, entry).value == 0
        assert puppet.resume() == TRAP_STOP
        found[what] = puppet.registers()["ax"].to_bytes(8, "little")[:4]
    assert found == {"where it was": b"abcd", "where its tracer put it": b"efgh"}


def test_a_tracer_names_a_thread_local_entry_by_its_number(guest, puppet):
    first = first_of_gdt(guest)
    cases = {-1: EIO, -(1 << 31): EIO, 0: EINVAL, first - 1: EINVAL, first + 3: EINVAL, first: None}
    seen = {}
    for number in cases:
        other = descriptor(first, 0x5000)
        ways = ((Request.SET_THREAD_AREA, other), (Request.GET_THREAD_AREA, At(ROOM, other)))
        seen[number] = [puppet.ptrace(way, number, place).errno for way, place in ways]
    assert seen == {number: [error] * 2 for number, error in cases.items()}


@pytest.mark.abis("i386")
def test_the_set_of_thread_local_entries_has_all_three(guest, puppet):
    number, at = first_of_gdt(guest), puppet.strings.stage + ASKED
    three = [descriptor(number + place, 0x1000 * place + 0x5000) for place in range(3)]
    for one in three:
        puppet.write(at, one)
        assert puppet.call(INT80, "set_thread_area", at) == 0
    said = puppet.regset(Request.GETREGSET, NT_386_TLS, Buffer(64), 64)
    assert (said.errno, said.size_bytes, said.content) == (None, 48, b"".join(three) + b"\xa5" * 16)
    changed = descriptor(number, 0x7000)
    assert puppet.regset(Request.SETREGSET, NT_386_TLS, changed, 16).errno is None
    said = puppet.regset(Request.GETREGSET, NT_386_TLS, Buffer(48), 48)
    assert said.content == changed + b"".join(three[1:])
