# SPDX-License-Identifier: Apache-2.0
"""Both sides of the edge of what newer calls take: flags, sizes, ranges, and what they do.

Source: man 2 of each call, ERRORS; kernel/fork.c clone3_args_valid; fs/open.c build_open_flags;
kernel/sched/membarrier.c; kernel/futex/syscalls.c; mm/mremap.c; mm/mseal.c (6.12);
tools/testing/selftests/{clone3,openat2,core,pidfd,membarrier,futex,mm}.
"""

import struct
from errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EBADF,
    ECHILD,
    EFAULT,
    EINVAL,
    ELOOP,
    ENOENT,
    ENOMEM,
    ENOSYS,
    EOPNOTSUPP,
    EPERM,
    ESRCH,
    ETIMEDOUT,
    EXDEV,
)
from os import O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDWR

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.agent.clocks import WAIT, WAIT_BY_CLOCK
from harness.agent.puppet import start_puppet
from harness.arch import I386, X86_64
from harness.landscape import ARENA, HOLE, PAGE

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

HERE, NOBODY = -100, 0x3FFF_FFFF
SIGCHLD = 17
STACK = ARENA.start + 0x8000
KNOWN_BYTES = 64
"""How large the first `struct clone_args` was."""


def asked(flags=0, signal=SIGCHLD, stack=(0, 0), numbers=(0, 0), more=b""):
    """Return what clone3 is asked for."""
    return struct.pack("<11Q", flags, 0, 0, 0, signal, *stack, 0, *numbers, 0) + more


@pytest.mark.needs(since="5.7")
def test_a_child_that_makes_no_sense_is_not_made(guest, entry):
    first = asked()[:KNOWN_BYTES]
    rows = [
        (-EINVAL, "clone3", first, KNOWN_BYTES - 1),
        (-EINVAL, "clone3", first, 0),
        (-E2BIG, "clone3", first, 4097),
        (-E2BIG, "clone3", asked(more=bytes(7) + b"\1"), 96),
        *[(-EINVAL, "clone3", asked(signal=signal), 88) for signal in (65, 0x100, 1 << 32)],
        *[(-EINVAL, "clone3", asked(flags), 88) for flags in (SIGCHLD, 0x40_0000, 1 << 40)],
        (-EINVAL, "clone3", asked(0x1_0000_0800 | 0x100, 0), 88),
        (-EINVAL, "clone3", asked(0x8000), 88),
        (-EINVAL, "clone3", asked(0x1_0000, 0), 88),
        (-EINVAL, "clone3", asked(0x800, 0), 88),
        *[(-EINVAL, "clone3", asked(flags), 88) for flags in (0x2_0200, 0x1000_0200)],
        *[(-EINVAL, "clone3", asked(stack=stack), 88) for stack in ((STACK, 0), (0, 4096))],
        (-EINVAL, "clone3", asked(stack=((1 << 64) - 4096, 4096)), 88),
        *[(-EINVAL, "clone3", asked(numbers=two), 88) for two in ((STACK, 0), (0, 1), (STACK, 33))],
        (-EFAULT, "clone3", asked(numbers=(HOLE, 1)), 88),
        (-ECHILD, "wait4", -1, 0, 0x4000_0000, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


NO_XDEV, NO_MAGIC_LINKS, NO_SYMLINKS, BENEATH, IN_ROOT = 1, 2, 4, 8, 0x10
TMPFILE = 0o20000000 | O_DIRECTORY


def how(flags=0, mode=0, resolve=0):
    return struct.pack("<QQQ", flags, mode, resolve)


@pytest.mark.needs(since="5.6")
def test_a_file_is_opened_just_as_it_is_asked_for(guest, entry):
    rows = [(-EINVAL, "openat2", HERE, b"/\0", how(), 23), (-EINVAL, "openat2", HERE, b"/\0", 0, 0)]
    wrong = [
        *[how(O_PATH | other) for other in (O_RDWR, O_CREAT, O_EXCL, 0o400, 0o40000, O_NONBLOCK)],
        *[how(0, 0o600), how(O_PATH, 0o600), how(O_CREAT, 0xFFFF), how(O_CREAT, 1 << 63)],
        *[how(TMPFILE | O_PATH | O_RDWR), how(TMPFILE | O_CREAT | O_RDWR), how(TMPFILE)],
        *[how(resolve=BENEATH | IN_ROOT), how(resolve=1 << 12), how(resolve=1 << 40)],
        *[how(1 << 31), how(1 << 40), how(1 << 63), how(0o20000000)],
    ]
    rows += [(-EINVAL, "openat2", HERE, b"/\0", which, 24) for which in wrong]
    rows += [
        (-EXDEV, "openat2", HERE, b"/\0", how(resolve=BENEATH), 24),
        (-EXDEV, "openat2", HERE, b"..\0", how(resolve=BENEATH), 24),
        (-EXDEV, "openat2", HERE, b"/proc\0", how(resolve=NO_XDEV), 24),
        (-ELOOP, "openat2", HERE, b"/proc/self\0", how(resolve=NO_SYMLINKS), 24),
        (-ENOENT, "openat2", HERE, b"/proc/none\0", how(resolve=IN_ROOT), 24),
    ]
    assert find_wrong(guest, entry, rows) == []
    proc = guest.call(entry, "open", b"/proc\0", O_PATH).value
    rows = [
        (-ENOENT, "openat2", proc, b"/proc\0", how(O_PATH, 0, IN_ROOT), 24),
        (-ENOENT, "openat2", proc, b"../probes\0", how(O_PATH, 0, IN_ROOT), 24),
        (-EXDEV, "openat2", proc, b"sys/../..\0", how(O_PATH, 0, BENEATH), 24),
        (-ELOOP, "openat2", proc, b"self/cwd\0", how(O_PATH, 0, NO_MAGIC_LINKS), 24),
        *[
            (-EXDEV, "openat2", proc, b"self/cwd\0", how(O_PATH, 0, n), 24)
            for n in (BENEATH, IN_ROOT)
        ],
        (-ENOENT, "openat2", proc, b"../proc/none\0", how(O_PATH), 24),
    ]
    assert find_wrong(guest, entry, rows) == []
    inside = (
        (b"/../sys/kernel\0", IN_ROOT),
        (b"sys/../self\0", BENEATH),
        (b"self\0", NO_MAGIC_LINKS),
    )
    for path, resolve in inside:
        assert guest.call(entry, "openat2", proc, path, how(O_PATH, 0, resolve), 24).value > 0
    for flags in (O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW):
        assert guest.call(entry, "openat2", HERE, b"/\0", how(O_PATH | flags), 24).value > 0


F_GETFD, FIRST, BY_EXEC = 1, 20, 4


@pytest.mark.needs(since="5.11")
def test_a_range_of_descriptors_is_closed_from_its_first_to_its_last(guest, entry):
    rows = [
        *[(FIRST + at, "dup2", 0, FIRST + at) for at in range(6)],
        (-EINVAL, "close_range", FIRST, FIRST - 1, 0),
        *[(-EINVAL, "close_range", FIRST, FIRST, flags) for flags in (1, 8, -1)],
        (0, "close_range", FIRST + 1, FIRST + 2, 0),
        (0, "close_range", FIRST + 4, FIRST + 4, BY_EXEC),
        *[
            (told, "fcntl", FIRST + at, F_GETFD, 0)
            for at, told in enumerate((0, -EBADF, -EBADF, 0, 1, 0))
        ],
        (0, "close_range", FIRST + 4, FIRST + 9, 0),
        (0, "close_range", FIRST + 3, -1, BY_EXEC),
        *[
            (told, "fcntl", FIRST + at, F_GETFD, 0)
            for at, told in ((0, 0), (3, 1), (4, -EBADF), (5, -EBADF))
        ],
    ]
    assert find_wrong(guest, entry, rows) == []


P_PIDFD, ENDED = 3, 4


@pytest.mark.needs(since="5.10")
def test_a_descriptor_of_a_process(guest, entry):
    own = guest.call(entry, "getpid").value
    held = guest.call(entry, "pidfd_open", own, 0).value
    rows = [
        (1, "fcntl", held, F_GETFD, 0),
        *[(-EINVAL, "pidfd_open", *two) for two in ((0, 0), (-1, 0), (own, 1), (own, O_CLOEXEC))],
        (-ESRCH, "pidfd_open", NOBODY, 0),
        (0, "pidfd_send_signal", held, 0, 0, 0),
        (-EINVAL, "pidfd_send_signal", held, 65, 0, 0),
        (-EINVAL, "pidfd_send_signal", held, 0, 0, 1 << 3),
        (-EBADF, "pidfd_send_signal", -1, 0, 0, 0),
        (-EBADF, "pidfd_send_signal", 0, 0, 0, 0),
        (-EINVAL, "pidfd_getfd", held, 0, 1),
        (-EBADF, "pidfd_getfd", held, 0x7FFF, 0),
        (-EBADF, "pidfd_getfd", 0, 0, 0),
        (-ECHILD, "waitid", P_PIDFD, held, 0, ENDED, 0),
        (-EBADF, "waitid", P_PIDFD, 0, 0, ENDED, 0),
        (-EINVAL, "waitid", P_PIDFD, -1, 0, ENDED, 0),
        (-EINVAL, "process_madvise", held, 0, 0, 20, 1),
        (-EBADF, "process_madvise", -1, 0, 0, 20, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


NOT_WAITED_FOR = 0x100_0000


@pytest.mark.needs(since="5.10")
@pytest.mark.entries("int80", "syscall")
def test_the_end_of_a_process_is_told_by_its_descriptor(guest, entry):
    with start_puppet(guest, entry.abi) as puppet:
        caller, pid = puppet.tracer, puppet.pid
        held = guest.call(caller, "pidfd_open", pid, O_NONBLOCK).value
        polled = struct.pack("<ihh", held, 1, 0)
        seen = ("waitid", P_PIDFD, held, 0, ENDED | NOT_WAITED_FOR, 0)
        rows = [
            (-EAGAIN, *seen),
            (0, "poll", polled, 1, 0),
            (0, "kill", pid, 9),
            (0, "waitid", 1, pid, 0, ENDED | NOT_WAITED_FOR, 0),
            (0, *seen),
            (1, "poll", polled, 1, 0),
            (0, "waitid", P_PIDFD, held, 0, ENDED, 0),
            (-ECHILD, *seen),
        ]
        assert find_wrong(guest, caller, rows) == []


ASK, EVERYWHERE, EXPEDITED, CORE = 0, 1, 8, 32


def test_a_barrier_in_ones_own_process_wants_to_be_asked_for_first(guest, entry):
    if guest.call(entry, "membarrier", ASK, 0).errno == ENOSYS:
        pytest.skip("built without")
    rows = [
        (-EINVAL, "membarrier", ASK, 1),
        (-EINVAL, "membarrier", EVERYWHERE, 1),
        *[(-EINVAL, "membarrier", command, 0) for command in (1 << 20, -1, 3, EXPEDITED | CORE)],
        (0, "membarrier", EVERYWHERE, 0),
        (-EPERM, "membarrier", EXPEDITED, 0),
        (0, "membarrier", 2 * EXPEDITED, 0),
        (0, "membarrier", EXPEDITED, 0),
        (-EINVAL, "membarrier", EXPEDITED, 2),
        (-EPERM, "membarrier", CORE, 0),
        (0, "membarrier", 2 * CORE, 0),
        (0, "membarrier", CORE, 0),
        (0, "membarrier", 2, 0),
        (0, "membarrier", 4, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


WORD, OTHER = ARENA.start + 0x8000, ARENA.start + 0x9000
WAIT_AT, FILE, WAIT_BITS, WAKE_BITS, WAIT_REQUEUE_PI, CMP_REQUEUE_PI = 0, 2, 9, 10, 11, 12
LOCK_PI, TRYLOCK_PI, REALTIME = 6, 8, 0x100
HOLDER = 5


def test_waiting_at_a_word_and_its_time(guest, entry):
    past, odd = entry.table.words(1, 0), entry.table.words(0, 10**9)
    none, before = entry.table.words(0, 0), entry.table.words(-1, 0)
    guest.write(entry.abi, WORD, struct.pack("<I", HOLDER))
    rows = [
        (-ETIMEDOUT, "futex", WORD, WAIT_AT, HOLDER, none, 0, 0),
        (-ETIMEDOUT, "futex", WORD, WAIT_BITS, HOLDER, past, 0, -1),
        (-ETIMEDOUT, "futex", WORD, WAIT_BITS | REALTIME, HOLDER, past, 0, 1),
        *[(-EINVAL, "futex", WORD, WAIT_AT, HOLDER, time, 0, 0) for time in (odd, before)],
        (-EINVAL, "futex", WORD, WAIT_BITS, HOLDER, past, 0, 0),
        (-EINVAL, "futex", WORD, WAKE_BITS, 1, 0, 0, 0),
        (0, "futex", WORD, WAKE_BITS, 1, 0, 0, -1),
        *[(-ENOSYS, "futex", WORD, code, 1, 0, OTHER, 0) for code in (FILE, 14, 127)],
        *[(-ENOSYS, "futex", WORD, code | REALTIME, 1, 0, OTHER, 0) for code in (1, 4, 8, 10, 12)],
        (-EINVAL, "futex", WORD, WAIT_REQUEUE_PI, HOLDER, past, WORD, 0),
        (-EINVAL, "futex", WORD, CMP_REQUEUE_PI, 1, 1, WORD, HOLDER),
        (-EINVAL, "futex", WORD, CMP_REQUEUE_PI, 2, 1, OTHER, HOLDER),
        (-EAGAIN, "futex", WORD, CMP_REQUEUE_PI, 1, 1, OTHER, HOLDER + 1),
        (-EINVAL, "futex", WORD, 4, -1, 1, OTHER, HOLDER),
        (-EINVAL, "futex", WORD, 4, 1, -1, OTHER, HOLDER),
        (-EFAULT, "futex", HOLE, WAIT_AT, 0, none, 0, 0),
        (-EINVAL, "futex", WORD + 2, WAIT_AT, HOLDER, none, 0, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


NARROW, PRIVATE = 2, 0x80


def waiter(value=HOLDER, address=WORD, flags=NARROW, reserved=0):
    return struct.pack("<QQII", value, address, flags, reserved)


@pytest.mark.needs(since="5.16")
def test_waiting_at_several_words_and_their_time(guest, entry):
    past = struct.pack("<QQ", 1, 0)
    guest.write(entry.abi, WORD, struct.pack("<I", HOLDER))
    good = waiter() + waiter(flags=NARROW | PRIVATE)
    rows = [
        (-ETIMEDOUT, "futex_waitv", good, 2, 0, past, 1),
        (-ETIMEDOUT, "futex_waitv", good, 2, 0, past, 0),
        (-EAGAIN, "futex_waitv", waiter() + waiter(HOLDER + 1), 2, 0, past, 1),
        (-EINVAL, "futex_waitv", good, 2, 1, past, 1),
        *[(-EINVAL, "futex_waitv", good, 2, 0, past, clock) for clock in (2, 7)],
        *[(-EINVAL, "futex_waitv", waiter() * 129, count, 0, past, 1) for count in (0, 129)],
        (-ETIMEDOUT, "futex_waitv", waiter() * 128, 128, 0, past, 1),
        (-EINVAL, "futex_waitv", 0, 1, 0, past, 1),
        (-EINVAL, "futex_waitv", good, 2, 0, struct.pack("<QQ", 1, 10**9), 1),
        *[
            (-EINVAL, "futex_waitv", waiter(flags=flags), 1, 0, past, 1)
            for flags in (3, 0x40, 1 << 31)
        ],
        (-EINVAL, "futex_waitv", waiter(reserved=1), 1, 0, past, 1),
        (-EINVAL, "futex_waitv", waiter(address=WORD + 1), 1, 0, past, 1),
        (-EFAULT, "futex_waitv", waiter(address=HOLE), 1, 0, past, 1),
    ]
    assert find_wrong(guest, entry, rows) == []


WIDE_MASK = {I386: (), X86_64: (1 << 32,)}
WIDE_PAIR = {I386: (), X86_64: ((HOLDER, 1 << 32), (HOLDER | 1 << 32, 1))}
"""What is wider than the word, where an argument can be."""


@pytest.mark.needs(since="6.7")
def test_the_newer_calls_about_one_word(guest, entry):
    """Source: kernel/futex/syscalls.c futex_wake, futex_wait, futex_requeue (6.7)."""
    past, never = struct.pack("<QQ", 1, 0), (NARROW - 1, 0x40, 1 << 31)
    guest.write(entry.abi, WORD, struct.pack("<I", HOLDER))
    two, other = waiter() + waiter(address=OTHER), waiter() + waiter(flags=NARROW | PRIVATE)
    everybody = 0xFFFF_FFFF
    rows = [
        *[(0, "futex_wake", WORD, everybody, 1, how) for how in (NARROW, NARROW | PRIVATE)],
        (0, "futex_wake", WORD, everybody, 0, NARROW),
        *[(-EINVAL, "futex_wake", WORD, mask, 1, NARROW) for mask in (0, *WIDE_MASK[entry.table])],
        *[(-EINVAL, "futex_wake", WORD, everybody, 1, how) for how in never],
        (-EINVAL, "futex_wake", WORD + 2, everybody, 1, NARROW),
        (-ETIMEDOUT, "futex_wait", WORD, HOLDER, everybody, NARROW, past, 1),
        (-ETIMEDOUT, "futex_wait", WORD, HOLDER, 1, NARROW | PRIVATE, past, 0),
        *[(-EAGAIN, "futex_wait", WORD, HOLDER + 1, 1, NARROW, time, 1) for time in (past, 0)],
        (-EINVAL, "futex_wait", WORD, HOLDER, 0, NARROW, past, 1),
        *[(-EINVAL, "futex_wait", WORD, *pair, NARROW, past, 1) for pair in WIDE_PAIR[entry.table]],
        *[(-EINVAL, "futex_wait", WORD, HOLDER, 1, how, past, 1) for how in never],
        (-EINVAL, "futex_wait", WORD, HOLDER, 1, NARROW, past, 2),
        (-EINVAL, "futex_wait", WORD, HOLDER, 1, NARROW, struct.pack("<QQ", 1, 10**9), 1),
        (-EFAULT, "futex_wait", WORD, HOLDER, 1, NARROW, HOLE, 1),
        (-EFAULT, "futex_wait", HOLE, 0, 1, NARROW, past, 1),
        (0, "futex_requeue", two, 0, 1, 1),
        (-EAGAIN, "futex_requeue", waiter(HOLDER + 1) + waiter(address=OTHER), 0, 1, 1),
        *[(-EINVAL, "futex_requeue", *rest) for rest in ((two, 1, 1, 1), (0, 0, 1, 1))],
        *[(-EINVAL, "futex_requeue", two, 0, *counts) for counts in ((-1, 1), (1, -1))],
        (-EINVAL, "futex_requeue", other, 0, 1, 1),
        (-EFAULT, "futex_requeue", HOLE, 0, 1, 1),
    ]
    assert find_wrong(guest, entry, rows) == []


MAY_MOVE, FIXED, LEAVE = 1, 2, 4


@pytest.fixture
def pages(guest, entry):
    """Give the address of eight pages, the first of which holds something."""
    mmap = entry.table.mmap
    start = guest.call(entry, mmap, ARENA.end + (1 << 24), 8 * PAGE, 3, 0x22, -1, 0).value
    guest.write(entry.abi, start, b"what was there")
    return start


def test_memory_is_moved_to_where_it_is_asked_for(guest, entry, pages):
    kept, there = b"what was there", pages + 4 * PAGE
    rows = [
        (there, "mremap", pages, PAGE, PAGE, MAY_MOVE | FIXED, there),
        (-EFAULT, "mremap", pages, PAGE, 2 * PAGE, MAY_MOVE, 0),
        (-ENOMEM, "mremap", there, PAGE, 2 * PAGE, 0, 0),
        (there, "mremap", there, 2 * PAGE, PAGE, 0, 0),
        (there, "mremap", there, PAGE, 2 * PAGE, 0, 0),
        (-EINVAL, "mremap", there, PAGE, PAGE, FIXED, pages),
        (-EINVAL, "mremap", there, 2 * PAGE, 2 * PAGE, MAY_MOVE | FIXED, there + PAGE),
        (-EINVAL, "mremap", there, 2 * PAGE, 2 * PAGE, MAY_MOVE | FIXED, there - PAGE),
        (-EFAULT, "mremap", there, 20 * PAGE, 21 * PAGE, MAY_MOVE, 0),
        (-EINVAL, "mremap", there, PAGE, PAGE, MAY_MOVE | FIXED, pages + 1),
        (-EINVAL, "mremap", there, 0, PAGE, MAY_MOVE, 0),
    ]
    if entry.table is entry.abi:
        no_programs = entry.abi.mask & -PAGE
        rows += [(-EINVAL, "mremap", there, PAGE, PAGE, MAY_MOVE | FIXED, no_programs)]
    assert find_wrong(guest, entry, rows) == []
    assert guest.read(entry.abi, there, len(kept)) == kept


@pytest.mark.needs(since="5.7")
def test_memory_that_is_moved_may_leave_zeros_behind(guest, entry, pages):
    kept, there = b"what was there", pages + 4 * PAGE
    rows = [
        (-EINVAL, "mremap", pages, PAGE, PAGE, LEAVE, 0),
        (-EINVAL, "mremap", pages, PAGE, 2 * PAGE, LEAVE | MAY_MOVE, 0),
        (there, "mremap", pages, PAGE, PAGE, LEAVE | MAY_MOVE | FIXED, there),
    ]
    if entry.table is entry.abi:
        no_programs = entry.abi.mask & -PAGE
        rows.insert(0, (-EINVAL, "mremap", pages, PAGE, PAGE, LEAVE | MAY_MOVE, no_programs))
    assert find_wrong(guest, entry, rows) == []
    seen = [guest.read(entry.abi, where, len(kept)) for where in (pages, there)]
    assert seen == [bytes(len(kept)), kept]


def test_what_is_said_of_memory_that_is_not_there(guest, entry, pages):
    hole = pages + PAGE
    rows = [
        (0, "munmap", hole, PAGE),
        *[(-ENOMEM, name, pages, 3 * PAGE) for name in ("mlock", "munlock")],
        (-ENOMEM, "mlock2", hole, PAGE, 1),
        (-ENOMEM, "mprotect", pages, 3 * PAGE, 1),
        (-ENOMEM, "msync", pages, 3 * PAGE, 4),
        (-ENOMEM, "mincore", pages, 3 * PAGE, Buffer(8)),
        (-ENOMEM, "madvise", pages, 3 * PAGE, 4),
        (0, "munmap", pages, 3 * PAGE),
        (0, "mlock2", pages + 3 * PAGE, PAGE, 1),
        (-EINVAL, "madvise", pages + 3 * PAGE, PAGE, 4),
        (0, "munlock", pages + 3 * PAGE, PAGE),
        (0, "madvise", pages + 3 * PAGE, PAGE, 4),
    ]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.needs(since="6.10")
@pytest.mark.entries("syscall")
def test_memory_that_was_sealed_stays(guest, entry, pages):
    rows = [
        (-EINVAL, "mseal", pages, PAGE, 1),
        (-EINVAL, "mseal", pages + 1, PAGE, 0),
        (-ENOMEM, "mseal", HOLE, PAGE, 0),
        (-EINVAL, "mseal", pages, -PAGE + 1, 0),
        (0, "mseal", pages, 0, 0),
        (0, "mprotect", pages, PAGE, 3),
        (0, "mseal", pages + PAGE, PAGE, 0),
        (0, "mprotect", pages, PAGE, 3),
        *[(-EPERM, "mprotect", at, size, 1) for at, size in ((pages + PAGE, 1), (pages, PAGE + 1))],
        (-EPERM, "munmap", pages + PAGE, PAGE),
        (-EPERM, "mmap", pages + PAGE, PAGE, 3, 0x32, -1, 0),
        (-EPERM, "mremap", pages + PAGE, PAGE, PAGE, MAY_MOVE | FIXED, pages + 4 * PAGE),
        (-EPERM, "mremap", pages + 4 * PAGE, PAGE, PAGE, MAY_MOVE | FIXED, pages + PAGE),
        (0, "munmap", pages + 2 * PAGE, PAGE),
    ]
    assert find_wrong(guest, entry, rows) == []


MONOTONIC, RAW, OWN_TIME, ABSOLUTE = 1, 4, 3, 1
"""Clocks; nobody can wait for the raw one's time, or for a thread's own."""


def test_waiting_for_a_clock(guest, entry):
    w = entry.table.words
    rows = [
        (0, WAIT_BY_CLOCK, MONOTONIC, ABSOLUTE, w(0, 1), 0),
        (0, WAIT_BY_CLOCK, MONOTONIC, 0, w(0, 1), 0),
        (-EINVAL, WAIT_BY_CLOCK, 16, 0, w(0, 1), 0),
        *[(-EOPNOTSUPP, WAIT_BY_CLOCK, clock, 0, w(0, 1), 0) for clock in (RAW, OWN_TIME)],
        *[
            (-EINVAL, WAIT_BY_CLOCK, MONOTONIC, how, time, 0)
            for how in (0, ABSOLUTE)
            for time in (w(0, 10**9), w(0, -1), w(-1, 0))
        ],
        (-EINVAL, WAIT, w(0, 10**9), 0),
        (-EINVAL, WAIT, w(-1, 0), 0),
        (-EFAULT, WAIT_BY_CLOCK, MONOTONIC, 0, HOLE, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


NO_SIGNAL, BY_SIGNAL, TO_THREAD, BAD_TIMER = 1, 0, 4, 99


def event(entry, how, signal=10, thread=0):
    """Return where a timer's end is to be told."""
    return (entry.table.words(0) + struct.pack("<iii", signal, how, thread)).ljust(64, b"\0")


def test_timers_that_make_no_sense(guest, entry):
    w = entry.table.words
    made = guest.call(entry, "timer_create", 1, event(entry, NO_SIGNAL), Buffer(4)).memory[0]
    timer = int.from_bytes(made, "little")
    rows = [
        (-EINVAL, "timer_create", 16, event(entry, NO_SIGNAL), Buffer(4)),
        *[
            (-EINVAL, "timer_create", 1, event(entry, *two), Buffer(4))
            for two in ((3, 10), (BY_SIGNAL, 0), (BY_SIGNAL, 65), (BY_SIGNAL, -1), (TO_THREAD, 10))
        ],
        (-EINVAL, "timer_create", 1, event(entry, TO_THREAD, 10, 1), Buffer(4)),
        (-EOPNOTSUPP, "timer_create", 4, event(entry, NO_SIGNAL), Buffer(4)),
        *[
            (-EINVAL, "timer_settime", timer, 0, time, 0)
            for time in (w(0, 0, 0, 10**9), w(0, 10**9, 1, 0), w(0, 0, -1, 0), w(0, -1, 1, 0))
        ],
        (-EINVAL, "timer_settime", BAD_TIMER, 0, bytes(32), 0),
        (-EINVAL, "timer_gettime", BAD_TIMER, Buffer(32)),
        (-EINVAL, "timer_getoverrun", BAD_TIMER),
        (-EINVAL, "timer_delete", BAD_TIMER),
        (0, "timer_getoverrun", timer),
        (0, "timer_delete", timer),
        (-EINVAL, "timer_delete", timer),
    ]
    assert find_wrong(guest, entry, rows) == []


GET_SEALS, ADD_SEALS, MAY_BE_SEALED = 1034, 1033, 2
SEALED, SHRINK, GROW, WRITE = 1, 2, 4, 8


def test_memory_with_a_descriptor_is_sealed_where_that_was_asked_for(guest, entry):
    """Source: mm/memfd.c; mm/shmem.c shmem_write_begin, shmem_setattr (6.1)."""
    plain, held = (
        guest.call(entry, "memfd_create", b"m\0", flags).value for flags in (0, MAY_BE_SEALED)
    )
    rows = [
        (SEALED, "fcntl", plain, GET_SEALS, 0),
        (-EPERM, "fcntl", plain, ADD_SEALS, GROW),
        (0, "fcntl", held, GET_SEALS, 0),
        (-EINVAL, "fcntl", held, ADD_SEALS, 1 << 8),
        (0, "ftruncate", held, 8),
        (0, "fcntl", held, ADD_SEALS, GROW),
        *[(-EPERM, "ftruncate", held, 9), (0, "ftruncate", held, 7)],
        (0, "fcntl", held, ADD_SEALS, SHRINK),
        *[(-EPERM, "ftruncate", held, 6), (0, "ftruncate", held, 7)],
        (1, "write", held, b"x", 1),
        (0, "fcntl", held, ADD_SEALS, WRITE | SEALED),
        (-EPERM, "write", held, b"x", 1),
        (SEALED | SHRINK | GROW | WRITE, "fcntl", held, GET_SEALS, 0),
        (-EPERM, "fcntl", held, ADD_SEALS, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


SAME_FILE, SAME_MEMORY, KINDS = 0, 1, 8


def test_two_processes_are_compared(guest, entry):
    """Source: kernel/kcmp.c (6.1)."""
    pid = guest.call(entry, "getpid").value
    if guest.call(entry, "kcmp", pid, pid, SAME_MEMORY, 0, 0).errno == ENOSYS:
        pytest.skip("built without")
    held, copy, other = (guest.call(entry, "dup", fd).value for fd in (0, 0, 0))
    assert guest.call(entry, "pipe", Buffer(8)).value == 0
    rows = [
        (0, "kcmp", pid, pid, SAME_MEMORY, 0, 0),
        (0, "kcmp", pid, pid, SAME_FILE, held, copy),
        (-EBADF, "kcmp", pid, pid, SAME_FILE, held, 0x7FFF),
        (-EINVAL, "kcmp", pid, pid, KINDS, 0, 0),
        (-ESRCH, "kcmp", pid, NOBODY, SAME_MEMORY, 0, 0),
    ]
    assert find_wrong(guest, entry, rows) == []
    orders = [
        guest.call(entry, "kcmp", pid, pid, SAME_FILE, *two).value
        for two in ((other, other + 1), (other + 1, other))
    ]
    assert sorted(orders) == [1, 2]


AS_EFFECTIVE, NO_FOLLOW, EMPTY_PATH = 0x200, 0x100, 0x1000


@pytest.mark.needs(since="5.8")
def test_access_is_asked_about_with_flags(guest, entry):
    held = guest.call(entry, "open", b"/proc\0", O_PATH).value
    rows = [
        *[(0, "faccessat2", HERE, b"/\0", 7, flags) for flags in (0, AS_EFFECTIVE, NO_FOLLOW)],
        *[(-EINVAL, "faccessat2", HERE, b"/\0", 0, flags) for flags in (1, 0x400, 1 << 31)],
        (-EINVAL, "faccessat2", HERE, b"/\0", 8, 0),
        (-ENOENT, "faccessat2", held, b"\0", 0, 0),
        (0, "faccessat2", held, b"\0", 0, EMPTY_PATH),
        (-EBADF, "faccessat2", 0x7FFF, b"\0", 0, EMPTY_PATH),
    ]
    assert find_wrong(guest, entry, rows) == []


LINK, FILE_OF_IT = b"/newer-link\0", b"/newer-file\0"


@pytest.mark.needs(since="6.6")
def test_the_mode_of_a_link_is_not_changed(guest, entry):
    guest.write_file(FILE_OF_IT[:-1].decode(), b"")
    guest.call(entry, "symlink", FILE_OF_IT[1:], LINK)
    rows = [
        (0, "fchmodat2", HERE, LINK, 0o604, 0),
        (0, "fchmodat2", HERE, FILE_OF_IT, 0o604, NO_FOLLOW),
        (-EOPNOTSUPP, "fchmodat2", HERE, LINK, 0o600, NO_FOLLOW),
        *[(-EINVAL, "fchmodat2", HERE, FILE_OF_IT, 0, flags) for flags in (1, 0x200)],
        (-EACCES, "faccessat", HERE, FILE_OF_IT, 1),
    ]
    assert find_wrong(guest, entry, rows) == []
