# SPDX-License-Identifier: Apache-2.0
"""Segments that a program makes for itself: LDT, thread-local entries of the GDT, bases.

Source: arch/x86/kernel/ldt.c, tls.c, process_64.c do_arch_prctl_64; arch/x86/include/asm/desc.h
fill_ldt, LDT_empty (6.1); man 2 modify_ldt, set_thread_area, arch_prctl.
"""

import struct
from dataclasses import dataclass, replace
from errno import EFAULT, EINVAL, ENOSYS, EPERM, ESRCH
from signal import SIGILL

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import TRAP_STOP, Option, Status
from harness.agent.puppet import INSTRUCTIONS, INT3, load_word, start_puppet
from harness.arch import I386
from harness.entry import INT80, INT80_64, SYSCALL
from harness.landscape import EDGE, HOLE, UNTOUCHED

READ, WRITE_OLD, READ_DEFAULT, WRITE = 0, 1, 2, 0x11
LDT_BYTES = 0x10000
ENTRIES_32 = ("int80", "int80_64")


@dataclass(frozen=True)
class Descriptor:
    """What a program asks for in ``struct user_desc``, but for the entry's number."""

    base: int = 0x3000_2000
    limit: int = 0xFFF
    wide: bool = True
    contents: int = 0
    read_only: bool = False
    in_pages: bool = False
    absent: bool = False
    useable: bool = False

    def asked(self, number):
        """Return it as a program asks for it."""
        bits = (self.wide, self.read_only << 3, self.in_pages << 4, self.absent << 5)
        flags = sum(bits) | self.contents << 1 | self.useable << 6
        return struct.pack("<IIII", number & 0xFFFF_FFFF, self.base, self.limit, flags)

    @property
    def made(self):
        """The descriptor that a processor is to find. Source: Intel SDM volume 3, 3.4.5."""
        kind = (not self.read_only) << 1 | self.contents << 2 | 1
        access = kind | 0xF0 & ~(self.absent << 7)
        flags = self.useable | self.wide << 2 | self.in_pages << 3
        low = (self.base & 0xFFFF) << 16 | self.limit & 0xFFFF
        high = self.base & 0xFF00_0000 | flags << 20 | self.limit & 0xF0000
        return struct.pack("<II", low, high | access << 8 | self.base >> 16 & 0xFF)


DESCRIPTORS = {
    "data": Descriptor(),
    "whole base and limit": Descriptor(base=0x9ABC_DEF1, limit=0xF5A5A, useable=True),
    "pages": Descriptor(limit=0xFFFFF, in_pages=True),
    "read-only": Descriptor(read_only=True),
    "stack": Descriptor(contents=1),
    "code": Descriptor(contents=2),
    "execute-only": Descriptor(contents=2, read_only=True),
    "conforming, absent": Descriptor(contents=3, absent=True),
    "absent": Descriptor(absent=True),
    "16-bit": Descriptor(wide=False),
}


@pytest.fixture
def puppet(guest, abi):
    """Give a process of `abi` that is traced by one of the kernel's own."""
    with start_puppet(guest, abi) as puppet:
        yield puppet


def modify(guest, entry, function, what, size):
    """Its result is an int, and the rest of a wider register is zeros. Source: ldt.c (6.1)."""
    value = guest.call(entry, "modify_ldt", function, what, size).value
    if entry.abi is I386:
        return value
    assert value >> 32 == 0
    return value - (value >> 31 << 32)


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_a_process_has_no_ldt_at_first(guest, entry):
    said = guest.call(entry, "modify_ldt", READ, Buffer(64), 64)
    assert (said.value, said.memory[0]) == (0, b"\xa5" * 64)


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_an_ldt_holds_what_was_asked_for(guest, entry):
    for number, descriptor in enumerate(DESCRIPTORS.values()):
        assert modify(guest, entry, WRITE, descriptor.asked(number), 16) == 0
    said = guest.call(entry, "modify_ldt", READ, Buffer(256), 128)
    made = b"".join(descriptor.made for descriptor in DESCRIPTORS.values())
    assert said.value == 128
    found = dict(zip(DESCRIPTORS, pieces(said.memory[0]), strict=False))
    assert found == {name: descriptor.made for name, descriptor in DESCRIPTORS.items()}
    assert said.memory[0] == made.ljust(128, b"\0") + b"\xa5" * 128


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_the_old_way_of_writing_an_ldt_knows_no_bit_of_the_programs_own(guest, entry):
    descriptor = Descriptor(useable=True)
    assert modify(guest, entry, WRITE_OLD, descriptor.asked(0), 16) == 0
    said = guest.call(entry, "modify_ldt", READ, Buffer(8), 8)
    assert said.memory[0] == replace(descriptor, useable=False).made


def pieces(table):
    return [table[at : at + 8] for at in range(0, len(table), 8)]


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_part_of_an_ldt_is_given(guest, entry):
    assert modify(guest, entry, WRITE, Descriptor().asked(0), 16) == 0
    said = guest.call(entry, "modify_ldt", READ, Buffer(16), 5)
    assert (said.value, said.memory[0]) == (5, Descriptor().made[:5] + b"\xa5" * 11)
    assert modify(guest, entry, READ, HOLE, 16) == -EFAULT
    assert modify(guest, entry, READ, EDGE.end - 8, 9) == -EFAULT, "no room for zeros behind it"
    assert modify(guest, entry, READ, EDGE.end - 8, 8) == 8


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_the_last_entry_of_an_ldt_is_8191(guest, entry):
    assert modify(guest, entry, WRITE, Descriptor().asked(8191), 16) == 0
    assert modify(guest, entry, WRITE, Descriptor().asked(8192), 16) == -EINVAL
    said = guest.call(entry, "modify_ldt", READ, UNTOUCHED.start, LDT_BYTES + 64)
    assert said.value == LDT_BYTES
    last = guest.read(entry.abi, UNTOUCHED.start + LDT_BYTES - 64, 128)
    assert last == bytes(56) + Descriptor().made + bytes(64)


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_an_entry_of_an_ldt_is_emptied(guest, entry):
    empty = Descriptor(base=0, limit=0, wide=False, read_only=True, absent=True)
    seen = {}
    for name, function, descriptor in (
        ("new", WRITE, empty),
        ("old", WRITE_OLD, Descriptor(base=0, limit=0)),
    ):
        assert modify(guest, entry, WRITE, Descriptor().asked(0), 16) == 0
        assert modify(guest, entry, function, descriptor.asked(0), 16) == 0
        seen[name] = guest.call(entry, "modify_ldt", READ, Buffer(8), 8).memory[0]
    assert seen == {"new": bytes(8), "old": bytes(8)}
    for nearly in (Descriptor(base=0, limit=1), Descriptor(base=1, limit=0)):
        assert modify(guest, entry, WRITE_OLD, nearly.asked(0), 16) == 0
        said = guest.call(entry, "modify_ldt", READ, Buffer(8), 8)
        assert said.memory[0] == nearly.made, "not quite what empties it in the old way"


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_requests_about_an_ldt_that_make_no_sense(guest, entry):
    good = Descriptor().asked(0)
    cases = {
        "an unknown function": (3, good, 16, -ENOSYS),
        "too little": (WRITE, good, 15, -EINVAL),
        "too much": (WRITE, good, 17, -EINVAL),
        "from a hole": (WRITE, HOLE, 16, -EFAULT),
        "a negative entry": (WRITE, Descriptor().asked(-1), 16, -EINVAL),
        "conforming code": (WRITE, Descriptor(contents=3).asked(0), 16, -EINVAL),
        "conforming, absent, old": (
            *(WRITE_OLD, Descriptor(contents=3, absent=True).asked(0), 16, -EINVAL),
        ),
    }
    seen = {says: modify(guest, entry, *case[:3]) for says, case in cases.items()}
    assert seen == {says: case[3] for says, case in cases.items()}
    assert modify(guest, entry, READ, HOLE, 16) == 0


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_the_default_ldt_is_zeros(guest, entry):
    size = 40 if guest.identity.arch.name == "i386" else 128
    said = guest.call(entry, "modify_ldt", READ_DEFAULT, Buffer(256), 256)
    assert (said.value, said.memory[0]) == (size, bytes(size) + b"\xa5" * (256 - size))
    assert modify(guest, entry, READ_DEFAULT, EDGE.end - 8, 9) == -EFAULT
    assert modify(guest, entry, READ_DEFAULT, EDGE.end - 8, 8) == 8


def run(puppet, code, **registers):
    """Have the puppet execute code, and return its registers behind it."""
    puppet.send_to(code + INT3, **registers)
    assert puppet.resume() == TRAP_STOP
    seen = puppet.registers()
    assert seen["ip"] == puppet.strings.stage + len(code) + 1
    return seen


LIMIT_AND_RIGHTS = b"\x0f\x03\xd8\x0f\x02\xc8"  # lsl ebx, eax; lar ecx, eax
MOV_EAX = b"\xb8"
LOAD_FS, LOAD_GS = b"\x8e\xe0", b"\x8e\xe8"


def make_tls(puppet, number, **what):
    """Make a thread-local entry; the number that it got, or the negated error."""
    entry = INT80 if puppet.abi is I386 else INT80_64
    at = puppet.strings.stage + 0x1800
    puppet.write(at, Descriptor(**what).asked(number))
    result = puppet.call(entry, "set_thread_area", at)
    return int.from_bytes(puppet.read(at, 4), "little") if result == 0 else result


def make_ldt(puppet, number, **what):
    at = puppet.strings.stage + 0x1800
    puppet.write(at, Descriptor(**what).asked(number))
    assert puppet.call(puppet.own_entry, "modify_ldt", WRITE, at, 16) == 0


def first_tls(guest):
    return 6 if guest.identity.arch.name == "i386" else 12


@pytest.mark.machine(append="pti=on")
@pytest.mark.parametrize("table", ["ldt", "gdt"])
def test_the_processor_finds_a_segment_as_it_was_asked_for(guest, puppet, table):
    pages = {"limit": 0xABCDE, "in_pages": True}
    if table == "ldt":
        make_ldt(puppet, 5, **pages)
        selector = 5 * 8 + 7
    else:
        number = make_tls(puppet, first_tls(guest) + 1, **pages)
        selector = number * 8 + 3
    seen = run(puppet, LIMIT_AND_RIGHTS, ax=selector)
    assert seen["bx"] == 0xABCD_EFFF
    assert seen["cx"] & 0xF0FF00 == 0xC0F300


@pytest.mark.machine(append="pti=on")
@pytest.mark.parametrize("table", ["ldt", "gdt"])
def test_a_segment_register_addresses_by_its_segments_base(puppet, table):
    base, entry = puppet.strings.stage + 0x2000, puppet.own_entry
    puppet.write(base, b"abcd")
    if table == "ldt":
        make_ldt(puppet, 20, base=base)
        selector = 20 * 8 + 7
    else:
        selector = make_tls(puppet, -1, base=base) * 8 + 3
    number = puppet.number(entry, "getppid").to_bytes(4, "little")
    a_call = MOV_EAX + number + INSTRUCTIONS[entry.name]
    found = {}
    for register, load, prefix in (("fs", LOAD_FS, b"\x64"), ("gs", LOAD_GS, b"\x65")):
        seen = run(puppet, load + a_call + load_word(puppet.abi, prefix=prefix), ax=selector)
        found[register] = seen["ax"], seen[register], seen.get(f"{register}_base", base)
    told = int.from_bytes(b"abcd", "little"), selector, base
    assert found == dict.fromkeys(("fs", "gs"), told), "the last is told to a 64-bit tracer"


def test_thread_local_entries_are_given_out_in_order_until_there_are_none(guest, puppet):
    first = first_tls(guest)
    seen = [make_tls(puppet, -1, base=0x1000 * n) for n in range(4)]
    assert seen == [first, first + 1, first + 2, -ESRCH]


def test_a_thread_local_entry_is_told_as_it_was_asked_for(guest, puppet):
    entry = INT80 if puppet.abi is I386 else INT80_64
    at = puppet.strings.stage + 0x1800
    cases = {
        "data": Descriptor(base=0x9ABC_DEF1, limit=0xF5A5A, useable=True),
        "pages": Descriptor(limit=0xFFFFF, in_pages=True),
        "read-only stack": Descriptor(contents=1, read_only=True),
    }
    for says, descriptor in cases.items():
        asked = descriptor.asked(first_tls(guest) + 2)
        puppet.write(at, asked)
        assert puppet.call(entry, "set_thread_area", at) == 0
        puppet.write(at + 4, b"\xa5" * 16)
        assert puppet.call(entry, "get_thread_area", at) == 0
        assert puppet.read(at, 20) == asked + b"\xa5" * 4, says


def test_thread_local_entries_that_make_no_sense(guest, puppet):
    first = first_tls(guest)
    entry = INT80 if puppet.abi is I386 else INT80_64
    seen = {
        "before the first": make_tls(puppet, first - 1),
        "past the last": make_tls(puppet, first + 3),
        "16-bit": make_tls(puppet, first, wide=False),
        "code": make_tls(puppet, first, contents=2),
        "absent": make_tls(puppet, first, absent=True),
    }
    assert seen == dict.fromkeys(seen, -EINVAL)
    assert puppet.call(entry, "set_thread_area", HOLE) == -EFAULT
    assert puppet.call(entry, "get_thread_area", HOLE) == -EFAULT
    puppet.write(puppet.strings.stage, struct.pack("<I", first + 3))
    assert puppet.call(entry, "get_thread_area", puppet.strings.stage) == -EINVAL


SET_GS, SET_FS, GET_FS, GET_GS = range(0x1001, 0x1005)
BASES = {"fs": (SET_FS, GET_FS, b"\x64"), "gs": (SET_GS, GET_GS, b"\x65")}
"""By register: what sets its base, what tells it, and the prefix of what addresses by it."""
FIRST_KERNEL = 0x7FFF_FFFF_F000
USER_DATA = 0x2B


@pytest.mark.entries("syscall")
def test_a_base_past_the_programs_addresses_is_eperm(guest, entry):
    bases = (FIRST_KERNEL, 0x8000_0000_0000, 0xFFFF_8880_0000_0000, 1 << 64 - 1)
    seen = {
        (code, base): guest.call(entry, "arch_prctl", code, base).errno
        for code in (SET_FS, SET_GS)
        for base in bases
    }
    assert seen == dict.fromkeys(seen, EPERM)
    for code in (SET_FS, SET_GS):
        assert guest.call(entry, "arch_prctl", code, FIRST_KERNEL - 1).value == 0


@pytest.mark.entries("syscall")
def test_a_base_is_told_and_unknown_requests_are_not(guest, entry):
    for value, setting, getting in ((0x1234_5678_9ABC, SET_FS, GET_FS), (7, SET_GS, GET_GS)):
        assert guest.call(entry, "arch_prctl", setting, value).value == 0
        said = guest.call(entry, "arch_prctl", getting, Buffer(16))
        assert said.memory[0] == value.to_bytes(8, "little") + b"\xa5" * 8
        assert guest.call(entry, "arch_prctl", getting, HOLE).errno == EFAULT
    assert guest.call(entry, "arch_prctl", 0x1005, 0).errno == EINVAL


@pytest.mark.entries("int80", "int80_64")
@pytest.mark.needs(arch="x86_64")
def test_a_compat_call_sets_no_base(guest, entry):
    seen = {code: guest.call(entry, "arch_prctl", code, 0).errno for code in (SET_FS, SET_GS)}
    assert seen == {SET_FS: EINVAL, SET_GS: EINVAL}


@pytest.mark.abis("x86_64")
@pytest.mark.parametrize("register", ["fs", "gs"])
def test_a_base_is_kept_while_others_run(guest, puppet, register):
    setting, getting, prefix = BASES[register]
    base = puppet.strings.stage + 0x2000
    puppet.write(base, b"abcd")
    puppet.set_registers(**{register: USER_DATA})
    assert puppet.call(SYSCALL, "arch_prctl", setting, base) == 0
    assert puppet.registers()[register] == 0, "its selector"
    assert guest.call(SYSCALL, "arch_prctl", setting, 0x1234_5000).value == 0
    puppet.home = puppet.registers()
    seen = run(puppet, load_word(puppet.abi, prefix=prefix))
    assert seen["ax"] == int.from_bytes(b"abcd", "little")
    assert (seen[f"{register}_base"], seen[register]) == (base, 0)
    said = guest.call(SYSCALL, "arch_prctl", getting, Buffer(8))
    assert said.memory[0] == struct.pack("<Q", 0x1234_5000)


@pytest.mark.abis("x86_64")
@pytest.mark.parametrize("register", ["fs", "gs"])
def test_a_process_without_a_base_has_none_of_anothers(guest, puppet, register):
    """Source: arch/x86/kernel/process_64.c load_seg_legacy (6.1)."""
    setting, _, prefix = BASES[register]
    place = puppet.strings.stage + 0x2000
    puppet.write(place, b"abcd")
    assert guest.call(SYSCALL, "arch_prctl", setting, 0x4000).value == 0
    seen = run(puppet, load_word(puppet.abi, place, prefix))
    assert (seen["ax"], seen[f"{register}_base"]) == (int.from_bytes(b"abcd", "little"), 0)


READ_FS_BASE, READ_GS_BASE = b"\xf3\x48\x0f\xae\xc3", b"\xf3\x48\x0f\xae\xcb"  # to rbx
WRITE_FS_BASE, WRITE_GS_BASE = b"\xf3\x48\x0f\xae\xd0", b"\xf3\x48\x0f\xae\xd8"  # from rax
MOV_RAX_RDX = b"\x48\x89\xd0"
AT_HWCAP2, HWCAP2_FSGSBASE = 26, 2


@pytest.mark.abis("x86_64")
def test_the_instructions_for_bases_are_there_when_the_kernel_says_so(guest, puppet):
    says = guest.about(puppet.abi).auxv.get(AT_HWCAP2, 0) & HWCAP2_FSGSBASE
    puppet.send_to(READ_FS_BASE + INT3)
    assert puppet.resume() == (TRAP_STOP if says else Status.stopped(SIGILL))


@pytest.mark.abis("x86_64")
@pytest.mark.machine(cpu="IvyBridge", arch="x86_64")
def test_a_base_written_by_an_instruction_is_kept_while_others_run(guest, puppet):
    base = 0x1234_5678_9ABC
    code = {"fs": (WRITE_FS_BASE, READ_FS_BASE), "gs": (WRITE_GS_BASE, READ_GS_BASE)}
    seen = {}
    for register, (write, read) in code.items():
        run(puppet, write, ax=base)
        guest.call(SYSCALL, "arch_prctl", BASES[register][0], 0x5000)
        puppet.home = puppet.registers()
        seen[register] = run(puppet, read)["bx"], puppet.registers()[f"{register}_base"]
    assert seen == {"fs": (base, base), "gs": (base, base)}


@pytest.mark.abis("x86_64")
@pytest.mark.machine(cpu="IvyBridge", arch="x86_64")
def test_a_child_has_the_bases_that_its_parent_wrote_by_instructions(guest, abi):
    bases, fork = {"fs_base": 0x1234_5678_9ABC, "gs_base": 0x2345_6789_ABC0}, b"\x0f\x05"
    with start_puppet(guest, abi, options=Option.TRACEFORK | Option.TRACESYSGOOD) as puppet:
        number = puppet.number(SYSCALL, "fork").to_bytes(4, "little")
        write = WRITE_FS_BASE + MOV_RAX_RDX + WRITE_GS_BASE + MOV_EAX + number
        puppet.send_to(write + fork + READ_FS_BASE + INT3, ax=bases["fs_base"], dx=bases["gs_base"])
        puppet.resume()
        child = puppet.follow_child()
        told = child.registers()
        assert child.resume() == TRAP_STOP
        seen = child.registers()
        child.kill()
    assert {name: told[name] for name in bases} == bases, "before its first instruction"
    assert {name: seen[name] for name in bases} == bases, "when it has run"
    assert seen["bx"] == bases["fs_base"], "what it finds itself"
