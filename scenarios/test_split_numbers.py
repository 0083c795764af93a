# SPDX-License-Identifier: Apache-2.0
"""Numbers of 64 bits that the i386 table takes in two registers: low half first, both count.

Source: arch/x86/entry/syscalls/syscall_32.tbl; arch/x86/kernel/sys_ia32.c; fs/read_write.c
preadv, llseek; mm/fadvise.c; fs/sync.c; fs/open.c vfs_fallocate (6.1).
"""

import struct
from errno import EBADF, EINVAL, ENOSYS, EOVERFLOW
from os import SEEK_CUR, SEEK_END, SEEK_SET

import pytest

from harness.agent.arguments import Buffer
from harness.arch import ARCH_I386, I386
from harness.entry import entry_names_taking
from harness.landscape import ARENA, READ_ONLY

pytestmark = pytest.mark.entries(*entry_names_taking(I386))

LOW, HIGH = 0x8000_1234, 3
WHOLE = HIGH << 32 | LOW
NEGATIVE = 0x8000_0000
"""As the high half of a number: what makes it negative."""
AT_FDCWD = 0xFFFF_FF9C
ONE_BYTE = struct.pack("<II", READ_ONLY.start, 1)
GROWTH = {
    "ftruncate64": ((LOW, HIGH), 0),
    "pwrite64": ((b"x", 1, LOW, HIGH), 1),
    "pwritev": ((ONE_BYTE, 1, LOW, HIGH), 1),
    "pwritev2": ((ONE_BYTE, 1, LOW, HIGH, 0), 1),
    "fallocate": ((0, LOW, HIGH, 2, 0), 2),
}
"""Arguments behind the descriptor, and how far past the whole the file then ends."""


VECTORED = ("pwritev", "preadv", "preadv2", "pwritev2")


@pytest.fixture
def file(guest, entry):
    """Give the descriptor of an empty file that takes any size and any offset."""
    said = guest.call(entry, "memfd_create", b"sparse\0", 0)
    if said.errno == ENOSYS:
        pytest.skip("the kernel is configured without memfd_create")
    return said.value


def seek(guest, entry, fd, offset, whence):
    """Seek by both halves, and return where that leads to."""
    low, high = offset & 0xFFFF_FFFF, offset >> 32 & 0xFFFF_FFFF
    said = guest.call(entry, "_llseek", fd, high, low, Buffer(8), whence)
    return said.errno or int.from_bytes(said.memory[0], "little")


def test_a_file_grows_to_both_halves(guest, entry, file):
    sizes = {}
    for name, (arguments, _) in GROWTH.items():
        guest.call(entry, "ftruncate64", file, 0, 0)
        assert guest.call(entry, name, file, *arguments).errno is None
        sizes[name] = hex(seek(guest, entry, file, 0, SEEK_END))
    assert sizes == {name: hex(WHOLE + past) for name, (_, past) in GROWTH.items()}


def test_truncate64_takes_both_halves(guest, entry, file):
    path = f"/proc/self/fd/{file}\0".encode()
    assert guest.call(entry, "truncate64", path, LOW, HIGH).value == 0
    assert hex(seek(guest, entry, file, 0, SEEK_END)) == hex(WHOLE)


@pytest.mark.parametrize("name", ["pread64", "preadv", "preadv2"])
def test_what_is_read_lies_at_both_halves(guest, entry, file, name):
    for offset, letter in ((WHOLE, b"w"), (LOW, b"l"), (HIGH, b"h"), (HIGH << 32, b"H")):
        assert seek(guest, entry, file, offset, SEEK_SET) == offset
        assert guest.call(entry, "write", file, letter, 1).value == 1
    where = ARENA.start + 0x1000
    to = (where, 1) if name == "pread64" else (struct.pack("<II", where, 1), 1)
    assert guest.call(entry, name, file, *to, LOW, HIGH, 0).value == 1
    assert guest.read(entry.abi, where, 1) == b"w"


def test_llseek_takes_the_high_half_first(guest, entry, file):
    said = guest.call(entry, "_llseek", file, HIGH, LOW, Buffer(16), SEEK_SET)
    assert said.value == 0
    assert said.memory == (WHOLE.to_bytes(8, "little") + b"\xa5" * 8,)
    assert hex(seek(guest, entry, file, -LOW, SEEK_CUR)) == hex(HIGH << 32)


def test_a_negative_whole_is_einval(guest, entry, file):
    data = (file, ARENA.start, 1)
    path = f"/proc/self/fd/{file}\0".encode()
    calls = {"pread64": data, "pwrite64": data, "ftruncate64": (file,), "truncate64": (path,)}
    said = {
        (name, high): guest.call(entry, name, *before, LOW, high).errno
        for name, before in calls.items()
        for high in (NEGATIVE, 0xFFFF_FFFF)
    }
    assert said == dict.fromkeys(said, EINVAL)


def test_fallocate_looks_at_both_halves_of_both_numbers(guest, entry, file):
    keep_size_and_punch = 3
    expected = {
        (0, 0, 1, 0): 0,
        (0, 0, 0, 1): 0,
        (LOW, HIGH, LOW, HIGH): 0,
        (0, 0, 0, 0): -EINVAL,
        (0, NEGATIVE, 1, 0): -EINVAL,
        (0, 0, 1, NEGATIVE): -EINVAL,
    }
    calls = {four: ("fallocate", file, keep_size_and_punch, *four) for four in expected}
    assert {four: guest.call(entry, *call).value for four, call in calls.items()} == expected


def test_fadvise64_64_looks_at_both_halves_of_both_numbers(guest, entry, file):
    no_advice, normal = 99, 0
    expected = {
        (LOW, HIGH, LOW, HIGH, normal): 0,
        (NEGATIVE, 0, 1, 0, normal): 0,
        (0, 0, NEGATIVE, 0, normal): 0,
        (0, 0, 0, NEGATIVE, normal): -EINVAL,
        (0, 0, 0, 0, no_advice): -EINVAL,
    }
    said = {five: guest.call(entry, "fadvise64_64", file, *five).value for five in expected}
    assert said == expected


def test_fadvise64_takes_a_whole_offset_and_half_a_length(guest, entry, file):
    no_advice, normal = 99, 0
    expected = {
        (LOW, HIGH, 0x7FFF_FFFF, normal): 0,
        (NEGATIVE, 0, 1, normal): 0,
        (0, 0, 1, no_advice): -EINVAL,
        (normal, normal, no_advice, normal): 0,
    }
    said = {four: guest.call(entry, "fadvise64", file, *four).value for four in expected}
    assert said == expected


def test_sync_file_range_looks_at_both_halves_of_both_numbers(guest, entry, file):
    wait_write_wait, no_flag = 7, 8
    expected = {
        (LOW, HIGH, LOW, HIGH, wait_write_wait): 0,
        (NEGATIVE, 0, NEGATIVE, 0, wait_write_wait): 0,
        (0, NEGATIVE, 1, 0, wait_write_wait): -EINVAL,
        (0, 0, 1, NEGATIVE, wait_write_wait): -EINVAL,
        (1, 0, 0xFFFF_FFFF, 0x7FFF_FFFF, wait_write_wait): -EINVAL,
        (0, 0, 1, 0, no_flag): -EINVAL,
    }
    said = {five: guest.call(entry, "sync_file_range", file, *five).value for five in expected}
    assert said == expected


@pytest.mark.entries("int80", "int80_64")
def test_readahead_takes_an_offset_of_both_halves(guest, entry, file):
    reader = int.from_bytes(guest.call(entry, "pipe", Buffer(8)).memory[0][:4], "little")
    cases = {(file, LOW, HIGH, 4096): 0, (reader, 0, 0, 4096): -EINVAL, (-1, 0, 0, 1): -EBADF}
    seen = [said.value for said in guest.series(entry, [("readahead", *four) for four in cases])]
    assert dict(zip(cases, seen, strict=True)) == cases


def test_fanotify_mark_takes_a_mask_of_both_halves(guest, entry):
    fd = guest.call(entry, "fanotify_init", 0, 0)
    if fd.errno == ENOSYS:
        pytest.skip("the kernel is configured without fanotify")
    add, opened = 1, 0x20
    expected = {(opened, 0): 0, (0, opened): -EINVAL, (opened, NEGATIVE): -EINVAL}
    said = {
        mask: guest.call(entry, "fanotify_mark", fd.value, add, *mask, AT_FDCWD, b"/tmp\0").value
        for mask in expected
    }
    assert said == expected


@pytest.mark.entries("int80", "syscall")
def test_an_offset_of_minus_one_is_where_the_file_stands(guest, entry, file):
    """For preadv2 and pwritev2 alone. Source: fs/read_write.c preadv2, pwritev2 (6.1)."""
    where = ARENA.start + 0x1000
    vector, minus_one = entry.table.words(where, 2), (-1, -1 if entry.table is I386 else 0)
    guest.write(entry.abi, where, b"abcdef")
    said = guest.series(
        entry,
        [
            ("pwritev2", file, vector, 1, *minus_one, 0),
            ("pwritev2", file, entry.table.words(where + 2, 4), 1, *minus_one, 0),
            ("lseek", file, 0, SEEK_CUR),
            ("lseek", file, 1, SEEK_SET),
            ("preadv2", file, vector, 1, *minus_one, 0),
            ("lseek", file, 0, SEEK_CUR),
            ("preadv", file, vector, 1, *minus_one),
            ("preadv2", file, vector, 1, -2, *minus_one[1:], 0),
        ],
    )
    assert [one.value for one in said] == [2, 4, 6, 1, 2, 3, -EINVAL, -EINVAL]
    assert guest.read(entry.abi, where, 2) == b"bc"


@pytest.mark.entries("syscall")
def test_a_high_half_beside_64_bits_does_not_count(guest, entry, file):
    """Source: fs/read_write.c pos_from_hilo (6.1)."""
    where, places = ARENA.start + 0x1000, (7, 7, 6, 8)
    vector = entry.table.words(where, 1)
    guest.write(entry.abi, where, b"x")
    calls = [(name, file, vector, 1, at) for name, at in zip(VECTORED, places, strict=True)]
    said = guest.series(entry, [(*call, half, 0) for call in calls for half in (HIGH, -1)])
    assert [one.value for one in said] == [1] * len(said)
    assert hex(guest.call(entry, "lseek", file, 0, SEEK_END).value) == hex(9)


@pytest.mark.entries("int80", "int80_64")
def test_a_position_that_does_not_fit_is_not_told(guest, entry, file):
    """Under a 64-bit kernel it fits, and its lower half is told. Source: ksys_lseek (6.1)."""
    assert seek(guest, entry, file, 3 << 30, SEEK_SET) == 3 << 30
    said = guest.call(entry, "lseek", file, 5, SEEK_CUR)
    if guest.identity.arch is ARCH_I386:
        assert said.errno == EOVERFLOW
    else:
        assert said.after[entry.number] & 0xFFFF_FFFF == 3 << 30 | 5
    assert seek(guest, entry, file, 0, SEEK_CUR) == 3 << 30 | 5
