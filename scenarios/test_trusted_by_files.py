# SPDX-License-Identifier: Apache-2.0
"""Calls about files, descriptors and readiness: no pointer of theirs is followed without a look.

As in test_trusted_by_processes: rows that work, made wrong one pointer at a time.

Source: fs/{stat,statfs,namei,select,eventpoll,timerfd,eventfd,readdir,fcntl,xattr}.c, mm/mincore.c,
drivers/tty/tty_ioctl.c (6.1); structures of arch/x86/include/uapi/asm and include/linux/compat.h.
"""

from errno import EEXIST, EINVAL, ENODEV, ENOEXEC
from os import O_RDWR

import pytest

from harness.agent.arguments import Buffer
from harness.agent.sweep import Row, find_trusted, read_first_page
from harness.arch import I386
from harness.landscape import ARENA, PAGE

LETTERS = b"abcdefghijklmnopqrstuvwxyz"
NOTHING, HERE = b"/no/such\0", b"/init\0"
AT_FDCWD = -100
PARTS = ("cut", "limit_after")  # a transfer may give what fits
TERMINAL_REQUESTS = {0x5401: 36, 0x5411: 4, 0x5413: 8, 0x5415: 4, 0x5424: 4}
OPENED = {
    "letters": ("open", b"/tmp/letters\0", O_RDWR),
    "pair": ("pipe2", Buffer(8), 0),
    "writing_end": ("dup", 5),
    "epoll": ("epoll_create1", 0),
    "event": ("eventfd2", 60_000, 1),
    "timer": ("timerfd_create", 1, 0),
    "terminal": ("open", b"/dev/ttyS0\0", O_RDWR | 0o400),
    "folder": ("open", b"/proc/self/fd\0", 0),
    "watch": ("inotify_init",),
}


@pytest.fixture
def fds(guest, entry):
    """Give descriptors by name: negative where the kernel was built without such a file."""
    guest.write_file("/no_program", LETTERS, mode=0o755)
    guest.write_file("/tmp/letters", LETTERS)  # noqa: S108 - in the guest
    made = guest.series(entry, list(OPENED.values()))
    fds = dict(zip(OPENED, (one.value for one in made), strict=True))
    guest.call(entry, "epoll_ctl", fds["epoll"], 1, fds["writing_end"], (4).to_bytes(12, "little"))
    guest.call(entry, "write", fds["writing_end"], LETTERS, 4)
    return fds


def name_rows(entry, fds):
    w = entry.table.word_bytes
    stats = {"stat": 144} if w == 8 else {"stat": 64, "oldstat": 32, "stat64": 96}
    for name, size in stats.items():
        l_name, f_name = (name.replace("stat", f"{letter}stat") for letter in "lf")
        yield Row((name, HERE, Buffer(size)))
        yield Row((l_name, HERE, Buffer(size)))
        yield Row((f_name, fds["letters"], Buffer(size)))
    name, size = ("newfstatat", 144) if w == 8 else ("fstatat64", 96)
    yield Row((name, AT_FDCWD, HERE, Buffer(size), 0))
    yield Row(("statx", AT_FDCWD, HERE, 0, 0x7FF, Buffer(256)))
    yield Row(("statfs", HERE, Buffer(120 if w == 8 else 64)))
    yield Row(("fstatfs", fds["letters"], Buffer(120 if w == 8 else 64)))
    yield Row(("readlink", b"/proc/self/exe\0", Buffer(len(f"/executor.{entry.abi}")), 99))
    yield Row(("rename", HERE, HERE))
    yield Row(("link", HERE, HERE), answers=EEXIST)
    yield Row(("symlink", HERE, HERE), answers=EEXIST)
    yield Row(("mkdir", HERE, 0), answers=EEXIST)
    yield Row(("chdir", b"/\0"))
    yield Row(("access", HERE, 4))
    yield Row(("openat2", AT_FDCWD, HERE, bytes(24), 24))
    yield Row(
        ("mount", NOTHING, b"/\0", b"none\0", 0, 0), answers=ENODEV, optional=(1,), null={3: EINVAL}
    )
    yield Row(("umount2", HERE, 0), answers=EINVAL)
    yield Row(("inotify_add_watch", fds["watch"], HERE, 2))
    yield Row(("memfd_create", b"name\0", 0))
    yield Row(("utime", b"/tmp/letters\0", entry.table.words(1, 1)), optional=(2,))
    yield Row(("utimes", b"/tmp/letters\0", entry.table.words(1, 1, 1, 1)), optional=(2,))
    yield Row(
        ("utimensat", AT_FDCWD, b"/tmp/letters\0", entry.table.words(1, 1, 1, 1), 0), optional=(3,)
    )
    yield Row(("setxattr", b"/tmp/letters\0", b"trusted.a\0", b"12345678", 8, 0))
    yield Row(("getxattr", b"/tmp/letters\0", b"trusted.a\0", Buffer(8), 8))
    yield Row(
        ("execve", b"/no_program\0", entry.table.words(0), entry.table.words(0)),
        answers=ENOEXEC,
        optional=(2, 3),
    )
    if entry.table is I386:
        yield Row(("statfs64", HERE, 84, Buffer(84)))
        yield Row(("fstatfs64", fds["letters"], 84, Buffer(84)))
        yield Row(("utimensat_time64", AT_FDCWD, b"/tmp/letters\0", bytes(32), 0), optional=(3,))


def descriptor_rows(entry, fds):
    w = entry.table.word_bytes
    letters = fds["letters"]
    yield Row(("pread64", letters, Buffer(4), 4, 0, 0), unlike=PARTS)
    yield Row(("pwrite64", letters, b"abcd", 4, 0, 0), unlike=PARTS)
    yield Row(("pipe", Buffer(8)))
    yield Row(("pipe2", Buffer(8), 0))
    yield Row(("sendfile", 1, letters, Buffer(w, fill=0), 4), optional=(3,))
    yield Row(
        ("copy_file_range", letters, Buffer(8, fill=0), 1, Buffer(8, fill=0), 4, 0), optional=(2, 4)
    )
    yield Row(("mincore", ARENA.start, PAGE, Buffer(1)))
    yield Row(("fcntl", letters, 5, Buffer(16 if w == 4 else 32, fill=0)))
    yield Row(("fcntl", letters, 15, (1).to_bytes(8, "little")))
    yield Row(("fcntl", letters, 16, Buffer(8)))
    yield Row(("ioctl", letters, 2, Buffer(4)))
    yield Row(("ioctl", letters, 0x5421, bytes(4)))
    yield Row(("ioctl", 3 + 1, 0x541B, Buffer(4)))
    yield Row(("read", fds["event"], Buffer(8), 8))
    yield Row(
        ("timerfd_settime", fds["timer"], 0, entry.table.words(0, 1, 0, 1), Buffer(4 * w)),
        optional=(4,),
    )
    yield Row(("read", fds["timer"], Buffer(8), 8), unlike=PARTS)
    yield Row(("timerfd_gettime", fds["timer"], Buffer(4 * w)))
    yield Row(("signalfd4", -1, bytes(8), 8, 0))
    yield Row(("io_setup", 1, Buffer(w, fill=0)))
    yield Row(("io_uring_setup", 1, Buffer(120, fill=0)))
    yield Row(("cachestat", letters, bytes(16), Buffer(40), 0))
    for request, size in TERMINAL_REQUESTS.items():
        yield Row(("ioctl", fds["terminal"], request, Buffer(size)))
    yield Row(("ioctl", fds["terminal"], 0x5414, bytes(8)))
    if entry.table is I386:
        yield Row(("_llseek", letters, 0, 0, Buffer(8), 0))
        yield Row(("sendfile64", 1, letters, Buffer(8, fill=0), 4), optional=(3,))
        yield Row(("fcntl64", letters, 12, Buffer(24, fill=0)))
        yield Row(("timerfd_gettime64", fds["timer"], Buffer(32)))
        yield Row(
            ("timerfd_settime64", fds["timer"], 0, bytes(32), Buffer(32)),
            optional=(4,),
        )


def readiness_rows(entry, fds):
    w = entry.table.word_bytes
    polled, ready, at_once = Buffer(8, fill=1), Buffer(w, fill=1), entry.table.words(0, 0)
    yield Row(("poll", polled, 1, 0))
    yield Row(("ppoll", polled, 1, at_once, bytes(8), 8), optional=(3, 4))
    yield Row(
        ("_newselect" if w == 4 else "select", 1, ready, ready, ready, at_once),
        optional=(2, 3, 4, 5),
    )
    yield Row(
        ("pselect6", 1, ready, ready, ready, at_once, entry.table.words(0, 8)),
        optional=(2, 3, 4, 5, 6),
    )
    yield Row(("epoll_ctl", fds["epoll"], 3, fds["writing_end"], (4).to_bytes(12, "little")))
    yield Row(("epoll_wait", fds["epoll"], Buffer(12), 1, 0))
    yield Row(("epoll_pwait", fds["epoll"], Buffer(12), 1, 0, bytes(8), 8), optional=(5,))
    yield Row(
        ("epoll_pwait2", fds["epoll"], Buffer(12), 1, bytes(16), bytes(8), 8), optional=(4, 5)
    )
    if entry.table is I386:
        yield Row(("ppoll_time64", polled, 1, bytes(16), bytes(8), 8), optional=(3, 4))
        yield Row(
            ("pselect6_time64", 1, ready, ready, ready, bytes(16), entry.table.words(0, 8)),
            optional=(2, 3, 4, 5, 6),
        )


ROWS = {
    "names": name_rows,
    "descriptors": descriptor_rows,
    "readiness": readiness_rows,
}


@pytest.mark.claim(39)
@pytest.mark.claim(40)
@pytest.mark.claim(46)
@pytest.mark.entries("int80", "syscall")
@pytest.mark.parametrize("about", ROWS)
def test_no_pointer_is_trusted(guest, entry, fds, about):
    page = read_first_page(guest)
    assert find_trusted(guest, entry, ROWS[about](entry, fds)) == {}
    assert read_first_page(guest) == page
