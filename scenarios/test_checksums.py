# SPDX-License-Identifier: Apache-2.0
"""Sums over what a program sends: the kernel adds while it copies, and adds again what arrives.

Source: arch/x86/lib/csum-partial_64.c, csum-copy_64.S, csum-wrappers_64.c, checksum_32.S;
arch/x86/include/asm/checksum_{32,64}.h; net/ipv4/icmp.c icmp_rcv; net/ipv4/ip_output.c
__ip_append_data, ip_generic_getfrag (6.1); RFC 792, 1071.
"""

import struct
from errno import EFAULT

import pytest

from harness.agent.arguments import Buffer
from harness.landscape import EDGE

pytestmark = [
    pytest.mark.entries("int80"),
    pytest.mark.guest_only("it switches on the guest's own network"),
]

AF_INET, DATAGRAM, RAW, ICMP = 2, 2, 3, 1
SET_FLAGS, UP_AND_RUNNING = 0x8914, 0x41
MORE = 0x8000
SOL_SOCKET, RECEIVE_TIMEOUT = 1, 20
LOOPBACK = b"\x7f\0\0\1"
ECHO, REPLY = 8, 0
IP_HEADER = 20
SIZES = (0, 1, 2, 3, 7, 8, 31, 40, 63, 64, 65, 127, 500, 1301)


def address(port=0):
    return struct.pack("<H", AF_INET) + struct.pack(">H", port) + LOOPBACK + bytes(8)


def checksum(content):
    """Add 16-bit words and carries, and invert the sum: what a message with its sum gives 0 for."""
    padded = content + bytes(len(content) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def echo(size):
    """Return a question of ICMP with so many bytes to be given back."""
    data = bytes((size + 37 * n) % 251 for n in range(size))
    whole = struct.pack(">BBHHH", ECHO, 0, 0, 0x5EED, size) + data
    return whole[:2] + struct.pack(">H", checksum(whole)) + whole[4:]


def open_socket(guest, entry, kind, protocol=0):
    """Return a socket at which nobody waits long for what does not come."""
    fd = guest.call(entry, "socket", AF_INET, kind, protocol).value
    half_a_second = entry.table.words(0, 500_000)
    what = (SOL_SOCKET, RECEIVE_TIMEOUT, half_a_second, len(half_a_second))
    assert guest.call(entry, "setsockopt", fd, *what).value == 0
    return fd


@pytest.fixture
def loopback(guest, entry):
    """Switch on the network that leads back."""
    fd = guest.call(entry, "socket", AF_INET, DATAGRAM, 0).value
    request = b"lo".ljust(16, b"\0") + struct.pack("<H", UP_AND_RUNNING) + bytes(22)
    assert guest.call(entry, "ioctl", fd, SET_FLAGS, request).value == 0


@pytest.mark.usefixtures("loopback")
def test_an_echo_is_answered_with_a_sum_that_is_right(guest, entry):
    fd = open_socket(guest, entry, RAW, ICMP)
    asked = [echo(size) for size in SIZES]
    calls = []
    for question in asked:
        calls += [
            ("sendto", fd, question, len(question), 0, address(), 16),
            ("recvfrom", fd, Buffer(IP_HEADER + len(question)), 2048, 0, 0, 0),
            ("recvfrom", fd, Buffer(IP_HEADER + len(question)), 2048, 0, 0, 0),
        ]
    said = guest.series(entry, calls)
    for size, question, answer in zip(SIZES, asked, said[2::3], strict=True):
        assert answer.value == IP_HEADER + len(question), f"{size} bytes: no answer"
        whole = answer.memory[0]
        assert checksum(whole[:IP_HEADER]) == 0, f"{size} bytes: the header's sum"
        assert checksum(whole[IP_HEADER:]) == 0, f"{size} bytes: the answer's sum"
        assert whole[IP_HEADER + 4 :] == question[4:], f"{size} bytes: what was given back"


@pytest.mark.usefixtures("loopback")
def test_pieces_that_are_added_up_one_by_one_arrive(guest, entry):
    """With more to come, a datagram is added up piece by piece; a wrong sum would drop it."""
    fd = open_socket(guest, entry, DATAGRAM)
    assert guest.call(entry, "bind", fd, address(7), 16).value == 0
    assert guest.call(entry, "connect", fd, address(7), 16).value == 0
    pieces = [bytes((n + 11 * size) % 253 for n in range(size)) for size in SIZES[1:-1]]
    calls = [("sendto", fd, one, len(one), MORE, 0, 0) for one in pieces]
    said = guest.series(entry, [*calls, ("sendto", fd, b"end", 3, 0, 0, 0)])
    assert [one.value for one in said] == [*map(len, pieces), 3]
    whole = b"".join(pieces) + b"end"
    said = guest.call(entry, "recvfrom", fd, Buffer(len(whole)), 2048, 0, 0, 0)
    assert (said.value, said.memory[0]) == (len(whole), whole)


@pytest.mark.usefixtures("loopback")
def test_a_piece_that_cannot_be_read_to_its_end_is_efault(guest, entry):
    fd = open_socket(guest, entry, DATAGRAM)
    said = [
        guest.call(entry, "sendto", fd, EDGE.end - there, 80, flags, address(7), 16).errno
        for there in (0, 1, 33, 79)
        for flags in (0, MORE)
    ]
    assert said == [EFAULT] * 8
