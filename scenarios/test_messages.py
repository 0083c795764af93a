# SPDX-License-Identifier: Apache-2.0
"""What travels beside a message's data, and options of sockets that are structures.

Source: net/core/scm.c; net/compat.c cmsghdr_from_user_compat_to_kern, put_cmsg_compat; net/socket.c
move_addr_to_user; net/core/sock.c sock_set_timeout, sk_getsockopt (6.1).
"""

import struct
from errno import EBADF, EDOM, EINVAL, EPERM, ERANGE

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import At, Buffer
from harness.agent.filters import answer, program_of
from harness.arch import I386
from harness.landscape import ARENA, EDGE, HOLE, READ_ONLY

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

AF_UNIX, DATAGRAM, SOL_SOCKET = 1, 2, 1
RIGHTS, CREDENTIALS, PASS_CREDENTIALS = 1, 2, 16
LINGER, RECEIVE_TIMEOUT, SEND_TIMEOUT, TYPE = 13, 20, 21, 3
CUT_CONTROL, CUT_DATA, CLOSE_ON_EXEC = 0x8, 0x20, 0x4000_0000
AT_ONCE, GET_FLAGS, CLOSED_AT_EXEC = 0x40, 1, 1
HEADER, SEGMENTS, DATA, CONTROL = (ARENA.start + 0x8000 + 0x400 * n for n in range(4))


@pytest.fixture
def pair(guest, entry):
    """Give two connected sockets, and have a segment of eight bytes at SEGMENTS."""
    fds = guest.call(entry, "socketpair", AF_UNIX, DATAGRAM, 0, Buffer(8)).memory[0]
    guest.write(entry.abi, SEGMENTS, entry.table.words(DATA, 8))
    guest.write(entry.abi, DATA, b"abcdefgh")
    return struct.unpack("<II", fds)


def control(entry, kind, content):
    """Return a control message: its length of a word, level and type, what it brings."""
    size = entry.table.word_bytes
    length = size + 8 + len(content)
    return entry.table.words(length) + struct.pack("<II", SOL_SOCKET, kind) + content


def aligned(entry, message):
    size = entry.table.word_bytes
    return message.ljust((len(message) + size - 1) // size * size, b"\0")


def send(guest, entry, fd, messages):
    guest.write(entry.abi, CONTROL, messages)
    header = entry.table.words(0, 0, SEGMENTS, 1, CONTROL, len(messages), 0)
    return guest.call(entry, "sendmsg", fd, At(HEADER, header), 0)


def receive(guest, entry, fd, room, flags=0):
    """Return what came beside the data, and the flags of the message."""
    guest.write(entry.abi, CONTROL, b"\xa5" * 128)
    header = entry.table.words(0, 0, SEGMENTS, 1, CONTROL, room, 0)
    assert guest.call(entry, "recvmsg", fd, At(HEADER, header), flags).value == 8
    size = entry.table.word_bytes
    seen = guest.read(entry.abi, HEADER, 7 * size)
    length = int.from_bytes(seen[5 * size : 6 * size], "little")
    told = int.from_bytes(seen[6 * size : 6 * size + 4], "little")
    beside = guest.read(entry.abi, CONTROL, 128)
    assert beside[length:] == b"\xa5" * (128 - length)
    return beside[:length], told


@pytest.mark.parametrize("count", [1, 2, 3])
def test_descriptors_travel_beside_the_data(guest, entry, pair, count):
    given = struct.pack(f"<{count}I", *[pair[0]] * count)
    assert send(guest, entry, pair[0], control(entry, RIGHTS, given)).value == 8
    highest = max(pair)
    seen, flags = receive(guest, entry, pair[1], 128)
    new = struct.pack(f"<{count}I", *range(highest + 1, highest + 1 + count))
    message = control(entry, RIGHTS, new)
    assert (seen[: len(message)], flags) == (message, 0)
    assert len(seen) == len(aligned(entry, message))
    for fd in range(highest + 1, highest + 1 + count):
        assert guest.call(entry, "write", fd, b"x", 1).value == 1


def test_a_descriptor_comes_to_be_closed_at_exec_if_that_is_asked(guest, entry, pair):
    """Source: net/core/scm.c scm_detach_fds; net/compat.c scm_detach_fds_compat (6.1)."""
    at, seen = entry.table.word_bytes + 8, {}
    for flag in (CLOSE_ON_EXEC, 0):
        assert send(guest, entry, pair[0], control(entry, RIGHTS, struct.pack("<I", 0))).value == 8
        message, told = receive(guest, entry, pair[1], 128, flag)
        fd = int.from_bytes(message[at : at + 4], "little")
        seen[flag] = guest.call(entry, "fcntl", fd, GET_FLAGS).value, told
    assert seen == {CLOSE_ON_EXEC: (CLOSED_AT_EXEC, CLOSE_ON_EXEC), 0: (0, 0)}


def test_bytes_that_are_no_whole_descriptor_do_not_count(guest, entry, pair):
    """They do not move what follows: net/compat.c cmsghdr_from_user_compat_to_kern (6.1)."""
    one = struct.pack("<I", pair[0])
    odd = (control(entry, RIGHTS, one + bytes(more)) for more in (1, 3))
    messages = b"".join(aligned(entry, message) for message in odd)
    assert send(guest, entry, pair[0], messages + control(entry, RIGHTS, one * 2)).value == 8
    new = control(entry, RIGHTS, struct.pack("<4I", *(max(pair) + 1 + n for n in range(4))))
    seen, flags = receive(guest, entry, pair[1], 128)
    assert (seen[: len(new)], flags) == (new, 0)


def test_a_descriptor_that_finds_no_room_is_not_given(guest, entry, pair):
    assert send(guest, entry, pair[0], control(entry, RIGHTS, struct.pack("<I", 0))).value == 8
    room = entry.table.word_bytes + 8 + 3
    seen, flags = receive(guest, entry, pair[1], room)
    assert flags & CUT_CONTROL
    assert seen == b""
    assert guest.call(entry, "close", max(pair) + 1).errno == EBADF


@pytest.mark.guest_only("a host lends root one user, itself")
def test_a_sender_is_named_beside_the_data(guest, entry, pair):
    own = guest.call(entry, "getpid").value
    assert (
        guest.call(entry, "setsockopt", pair[1], SOL_SOCKET, PASS_CREDENTIALS, b"\1\0\0\0", 4).value
        == 0
    )
    for given in ((own, 7, 8), None):
        messages = control(entry, CREDENTIALS, struct.pack("<III", *given)) if given else b""
        assert send(guest, entry, pair[0], messages).value == 8
        expected = control(entry, CREDENTIALS, struct.pack("<III", *(given or (own, 0, 0))))
        seen, flags = receive(guest, entry, pair[1], 128)
        assert (seen[: len(expected)], flags) == (expected, 0)


def test_several_control_messages_are_each_found(guest, entry, pair):
    own = guest.call(entry, "getpid").value
    rights = control(entry, RIGHTS, struct.pack("<I", pair[0]))
    credentials = control(entry, CREDENTIALS, struct.pack("<III", own, 0, 0))
    calls = ("setsockopt", pair[1], SOL_SOCKET, PASS_CREDENTIALS, b"\1\0\0\0", 4)
    assert guest.call(entry, *calls).value == 0
    assert send(guest, entry, pair[0], aligned(entry, rights) + credentials).value == 8
    seen, flags = receive(guest, entry, pair[1], 128)
    first = aligned(entry, credentials)
    assert seen[: len(credentials)] == credentials
    assert seen[len(first) :][: len(rights)] == control(
        entry, RIGHTS, struct.pack("<I", max(pair) + 1)
    )
    assert flags == 0


@pytest.mark.parametrize(("option", "second"), [(29, 10**6), (35, 10**9)], ids=["us", "ns"])
def test_the_time_of_arrival_is_told_in_two_words(guest, entry, pair, option, second):
    calls = ("setsockopt", pair[1], SOL_SOCKET, option, b"\1\0\0\0", 4)
    assert guest.call(entry, *calls).value == 0
    assert send(guest, entry, pair[0], b"").value == 8
    now = guest.call(entry, "gettimeofday", Buffer(16), 0).memory[0]
    size = entry.table.word_bytes
    seen, flags = receive(guest, entry, pair[1], 128)
    told = control(entry, option, seen[size + 8 :][: 2 * size])
    assert (seen[: len(told)], flags) == (told, 0)
    assert len(seen) == len(aligned(entry, told))
    seconds, part = (int.from_bytes(told[at:][:size], "little") for at in (size + 8, 2 * size + 8))
    assert 0 <= int.from_bytes(now[:size], "little") - seconds <= 5
    assert part < second


def test_a_control_message_of_no_possible_length_is_einval(guest, entry, pair):
    good = control(entry, RIGHTS, struct.pack("<I", 0))
    least = entry.table.word_bytes + 8
    for length in (0, least - 1, len(good) + 1, entry.table.mask):
        bad = entry.table.words(length) + good[entry.table.word_bytes :]
        assert send(guest, entry, pair[0], bad).errno == EINVAL, length
    assert guest.call(entry, "recvfrom", pair[1], Buffer(8), 8, 0x40, 0, 0).errno is not None


@pytest.mark.parametrize("option", [RECEIVE_TIMEOUT, SEND_TIMEOUT])
def test_a_timeout_is_told_as_it_was_set(guest, entry, pair, option):
    size = 2 * entry.table.word_bytes
    where = (pair[0], SOL_SOCKET, option)
    given = entry.table.words(1234, 500_000)
    assert guest.call(entry, "setsockopt", *where, given, size).value == 0
    length = struct.pack("<I", 64)
    said = guest.call(entry, "getsockopt", *where, Buffer(size + 8), At(DATA, length))
    assert said.memory == (given + b"\xa5" * 8,)
    assert guest.read(entry.abi, DATA, 4) == struct.pack("<I", size)
    bad = entry.table.words(1, 1_000_000)
    assert guest.call(entry, "setsockopt", *where, bad, size).errno == EDOM
    assert guest.call(entry, "setsockopt", *where, given, size - 1).errno == EINVAL


def test_an_option_is_told_as_far_as_there_is_room(guest, entry, pair):
    for room in (4, 3, 1, 0, 8):
        where = (pair[0], SOL_SOCKET, TYPE, Buffer(8), At(DATA, struct.pack("<I", room)))
        said = guest.call(entry, "getsockopt", *where)
        fits = min(room, 4)
        expected = struct.pack("<I", DATAGRAM)[:fits].ljust(8, b"\xa5")
        assert (said.value, said.memory) == (0, (expected,)), room
        assert guest.read(entry.abi, DATA, 4) == struct.pack("<I", fits), room
    bad = At(DATA, struct.pack("<i", -1))
    said = guest.call(entry, "getsockopt", pair[0], SOL_SOCKET, TYPE, Buffer(8), bad)
    assert said.errno == EINVAL


def test_an_address_is_told_as_far_as_there_is_room_and_its_length_whole(guest, entry):
    fd = guest.call(entry, "socket", AF_UNIX, DATAGRAM, 0).value
    path = b"/tmp/named\0"
    address = struct.pack("<H", AF_UNIX) + path
    guest.call(entry, "unlink", path)
    assert guest.call(entry, "bind", fd, address, len(address)).value == 0
    for room in (len(address), len(address) - 1, 2, 1, 0, 110):
        length = At(DATA, struct.pack("<I", room))
        said = guest.call(entry, "getsockname", fd, Buffer(112), length)
        assert said.memory == (address[:room].ljust(112, b"\xa5"),), room
        assert guest.read(entry.abi, DATA, 4) == struct.pack("<I", len(address)), room
    bad = At(DATA, struct.pack("<i", -1))
    assert guest.call(entry, "getsockname", fd, Buffer(112), bad).errno == EINVAL


def test_the_length_of_each_of_many_messages_is_told(guest, entry, pair):
    """Source: net/socket.c __sys_sendmmsg, do_recvmmsg (6.1)."""
    size = entry.table.word_bytes
    guest.write(entry.abi, SEGMENTS + 2 * size, entry.table.words(DATA, 5))
    both = b"".join(
        entry.table.words(0, 0, SEGMENTS + place * 2 * size, 1, 0, 0, 0) + b"\xa5" * size
        for place in range(2)
    )
    for fd, name, *more in ((pair[0], "sendmmsg"), (pair[1], "recvmmsg", 0)):
        guest.write(entry.abi, HEADER, both)
        assert guest.call(entry, name, fd, HEADER, 2, AT_ONCE, *more).value == 2
        told = guest.read(entry.abi, HEADER, len(both))
        lengths = [told[8 * size * at - size :][:4] for at in (1, 2)]
        assert lengths == [(8).to_bytes(4, "little"), (5).to_bytes(4, "little")], name


ATTACH_FILTER = 26


def test_a_filter_of_a_socket_cuts_what_comes(guest, entry, pair):
    """Source: net/core/filter.c copy_bpf_fprog_from_user (6.1); net/compat.c before 5.8."""
    guest.write(entry.abi, CONTROL, answer(3))
    given = program_of(CONTROL, answer(3), entry.table)
    option = ("setsockopt", pair[1], SOL_SOCKET, ATTACH_FILTER)
    calls = [(*option, given, len(given)), ("write", pair[0], b"abcdef", 6)]
    calls += [("read", pair[1], At(DATA, Buffer(8)), 8), (*option, given, len(given) - 1)]
    said = guest.series(entry, calls)
    assert [one.value for one in said] == [0, 6, 3, -EINVAL]
    assert said[2].memory[0] == b"abc" + b"\xa5" * 5


@pytest.mark.parametrize("counts", [(253,), (254,), (200, 53), (200, 54)])
def test_a_message_brings_253_descriptors_at_most(guest, entry, pair, counts):
    """Source: include/net/scm.h SCM_MAX_FD (6.1)."""
    parts = [control(entry, RIGHTS, struct.pack(f"<{n}I", *[pair[0]] * n)) for n in counts]
    said = send(guest, entry, pair[0], b"".join(aligned(entry, part) for part in parts))
    assert said.errno == (None if sum(counts) <= 253 else EINVAL)


SIGALRM, WAIT_FOR_ONE, PEERS_GROUPS = 14, 0x10000, 59


def test_one_message_may_be_enough(guest, entry, pair):
    """Who waits for more is ended by an alarm. Source: net/socket.c do_recvmmsg (6.1)."""
    words = entry.table.words
    header = words(0, 0, SEGMENTS, 1, 0, 0, 0, 0)
    some, never = words(0, 0, 5, 0), words(0, 0, 0, 0)
    rows = [
        (0, "rt_sigaction", SIGALRM, bytes(32), 0, 8),
        (8, "write", pair[0], b"abcdefgh", 8),
        (0, "setitimer", 0, some, 0),
        (1, "recvmmsg", pair[1], header * 2, 2, WAIT_FOR_ONE, 0),
        (0, "setitimer", 0, never, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.room("it is root")
def test_groups_of_the_other_side_that_do_not_fit_are_counted(guest, entry):
    """Source: net/core/sock.c SO_PEERGROUPS (6.1)."""
    setgroups = "setgroups32" if entry.table is I386 else "setgroups"
    groups = struct.pack("<3I", 5, 6, 7)
    assert guest.call(entry, setgroups, 3, groups).value == 0
    fds = guest.call(entry, "socketpair", AF_UNIX, DATAGRAM, 0, Buffer(8)).memory[0]
    fd, seen = struct.unpack("<II", fds)[0], {}
    for room in (11, 12):
        at = ARENA.start + 0x7000
        guest.write(entry.abi, at, struct.pack("<I", room))
        said = guest.call(entry, "getsockopt", fd, SOL_SOCKET, PEERS_GROUPS, Buffer(12), at)
        length = int.from_bytes(guest.read(entry.abi, at, 4), "little")
        seen[room] = said.value, length, said.memory[0]
    assert seen == {11: (-ERANGE, 12, b"\xa5" * 12), 12: (0, 12, groups)}


COMPAT = 1 << 31


@pytest.mark.entries("syscall")
def test_a_64_bit_program_does_not_say_that_it_is_a_32_bit_one(guest, entry):
    """Source: net/socket.c, forbid_cmsg_compat (6.12)."""
    calls = [(name, -1, HEADER, COMPAT) for name in ("sendmsg", "recvmsg")]
    calls += [("sendmmsg", -1, HEADER, 1, COMPAT), ("recvmmsg", -1, HEADER, 1, COMPAT, 0)]
    seen = {one[0]: said.errno for one, said in zip(calls, guest.series(entry, calls), strict=True)}
    assert seen == {one[0]: EINVAL for one in calls}


@pytest.mark.room("it is root")
def test_what_cannot_be_said_beside_the_data_is_refused(guest, entry, pair):
    """Source: net/core/scm.c scm_fp_copy, scm_check_creds, __scm_send (6.12)."""
    own, at = guest.call(entry, "getpid").value, entry.table.word_bytes
    rights = control(entry, RIGHTS, struct.pack("<I", 0x7FFF))
    assert [guest.call(entry, name, 1001).value for name in ("setgid", "setuid")] == [0, 0]
    mine = [
        control(entry, CREDENTIALS, struct.pack("<III", *ids))
        for ids in ((own, 1001, 1001), (1, 1001, 1001), (own, 0, 1001), (own, 1001, 0))
    ]
    cases = [
        (EBADF, rights),
        (EINVAL, control(entry, 77, bytes(4))),
        (EINVAL, control(entry, CREDENTIALS, bytes(8))),
        (None, rights[:at] + struct.pack("<I", 77) + rights[at + 4 :]),
        (None, mine[0]),
        *[(EPERM, one) for one in mine[1:]],
    ]
    seen = [send(guest, entry, pair[0], content).errno for _, content in cases]
    assert seen == [errno for errno, _ in cases]


def test_what_comes_beside_the_data_is_cut_where_there_is_no_more_room(guest, entry, pair):
    """Source: net/core/scm.c put_cmsg; net/compat.c put_cmsg_compat (6.12)."""
    option = ("setsockopt", pair[1], SOL_SOCKET, PASS_CREDENTIALS, b"\1\0\0\0", 4)
    assert guest.call(entry, *option).value == 0
    own, size = guest.call(entry, "getpid").value, entry.table.word_bytes + 8
    seen = {}
    for room in (0, size - 1, size, size + 5, size + 12):
        assert send(guest, entry, pair[0], b"").value == 8
        seen[room] = receive(guest, entry, pair[1], room)
    ids = struct.pack("<III", own, 0, 0)
    expected = dict.fromkeys((0, size - 1), (b"", CUT_CONTROL))
    for part in (0, 5):
        told = entry.table.words(size + part) + struct.pack("<II", SOL_SOCKET, CREDENTIALS)
        expected[size + part] = told + ids[:part], CUT_CONTROL
    expected[size + 12] = control(entry, CREDENTIALS, ids), 0
    assert seen == expected


def test_no_room_beside_the_data_is_trusted(guest, entry, pair):
    """The data came all the same. Source: net/core/scm.c put_cmsg, scm_detach_fds (6.12)."""
    option = ("setsockopt", pair[1], SOL_SOCKET, PASS_CREDENTIALS, b"\1\0\0\0", 4)
    assert guest.call(entry, *option).value == 0
    for where in (HOLE, READ_ONLY.start, EDGE.end - entry.table.word_bytes - 8):
        given = control(entry, RIGHTS, struct.pack("<I", 0))
        assert send(guest, entry, pair[0], given).value == 8
        header = At(HEADER, entry.table.words(0, 0, SEGMENTS, 1, where, 64, 0))
        assert guest.call(entry, "recvmsg", pair[1], header, AT_ONCE).value == 8
        words = guest.read(entry.abi, HEADER, 7 * entry.table.word_bytes)
        length = words[5 * entry.table.word_bytes : 6 * entry.table.word_bytes]
        assert length == entry.table.words(0), "nothing was put there"
        assert guest.call(entry, "close", max(pair) + 1).errno == EBADF, "and nothing given"
