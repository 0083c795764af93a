# SPDX-License-Identifier: Apache-2.0
"""What ptrace(2) is asked and answers, as data: requests, wait statuses, registers."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from enum import IntEnum

from harness.arch import I386, X86_64, Abi
from harness.wording import signal_name

_STOPPED = 0x7F


class Request(IntEnum):
    """What ptrace(2) can be asked for. Source: include/uapi/linux/ptrace.h, asm/ptrace-abi.h."""

    TRACEME = 0
    PEEKTEXT = 1
    PEEKDATA = 2
    PEEKUSER = 3
    POKETEXT = 4
    POKEDATA = 5
    POKEUSER = 6
    CONT = 7
    KILL = 8
    SINGLESTEP = 9
    GETREGS = 12
    SETREGS = 13
    GETFPREGS = 14
    SETFPREGS = 15
    ATTACH = 16
    DETACH = 17
    GETFPXREGS = 18
    SETFPXREGS = 19
    SYSCALL = 24
    GET_THREAD_AREA = 25
    SET_THREAD_AREA = 26
    ARCH_PRCTL = 30
    SYSEMU = 31
    SYSEMU_SINGLESTEP = 32
    SINGLEBLOCK = 33
    SETOPTIONS = 0x4200
    GETEVENTMSG = 0x4201
    GETSIGINFO = 0x4202
    SETSIGINFO = 0x4203
    GETREGSET = 0x4204
    SETREGSET = 0x4205
    SEIZE = 0x4206
    INTERRUPT = 0x4207
    LISTEN = 0x4208
    PEEKSIGINFO = 0x4209
    GETSIGMASK = 0x420A
    SETSIGMASK = 0x420B
    SECCOMP_GET_FILTER = 0x420C
    SECCOMP_GET_METADATA = 0x420D
    GET_SYSCALL_INFO = 0x420E
    GET_RSEQ_CONFIGURATION = 0x420F
    SET_SYSCALL_USER_DISPATCH_CONFIG = 0x4210
    GET_SYSCALL_USER_DISPATCH_CONFIG = 0x4211
    SET_SYSCALL_INFO = 0x4212


class Option(IntEnum):
    """What a tracer may want to know besides. Source: include/uapi/linux/ptrace.h."""

    TRACESYSGOOD = 0x1
    TRACEFORK = 0x2
    TRACEVFORK = 0x4
    TRACECLONE = 0x8
    TRACEEXEC = 0x10
    TRACEEXIT = 0x40
    TRACESECCOMP = 0x80
    EXITKILL = 0x100000
    SUSPEND_SECCOMP = 0x200000


class Status(int):
    """How a wait ended, as wait4(2) gives it; shows itself in words."""

    @classmethod
    def stopped(cls, by: int, event: int = 0) -> Status:
        """Return the status of a process that `by` stopped: a signal's number, 0x80 for a call."""
        return cls(event << 16 | by << 8 | _STOPPED)

    @classmethod
    def exited(cls, code: int) -> Status:
        """Return the status of a process that ended by itself."""
        return cls(code << 8)

    @property
    def is_stop(self) -> bool:
        """Whether the process is still there."""
        return self & 0xFF == _STOPPED

    def __repr__(self) -> str:
        """Return what happened."""
        number, event = self >> 8 & 0xFF, self >> 16
        if not self.is_stop:
            killer = self & 0x7F
            return f"<killed by {signal_name(killer)}>" if killer else f"<exited {number}>"
        good = "|0x80" if number & 0x80 else ""
        return f"<stopped by {signal_name(number & 0x7F)}{good}, event {event}>"


CALL_STOP = Status.stopped(signal.SIGTRAP | 0x80)
"""At a system call's entry or exit, with TRACESYSGOOD."""
TRAP_STOP = Status.stopped(signal.SIGTRAP)
"""At an int3, and after a single step."""

LAYOUTS: Mapping[Abi, tuple[str, ...]] = {
    I386: (
        *("bx", "cx", "dx", "si", "di", "bp", "ax", "ds", "es", "fs", "gs", "orig_ax"),
        *("ip", "cs", "flags", "sp", "ss"),
    ),
    X86_64: (
        *("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8"),
        *("ax", "cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss"),
        *("fs_base", "gs_base", "ds", "es", "fs", "gs"),
    ),
}
"""The words of ``struct user_regs_struct`` in their order, by the names of ``struct pt_regs``.
Source: arch/x86/include/asm/user_32.h, user_64.h (6.1).
"""


def plain_name(register: str) -> str:
    """Return how ``struct pt_regs`` calls a general register: eax and rax are "ax", r8 is "r8"."""
    return register if register[1:].isdigit() else register[1:]


def decode_registers(record: bytes, view: Abi) -> dict[str, int]:
    """Read a ``struct user_regs_struct`` as programs of `view` have it."""
    return dict(zip(LAYOUTS[view], words(record, view), strict=True))


def encode_registers(values: Mapping[str, int], view: Abi) -> bytes:
    """Return a ``struct user_regs_struct`` as programs of `view` have it."""
    return pack((values[name] for name in LAYOUTS[view]), view)


def words(record: bytes, view: Abi) -> tuple[int, ...]:
    """Read bytes as words of `view`."""
    size = view.bits // 8
    pieces = (record[at : at + size] for at in range(0, len(record), size))
    return tuple(int.from_bytes(piece, "little") for piece in pieces)


def pack(values: Iterable[int], view: Abi) -> bytes:
    """Return words of `view` as bytes; negative ones are taken as two's complement."""
    return b"".join((value & view.mask).to_bytes(view.bits // 8, "little") for value in values)


DEBUG_REGISTERS: Mapping[Abi, int] = {I386: 252, X86_64: 848}
"""Where ``u_debugreg`` begins in ``struct user``. Source: as above."""
