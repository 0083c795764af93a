# SPDX-License-Identifier: Apache-2.0
"""Calls of the i386 table that take more than fits: one pointer to all of it, one number for many.

Source: arch/x86/kernel/sys_ia32.c ia32_mmap; fs/select.c old_select; net/socket.c socketcall and
its nargs; ipc/syscall.c ksys_ipc (6.1).
"""

import struct
from errno import EAGAIN, EBADF, EFAULT, EINVAL, ENOSYS, EPIPE
from mmap import MAP_PRIVATE, PROT_READ, PROT_WRITE
from os import O_RDONLY

import pytest

from harness.agent.arguments import Buffer
from harness.arch import I386
from harness.entry import entry_names_taking
from harness.landscape import ARENA, EDGE, HOLE, PAGE
from harness.pointers import bad_pointers

pytestmark = pytest.mark.entries(*entry_names_taking(I386))

MAP_FIXED, MAP_ANONYMOUS = 0x10, 0x20
WHERE = 0x2E00_0000
WORD = 4

# How many words each of socketcall's calls reads, by number from 1 (net/socket.c nargs, 6.1).
WORDS_OF_SOCKETCALL = (3, 3, 3, 2, 3, 3, 3, 4, 4, 4, 6, 6, 2, 5, 5, 3, 3, 4, 5, 4)
NO_DESCRIPTOR = (-1, ARENA.start, 0, 0, 0, 0)
SOCKETPAIR, SEMGET, SEMOP, SEMTIMEDOP, IPC_RMID = 8, 2, 1, 4, 0


def words(*values):
    return b"".join((value & 0xFFFF_FFFF).to_bytes(WORD, "little") for value in values)


@pytest.fixture
def at_the_edge(guest, entry):
    """Give what puts bytes before the end of memory and returns where they begin."""

    def put(content):
        start = EDGE.end - len(content)
        guest.write(entry.abi, start, content)
        return start

    return put


@pytest.fixture
def _sockets(guest, entry):
    """Skip where the kernel has no sockets."""
    if guest.call(entry, "socketcall", 0, 0).errno == ENOSYS:
        pytest.skip("the kernel is configured without sockets")


@pytest.mark.claim(34)
def test_the_old_mmap_takes_one_pointer_to_all_six(guest, entry):
    guest.write_file("/numbered", b"".join(bytes([page]) * PAGE for page in range(8)))
    fd = guest.call(entry, "open", b"/numbered\0", O_RDONLY).value
    six = (WHERE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 5 * PAGE)
    assert guest.call(entry, "mmap", words(*six)).value == WHERE
    assert guest.read(entry.abi, WHERE, 3 * PAGE) == b"\5" * PAGE + b"\6" * PAGE


@pytest.mark.claim(34)
def test_the_old_mmap_reads_just_six_words(guest, entry, at_the_edge):
    six = (WHERE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0)
    block = at_the_edge(words(*six))
    assert guest.call(entry, "mmap", block).value == WHERE
    assert guest.call(entry, "mmap", block + WORD).errno == EFAULT


@pytest.mark.claim(34)
def test_the_old_mmap_wants_a_whole_page_for_offset(guest, entry):
    six = (WHERE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1)
    said = {offset: guest.call(entry, "mmap", words(*six, offset)).errno for offset in (1, 4095)}
    assert said == {1: EINVAL, 4095: EINVAL}


@pytest.mark.claim(34)
@pytest.mark.parametrize("name", ["mmap", "select"])
def test_a_block_at_a_bad_pointer_is_efault(guest, entry, name):
    bad = [p for p in bad_pointers(entry, guest.identity.arch) if not p.readable]
    said = {pointer.name: guest.call(entry, name, pointer.address).errno for pointer in bad}
    assert said == dict.fromkeys(said, EFAULT)


@pytest.mark.claim(34)
def test_the_old_select_takes_one_pointer_to_all_five(guest, entry):
    (both,) = guest.call(entry, "pipe", Buffer(8)).memory
    end = 1 << int.from_bytes(both[4:], "little")  # of a pipe, to be written to and never read
    readable, writable, failed, patience = (ARENA.start + 0x100 * n for n in range(1, 5))
    for where, content in ((readable, end), (writable, end), (failed, end), (patience, 0)):
        guest.write(entry.abi, where, words(content, 0))
    block = words(end.bit_length(), readable, writable, failed, patience)
    assert guest.call(entry, "select", block).value == 1
    sets = [guest.read(entry.abi, at, WORD) for at in (readable, writable, failed)]
    assert sets == [words(0), words(end), words(0)], "read, written, failed"


@pytest.mark.claim(34)
def test_the_old_select_reads_just_five_words(guest, entry, at_the_edge):
    guest.write(entry.abi, ARENA.start, words(0, 0))
    block = at_the_edge(words(0, 0, 0, 0, ARENA.start))
    assert guest.call(entry, "select", block).value == 0
    assert guest.call(entry, "select", block + WORD).errno == EFAULT


@pytest.mark.claim(34)
@pytest.mark.usefixtures("_sockets")
def test_socketcall_reads_just_the_words_of_its_call(guest, entry, at_the_edge):
    said = {}
    for call, count in enumerate(WORDS_OF_SOCKETCALL, start=1):
        block = at_the_edge(words(*NO_DESCRIPTOR[:count]))
        enough = guest.call(entry, "socketcall", call, block).errno != EFAULT
        too_few = guest.call(entry, "socketcall", call, block + WORD).errno == EFAULT
        said[call] = (enough, too_few)
    assert {call: pair for call, pair in said.items() if pair != (True, True)} == {}


@pytest.mark.usefixtures("_sockets")
def test_socketcall_with_a_number_of_no_call_is_einval(guest, entry):
    numbers = (0, len(WORDS_OF_SOCKETCALL) + 1, -1, 0x1_0001)
    block = words(*NO_DESCRIPTOR)
    said = {number: guest.call(entry, "socketcall", number, block).errno for number in numbers}
    assert said == dict.fromkeys(numbers, EINVAL)


@pytest.mark.claim(34)
@pytest.mark.usefixtures("_sockets")
def test_socketcall_makes_the_pair_that_it_is_asked_for(guest, entry):
    where = ARENA.start + 0x800
    unix, stream, close_on_exec = 1, 1, 0o2000000
    block = words(unix, stream | close_on_exec, 0, where)
    assert guest.call(entry, "socketcall", SOCKETPAIR, block).value == 0
    first, second = struct.unpack("<II", guest.read(entry.abi, where, 8))
    assert guest.call(entry, "write", first, b"over", 4).value == 4
    assert guest.call(entry, "read", second, Buffer(8), 8).memory == (b"over\xa5\xa5\xa5\xa5",)


def make_semaphores(guest, entry, key, count, mode):
    """Return the number of a set of semaphores made by `ipc`."""
    said = guest.call(entry, "ipc", SEMGET, key, count, mode)
    if said.errno == ENOSYS:
        pytest.skip("the kernel is configured without System V IPC")
    return said.value


def test_ipc_leads_to_the_call_that_its_first_argument_names(guest, entry):
    key, count, create = 0x7472_6170, 3, 0o1600
    number = make_semaphores(guest, entry, key, count, create)
    assert guest.call(entry, "semget", key, count, 0).value == number
    assert guest.call(entry, "semget", key, count + 1, 0).errno == EINVAL
    one = struct.pack("<Hhh", count - 1, 1, 0)
    assert guest.call(entry, "ipc", SEMOP, number, 1, 0, one).value == 0
    assert guest.call(entry, "ipc", SEMOP, number, 1, 0, HOLE).errno == EFAULT
    assert guest.call(entry, "semctl", number, 0, IPC_RMID).value == 0


def test_ipc_waits_for_a_semaphore_as_long_as_it_says(guest, entry):
    number = make_semaphores(guest, entry, 0, 1, 0o600)
    one_less = struct.pack("<Hhh", 0, -1, 0)
    times = {words(0, 1): EAGAIN, words(0, 1_000_000_000): EINVAL, HOLE: EFAULT}
    seen = {
        time: guest.call(entry, "ipc", SEMTIMEDOP, number, 1, 0, one_less, time).errno
        for time in times
    }
    assert seen == times
    assert guest.call(entry, "semctl", number, 0, IPC_RMID).value == 0


def test_ipc_with_a_number_of_no_call_is_enosys(guest, entry):
    numbers = (0, 5, 10, 15, 20, 25, 0xFFFF)
    said = {number: guest.call(entry, "ipc", number, *(-1,) * 5).errno for number in numbers}
    assert said == dict.fromkeys(numbers, ENOSYS)


@pytest.mark.usefixtures("_sockets")
def test_a_call_by_socketcall_sees_its_descriptor(guest, entry):
    numbers = {"bind": 2, "accept": 5, "recvmsg": 17}
    block = words(-1, HOLE, 16)
    said = {n: guest.call(entry, "socketcall", call, block).errno for n, call in numbers.items()}
    assert said == dict.fromkeys(numbers, EBADF)


NAME, LENGTH, TO, VECTOR, MESSAGE = (ARENA.start + 0x8000 + 0x100 * n for n in range(5))
UNIX, STREAM, DATAGRAM = 1, 1, 2
SOCKET, BIND, CONNECT, LISTEN, ACCEPT, OWN_NAME, OTHERS_NAME = range(1, 8)
SEND, RECEIVE, SEND_TO, RECEIVE_FROM, SHUTDOWN, SET, GET, SEND_MESSAGE, RECEIVE_MESSAGE = range(
    9, 18
)
ACCEPT4, RECEIVE_MESSAGES, SEND_MESSAGES = 18, 19, 20
AT_ONCE, LEAVE_IT, QUIETLY = 0x40, 0x2, 0x4000
PASS_CREDENTIALS = 16
FIRST, SECOND = (struct.pack("<H", UNIX) + b"\0" + name for name in (b"first", b"the second"))
"""Addresses that are in no folder, which differ in length."""


@pytest.fixture
def ask(guest, entry, _sockets):
    """Give what makes a call by `socketcall`; bytes among its arguments go to memory of theirs."""

    def ask(number, *arguments):
        values, at = [], ARENA.start + 0x9000
        for argument in arguments:
            values.append(at if isinstance(argument, bytes) else argument)
            if isinstance(argument, bytes):
                guest.write(entry.abi, at, argument)
                at += 0x100
        return guest.call(entry, "socketcall", number, words(*values)).value

    return ask


def told_name(guest, entry):
    """Return the address that a call has put to NAME, and clear it."""
    length = int.from_bytes(guest.read(entry.abi, LENGTH, 4), "little")
    name = guest.read(entry.abi, NAME, length)
    guest.write(entry.abi, NAME, bytes(32))
    guest.write(entry.abi, LENGTH, words(32))
    return name


@pytest.mark.entries("int80", "int80_64")
def test_socketcall_makes_each_call_of_a_connection(guest, entry, ask):
    told_name(guest, entry)
    server, client = (ask(SOCKET, UNIX, STREAM, 0) for _ in range(2))
    assert ask(BIND, server, FIRST, len(FIRST)) == ask(BIND, client, SECOND, len(SECOND)) == 0
    assert ask(LISTEN, server, 1) == ask(CONNECT, client, FIRST, len(FIRST)) == 0
    one = ask(ACCEPT4, server, NAME, LENGTH, 0o2000000)
    assert (told_name(guest, entry), guest.call(entry, "fcntl", one, 1).value) == (SECOND, 1)
    seen = [
        (ask(call, one, NAME, LENGTH), told_name(guest, entry)) for call in (OWN_NAME, OTHERS_NAME)
    ]
    assert seen == [(0, FIRST), (0, SECOND)]
    assert ask(CONNECT, ask(SOCKET, UNIX, STREAM, 0), FIRST, len(FIRST)) == 0
    other = ask(ACCEPT, server, NAME, LENGTH)
    assert (other > one, len(told_name(guest, entry))) == (True, 2)
    assert ask(SEND, client, b"letters", 5, 0) == 5
    assert [ask(RECEIVE, one, TO, n, flag) for n, flag in ((3, LEAVE_IT), (9, 0))] == [3, 5]
    assert guest.read(entry.abi, TO, 6) == b"lette\0"
    assert ask(SHUTDOWN, client, 1) == ask(RECEIVE, one, TO, 9, 0) == 0
    assert ask(SEND, client, b"x", 1, QUIETLY) == -EPIPE


@pytest.mark.entries("int80", "int80_64")
def test_socketcall_makes_each_call_of_single_messages(guest, entry, ask):
    told_name(guest, entry)
    one, two = (ask(SOCKET, UNIX, DATAGRAM, 0) for _ in range(2))
    assert ask(BIND, one, FIRST, len(FIRST)) == ask(BIND, two, SECOND, len(SECOND)) == 0
    assert ask(SEND_TO, one, b"letters", 5, 0, SECOND, len(SECOND)) == 5
    assert ask(RECEIVE_FROM, two, TO, 9, AT_ONCE, NAME, LENGTH) == 5
    assert (guest.read(entry.abi, TO, 6), told_name(guest, entry)) == (b"lette\0", FIRST)
    assert ask(SET, one, 1, PASS_CREDENTIALS, words(1), 4) == 0
    assert ask(GET, one, 1, PASS_CREDENTIALS, TO, LENGTH) == 0
    assert (guest.read(entry.abi, TO, 4), len(told_name(guest, entry))) == (words(1), 4)
    assert ask(CONNECT, one, SECOND, len(SECOND)) == 0
    guest.write(entry.abi, VECTOR, words(TO, 3))
    message = words(0, 0, VECTOR, 1, 0, 0, 0, 0)
    guest.write(entry.abi, MESSAGE, message * 2)
    assert ask(SEND_MESSAGE, one, message, 0) == 3
    assert ask(SEND_MESSAGES, one, MESSAGE, 2, 0) == 2
    assert ask(RECEIVE_MESSAGE, two, message, LEAVE_IT) == 3
    assert ask(RECEIVE_MESSAGES, two, MESSAGE, 2, AT_ONCE, 0) == 2
    assert ask(RECEIVE_MESSAGE, two, message, 0) == 3
    assert ask(RECEIVE_MESSAGES, two, MESSAGE, 1, AT_ONCE, words(1, 10**9)) == -EINVAL
    assert ask(RECEIVE_MESSAGE, two, message, AT_ONCE) == -EAGAIN
