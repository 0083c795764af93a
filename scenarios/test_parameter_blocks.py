# SPDX-License-Identifier: Apache-2.0
"""Calls of the i386 table that take more than fits: one pointer to all of it, one number for many.

Source: arch/x86/kernel/sys_ia32.c ia32_mmap; fs/select.c old_select; net/socket.c socketcall and
its nargs; ipc/syscall.c ksys_ipc (6.1).
"""

import struct
from errno import EAGAIN, EBADF, EFAULT, EINVAL, ENOSYS
from mmap import MAP_PRIVATE, PROT_READ, PROT_WRITE
from os import O_RDONLY

import pytest

from harness.agent.arguments import Buffer
from harness.arch import I386
from harness.entry import entry_names_taking
from harness.landscape import ARENA, EDGE, HOLE
from harness.pointers import bad_pointers

pytestmark = pytest.mark.entries(*entry_names_taking(I386))

MAP_FIXED, MAP_ANONYMOUS = 0x10, 0x20
PAGE = 4096
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
