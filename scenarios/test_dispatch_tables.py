# SPDX-License-Identifier: Apache-2.0
"""Where the numbers lead: the kernel's pointers, or the switch that took their place.

Source: arch/x86/entry/syscall_64.c, syscall_32.c; the switch came with 6.9 (1e3ad78334a6) and into
stable updates before it; kernel/sys_ni.c.
"""

from errno import ENOSYS

import pytest

from harness.entry import INT80, SYSCALL
from harness.evidence.entering import find_entry_point
from harness.evidence.tables import is_implemented, name_routine, read_kernel_table

NAMES = ("sys_", "compat_sys_")
PATHS = {"i386": INT80, "x86_64": SYSCALL}


@pytest.fixture
def table(inside, abi):
    """Give where the numbers of `abi` lead."""
    return read_kernel_table(inside, abi)


@pytest.fixture
def pointers(table):
    """Give the same where pointers dispatch."""
    if not table.dispatch.table:
        pytest.skip("a switch dispatches")
    return table


@pytest.mark.claim(4)
def test_the_table_holds_a_pointer_for_each_number(inside, pointers):
    word = inside.abi.word_bytes
    third = inside.memory.read(pointers.dispatch.table + 3 * word, word)
    assert inside.symbols.at(int.from_bytes(third, "little")).offset == 0
    assert pointers.rows[3].name in pointers.rows[3].routine


@pytest.mark.claim(4, refuted=True)
def test_a_switch_takes_the_tables_place(inside, table):
    if table.dispatch.table:
        pytest.skip("a table dispatches")
    name = name_routine(inside.symbols, table.dispatch.switch, table.abi)
    assert name in ("x64_sys_call", "ia32_sys_call")


@pytest.mark.claim(5)
def test_service_routines_are_called_sys_xyz(table):
    there = [row for row in table.rows if row.implemented]
    assert all(row.plain.startswith(NAMES) for row in there)
    as_the_call = [row for row in there if row.plain in {name + row.name for name in NAMES}]
    assert len(there) > len(as_the_call) > 0.5 * len(there), "with exceptions"


def test_every_number_with_a_name_leads_to_its_routine(table):
    lost = [r.name for r in table.rows if r.name and not is_implemented(r.routine)]
    assert not {"read", "write", "open", "getpid", "exit", "mmap", "clone"} & set(lost)
    assert not [row for row in table.rows if not row.name and row.implemented]


def test_unimplemented_numbers_are_those_that_answer_enosys(inside, table):
    path = PATHS[table.abi.name]
    without = [row.number for row in table.rows if not row.implemented]
    said = inside.guest.series(path, [(number,) for number in without])
    assert {outcome.errno for outcome in said} == {ENOSYS}


@pytest.mark.needs(arch="x86_64")
@pytest.mark.abis("x86_64")
def test_what_is_left_of_the_table_says_the_same(inside, table):
    known = inside.symbols["sys_call_table"]
    left = inside.text.pointers(known, len(table.rows))
    names = [name_routine(inside.symbols, pointer, table.abi) for pointer in left]
    assert names == [row.routine for row in table.rows]


@pytest.mark.entries("int80", "sysenter", "syscall32", "syscall", "int80_64")
def test_every_entry_point_comes_to_the_dispatch_of_its_table(inside, entry):
    way = inside.text.way_from(find_entry_point(inside, entry))
    assert way.dispatch == read_kernel_table(inside, entry.table).dispatch
