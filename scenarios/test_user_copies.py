# SPDX-License-Identifier: Apache-2.0
"""What is copied between a program and the kernel: every byte of it, once, and none beside.

Source: arch/x86/include/asm/uaccess.h, arch/x86/lib/{getuser,putuser,copy_user_64}.S,
usercopy_32.c (6.1). Which copy is used is the processor's: an AMD one takes another on i386, and
has SMAP.
"""

from errno import E2BIG, EFAULT, ENOENT

import pytest

from harness.agent.arguments import At, Buffer
from harness.agent.sweep import Row, find_trusted
from harness.arch import I386
from harness.entry import entry_paths_of
from harness.landscape import ARENA, EDGE, EDGE_READ_ONLY

SIZES = {
    "1 to 64": (1, 64, 16),
    "65 to 130": (65, 130, 5),
    "around a page": (4094, 4098, 16),
    "around 64 KiB": (65535, 65537, 3),
    "1 MiB": (0xFFFFD, 0xFFFFD, 2),
}


@pytest.mark.machine
@pytest.mark.machine(cpu="EPYC")
@pytest.mark.claim(33)
@pytest.mark.entries("int80", "syscall")
@pytest.mark.parametrize("sizes", SIZES)
def test_every_byte_is_copied_and_none_beside(guest, entry, sizes):
    fewest, most, offsets = SIZES[sizes]
    place = entry_paths_of(entry.abi).index(entry)
    seen = guest.probe(entry.abi, "user_copies", place, fewest, most, offsets)
    assert seen.pop("calls") == 2 * (most + 1 - fewest) * offsets
    assert set(seen.values()) == {0}, seen


PAGE_FILE = b"abcdefghijklmnopqrstuvwxyz"
POST_PORT = 0x80
SCRATCH = ARENA.start + 0x4000
SCENE = ARENA.start + 0x8000
POINTER = None


@pytest.fixture
def opened(guest, entry):
    """Give descriptors of a file of letters, a timer that has run out, the I/O ports or None."""
    guest.write_file("/letters", PAGE_FILE)
    now = (
        (0).to_bytes(entry.table.word_bytes, "little"),
        (1).to_bytes(entry.table.word_bytes, "little"),
    )
    calls = ("open", b"/letters\0", 0), ("timerfd_create", 1, 0), ("open", b"/dev/port\0", 2)
    letters, timer, port = guest.series(entry, calls)
    guest.call(entry, "timerfd_settime", timer.value, 0, b"".join(now * 2), 0)
    return letters.value, timer.value, None if port.errno == ENOENT else port.value


def puts(entry, opened):
    """Give calls that put one value with put_user: their size, and the value where it is known."""
    letters, timer, port = opened
    narrow = (
        (("getresuid", POINTER, SCRATCH, SCRATCH), 2, 0),
        (("getresuid", SCRATCH, POINTER, SCRATCH), 2, 0),
        (("getresuid", SCRATCH, SCRATCH, POINTER), 2, 0),
    )
    single = (("pread64", port, POINTER, 1, POST_PORT, 0), 1, None)
    return (
        *((single,) if port else ()),
        *(narrow if entry.table is I386 else ()),
        (("prctl", 37, POINTER, 0, 0, 0), 4, 0),
        (("ioctl", letters, 2, POINTER), 4, 4096),
        (("time", POINTER), entry.table.word_bytes, None),
        (("read", timer, POINTER, 8), 8, None),
    )


def aim(call, pointer):
    return tuple(pointer if argument is POINTER else argument for argument in call)


@pytest.mark.claim(45)
@pytest.mark.entries("int80", "syscall", "int80_64")
@pytest.mark.guest_only("it asks for descriptors that only root has: /dev/port")
def test_put_user_writes_its_bytes_and_none_beside(guest, entry, opened):
    rows = [(row, odd) for row in puts(entry, opened) for odd in range(8)]
    around = Buffer(24, offset=8)
    calls = [aim(call, At(SCENE + odd, around)) for (call, _, _), odd in rows]
    for ((_, size, value), _), said in zip(rows, guest.series(entry, calls), strict=True):
        (memory,) = said.memory
        assert said.errno is None, said
        assert memory[:8] + memory[8 + size :] == bytes([around.fill]) * (24 - size), said
        assert value in (None, int.from_bytes(memory[8 : 8 + size], "little")), said


@pytest.mark.claim(45)
@pytest.mark.entries("int80", "syscall", "int80_64")
@pytest.mark.parametrize("edge", [EDGE, EDGE_READ_ONLY], ids=lambda edge: edge.name)
def test_a_put_user_that_does_not_fit_puts_nothing(guest, entry, opened, edge):
    by_halves = 8 if guest.identity.arch.name == "i386" else 16  # which comes in two steps
    rows = [(row, fits) for row in puts(entry, opened) for fits in range(1, row[1])]
    calls = [
        aim(call, At(edge.end - 8 - fits, Buffer(8 + fits, offset=8)))
        for (call, _, _), fits in rows
    ]
    for ((call, size, _), fits), said in zip(rows, guest.series(entry, calls), strict=True):
        (memory,) = said.memory
        memory = memory[:8] + memory[12:] if size == by_halves and fits >= 4 else memory
        if (call[0], said.value) == ("read", fits):  # a timer gives what fits since 6.10
            memory = memory[:8]
        else:
            assert said.errno == EFAULT, said
        assert set(memory) == {0xA5}, said


@pytest.mark.claim(45)
@pytest.mark.entries("int80", "syscall", "int80_64")
def test_a_position_that_can_be_read_and_not_put_back_is_efault(guest, entry, opened):
    """Eight bytes that cross into a read-only page: put_user, which i386 does by halves."""
    name = "sendfile64" if entry.table is I386 else "sendfile"
    places = [EDGE_READ_ONLY.end - fits for fits in range(8)]
    guest.write(entry.abi, EDGE_READ_ONLY.end - 8, bytes(8))
    said = [guest.call(entry, name, 1, opened[0], place, 0) for place in places]
    assert [str(one) for one in said if one.errno != EFAULT] == []
    assert guest.read(entry.abi, EDGE_READ_ONLY.end - 8, 24) == bytes(24)


@pytest.mark.claim(45)
@pytest.mark.entries("int80", "syscall", "int80_64")
def test_get_user_gets_the_whole_value(guest, entry, opened):
    letters, size = opened[0], entry.table.word_bytes
    for offset, expected in {3: b"defg", 22: b"wxyz", 1 << 24: b"", (1 << 31) - 8: b""}.items():
        place = At(SCENE + 3, offset.to_bytes(size, "little"))
        said = guest.call(entry, "sendfile", 1, letters, place, 4)
        assert said.value == len(expected)
        after = guest.read(entry.abi, SCENE + 3, size)
        assert int.from_bytes(after, "little") == offset + len(expected)
    assert guest.read_file("/tmp/written") == b"defgwxyz"  # noqa: S108 - in the guest


@pytest.mark.claim(45)
@pytest.mark.entries("int80", "int80_64")
def test_get_user_of_two_bytes_gets_each(guest, entry):
    groups = bytes.fromhex("3412 ff7f 0100 0180")
    assert guest.call(entry, "setgroups", 4, At(SCENE + 1, groups)).value == 0
    said = guest.call(entry, "getgroups", 4, At(SCENE + 1, Buffer(12)))
    assert said.memory[0] == bytes.fromhex("0100 3412 ff7f 0180 a5a5a5a5")
    assert guest.call(entry, "getgroups32", 4, Buffer(16)).memory[0][4:8] == bytes.fromhex(
        "34120000"
    )


@pytest.mark.claim(45)
@pytest.mark.entries("int80", "syscall", "int80_64")
def test_a_single_byte_is_neither_got_nor_put_by_a_bad_pointer(guest, entry, opened):
    port = opened[2]
    if not port:
        pytest.skip("the kernel is configured without /dev/port")
    rows = (
        Row(("pread64", port, Buffer(1), 1, POST_PORT, 0)),
        Row(("pwrite64", port, b"\0", 1, POST_PORT, 0)),
    )
    assert find_trusted(guest, entry, rows) == {}


KNOWN = 24
"""The size of openat2's structure. Source: include/uapi/linux/openat2.h OPEN_HOW_SIZE_VER0."""


@pytest.mark.needs(since="5.6")
@pytest.mark.entries("int80", "syscall", "int80_64")
def test_what_a_structure_has_more_is_zero_and_nothing_behind_it_counts(guest, entry):
    sizes = [(KNOWN + more, start) for more in range(1, 17) for start in range(8)]
    for last, expected in ((b"\0", None), (b"\xff", E2BIG)):
        calls = [
            (
                "openat2",
                -100,
                b"/\0",
                At(SCRATCH + start, bytes(size - 1) + last + b"\xff" * 8),
                size,
            )
            for size, start in sizes
        ]
        said = [one.errno for one in guest.series(entry, calls)]
        assert dict(zip(sizes, said, strict=True)) == dict.fromkeys(sizes, expected)
