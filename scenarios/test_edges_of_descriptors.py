# SPDX-License-Identifier: Apache-2.0
"""What descriptors take and tell at their edges: owners, hints, room in pipes, counts, times.

Source: fs/fcntl.c do_fcntl, check_fcntl_cmd; fs/pipe.c pipe_set_size, pipe_read; fs/eventfd.c;
fs/signalfd.c; fs/read_write.c do_sendfile, generic_copy_file_checks; fs/ioctl.c (6.1).
"""

import struct
from errno import EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, EOVERFLOW, ESPIPE
from os import O_CREAT, O_DIRECT, O_NONBLOCK, O_PATH, O_RDWR

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.agent.clocks import WAIT
from harness.agent.structures import EVENT
from harness.arch import I386
from harness.landscape import ARENA, PAGE

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
