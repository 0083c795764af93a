# SPDX-License-Identifier: Apache-2.0
"""Both sides of the edge of what calls about memory take: sizes, places, flags and limits.

Source: mm/mmap.c, mremap.c, mprotect.c, mlock.c, msync.c, madvise.c, process_vm_access.c (6.1).
"""

from errno import (
    EAGAIN,
    EBADF,
    EBUSY,
    EEXIST,
    EINVAL,
    ENOMEM,
    ENOSYS,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    ESRCH,
)
from os import (
    O_CREAT,
    O_RDWR,
)

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.arch import ARCH_I386
from harness.landscape import EDGE, NO_ACCESS, PAGE

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

FILE, ROOM = b"/edge_of_memory\0", Buffer(64)
NOBODY = 0x3FFF_FFFF
MAPPED = 0x2A00_0000


def test_memory(guest, entry):
    table = guest.table(entry)
    mmap = entry.table.mmap
    anonymous, fixed = 0x22, 0x10
    pid = guest.call(entry, "getpid").value
    start = guest.call(entry, mmap, 0, 0x3000, 3, anonymous, -1, 0).value & entry.table.mask
    rows = [
        (-EINVAL, mmap, 0, 0, 3, anonymous, -1, 0),
        (-EINVAL, mmap, 0, 1, 3, 0x20, -1, 0),
        (-EINVAL, mmap, start + 1, 1, 3, anonymous | fixed, -1, 0),
        (-EBADF, mmap, 0, 1, 1, 2, -1, 0),
        (-EINVAL, "munmap", start, 0),
        (-EINVAL, "munmap", start + 1, 1),
        (-EINVAL, "mprotect", start + 1, 1, 1),
        (-EINVAL, "mprotect", start, 1, 0x80),
        (0, "mprotect", start, 0, 1),
        (-EINVAL, "mremap", start, 1, 0, 0, 0),
        (-EINVAL, "mremap", start + 1, 1, 1, 0, 0),
        (-EINVAL, "msync", start, 1, 5),
        (-EINVAL, "msync", start + 1, 1, 4),
        (0, "msync", start, 0x3000, 4),
        (-EINVAL, "mincore", start + 1, 1, ROOM),
        (0, "mincore", start, 0x3000, ROOM),
        (-EINVAL, "madvise", start + 1, 1, 0),
        (-EINVAL, "madvise", start, 1, 0x7F),
        (-EINVAL, "mremap", start, 1, 1, 2, start),
        (-EINVAL, "mremap", start, 1, 1, 8, 0),
        (-EINVAL, "mprotect", start, 1, 0x300_0000),
        (-EEXIST, mmap, start, 1, 3, anonymous | 0x10_0000, -1, 0),
        (-EINVAL, "mlock2", start, 1, 2),
        (-EINVAL, "mlockall", 0),
        (-EINVAL, "mlockall", 4),
        (-EINVAL, "mlockall", 9),
        (-EINVAL, "remap_file_pages", start, 0x1000, 1, 0, 0),
        (-EINVAL, "process_vm_readv", pid, 0, 0, 0, 0, 1),
        (-EINVAL, "process_vm_writev", pid, 0, 0, 0, 0, 1),
        (0, "process_vm_readv", pid, 0, 0, 0, 0, 0),
        (-ESRCH, "process_vm_readv", NOBODY, *[entry.table.words(start, 1), 1] * 2, 0),
        *[(0, name, start, 0, 4) for name in ("msync", "madvise", "mlock")],
        (0, "mlockall", 1),
        (-EBUSY, "msync", start, 1, 2),
        (0, "munlockall"),
        (0, "msync", start, 1, 2),
        (0, "mlockall", 2),
        (MAPPED, mmap, MAPPED, PAGE, 3, anonymous | fixed, -1, 0),
        *[(-EBUSY, "msync", MAPPED, 1, 2), (0, "msync", start, 1, 2)],
        (0, "munlockall"),
        (0, "msync", MAPPED, 1, 2),
    ]
    if guest.identity.arch.abi is entry.table:
        past_the_end = dict.fromkeys(("madvise", "mlock", "munlock", "munmap"), -EINVAL)
        past_the_end |= dict.fromkeys(("msync", "mprotect", "mincore"), -ENOMEM)
        rows += [(answer, name, start, -PAGE, 1) for name, answer in past_the_end.items()]
        rows += [(-EINVAL, "madvise", start, -1, 4)]
    rows += [(0, "munmap", start, 0x3000)]
    if guest.identity.arch is ARCH_I386:
        rows += [(-EOVERFLOW, mmap, 0, 0x2000, 3, anonymous, -1, 0xFFFF_FFFF)]
    assert {row[1] for row in rows} <= table.numbers.keys()
    assert find_wrong(guest, entry, rows) == []


def test_memory_that_is_locked_missing_or_beside_itself(guest, entry):
    """Source: mm/{mlock,msync,mprotect,mincore,mremap,mmap}.c (6.1)."""
    mmap = entry.table.mmap
    fd = guest.call(entry, "open", FILE, O_CREAT | O_RDWR, 0o600).value
    start, then, last = EDGE.start, EDGE.start + PAGE, entry.table.mask & -PAGE
    validate, at_once = 0x3, 0x8_0000
    rows = [
        (-ENOMEM, "mlock", NO_ACCESS.start, 1),
        (0, "mlock", start, 1),
        (-EBUSY, "msync", start, 1, 2),
        (0, "munlock", start, 1),
        (0, "msync", start, 1, 2),
        (-ENOMEM, "mprotect", start, 3 * PAGE, 3),
        (-ENOMEM, "mincore", last, 1, ROOM),
        (-EOPNOTSUPP, mmap, 0, 1, 1, validate | at_once, fd, 0),
        (start, "mremap", then, PAGE, PAGE, 3, start),
        (then, "mremap", start, PAGE, PAGE, 3, then),
    ]
    assert find_wrong(guest, entry, rows) == []


LIMIT_OF_LOCKED = 8


@pytest.mark.room("it is root")
def test_memory_is_locked_up_to_the_limit(guest, entry):
    """Source: mm/mlock.c can_do_mlock, do_mlock, mlockall; mm/mmap.c mlock_future_ok (6.12)."""
    mmap, start = entry.table.mmap, EDGE.start
    rows = [
        (0, "setrlimit", LIMIT_OF_LOCKED, entry.table.words(PAGE, PAGE)),
        (0, "setuid", 1001),
        (0, "mlock", start, PAGE),
        (-EBUSY, "msync", start, 1, 2),
        (-ENOMEM, "mlock", start, PAGE + 1),
        (-ENOMEM, "mlock2", start, PAGE + 1, 1),
        (-EAGAIN, mmap, MAPPED, PAGE, 3, 0x2032, -1, 0),
        (-ENOMEM, "mlockall", 1),
        (0, "munlock", start, PAGE),
        (MAPPED, mmap, MAPPED, PAGE, 3, 0x2032, -1, 0),
        (0, "munlock", MAPPED, PAGE),
        (0, "setrlimit", LIMIT_OF_LOCKED, entry.table.words(0, 0)),
        *[(-EPERM, "mlock", start, PAGE), (-EPERM, "mlockall", 1), (-EPERM, "mlockall", 2)],
        (-EPERM, mmap, MAPPED, PAGE, 3, 0x2032, -1, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_much_memory_is_told_of_in_one_piece(guest, entry):
    """Source: mm/mincore.c, a page of answers at a time (6.1)."""
    pages = PAGE + 0x100
    mmap = entry.table.mmap
    private_fixed = 0x4032
    said = guest.call(entry, mmap, MAPPED, pages * PAGE, 0, private_fixed, -1, 0)
    assert said.value == MAPPED
    said = guest.call(entry, "mincore", MAPPED, pages * PAGE, Buffer(pages + 8))
    assert said.memory == (bytes(pages) + b"\xa5" * 8,)


def test_much_memory_is_copied_between_processes_without_a_gap(guest, entry):
    """From the second byte of a page on. Source: mm/process_vm_access.c start_offset (6.1)."""
    size, mmap = 0x90_0000, entry.table.mmap
    source, target = MAPPED, MAPPED + 2 * size
    for start in (source, target):
        assert guest.call(entry, mmap, start, size, 3, 0x32, -1, 0).value == start
    marks = (0x10, 0x40_0010, 0x80_0010)
    for mark in marks:
        guest.write(entry.abi, source + mark, b"marked")
    own, length = guest.call(entry, "getpid").value, size - PAGE
    segments = [entry.table.words(at, length) for at in (target, source + 1)]
    said = guest.call(entry, "process_vm_readv", own, segments[0], 1, segments[1], 1, 0)
    assert said.value == length
    seen = [guest.read(entry.abi, target + mark - 1, 6) for mark in marks]
    assert seen == [b"marked"] * 3


def test_a_description_is_as_long_as_a_page_with_its_end(guest, entry):
    """Source: mm/util.c strndup_user; security/keys/keyctl.c add_key (6.1)."""
    names = [b"d" * length + b"\0" for length in (PAGE - 1, PAGE)]
    said = [guest.call(entry, "add_key", b"user\0", name, b"x", 1, -1) for name in names]
    if said[0].errno == ENOSYS:
        pytest.skip("built without CONFIG_KEYS")
    assert (said[0].errno, said[1].errno) == (None, EINVAL)


@pytest.mark.entries("int80", "syscall")
def test_the_end_of_the_heap_is_told_also_where_it_stays(guest, entry):
    """There is no error to tell: mm/mmap.c brk (6.1)."""
    end, wide = guest.call(entry, "brk", 0).value, entry.table.mask
    moves = {
        end + 5: end + 5,
        1: end + 5,
        end - 1: end + 5,
        wide: end + 5,
        wide >> 1: end + 5,
        end + 0x1234: end + 0x1234,
        end: end,
    }
    said = [one.value for one in guest.series(entry, [("brk", to) for to in moves])]
    assert dict(zip(moves, said, strict=True)) == moves
