# SPDX-License-Identifier: Apache-2.0
"""What a call does with a pointer that it must not follow, through every entry path.

Source: arch/x86/include/asm/uaccess.h access_ok; arch/x86/mm/extable.c fixup_exception;
fs/read_write.c vfs_write; arch/x86/include/asm/page_types.h TASK_SIZE_MAX (6.1).
"""

from errno import EFAULT
from os import O_RDWR

import pytest

from harness.agent.arguments import At, Buffer
from harness.agent.sweep import Row, find_trusted, map_last_page, read_first_page
from harness.agent.vdso import read_vdso
from harness.entry import SYSCALL
from harness.landscape import ARENA, HOLE, NO_ACCESS, PAGE, READ_ONLY, WRITE_ONLY
from harness.pointers import bad_pointers, is_refused_unseen, user_limit

ZEROS, FILE, NOTHING = 0, 1, 3
WRITTEN = "/tmp/written"  # noqa: S108 - in the guest
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
PARTS = ("cut", "limit", "ends")  # a transfer may take what fits
WITH_A_BUFFER = {"read": 0, "write": 16, "pread64": 0, "pwrite64": 16}
"""What they give where /dev/null looks at no pointer."""
MAPPED_WHERE_TOLD = 0x10_0022
FOUR_GIB = 1 << 32
MOST, MOST_AT_ONCE = 0x7FFF_FFFF, 0x7FFF_F000  # include/linux/fs.h MAX_RW_COUNT


@pytest.fixture
def nothing(guest, entry):
    """Open /dev/null, which takes what it is given without looking at it, as NOTHING."""
    assert guest.call(entry, "open", b"/dev/null\0", O_RDWR).value == NOTHING


@pytest.mark.claim(39)
@pytest.mark.claim(40)
def test_reading_to_a_bad_pointer_is_efault(guest, entry, bad_pointer):
    assert guest.call(entry, "read", ZEROS, bad_pointer, 16).errno == EFAULT


@pytest.mark.usefixtures("nothing")
@pytest.mark.claim(39)
@pytest.mark.claim(46)
def test_no_way_to_use_a_pointer_trusts_it(guest, entry):
    w = entry.table.word_bytes
    page = read_first_page(guest)
    rows = (
        Row(("write", FILE, bytes(16), 16), unlike=PARTS),
        Row(("open", b"/init\0", 0)),
        Row(("uname", Buffer(390))),
        Row(("gettimeofday", Buffer(2 * w), Buffer(8)), optional=(1, 2)),
        Row(("time", Buffer(w)), optional=(1,)),
        Row(("sendfile", NOTHING, FILE, Buffer(w, fill=0), 4), optional=(3,)),
        Row(("rt_sigprocmask", 0, bytes(8), Buffer(8), 8), optional=(2, 3)),
        Row(("getcwd", Buffer(2), 2)),
    )
    assert find_trusted(guest, entry, rows) == {}
    assert guest.read_file(WRITTEN) == bytes(16)
    assert read_first_page(guest) == page


@pytest.mark.usefixtures("nothing")
@pytest.mark.claim(39)
def test_a_pointer_of_the_kernels_is_refused_where_nothing_would_be_moved(guest, entry):
    """Source: fs/read_write.c vfs_read, vfs_write (6.1)."""
    seen, expected = {}, {}
    for bad in bad_pointers(entry, guest.identity.arch):
        refused = is_refused_unseen(bad, entry, guest.identity.arch)
        if refused or bad.address < user_limit(entry, guest.identity.arch):
            calls = [(name, NOTHING, bad.address, 16, 0, 0) for name in WITH_A_BUFFER]
            said = [one.value for one in guest.series(entry, calls)]
            seen[bad.name] = dict(zip(WITH_A_BUFFER, said, strict=True))
            unmoved = dict.fromkeys(WITH_A_BUFFER, -EFAULT)
            expected[bad.name] = unmoved if refused else WITH_A_BUFFER
    assert seen == expected


@pytest.mark.usefixtures("nothing")
@pytest.mark.claim(39)
@pytest.mark.needs(arch="i386")
def test_address_and_size_together_stay_below_the_kernel(guest, entry):
    limit = map_last_page(guest, entry)
    spans = {
        (limit - 1, 1): 1,
        (limit - PAGE, PAGE): PAGE,
        (limit, 0): 0,
        (limit - MOST, MOST): MOST_AT_ONCE,
    }
    beyond = (
        (limit - 1, 2),
        (limit, 1),
        (limit + 1, 0),
        (limit - MOST + 1, MOST),
        (ARENA.start, -1),
    )
    spans |= dict.fromkeys(beyond, -EFAULT)
    said = guest.series(entry, [("write", NOTHING, *span) for span in spans])
    assert dict(zip(spans, (one.value for one in said), strict=True)) == spans


@pytest.mark.usefixtures("nothing")
@pytest.mark.claim(39)
@pytest.mark.entries("syscall")
def test_address_and_size_together_stay_in_the_lower_half(guest, entry):
    limit = map_last_page(guest, entry)
    kernel = (0xFFFF_8000_0000_0000, 0xFFFF_8880_0000_0000, 0xFFFF_FFFF_8100_0000, 1 << 63)
    spans = dict.fromkeys(((address, size) for address in kernel for size in (0, 1)), -EFAULT)
    spans |= {(limit - 1, 1): 1, (ARENA.start, -1): -EFAULT, (-1, 1): -EFAULT, (-1, 2): -EFAULT}
    said = guest.series(entry, [("write", NOTHING, *span) for span in spans])
    assert dict(zip(spans, (one.value for one in said), strict=True)) == spans


@pytest.mark.claim(40)
def test_a_transfer_of_nothing_follows_no_pointer(guest, entry):
    pointers = (0, 1, HOLE, NO_ACCESS.start, READ_ONLY.start)
    calls = [(name, fd, p, 0) for name, fd in (("read", ZEROS), ("write", FILE)) for p in pointers]
    assert [str(one) for one in guest.series(entry, calls) if one.value != 0] == []


def test_memory_asked_for_as_write_only_takes_and_gives(guest, entry):
    assert guest.call(entry, "read", ZEROS, WRITE_ONLY.start, 16).value == 16
    assert guest.call(entry, "write", FILE, WRITE_ONLY.start, 16).value == 16


def test_the_vdso_may_be_read_and_not_written(guest, entry):
    vdso = read_vdso(guest, entry.abi)
    if vdso.base + PAGE >> entry.table.bits:
        pytest.skip("out of reach of 32-bit calls")
    assert guest.call(entry, "write", FILE, vdso.base, 64).value == 64
    assert guest.read_file(WRITTEN) == guest.read(entry.abi, vdso.base, 64)
    assert guest.call(entry, "read", ZEROS, vdso.base, 64).errno == EFAULT


@pytest.mark.entries("int80_64")
@pytest.mark.parametrize("upper", [0x0000_0001, 0xDEAD_BEEF, 0xFFFF_8880, 0xFFFF_FFFF])
def test_the_upper_half_of_a_pointer_is_none_of_a_32_bit_calls_business(guest, entry, upper):
    pointer = upper << 32 | ARENA.start
    assert guest.call(entry, "write", FILE, At(ARENA.start, LETTERS), 26, rcx=pointer).value == 26
    assert guest.read_file(WRITTEN) == LETTERS


@pytest.mark.entries("int80_64")
@pytest.mark.parametrize("pages", [1, 2])
def test_a_32_bit_call_does_not_wrap_around_at_4_gib(guest, entry, pages):
    start = FOUR_GIB - PAGE
    said = guest.call(SYSCALL, "mmap", start, pages * PAGE, 3, MAPPED_WHERE_TOLD, -1, 0)
    assert said.value == start
    guest.write(entry.abi, FOUR_GIB - 16, b"\xa5" * (16 if pages == 1 else 32))
    expected = 8 if pages == 1 else 16
    assert guest.call(entry, "read", ZEROS, FOUR_GIB - 8, 16).value == expected
    seen = guest.read(entry.abi, FOUR_GIB - 16, 32)
    assert seen.strip(b"\xa5") == bytes(expected)
