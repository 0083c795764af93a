# SPDX-License-Identifier: Apache-2.0
"""What a call does with a pointer that it cannot follow, or not all the way.

Source: arch/x86/include/asm/uaccess.h access_ok; arch/x86/mm/extable.c fixup_exception (6.1).
"""

from errno import EFAULT
from os import O_RDONLY

import pytest

from harness.agent.arguments import Buffer
from harness.landscape import EDGE, EDGE_READ_ONLY, READ_ONLY, UNTOUCHED, WRITE_ONLY

ZEROS, FILE = 0, 1
WRITTEN = "/tmp/written"  # noqa: S108 - in the guest
LETTERS = b"abcdefghijklmnopqrstuvwxyz"

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
    return guest.call(entry, "open", b"/letters\0", O_RDONLY).value


@pytest.mark.claim(39)
@pytest.mark.claim(40)
def test_reading_to_a_bad_pointer_is_efault(guest, entry, bad_pointer):
    assert guest.call(entry, "read", ZEROS, bad_pointer, 16).errno == EFAULT


@pytest.mark.claim(39)
@pytest.mark.claim(40)
def test_writing_from_an_unreadable_pointer_is_efault(guest, entry, unreadable_pointer):
    assert guest.call(entry, "write", FILE, unreadable_pointer, 16).errno == EFAULT


@pytest.mark.claim(46)
def test_opening_an_unreadable_path_is_efault(guest, entry, unreadable_pointer):
    assert guest.call(entry, "open", unreadable_pointer, O_RDONLY).errno == EFAULT


@pytest.mark.claim(46)
def test_a_structure_at_a_bad_pointer_is_efault(guest, entry, bad_pointer):
    assert guest.call(entry, "uname", bad_pointer).errno == EFAULT


@pytest.mark.claim(46)
@pytest.mark.parametrize("place", [0, 1])
def test_gettimeofday_looks_at_both_its_pointers(guest, entry, bad_pointer, place):
    pointers = [Buffer(16), Buffer(8)]
    pointers[place] = bad_pointer
    said = guest.call(entry, "gettimeofday", *pointers)
    assert said.errno == EFAULT or bad_pointer == 0


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


@pytest.mark.parametrize("fits", [8, 16, 24])
def test_zeros_across_the_end_of_memory_stop_there(guest, entry, fits):
    guest.write(entry.abi, EDGE.end - 48, b"\xa5" * 48)
    assert guest.call(entry, "read", ZEROS, EDGE.end - fits, 32).value == fits
    assert guest.read(entry.abi, EDGE.end - 48, 48) == b"\xa5" * (48 - fits) + bytes(fits)


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


def test_a_path_may_end_with_the_last_byte_of_memory(guest, entry):
    path = b"/proc/version\0"
    guest.write(entry.abi, EDGE.end - len(path), path)
    assert guest.call(entry, "open", EDGE.end - len(path), O_RDONLY).errno is None


def test_a_path_that_runs_off_the_end_of_memory_is_efault(guest, entry):
    path = b"/proc/version"
    guest.write(entry.abi, EDGE.end - len(path), path)
    assert guest.call(entry, "open", EDGE.end - len(path), O_RDONLY).errno == EFAULT


@pytest.mark.claim(44)
def test_an_untouched_page_is_filled_in_by_the_kernels_own_access(guest, entry):
    said = guest.call(entry, "read", ZEROS, UNTOUCHED.start + 4090, 16)
    assert said.value == 16


@pytest.mark.claim(44)
def test_an_untouched_page_reads_as_zeros(guest, entry):
    assert guest.call(entry, "write", FILE, UNTOUCHED.start + 0x8000, 4096).value == 4096
    assert guest.read_file(WRITTEN) == bytes(4096)


def test_memory_asked_for_as_write_only_takes_what_is_read(guest, entry):
    assert guest.call(entry, "read", ZEROS, WRITE_ONLY.start, 16).value == 16


def test_a_bad_pointer_to_nothing_much_is_not_followed(guest, entry):
    assert guest.call(entry, "read", ZEROS, 0, 0).value == 0
