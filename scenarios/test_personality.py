# SPDX-License-Identifier: Apache-2.0
"""What a personality, the width of a call, and an address asked for change at the boundary.

Source: kernel/sys.c override_release, override_architecture; kernel/exec_domain.c personality;
arch/x86/include/asm/page_64_types.h IA32_PAGE_OFFSET; arch/x86/mm/mmap.c (6.1).
"""

from errno import EEXIST, EINVAL, ENOMEM

import pytest

from harness.agent.arguments import Buffer
from harness.agent.maps import read_maps
from harness.entry import INT80_64, SYSCALL
from harness.landscape import PAGE

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

ASK = 0xFFFF_FFFF
LINUX32, UNAME26, READ_IMPLIES_EXEC, LIMIT_3GB = 8, 0x20000, 0x400000, 0x8000000
ENOUGH = 390
FIXED, ANONYMOUS, NO_REPLACE = 0x10, 0x22, 0x10_0000
WHERE = 0x2E00_0000


def uname(guest, entry):
    """Return release and machine, of six fields of 65 bytes."""
    (names,) = guest.call(entry, "uname", Buffer(ENOUGH)).memory
    fields = [names[at : at + 65].split(b"\0")[0].decode() for at in range(0, ENOUGH, 65)]
    return fields[2], fields[4]


def map_at(guest, entry, address, flags=ANONYMOUS, protection=3):
    name = entry.table.mmap
    return guest.call(entry, name, address, 4096, protection, flags, -1, 0)


def test_it_is_told_set_and_told_again(guest, entry):
    seen = [guest.call(entry, "personality", value).value for value in (ASK, UNAME26, ASK, 0, ASK)]
    assert seen == [0, 0, UNAME26, UNAME26, 0]


def test_uname26_makes_the_release_one_of_2_6(guest, entry):
    release, _ = uname(guest, entry)
    assert release == guest.identity.release
    rest = release.lstrip("0123456789.")
    assert guest.call(entry, "personality", UNAME26).value == 0
    release, _ = uname(guest, entry)
    assert release == f"2.6.{guest.identity.version.minor + 60}{rest}"


@pytest.mark.needs(arch="x86_64")
def test_linux32_makes_the_machine_an_i686(guest, entry):
    assert uname(guest, entry)[1] == "x86_64"
    assert guest.call(entry, "personality", LINUX32).value == 0
    assert uname(guest, entry)[1] == "i686"


def test_read_implies_exec_does_so_for_new_mappings(guest, entry):
    assert guest.call(entry, "personality", READ_IMPLIES_EXEC).value == 0
    assert map_at(guest, entry, WHERE, ANONYMOUS | FIXED, protection=1).value == WHERE
    pid = guest.call(entry, "getpid").value
    assert [one.rights for one in read_maps(guest, pid) if one.start == WHERE] == ["r-xp"]


def test_read_implies_exec_only_where_that_may_be(guest, entry):
    """A ring of asynchronous I/O may not be executed, and lies behind memory that may.

    Source: mm/mprotect.c do_mprotect_pkey; fs/aio.c aio_init_fs_context, SB_I_NOEXEC (6.1).
    """
    made = guest.call(entry, "io_setup", 1, Buffer(entry.table.word_bytes, fill=0))
    if made.errno:
        pytest.skip("built without asynchronous I/O")
    ring = int.from_bytes(made.memory[0], "little")
    before = ring - PAGE
    assert map_at(guest, entry, before, ANONYMOUS | NO_REPLACE).errno is None
    assert guest.call(entry, "personality", READ_IMPLIES_EXEC).value == 0
    assert guest.call(entry, "mprotect", before, 2 * PAGE, 1).value == 0
    pid = guest.call(entry, "getpid").value
    seen = {one.start: one.rights for one in read_maps(guest, pid)}
    assert (seen[before], seen[ring]) == ("r-xp", "r--s")


@pytest.mark.needs(arch="x86_64")
@pytest.mark.entries("int80")
def test_addresses_of_a_32_bit_program_end_at_4_gib_or_at_3(guest, entry):
    fixed, seen = ANONYMOUS | FIXED, {}
    for personality, last in ((0, 0xFFFF_D000), (LIMIT_3GB, 0xBFFF_F000)):
        guest.call(entry, "personality", personality)
        there = map_at(guest, entry, last, fixed)
        past = map_at(guest, entry, last + 0x1000, fixed)
        seen[last] = there.after["eax"] == last, past.errno
    assert seen == dict.fromkeys(seen, (True, ENOMEM))


@pytest.mark.entries("syscall")
def test_addresses_of_a_64_bit_program_end_below_the_last_page(guest, entry):
    last = 0x7FFF_FFFF_E000
    seen = [map_at(guest, entry, at, ANONYMOUS | FIXED).value for at in (last, last + 0x1000)]
    assert seen == [last, -ENOMEM]


@pytest.mark.entries("int80_64")
def test_a_32_bit_call_of_a_64_bit_program_maps_what_a_32_bit_program_can_name(guest, entry):
    narrow = [map_at(guest, entry, 0).after["rax"] for _ in range(4)]
    wide = [map_at(guest, SYSCALL, 0).after["rax"] for _ in range(4)]
    assert [hex(at) for at in narrow if at >> 32] == []
    assert [hex(at) for at in wide if not at >> 32] == []
    assert map_at(guest, INT80_64, 0).errno is None


def test_an_address_that_is_free_is_given_and_one_that_is_taken_stays(guest, entry):
    """Source: arch/x86/kernel/sys_x86_64.c arch_get_unmapped_area_topdown; mm/mmap.c (6.1)."""
    unaligned = map_at(guest, entry, WHERE + 5)
    assert unaligned.value == WHERE, "an address is rounded down to a page's"
    elsewhere = map_at(guest, entry, WHERE).after[entry.number] & entry.abi.mask
    assert elsewhere not in (0, WHERE)
    assert elsewhere % PAGE == 0
    refused = map_at(guest, entry, WHERE, ANONYMOUS | NO_REPLACE).errno
    assert (refused, map_at(guest, entry, WHERE, ANONYMOUS | FIXED).value) == (EEXIST, WHERE)
    assert map_at(guest, entry, WHERE + PAGE, ANONYMOUS | NO_REPLACE).value == WHERE + PAGE
    assert map_at(guest, entry, WHERE + 5, ANONYMOUS | FIXED).errno == EINVAL
