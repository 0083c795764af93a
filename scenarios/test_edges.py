# SPDX-License-Identifier: Apache-2.0
"""Both sides of the edge of what calls take: the last that is taken, and the first that is not.

Source: man 2 of each call, ERRORS; kernel/sys.c setpriority; kernel/time/itimer.c alarm_setitimer,
which rounds (6.1).
"""

import struct
from errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EBADF,
    EBUSY,
    ECHILD,
    EEXIST,
    EFAULT,
    EINVAL,
    EISDIR,
    ELOOP,
    ENAMETOOLONG,
    ENODATA,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSYS,
    ENOTDIR,
    ENOTTY,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    ERANGE,
    ESPIPE,
    ESRCH,
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
from harness.arch import ARCH_I386, I386
from harness.landscape import ARENA, EDGE, HOLE, NO_ACCESS, PAGE, READ_ONLY

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

FOLDER, FILE, LINK, LOOP = b"/edges\0", b"/edges/file\0", b"/edges/link\0", b"/edges/loop\0"
ROOM = Buffer(64)
FILES = 32
"""How many descriptors a process may have here, RLIMIT_NOFILE."""
RLIMIT_NOFILE = 7
NOBODY = 0x3FFF_FFFF
NAME = b"/edges/" + b"n" * 255
HERE, REMOVE_FOLDER = -100, 0x200
NO_REPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
MOST_MINUTES, NONE = 15 * 60, b"(none)"
MAPPED = 0x2A00_0000


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


def test_memory(guest, entry):
    table = guest.table(entry)
    mmap = entry.table.mmap
    anonymous, fixed = 0x22, 0x10
    pid = guest.call(entry, "getpid").value
    start = guest.call(entry, mmap, 0, 0x3000, 3, anonymous, -1, 0).value & entry.table.mask
    rows = [
        (-EINVAL, mmap, 0, 0, 3, anonymous, -1, 0),
        (-EINVAL, mmap, 0, 1, 3, 0x20, -1, 0),
        (-EINVAL, mmap, start + 1, 1, 3, anonymous | fixed, -1, 0),
        (-EBADF, mmap, 0, 1, 1, 2, -1, 0),
        (-EINVAL, "munmap", start, 0),
        (-EINVAL, "munmap", start + 1, 1),
        (-EINVAL, "mprotect", start + 1, 1, 1),
        (-EINVAL, "mprotect", start, 1, 0x80),
        (0, "mprotect", start, 0, 1),
        (-EINVAL, "mremap", start, 1, 0, 0, 0),
        (-EINVAL, "mremap", start + 1, 1, 1, 0, 0),
        (-EINVAL, "msync", start, 1, 5),
        (-EINVAL, "msync", start + 1, 1, 4),
        (0, "msync", start, 0x3000, 4),
        (-EINVAL, "mincore", start + 1, 1, ROOM),
        (0, "mincore", start, 0x3000, ROOM),
        (-EINVAL, "madvise", start + 1, 1, 0),
        (-EINVAL, "madvise", start, 1, 0x7F),
        (-EINVAL, "mremap", start, 1, 1, 2, start),
        (-EINVAL, "mremap", start, 1, 1, 8, 0),
        (-EINVAL, "mprotect", start, 1, 0x300_0000),
        (-EEXIST, mmap, start, 1, 3, anonymous | 0x10_0000, -1, 0),
        (-EINVAL, "mlock2", start, 1, 2),
        (-EINVAL, "mlockall", 0),
        (-EINVAL, "mlockall", 4),
        (-EINVAL, "mlockall", 9),
        (-EINVAL, "remap_file_pages", start, 0x1000, 1, 0, 0),
        (-EINVAL, "process_vm_readv", pid, 0, 0, 0, 0, 1),
        (-EINVAL, "process_vm_writev", pid, 0, 0, 0, 0, 1),
        (0, "process_vm_readv", pid, 0, 0, 0, 0, 0),
        (-ESRCH, "process_vm_readv", NOBODY, *[entry.table.words(start, 1), 1] * 2, 0),
        *[(0, name, start, 0, 4) for name in ("msync", "madvise", "mlock")],
        (0, "mlockall", 1),
        (-EBUSY, "msync", start, 1, 2),
        (0, "munlockall"),
        (0, "msync", start, 1, 2),
        (0, "mlockall", 2),
        (MAPPED, mmap, MAPPED, PAGE, 3, anonymous | fixed, -1, 0),
        *[(-EBUSY, "msync", MAPPED, 1, 2), (0, "msync", start, 1, 2)],
        (0, "munlockall"),
        (0, "msync", MAPPED, 1, 2),
    ]
    if guest.identity.arch.abi is entry.table:
        past_the_end = dict.fromkeys(("madvise", "mlock", "munlock", "munmap"), -EINVAL)
        past_the_end |= dict.fromkeys(("msync", "mprotect", "mincore"), -ENOMEM)
        rows += [(answer, name, start, -PAGE, 1) for name, answer in past_the_end.items()]
        rows += [(-EINVAL, "madvise", start, -1, 4)]
    rows += [(0, "munmap", start, 0x3000)]
    if guest.identity.arch is ARCH_I386:
        rows += [(-EOVERFLOW, mmap, 0, 0x2000, 3, anonymous, -1, 0xFFFF_FFFF)]
    assert {row[1] for row in rows} <= table.numbers.keys()
    assert find_wrong(guest, entry, rows) == []


def test_memory_that_is_locked_missing_or_beside_itself(guest, entry):
    """Source: mm/{mlock,msync,mprotect,mincore,mremap,mmap}.c (6.1)."""
    mmap = entry.table.mmap
    guest.series(entry, [("mkdir", FOLDER, 0o700)])
    fd = guest.call(entry, "open", FILE, O_CREAT | O_RDWR, 0o600).value
    start, then, last = EDGE.start, EDGE.start + PAGE, entry.table.mask & -PAGE
    validate, at_once = 0x3, 0x8_0000
    rows = [
        (-ENOMEM, "mlock", NO_ACCESS.start, 1),
        (0, "mlock", start, 1),
        (-EBUSY, "msync", start, 1, 2),
        (0, "munlock", start, 1),
        (0, "msync", start, 1, 2),
        (-ENOMEM, "mprotect", start, 3 * PAGE, 3),
        (-ENOMEM, "mincore", last, 1, ROOM),
        (-EOPNOTSUPP, mmap, 0, 1, 1, validate | at_once, fd, 0),
        (start, "mremap", then, PAGE, PAGE, 3, start),
        (then, "mremap", start, PAGE, PAGE, 3, then),
    ]
    assert find_wrong(guest, entry, rows) == []


LIMIT_OF_LOCKED = 8


@pytest.mark.room("it is root")
def test_memory_is_locked_up_to_the_limit(guest, entry):
    """Source: mm/mlock.c can_do_mlock, do_mlock, mlockall; mm/mmap.c mlock_future_ok (6.12)."""
    mmap, start = entry.table.mmap, EDGE.start
    rows = [
        (0, "setrlimit", LIMIT_OF_LOCKED, entry.table.words(PAGE, PAGE)),
        (0, "setuid", 1001),
        (0, "mlock", start, PAGE),
        (-EBUSY, "msync", start, 1, 2),
        (-ENOMEM, "mlock", start, PAGE + 1),
        (-ENOMEM, "mlock2", start, PAGE + 1, 1),
        (-EAGAIN, mmap, MAPPED, PAGE, 3, 0x2032, -1, 0),
        (-ENOMEM, "mlockall", 1),
        (0, "munlock", start, PAGE),
        (MAPPED, mmap, MAPPED, PAGE, 3, 0x2032, -1, 0),
        (0, "munlock", MAPPED, PAGE),
        (0, "setrlimit", LIMIT_OF_LOCKED, entry.table.words(0, 0)),
        *[(-EPERM, "mlock", start, PAGE), (-EPERM, "mlockall", 1), (-EPERM, "mlockall", 2)],
        (-EPERM, mmap, MAPPED, PAGE, 3, 0x2032, -1, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_much_memory_is_told_of_in_one_piece(guest, entry):
    """Source: mm/mincore.c, a page of answers at a time (6.1)."""
    pages = PAGE + 0x100
    mmap = entry.table.mmap
    private_fixed = 0x4032
    said = guest.call(entry, mmap, MAPPED, pages * PAGE, 0, private_fixed, -1, 0)
    assert said.value == MAPPED
    said = guest.call(entry, "mincore", MAPPED, pages * PAGE, Buffer(pages + 8))
    assert said.memory == (bytes(pages) + b"\xa5" * 8,)


def test_much_memory_is_copied_between_processes_without_a_gap(guest, entry):
    """From the second byte of a page on. Source: mm/process_vm_access.c start_offset (6.1)."""
    size, mmap = 0x90_0000, entry.table.mmap
    source, target = MAPPED, MAPPED + 2 * size
    for start in (source, target):
        assert guest.call(entry, mmap, start, size, 3, 0x32, -1, 0).value == start
    marks = (0x10, 0x40_0010, 0x80_0010)
    for mark in marks:
        guest.write(entry.abi, source + mark, b"marked")
    own, length = guest.call(entry, "getpid").value, size - PAGE
    segments = [entry.table.words(at, length) for at in (target, source + 1)]
    said = guest.call(entry, "process_vm_readv", own, segments[0], 1, segments[1], 1, 0)
    assert said.value == length
    seen = [guest.read(entry.abi, target + mark - 1, 6) for mark in marks]
    assert seen == [b"marked"] * 3


def test_a_description_is_as_long_as_a_page_with_its_end(guest, entry):
    """Source: mm/util.c strndup_user; security/keys/keyctl.c add_key (6.1)."""
    names = [b"d" * length + b"\0" for length in (PAGE - 1, PAGE)]
    said = [guest.call(entry, "add_key", b"user\0", name, b"x", 1, -1) for name in names]
    if said[0].errno == ENOSYS:
        pytest.skip("built without CONFIG_KEYS")
    assert (said[0].errno, said[1].errno) == (None, EINVAL)


@pytest.mark.entries("int80", "syscall")
def test_the_end_of_the_heap_is_told_also_where_it_stays(guest, entry):
    """There is no error to tell: mm/mmap.c brk (6.1)."""
    end, wide = guest.call(entry, "brk", 0).value, entry.table.mask
    moves = {
        end + 5: end + 5,
        1: end + 5,
        end - 1: end + 5,
        wide: end + 5,
        wide >> 1: end + 5,
        end + 0x1234: end + 0x1234,
        end: end,
    }
    said = [one.value for one in guest.series(entry, [("brk", to) for to in moves])]
    assert dict(zip(moves, said, strict=True)) == moves


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


RESET_ON_FORK, KEEP_POLICY, KEEP_PARAMETERS, SCHEDULING = 1, 8, 16, 48
OTHERS, FIFO, IDLE, NOT_IN_CHILDREN = 0, 1, 5, 0x4000_0000
"""Policies of scheduling, and what is ORed to one that is not for children."""


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
