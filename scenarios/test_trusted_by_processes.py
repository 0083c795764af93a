# SPDX-License-Identifier: Apache-2.0
"""Calls about processes, signals and time: no pointer of theirs is followed without a look.

Each row is a call that works. Each of its pointers is then made wrong in each way, and the call has
to answer EFAULT; where the memory ends exactly with what the call wants, it has to work.

Source: kernel/{exit,sys,signal,sched/core,time/*}.c (6.1); structures of include/uapi and, for
32-bit programs, include/linux/compat.h. CVE-2017-5123 (waitid) was one such pointer.
"""

from errno import EAGAIN, EINVAL

import pytest

from harness.agent.arguments import Buffer
from harness.agent.sweep import Row, find_trusted, read_first_page
from harness.arch import I386
from harness.landscape import UNTOUCHED

FORK = (("fork",),)
USR2 = (1 << 11).to_bytes(8, "little")
ALIGNED = ("cut", "limit_after")  # odd addresses are EINVAL, and 4 bytes are there or not
EXITED_AND_LEFT = 0x100_0004  # WEXITED | WNOWAIT
KNOWN_REST = ("limit_reached",)  # the whole structure must be in reach, not all of it is written


@pytest.fixture
def own(guest, entry):
    """Give the executor's process, with USR2 blocked, timer 0 made and a child to wait for."""
    guest.call(entry, "fork")
    guest.call(entry, "rt_sigprocmask", 0, USR2, 0, 8)
    guest.call(
        entry,
        "timer_create",
        1,
        entry.table.words(0) + bytes([10, 0, 0, 0, 1]) + bytes(55),
        Buffer(4),
    )
    return guest.call(entry, "getpid").value


def process_rows(entry):
    w = entry.table.word_bytes
    return (
        Row(("wait4", -1, Buffer(4), 0, Buffer(18 * w)), optional=(2, 4), first=FORK),
        Row(
            ("waitid", 0, 0, Buffer({4: 24, 8: 28}[w]), EXITED_AND_LEFT, Buffer(18 * w)),
            optional=(3, 5),
            unlike=KNOWN_REST,
        ),
        Row(("getrusage", 0, Buffer(18 * w))),
        Row(("prlimit64", 0, 7, (4096).to_bytes(8, "little") * 2, Buffer(16)), optional=(3, 4)),
        Row(("setrlimit", 7, entry.table.words(4096, 4096))),
        Row(("getrlimit", 7, Buffer(2 * w))),
        Row(("getcpu", Buffer(4), Buffer(4), 0), optional=(1, 2)),
        Row(("sched_getaffinity", 0, w, Buffer(w))),
        Row(("sched_setaffinity", 0, w, entry.table.words(1))),
        Row(("sched_getparam", 0, Buffer(4)), null={2: EINVAL}),
        Row(("sched_setparam", 0, bytes(4)), null={2: EINVAL}),
        Row(("sched_setscheduler", 0, 0, bytes(4)), null={3: EINVAL}),
        Row(("sched_getattr", 0, Buffer(48), 48, 0), null={2: EINVAL}),
        Row(("sched_setattr", 0, bytes([48]) + bytes(47), 0), null={2: EINVAL}),
        Row(("sched_rr_get_interval", 0, Buffer(2 * w))),
        Row(("uname", Buffer(390))),
        Row(("sysinfo", Buffer(112 if w == 8 else 64))),
        Row(("times", Buffer(4 * w)), optional=(1,)),
        Row(("sethostname", b"guest", 5)),
        Row(("setdomainname", b"guest", 5)),
        Row(("prctl", 37, Buffer(4), 0, 0, 0)),
        Row(("prctl", 2, Buffer(4), 0, 0, 0)),
        Row(("prctl", 15, b"name\0", 0, 0, 0)),
        Row(("prctl", 16, Buffer(16), 0, 0, 0)),
        Row(("get_robust_list", 0, Buffer(w), Buffer(w))),
        Row(("capget", bytes.fromhex("2205082000000000"), Buffer(24)), optional=(2,)),
        Row(("getcwd", Buffer(2), 2)),
        Row(("clone3", bytes(32) + bytes([17]) + bytes(31), 64)),
        Row(("seccomp", 2, 0, bytes.fromhex("0000ff7f"))),
        Row(("seccomp", 3, 0, Buffer(6))),
    )


def identity_rows(entry):
    w = entry.table.word_bytes
    narrow = 2 if entry.table is I386 else 4
    wide = ("32", 4) if entry.table is I386 else ("", 4)
    for suffix, size in {("", narrow), wide}:
        yield Row((f"getresuid{suffix}", *[Buffer(size)] * 3))
        yield Row((f"getresgid{suffix}", *[Buffer(size)] * 3))
        yield Row((f"setgroups{suffix}", 3, bytes(3 * size)))
        yield Row((f"getgroups{suffix}", 3, Buffer(3 * size)))
    if entry.table is I386:
        yield Row(("waitpid", -1, Buffer(4), 0), optional=(2,), first=FORK)
        yield Row(("olduname", Buffer(325)))
        yield Row(("oldolduname", Buffer(45)))
        yield Row(("ugetrlimit", 7, Buffer(2 * w)))
    else:
        yield Row(("arch_prctl", 0x1003, Buffer(8)))
        yield Row(("arch_prctl", 0x1004, Buffer(8)))


def signal_rows(entry, arch, pid):
    w = entry.table.word_bytes
    native = {"i386": 32, "x86_64": 48}[arch.name]
    sent = (("kill", pid, 12),)
    own_info = (
        (12).to_bytes(4, "little")
        + bytes(4)
        + b"\xff" * 4
        + bytes((native if entry.table is arch.abi else 128) - 12)
    )
    yield Row(("rt_sigprocmask", 0, USR2, Buffer(8), 8), optional=(2, 3))
    yield Row(("rt_sigpending", Buffer(8), 8))
    yield Row(
        ("rt_sigaction", 10, entry.table.words(1, 0, 0) + bytes(8), Buffer(3 * w + 8), 8),
        optional=(2, 3),
    )
    yield Row(
        ("rt_sigtimedwait", USR2, Buffer(128), entry.table.words(0, 0), 8),
        optional=(2, 3),
        first=sent,
    )
    yield Row(("rt_sigqueueinfo", pid, 12, own_info))
    yield Row(("rt_tgsigqueueinfo", pid, pid, 12, own_info))
    yield Row(("sigaltstack", 0, Buffer(3 * w)), optional=(2,))
    yield Row(("sigaltstack", entry.table.words(0, 0x100, 0), 0), answers=EINVAL, null={1: None})
    if entry.table is I386:
        yield Row(("sigprocmask", 0, bytes(4), Buffer(4)), optional=(2, 3))
        yield Row(("sigpending", Buffer(4)))
        yield Row(("sigaction", 10, entry.table.words(1, 0, 0, 0), Buffer(16)), optional=(2, 3))
        yield Row(
            ("rt_sigtimedwait_time64", USR2, Buffer(128), bytes(16), 8), optional=(2, 3), first=sent
        )


def time_rows(entry, arch):
    w = entry.table.word_bytes
    day = entry.table.words(0, 86400)
    yield Row(("time", Buffer(w)), optional=(1,))
    yield Row(("gettimeofday", Buffer(2 * w), Buffer(8)), optional=(1, 2))
    yield Row(("settimeofday", 0, bytes(8)), optional=(2,))
    yield Row(("settimeofday", entry.table.words(0, 2_000_000), 0), answers=EINVAL, null={1: None})
    yield Row(("clock_gettime", 1, Buffer(2 * w)))
    yield Row(("clock_getres", 1, Buffer(2 * w)), optional=(2,))
    yield Row(("clock_settime", 0, entry.table.words(0, 2_000_000_000)), answers=EINVAL)
    yield Row(("adjtimex", Buffer(208 if w == 8 else 128, fill=0)))
    yield Row(("clock_adjtime", 0, Buffer(208 if w == 8 else 128, fill=0)))
    yield Row(("getitimer", 0, Buffer(4 * w)))
    yield Row(("setitimer", 0, bytes(4 * w), Buffer(4 * w)), optional=(2, 3))
    event = entry.table.words(0) + bytes([10, 0, 0, 0, 1])  # SIGEV_NONE
    event = event.ljust(64 if entry.table is arch.abi else 16, b"\0")
    yield Row(("timer_create", 1, event, Buffer(4)), optional=(2,))
    yield Row(("timer_gettime", 0, Buffer(4 * w)))
    yield Row(
        ("timer_settime", 0, 0, entry.table.words(0) + day + entry.table.words(0), Buffer(4 * w)),
        optional=(4,),
        null={3: EINVAL},
    )
    yield Row(
        ("futex", bytes(4), 0x80, 1, entry.table.words(0, 1)),
        answers=EAGAIN,
        optional=(4,),
        unlike=ALIGNED,
    )
    yield Row(("futex", UNTOUCHED.start, 0x85, 1, 1, Buffer(4, fill=0), 0), unlike=ALIGNED)
    yield Row(("futex", Buffer(4, fill=0), 0x86, 0, 0), unlike=ALIGNED)
    yield Row(
        ("futex_waitv", bytes(8) + bytes(12) + bytes(4), 1, 0, bytes(16), 1),
        answers=EINVAL,
        optional=(1, 4),
    )
    if entry.table is I386:
        yield Row(("stime", bytes(4)))
        yield Row(("clock_gettime64", 1, Buffer(16)))
        yield Row(("clock_getres_time64", 1, Buffer(16)), optional=(2,))
        yield Row(("clock_settime64", 0, bytes(12) + b"\xff" * 4), answers=EINVAL)
        yield Row(("clock_adjtime64", 0, Buffer(208, fill=0)))
        yield Row(("timer_gettime64", 0, Buffer(32)))
        yield Row(("timer_settime64", 0, 0, bytes(32), Buffer(32)), optional=(4,), null={3: EINVAL})
        yield Row(("sched_rr_get_interval_time64", 0, Buffer(16)))
        yield Row(
            ("futex_time64", bytes(4), 0x80, 1, bytes(16)),
            answers=EAGAIN,
            optional=(4,),
            unlike=ALIGNED,
        )


@pytest.mark.claim(39)
@pytest.mark.claim(40)
@pytest.mark.claim(46)
@pytest.mark.entries("int80", "syscall")
@pytest.mark.parametrize("about", ["processes", "identities", "signals", "time"])
def test_no_pointer_is_trusted(guest, entry, own, about):
    page = read_first_page(guest)
    rows = {
        "processes": lambda: process_rows(entry),
        "identities": lambda: identity_rows(entry),
        "signals": lambda: signal_rows(entry, guest.identity.arch, own),
        "time": lambda: time_rows(entry, guest.identity.arch),
    }[about]()
    assert find_trusted(guest, entry, rows) == {}
    assert read_first_page(guest) == page
