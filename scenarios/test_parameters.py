# SPDX-License-Identifier: Apache-2.0
"""How parameters reach a call: six of them, in order, whole.

Source: Documentation/x86/entry_64.rst; arch/x86/include/asm/syscall_wrapper.h (6.1).
"""

from dataclasses import dataclass
from mmap import MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE
from os import O_RDONLY, O_RDWR

import pytest

MAP_FIXED = 0x10
PAGE = 4096
WHERE = 0x2E00_0000


@dataclass(frozen=True)
class Mapping:
    """Six arguments of mmap, of which every one can be seen in /proc/PID/maps."""

    start: int
    size: int
    protection: int
    flags: int
    page: int
    shown: str


MAPPINGS = (
    Mapping(WHERE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, 5, "r--p"),
    Mapping(WHERE + 0x3000, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, 2, "rw-s"),
    Mapping(WHERE + 0x7000, 3 * PAGE, PROT_EXEC, MAP_PRIVATE | MAP_FIXED, 1, "--xp"),
)
ENTRIES_32 = ("int80", "kernel_vsyscall", "sysenter", "syscall32", "int80_64")


@pytest.fixture
def numbered_pages(guest):
    """Give the path of a file whose every page holds its own number."""
    path = "/numbered"
    guest.write_file(path, b"".join(bytes([page]) * PAGE for page in range(8)))
    return path.encode() + b"\0"


@pytest.mark.claim(29)
@pytest.mark.claim(32)
@pytest.mark.claim(33)
@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda mapping: mapping.shown)
def test_six_arguments_arrive_in_order(guest, entry, numbered_pages, mapping):
    fds = [guest.call(entry, "open", numbered_pages, O_RDWR).value for _ in range(3)]
    name, unit = ("mmap2", 1) if entry.table.name == "i386" else ("mmap", PAGE)
    six = (mapping.start, mapping.size, mapping.protection, mapping.flags, fds[1], mapping.page)
    said = guest.call(entry, name, *six[:5], six[5] * unit)
    assert said.value == mapping.start
    assert maps_line(guest, entry, mapping.start)[:3] == [
        f"{mapping.start:x}-{mapping.start + mapping.size:x}",
        mapping.shown,
        f"{mapping.page * PAGE:08x}",
    ]


@pytest.mark.claim(34)
@pytest.mark.entries(*ENTRIES_32)
def test_the_old_mmap_takes_one_pointer_to_all_six(guest, entry, numbered_pages):
    fd = guest.call(entry, "open", numbered_pages, O_RDONLY).value
    block = (WHERE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 5 * PAGE)
    said = guest.call(entry, "mmap", b"".join(n.to_bytes(4, "little") for n in block))
    assert said.value == WHERE
    assert guest.read(entry.abi, WHERE, 1) == b"\5"


def maps_line(guest, entry, start):
    pid = guest.call(entry, "getpid").value
    lines = guest.read_file(f"/proc/{pid}/maps").decode().splitlines()
    return next(line.split() for line in lines if line.startswith(f"{start:x}-"))
