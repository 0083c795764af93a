# SPDX-License-Identifier: Apache-2.0
"""How parameters reach a call: six of them, in order, whole, and no wider than they are.

Source: Documentation/x86/entry_64.rst; arch/x86/include/asm/syscall_wrapper.h; what a call does
with two halves of a number, arch/x86/kernel/sys_ia32.c; fs/read_write.c, fs/open.c (6.1).
"""

from dataclasses import dataclass
from errno import ECHILD, EINVAL, ESRCH
from mmap import MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE
from os import O_RDONLY, O_RDWR, SEEK_CUR, SEEK_END, SEEK_SET
from signal import SIGCHLD

import pytest

from harness.agent.arguments import Buffer
from harness.agent.maps import read_maps
from harness.arch import I386
from harness.entry import entry_names_taking
from harness.landscape import ARENA, EDGE, PAGE

CLONE_VM, CLONE_VFORK = 0x100, 0x4000
CLONE_PARENT_SETTID, CLONE_CHILD_SETTID = 0x10_0000, 0x100_0000
MAP_FIXED = 0x10
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
TAKING_I386 = entry_names_taking(I386)
INT80_AND_LANDING_PAD = b"\xcd\x80\x5d\x5a"
"""Where fast calls come back to, in the middle: int $0x80, pop ebp, pop edx."""
GARBAGE = 0xBAD0_F00D_0000_0000
UPPER_HALVES = (0, 1 << 32, 1 << 63, GARBAGE, 0xFFFF_FFFF_0000_0000)


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
    expected = mapping.start, mapping.start + mapping.size, mapping.shown, mapping.page * PAGE
    assert mapped_at(guest, entry, mapping.start)[:4] == expected


@pytest.mark.entries("int80", "syscall")
def test_mmap_takes_the_address_where_there_is_room_and_another_where_not(guest, entry):
    """Source: arch_get_unmapped_area_topdown, mmap_address_hint_valid (arch/x86, 6.1)."""
    name, last = ("mmap2", 0xFFFF_D000) if entry.table is I386 else ("mmap", 0x7FFF_FFFF_E000)

    def map_at(where, pages, flags=0):
        said = guest.call(entry, name, where, pages * PAGE, 1, flags | 0x22, -1, 0)
        return said.value & entry.table.mask

    for edge in (WHERE, WHERE + 3 * PAGE):
        assert map_at(edge, 1, MAP_FIXED) == edge
    gap = WHERE + PAGE
    assert map_at(gap, 3) not in range(WHERE - 2 * PAGE, WHERE + 4 * PAGE), "no room"
    assert hex(map_at(gap + 1, 2)) == hex(gap), "room to the last byte"
    assert map_at(gap, 1) not in range(WHERE, WHERE + 4 * PAGE), "no room any more"
    assert map_at(last, 2) < last, "past the last page"


@pytest.mark.claim(33)
@pytest.mark.entries("int80_64")
@pytest.mark.parametrize("place", range(6))
def test_int80_takes_the_lower_half_of_each_register(guest, entry, numbered_pages, place):
    fd = guest.call(entry, "open", numbered_pages, O_RDWR).value
    six = [WHERE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 5]
    for upper in UPPER_HALVES:
        wide = six.copy()
        wide[place] |= upper
        said = guest.call(entry, "mmap2", *wide)
        assert said.value == WHERE
        expected = WHERE, WHERE + 2 * PAGE, "r--p", 5 * PAGE
        assert mapped_at(guest, entry, WHERE)[:4] == expected, hex(upper)


@pytest.mark.entries("syscall")
@pytest.mark.parametrize("upper", UPPER_HALVES, ids=hex)
def test_an_int_is_the_lower_half_of_its_register(guest, entry, upper):
    def int_(value):
        return upper | value

    cases = {
        ("dup2", int_(0), int_(77)): 77,
        ("dup3", int_(0), int_(78), int_(0)): 78,
        ("fcntl", int_(77), int_(0), 79): 79,
        ("close", int_(79)): 0,
        ("access", b"/proc\0", int_(0)): 0,
        ("umask", int_(0o22)): 0o22,
        ("lseek", int_(0), 0, int_(SEEK_CUR)): 0,
        ("getpriority", int_(0), int_(0)): 20,
        ("kill", int_(1), int_(0)): 0,
        ("wait4", int_(0xFFFF_FFFF), 0, int_(0), 0): -ECHILD,
        ("getsid", int_(0xFFFF_FFFF)): -ESRCH,
    }
    said = {call: guest.call(entry, *call).value for call in cases}
    assert said == cases


@pytest.mark.entries("syscall")
def test_a_long_is_its_whole_register(guest, entry, numbered_pages):
    fd = guest.call(entry, "open", numbered_pages, O_RDONLY).value
    assert guest.call(entry, "lseek", fd, 5 << 32 | 1, SEEK_SET).value == 5 << 32 | 1
    assert guest.call(entry, "pread64", fd, Buffer(1), 1, 1 << 32 | 1).value == 0
    assert guest.call(entry, "read", 0, EDGE.end - 16, 1 << 32 | 1).value == 16


@pytest.mark.entries("syscall")
def test_an_offset_of_mmap_is_a_whole_number_of_pages(guest, entry, numbered_pages):
    fd = guest.call(entry, "open", numbered_pages, O_RDONLY).value
    offsets = {1: EINVAL, 0x800: EINVAL, 0xFFF: EINVAL, PAGE: None, PAGE + 1: EINVAL}
    calls = [("mmap", 0, PAGE, PROT_READ, MAP_PRIVATE, fd, offset) for offset in offsets]
    seen = [said.errno for said in guest.series(entry, calls)]
    assert dict(zip(offsets, seen, strict=True)) == offsets


@pytest.mark.parametrize("place", [0, 1])
def test_clone_takes_its_pointers_in_the_order_of_its_table(guest, entry, place):
    pointers = [ARENA.start + 0x100, ARENA.start + 0x200]
    for pointer in pointers:
        guest.write(entry.abi, pointer, bytes(4))
    parents, childs = pointers
    tail = (0, childs) if entry.table is I386 else (childs, 0)
    flags = CLONE_VM | CLONE_VFORK | (CLONE_PARENT_SETTID, CLONE_CHILD_SETTID)[place]
    child = guest.call(entry, "clone", flags | SIGCHLD, 0, parents, *tail).value
    seen = [int.from_bytes(guest.read(entry.abi, pointer, 4), "little") for pointer in pointers]
    assert child > 1
    assert seen == ([child, 0], [0, child])[place]


def test_a_negative_offset_keeps_its_sign(guest, entry, numbered_pages):
    fd = guest.call(entry, "open", numbered_pages, O_RDONLY).value
    steps = [(10, SEEK_SET, 10), (-3, SEEK_CUR, 7), (-1, SEEK_END, 8 * PAGE - 1)]
    said = [guest.call(entry, "lseek", fd, offset, whence).value for offset, whence, _ in steps]
    assert said == [expected for *_, expected in steps]


@pytest.mark.entries("int80_64")
@pytest.mark.parametrize("upper", UPPER_HALVES, ids=hex)
def test_int80_extends_a_negative_offset_itself(guest, entry, numbered_pages, upper):
    fd = guest.call(entry, "open", numbered_pages, O_RDONLY).value
    assert guest.call(entry, "lseek", fd, upper | 10, SEEK_SET).value == 10
    assert guest.call(entry, "lseek", fd, upper | (-3 & 0xFFFF_FFFF), SEEK_CUR).value == 7


def test_a_negative_int_keeps_its_sign(guest, entry):
    low = -5 & 0xFFFF_FFFF
    assert guest.call(entry, "setpriority", 0, 0, low).value == 0
    assert guest.call(entry, "getpriority", 0, 0).value == 25


@pytest.mark.entries(*TAKING_I386)
def test_a_negative_length_of_32_bits_is_einval(guest, entry, numbered_pages):
    said = guest.call(entry, "truncate", numbered_pages, 0x8000_0000)
    assert said.errno == EINVAL


@pytest.mark.entries(*TAKING_I386)
@pytest.mark.needs(arch="x86_64")
@pytest.mark.parametrize("count", [0x8000_0000, 0xFFFF_FFFF], ids=hex)
def test_a_count_of_32_bits_is_never_negative_to_a_64_bit_kernel(guest, entry, count):
    assert guest.call(entry, "read", 0, EDGE.end - 16, count).value == 16


@pytest.mark.needs(arch="i386")
def test_a_count_past_the_middle_is_negative_to_a_32_bit_kernel(guest, entry):
    assert guest.call(entry, "read", 0, EDGE.end - 16, 0x8000_0000).errno == EINVAL


@pytest.mark.entries(*TAKING_I386)
def test_a_16_bit_id_of_minus_one_means_no_change(guest, entry):
    assert guest.call(entry, "setresuid", 0xFFFF, 0xFFFF, 0xFFFF).value == 0
    assert guest.call(entry, "getuid32").value == 0
    assert guest.call(entry, "setresgid", 7, 0xFFFF, 0xFFFF).value == 0
    assert [guest.call(entry, n).value for n in ("getgid32", "getegid32")] == [7, 0]


@pytest.mark.entries(*TAKING_I386)
def test_an_id_too_large_for_16_bits_is_shown_as_nobodys(guest, entry):
    assert guest.call(entry, "setresgid32", 65535 + 70000, 65536, 65535 - 1).value == 0
    pairs = {"getgid": 65534, "getgid32": 135535, "getegid": 65534, "getegid32": 65536}
    assert {name: guest.call(entry, name).value for name in pairs} == pairs


def mapped_at(guest, entry, start):
    maps = read_maps(guest, guest.call(entry, "getpid").value)
    return next(one for one in maps if one.start == start)
