# SPDX-License-Identifier: Apache-2.0
"""How strings are read out of a program: to their end, to the last byte of memory, to a limit.

Source: lib/strncpy_from_user.c, lib/strnlen_user.c (by words, and byte by byte where a word does
not fit), fs/namei.c getname_flags, mm/memfd.c, fs/exec.c copy_strings (6.1).
"""

from errno import E2BIG, EFAULT, EINVAL, ENAMETOOLONG, ENOENT, ENOEXEC

import pytest

from harness.agent.arguments import At, Buffer
from harness.agent.program import Program
from harness.agent.sweep import map_last_page
from harness.landscape import ARENA, EDGE
from harness.pointers import bad_pointers

pytestmark = pytest.mark.entries("int80", "syscall")

PATH_MAX, LONGEST_MEMFD, LONGEST_ARGUMENT = 4096, 249, 131072
LENGTHS = range(5, 30)
AWKWARD = b"\x80\xff\x01\x7f\x81\xfe\x02a"  # bytes that a search for zero by words may trip over
LINK = b"/tmp/link\0"


def root(length):
    """Return a path of `length` bytes and no NUL that leads to /init, or to / when it is short."""
    return b"/" * (length - 4) + b"init"


@pytest.fixture
def ends(guest, entry):
    """Give where memory ends: at a hole, and with the last page that there can be."""
    return EDGE.end, map_last_page(guest, entry)


@pytest.mark.room("the root folder is a guest's")
def test_a_path_may_end_with_the_last_byte_of_memory(guest, entry, ends):
    paths = [At(end - length - 1, root(length) + b"\0") for end in ends for length in LENGTHS]
    said = guest.series(entry, [("access", path, 4) for path in paths])
    assert [one for one in said if one.value != 0] == []


def test_a_path_that_runs_off_the_end_of_memory_is_efault(guest, entry, ends):
    paths = [At(end - length, root(length)) for end in ends for length in LENGTHS]
    said = guest.series(entry, [("access", path, 4) for path in paths])
    assert [one for one in said if one.errno != EFAULT] == []


def test_an_empty_path_is_enoent(guest, entry):
    assert guest.call(entry, "access", At(EDGE.end - 1, b"\0"), 4).errno == ENOENT


@pytest.mark.room("the root folder is a guest's")
def test_a_path_may_have_4095_bytes(guest, entry):
    lengths = (*range(4060, 4096, 5), PATH_MAX - 2, PATH_MAX - 1)
    said = guest.series(entry, [("access", root(length) + b"\0", 4) for length in lengths])
    assert [one.value for one in said] == [0] * len(lengths)


def test_a_longer_path_is_enametoolong(guest, entry):
    lengths = (PATH_MAX, PATH_MAX + 1, 5000)
    said = guest.series(entry, [("access", root(length) + b"\0", 4) for length in lengths])
    assert [one.errno for one in said] == [ENAMETOOLONG] * len(lengths)


def test_a_path_that_is_too_long_is_not_read_any_further(guest, entry):
    too_long, too_short = (At(EDGE.end - n, b"/" * n) for n in (PATH_MAX, PATH_MAX - 1))
    assert guest.call(entry, "access", too_long, 4).errno == ENAMETOOLONG
    assert guest.call(entry, "access", too_short, 4).errno == EFAULT


def test_a_string_arrives_byte_for_byte(guest, entry):
    texts = [
        (AWKWARD * 5)[start : start + size] for size in range(1, 33) for start in range(0, 8, 3)
    ]
    places = [ARENA.start + 0x8000 + at % 8 for at in range(len(texts))]
    calls = [
        call
        for place, text in zip(places, texts, strict=True)
        for call in (
            ("symlink", At(place, text + b"\0rest"), LINK),
            ("readlink", LINK, Buffer(40), 40),
            ("unlink", LINK),
        )
    ]
    said = guest.series(entry, calls)[1::3]
    read = [one.memory[0][: max(one.value, 0)] for one in said]
    assert read == texts


def test_a_name_may_be_as_long_as_it_may_and_no_longer(guest, entry, ends):
    fitting = [
        At(end - n - 1, b"n" * n + b"\0") for end in ends for n in (0, 1, 7, 8, LONGEST_MEMFD)
    ]
    said = guest.series(entry, [("memfd_create", name, 0) for name in fitting])
    assert [one for one in said if one.errno] == []
    longer = [At(end - n, b"n" * n) for end in ends for n in (LONGEST_MEMFD + 1, 255)]
    said = guest.series(entry, [("memfd_create", name, 0) for name in longer])
    assert [one for one in said if one.errno != EINVAL] == []


def test_a_name_that_runs_off_the_end_of_memory_is_efault(guest, entry, ends):
    names = [At(end - n, b"n" * n) for end in ends for n in (1, 2, 7, 8, 9, 31, LONGEST_MEMFD)]
    said = guest.series(entry, [("memfd_create", name, 0) for name in names])
    assert [one for one in said if one.errno != EFAULT] == []


@pytest.fixture
def no_program(guest):
    """Give the path of a file that may be executed and is no program, so that execve comes back."""
    guest.write_file("/no_program", b"abc", mode=0o755)
    return b"/no_program\0"


@pytest.mark.parametrize("place", [1, 2])
def test_execve_reads_each_list_to_its_end(guest, entry, no_program, place):
    size = entry.table.word_bytes
    guest.write(entry.abi, EDGE.end - 32, b"argument\0")
    lists = {
        At(EDGE.end - 2 * size, entry.table.words(EDGE.end - 32, 0)): ENOEXEC,
        At(EDGE.end - size, entry.table.words(0)): ENOEXEC,
        At(EDGE.end - size, entry.table.words(EDGE.end - 32)): EFAULT,
        At(EDGE.end - size + 1, entry.table.words(0)[1:]): EFAULT,
    }
    for strings, expected in lists.items():
        both = [entry.table.words(0), entry.table.words(0)]
        both[place - 1] = strings
        assert guest.call(entry, "execve", no_program, *both).errno == expected


@pytest.mark.claim(39)
def test_execve_follows_no_bad_string(guest, entry, no_program):
    for bad in bad_pointers(entry, guest.identity.arch):
        strings = entry.table.words(EDGE.start, bad.address, 0)
        calls = ("execve", no_program, strings, 0), ("execve", no_program, 0, strings)
        expected = EFAULT if bad.address and not bad.readable else ENOEXEC
        assert [one.errno for one in guest.series(entry, calls)] == [expected] * 2, bad.name


@pytest.mark.parametrize(("length", "expected"), [(0, ENOEXEC), (1, E2BIG)])
def test_an_argument_may_have_128_kib_with_its_end(guest, entry, no_program, length, expected):
    program = Program()
    program.fill(ARENA.start + 0x8000, LONGEST_ARGUMENT - 1 + length, ord("x"))
    program.fill(ARENA.start + 0x8000 + LONGEST_ARGUMENT - 1 + length, 1, 0)
    guest.run(entry.abi, program)
    strings = entry.table.words(ARENA.start + 0x8000, 0)
    assert guest.call(entry, "execve", no_program, strings, 0).errno == expected
