# SPDX-License-Identifier: Apache-2.0
"""Bugs that were once found on the way back from a signal: what each let happen, asked again.

Each test is named after the bug; its docstring says what was wrong.

Source: the CVE list; the fixes named in each docstring.
"""

import struct
from errno import EINVAL

import pytest

from harness.agent.signals import (
    COPY_AT,
    COPY_BEFORE_HOLE,
    RESET_SS,
    Asked,
    Change,
    Sending,
    Symbol,
    deliver_all,
    frame_kinds,
)
from harness.arch import I386

SIGILL, SIGBUS, SIGSEGV, SI_KERNEL = 4, 7, 11, 0x80
LDT_SELECTOR = 0x7
NOT_PRESENT, IN_PAGES = 0x20, 0x10
SOFTWARE_RESERVED, EXTENDED_SIZE, XSTATE_SIZE = 464, 4, 16
LEAST_XSTATE_BYTES, XSTATE_BV, XCOMP_BV = 576, 512, 520
MAGIC1, MAGIC2 = 0x4650_5853, 0x4650_5845
"""Source: arch/x86/include/uapi/asm/sigcontext.h struct _fpx_sw_bytes, 6.1."""
INITIAL_X87 = b"\x7f\x03"
WITH_XSAVE = pytest.mark.machine(cpu="EPYC")

pytestmark = pytest.mark.guest_only("it provokes what has brought kernels down")


def in_each_frame(guest, entry, *changes, **how):
    kinds = frame_kinds(entry.abi)
    return deliver_all(
        guest, entry, {kind: Asked(Sending(flags, **how), changes) for kind, flags in kinds.items()}
    )


def state(entry, offset):
    """Return where something of XSAVE's image is, from what the frame points at."""
    return offset + (112 if entry.abi is I386 else 0)


@pytest.mark.entries("int80", "syscall")
@pytest.mark.parametrize("kind", [0, NOT_PRESENT], ids=["nothing", "not present"])
def test_cve_2014_9090_and_9322_a_stack_segment_of_the_ldt_that_is_not_there(guest, entry, kind):
    """The #SS of iret was taken for one of the kernel's own, with the user's GS base: panic.

    Fixes: 6f442be2fb22, b645af2d5905 (3.18). TCG raises #NP for #SS.
    """
    descriptor = kind and kind | IN_PAGES
    said = in_each_frame(guest, entry, Change("ss", LDT_SELECTOR), descriptor=descriptor)
    for name, one in said.items():
        assert one.second.frame["ss"] == LDT_SELECTOR, name
        assert one.fault[0] in (SIGILL, SIGBUS, SIGSEGV), name
    assert guest.call(entry, "getppid").value == 1


@pytest.mark.entries("int80")
def test_cve_2014_8134_iret_to_a_16_bit_stack_shows_none_of_the_kernels(guest, entry):
    """The upper half of esp after such a return was the kernel's stack's.

    Fixes: 29fa6825463c (3.19), 3891a04aafd6 (3.16, espfix64).
    """
    stack = 0x2345_6780
    changes = (Change("ss", LDT_SELECTOR), Change("esp", stack), Symbol("ip", RESET_SS))
    said = in_each_frame(guest, entry, *changes, descriptor=IN_PAGES)
    for name, one in said.items():
        assert one["seen_ss"] == LDT_SELECTOR, name
        assert hex(one.after["esp"]) == hex(stack), name


@pytest.mark.entries("int80", "kernel_vsyscall", "sysenter", "syscall32", "int80_64")
@pytest.mark.parametrize("contents", [0, 2], ids=["data", "code"])
def test_cve_2014_8133_no_16_bit_segment_comes_by_set_thread_area(guest, entry, contents):
    """A 16-bit stack segment in the GDT escaped what espfix does for those of the LDT.

    Fix: 41bdc78544b8 (3.19).
    """
    flags = contents << 1 | 0x40 | 0x10
    fields = (-1 & 0xFFFF_FFFF, 0, 0xFFFFF, flags)
    descriptor = b"".join(value.to_bytes(4, "little") for value in fields)
    assert guest.call(entry, "set_thread_area", descriptor).errno == EINVAL


@pytest.mark.entries("int80", "syscall")
@pytest.mark.machine
@WITH_XSAVE
@pytest.mark.parametrize("move", [1, 8])
def test_cve_2015_2672_misaligned_state_is_a_signal_and_no_oops(guest, entry, move):
    """XRSTOR's fault had no entry in the exception table.

    Where the kernel copies the state first, as it does for i386 and did for all, it is taken.

    Fix: 06c8173eb92b (4.0).
    """
    place = 64 + move - state(entry, 0) % 64
    for name, one in in_each_frame(guest, entry, Symbol("state", COPY_AT, place)).items():
        if one.returned:
            assert one.memory("fpu_after", 512)[160:288] == one.first.fxsave[160:288], name
        else:
            assert one.fault == (SIGSEGV, SI_KERNEL), name


@pytest.mark.entries("int80", "syscall")
@WITH_XSAVE
@pytest.mark.parametrize("value", [1 << 63, 1 << 20], ids=["compacted", "unknown"])
def test_cve_2017_15537_a_bad_header_shows_nobody_elses_state(guest, entry, value):
    """A failed restore left the registers of the task before in the processor.

    Fix: 814fb7bb7db5 (4.14).
    """
    header = Change(state(entry, XCOMP_BV), value, 8)
    for name, one in in_each_frame(guest, entry, header).items():
        assert one.report["has_avx"], "this processor should have XSAVE"
        assert one.fault == (SIGSEGV, SI_KERNEL), name
        assert one.second.fpu[:2] == INITIAL_X87, name
        assert one.second.fpu[160:416] == bytes(256), name


@pytest.mark.entries("int80", "syscall")
@WITH_XSAVE
def test_cve_2024_26603_a_wrong_size_of_the_state_does_not_loop(guest, entry):
    """The kernel faulted in as much as the frame said, and XRSTOR wanted more, for ever.

    Fix: d877550eaf2d (6.8).
    """
    changes = (
        Change(state(entry, SOFTWARE_RESERVED + XSTATE_SIZE), LEAST_XSTATE_BYTES),
        Change(state(entry, LEAST_XSTATE_BYTES), MAGIC2),
        Symbol("state", COPY_BEFORE_HOLE, state(entry, LEAST_XSTATE_BYTES + 64)),
    )
    for name, one in in_each_frame(guest, entry, *changes).items():
        assert one.fault == (SIGSEGV, SI_KERNEL), name


@pytest.mark.entries("int80", "syscall")
@WITH_XSAVE
@pytest.mark.parametrize("size", [XSTATE_SIZE, EXTENDED_SIZE], ids=["no number", "past all"])
def test_without_a_number_behind_the_state_there_is_no_header_to_obey(guest, entry, size):
    """Not a bug of its own: whoever copies a frame as it was before XSAVE leaves that number out.

    Nor is one looked for where the state is said to end behind all that there is.
    Source: arch/x86/kernel/fpu/signal.c check_xstate_in_sigframe (6.1).
    """
    shorter = Change(state(entry, SOFTWARE_RESERVED + size), LEAST_XSTATE_BYTES)
    changes = shorter, Change(state(entry, XSTATE_BV), 0, 8)
    for name, one in in_each_frame(guest, entry, *changes).items():
        registers = slice(160, 160 + 16 * (8 if entry.abi is I386 else 16))
        after = one.memory("fpu_after", 512)[registers]
        assert after.hex() == one.first.fxsave[registers].hex(), name


@pytest.mark.entries("int80", "syscall")
@WITH_XSAVE
def test_avx_state_is_in_the_frame_and_comes_back(guest, entry):
    """Not a bug of its own: what those above would leave behind, on a processor with XSAVE."""
    for name, one in in_each_frame(guest, entry).items():
        upper = slice(576, 576 + 16 * (8 if entry.abi is I386 else 16))
        before = one.memory("fpu_before", 832)[upper]
        start = state(entry, 0)
        assert one.first.state[start:][upper] == before, f"in the frame: {name}"
        assert one.memory("fpu_after", 832)[upper] == before, f"afterwards: {name}"
        assert one.first.fpu[upper] == bytes(len(before)), f"in the handler: {name}"


@pytest.mark.entries("int80", "syscall")
@WITH_XSAVE
def test_the_frame_says_what_state_it_has_and_where_it_ends(guest, entry):
    """Programs find their way by it: struct _fpx_sw_bytes, and a number behind the state."""
    legacy = 112 if entry.abi is I386 else 0
    for name, one in in_each_frame(guest, entry).items():
        magic, whole, features, size = struct.unpack_from(
            "<IIQI", one.first.state, legacy + SOFTWARE_RESERVED
        )
        assert (hex(magic), features & 7) == (hex(MAGIC1), 7), name
        assert whole == legacy + size + 4, name
        assert one.first.state[legacy + size :][:4] == MAGIC2.to_bytes(4, "little"), name
