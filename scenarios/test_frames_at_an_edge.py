# SPDX-License-Identifier: Apache-2.0
"""Frames of signals that lie in part where no memory is: SIGSEGV, and nothing of it is taken.

Source: arch/x86/kernel/signal_32.c, signal_64.c, fpu/signal.c copy_fpstate_to_sigframe (6.12).
"""

import struct
from signal import SIGSEGV, SIGUSR1

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import TRAP_STOP, Request, Status
from harness.agent.puppet import INT3, start_puppet
from harness.agent.signals import FRAME_BYTES, SA_SIGINFO, frame_kinds, frame_layout
from harness.agent.structures import ACTION
from harness.arch import I386
from harness.landscape import HOLE

SI_KERNEL = 0x80
STAGE_BYTES = 0x10000
INTERRUPTED, HANDLER, RESTORER, ACTION_AT = 0x8000, 0x8100, 0x8200, 0x8300
"""On the stage, before and behind which nothing is."""
SEGV = Status.stopped(SIGSEGV)


@pytest.fixture
def puppet(guest, abi):
    """Give a process of `abi` that is traced by one of the kernel's own."""
    with start_puppet(guest, abi) as puppet:
        yield puppet


def sigreturn(puppet, flags):
    """Return the call that gives a frame back, as code."""
    if puppet.abi is I386:
        return b"\xb8" + struct.pack("<I", 173 if flags & SA_SIGINFO else 119) + b"\xcd\x80"
    return b"\xb8\x0f\0\0\0\x0f\x05"


def handle_signals(puppet, flags):
    """Have it handle a signal by an int3, and let it be sent one."""
    start = puppet.strings.stage
    puppet.go_home()
    puppet.write(start + INTERRUPTED, INT3)
    puppet.write(start + HANDLER, INT3)
    puppet.write(start + RESTORER, sigreturn(puppet, flags) + INT3)
    fields = {"handler": start + HANDLER, "flags": flags, "restorer": start + RESTORER}
    puppet.write(start + ACTION_AT, ACTION[puppet.abi.name].encode(**fields))
    assert puppet.call(puppet.own_entry, "rt_sigaction", SIGUSR1, start + ACTION_AT, 0, 8) == 0


def signal_at(puppet, stack):
    """Send it a signal while its stack pointer is `stack`; return what stops it then."""
    puppet.ptrace(Request.SETSIGMASK, 8, bytes(8))
    puppet.set_registers(puppet.home, ip=puppet.strings.stage + INTERRUPTED, sp=stack)
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    return puppet.resume(by_signal=SIGUSR1)


def frame_of(puppet, flags):
    """Return address, bytes and fields of the frame of the handler that has begun."""
    at = puppet.registers()["sp"]
    frame = puppet.read(at, FRAME_BYTES)
    return at, frame, frame_layout(puppet.abi, flags).decode(frame)


def looks(puppet, kind):
    """Return what a process looks like whose frame could not be built."""
    seen = puppet.registers()
    return kind, puppet.siginfo(), *(seen[name] for name in ("sp", "ip", "cs", "ds", "es"))


def test_a_frame_that_begins_before_memory_does_is_sigsegv(puppet):
    """Of its x87 state some or all is on the page, and more and more of the rest."""
    start, home = puppet.strings.stage, puppet.home
    for kind, flags in frame_kinds(puppet.abi).items():
        handle_signals(puppet, flags)
        assert signal_at(puppet, start + 0x4000) == TRAP_STOP
        at, _, fields = frame_of(puppet, flags)
        state = fields["state"] // 64 * 64
        for room in range(-64, 832, 64):
            stack = start + 0x4000 - (state - start) + room
            status = signal_at(puppet, stack)
            if at - state + room >= 0:
                assert status == TRAP_STOP, (kind, room)
                continue
            assert status == SEGV, (kind, room)
            expected = (kind, (SIGSEGV, 0, SI_KERNEL), stack, start + INTERRUPTED)
            assert looks(puppet, kind) == (*expected, home["cs"], home["ds"], home["es"])


X87, EXTENDED = 464, 512
"""Where in a frame's state the kernel says what else there is, and where that begins.
Source: arch/x86/include/uapi/asm/sigcontext.h struct _fpx_sw_bytes (6.1)."""


@pytest.mark.machine(cpu="EPYC")
def test_a_frame_whose_state_has_no_end_is_sigsegv(puppet):
    """The last word of it says that all is there."""
    end = puppet.strings.stage + STAGE_BYTES
    for kind, flags in frame_kinds(puppet.abi).items():
        handle_signals(puppet, flags)
        assert signal_at(puppet, end - 0x4000) == TRAP_STOP
        _, _, fields = frame_of(puppet, flags)
        state = fields["state"] + frame_layout(puppet.abi, flags).fxsave
        _, whole, _, size = struct.unpack("<IIQI", puppet.read(state + X87, 20))
        assert (kind, whole - size) in ((kind, 4), (kind, 116)), "the word behind it"
        past = end - 0x4000 + (end - state - size)
        seen = [signal_at(puppet, past + more) for more in (-64, 0, 64)]
        assert seen == [TRAP_STOP, SEGV, SEGV], kind


CUTS = {
    "x86_64 siginfo": {8: True, 9: False, 12: False, 16: False, 40: False, 300: False},
    "i386 siginfo": {144: True, 153: None, 164: None, 165: False, 200: False, 252: False},
    "i386 plain": {8: True, 9: False, 40: False, 88: False, 400: False},
}
"""How many of a frame's first bytes are missing, and whether the others will do: None if that is
found out once registers have been taken from it, by some kernels."""


def test_a_frame_whose_begin_is_missing_is_sigsegv(puppet):
    """What is not asked for may be missing: x86_64 begins with uc_flags, i386 with its stack."""
    start = puppet.strings.stage
    for kind, flags in frame_kinds(puppet.abi).items():
        handle_signals(puppet, flags)
        assert signal_at(puppet, start + 0x4000) == TRAP_STOP
        _, frame, _ = frame_of(puppet, flags)
        popped = 4 if kind == "siginfo" and puppet.abi is I386 else 8
        for missing, will_do in CUTS[f"{puppet.abi.name} {kind}"].items():
            puppet.write(start, frame[missing:])
            there = {"ip": start + RESTORER, "sp": start - missing + popped}
            puppet.set_registers(puppet.home, **there)
            assert puppet.resume() == (TRAP_STOP if will_do else SEGV), (kind, missing)
            if will_do:
                assert puppet.registers()["ip"] == start + INTERRUPTED + 1, (kind, missing)
                continue
            assert puppet.siginfo() == (SIGSEGV, 0, SI_KERNEL), (kind, missing)
            if will_do is False:
                stays = start + RESTORER + len(sigreturn(puppet, flags))
                assert hex(puppet.registers()["ip"]) == hex(stays), (kind, missing)


NT_PRFPREG, NT_PRXFPREG = 2, 0x46E6_2B7F
CONTROL, INITIAL = b"\x7f\x02", b"\x7f\x03"


def test_state_that_is_nowhere_leaves_the_initial_one(puppet):
    """Source: arch/x86/kernel/fpu/signal.c fpu__restore_sig (6.1)."""
    start, kind = puppet.strings.stage, NT_PRXFPREG if puppet.abi is I386 else NT_PRFPREG
    own = CONTROL.ljust(24, b"\0") + struct.pack("<I", 0x1F80) + bytes(4) + b"\x5a" * 8
    for flags in frame_kinds(puppet.abi).values():
        handle_signals(puppet, flags)
        assert signal_at(puppet, start + 0x4000) == TRAP_STOP
        at, layout = puppet.registers()["sp"], frame_layout(puppet.abi, flags)
        place, width = layout.fields["state"]
        puppet.write(at + place, HOLE.to_bytes(width, "little"))
        popped = 4 if flags & SA_SIGINFO and puppet.abi is I386 else 8
        puppet.set_registers(puppet.home, ip=start + RESTORER, sp=at + popped)
        said = puppet.regset(Request.SETREGSET, kind, own.ljust(512, b"\0"), 512)
        assert said.errno is None
        assert puppet.resume() == SEGV
        seen = puppet.regset(Request.GETREGSET, kind, Buffer(512), 512).content
        assert (seen[:2], seen[32:160]) == (INITIAL, bytes(128))


KERNELS = {"i386": (0xC100_0000, 0xC110_0040), "x86_64": (0xFFFF_FE00_0000_0000 + 0x40,)}
"""Memory that the kernel alone may read: its code; its table of interrupts.
Source: arch/x86/include/asm/cpu_entry_area.h CPU_ENTRY_AREA_RO_IDT_VADDR (6.1)."""
MASK = 0x1234_0000_0000_0200


def test_no_mask_is_taken_from_a_frame_of_the_kernels(guest):
    abi = guest.identity.arch.abi
    with start_puppet(guest, abi) as puppet:
        for flags in frame_kinds(abi).values():
            for address in KERNELS[abi.name]:
                puppet.ptrace(Request.SETSIGMASK, 8, struct.pack("<Q", MASK))
                puppet.send_to(sigreturn(puppet, flags) + INT3, sp=address)
                assert puppet.resume() == SEGV
                said = puppet.ptrace(Request.GETSIGMASK, 8, Buffer(8)).memory[0]
                assert hex(int.from_bytes(said, "little")) == hex(MASK), hex(address)
