# SPDX-License-Identifier: Apache-2.0
"""Both sides of the edge of what calls about processes take: who, how, priorities, scheduling.

Source: kernel/sys.c, kernel/signal.c, kernel/exit.c, kernel/sched (6.1).
"""

import struct
from errno import (
    E2BIG,
    EACCES,
    ECHILD,
    EFAULT,
    EINVAL,
    ENODEV,
    EPERM,
    ESRCH,
)

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import At, Buffer
from harness.arch import I386
from harness.landscape import ARENA, HOLE

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

ROOM = Buffer(64)
RLIMIT_NOFILE = 7
NOBODY = 0x3FFF_FFFF


DUMPABLE, KEEP_CAPS, TIMING, CAPABILITY, MACHINE_CHECKS, SUBREAPER = 4, 8, 14, 23, 33, 36
SLACK = 29
NO_HUGE_PAGES = 41


def test_processes(guest, entry):
    pid = guest.call(entry, "getpid").value
    rows = [
        (-ECHILD, "wait4", -1, 0, 1, 0),
        (-EINVAL, "wait4", -1, 0, 0x10, 0),
        (-EINVAL, "waitid", 0, 0, ROOM, 0, 0),
        (-EINVAL, "waitid", 4, 0, ROOM, 4, 0),
        (-ECHILD, "waitid", 0, 0, ROOM, 4, 0),
        (-ESRCH, "wait4", -0x8000_0000, 0, 1, 0),
        (-ESRCH, "kill", -0x8000_0000, 0),
        (-EINVAL, "waitid", 1, 0, ROOM, 4, 0),
        (-EINVAL, "setpgid", 0, -1),
        (-ESRCH, "setpgid", NOBODY, 0),
        (-ESRCH, "getpgid", NOBODY),
        (-ESRCH, "getsid", NOBODY),
        *[(pid, name, pid) for name in ("getpgid", "getsid")],
        *[(20, "getpriority", kind, who) for kind in (0, 1) for who in (0, pid)],
        *[(-ESRCH, "getpriority", kind, NOBODY) for kind in range(3)],
        *[(-ESRCH, "setpriority", kind, NOBODY, 0) for kind in range(3)],
        (-EINVAL, "setpriority", 3, 0, 0),
        *[(-ESRCH, "prlimit64", NOBODY, RLIMIT_NOFILE, 0, ROOM)],
        (-EINVAL, "getpriority", 3, 0),
        (0, "setpriority", 0, 0, 99),
        (1, "getpriority", 0, 0),
        (0, "prctl", 1, 64, 0, 0, 0),
        (-EINVAL, "prctl", 1, 65, 0, 0, 0),
        (-EINVAL, "prctl", 0x7FFF, 0, 0, 0, 0),
        (-EINVAL, "unshare", 1),
        (-EINVAL, "getrusage", 2, ROOM),
        (99, "sched_get_priority_max", 1),
        (1, "sched_get_priority_min", 1),
        (0, "sched_get_priority_max", 0),
        (-EINVAL, "sched_get_priority_max", 4),
        (-EINVAL, "sched_setscheduler", pid, 1, bytes(4)),
        (-EINVAL, "sched_setscheduler", pid, 0, b"\1\0\0\0"),
        (0, "prctl", 1, 0, 0, 0, 0),
        *[(0, "prctl", option, 1, 0, 0, 0) for option in (DUMPABLE, KEEP_CAPS, SUBREAPER)],
        *[(1, "prctl", option - 1, 0, 0, 0, 0) for option in (DUMPABLE, KEEP_CAPS)],
        *[(-EINVAL, "prctl", option, 2, 0, 0, 0) for option in (DUMPABLE, KEEP_CAPS)],
        (0, "prctl", KEEP_CAPS, 0, 0, 0, 0),
        (-EINVAL, "prctl", TIMING, 1, 0, 0, 0),
        (0, "prctl", TIMING, 0, 0, 0, 0),
        *[(0, "prctl", SLACK, 1, 0, 0, 0), (1, "prctl", SLACK + 1, 0, 0, 0, 0)],
        *[(0, "prctl", SLACK, 0, 0, 0, 0), (50_000, "prctl", SLACK + 1, 0, 0, 0, 0)],
        (1, "prctl", CAPABILITY, 0, 0, 0, 0),
        (-EINVAL, "prctl", CAPABILITY, 64, 0, 0, 0),
        (-EINVAL, "prctl", NO_HUGE_PAGES, 1, 1, 0, 0),
        (-EINVAL, "prctl", NO_HUGE_PAGES + 1, 1, 0, 0, 0),
        (-EINVAL, "prctl", MACHINE_CHECKS, 0, 1, 0, 0),
        (-EINVAL, "prctl", MACHINE_CHECKS, 1, 3, 0, 0),
        (-EINVAL, "prctl", MACHINE_CHECKS + 1, 1, 0, 0, 0),
        *[(-EINVAL, "rt_sigsuspend", bytes(16), size) for size in (4, 16)],
        (-EFAULT, "rt_sigsuspend", HOLE, 8),
        *[(-EINVAL, "waitid", 2, -1, ROOM, 4, 0), (-ECHILD, "waitid", 2, NOBODY, ROOM, 4, 0)],
        (pid, "set_tid_address", 0),
        (-EINVAL, "set_robust_list", 0, 1),
        (-ESRCH, "get_robust_list", NOBODY, ROOM, ROOM),
        (-EINVAL, "sched_getattr", 0, ROOM, 47, 0),
        (-EINVAL, "sched_getattr", 0, ROOM, 4097, 0),
        (-EINVAL, "sched_getattr", 0, ROOM, 48, 1),
        (-EINVAL, "sched_setattr", 0, bytes([48]) + bytes(47), 1),
        (-ESRCH, "sched_getscheduler", NOBODY),
        (-EINVAL, "sched_getscheduler", -1),
        (-EINVAL, "sched_getaffinity", 0, 3, ROOM),
    ]
    assert find_wrong(guest, entry, rows) == []


OF_OTHERS = (5, 6, 9, 10, 11, 12, 19, 20, 45, 46, 50, 51, 54, 55, 56, 60, 61, 63, 64)
"""What only processors of other makes are asked about: unaligned words, endianness and so on.
Source: kernel/sys.c prctl, with its SET_UNALIGN_CTL and the like (6.12)."""
MACHINE_CHECKS_NOW, NO_NEW_PRIVILEGES, SPECULATION, FLUSHER = 34, 39, 52, 57


@pytest.mark.room("it is root")
def test_a_process_is_told_by_prctl_what_it_asked_for(guest, entry):
    checks, huge = ("prctl", MACHINE_CHECKS_NOW, 0, 0, 0, 0), ("prctl", 42, 0, 0, 0, 0)
    flusher = ("prctl", FLUSHER + 1, 0, 0, 0, 0)
    rows = [(-EINVAL, "prctl", option, ARENA.start, 0, 0, 0) for option in OF_OTHERS]
    rows += [(2, *checks)]
    for how in (1, 0, 2, 1):
        rows += [(0, "prctl", MACHINE_CHECKS, 1, how, 0, 0), (how, *checks)]
    rows += [(0, "prctl", MACHINE_CHECKS, 0, 0, 0, 0), (2, *checks)]
    for on in (1, 0):
        rows += [(0, "prctl", NO_HUGE_PAGES, on, 0, 0, 0), (on, *huge)]
        rows += [(0, "prctl", FLUSHER, on, 0, 0, 0), (on, *flusher)]
    rows += [
        *[(-EINVAL, "prctl", MACHINE_CHECKS, 1, 1, *two) for two in ((1, 0), (0, 1))],
        (-EINVAL, "prctl", MACHINE_CHECKS, 2, 0, 0, 0),
        *[(-EINVAL, "prctl", NO_NEW_PRIVILEGES, *four) for four in ((1, 0, 0, 0), (0, 0, 0, 1))],
        *[(-EINVAL, "prctl", SPECULATION, 0, *three) for three in ((1, 0, 0), (0, 0, 1))],
        *[(-EINVAL, "prctl", SPECULATION + 1, 0, 0, *two) for two in ((1, 0), (0, 1))],
        *[(-ENODEV, "prctl", SPECULATION + which, 77, 0, 0, 0) for which in range(2)],
        *[(-EINVAL, "prctl", FLUSHER, *four) for four in ((2, 0, 0, 0), (1, 1, 0, 0))],
        (-EINVAL, "prctl", FLUSHER + 1, 1, 0, 0, 0),
        (0, "setuid", 1000),
        *[(-EPERM, "prctl", option, 0, 0, 0, 0) for option in (FLUSHER, FLUSHER + 1)],
    ]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.room("it is root")
def test_priorities_of_a_group_and_of_a_user(guest, entry):
    """Source: kernel/sys.c setpriority, set_one_prio (6.12)."""
    process, group, user, somebody = 0, 1, 2, 123_456
    setuid = "setuid32" if entry.table is I386 else "setuid"
    rows = [
        (0, "setpriority", group, 0, 3),
        *[(17, "getpriority", kind, 0) for kind in (process, group)],
        (0, setuid, somebody),
        (17, "getpriority", user, 0),
        (0, "setpriority", user, 0, 4),
        *[(16, "getpriority", user, who) for who in (0, somebody)],
        (0, "setpriority", user, somebody, 5),
        (15, "getpriority", process, 0),
        *[(-EACCES, "setpriority", kind, 0, 4) for kind in (process, group, user)],
        (-EPERM, "setpriority", process, 1, 19),
        (-EPERM, "sethostname", b"x", 1),
        (-EPERM, "setdomainname", b"x", 1),
        (-EPERM, "chroot", b"/\0"),
        (-EPERM, "vhangup"),
        (15, "getpriority", process, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


RESET_ON_FORK, KEEP_POLICY, KEEP_PARAMETERS, SCHEDULING = 1, 8, 16, 48
OTHERS, FIFO, IDLE, NOT_IN_CHILDREN = 0, 1, 5, 0x4000_0000
"""Policies of scheduling, and what is ORed to one that is not for children."""
KNOWN = 56
"""How much the kernel knows of it, which it tells who says something else."""


def scheduling(policy=OTHERS, flags=0, priority=0, size=SCHEDULING):
    return struct.pack("<IIQiIQQQ", size, policy, flags, 0, priority, 0, 0, 0)


def number_of(value):
    return value.to_bytes(4, "little")


def test_scheduling_that_makes_no_sense(guest, entry):
    """Source: kernel/sched/syscalls.c sched_copy_attr, __sched_setscheduler (6.12; core.c, 6.1)."""
    first = b"\1" + bytes(7)
    nobodys = (
        ("sched_setattr", scheduling(), 0),
        ("sched_getattr", ROOM, SCHEDULING, 0),
        ("sched_setscheduler", OTHERS, bytes(4)),
        ("sched_setparam", bytes(4)),
        ("sched_getparam", ROOM),
        ("sched_setaffinity", 8, first),
        ("sched_getaffinity", 8, ROOM),
        ("sched_rr_get_interval", ROOM),
    )
    larger = scheduling(size=SCHEDULING + 16)
    rows = [
        (0, "sched_setattr", 0, scheduling(size=0), 0),
        (0, "sched_setattr", 0, larger + bytes(16), 0),
        (-E2BIG, "sched_setattr", 0, scheduling(size=SCHEDULING - 1), 0),
        (-E2BIG, "sched_setattr", 0, larger + bytes(8) + number_of(1) + bytes(4), 0),
        *[(-EINVAL, "sched_setattr", 0, scheduling(p), 0) for p in (4, 1 << 31, 99)],
        *[(-EINVAL, "sched_setattr", 0, scheduling(flags=1 << n), 0) for n in (7, 28, 63)],
        *[(-EINVAL, "sched_setattr", 0, scheduling(FIFO, 0, n), 0) for n in (0, 100)],
        (-EINVAL, "sched_setattr", 0, scheduling(OTHERS, 0, 1), 0),
        (-EINVAL, "sched_setattr", -1, scheduling(), 0),
        *[(-EINVAL, "sched_setscheduler", 0, FIFO, number_of(n)) for n in (0, 100)],
        *[(-ESRCH, name, NOBODY, *rest) for name, *rest in nobodys],
    ]
    assert find_wrong(guest, entry, rows) == []
    for refused in (scheduling(size=1), larger + bytes(15) + b"\1"):
        guest.call(entry, "sched_setattr", 0, At(ARENA.start, refused), 0)
        assert guest.read(entry.abi, ARENA.start, 8) == struct.pack("<II", KNOWN, OTHERS)


@pytest.mark.guest_only("it wants privilege")
def test_how_a_process_is_scheduled_is_told_as_it_was_set(guest, entry):
    """Source: kernel/sched/syscalls.c sched_getattr, SCHED_FLAG_KEEP_ALL (6.12; core.c, 6.1)."""
    rows = [
        (0, "sched_setattr", 0, scheduling(OTHERS, RESET_ON_FORK), 0),
        (NOT_IN_CHILDREN, "sched_getscheduler", 0),
        (0, "sched_setscheduler", 0, OTHERS, bytes(4)),
        (0, "sched_getscheduler", 0),
        (0, "sched_setscheduler", 0, FIFO | NOT_IN_CHILDREN, number_of(6)),
        (FIFO | NOT_IN_CHILDREN, "sched_getscheduler", 0),
        (0, "sched_setparam", 0, number_of(7)),
        (0, "sched_setattr", 0, scheduling(OTHERS, KEEP_POLICY | RESET_ON_FORK, 8), 0),
        (0, "sched_setattr", 0, scheduling(FIFO, KEEP_PARAMETERS | RESET_ON_FORK, 5), 0),
    ]
    assert find_wrong(guest, entry, rows) == []
    attributes = guest.call(entry, "sched_getattr", 0, Buffer(SCHEDULING), SCHEDULING, 0)
    assert attributes.memory[0].hex() == scheduling(FIFO, RESET_ON_FORK, 8).hex()
    priority = guest.call(entry, "sched_getparam", 0, Buffer(8)).memory[0]
    assert priority == number_of(8) + b"\xa5" * 4


@pytest.mark.guest_only("it wants privilege")
def test_without_privilege_nobody_is_scheduled_sooner(guest, entry):
    """Source: kernel/sched/syscalls.c user_check_sched_setscheduler (6.12; core.c, 6.1)."""
    idle = IDLE | NOT_IN_CHILDREN
    rows = [
        (0, "sched_setscheduler", 0, idle, bytes(4)),
        (0, "setpriority", 0, 0, 5),
        (0, "setuid", 1000),
        (0, "sched_setscheduler", 0, idle, bytes(4)),
        (-EPERM, "sched_setscheduler", 0, FIFO | NOT_IN_CHILDREN, number_of(1)),
        (-EPERM, "sched_setscheduler", 0, NOT_IN_CHILDREN, bytes(4)),
        (-EPERM, "sched_setscheduler", 0, IDLE, bytes(4)),
        (-EPERM, "sched_setscheduler", 1, OTHERS, bytes(4)),
        (-EPERM, "sched_setaffinity", 1, 8, b"\1" + bytes(7)),
    ]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.entries("int80", "int80_64")
@pytest.mark.room("it is root")
def test_nice_adds_and_says_nothing_of_the_sum(guest, entry):
    """Source: kernel/sched/core.c nice, can_nice (6.1); getpriority tells 20 less the sum."""
    rows = []
    for answer, by, seen in ((0, -100, 40), (0, 39, 1), (0, -5, 6), (0, 0, 6)):
        rows += [(answer, "nice", by), (seen, "getpriority", 0, 0)]
    rows += [(0, "setuid", 1000)]
    for answer, by, seen in ((-EPERM, -1, 6), (0, 2, 4), (0, 0, 4)):
        rows += [(answer, "nice", by), (seen, "getpriority", 0, 0)]
    assert find_wrong(guest, entry, rows) == []
