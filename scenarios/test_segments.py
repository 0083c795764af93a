# SPDX-License-Identifier: Apache-2.0
"""What a call leaves of segments and their bases, and what processes see of one another's.

Source: arch/x86/kernel/process_32.c, process_64.c __switch_to, do_arch_prctl_64; tls.c;
arch/x86/entry/entry_32.S entry_SYSENTER_32 (6.1).
"""

import struct
from errno import EFAULT, EINVAL, EPERM, ESRCH

import pytest

from harness.agent.arguments import Buffer
from harness.arch import ARCH_I386, I386
from harness.entry import entry_names_taking
from harness.landscape import ARENA
from harness.pointers import bad_pointers
from harness.wire import SEGMENTS

pytestmark = pytest.mark.machine(append="pti=on")

PLAIN, IDENTIFICATION = 0x202, 0x200000
ALL = 0x24_4CD5
"""ID, AC, NT, DF and what arithmetic sets."""
DS_AND_ES = 3
SET_GS, SET_FS, GET_FS, GET_GS = 0x1001, 0x1002, 0x1003, 0x1004
HIGHEST = 0x7FFF_FFFF_EFFF
"""The last address of a program with four levels of page tables."""
FIRST_DESCRIPTOR = {"i386": 6, "x86_64": 12}
"""Of the thread's own in the GDT, by the kernel's architecture. Source: asm/segment.h (6.1)."""
USABLE_PAGES = 0x51
"""Flags of a descriptor: 32 bits, its limit counted in pages, usable."""


def description(number, base=0, limit=0xFFFFF, flags=USABLE_PAGES):
    return struct.pack("<IIII", number & 0xFFFF_FFFF, base, limit, flags)


def test_segment_registers_come_back_as_they_were(guest, entry):
    assert not guest.call(entry, "getppid").changed & set(SEGMENTS)


@pytest.mark.claim(26)
@pytest.mark.parametrize("flags", [0, ALL], ids=["plain", "all"])
def test_processes_keep_what_is_theirs_while_they_wait_in_a_call(guest, entry, flags):
    flags = (PLAIN | flags, PLAIN | IDENTIFICATION)
    seen = guest.probe(entry.abi, "neighbours", entry.place, *flags)
    by_sysexit = guest.identity.arch is ARCH_I386 and entry.name in {"sysenter", "kernel_vsyscall"}
    segments = DS_AND_ES if by_sysexit else 0
    for who in ("the first", "the second"):
        seen[f"flags of {who}"] &= ~entry.may_change_flags
        seen[f"segments of {who}"] &= ~segments
    assert {what: hex(value) for what, value in seen.items() if value} == {}


@pytest.mark.entries("syscall")
@pytest.mark.parametrize("base", [0, 1, 0xDEAD_BEEF_000, HIGHEST], ids=hex)
def test_the_bases_of_fs_and_gs_are_kept_apart(guest, entry, base):
    assert guest.call(entry, "arch_prctl", SET_FS, base).value == 0
    assert guest.call(entry, "arch_prctl", SET_GS, base >> 1).value == 0
    said = [guest.call(entry, "arch_prctl", code, Buffer(8)).memory[0] for code in (GET_FS, GET_GS)]
    assert [int.from_bytes(value, "little") for value in said] == [base, base >> 1]


@pytest.mark.entries("syscall")
@pytest.mark.parametrize("code", [SET_FS, SET_GS], ids=hex)
def test_a_base_is_an_address_of_a_program(guest, entry, code):
    wrong = (HIGHEST + 1, 1 << 47, 1 << 63, 0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF)
    said = {hex(base): guest.call(entry, "arch_prctl", code, base).errno for base in wrong}
    assert said == dict.fromkeys(said, EPERM)


@pytest.mark.entries("syscall")
@pytest.mark.parametrize("code", [GET_FS, GET_GS], ids=hex)
def test_a_base_is_not_told_to_a_bad_pointer(guest, entry, code):
    bad = bad_pointers(entry, guest.identity.arch)
    said = {p.name: guest.call(entry, "arch_prctl", code, p.address).errno for p in bad}
    assert said == dict.fromkeys(said, EFAULT)


@pytest.mark.entries(*entry_names_taking(I386))
def test_a_thread_has_three_descriptors_of_its_own(guest, entry):
    first = FIRST_DESCRIPTOR[guest.identity.arch.name]
    asked = [
        guest.call(entry, "set_thread_area", description(-1, base=0x1000 * place))
        for place in range(4)
    ]
    assert [said.errno for said in asked] == [None, None, None, ESRCH]
    got = [guest.call(entry, "get_thread_area", description(first + place)) for place in range(3)]
    assert [said.errno for said in got] == [None, None, None]


@pytest.mark.entries(*entry_names_taking(I386))
@pytest.mark.parametrize("name", ["set_thread_area", "get_thread_area"])
def test_other_descriptors_are_not_a_threads(guest, entry, name):
    first = FIRST_DESCRIPTOR[guest.identity.arch.name]
    others = (0, first - 1, first + 3, -2)
    said = {number: guest.call(entry, name, description(number)).errno for number in others}
    assert said == dict.fromkeys(others, EINVAL)


@pytest.mark.entries(*entry_names_taking(I386))
def test_a_descriptor_is_taken_and_given_back_whole(guest, entry):
    number = FIRST_DESCRIPTOR[guest.identity.arch.name] + 1
    base, limit = 0x1234_5678, 0x54321
    wanted = description(number, base, limit)
    assert guest.call(entry, "set_thread_area", wanted).value == 0
    guest.write(entry.abi, (where := ARENA.start + 0x4000), description(number, 1, 1, 0))
    assert guest.call(entry, "get_thread_area", where).value == 0
    assert guest.read(entry.abi, where, 16) == wanted


@pytest.mark.entries(*entry_names_taking(I386))
@pytest.mark.parametrize("name", ["set_thread_area", "get_thread_area"])
def test_a_descriptor_at_a_bad_pointer_is_efault(guest, entry, name):
    bad = [p for p in bad_pointers(entry, guest.identity.arch) if not p.readable]
    said = {pointer.name: guest.call(entry, name, pointer.address).errno for pointer in bad}
    assert said == dict.fromkeys(said, EFAULT)


@pytest.mark.entries(*entry_names_taking(I386))
def test_a_descriptor_whose_number_cannot_be_told_is_not_made(guest, entry):
    where, size = 0x2E00_0000, 4096
    guest.call(entry, "mmap2", where, size, 3, 0x32, -1, 0)
    guest.write(entry.abi, where, description(-1, base=0x5000))
    calls = ("mprotect", where, size, 1), ("set_thread_area", where)
    assert [said.value for said in guest.series(entry, calls)] == [0, -EFAULT]
    first = description(FIRST_DESCRIPTOR[guest.identity.arch.name], 1, 1, 0)
    guest.write(entry.abi, (at := ARENA.start + 0x4000), first)
    assert guest.call(entry, "get_thread_area", at).value == 0
    assert guest.read(entry.abi, at + 4, 8) == bytes(8)
