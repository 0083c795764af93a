# SPDX-License-Identifier: Apache-2.0
"""Calls about sockets, queues, semaphores, shared memory and keys: no pointer is trusted.

As in test_trusted_by_processes: rows that work, made wrong one pointer at a time.

Source: net/socket.c, net/core/sock.c, net/unix/af_unix.c, ipc/{msg,sem,shm,mqueue}.c,
security/keys/keyctl.c (6.1); structures of include/uapi and include/linux/compat.h.
"""

from errno import EINVAL

import pytest

from harness.agent.arguments import Buffer
from harness.agent.sweep import Row, find_trusted, read_first_page
from harness.arch import I386

AF_UNIX, STREAM, DATAGRAM, AT_ONCE, SOL_SOCKET = 1, 1, 2, 0x40, 1
NAME = b"\1\0\0trapgate"
MESSAGE = b"hello"
CONNECTIONS = 64
ANY_LENGTH = Buffer(4, fill=1)


def open_door(guest, entry):
    """Give two connected datagram sockets, and one to which many wait to be let in."""
    guest.call(entry, "socketpair", AF_UNIX, DATAGRAM, 0, Buffer(8))
    door = guest.call(entry, "socket", AF_UNIX, STREAM, 0).value
    guest.series(entry, [("bind", door, NAME, len(NAME)), ("listen", door, 128)])
    knock = (
        ("socket", AF_UNIX, STREAM, 0),
        ("connect", door + 1, NAME, len(NAME)),
        ("close", door + 1),
    )
    guest.series(entry, knock * CONNECTIONS)
    return door


def name_rows(guest, entry):
    door = open_door(guest, entry)
    yield Row(("socketpair", AF_UNIX, STREAM, 0, Buffer(8)))
    yield Row(("getsockname", door, Buffer(len(NAME)), ANY_LENGTH))
    yield Row(("getpeername", door - 1, Buffer(2), ANY_LENGTH))
    yield Row(("accept4", door, Buffer(2), ANY_LENGTH, 0), optional=(2,))
    yield Row(("bind", door, b"\2\0\0\0\0\0", 6), answers=EINVAL)
    yield Row(("connect", door - 1, b"\2\0\0\0\0\0", 6), answers=EINVAL)


def option_rows(guest, entry):
    door = open_door(guest, entry)
    w = entry.table.word_bytes
    for option, size in {3: 4, 13: 8, 17: 12, 20: 2 * w, 66: 16}.items():
        yield Row(("getsockopt", door, SOL_SOCKET, option, Buffer(size), ANY_LENGTH))
    for option, size in {2: 4, 13: 8, 20: 2 * w, 66: 16}.items():
        yield Row(("setsockopt", door, SOL_SOCKET, option, bytes(size), size))


def transfer_rows(guest, entry):
    door = open_door(guest, entry)
    sent = (("sendto", door - 1, MESSAGE, 5, AT_ONCE, 0, 0),)
    emptied = (("recvfrom", door - 2, Buffer(5), 5, AT_ONCE, 0, 0),)
    yield Row(("sendto", door - 1, MESSAGE, 5, AT_ONCE, 0, 0), first=emptied)
    yield Row(("recvfrom", door - 2, Buffer(5), 5, AT_ONCE, 0, 0), first=sent)


def queue_rows(guest, entry):
    w = entry.table.word_bytes
    queue = guest.call(entry, "msgget", 0, 0o600).value
    sent = (("msgsnd", queue, entry.table.words(1) + MESSAGE, 5, 0o4000),)
    emptied = (("msgrcv", queue, Buffer(w + 5), 5, 0, 0o4000),)
    yield Row(("msgsnd", queue, entry.table.words(1) + MESSAGE, 5, 0o4000), first=emptied)
    yield Row(("msgrcv", queue, Buffer(w + 5), 5, 0, 0o4000), first=sent)
    yield Row(("msgctl", queue, 2, Buffer(120 if w == 8 else 88)))


def semaphore_rows(guest, entry):
    w = entry.table.word_bytes
    many = guest.call(entry, "semget", 0, 3, 0o600).value
    yield Row(("semctl", many, 0, 2, Buffer(104 if w == 8 else 64)))
    yield Row(("semctl", many, 0, 13, Buffer(6)))
    yield Row(("semctl", many, 0, 17, b"\1\0\1\0\1\0"))
    add = b"\0\0\1\0\0\0"
    if entry.table is not I386:
        yield Row(("semop", many, add, 1))
        yield Row(("semtimedop", many, add, 1, entry.table.words(1, 0)), optional=(4,))
    else:
        yield Row(("semtimedop_time64", many, add, 1, bytes(16)), optional=(4,))


def shared_memory_rows(guest, entry):
    w = entry.table.word_bytes
    memory = guest.call(entry, "shmget", 0, 4096, 0o600).value
    yield Row(("shmctl", memory, 2, Buffer(112 if w == 8 else 84)))
    yield Row(("shmctl", memory, 3, Buffer(9 * w)))
    yield Row(("shmctl", memory, 14, Buffer(6 * w)))


def posix_queue_rows(guest, entry):
    w = entry.table.word_bytes
    queue = guest.call(
        entry, "mq_open", b"q\0", 0o4102, 0o600, entry.table.words(0, 4, 5, 0, 0, 0, 0, 0)
    ).value
    now = entry.table.words(0, 0)
    sent = (("mq_timedsend", queue, MESSAGE, 5, 0, 0),)
    emptied = (("mq_timedreceive", queue, Buffer(5), 5, 0, 0),)
    yield Row(
        ("mq_open", b"q\0", 0o4102, 0o600, entry.table.words(0, 4, 5, 0, 0, 0, 0, 0)), optional=(4,)
    )
    yield Row(("mq_timedsend", queue, MESSAGE, 5, 0, now), first=emptied, optional=(5,))
    yield Row(("mq_timedreceive", queue, Buffer(5), 5, Buffer(4), now), first=sent, optional=(4, 5))
    yield Row(
        ("mq_getsetattr", queue, entry.table.words(0o4000, *[0] * 7), Buffer(8 * w)),
        optional=(2, 3),
    )


ROWS = {
    "socket names": name_rows,
    "socket options": option_rows,
    "transfers": transfer_rows,
    "queues": queue_rows,
    "semaphores": semaphore_rows,
    "shared memory": shared_memory_rows,
    "posix queues": posix_queue_rows,
}
KEY_ROWS = (
    Row(("add_key", b"user\0", b"trapgate\0", MESSAGE, 5, -2), null={2: EINVAL}),
    Row(("request_key", b"user\0", b"trapgate\0", 0, -2)),
)


@pytest.mark.claim(39)
@pytest.mark.claim(40)
@pytest.mark.entries("int80", "syscall")
@pytest.mark.parametrize("about", ROWS)
def test_no_pointer_of_a_message_call_is_trusted(guest, entry, about):
    page = read_first_page(guest)
    assert find_trusted(guest, entry, ROWS[about](guest, entry)) == {}
    assert read_first_page(guest) == page


@pytest.mark.claim(39)
@pytest.mark.entries("int80", "syscall")
def test_no_pointer_of_a_key_call_is_trusted(guest, entry):
    assert find_trusted(guest, entry, KEY_ROWS) == {}
