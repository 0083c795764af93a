# SPDX-License-Identifier: Apache-2.0
"""The exception table, and the faults that lead to it.

Source: arch/x86/mm/extable.c fixup_exception, arch/x86/mm/fault.c kernelmode_fixup_or_oops,
arch/x86/lib/getuser.S, putuser.S, usercopy_32.c; scripts/sorttable.c (5.10, 6.1, 7.2).
"""

from errno import EFAULT
from mmap import MAP_SHARED, PROT_READ
from os import O_RDWR, R_OK

import pytest

from harness.agent.arguments import Buffer
from harness.evidence.exceptions import TYPED_SINCE
from harness.evidence.story import SEARCH, probe_of_search, witness_call
from harness.evidence.tracing import Probe
from harness.evidence.witness import FAULT
from harness.landscape import HOLE, PAGE, READ_ONLY, UNTOUCHED

ZEROS = 0
BACKING, WHERE = "/tmp/put_away", 0x2E00_0000  # noqa: S108 - in the guest
MADV_PAGEOUT = 21
USER, WRITE, PRESENT = 4, 2, 1
WENT_ON = "went_on"
PATHS = pytest.mark.entries("int80", "syscall", "int80_64")


def witness(inside, entry, *call, probes=()):
    """Make a call, and give what it did in the kernel."""
    return witness_call(
        inside, entry, *call[:1], call[1:], probes=(probe_of_search(inside), *probes)
    )


@pytest.mark.claim(42)
def test_the_table_is_sorted(inside):
    assert len(inside.exceptions.fixups) > 400
    assert inside.exceptions.is_sorted


@pytest.mark.claim(42)
def test_every_instruction_and_every_fixup_is_in_the_kernels_code(inside):
    text = range(inside.symbols["_stext"], inside.symbols["_einittext"])
    for fixup in inside.exceptions.fixups:
        assert fixup.instruction in text
        assert fixup.target in text


@pytest.mark.needs(arch="x86_64")
def test_the_table_is_where_the_kernel_says(inside):
    start, stop = inside.symbols["__start___ex_table"], inside.symbols["__stop___ex_table"]
    assert stop - start == 12 * len(inside.exceptions.fixups)
    first = inside.memory.read(start, 4)
    assert start + int.from_bytes(first, "little", signed=True) == (
        inside.exceptions.fixups[0].instruction
    )


@pytest.mark.parametrize("name", ["__get_user_1", "__get_user_2", "__get_user_4", "__put_user_4"])
def test_getting_and_putting_values_is_in_the_table(inside, name):
    start = inside.symbols[name]
    own = range(start, start + 64)
    assert any(fixup.instruction in own for fixup in inside.exceptions.fixups)


@pytest.mark.claim(43, refuted=True)
def test_instructions_that_access_no_user_memory_are_in_it_too(inside):
    fixups = inside.exceptions.fixups
    if inside.kernel.version >= TYPED_SINCE:
        assert {"WRMSR", "RDMSR"} & {fixup.type.removesuffix("_SAFE") for fixup in fixups}
    else:
        handlers = {str(inside.symbols.at(fixup.handler)) for fixup in fixups}
        assert "ex_handler_rdmsr_unsafe" in handlers


@pytest.mark.claim(41)
@PATHS
def test_the_instruction_that_faults_at_a_hole_is_in_the_table(inside, entry):
    seen = witness(inside, entry, "read", ZEROS, HOLE, 16)
    fault = seen.all(FAULT)[0].event
    assert seen.outcome.errno == EFAULT
    assert fault["address"] == HOLE
    assert fault["error_code"] & (USER | WRITE) == WRITE, "in kernel mode"
    assert inside.exceptions.find(fault["ip"])
    assert seen.all(SEARCH)[0].event["ip"] == fault["ip"]


@pytest.mark.claim(41)
@PATHS
def test_execution_goes_on_at_the_fixup(inside, entry):
    inside.guest.read(entry.abi, READ_ONLY.start, 1)
    call = ("poll", READ_ONLY.start, 1, 0)  # it reads what it then may not write to
    first = witness(inside, entry, *call).all(FAULT)[0].event["ip"]
    target = inside.exceptions.find(first).target
    seen = witness(inside, entry, *call, probes=(Probe(WENT_ON, hex(target)),))
    names = [moment.event.name for moment in seen.moments]
    assert names.index(FAULT) < names.index(SEARCH) < names.index(WENT_ON)
    assert seen.outcome.errno == EFAULT


@PATHS
def test_a_page_that_may_not_be_written_faults_as_present(inside, entry):
    assert inside.guest.read(entry.abi, READ_ONLY.start, 1) == bytes(1)
    seen = witness(inside, entry, "read", ZEROS, READ_ONLY.start, 16)
    fault = seen.all(FAULT)[0].event
    assert fault["error_code"] & (PRESENT | WRITE) == PRESENT | WRITE
    assert inside.exceptions.find(fault["ip"])


@pytest.mark.claim(44)
@PATHS
def test_a_page_that_is_brought_in_faults_and_needs_no_fixup(inside, entry):
    inside.guest.renew()
    seen = witness(inside, entry, "read", ZEROS, UNTOUCHED.start + 8 * PAGE, 16)
    assert seen.outcome.value == 16
    assert seen.all(FAULT)
    assert seen.all(SEARCH) == []


@pytest.mark.claim(44)
@PATHS
def test_a_page_that_is_copied_faults_as_present_and_needs_no_fixup(inside, entry):
    inside.guest.renew()
    assert inside.guest.read(entry.abi, UNTOUCHED.start, 1) == bytes(1), "the page of zeros"
    seen = witness(inside, entry, "read", ZEROS, UNTOUCHED.start, 16)
    faults = [moment.event["error_code"] for moment in seen.all(FAULT)]
    assert (seen.outcome.value, faults, seen.all(SEARCH)) == (16, [PRESENT | WRITE], [])


@pytest.mark.claim(44)
@PATHS
def test_a_page_of_a_file_that_was_put_away_faults_and_needs_no_fixup(inside, entry):
    inside.guest.renew()
    inside.guest.write_file(BACKING, b"/init".ljust(PAGE, b"\0"))
    fd = inside.guest.call(entry, "open", BACKING.encode() + b"\0", O_RDWR).value
    name = entry.table.mmap
    place = inside.guest.call(entry, name, WHERE, PAGE, PROT_READ, MAP_SHARED, fd, 0).value
    assert inside.guest.read(entry.abi, place, 1) == b"/"
    inside.guest.call(entry, "madvise", place, PAGE, MADV_PAGEOUT)
    seen = witness(inside, entry, "access", place, R_OK)
    assert (seen.outcome.value, len(seen.all(FAULT)), seen.all(SEARCH)) == (0, 1, [])


@pytest.mark.claim(47)
@PATHS
def test_a_good_address_costs_no_search_of_the_table(inside, entry):
    seen = witness(inside, entry, "read", ZEROS, Buffer(64), 64)
    assert seen.outcome.value == 64
    assert seen.all(FAULT) + seen.all(SEARCH) == []


@pytest.mark.claim(47)
@PATHS
def test_a_bad_address_costs_one_or_more(inside, entry):
    seen = witness(inside, entry, "read", ZEROS, HOLE, 64)
    assert len(seen.all(SEARCH)) == len(seen.all(FAULT)) > 0


@PATHS
def test_what_the_coarse_check_refuses_is_not_accessed_or_in_the_table(inside, entry):
    kernel = inside.memory.kcore.symbol("_stext") & entry.table.mask
    seen = witness(inside, entry, "read", ZEROS, kernel, 16)
    assert seen.outcome.errno == EFAULT
    assert all(inside.exceptions.find(moment.event["ip"]) for moment in seen.all(FAULT))
