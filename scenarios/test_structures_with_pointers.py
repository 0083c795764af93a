# SPDX-License-Identifier: Apache-2.0
"""Structures that hold pointers: each of those is looked at, and read as wide as the program's are.

Source: net/socket.c ___sys_sendmsg, ___sys_recvmsg; net/compat.c get_compat_msghdr; fs/select.c
get_sigset_argpack, struct sel_arg_struct; ipc/syscall.c, ipc/compat; fs/aio.c (6.1).
"""

import struct
from errno import EAGAIN, EBADF, EFAULT, EINVAL
from os import O_NONBLOCK

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import At, Buffer
from harness.agent.structures import IOCB
from harness.landscape import ARENA, EDGE, HOLE
from harness.pointers import bad_pointers

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

AF_UNIX, DATAGRAM, AT_ONCE = 1, 2, 0x40
TRUNCATED = 0x20
HEADER, SEGMENTS, DATA, NAME, CONTROL = (ARENA.start + 0x8000 + 0x400 * n for n in range(5))
LETTERS = b"abcdefghijklmnopqrstuvwxyz"


def header(entry, name=0, segments=SEGMENTS, control=0):
    """Lay a msghdr with one segment out."""
    lengths = 110 if name else 0, 1, 64 if control else 0
    w = entry.table.words(name)
    length = lengths[0].to_bytes(len(w), "little")
    return w + length + entry.table.words(segments, lengths[1], control, lengths[2], 0)


@pytest.fixture
def pair(guest, entry):
    """Give two connected datagram sockets, and have a segment of eight bytes at SEGMENTS."""
    fds = guest.call(entry, "socketpair", AF_UNIX, DATAGRAM, 0, Buffer(8)).memory[0]
    guest.write(entry.abi, SEGMENTS, entry.table.words(DATA, 8))
    guest.write(entry.abi, DATA, LETTERS[:8])
    return int.from_bytes(fds[:4], "little"), int.from_bytes(fds[4:], "little")


def test_a_message_goes_through_its_headers(guest, entry, pair):
    there, back = header(entry), header(entry, name=NAME, control=CONTROL)
    assert guest.call(entry, "sendmsg", pair[0], At(HEADER, there), 0).value == 8
    guest.write(entry.abi, SEGMENTS, entry.table.words(DATA + 0x100, 5))
    guest.write(entry.abi, DATA + 0x100, bytes(8))
    assert guest.call(entry, "recvmsg", pair[1], At(HEADER, back + b"\xa5" * 8), 0).value == 5
    assert guest.read(entry.abi, DATA + 0x100, 8) == LETTERS[:5] + bytes(3)
    size = entry.table.word_bytes
    seen = guest.read(entry.abi, HEADER, len(back) + 8)
    assert seen[: size + 4] == entry.table.words(NAME) + bytes(4)  # nobody's name has no length
    assert seen[2 * size : 5 * size] == entry.table.words(SEGMENTS, 1, CONTROL)
    assert seen[5 * size : 6 * size + 4] == entry.table.words(0) + TRUNCATED.to_bytes(4, "little")
    assert seen[-8:] == b"\xa5" * 8


@pytest.mark.claim(39)
@pytest.mark.claim(34)
@pytest.mark.parametrize("field", ["name", "segments", "control"])
def test_no_pointer_of_a_message_to_send_is_trusted(guest, entry, pair, field):
    for bad in bad_pointers(entry, guest.identity.arch):
        if bad.readable or (bad.address == 0 and field != "segments"):
            continue
        message = header(entry, **{field: bad.address})
        said = guest.call(entry, "sendmsg", pair[0], message, AT_ONCE)
        assert said.errno == EFAULT, (field, bad.name)
    assert guest.call(entry, "recvfrom", pair[1], Buffer(8), 8, AT_ONCE, 0, 0).errno == EAGAIN


@pytest.mark.claim(39)
@pytest.mark.parametrize("name", ["sendmsg", "recvmsg"])
def test_no_data_of_a_message_is_trusted(guest, entry, pair, name):
    for bad in bad_pointers(entry, guest.identity.arch):
        guest.call(entry, "sendto", pair[1], LETTERS, 8, AT_ONCE, 0, 0)
        guest.write(entry.abi, SEGMENTS, entry.table.words(bad.address, 8))
        said = guest.call(entry, name, pair[0], header(entry), AT_ONCE)
        assert said.errno == EFAULT or (bad.readable and name == "sendmsg"), bad.name


@pytest.mark.claim(39)
@pytest.mark.parametrize("name", ["sendmsg", "recvmsg"])
def test_a_header_that_is_cut_short_is_efault(guest, entry, pair, name):
    whole = header(entry)
    needed = 6 * entry.table.word_bytes + 4
    for fits in (1, needed // 2, needed - 1):
        cut = At(EDGE.end - fits, whole[:fits])
        assert guest.call(entry, name, pair[0], cut, AT_ONCE).errno == EFAULT, fits


@pytest.mark.claim(39)
def test_no_header_of_many_messages_is_trusted(guest, entry, pair):
    for bad in bad_pointers(entry, guest.identity.arch):
        guest.call(entry, "sendto", pair[1], LETTERS, 8, AT_ONCE, 0, 0)
        calls = (
            ("recvmmsg", pair[0], bad.address, 1, AT_ONCE, 0),
            ("sendmmsg", pair[0], bad.address, 1, AT_ONCE),
        )
        said = guest.series(entry, calls)
        assert bad.readable or [one.errno for one in said] == [EFAULT] * 2, bad.name


@pytest.mark.claim(39)
@pytest.mark.needs(arch="x86_64")
def test_recvmmsg_does_not_trust_its_timeout(guest, entry, pair):
    for bad in bad_pointers(entry, guest.identity.arch):
        said = guest.call(entry, "recvmmsg", pair[0], header(entry), 1, AT_ONCE, bad.address)
        assert said.errno == EFAULT or bad.address == 0 or bad.readable, bad.name


@pytest.mark.claim(34)
@pytest.mark.claim(39)
def test_the_mask_in_pselects_sixth_argument_is_not_trusted(guest, entry):
    for bad in bad_pointers(entry, guest.identity.arch):
        timeout, mask = entry.table.words(0, 0), entry.table.words(bad.address, 8)
        said = guest.call(entry, "pselect6", 0, 0, 0, 0, timeout, mask)
        assert said.errno == (EFAULT if bad.address and not bad.readable else None), bad.name


def test_pselect_wants_the_size_of_its_mask(guest, entry):
    guest.write(entry.abi, DATA, bytes(8))
    for size, expected in {8: None, 4: EINVAL, 16: EINVAL, 0: EINVAL}.items():
        mask = entry.table.words(DATA, size)
        said = guest.call(entry, "pselect6", 0, 0, 0, 0, entry.table.words(0, 0), mask)
        assert said.errno == expected, size


@pytest.mark.claim(34)
@pytest.mark.claim(39)
@pytest.mark.entries("int80", "int80_64")
@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_the_old_select_trusts_no_pointer_of_its_block(guest, entry, place):
    for bad in bad_pointers(entry, guest.identity.arch):
        block = [1, CONTROL, CONTROL, CONTROL, DATA]
        block[place] = bad.address
        guest.write(entry.abi, CONTROL, entry.table.words(1))
        guest.write(entry.abi, DATA, bytes(8))
        said = guest.call(entry, "select", entry.table.words(*block))
        fine = bad.address == 0 or (bad.readable and place == 4)
        assert said.errno == (None if fine else EFAULT), bad.name


@pytest.mark.claim(34)
@pytest.mark.claim(39)
@pytest.mark.entries("int80", "int80_64")
@pytest.mark.parametrize(
    ("name", "number"), [("socketcall", 8), ("socketcall", 6), ("select", None), ("mmap", None)]
)
def test_a_block_of_arguments_is_not_trusted(guest, entry, name, number):
    first = () if number is None else (number,)
    for bad in bad_pointers(entry, guest.identity.arch):
        if not bad.readable:
            assert guest.call(entry, name, *first, bad.address).errno == EFAULT, bad.name
    cut = At(EDGE.end - 11, bytes(11))
    assert guest.call(entry, name, *first, cut).errno == EFAULT


@pytest.mark.claim(34)
@pytest.mark.entries("int80", "int80_64")
def test_socketcall_finds_its_arguments_and_trusts_none(guest, entry):
    socketpair = 8
    block = entry.table.words(AF_UNIX, DATAGRAM, 0, DATA)
    assert guest.call(entry, "socketcall", socketpair, block).value == 0
    for bad in bad_pointers(entry, guest.identity.arch):
        block = entry.table.words(AF_UNIX, DATAGRAM, 0, bad.address)
        assert guest.call(entry, "socketcall", socketpair, block).errno == EFAULT, bad.name


def set_up_transfers(guest, entry):
    """Return a context for four transfers at a time."""
    made = guest.call(entry, "io_setup", 4, Buffer(entry.table.word_bytes, fill=0))
    if made.errno:
        pytest.skip("built without asynchronous I/O")
    return int.from_bytes(made.memory[0], "little")


@pytest.mark.claim(39)
def test_io_submit_trusts_neither_its_list_nor_what_is_on_it(guest, entry):
    context = set_up_transfers(guest, entry)
    for bad in bad_pointers(entry, guest.identity.arch):
        calls = [
            ("io_submit", context, 1, bad.address),
            ("io_submit", context, 1, entry.table.words(bad.address)),
        ]
        said = [one.errno for one in guest.series(entry, calls)]
        assert said == [EFAULT] * 2 or bad.readable, bad.name


EVENT = struct.Struct("<QQqq")
"""Source: include/uapi/linux/aio_abi.h struct io_event (6.1)."""
READ, WRITE, READ_SEGMENTS, WRITE_SEGMENTS = 0, 1, 7, 8


def test_io_submit_takes_bytes_and_segments_as_the_programs_are(guest, entry):
    """Source: fs/aio.c aio_setup_rw; struct iocb is one for both, the segments are not (6.1)."""
    context = set_up_transfers(guest, entry)
    file = guest.call(entry, "memfd_create", b"aio\0", 0).value
    guest.write(entry.abi, SEGMENTS, entry.table.words(DATA, 3, DATA + 8, 4))
    guest.write(entry.abi, DATA, LETTERS[:16])
    cases = {
        (WRITE_SEGMENTS, SEGMENTS, 2, 0): 7,
        (WRITE, DATA, 5, 7): 5,
        (READ_SEGMENTS, SEGMENTS, 2, 1): 7,
        (READ, DATA + 16, 9, 5): 7,
    }
    for (kind, where, size, offset), count in cases.items():
        block = IOCB.pack(0x5EED, 0, 0, kind, 0, file, where, size, offset, 0, 0, 0)
        guest.write(entry.abi, CONTROL, block)
        guest.call(entry, "io_submit", context, 1, entry.table.words(CONTROL))
        told = guest.call(entry, "io_getevents", context, 1, 1, Buffer(EVENT.size), 0)
        assert EVENT.unpack(told.memory[0]) == (0x5EED, CONTROL, count, 0), (kind, str(told))
    assert guest.read(entry.abi, DATA, 23) == b"bcidefghjklamnopklabcde"


def test_transfers_that_make_no_sense_are_not_begun(guest, entry):
    """Source: fs/aio.c io_submit_one, __io_submit_one, aio_read, aio_write (6.12)."""
    context = set_up_transfers(guest, entry)
    given, taken = (guest.call(entry, "open", b"/dev/null\0", how).value for how in (1, 0))
    good, bad = (0, WRITE, given, 5, 0), (0, 99, given, 5, 0)
    cases = {
        bad: -EINVAL,
        (0, WRITE, given, -1, 0): -EINVAL,
        (0, WRITE, given, 5, 1): -EINVAL,
        (0, WRITE, -1, 5, 0): -EBADF,
        (0, WRITE, taken, 5, 0): -EBADF,
        (0, READ, given, 5, 0): -EBADF,
        (1, WRITE, given, 5, 0): 1,
        good: 1,
    }
    for (data, kind, fd, size, reserved), answer in cases.items():
        length = size & entry.table.mask if size > 0 else (1 << 64) - 1
        block = IOCB.pack(data, 0, 0, kind, 0, fd & 0xFFFF_FFFF, DATA, length, 0, reserved, 0, 0)
        guest.write(entry.abi, CONTROL, block)
        said = guest.call(entry, "io_submit", context, 1, entry.table.words(CONTROL))
        assert said.value == answer, (data, kind, fd, size, reserved)
    room, soon = Buffer(4 * EVENT.size), entry.table.words(0, 1_000_000)
    rows = [
        (-EINVAL, "io_submit", context, -1, entry.table.words(CONTROL)),
        (-EINVAL, "io_submit", context + 1, 1, entry.table.words(CONTROL)),
        (1, "io_submit", context, 2, entry.table.words(CONTROL, HOLE)),
        (0, "io_submit", context, 0, entry.table.words(CONTROL)),
        *[(-EINVAL, "io_getevents", context, *two, room, 0) for two in ((-1, 1), (2, 1), (0, -1))],
        (-EINVAL, "io_getevents", context + 1, 0, 1, room, 0),
        (-EFAULT, "io_getevents", context, 1, 1, HOLE, 0),
        (1, "io_pgetevents", context, 1, 1, room, soon, 0),
        (2, "io_getevents", context, 4, 4, room, soon),
        (0, "io_pgetevents", context, 1, 1, room, soon, 0),
        (0, "io_getevents", context, 1, 1, room, soon),
        (-EINVAL, "io_destroy", context + 1),
        (0, "io_destroy", context),
        (-EINVAL, "io_destroy", context),
        *[(-EINVAL, "io_setup", count, Buffer(8, fill=0)) for count in (0, -1)],
        (-EINVAL, "io_setup", 1, Buffer(8, fill=1)),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_a_mask_for_the_time_of_io_pgetevents_is_pointed_to_and_as_long_as_it_says(guest, entry):
    """Source: fs/aio.c struct __aio_sigset, struct __compat_aio_sigset (6.1)."""
    context, nothing = set_up_transfers(guest, entry), entry.table.words(0, 0)
    guest.write(entry.abi, DATA, bytes(8))
    cases = {(DATA, 8): None, (0, 8): None, (DATA, 7): EINVAL, (HOLE, 8): EFAULT}
    seen = {}
    for mask in cases:
        two = entry.table.words(*mask) + b"\xff" * 8
        said = guest.call(entry, "io_pgetevents", context, 0, 0, 0, nothing, two)
        seen[mask] = said.errno
    assert seen == cases


def test_the_end_of_an_operation_is_counted_where_that_is_asked(guest, entry):
    """Source: fs/aio.c io_submit_one, iocb_put, IOCB_FLAG_RESFD (6.1)."""
    context = set_up_transfers(guest, entry)
    file = guest.call(entry, "memfd_create", b"aio\0", 0).value
    counter, seen = guest.call(entry, "eventfd2", 0, O_NONBLOCK).value, []
    for flags, told in ((1, counter), (1, counter), (0, counter), (1, file), (1, -1)):
        block = IOCB.pack(0, 0, 0, WRITE, 0, file, DATA, 5, 0, 0, flags, told & 0xFFFF_FFFF)
        guest.write(entry.abi, CONTROL, block)
        said = guest.call(entry, "io_submit", context, 1, entry.table.words(CONTROL))
        seen.append(said.value)
    assert seen == [1, 1, 1, -EINVAL, -EBADF]
    assert guest.call(entry, "read", counter, Buffer(8), 8).memory == ((2).to_bytes(8, "little"),)


def test_a_bad_robust_list_harms_nobody_at_exit(guest, entry):
    size = 3 * entry.table.word_bytes
    for bad in bad_pointers(entry, guest.identity.arch):
        assert guest.call(entry, "set_robust_list", bad.address, size).value == 0, bad.name
        guest.renew()
    assert guest.call(entry, "set_robust_list", DATA, size + 1).errno == EINVAL
