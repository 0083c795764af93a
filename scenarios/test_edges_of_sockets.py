# SPDX-License-Identifier: Apache-2.0
"""Both sides of the edge of what calls of sockets take: kinds, names, flags, counts and times.

Source: net/socket.c; net/compat.c __get_compat_msghdr (6.12).
"""

import struct
from errno import (
    EAFNOSUPPORT,
    EAGAIN,
    EBADF,
    EFAULT,
    EINVAL,
    EMSGSIZE,
    ENOTSOCK,
    ENOTTY,
    EOPNOTSUPP,
)
from os import O_NONBLOCK

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import At, Buffer
from harness.landscape import ARENA, HOLE, READ_ONLY, UNTOUCHED

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

AF_NONE, AF_UNIX, AF_NETLINK, MOST_FAMILIES = 0, 1, 16, 64
STREAM, DATAGRAM, SOL_SOCKET = 1, 2, 1
TYPE, PASS_CREDENTIALS, AT_ONCE = 3, 16, 0x40
LONGEST_NAME, MOST_SEGMENTS = 128, 1024
HEADER, SEGMENTS, DATA, CONTROL = (ARENA.start + 0x8000 + 0x400 * n for n in range(4))


@pytest.fixture
def pair(guest, entry):
    """Give two connected sockets, and have a segment of eight bytes at SEGMENTS."""
    fds = guest.call(entry, "socketpair", AF_UNIX, DATAGRAM, 0, Buffer(8)).memory[0]
    guest.write(entry.abi, SEGMENTS, entry.table.words(DATA, 8))
    guest.write(entry.abi, DATA, b"abcdefgh")
    return struct.unpack("<II", fds)


def test_what_is_no_socket_is_told_apart_from_what_is_not_open(guest, entry):
    """Source: net/socket.c sockfd_lookup_light and its callers (6.12)."""
    other = guest.call(entry, "eventfd2", 0, 0).value
    header, size = entry.table.words(*[0] * 8), struct.pack("<I", 0)
    calls = {
        "bind": (b"\1\0", 2),
        "connect": (b"\1\0", 2),
        "listen": (1,),
        "accept4": (0, 0, 0),
        "getsockname": (Buffer(2), size),
        "getpeername": (Buffer(2), size),
        "sendto": (b"x", 1, 0, 0, 0),
        "recvfrom": (Buffer(2), 1, AT_ONCE, 0, 0),
        "setsockopt": (SOL_SOCKET, PASS_CREDENTIALS, size, 4),
        "getsockopt": (SOL_SOCKET, TYPE, Buffer(4), size),
        "shutdown": (0,),
        "sendmsg": (header, 0),
        "recvmsg": (header, AT_ONCE),
        "sendmmsg": (header, 1, 0),
        "recvmmsg": (header, 1, AT_ONCE, 0),
    }
    rows = [(-ENOTSOCK, name, other, *rest) for name, rest in calls.items()]
    rows += [(-EBADF, name, -1, *rest) for name, rest in calls.items()]
    assert find_wrong(guest, entry, rows) == []


def test_sockets_names_and_flags_that_make_no_sense(guest, entry, pair):
    """Source: net/socket.c __sock_create, move_addr_to_kernel, __copy_msghdr (6.12)."""
    fd = guest.call(entry, "socket", AF_UNIX, STREAM, 0).value
    name, address = struct.pack("<H", AF_UNIX), bytes(LONGEST_NAME + 1)
    where = SOL_SOCKET, PASS_CREDENTIALS
    rows = [
        *[(-EAFNOSUPPORT, "socket", family, STREAM, 0) for family in (AF_NONE, MOST_FAMILIES, -1)],
        *[(-EINVAL, "socket", AF_UNIX, kind, 0) for kind in (11, 15)],
        (-EAFNOSUPPORT, "socketpair", MOST_FAMILIES, STREAM, 0, Buffer(8)),
        *[(-EINVAL, "bind", fd, address, size) for size in (LONGEST_NAME + 1, -1, 0)],
        *[(-EINVAL, "connect", fd, address, size) for size in (LONGEST_NAME + 1, -1)],
        *[(-EINVAL, "sendto", pair[0], b"x", 1, 0, address, n) for n in (LONGEST_NAME + 1, -1)],
        (-EFAULT, "bind", fd, HOLE, 2),
        (0, "bind", fd, name, 2),
        (0, "listen", fd, 1),
        *[(-EINVAL, "accept4", fd, 0, 0, flags) for flags in (1, 0x8000_0000)],
        (-EINVAL, "setsockopt", pair[0], *where, bytes(4), -1),
        (-EINVAL, "setsockopt", pair[0], *where, bytes(4), 3),
        (-EOPNOTSUPP, "setsockopt", pair[0], AF_UNIX + 1, 1, bytes(4), 4),
        (-EINVAL, "shutdown", pair[0], 3),
        (-ENOTTY, "ioctl", pair[0], 0x5401, Buffer(64)),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_a_messages_header_says_numbers_that_can_be(guest, entry, pair):
    """Source: net/socket.c __copy_msghdr; net/compat.c __get_compat_msghdr (6.12)."""
    to_kernel = guest.call(entry, "socket", AF_NETLINK, DATAGRAM, 0).value

    def message(name=0, size=0, segments=1):
        return At(HEADER, entry.table.words(name, size, SEGMENTS, segments, 0, 0, 0))

    rows = [
        (-EMSGSIZE, "sendmsg", pair[0], message(segments=MOST_SEGMENTS + 1), 0),
        (-EINVAL, "sendmsg", pair[0], message(DATA, -1), 0),
        (-EMSGSIZE, "recvmsg", pair[1], message(segments=MOST_SEGMENTS + 1), AT_ONCE),
        (-EINVAL, "recvmsg", pair[1], message(DATA, -1), AT_ONCE),
        (8, "sendmsg", pair[0], message(0, -1), 0),
        (8, "recvmsg", pair[1], message(CONTROL, LONGEST_NAME + 9), AT_ONCE),
        (0, "sendmsg", pair[0], message(segments=0), 0),
        (0, "recvmsg", pair[1], message(), AT_ONCE),
        (-EAGAIN, "recvmsg", pair[1], message(), AT_ONCE),
        (8, "sendmsg", to_kernel, message(CONTROL, LONGEST_NAME + 9), 0),
    ]
    guest.write(entry.abi, CONTROL, struct.pack("<H", AF_NETLINK).ljust(LONGEST_NAME, b"\0"))
    guest.write(entry.abi, DATA, bytes(8))
    assert find_wrong(guest, entry, rows) == []


def test_a_socket_that_does_not_wait_says_so_by_every_call(guest, entry):
    """Source: net/socket.c sock_read_iter, __sys_recvfrom, ____sys_recvmsg (6.12)."""
    fds = guest.call(entry, "socketpair", AF_UNIX, DATAGRAM | O_NONBLOCK, 0, Buffer(8)).memory[0]
    fd = struct.unpack("<II", fds)[0]
    guest.write(entry.abi, SEGMENTS, entry.table.words(DATA, 8))
    header = entry.table.words(0, 0, SEGMENTS, 1, 0, 0, 0, 0)
    door = guest.call(entry, "socket", AF_UNIX, STREAM | O_NONBLOCK, 0).value
    rows = [
        *[(0, "bind", door, struct.pack("<H", AF_UNIX), 2), (0, "listen", door, 1)],
        (0, "setitimer", 0, entry.table.words(0, 0, 5, 0), 0),
        (-EAGAIN, "accept4", door, 0, 0, 0),
        (-EAGAIN, "read", fd, Buffer(8), 8),
        (-EAGAIN, "readv", fd, SEGMENTS, 1),
        (-EAGAIN, "recvfrom", fd, Buffer(8), 8, 0, 0, 0),
        (-EAGAIN, "recvmsg", fd, header, 0),
        (-EAGAIN, "recvmmsg", fd, header, 1, 0, 0),
        (0, "setitimer", 0, entry.table.words(0, 0, 0, 0), 0),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_no_more_than_1024_messages_are_sent_at_once(guest, entry):
    """Source: net/socket.c __sys_sendmmsg (6.12)."""
    fds = guest.call(entry, "socketpair", AF_UNIX, STREAM, 0, Buffer(8)).memory[0]
    fd, empty = struct.unpack("<II", fds)[0], UNTOUCHED.start
    rows = [(n, "sendmmsg", fd, empty, n, 0) for n in (0, 1, MOST_SEGMENTS)]
    rows += [(MOST_SEGMENTS, "sendmmsg", fd, empty, n, 0) for n in (MOST_SEGMENTS + 1, -1)]
    assert find_wrong(guest, entry, rows) == []


def test_the_time_for_many_messages_is_looked_at_and_told(guest, entry, pair):
    """Source: net/socket.c do_recvmmsg, __sys_recvmmsg (6.12)."""
    header, words = entry.table.words(0, 0, SEGMENTS, 1, 0, 0, 0, 0), entry.table.words
    sent = (8, "write", pair[0], b"abcdefgh", 8)
    receive_two = ("recvmmsg", pair[1], header * 2, 2, 0)
    rows = [
        *[sent] * 2,
        *[(-EINVAL, *receive_two, time) for time in (words(0, 10**9), words(-1, 0))],
        (1, *receive_two, words(0, 0)),
        (-EFAULT, *receive_two, READ_ONLY.start),
        *[sent] * 2,
        (2, *receive_two, At(CONTROL, words(1000, 0))),
    ]
    assert find_wrong(guest, entry, rows) == []
    left = guest.read(entry.abi, CONTROL, entry.table.word_bytes)
    assert 900 <= int.from_bytes(left, "little") < 1000
