# SPDX-License-Identifier: Apache-2.0
"""The numbers by which a 64-bit program makes calls as one of x32."""

from __future__ import annotations

from errno import ENOSYS

from harness.agent.arguments import Argument
from harness.agent.calls import Outcome
from harness.agent.guest import Guest
from harness.entry import SYSCALL

X32 = 0x4000_0000
X32_FIRST = 512
X32_NAMES = (
    *("rt_sigaction", "rt_sigreturn", "ioctl", "readv", "writev", "recvfrom", "sendmsg"),
    *("recvmsg", "execve", "ptrace", "rt_sigpending", "rt_sigtimedwait", "rt_sigqueueinfo"),
    *("sigaltstack", "timer_create", "mq_notify", "kexec_load", "waitid", "set_robust_list"),
    *("get_robust_list", "vmsplice", "move_pages", "preadv", "pwritev", "rt_tgsigqueueinfo"),
    *("recvmmsg", "sendmmsg", "process_vm_readv", "process_vm_writev", "setsockopt"),
    *("getsockopt", "io_setup", "io_submit", "execveat", "preadv2", "pwritev2"),
)
"""From 512 on. Source: arch/x86/entry/syscalls/syscall_64.tbl, abi x32 (6.1)."""


def x32_number(guest: Guest, name: str) -> int:
    """Return the number of a call of x32: one of its own, or everybody's with its bit."""
    if name in X32_NAMES:
        return X32 | X32_FIRST + X32_NAMES.index(name)
    return X32 | guest.table(SYSCALL).number(name)


def call_x32(guest: Guest, name: str, *arguments: Argument) -> Outcome:
    """Make a call as a program of x32 does."""
    return guest.call(SYSCALL, x32_number(guest, name), *arguments)


def has_x32(guest: Guest) -> bool:
    """Tell whether the kernel runs x32 programs."""
    return call_x32(guest, "getpid").errno != ENOSYS
