# SPDX-License-Identifier: Apache-2.0
"""The tables of system calls, and what their calls are known to answer."""

from __future__ import annotations

import errno

import pytest

from harness.arch import ABIS, ARCH_I386, Abi
from harness.entry import entry_names_taking, find_entry_path
from harness.syscalls import SyscallTable, read_answers, read_groups, read_table
from harness.version import KernelVersion

NEWEST = KernelVersion(99, 0)


@pytest.fixture(params=ABIS.values(), ids=str)
def table(request: pytest.FixtureRequest) -> SyscallTable:
    abi: Abi = request.param
    return read_table(abi, NEWEST)


def test_no_number_is_given_twice(table: SyscallTable) -> None:
    assert len(set(table.numbers.values())) == len(table.numbers)


def test_answers_are_those_of_calls_that_there_are(table: SyscallTable) -> None:
    known = set(read_answers(table.abi))
    others = {name for abi in ABIS.values() for name in read_table(abi, NEWEST).numbers}
    assert known <= others
    assert len(known & set(table.numbers)) > 300


def test_answers_are_errors_and_signals(table: SyscallTable) -> None:
    words = set(read_answers(table.abi).values())
    assert words - set(errno.errorcode.values()) == {"OK", "SIGILL"}


def test_groups_are_of_calls_that_there_are() -> None:
    grouped = {name for names in read_groups(ARCH_I386).values() for name in names}
    there = {name for abi in ABIS.values() for name in read_table(abi, NEWEST).numbers}
    assert grouped <= there


def test_each_entry_path_takes_numbers_of_one_table() -> None:
    taking = {str(abi): entry_names_taking(abi) for abi in ABIS.values()}
    assert taking["x86_64"] == ("syscall",)
    assert {find_entry_path(name).table.name for name in taking["i386"]} == {"i386"}
    assert "int80_64" in taking["i386"]
