# SPDX-License-Identifier: Apache-2.0
"""Pages that are not there yet when the kernel itself wants them: it gets them, as a program would.

Source: arch/x86/mm/fault.c do_user_addr_fault; mm/memory.c handle_mm_fault, do_wp_page,
do_anonymous_page, do_fault; mm/madvise.c; mm/filemap.c filemap_fault (6.1).
"""

from errno import EFAULT
from mmap import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE
from os import O_RDWR

import pytest

from harness.landscape import PAGE, UNTOUCHED

pytestmark = [pytest.mark.claim(44), pytest.mark.entries("int80", "syscall")]

ZEROS, FILE, PAGES = 0, 1, 3
WRITTEN, BACKING = "/tmp/written", "/tmp/pages"  # noqa: S108 - in the guest
BOTH = PROT_READ | PROT_WRITE
MAP_FIXED, MAP_ANONYMOUS, MAP_GROWSDOWN = 0x10, 0x20, 0x100
DONTNEED, PAGEOUT = 4, 21
WHERE = 0x2E00_0000


@pytest.fixture
def backing(guest, entry):
    """Give what is in a file of three pages, open as PAGES."""
    content = b"".join(bytes([letter]) * PAGE for letter in b"ABC")
    guest.write_file(BACKING, content)
    assert guest.call(entry, "open", BACKING.encode() + b"\0", O_RDWR).value == PAGES
    return content


def map_at(guest, entry, flags, protection=BOTH, size=3 * PAGE):
    """Map the file, or nothing, and give the address."""
    name = entry.table.mmap
    fd = -1 if flags & MAP_ANONYMOUS else PAGES
    said = guest.call(entry, name, WHERE, size, protection, flags | MAP_FIXED, fd, 0)
    assert said.value == WHERE
    return WHERE


def test_an_untouched_page_is_filled_in_by_the_kernels_own_access(guest, entry):
    assert guest.call(entry, "read", ZEROS, UNTOUCHED.start + PAGE - 6, 16).value == 16


def test_an_untouched_page_reads_as_zeros(guest, entry):
    assert guest.call(entry, "write", FILE, UNTOUCHED.start + 0x8000, PAGE).value == PAGE
    assert guest.read_file(WRITTEN) == bytes(PAGE)


@pytest.mark.room("the root folder is a guest's")
def test_a_path_may_cross_into_an_untouched_page(guest, entry):
    guest.write(entry.abi, UNTOUCHED.start + PAGE - 5, b"/init")
    assert guest.call(entry, "access", UNTOUCHED.start + PAGE - 5, 4).value == 0


def test_a_value_is_put_across_two_untouched_pages(guest, entry):
    for size in range(1, 8):
        place = UNTOUCHED.start + (2 * size + 2) * PAGE - size
        assert guest.call(entry, "gettimeofday", place, 0).value == 0, size
        assert guest.read(entry.abi, place, 8) != bytes(8), size


def test_many_untouched_pages_are_filled_in_one_call(guest, entry, backing):
    guest.write_file(BACKING, backing * 20)
    place = UNTOUCHED.start + 0x2_0001
    assert guest.call(entry, "read", PAGES, place, 60 * PAGE).value == 60 * PAGE
    assert guest.read(entry.abi, place, 3 * PAGE) == backing
    assert guest.read(entry.abi, place + 57 * PAGE, 3 * PAGE + 2) == backing + bytes(2)


@pytest.mark.usefixtures("backing")
def test_the_page_of_zeros_is_copied_when_the_kernel_writes_to_it(guest, entry):
    first, second = UNTOUCHED.start, UNTOUCHED.start + PAGE
    assert guest.read(entry.abi, first, 2 * PAGE) == bytes(2 * PAGE)
    assert guest.call(entry, "read", PAGES, first + 8, 8).value == 8
    assert guest.read(entry.abi, first, 24) == bytes(8) + b"A" * 8 + bytes(8)
    assert guest.read(entry.abi, second, PAGE) == bytes(PAGE)


def test_a_file_is_read_in_when_the_kernel_reads_its_mapping(guest, entry, backing):
    place = map_at(guest, entry, MAP_PRIVATE, PROT_READ)
    assert guest.call(entry, "write", FILE, place + PAGE - 3, PAGE + 6).value == PAGE + 6
    assert guest.read_file(WRITTEN) == backing[PAGE - 3 : 2 * PAGE + 3]


@pytest.mark.parametrize("touched", [False, True])
def test_a_private_page_is_copied_and_the_file_stays(guest, entry, backing, touched):
    place = map_at(guest, entry, MAP_PRIVATE)
    seen = guest.read(entry.abi, place, 1) if touched else b"A"
    assert guest.call(entry, "read", ZEROS, place + PAGE - 4, 8).value == 8
    expected = backing[: PAGE - 4] + bytes(8) + backing[PAGE + 4 :]
    assert seen + guest.read(entry.abi, place + 1, 3 * PAGE - 1) == expected
    assert guest.read_file(BACKING) == backing


def test_a_shared_page_is_the_files(guest, entry, backing):
    place = map_at(guest, entry, MAP_SHARED)
    assert guest.call(entry, "read", ZEROS, place + PAGE - 4, 8).value == 8
    assert guest.read_file(BACKING) == backing[: PAGE - 4] + bytes(8) + backing[PAGE + 4 :]


def test_a_private_page_that_may_not_be_written_is_not_copied(guest, entry, backing):
    place = map_at(guest, entry, MAP_PRIVATE, PROT_READ)
    assert guest.call(entry, "read", ZEROS, place, 8).errno == EFAULT
    assert guest.read(entry.abi, place, 3 * PAGE) == backing


def test_behind_the_end_of_the_file_is_efault_and_no_signal(guest, entry, backing):
    place = map_at(guest, entry, MAP_SHARED, size=5 * PAGE)
    end = place + len(backing)
    for name, fd in (("write", FILE), ("read", ZEROS)):
        said = guest.call(entry, name, fd, end + PAGE, 8)
        assert (said.signal, said.errno) == (None, EFAULT)
    assert guest.call(entry, "read", ZEROS, end - 8, 16).value == 8  # zeros go by words


@pytest.mark.parametrize("advice", [DONTNEED, PAGEOUT])
def test_a_page_that_was_dropped_comes_back(guest, entry, backing, advice):
    place = map_at(guest, entry, MAP_SHARED)
    assert guest.read(entry.abi, place, 1) == b"A"
    guest.call(entry, "madvise", place, 3 * PAGE, advice)
    assert guest.call(entry, "write", FILE, place, 3 * PAGE).value == 3 * PAGE
    assert guest.read_file(WRITTEN) == backing


def test_memory_that_was_given_up_is_zeros_again(guest, entry):
    place = map_at(guest, entry, MAP_PRIVATE | MAP_ANONYMOUS)
    guest.write(entry.abi, place, b"\xa5" * 32)
    assert guest.call(entry, "madvise", place, PAGE, DONTNEED).value == 0
    assert guest.call(entry, "write", FILE, place, 32).value == 32
    assert guest.read_file(WRITTEN) == bytes(32)


@pytest.mark.parametrize(
    ("protection", "reads", "writes"),
    [
        (0, False, False),
        (PROT_READ, True, False),
        (PROT_WRITE, True, True),
        (BOTH, True, True),
    ],
)
def test_what_mprotect_takes_away_is_away(guest, entry, protection, reads, writes):
    place = map_at(guest, entry, MAP_PRIVATE | MAP_ANONYMOUS)
    guest.write(entry.abi, place, b"\xa5" * 32)
    assert guest.call(entry, "mprotect", place, PAGE, protection).value == 0
    assert guest.call(entry, "write", FILE, place, 8).value == (8 if reads else -EFAULT)
    assert guest.call(entry, "read", ZEROS, place, 8).value == (8 if writes else -EFAULT)
    assert guest.call(entry, "mprotect", place, PAGE, BOTH).value == 0
    assert guest.read(entry.abi, place, 32) == bytes(8 if writes else 0) + b"\xa5" * (
        24 if writes else 32
    )


def test_memory_that_was_unmapped_is_away(guest, entry):
    place = map_at(guest, entry, MAP_PRIVATE | MAP_ANONYMOUS)
    assert guest.call(entry, "read", ZEROS, place, 3 * PAGE).value == 3 * PAGE
    assert guest.call(entry, "munmap", place + PAGE, PAGE).value == 0
    assert guest.call(entry, "read", ZEROS, place, 3 * PAGE).value == PAGE
    assert guest.call(entry, "uname", place + PAGE - 8).errno == EFAULT


def test_memory_that_grows_down_grows_for_the_kernel(guest, entry):
    map_at(guest, entry, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN)
    assert guest.call(entry, "read", ZEROS, WHERE - 8, 16).value == 16
    assert guest.call(entry, "write", FILE, WHERE - PAGE, PAGE).value == PAGE
    assert guest.call(entry, "write", FILE, WHERE - 0x100_0000, 16).errno == EFAULT


def test_a_page_shared_with_a_child_is_copied_for_its_parent(guest, entry):
    place = map_at(guest, entry, MAP_PRIVATE | MAP_ANONYMOUS)
    guest.write(entry.abi, place, b"\xa5" * 32)
    assert guest.call(entry, "fork").value > 0
    assert guest.call(entry, "read", ZEROS, place + 4, 8).value == 8
    assert guest.read(entry.abi, place, 16) == b"\xa5" * 4 + bytes(8) + b"\xa5" * 4


LEAST, FIRST = "/proc/sys/vm/mmap_min_addr", 0x2_0000


@pytest.mark.guest_only("it sets a limit of the whole machine's")
def test_memory_that_grows_down_stays_off_the_first_pages(guest, entry):
    """Source: mm/mmap.c expand_downwards; security/min_addr.c, whose least is more (6.12)."""
    guest.write_file(LEAST, b"%d" % FIRST)
    name, flags = entry.table.mmap, MAP_PRIVATE | MAP_ANONYMOUS
    arguments = (FIRST + PAGE, PAGE, BOTH, flags | MAP_FIXED | MAP_GROWSDOWN, -1, 0)
    assert guest.call(entry, name, *arguments).value == FIRST + PAGE
    assert guest.call(entry, "read", ZEROS, FIRST, 8).value == 8
    assert guest.call(entry, "read", ZEROS, FIRST - 8, 8).errno == EFAULT
