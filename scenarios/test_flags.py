# SPDX-License-Identifier: Apache-2.0
"""What the flags register holds after a call, and what a single-stepped call does.

Source: arch/x86/entry/entry_32.S entry_SYSENTER_32; entry_64_compat.S entry_SYSENTER_compat;
arch/x86/kernel/cpu/common.c syscall_init; arch/x86/kernel/traps.c exc_debug_kernel (6.1).
"""

from errno import ENOSYS

import pytest

from harness.agent.arguments import Buffer
from harness.agent.calls import Call
from harness.agent.vdso import read_vdso
from harness.landscape import HOLE

pytestmark = pytest.mark.machine(append="pti=on")

PLAIN = 0x202
"""Interrupts on, and the bit that is always one."""
TRAP, INTERRUPT = 0x100, 0x200
ALL = 0x24_4CD5
"""ID, AC, NT, DF and what arithmetic sets: OF, SF, ZF, AF, PF, CF."""
EACH = (0, *(1 << bit for bit in range(22) if ALL >> bit & 1))
NOT_A_PROGRAMS = 0x1A_3000
"""VIP, VIF, VM and both bits of IOPL, which POPF leaves alone in a program."""
CALLS = {
    "a success": ("getppid",),
    "an error": ("close", -1),
    "a fault": ("read", 0, HOLE, 16),
    "no such call": (0x7FFF,),
}
TRACE = 2
"""As si_code of a SIGTRAP, TRAP_TRACE: after one instruction."""
POP_ALL = b"\x5d\x5a\x59\xc3"
"""The landing pad of fast calls, behind an int $0x80 of the vDSO: pop ebp, edx, ecx; ret."""


def changed_flags(said):
    """Return the flags that changed and must not."""
    return (said.before["flags"] ^ said.after["flags"]) & ~said.call.entry.may_change_flags


@pytest.mark.claim(17)
@pytest.mark.room("its parent is the first process")
def test_each_flag_comes_back_as_it_was(guest, entry):
    number = guest.table(entry).number("getppid")
    flags = [PLAIN | flag for flag in (*EACH, ALL)]
    said = guest.calls([Call.of(entry, number, (), "getppid", flags=value) for value in flags])
    changed = {hex(o.before["flags"]): hex(o.after["flags"]) for o in said if changed_flags(o)}
    assert [outcome.value for outcome in said] == [1] * len(flags)
    assert changed == {}


def test_flags_come_back_from_every_kind_of_call(guest, entry):
    said = {kind: guest.call(entry, *call, flags=PLAIN | ALL) for kind, call in CALLS.items()}
    assert {kind: outcome for kind, outcome in said.items() if changed_flags(outcome)} == {}


def test_what_is_no_programs_to_set_stays_as_the_kernel_has_it(guest, entry):
    said = guest.call(entry, "getppid", flags=NOT_A_PROGRAMS)
    assert hex(said.after["flags"] & ~entry.may_change_flags) == hex(PLAIN)


def test_a_programs_flags_do_not_steer_the_kernel(guest, entry):
    plain = guest.call(entry, "uname", Buffer(400))
    said = {flag: guest.call(entry, "uname", Buffer(400), flags=PLAIN | flag) for flag in EACH}
    other = {hex(f): o for f, o in said.items() if (o.value, o.memory) != (0, plain.memory)}
    assert other == {}


@pytest.mark.needs(since="5.5")
def test_a_raised_io_privilege_is_no_flag(guest, entry):
    if guest.call(entry, "iopl", 3).errno == ENOSYS:
        pytest.skip("the kernel is configured without iopl")
    said = guest.call(entry, "getppid")
    assert hex(said.after["flags"] & ~entry.may_change_flags) == hex(PLAIN)


@pytest.fixture
def steps(guest, entry):
    """Give what a single-stepped call reports, and each of its traps."""
    seen = guest.probe(entry.abi, "single_step", entry.place)
    kinds = ("ip", "flags", "code")
    return seen, [{kind: seen[f"{n:02} {kind}"] for kind in kinds} for n in range(seen["traps"])]


def test_a_single_stepped_call_does_what_it_does(steps):
    seen, traps = steps
    assert seen["result"] == seen["parent"]
    assert {trap["code"] for trap in traps} == {TRACE}
    assert {trap["flags"] & (TRAP | INTERRUPT) for trap in traps} == {TRAP | INTERRUPT}
    assert 0 < traps[-1]["ip"] - seen["landing"] < 16


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_the_step_over_a_call_takes_the_instruction_behind_it_along(steps):
    seen, traps = steps
    before, after = (trap["ip"] - seen["landing"] for trap in traps)
    assert before == -2
    assert 0 < after < 16


@pytest.mark.claim(23)
@pytest.mark.entries("sysenter", "syscall32")
def test_the_step_over_a_fast_call_takes_the_landing_pads_first_along(guest, entry, steps):
    seen, traps = steps
    vdso = read_vdso(guest, entry.abi)
    image = guest.read(entry.abi, vdso.base, vdso.size_bytes)
    pad = seen["vdso entry"] - vdso.elf["e_entry"] + image.index(POP_ALL)
    behind = [hex(trap["ip"]) for trap in traps][-5:-1]
    assert behind == [hex(ip) for ip in (pad + 1, pad + 2, pad + 3, seen["landing"])]
