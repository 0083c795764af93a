# SPDX-License-Identifier: Apache-2.0
"""What a transfer does that fits only in part: what fits, and not a byte more.

Source: lib/iov_iter.c, mm/filemap.c generic_perform_write, fs/pipe.c pipe_write, fs/readdir.c,
mm/process_vm_access.c (6.1).
"""

from errno import EFAULT, EINVAL
from os import O_RDONLY, O_RDWR

import pytest

from harness.agent.arguments import At, Buffer
from harness.arch import I386
from harness.landscape import ARENA, EDGE, EDGE_READ_ONLY, HOLE, PAGE, READ_ONLY
from harness.pointers import bad_pointers, is_refused_unseen

ZEROS, FILE = 0, 1
FIONREAD = 0x541B
WRITTEN = "/tmp/written"  # noqa: S108 - in the guest
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
FIRST, SECOND, THIRD = (ARENA.start + 0x8000 + 0x100 * place for place in range(3))

pytestmark = pytest.mark.entries("int80", "syscall")

LOOPS_FOR_EVER = pytest.mark.known(
    "write() to a tmpfs file loops until killed when fewer bytes are readable than the copy's "
    "word has: generic_perform_write tries again, the i386 copy is by whole words",
    arch="i386",
    since="5.16",
)


@pytest.fixture
def letters(guest, entry):
    """Give a descriptor of a file that begins with the alphabet."""
    guest.write_file("/letters", LETTERS)
    return guest.call(entry, "open", b"/letters\0", O_RDWR).value


@pytest.mark.parametrize("fits", [1, 8, 15])
def test_reading_across_the_end_of_memory_stops_there(guest, entry, letters, fits):
    guest.write(entry.abi, EDGE.end - 32, b"\xa5" * 32)
    said = guest.call(entry, "read", letters, EDGE.end - fits, 16)
    assert said.value == fits
    expected = b"\xa5" * (32 - fits) + LETTERS[:fits]
    assert guest.read(entry.abi, EDGE.end - 32, 32) == expected


@pytest.mark.parametrize("fits", [1, 8, 15])
def test_reading_across_into_a_read_only_page_leaves_it_alone(guest, entry, letters, fits):
    guest.write(entry.abi, EDGE_READ_ONLY.end - 32, b"\xa5" * 32)
    said = guest.call(entry, "read", letters, EDGE_READ_ONLY.end - fits, 16)
    assert said.value == fits
    expected = b"\xa5" * (32 - fits) + LETTERS[:fits] + bytes(READ_ONLY.size_bytes)
    assert guest.read(entry.abi, EDGE_READ_ONLY.end - 32, 32 + READ_ONLY.size_bytes) == expected


LONG = bytes(place * 7 % 251 for place in range(400))
LONGER_THAN_64 = range(64, 400, 15)
FITTING = (*range(1, 9), *LONGER_THAN_64)
"""Some of them end in the first word, which is copied before the others."""


@pytest.mark.machine
@pytest.mark.machine(cpu="EPYC")
def test_a_long_transfer_stops_within_what_fits(guest, entry):
    """An i386 kernel may count by 64 bytes: usercopy_32.c __copy_user_intel."""
    guest.write_file("/long", LONG)
    fd = guest.call(entry, "open", b"/long\0", O_RDONLY).value
    rooms = [At(EDGE.end - 8 - fits, Buffer(8 + fits, offset=8)) for fits in FITTING]
    said = guest.series(entry, [("pread64", fd, room, len(LONG), 0, 0) for room in rooms])
    coarse = 63 if guest.identity.arch.name == "i386" else 0
    wrong = {fits: one.value for fits, one in zip(FITTING, said, strict=True)}
    assert {f: v for f, v in wrong.items() if not f - coarse <= v <= f} == {}
    for one in said:
        given = max(one.value, 0)
        assert one.memory[0][: 8 + given] == b"\xa5" * 8 + LONG[:given], one


@pytest.mark.needs(arch="x86_64", since="5.16")
@pytest.mark.machine
@pytest.mark.machine(cpu="EPYC")
def test_a_long_transfer_out_of_what_is_there_takes_all_of_it(guest, entry):
    calls = []
    for fits in LONGER_THAN_64:
        calls += [("write", FILE, At(EDGE.end - fits, LONG[:fits]), len(LONG))]
    said = [one.value for one in guest.series(entry, calls)]
    assert said == list(LONGER_THAN_64)
    assert guest.read_file(WRITTEN) == b"".join(LONG[:fits] for fits in LONGER_THAN_64)


@pytest.mark.parametrize("fits", [8, 16, 24])
def test_zeros_across_the_end_of_memory_stop_there(guest, entry, fits):
    guest.write(entry.abi, EDGE.end - 48, b"\xa5" * 48)
    assert guest.call(entry, "read", ZEROS, EDGE.end - fits, 32).value == fits
    assert guest.read(entry.abi, EDGE.end - 48, 48) == b"\xa5" * (48 - fits) + bytes(fits)


def test_zeros_fill_what_was_asked_for_and_no_more(guest, entry):
    sizes = [(size, odd) for size in range(1, 36) for odd in (0, 1, 3)]
    calls = [("read", ZEROS, At(FIRST + odd, Buffer(64, offset=8)), size) for size, odd in sizes]
    for (size, odd), said in zip(sizes, guest.series(entry, calls), strict=True):
        expected = b"\xa5" * 8 + bytes(size) + b"\xa5" * (56 - size)
        assert (said.value, said.memory[0]) == (size, expected), (size, odd)


@pytest.mark.parametrize("fits", [pytest.param(1, marks=LOOPS_FOR_EVER), 8, 15])
@pytest.mark.needs(since="5.16")
def test_writing_from_the_end_of_memory_gives_what_fits(guest, entry, fits):
    guest.write(entry.abi, EDGE.end - fits, LETTERS[:fits])
    assert guest.call(entry, "write", FILE, EDGE.end - fits, 16).value == fits
    assert guest.read_file(WRITTEN) == LETTERS[:fits]


@pytest.mark.parametrize("fits", [1, 8, 15])
@pytest.mark.needs(before="5.16")
def test_writing_from_the_end_of_memory_is_efault(guest, entry, fits):
    guest.write(entry.abi, EDGE.end - fits, LETTERS[:fits])
    assert guest.call(entry, "write", FILE, EDGE.end - fits, 16).errno == EFAULT
    assert guest.read_file(WRITTEN) == b""


def iovec(entry, *segments):
    """Lay segments out as the kernel takes them."""
    size = entry.table.word_bytes
    return b"".join(
        (n & entry.table.mask).to_bytes(size, "little") for one in segments for n in one
    )


def test_readv_fills_what_comes_before_the_bad_segment(guest, entry, letters):
    for fits in (0, 1, 7):
        for place in (FIRST, THIRD, EDGE.end - 8):
            guest.write(entry.abi, place, bytes(8))
        segments = iovec(entry, (FIRST + 1, 5), (EDGE.end - fits, 8), (THIRD, 8))
        assert guest.call(entry, "preadv", letters, segments, 3, 0, 0).value == 5 + fits
        seen = [guest.read(entry.abi, place, 8) for place in (FIRST, EDGE.end - 8, THIRD)]
        first, second = b"\0" + LETTERS[:5] + bytes(2), LETTERS[5 : 5 + fits].rjust(8, b"\0")
        assert seen == [first, second, bytes(8)], fits


@pytest.mark.needs(since="5.16")
def test_writev_takes_what_comes_before_the_bad_segment(guest, entry):
    guest.write(entry.abi, FIRST, LETTERS)
    cases = [(size, odd) for size in range(1, 9) for odd in (0, 3)]
    vectors = [iovec(entry, (FIRST + 3, n), (HOLE + odd, 16), (FIRST, 8)) for n, odd in cases]
    said = guest.series(entry, [("writev", FILE, vector, 3) for vector in vectors])
    assert {c: one.value for c, one in zip(cases, said, strict=True)} == {c: c[0] for c in cases}
    assert guest.read_file(WRITTEN) == b"".join(LETTERS[3:][:size] for size, _ in cases)


def test_nothing_is_read_to_where_nothing_is_at_any_alignment(guest, entry, letters):
    """An i386 kernel copies up to the next eight bytes first: usercopy_32.c __copy_user."""
    cases = [(odd, size) for odd in range(8) for size in (1, 7, 8, 9, 16, 26)]
    calls = [("pread64", letters, HOLE + odd, size, 0, 0) for odd, size in cases]
    said = guest.series(entry, calls)
    seen = {case: one.errno for case, one in zip(cases, said, strict=True)}
    assert seen == dict.fromkeys(cases, EFAULT)


def test_segments_are_filled_in_order_with_empty_ones_between(guest, entry, letters):
    segments = iovec(entry, (FIRST, 3), (HOLE, 0), (SECOND, 1), (THIRD, 7), (0, 0))
    assert guest.call(entry, "readv", letters, segments, 5).value == 11
    seen = [guest.read(entry.abi, at, n) for at, n in ((FIRST, 3), (SECOND, 1), (THIRD, 7))]
    assert seen == [b"abc", b"d", b"efghijk"]


def whole_or_part(guest, entry, bad):
    """Return what four bytes to or from a bad pointer may give, alone and behind four good ones."""
    part = [] if is_refused_unseen(bad, entry, guest.identity.arch) else [[-EFAULT, 4]]
    return [[-EFAULT, -EFAULT], *part]


@pytest.mark.claim(39)
def test_no_segment_is_filled_at_a_bad_pointer(guest, entry, letters):
    for bad in bad_pointers(entry, guest.identity.arch):
        guest.write(entry.abi, THIRD, bytes(4))
        first = iovec(entry, (bad.address, 4), (THIRD, 4))
        second = iovec(entry, (FIRST, 4), (bad.address, 4), (THIRD, 4))
        calls = ("preadv", letters, first, 2, 0, 0), ("preadv", letters, second, 3, 0, 0)
        said = [one.value for one in guest.series(entry, calls)]
        assert said in whole_or_part(guest, entry, bad), f"alone, behind good ones: {bad.name}"
        assert guest.read(entry.abi, THIRD, 4) == bytes(4), bad.name


@pytest.mark.claim(39)
def test_no_segment_is_taken_from_a_bad_pointer(guest, entry):
    for bad in bad_pointers(entry, guest.identity.arch):
        first = iovec(entry, (bad.address, 4), (THIRD, 4))
        second = iovec(entry, (FIRST, 4), (bad.address, 4), (THIRD, 4))
        calls = ("pwritev", FILE, first, 2, 0, 0), ("pwritev", FILE, second, 3, 0, 0)
        said = [one.value for one in guest.series(entry, calls)]
        right = said in whole_or_part(guest, entry, bad)
        assert bad.readable or right, f"alone, behind good ones: {bad.name}"


def test_there_may_be_1024_segments(guest, entry):
    for count in (0, 1, 7, 8, 9, 1024):
        segments = iovec(entry, *[(FIRST + place, 1) for place in range(count)])
        assert guest.call(entry, "readv", ZEROS, segments, count).value == count


def test_there_may_not_be_more(guest, entry):
    segments = iovec(entry, *[(FIRST, 1)] * 1024)
    for count in (1025, 0x7FFF_FFFF, -1):
        assert guest.call(entry, "readv", ZEROS, segments, count).errno == EINVAL, count
        assert guest.call(entry, "writev", FILE, segments, count).errno == EINVAL, count


MOST_AT_ONCE = 0x7FFF_F000  # include/linux/fs.h MAX_RW_COUNT


def test_segments_have_no_more_than_2_gib_together(guest, entry):
    nothing = guest.call(entry, "open", b"/dev/null\0", O_RDWR).value
    cases = {
        (0x7FFF_FFFF,): MOST_AT_ONCE,
        (0x4000_0000, 0x3FFF_EFFF): MOST_AT_ONCE - 1,
        (0x4000_0000, 0x3FFF_F001): MOST_AT_ONCE,
        (0x5000_0000, 0x5000_0000, 0x5000_0000): MOST_AT_ONCE,
        (MOST_AT_ONCE, 1, 1): MOST_AT_ONCE,
        (8, 0x7FFF_FFFF, 8): MOST_AT_ONCE,
    }
    lists = [iovec(entry, *((ARENA.start, length) for length in case)) for case in cases]
    calls = [("writev", nothing, one, len(case)) for one, case in zip(lists, cases, strict=True)]
    seen = [one.value for one in guest.series(entry, calls)]
    assert dict(zip(cases, seen, strict=True)) == cases


def test_a_negative_length_is_einval(guest, entry, letters):
    expected = {EINVAL} if entry.table is I386 else {EINVAL, EFAULT}
    guest.write(entry.abi, FIRST, bytes(8))
    for lengths in ((4, -1), (-1, 4)):
        segments = iovec(entry, *((FIRST, length) for length in lengths))
        assert guest.call(entry, "readv", letters, segments, 2).errno in expected, lengths
    assert guest.read(entry.abi, FIRST, 8) == bytes(8)


def test_a_list_of_segments_that_is_cut_short_is_efault(guest, entry, letters):
    guest.write(entry.abi, FIRST, bytes(8))
    segments = iovec(entry, (FIRST, 2), (FIRST, 2), (FIRST, 2))
    cut = [At(EDGE.end - fits, segments[:fits]) for fits in range(1, len(segments))]
    said = guest.series(entry, [("readv", letters, part, 3) for part in cut])
    assert [str(one) for one in said if one.errno != EFAULT] == []
    assert guest.read(entry.abi, FIRST, 8) == bytes(8)


@pytest.mark.claim(39)
def test_a_list_of_segments_at_a_bad_pointer_is_efault(guest, entry, letters):
    lists = [bad.address for bad in bad_pointers(entry, guest.identity.arch) if not bad.readable]
    calls = [(name, letters, at, 2) for name in ("readv", "writev") for at in lists]
    calls += [(name, letters, at, 2, 0, 0) for name in ("preadv", "pwritev") for at in lists]
    assert [str(one) for one in guest.series(entry, calls) if one.errno != EFAULT] == []


def test_preadv_reads_where_it_is_told(guest, entry, letters):
    segments = iovec(entry, (FIRST, 3), (SECOND, 3))
    assert guest.call(entry, "preadv", letters, segments, 2, 7, 0).value == 6
    assert guest.read(entry.abi, FIRST, 3) + guest.read(entry.abi, SECOND, 3) == LETTERS[7:13]


@pytest.fixture
def pipe(guest, entry):
    """Give the two ends of an empty pipe that nobody waits for."""
    ends = guest.call(entry, "pipe2", Buffer(8), 0o4000).memory[0]
    return int.from_bytes(ends[:4], "little"), int.from_bytes(ends[4:], "little")


def test_a_pipe_takes_no_part_of_a_page(guest, entry, pipe):
    reading, writing = pipe
    for fits in (0, 1, 8, 15):
        part = At(EDGE.end - fits, LETTERS[:fits])
        assert guest.call(entry, "write", writing, part, 16).errno == EFAULT, fits
        said = guest.call(entry, "ioctl", reading, FIONREAD, Buffer(4))
        assert said.memory == (bytes(4),), fits


def test_a_pipe_gives_what_fits_at_most(guest, entry, pipe):
    reading, writing = pipe
    for fits in (1, 8, 15):
        guest.call(entry, "write", writing, LETTERS[:16], 16)
        part = At(EDGE.end - 8 - fits, Buffer(8 + fits, offset=8))
        said = guest.call(entry, "read", reading, part, 16)
        assert said.value in (fits, -EFAULT)
        assert said.memory[0][:8] == b"\xa5" * 8


@pytest.mark.parametrize("name", ["process_vm_readv", "process_vm_writev"])
def test_memory_of_a_process_moves_up_to_the_bad_segment(guest, entry, name):
    pid = guest.call(entry, "getpid").value
    guest.write(entry.abi, FIRST, LETTERS)
    guest.write(entry.abi, SECOND, bytes(32))
    own, other = (SECOND, FIRST) if name == "process_vm_readv" else (FIRST, SECOND)
    whole = iovec(entry, (own + 1, 20))
    halves = iovec(entry, (other + 1, 5), (HOLE, 5), (other, 5))
    assert guest.call(entry, name, pid, whole, 1, halves, 3, 0).value == 5
    assert guest.read(entry.abi, SECOND, 8) == b"\0" + LETTERS[1:6] + bytes(2)


@pytest.mark.claim(39)
@pytest.mark.parametrize("name", ["process_vm_readv", "process_vm_writev"])
def test_no_pointer_of_a_move_between_processes_is_trusted(guest, entry, name):
    pid = guest.call(entry, "getpid").value
    good = iovec(entry, (FIRST, 4))
    for bad in bad_pointers(entry, guest.identity.arch):
        there = iovec(entry, (bad.address, 4))
        lists = (good, there), (there, good), (good, bad.address), (bad.address, good)
        said = guest.series(entry, [(name, pid, own, 1, other, 1, 0) for own, other in lists])
        assert bad.readable or [one.errno for one in said] == [EFAULT] * 4, bad.name


@pytest.mark.claim(39)
def test_vmsplice_gives_no_memory_of_others_away(guest, entry, pipe):
    for bad in bad_pointers(entry, guest.identity.arch):
        segments = iovec(entry, (bad.address, 4)), bad.address
        said = guest.series(entry, [("vmsplice", pipe[1], at, 1, 0) for at in segments])
        assert bad.readable or [one.errno for one in said] == [EFAULT] * 2, bad.name


def test_getdents_gives_what_fits_at_most(guest, entry):
    folder = guest.call(entry, "open", b"/proc/self\0", O_RDONLY).value
    whole = guest.call(entry, "getdents64", folder, Buffer(PAGE), PAGE).memory[0]
    for room in (30, 60, 100, PAGE - 1):
        part = At(EDGE.end - room, Buffer(room))
        calls = ("lseek", folder, 0, 0), ("getdents64", folder, part, PAGE)
        said = guest.series(entry, calls)[1]
        assert said.value == -EFAULT or 0 < said.value <= room, room
        given = max(said.value - 24, 0)  # the last entry's offset is put in later
        assert said.memory[0][:given] == whole[:given], room
