# SPDX-License-Identifier: Apache-2.0
"""Both sides of the edge of what calls take: the last that is taken, and the first that is not.

Source: man 2 of each call, ERRORS; kernel/time/itimer.c alarm_setitimer, which rounds (6.1).
"""

import struct
from errno import (
    E2BIG,
    EAGAIN,
    EBADF,
    EEXIST,
    EFAULT,
    EINVAL,
    EISDIR,
    ELOOP,
    ENAMETOOLONG,
    ENODATA,
    ENOENT,
    ENOTDIR,
    ENOTTY,
    EOPNOTSUPP,
    ERANGE,
    ESPIPE,
)
from os import (
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
)

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.landscape import ARENA, HOLE, READ_ONLY

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

FOLDER, FILE, LINK, LOOP = b"/edges\0", b"/edges/file\0", b"/edges/link\0", b"/edges/loop\0"
ROOM = Buffer(64)
FILES = 32
"""How many descriptors a process may have here, RLIMIT_NOFILE."""
RLIMIT_NOFILE = 7
NAME = b"/edges/" + b"n" * 255
HERE, REMOVE_FOLDER = -100, 0x200
NO_REPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
MOST_MINUTES, NONE = 15 * 60, b"(none)"


def test_descriptors_and_limits(guest, entry):
    words = entry.table.words
    rows = [
        (0, "setrlimit", RLIMIT_NOFILE, words(FILES, FILES)),
        (FILES - 1, "dup2", 0, FILES - 1),
        (-EBADF, "dup2", 0, FILES),
        (-EBADF, "dup2", 0, -1),
        (FILES - 1, "dup2", FILES - 1, FILES - 1),
        (-EBADF, "dup2", FILES - 2, FILES - 2),
        (FILES - 2, "dup3", 0, FILES - 2, 0),
        (-EINVAL, "dup3", 0, 0, 0),
        (-EINVAL, "dup3", 0, FILES - 2, 1),
        (-EBADF, "dup3", 0, FILES, 0),
        (FILES - 3, "fcntl", 0, 0, FILES - 3),
        (-EINVAL, "fcntl", 0, 0, FILES),
        (-EINVAL, "fcntl", 0, 0x7FFF, 0),
        (0, "close", FILES - 1),
        (-EBADF, "close", FILES - 1),
        (-EBADF, "close", FILES),
        (-EFAULT, "poll", HOLE, FILES, 0),
        (-EINVAL, "poll", HOLE, FILES + 1, 0),
        (-EINVAL, "pipe2", ROOM, 1),
        (-EINVAL, "eventfd2", 0, 2),
        (-EINVAL, "socketpair", 1, 1 | 0x10, 0, ROOM),
        (-EINVAL, "socket", 1, 1 | 0x10, 0),
        (-EINVAL, "epoll_create", 0),
        (-EINVAL, "epoll_create1", 1),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_descriptors_that_cannot_be_told_are_closed_again(guest, entry):
    """Source: fs/pipe.c do_pipe2; net/socket.c __sys_socketpair (6.1)."""
    first = guest.call(entry, "dup", 0).value
    rows = [(0, "close", first)]
    for name, *arguments in (("pipe",), ("socketpair", 1, 1, 0)):
        rows += [(-EFAULT, name, *arguments, where) for where in (HOLE, READ_ONLY.start)]
    rows += [(-EFAULT, "pipe2", HOLE, 0), (first, "dup", 0), (first + 1, "dup", 0)]
    assert find_wrong(guest, entry, rows) == []


F_DUPFD, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC = 0, 1, 2, 1030
FIRST_FREE = 20


def test_a_descriptor_is_closed_by_an_exec_if_so_asked(guest, entry):
    keep, close = ((FIRST_FREE + at, at) for at in range(2))
    rows = [
        (keep[0], "dup2", 0, keep[0]),
        (close[0], "dup3", 0, close[0], O_CLOEXEC),
        *[(at, "fcntl", fd, F_GETFD, 0) for fd, at in (keep, close)],
        (FIRST_FREE + 2, "fcntl", close[0], F_DUPFD, FIRST_FREE),
        (0, "fcntl", FIRST_FREE + 2, F_GETFD, 0),
        (FIRST_FREE + 3, "fcntl", keep[0], F_DUPFD_CLOEXEC, FIRST_FREE),
        (1, "fcntl", FIRST_FREE + 3, F_GETFD, 0),
        (0, "fcntl", keep[0], F_SETFD, 1),
        (1, "fcntl", keep[0], F_GETFD, 0),
        (0, "fcntl", keep[0], F_SETFD, 2),
        (0, "fcntl", keep[0], F_GETFD, 0),
        (keep[0], "dup2", close[0], keep[0]),
        (0, "fcntl", keep[0], F_GETFD, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


BORN = {
    ("open", b"/\0"): (O_RDONLY, O_CLOEXEC),
    ("eventfd2", 0): (0, O_CLOEXEC),
    ("epoll_create1",): (0, O_CLOEXEC),
    ("timerfd_create", 1): (0, O_CLOEXEC),
    ("signalfd4", -1, bytes(8), 8): (0, O_CLOEXEC),
    ("inotify_init1",): (0, O_CLOEXEC),
    ("socket", 1): (1, 1 | O_CLOEXEC),
    ("memfd_create", b"m\0"): (0, 1),
}
"""Calls that make a descriptor: their first arguments, and how it stays open and how not."""


def test_a_new_descriptor_is_closed_by_an_exec_if_so_asked(guest, entry):
    seen = {}
    for how in range(2):
        for call, flags in BORN.items():
            fd = guest.call(entry, *call, flags[how], 0).value
            seen[call[0], how] = guest.call(entry, "fcntl", fd, F_GETFD, 0).value
    assert {call: told for call, told in seen.items() if told != call[1]} == {}


F_GETFL, DOOR = 3, b"\1\0\0door"


def test_both_ends_are_as_they_were_asked_for(guest, entry):
    """Source: fs/pipe.c __do_pipe_flags; net/socket.c __sys_socketpair, do_accept (6.12)."""
    door = guest.call(entry, "socket", 1, 1, 0).value
    made = [("bind", door, DOOR, len(DOOR)), ("listen", door, 8)]
    assert [said.value for said in guest.series(entry, made)] == [0, 0]
    seen = {}
    for flags in (0, O_CLOEXEC, O_NONBLOCK):
        knocking = guest.call(entry, "socket", 1, 1, 0).value
        assert guest.call(entry, "connect", knocking, DOOR, len(DOOR)).value == 0
        ends = guest.call(entry, "pipe2", Buffer(8), flags).memory[0]
        ends += guest.call(entry, "socketpair", 1, 1 | flags, 0, Buffer(8)).memory[0]
        ends += struct.pack("<I", guest.call(entry, "accept4", door, 0, 0, flags).value)
        for place, fd in enumerate(struct.unpack("<5I", ends)):
            how = [guest.call(entry, "fcntl", fd, ask, 0).value for ask in (F_GETFD, F_GETFL)]
            seen[flags, place] = how[0], how[1] & O_NONBLOCK
    wanted = {flags: (int(flags == O_CLOEXEC), flags & O_NONBLOCK) for flags, _ in seen}
    assert seen == {case: wanted[case[0]] for case in seen}


def test_files_and_paths(guest, entry):
    guest.series(entry, [*(("unlink", path) for path in (FILE, LINK, LOOP)), ("rmdir", FOLDER)])
    rows = [
        (0, "mkdir", FOLDER, 0o700),
        (-EEXIST, "mkdir", FOLDER, 0o700),
        (0, "mknod", FILE, 0o100600, 0),
        (-EEXIST, "open", FILE, O_CREAT | O_EXCL, 0o600),
        (-EISDIR, "open", FOLDER, O_WRONLY),
        (-ENOTDIR, "open", FILE, O_DIRECTORY),
        (-ENOTDIR, "open", FILE[:-1] + b"/x\0", O_RDONLY),
        *[(-ENOTDIR, "chdir", FILE), (-EBADF, "fchdir", -1)],
        (-ENOTDIR, "rmdir", FILE),
        (-EISDIR, "unlink", FOLDER),
        (-EINVAL, "rmdir", FOLDER[:-1] + b"/.\0"),
        (0, "symlink", b"file\0", LINK),
        (0, "symlink", b"loop\0", LOOP),
        (-ELOOP, "open", LINK, O_NOFOLLOW),
        (-ELOOP, "open", LOOP, O_RDONLY),
        (4, "readlink", LINK, ROOM, 64),
        (1, "readlink", LINK, ROOM, 1),
        (-EINVAL, "readlink", LINK, ROOM, 0),
        (-EINVAL, "readlink", FILE, ROOM, 64),
        (0, "access", FILE, 6),
        (-EINVAL, "access", FILE, 8),
        (-ENOENT, "open", NAME + b"\0", O_RDONLY),
        (-ENAMETOOLONG, "open", NAME + b"n\0", O_RDONLY),
        (-EINVAL, "renameat2", HERE, FILE, HERE, LINK, 1 << 3),
        (-EINVAL, "renameat2", HERE, FILE, HERE, LINK, NO_REPLACE | EXCHANGE),
        (-EINVAL, "renameat2", HERE, FILE, HERE, LINK, WHITEOUT | EXCHANGE),
        (-EEXIST, "renameat2", HERE, FILE, HERE, LINK, NO_REPLACE),
        (-ENOENT, "renameat2", HERE, FILE, HERE, FOLDER[:-1] + b"/none\0", EXCHANGE),
        (-EINVAL, "linkat", HERE, FILE, HERE, LINK, 1),
        (-EEXIST, "linkat", HERE, FILE, HERE, LINK, 0x400),
        (-EINVAL, "unlinkat", HERE, FILE, 1),
        (-EINVAL, "unlinkat", HERE, FILE, REMOVE_FOLDER | 0x100),
        (-ENOTDIR, "unlinkat", HERE, FILE, REMOVE_FOLDER),
        (-EISDIR, "unlinkat", HERE, FOLDER, 0),
        (-EINVAL, "fchownat", HERE, FILE, -1, -1, 1),
        (-EINVAL, "truncate", FILE, -1),
        (-EINVAL, "utimensat", HERE, FILE, 0, 1),
        (-EINVAL, "statx", HERE, FILE, 0x6000, 0, ROOM),
        (-EINVAL, "statx", HERE, FILE, 0, 0x8000_0000, ROOM),
        (-EINVAL, "name_to_handle_at", HERE, FILE, ROOM, ROOM, 1),
        (-EINVAL, "readlinkat", HERE, LINK, ROOM, 0),
        (4, "readlinkat", HERE, LINK, ROOM, 64),
        (0, "chdir", b"/\0"),
        (2, "getcwd", ROOM, 2),
        (-ERANGE, "getcwd", ROOM, 1),
        (0, "chdir", FOLDER),
        (7, "getcwd", ROOM, 7),
        (-ERANGE, "getcwd", ROOM, 6),
        (0, "chdir", b"/\0"),
    ]
    assert find_wrong(guest, entry, rows) == []
    folder, file = (guest.call(entry, "open", path, 0).value for path in (FOLDER, FILE))
    omit, late = (1 << 30) - 2, 5000
    rows = [
        (0, "fchdir", folder),
        (7, "getcwd", ROOM, 7),
        (-ENOTDIR, "fchdir", file),
        (7, "getcwd", ROOM, 7),
        (0, "chdir", b"/\0"),
        (-EBADF, "utimensat", -1, 0, 0, 0),
        (-EINVAL, "utimensat", file, 0, 0, 0x100),
        (0, "utimensat", file, 0, entry.table.words(1000, 0, 2000, 0), 0),
        (0, "utimensat", HERE, FILE, entry.table.words(late, 0, 0, omit), 0),
    ]
    assert find_wrong(guest, entry, rows) == []
    told = guest.call(entry, "statx", HERE, FILE, 0, 0x7FF, Buffer(256)).memory[0]
    assert [struct.unpack_from("<q", told, at)[0] for at in (64, 112)] == [late, 2000]


CREATE, REPLACE = 1, 2
ATTRIBUTE, LONGEST_ATTRIBUTE = b"trusted.edge\0", 65_536


@pytest.mark.guest_only("only a guest is sure to have such attributes, and they want privilege")
def test_attributes_of_files(guest, entry):
    """Source: fs/xattr.c setxattr_copy, do_getxattr, listxattr (6.1)."""
    guest.series(entry, [("mkdir", FOLDER, 0o700), ("unlink", FILE), ("mknod", FILE, 0o100600, 0)])
    fd = guest.call(entry, "open", FILE, O_RDWR).value
    if guest.call(entry, "fsetxattr", fd, ATTRIBUTE, b"four", 4, CREATE).errno == EOPNOTSUPP:
        pytest.skip("the file system has no such attributes")
    name, long = b"trusted." + b"n" * 247, ARENA.start
    rows = [
        (4, "getxattr", FILE, ATTRIBUTE, 0, 0),
        (4, "lgetxattr", FILE, ATTRIBUTE, ROOM, 4),
        (-ERANGE, "fgetxattr", fd, ATTRIBUTE, ROOM, 3),
        (-EFAULT, "getxattr", FILE, ATTRIBUTE, HOLE, 4),
        (-ENODATA, "getxattr", FILE, b"trusted.none\0", ROOM, 4),
        (-EOPNOTSUPP, "getxattr", FILE, b"none\0", ROOM, 4),
        (-EEXIST, "setxattr", FILE, ATTRIBUTE, b"x", 1, CREATE),
        (-ENODATA, "setxattr", FILE, b"trusted.none\0", b"x", 1, REPLACE),
        (-EINVAL, "lsetxattr", FILE, ATTRIBUTE, b"x", 1, 4),
        (-E2BIG, "setxattr", FILE, ATTRIBUTE, long, LONGEST_ATTRIBUTE + 1, 0),
        (-EFAULT, "setxattr", FILE, ATTRIBUTE, HOLE, 1, 0),
        (0, "setxattr", FILE, ATTRIBUTE, long, LONGEST_ATTRIBUTE, REPLACE),
        (LONGEST_ATTRIBUTE, "fgetxattr", fd, ATTRIBUTE, long, 1 << 20),
        (0, "setxattr", FILE, name + b"\0", 0, 0, 0),
        (0, "getxattr", FILE, name + b"\0", ROOM, 4),
        (-ERANGE, "setxattr", FILE, name + b"n\0", 0, 0, 0),
        (-ERANGE, "getxattr", FILE, b"\0", ROOM, 4),
        (len(ATTRIBUTE + name) + 1, "listxattr", FILE, 0, 0),
        (-ERANGE, "flistxattr", fd, long, len(ATTRIBUTE + name)),
        (0, "removexattr", FILE, name + b"\0"),
        (len(ATTRIBUTE), "llistxattr", FILE, ROOM, 64),
        (0, "fremovexattr", fd, ATTRIBUTE),
        (-ENODATA, "lremovexattr", FILE, ATTRIBUTE),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_what_is_done_to_an_open_file(guest, entry):
    guest.series(entry, [("mkdir", FOLDER, 0o700), ("unlink", FILE)])
    fd = guest.call(entry, "open", FILE, O_CREAT | O_RDWR, 0o600).value
    narrow = guest.call(entry, "open", FILE, O_RDONLY).value
    guest.call(entry, "write", fd, b"eight..\n", 8)
    pipe = int.from_bytes(guest.call(entry, "pipe", Buffer(8)).memory[0][:4], "little")
    rows = [
        (-EINVAL, "lseek", fd, 0, 5),
        (-EINVAL, "lseek", fd, -1, 0),
        (8, "lseek", fd, 0, 2),
        (-EINVAL, "lseek", fd, -9, 1),
        (-ESPIPE, "lseek", pipe, 0, 1),
        (-ESPIPE, "pread64", pipe, ROOM, 1, 0, 0),
        (-EBADF, "write", narrow, b"x", 1),
        (-EINVAL, "ftruncate", narrow, 0),
        (-EINVAL, "ftruncate", fd, -1),
        (0, "ftruncate", fd, 8),
        (-EINVAL, "flock", fd, 3),
        (0, "flock", fd, 2),
        (-ENOTTY, "ioctl", fd, 0x5401, ROOM),
        (-EISDIR, "read", guest.call(entry, "open", FOLDER, O_RDONLY).value, ROOM, 1),
    ]
    assert find_wrong(guest, entry, rows) == []


def number(value):
    return value.to_bytes(8, "little")


MOST_EVENTS = (1 << 64) - 2
"""What an eventfd counts to. Source: fs/eventfd.c eventfd_write (6.1)."""


def test_descriptors_that_count(guest, entry):
    event = guest.call(entry, "eventfd2", 1, O_NONBLOCK).value
    one_by_one = guest.call(entry, "eventfd2", 2, O_NONBLOCK | 1).value
    timer = guest.call(entry, "timerfd_create", 1, O_NONBLOCK).value
    signals = guest.call(entry, "signalfd4", -1, bytes(8), 8, O_NONBLOCK).value
    rows = [
        (-EINVAL, "write", event, number(MOST_EVENTS + 1), 8),
        (-EAGAIN, "write", event, number(MOST_EVENTS), 8),
        (8, "write", event, number(MOST_EVENTS - 1), 8),
        (8, "write", event, number(0), 8),
        (-EAGAIN, "write", event, number(1), 8),
        (-EINVAL, "write", event, number(1), 7),
        (-EINVAL, "read", event, ROOM, 7),
        (8, "read", event, ROOM, 64),
        (-EAGAIN, "read", event, ROOM, 8),
        *[(8, "read", one_by_one, ROOM, 8)] * 2,
        (-EAGAIN, "read", one_by_one, ROOM, 8),
        (-EINVAL, "timerfd_create", 2, 0),
        (-EINVAL, "timerfd_create", 1, 1),
        (-EINVAL, "timerfd_settime", timer, 4, bytes(32), 0),
        (-EINVAL, "timerfd_settime", event, 0, bytes(32), 0),
        (-EINVAL, "timerfd_gettime", event, ROOM),
        (-EINVAL, "read", timer, ROOM, 7),
        (-EAGAIN, "read", timer, ROOM, 8),
        (-EINVAL, "signalfd4", -1, bytes(8), 4, 0),
        (-EINVAL, "signalfd4", -1, bytes(8), 8, 1),
        (-EINVAL, "signalfd4", event, bytes(8), 8, 0),
        *[(-EINVAL, "signalfd", fd, bytes(8), size) for fd, size in ((-1, 4), (event, 8))],
        *[(-EBADF, name, FILES, bytes(8), 8, 0) for name in ("signalfd", "signalfd4")],
        *[(-EFAULT, name, -1, HOLE, 8, 0) for name in ("signalfd", "signalfd4")],
        *[(-EINVAL, "read", signals, ROOM, size) for size in (0, 127)],
        (-EINVAL, "inotify_init1", 1),
    ]
    assert find_wrong(guest, entry, rows) == []


APPEND = b"/appended\0"


def test_moving_between_files_and_pipes(guest, entry):
    file = guest.call(entry, "open", APPEND, O_CREAT | O_RDWR | O_APPEND, 0o600).value
    first, second = (
        struct.unpack("<II", guest.call(entry, "pipe2", Buffer(8), O_NONBLOCK).memory[0])
        for _ in range(2)
    )
    guest.call(entry, "write", first[1], b"abc", 3)
    rows = [
        (-EINVAL, "splice", first[0], 0, file, 0, 3, 0),
        (-EINVAL, "splice", first[0], 0, second[1], 0, 3, 0x10),
        (-ESPIPE, "splice", first[0], number(0), second[1], 0, 3, 0),
        (-ESPIPE, "splice", first[0], 0, second[1], number(0), 3, 0),
        (-ESPIPE, "splice", first[0], number(0), file, 0, 3, 0),
        (-EINVAL, "splice", first[0], 0, first[1], 0, 3, 0),
        (-EINVAL, "splice", file, 0, file, 0, 3, 0),
        (-EBADF, "splice", first[1], 0, second[1], 0, 3, 0),
        (-EBADF, "splice", -1, 0, second[1], 0, 3, 0),
        (0, "splice", first[0], 0, second[1], 0, 0, 0),
        (-EINVAL, "tee", first[0], file, 3, 0),
        (-EINVAL, "tee", first[0], first[1], 3, 0),
        (-EINVAL, "tee", first[0], second[1], 3, 0x10),
        (3, "tee", first[0], second[1], 9, 0),
        (2, "splice", first[0], 0, second[1], 0, 2, 0),
        (1, "read", first[0], ROOM, 9),
        (5, "read", second[0], ROOM, 9),
        (-EINVAL, "copy_file_range", file, 0, file, 0, 0, 1),
        (-EBADF, "copy_file_range", file, 0, file, 0, 1, 0),
        (-EINVAL, "fallocate", file, 0, 0, 0, 0, 0),
        (-EOPNOTSUPP, "preadv2", file, entry.table.words(HOLE, 1), 1, 0, 0, 1 << 30),
    ]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.guest_only("it gives the machine another name, and wants privilege")
def test_what_is_the_whole_machines(guest, entry):
    rows = [
        (0, "setpriority", 0, 0, -99),
        (40, "getpriority", 0, 0),
        *[
            (-EINVAL, "settimeofday", entry.table.words(5, microseconds), 0)
            for microseconds in (10**6, -1, (1 << entry.table.bits) // 1000 + 1)
        ],
        (-EINVAL, "settimeofday", 0, struct.pack("<ii", MOST_MINUTES + 1, 0)),
        (-EINVAL, "settimeofday", 0, struct.pack("<ii", -MOST_MINUTES - 1, 0)),
        (0, "sethostname", b"h" * 64, 64),
        (-EINVAL, "sethostname", b"h" * 65, 65),
        (-EINVAL, "sethostname", b"h", -1),
        (0, "setdomainname", b"d" * 64, 64),
        (-EINVAL, "setdomainname", b"d" * 65, 65),
        (0, "sethostname", b"h", 1),
        (0, "setdomainname", b"d", 1),
    ]
    assert find_wrong(guest, entry, rows) == []
    names = guest.call(entry, "uname", Buffer(6 * 65)).memory[0]
    assert [names[65 * at : 65 * at + 65] for at in (1, 5)] == [
        b"h".ljust(65, b"\0"),
        b"d".ljust(65, b"\0"),
    ]
    rows = [
        (0, "sethostname", NONE, len(NONE)),
        (0, "setdomainname", NONE, len(NONE)),
        (-EINVAL, "reboot", 0, 0, 0, 0),
        (-EINVAL, "reboot", 0xFEE1_DEAD, 0, 0, 0),
    ]
    assert find_wrong(guest, entry, rows) == []
    told = guest.call(entry, "uname", Buffer(6 * 65)).memory[0][65:130]
    assert told == NONE.ljust(65, b"\0"), "no tail of a longer name is left"


def test_time_and_a_few_others(guest, entry):
    mask = guest.call(entry, "umask", 0o7777).value
    rows = [
        (0, "alarm", 1000),
        (1000, "alarm", 0),
        (0, "alarm", 0),
        (-EINVAL, "getitimer", 3, ROOM),
        (0, "getitimer", 2, ROOM),
        (0o777, "umask", mask),
        (-EINVAL, "clock_getres", 16, ROOM),
        (-EINVAL, "clock_gettime", 16, ROOM),
        (-EINVAL, "getrandom", ROOM, 1, 0x8),
        (-EINVAL, "memfd_create", b"m\0", 0x400),
    ]
    assert find_wrong(guest, entry, rows) == []
