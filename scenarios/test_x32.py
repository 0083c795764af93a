# SPDX-License-Identifier: Apache-2.0
"""Signals of x32: 64-bit registers, and structures in which a pointer has 32 bits.

Source: arch/x86/include/asm/sigframe.h struct rt_sigframe_x32; asm/ia32.h struct ucontext_x32;
arch/x86/kernel/signal_64.c x32_setup_rt_frame, sys32_x32_rt_sigreturn; include/linux/compat.h
struct compat_sigaction, compat_siginfo (6.1).
"""

import struct
from errno import EIO
from signal import SIGCHLD, SIGSEGV, SIGUSR1

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import (
    CALL_STOP,
    DEBUG_REGISTERS,
    LAYOUTS,
    TRAP_STOP,
    Request,
    Status,
    decode_registers,
    encode_registers,
)
from harness.agent.puppet import INT3, start_puppet
from harness.agent.signals import SA_RESTORER, SA_SIGINFO
from harness.agent.x32 import X32, has_x32
from harness.arch import X86_64
from harness.entry import SYSCALL
from harness.landscape import HOLE

pytestmark = [
    pytest.mark.machine(append="syscall.x32=y vsyscall=none", arch="x86_64"),
    pytest.mark.abis("x86_64"),
]

SIGACTION, PTRACE, SIGALTSTACK = 0x4000_0200, 0x4000_0209, 0x4000_020D
RETURN = b"\xb8\x01\x02\0\x40\x0f\x05"  # mov eax, X32 | 513; syscall
STACK, CONTEXT, STATE, MASK, INFORMATION = 16, 32, 216, 288, 296
SEGV = Status.stopped(SIGSEGV)
TABLE_OF_INTERRUPTS = 0xFFFF_FE00_0000_0040
"""Memory that the kernel alone may read. Source: arch/x86/include/asm/cpu_entry_area.h
CPU_ENTRY_AREA_RO_IDT_VADDR (6.1)."""
CLD_EXITED = 1
SAVED = (
    *(f"r{number}" for number in range(8, 16)),
    *("di", "si", "bp", "bx", "dx", "ax", "cx", "sp", "ip", "flags"),
)


@pytest.fixture
def puppet(guest, abi):
    """Give a traced process of a kernel that has x32."""
    if not has_x32(guest):
        pytest.skip("the kernel is configured without x32")
    with start_puppet(guest, abi) as puppet:
        yield puppet


def handle_signal(puppet, signal=SIGUSR1, flags=SA_SIGINFO | SA_RESTORER):
    """Have it handle a signal as a program of x32 does, and let it be sent one."""
    handler, restorer, at = (puppet.strings.stage + place for place in (0x100, 0x200, 0x300))
    puppet.write(handler, b"\xc3")
    puppet.write(restorer, RETURN)
    puppet.write(at, struct.pack("<III", handler, flags, restorer) + bytes(8))
    assert puppet.call(SYSCALL, SIGACTION, signal, at, 0, 8) == 0
    puppet.prepare(SYSCALL, "getppid")
    puppet.signal(signal)
    assert puppet.resume() == Status.stopped(signal)
    return handler, restorer


def clear_away(puppet):
    """Have it stand where it stood at first, with no signal blocked."""
    puppet.go_home()
    assert puppet.ptrace(Request.SETSIGMASK, 8, bytes(8)).value == 0


def test_a_frame_of_x32_holds_every_register_and_they_come_back(puppet):
    handler, restorer = handle_signal(puppet)
    puppet.set_registers(r15=0x1234_5678_9ABC_DEF0, bx=0x0FED_CBA9_8765_4321)
    before = puppet.registers()
    assert puppet.resume(Request.SINGLESTEP, SIGUSR1) == TRAP_STOP
    seen = puppet.registers()
    sp = seen["sp"]
    expected = {"ip": handler, "di": SIGUSR1, "si": sp + INFORMATION, "dx": sp + 8, "ax": 0}
    expected |= {"cs": 0x33, "ss": 0x2B, "ds": 0x2B, "es": 0x2B}
    assert {name: seen[name] for name in expected} == expected
    frame = puppet.read(sp, INFORMATION + 24)
    context = dict(zip(SAVED, struct.unpack_from(f"<{len(SAVED)}Q", frame, CONTEXT), strict=True))
    assert context == {name: before[name] for name in SAVED}
    assert int.from_bytes(frame[:8], "little") == restorer
    assert struct.unpack_from("<3i", frame, INFORMATION) == (SIGUSR1, 0, 0)
    assert puppet.resume() == TRAP_STOP
    after = puppet.registers()
    assert {name: after[name] for name in ("r15", "bx")} == {n: before[n] for n in ("r15", "bx")}


def test_mask_and_alternate_stack_are_what_the_frame_of_x32_says(puppet):
    """Source: arch/x86/kernel/signal_64.c x32_rt_sigreturn (6.12)."""
    handle_signal(puppet)
    assert puppet.resume(Request.SINGLESTEP, SIGUSR1) == TRAP_STOP
    sp, start, mask = puppet.registers()["sp"], puppet.strings.stage + 0x4000, 0x8000_0001_4000_0002
    puppet.write(sp + STACK, struct.pack("<IiI", start, 0, 0x3000))
    puppet.write(sp + MASK, struct.pack("<Q", mask))
    assert puppet.resume() == TRAP_STOP
    said = puppet.ptrace(Request.GETSIGMASK, 8, Buffer(8)).memory[0]
    assert hex(int.from_bytes(said, "little")) == hex(mask)
    assert puppet.call(SYSCALL, SIGALTSTACK, 0, start) == 0
    assert struct.unpack("<IiI", puppet.read(start, 12)) == (start, 0, 0x3000)


def test_a_frame_of_x32_is_built_where_there_is_room_and_a_restorer(puppet):
    """Of the x87 state all is on the page that memory begins with, and more and more of the rest.

    Source: arch/x86/kernel/signal_64.c x32_setup_rt_frame (6.1).
    """
    start = puppet.strings.stage
    handle_signal(puppet)
    stack = puppet.registers()["sp"]
    assert puppet.resume(Request.SINGLESTEP, SIGUSR1) == TRAP_STOP
    frame = puppet.registers()["sp"]
    state = int.from_bytes(puppet.read(frame + STATE, 8), "little")
    for room in (0, 64, 256, 384, 512):
        clear_away(puppet)
        handle_signal(puppet)
        puppet.set_registers(sp=stack - (state - start) + room)
        fits = frame - state + room >= 0
        status = puppet.resume(Request.SINGLESTEP, SIGUSR1)
        assert status == (TRAP_STOP if fits else SEGV), room
    clear_away(puppet)
    handle_signal(puppet, flags=SA_SIGINFO)
    assert puppet.resume(Request.SINGLESTEP, SIGUSR1) == SEGV, "without a restorer"


def test_a_frame_of_x32_that_cannot_be_is_not_taken(puppet):
    """Source: arch/x86/kernel/signal_64.c x32_rt_sigreturn (6.12)."""
    start, code = puppet.strings.stage, puppet.strings.stage + 0x8000
    handle_signal(puppet)
    assert puppet.resume(Request.SINGLESTEP, SIGUSR1) == TRAP_STOP
    frame = puppet.read(puppet.registers()["sp"], INFORMATION)
    nowhere = frame[:STATE] + struct.pack("<Q", HOLE) + frame[STATE + 8 :]
    puppet.write(code, RETURN + INT3)
    for missing, content, expected in (
        (8, frame, TRAP_STOP),
        (9, frame, SEGV),
        (15, frame, SEGV),
        (8, nowhere, SEGV),
    ):
        puppet.write(start, content[missing:])
        puppet.set_registers(puppet.home, ip=code, sp=start - missing + 8)
        assert puppet.resume() == expected, (missing, content is nowhere)
    own = struct.pack("<Q", 0x1234_0000_0000_0200)
    assert puppet.ptrace(Request.SETSIGMASK, 8, own).value == 0
    puppet.set_registers(puppet.home, ip=code, sp=TABLE_OF_INTERRUPTS)
    assert puppet.resume() == SEGV
    assert puppet.ptrace(Request.GETSIGMASK, 8, Buffer(8)).memory[0] == own, "the kernel's memory"


def test_a_tracer_of_x32_is_told_segments_and_breakpoints_word_by_word(guest, puppet):
    """And all registers whole. Source: arch/x86/kernel/ptrace.c x32_arch_ptrace (6.1)."""
    names, breakpoints = LAYOUTS[X86_64], DEBUG_REGISTERS[X86_64]
    found = puppet.registers()

    def ask(request, at, data):
        return guest.call(SYSCALL, PTRACE, request, puppet.pid, at, data)

    for name in ("cs", "ss", "gs"):
        said = ask(Request.PEEKUSER, 8 * names.index(name), Buffer(8)).memory[0]
        assert said == struct.pack("<I", found[name]) + b"\xa5" * 4, name
    for name, value in (("sp", 0x1234_5678), ("fs_base", 0x2345_6789), ("flags", 0x2D7)):
        assert ask(Request.POKEUSER, 8 * names.index(name), value).value == 0
        seen = puppet.registers()[name]
        assert (name, hex(seen)) == (name, hex(value))
    puppet.set_registers(found)
    assert ask(Request.POKEUSER, breakpoints, puppet.strings.stage).value == 0
    said = ask(Request.PEEKUSER, breakpoints, Buffer(8)).memory[0]
    assert said == struct.pack("<I", puppet.strings.stage) + b"\xa5" * 4
    refused = (0, 8 * names.index("ip"), 8 * names.index("cs") + 4, breakpoints + 80, -8)
    peeked = {at: ask(Request.PEEKUSER, at, Buffer(8)).errno for at in refused}
    poked = {at: ask(Request.POKEUSER, at, 0).errno for at in refused}
    assert peeked == poked == dict.fromkeys(refused, EIO)
    said = ask(Request.GETREGS, 0, Buffer(8 * len(names) + 8)).memory[0]
    assert decode_registers(said[:-8], X86_64) == found
    changed = found | {"r15": 0x1234_5678_9ABC_DEF0, "bx": 0x0FED_CBA9_8765_4321}
    assert ask(Request.SETREGS, 0, encode_registers(changed, X86_64)).value == 0
    assert puppet.registers() == changed


def test_a_call_is_taken_up_again_by_the_number_that_x32_has_for_it(puppet):
    """Source: arch/x86/kernel/signal.c get_nr_restart_syscall (6.1)."""
    puppet.prepare(SYSCALL, X32 | puppet.number(SYSCALL, "poll"), 0, 0, 5000)
    _, status = puppet.interrupt(SIGUSR1)
    assert status == CALL_STOP
    assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGUSR1)
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    again = X32 | puppet.number(SYSCALL, "restart_syscall")
    assert hex(puppet.registers()["orig_ax"]) == hex(again)


def test_the_end_of_a_child_is_told_with_times_of_64_bits(puppet):
    """Source: arch/x86/kernel/signal_64.c x32_copy_siginfo_to_user (6.1)."""
    handle_signal(puppet, SIGCHLD)
    child, times = (77, 78, 79), (0x1122_3344_5566_7788, 0x0102_0304_0506_0708)
    told = struct.pack("<4i 3i4x 2Q 80x", SIGCHLD, 0, CLD_EXITED, 0, *child, *times)
    assert puppet.ptrace(Request.SETSIGINFO, 0, told).value == 0
    assert puppet.resume(Request.SINGLESTEP, SIGCHLD) == TRAP_STOP
    seen = puppet.read(puppet.registers()["sp"] + INFORMATION, 40)
    assert struct.unpack("<6i2Q", seen) == (SIGCHLD, 0, CLD_EXITED, *child, *times)
