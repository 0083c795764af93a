# SPDX-License-Identifier: Apache-2.0
"""What descriptors take and tell at their edges: owners, hints, room in pipes, counts, places.

Source: fs/fcntl.c do_fcntl, check_fcntl_cmd; fs/pipe.c pipe_set_size, pipe_read; fs/eventfd.c;
fs/signalfd.c; fs/read_write.c do_sendfile, generic_copy_file_checks; fs/ioctl.c (6.1).
"""

import struct
from errno import (
    EAGAIN,
    EBADF,
    EBUSY,
    EEXIST,
    EFAULT,
    EFBIG,
    EINVAL,
    EIO,
    EISDIR,
    ENODEV,
    EOPNOTSUPP,
    EOVERFLOW,
    EPIPE,
    ESPIPE,
    ESRCH,
)
from os import O_APPEND, O_CREAT, O_DIRECT, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.agent.clocks import WAIT
from harness.agent.structures import EVENT
from harness.arch import I386
from harness.landscape import ARENA, HOLE, PAGE, READ_ONLY

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

FILE = b"/edge_of_descriptors\0"
ROOM = Buffer(256)
F_GETFD, F_GETFL, F_SETFL, F_SETOWN, F_GETOWNER_UIDS = 1, 3, 4, 8, 17
F_SETPIPE_SZ, F_GETPIPE_SZ, F_GET_RW_HINT, F_SET_RW_HINT = 1031, 1032, 1035, 1036
FIOASYNC, O_ASYNC, O_LARGEFILE = 0x5452, 0o20000, 0o100000
POLLIN, POLLOUT = 1, 4
MOST_EVENTS = (1 << 64) - 2
FIRST = 34


def pipe(guest, entry, flags=O_NONBLOCK):
    said = guest.call(entry, "pipe2", Buffer(8), flags)
    assert said.value == 0
    return struct.unpack("<II", said.memory[0])


def polled(fd, events):
    return struct.pack("<ihh", fd, events, 0)


def number(value):
    return value.to_bytes(8, "little")


@pytest.mark.room("it is root")
def test_who_set_a_descriptors_owner_is_told_with_both_ids(guest, entry):
    ids = ("setresuid32" if entry.table is I386 else "setresuid", -1, 1001, -1)
    fd = guest.call(entry, "eventfd2", 0, 0).value
    assert guest.call(entry, *ids).value == 0
    assert guest.call(entry, "fcntl", fd, F_SETOWN, guest.call(entry, "getpid").value).value == 0
    said = guest.call(entry, "fcntl", fd, F_GETOWNER_UIDS, Buffer(12))
    if said.errno == EINVAL:
        pytest.skip("built without CONFIG_CHECKPOINT_RESTORE")
    assert said.memory[0] == struct.pack("<II", 0, 1001) + b"\xa5" * 4


def test_how_long_a_file_lives_is_one_of_six_hints(guest, entry):
    fd = guest.call(entry, "open", FILE, O_CREAT | O_RDWR, 0o600).value
    cases = dict.fromkeys(range(6), 0) | {6: -EINVAL}
    rows = [(answer, "fcntl", fd, F_SET_RW_HINT, number(hint)) for hint, answer in cases.items()]
    assert find_wrong(guest, entry, rows) == []
    assert guest.call(entry, "fcntl", fd, F_GET_RW_HINT, Buffer(8)).memory == (number(5),)


def test_what_is_only_a_path_tells_its_flags_and_takes_none(guest, entry):
    fd = guest.call(entry, "open", b"/\0", O_PATH).value
    assert guest.call(entry, "fcntl", fd, F_GETFL).value & ~O_LARGEFILE == O_PATH
    rows = [(0, "fcntl", fd, F_GETFD), (-EBADF, "fcntl", fd, F_SETFL, 0)]
    rows += [(-EBADF, "fcntl", fd, F_SETOWN, 0), (-EBADF, "ioctl", fd, FIOASYNC, bytes(4))]
    assert find_wrong(guest, entry, rows) == []


def test_a_pipe_is_as_large_as_it_has_to_be(guest, entry):
    reading, writing = pipe(guest, entry)
    rows = [
        (PAGE, "fcntl", reading, F_SETPIPE_SZ, 0),
        (2 * PAGE, "fcntl", reading, F_SETPIPE_SZ, PAGE + 1),
        (2 * PAGE, "fcntl", writing, F_GETPIPE_SZ),
        (2 * PAGE, "write", writing, bytes(2 * PAGE), 2 * PAGE),
        (-EBUSY, "fcntl", reading, F_SETPIPE_SZ, PAGE),
        (2 * PAGE, "fcntl", reading, F_SETPIPE_SZ, 2 * PAGE),
        (-EAGAIN, "write", writing, b"x", 1),
        (4 * PAGE, "fcntl", writing, F_SETPIPE_SZ, 3 * PAGE),
        (1, "write", writing, b"x", 1),
        (-EBADF, "fcntl", guest.call(entry, "eventfd2", 0, 0).value, F_GETPIPE_SZ),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_what_remains_of_a_packet_is_thrown_away(guest, entry):
    reading, writing = pipe(guest, entry, O_DIRECT | O_NONBLOCK)
    rows = [(len(one), "write", writing, one, len(one)) for one in (b"abc", b"de", b"f")]
    rows += [
        (2, "read", reading, ROOM, 2),
        (2, "read", reading, ROOM, 9),
        (1, "read", reading, ROOM, 9),
    ]
    assert find_wrong(guest, entry, [*rows, (-EAGAIN, "read", reading, ROOM, 9)]) == []


def test_a_counter_that_is_full_cannot_be_written(guest, entry):
    fd = guest.call(entry, "eventfd2", 0, O_NONBLOCK).value
    rows = [
        (0, "poll", polled(fd, POLLIN), 1, 0),
        (8, "write", fd, number(MOST_EVENTS - 1), 8),
        (1, "poll", polled(fd, POLLOUT), 1, 0),
        (8, "write", fd, number(1), 8),
        (0, "poll", polled(fd, POLLOUT), 1, 0),
        (1, "poll", polled(fd, POLLIN), 1, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.parametrize("to", ["process", "thread"])
def test_a_descriptor_tells_of_the_one_signal_that_waits(guest, entry, to):
    """And does not wait for another, which comes later."""
    own, blocked = guest.call(entry, "getpid").value, number(1 << FIRST - 1)
    assert guest.call(entry, "rt_sigprocmask", 0, blocked, 0, 8).value == 0
    fd = guest.call(entry, "signalfd4", -1, blocked, 8, 0).value
    later = EVENT[entry.table.name].encode(signal=FIRST)
    timer = guest.call(entry, "timer_create", 1, later, Buffer(4)).memory[0]
    timer = int.from_bytes(timer, "little")
    rows = [
        (0, "poll", polled(fd, POLLIN), 1, 0),
        (0, "kill" if to == "process" else "tkill", own, FIRST),
        (1, "poll", polled(fd, POLLIN), 1, 0),
        (0, "timer_settime", timer, 0, entry.table.words(0, 0, 5, 0), 0),
        (128, "read", fd, ROOM, 256),
        (0, "poll", polled(fd, POLLIN), 1, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_a_pipe_has_no_place_to_send_from(guest, entry):
    reading, writing = pipe(guest, entry)
    _, other = pipe(guest, entry)
    rows = [(1, "write", writing, b"x", 1), (-ESPIPE, "sendfile", other, reading, number(0), 1)]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.entries("int80", "int80_64")
def test_the_older_sendfile_ends_below_2_gib(guest, entry):
    """Source: fs/read_write.c do_sendfile, MAX_NON_LFS (6.1)."""
    _, writing = pipe(guest, entry)
    fd = guest.call(entry, "open", FILE, O_CREAT | O_RDWR | O_LARGEFILE, 0o600).value
    assert guest.call(entry, "ftruncate64", fd, 0x8000_1000, 0).value == 0
    most, at, seen = 0x7FFF_FFFF, ARENA.start + 0x800, []
    guest.write(entry.abi, at, (most - 15).to_bytes(4, "little"))
    for _ in range(2):
        said = guest.call(entry, "sendfile", writing, fd, at, 64).value
        seen.append((said, int.from_bytes(guest.read(entry.abi, at, 4), "little")))
    assert seen == [(15, most), (-EOVERFLOW, most)]


def test_a_part_of_a_file_is_copied_beside_itself_but_not_over(guest, entry):
    fd = guest.call(entry, "open", FILE, O_CREAT | O_RDWR, 0o600).value
    assert guest.call(entry, "pwrite64", fd, b"abcdefgh", 8, 0, 0).value == 8
    rows = [
        (-EINVAL, "copy_file_range", fd, number(0), fd, number(3), 4, 0),
        (-EINVAL, "copy_file_range", fd, number(3), fd, number(0), 4, 0),
        (4, "copy_file_range", fd, number(4), fd, number(0), 4, 0),
        (2, "copy_file_range", fd, number(0), fd, number(2), 2, 0),
    ]
    assert find_wrong(guest, entry, rows) == []
    said = guest.call(entry, "pread64", fd, Buffer(8), 8, 0, 0)
    assert said.memory == (b"efefefgh",)


def test_signals_of_a_descriptor_are_turned_on_and_off_with_zero(guest, entry):
    """Not with what fasync says, which is 1 for a change: fs/ioctl.c, fs/fcntl.c setfl (6.1)."""
    reading, _ = pipe(guest, entry)
    on, off = (1).to_bytes(4, "little"), bytes(4)
    rows = [(0, "ioctl", reading, FIOASYNC, flag) for flag in (on, on, off, off)]
    rows += [(0, "fcntl", reading, F_SETFL, flags) for flags in (O_ASYNC, O_ASYNC, 0, 0)]
    assert find_wrong(guest, entry, rows) == []


def test_a_look_at_a_timer_takes_no_time_away_and_adds_none(guest, entry):
    """Source: fs/timerfd.c do_timerfd_gettime, timerfd_read_iter (6.1)."""
    words, fd = entry.table.words, guest.call(entry, "timerfd_create", 1, O_NONBLOCK).value
    every_hour_from_now = words(3600, 0, 0, 1)
    rows = [
        (0, "timerfd_settime", fd, 0, every_hour_from_now, 0),
        (0, WAIT, words(0, 20_000_000), 0),
        (0, "timerfd_gettime", fd, ROOM),
    ]
    assert find_wrong(guest, entry, rows) == []
    assert guest.call(entry, "read", fd, Buffer(8), 8).memory == (number(1),)


WATCHED, CREATED, DIRECTORY = b"/watched\0", 0x100, 0x4000_0000


@pytest.mark.room("it makes a folder")
def test_a_watch_tells_a_name_with_zeros_behind_it(guest, entry):
    """As far as an event's length goes: inotify_user.c copy_event_to_user (6.12)."""
    assert guest.call(entry, "mkdir", WATCHED, 0o700).errno in {None, EEXIST}
    watch = guest.call(entry, "inotify_init1", O_NONBLOCK).value
    wanted = guest.call(entry, "inotify_add_watch", watch, WATCHED, CREATED).value
    name = b"sixteen_and_more"
    assert guest.call(entry, "mkdir", b"/watched/" + name + b"\0", 0o700).value == 0
    said = guest.call(entry, "read", watch, Buffer(64), 64)
    assert guest.call(entry, "rmdir", b"/watched/" + name + b"\0").value == 0
    event = struct.pack("<iIII", wanted, CREATED | DIRECTORY, 0, 32) + name.ljust(32, b"\0")
    assert (said.value, said.memory[0]) == (48, event.ljust(64, b"\xa5"))


SCRATCH = ARENA.start + 0x8000


def whole_numbers(entry, *values):
    """Return numbers of 64 bits as a table's calls take them."""
    if entry.table is not I386:
        return values
    return tuple(half & 0xFFFF_FFFF for value in values for half in (value, value >> 32))


def test_what_is_not_open_for_it_is_neither_read_nor_written(guest, entry):
    """Source: fs/read_write.c vfs_read, vfs_readv, do_pwritev, do_sendfile (6.12)."""
    wide = guest.call(entry, "open", FILE, O_CREAT | O_RDWR | O_TRUNC, 0o600).value
    given, taken = (guest.call(entry, "open", FILE, how).value for how in (O_WRONLY, O_RDONLY))
    reading, writing = pipe(guest, entry)
    ready, timer = (guest.call(entry, *one, 0).value for one in (("epoll_create1",), TIMER))
    one = entry.table.words(SCRATCH, 1)
    reads = {"read": (ROOM, 1), "readv": (one, 1), "pread64": (ROOM, 1, 0, 0)}
    reads |= {"preadv": (one, 1, 0, 0)}
    writes = {"write": (b"x", 1), "writev": (one, 1), "pwrite64": (b"x", 1, 0, 0)}
    writes |= {"pwritev": (one, 1, 0, 0)}
    rows = [(-EBADF, name, fd, *rest) for fd in (given, -1) for name, rest in reads.items()]
    rows += [(-EBADF, name, fd, *rest) for fd in (taken, -1) for name, rest in writes.items()]
    rows += [(-EINVAL, name, ready, *reads[name]) for name in ("read", "readv")]
    rows += [(-EINVAL, name, timer, *writes[name]) for name in ("write", "writev")]
    rows += [(-ESPIPE, name, reading, *reads[name]) for name in ("pread64", "preadv")]
    rows += [(-ESPIPE, name, writing, *writes[name]) for name in ("pwrite64", "pwritev")]
    rows += [(-EBADF, "sendfile", fd, wide, 0, 1) for fd in (-1, taken)]
    rows += [(-EBADF, "sendfile", writing, fd, 0, 1) for fd in (-1, given)]
    rows += [
        (-EBADF, "copy_file_range", *two, 1, 0) for two in ((wide, 0, -1, 0), (-1, 0, wide, 0))
    ]
    rows += [
        (-EISDIR, "copy_file_range", guest.call(entry, "open", b"/\0", 0).value, 0, wide, 0, 1, 0),
        (-EINVAL, "copy_file_range", reading, 0, wide, 0, 1, 0),
        (0, "copy_file_range", wide, number(0), wide, number(9), 1, 0),
        (0, "writev", wide, entry.table.words(SCRATCH, 0), 1),
        (1, "writev", writing, one, 1),
        (1, "readv", reading, one, 1),
    ]
    assert find_wrong(guest, entry, rows) == []


TIMER = ("timerfd_create", 1)
APPENDED, AT_THE_END = b"/appended_to\0", 0x10


def test_what_is_appended_is_put_at_the_end(guest, entry):
    """Wherever a descriptor stands: fs/read_write.c generic_write_checks_count (6.12)."""
    guest.write_file(APPENDED[:-1].decode(), b"")
    fd, plain = (guest.call(entry, "open", APPENDED, O_RDWR | how).value for how in (O_APPEND, 0))
    segment = entry.table.words(SCRATCH, 1)
    guest.write(entry.abi, SCRATCH, b"e")
    rows = [
        (3, "write", fd, b"abc", 3),
        (0, "lseek", fd, 0, 0),
        (1, "write", fd, b"d", 1),
        (4, "lseek", fd, 0, 1),
        (1, "pwritev2", plain, segment, 1, 0, 0, AT_THE_END),
        (0, "fcntl", plain, F_SETFL, O_APPEND),
        (1, "write", plain, b"f", 1),
        (0, "fcntl", plain, F_SETFL, 0),
        (0, "lseek", plain, 0, 0),
        (1, "write", plain, b"A", 1),
    ]
    assert find_wrong(guest, entry, rows) == []
    assert guest.read_file(APPENDED[:-1].decode()) == b"Abcdef"


LIMIT_OF_FILES, SIGXFSZ = 1, 25


def test_a_file_grows_to_the_limit_and_then_there_is_a_signal(guest, entry):
    """Source: fs/read_write.c generic_write_check_limits; fs/attr.c inode_newsize_ok (6.12)."""
    fd = guest.call(entry, "open", FILE, O_CREAT | O_RDWR | O_TRUNC, 0o600).value
    blocked = number(1 << SIGXFSZ - 1)
    rows = [
        (0, "rt_sigprocmask", 0, blocked, 0, 8),
        (0, "setrlimit", LIMIT_OF_FILES, entry.table.words(10, 10)),
        (10, "write", fd, bytes(16), 16),
        (4, "pwrite64", fd, bytes(16), 16, 6, 0),
    ]
    assert find_wrong(guest, entry, rows) == []
    assert guest.call(entry, "rt_sigpending", Buffer(8), 8).memory == (bytes(8),)
    assert guest.call(entry, "write", fd, b"x", 1).errno == EFBIG
    assert guest.call(entry, "rt_sigpending", Buffer(8), 8).memory == (blocked,)
    rows = [(-EFBIG, "ftruncate", fd, 11), (0, "ftruncate", fd, 9), (1, "write", fd, b"xy", 2)]
    assert find_wrong(guest, entry, [*rows[:2], (9, "lseek", fd, 0, 2), rows[2]]) == []


def test_room_is_made_in_a_file_that_can_have_it(guest, entry):
    """Source: fs/open.c vfs_fallocate, vfs_truncate (6.12)."""
    fd, nothing = (
        guest.call(entry, "open", path, O_CREAT | O_RDWR, 0o600).value
        for path in (FILE, b"/dev/null\0")
    )
    taken, most = guest.call(entry, "open", FILE, O_RDONLY).value, (1 << 63) - 1
    cases = {
        (fd, 1 << 8, 0, 1): -EOPNOTSUPP,
        (fd, 2, 0, 1): -EOPNOTSUPP,
        (fd, 0x12, 0, 1): -EOPNOTSUPP,
        (taken, 0, 0, 1): -EBADF,
        (guest.call(entry, "open", b"/proc/self/comm\0", O_RDWR).value, 0, 0, 1): -EOPNOTSUPP,
        (pipe(guest, entry)[1], 0, 0, 1): -ESPIPE,
        (nothing, 0, 0, 1): -ENODEV,
        (fd, 0, most, 1): -EFBIG,
        (fd, 0, -1, 1): -EINVAL,
        (fd, 0, 0, -1): -EINVAL,
        (fd, 1, 0, 4): 0,
        (-1, 0, 0, 1): -EBADF,
    }
    rows = [(-EISDIR, "truncate", b"/\0", 0), (-EINVAL, "truncate", b"/dev/null\0", 0)]
    rows += [
        (answer, "fallocate", fd, mode, *whole_numbers(entry, *range_))
        for (fd, mode, *range_), answer in cases.items()
    ]
    assert find_wrong(guest, entry, rows) == []


def test_a_file_that_only_reads_takes_its_segments_one_by_one(guest, entry):
    """Such as a process's memory: fs/read_write.c do_loop_readv_writev (6.12)."""
    fd = guest.call(entry, "open", b"/proc/self/mem\0", O_RDWR).value
    words, first, second = entry.table.words, SCRATCH + 0x200, SCRATCH + 0x300
    guest.write(entry.abi, SCRATCH, b"abcdefgh")
    for at in (first, second):
        guest.write(entry.abi, at, b"\xa5" * 8)
    both, cut = words(first, 3, second, 4), words(first, 2, HOLE, 4, second, 4)
    where = (SCRATCH, 0)
    rows = [
        (7, "preadv", fd, both, 2, *where),
        (2, "preadv", fd, cut, 3, *where),
        (-EFAULT, "preadv", fd, words(HOLE, 4, first, 4), 2, *where),
        (-EOPNOTSUPP, "preadv2", fd, both, 2, *where, 2),
        (-EIO, "preadv", fd, both, 2, HOLE, 0),
        (0, "lseek", fd, 0, 0),
    ]
    assert find_wrong(guest, entry, rows) == []
    seen = [guest.read(entry.abi, at, 8) for at in (first, second)]
    assert seen == [b"abc" + b"\xa5" * 5, b"defg" + b"\xa5" * 4]
    assert guest.call(entry, "pwritev", fd, words(second, 2, first, 3), 2, *where).value == 5
    assert guest.read(entry.abi, SCRATCH, 8) == b"deabcfgh"


AT_ONCE = 2


def test_what_is_spliced_lies_where_the_offset_says(guest, entry):
    """And moves the offset, not the file's place. Source: fs/splice.c __do_splice (6.12)."""
    guest.write_file("/spliced", b"abcdefghijkl")
    fd = guest.call(entry, "open", b"/spliced\0", O_RDWR).value
    reading, writing = pipe(guest, entry)
    words, seen = entry.table.words, []
    for *call, start in (
        ("splice", fd, SCRATCH, writing, 0, 5, 0, 3),
        ("splice", reading, 0, fd, SCRATCH, 2, 0, 1),
    ):
        guest.write(entry.abi, SCRATCH, number(start) + b"\xa5" * 8)
        said = guest.call(entry, *call).value
        seen.append((said, guest.read(entry.abi, SCRATCH, 16)))
    assert seen == [(n, number(end) + b"\xa5" * 8) for n, end in ((5, 8), (2, 3))]
    at = READ_ONLY.start
    rows = [
        (0, "lseek", fd, 0, 1),
        (2, "splice", fd, 0, writing, 0, 2, 0),
        (2, "lseek", fd, 0, 1),
        (1, "splice", reading, 0, fd, 0, 1, 0),
        (3, "lseek", fd, 0, 1),
        (-EFAULT, "splice", fd, HOLE, writing, 0, 1, 0),
        (-EFAULT, "splice", reading, 0, fd, HOLE, 1, 0),
        (-EFAULT, "splice", fd, at, writing, 0, 1, 0),
        (-EFAULT, "splice", reading, 0, fd, at, 1, 0),
        (-ESPIPE, "splice", fd, 0, writing, number(0), 1, 0),
        (-EBADF, "vmsplice", -1, words(SCRATCH, 1), 1, 0),
        (-EBADF, "vmsplice", fd, words(SCRATCH, 1), 1, 0),
        (4, "vmsplice", reading, words(SCRATCH, 64), 1, 0),
        (-EAGAIN, "splice", reading, 0, fd, 0, 1, AT_ONCE),
        (0, "tee", reading, writing, 0, 0),
        (-EBADF, "tee", reading, -1, 1, 0),
        (-EBADF, "tee", -1, writing, 1, 0),
        (-EBADF, "splice", reading, 0, -1, 0, 1, 0),
    ]
    assert find_wrong(guest, entry, rows) == []
    assert guest.read(entry.abi, SCRATCH, 4) == b"hgdg", "it shares what the file has"
    assert guest.read_file("/spliced") == b"gdfdefghijkl"


def test_a_pipe_that_does_not_wait_says_so_whatever_is_moved(guest, entry):
    """Source: fs/splice.c do_splice, do_tee, vmsplice_to_pipe, by O_NONBLOCK (6.12)."""
    guest.write_file("/spliced", b"abcdefghijkl")
    fd = guest.call(entry, "open", b"/spliced\0", O_RDWR).value
    (empty, _), (some, into), (_, full) = (pipe(guest, entry) for _ in range(3))
    rows = [
        *[(PAGE, "fcntl", full, F_SETPIPE_SZ, PAGE), (1, "write", full, b"x", 1)],
        (3, "write", into, b"abc", 3),
        (0, "setitimer", 0, entry.table.words(0, 0, 5, 0), 0),
        (-EAGAIN, "splice", fd, 0, full, 0, 1, 0),
        (-EAGAIN, "splice", some, 0, full, 0, 1, 0),
        (-EAGAIN, "splice", empty, 0, into, 0, 1, 0),
        (-EAGAIN, "splice", empty, 0, fd, 0, 1, 0),
        (-EAGAIN, "tee", some, full, 1, 0),
        (-EAGAIN, "tee", empty, into, 1, 0),
        (-EAGAIN, "vmsplice", full, entry.table.words(SCRATCH, 1), 1, AT_ONCE),
        (0, "setitimer", 0, entry.table.words(0, 0, 0, 0), 0),
    ]
    assert find_wrong(guest, entry, rows) == []


SIGPIPE = 13


def test_nothing_is_moved_into_a_pipe_that_nobody_reads(guest, entry):
    """Source: fs/splice.c wait_for_space, link_pipe, splice_pipe_to_pipe (6.12)."""
    guest.write_file("/spliced", b"abcdefghijkl")
    fd = guest.call(entry, "open", b"/spliced\0", O_RDONLY).value
    reading, writing = pipe(guest, entry)
    other, full = pipe(guest, entry)
    blocked = number(1 << SIGPIPE - 1)
    taken = ("rt_sigtimedwait", blocked, 0, entry.table.words(0, 0), 8)
    rows = [
        (0, "rt_sigprocmask", 0, blocked, 0, 8),
        (3, "write", full, b"abc", 3),
        (0, "close", reading),
    ]
    for call in (
        ("write", writing, b"x", 1),
        ("splice", fd, 0, writing, 0, 1, 0),
        ("splice", other, 0, writing, 0, 1, 0),
        ("tee", other, writing, 1, 0),
        ("vmsplice", writing, entry.table.words(SCRATCH, 1), 1, 0),
        ("sendfile", writing, fd, 0, 1),
    ):
        rows += [(-EPIPE, *call), (SIGPIPE, *taken), (-EAGAIN, *taken)]
    assert find_wrong(guest, entry, rows) == []


F_GETOWN, F_SETSIG, F_GETSIG, F_SETOWN_EX, F_GETOWN_EX = 9, 10, 11, 15, 16
F_GETLEASE, NO_LOCK, NOBODY, LOWEST = 1025, 2, 0x3FFF_FFFF, -0x8000_0000


def test_who_is_told_of_a_descriptor_and_by_which_signal(guest, entry):
    """Source: fs/fcntl.c f_setown, f_owner_sig, f_getown_ex (6.12)."""
    own, fd = guest.call(entry, "getpid").value, pipe(guest, entry)[0]
    rows = [
        *[(0, "fcntl", fd, request) for request in (F_GETSIG, F_GETOWN)],
        (-EINVAL, "fcntl", fd, F_SETSIG, 65),
        (-EINVAL, "fcntl", fd, F_SETSIG, -1),
        (0, "fcntl", fd, F_SETSIG, 64),
        (64, "fcntl", fd, F_GETSIG),
        (-EINVAL, "fcntl", fd, F_SETOWN, LOWEST),
        (-ESRCH, "fcntl", fd, F_SETOWN, NOBODY),
        (0, "fcntl", fd, F_SETOWN, own),
        (own, "fcntl", fd, F_GETOWN),
        (-EINVAL, "fcntl", fd, F_SETOWN_EX, struct.pack("<II", 3, own)),
        (-ESRCH, "fcntl", fd, F_SETOWN_EX, struct.pack("<II", 1, NOBODY)),
        *[
            (-EFAULT, "fcntl", fd, request, HOLE)
            for request in (F_SETOWN_EX, F_GETOWN_EX, F_GET_RW_HINT, F_SET_RW_HINT)
        ],
        (own, "fcntl", fd, F_GETOWN),
        (0, "fcntl", fd, F_SETOWN, 0),
        (0, "fcntl", fd, F_GETOWN),
        (NO_LOCK, "fcntl", guest.call(entry, "open", FILE, O_CREAT, 0o600).value, F_GETLEASE),
        (-EFAULT, "write", guest.call(entry, "eventfd2", 0, 0).value, HOLE, 8),
    ]
    assert find_wrong(guest, entry, rows) == []
