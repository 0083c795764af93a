# SPDX-License-Identifier: Apache-2.0
"""The calls whose cost `trapgate cost` shows: that they are made, and under what they are said to.

Source: guest/probes/cost.c; man 2 ptrace; Documentation/userspace-api/seccomp_filter.rst (6.1).
"""

from errno import EFAULT, EPERM

import pytest

from harness.cost.subjects import CLOCK, MEMORY_AT, Preparation
from harness.entry import function_path
from harness.pointers import user_limit

AGENT = 1
REFUSED = 0x5A5A_5A5A
"""The first argument that the probe's filter looks for."""


def last_result(guest, entry, preparation, call, *arguments):
    number = guest.table(entry).number(call)
    said = guest.probe(entry.abi, "cost", entry.place, preparation, 2, 3, number, *arguments)[
        "result"
    ]
    return entry.abi.signed(said & entry.abi.mask)


def test_a_call_is_made(guest, entry):
    assert last_result(guest, entry, Preparation.PLAIN, "getppid") == AGENT


def test_a_traced_call_is_made_by_the_tracers_child(guest, entry):
    assert last_result(guest, entry, Preparation.TRACED, "getppid") > AGENT


def test_a_filter_lets_calls_through(guest, entry):
    assert last_result(guest, entry, Preparation.FILTERED, "getppid", REFUSED) == AGENT


def test_a_filter_that_looks_at_an_argument_is_in_force(guest, entry):
    by_argument = Preparation.FILTERED_BY_ARGUMENT
    assert last_result(guest, entry, by_argument, "getppid", REFUSED + 1) == AGENT
    assert last_result(guest, entry, by_argument, "getppid", REFUSED) == -EPERM


def test_a_clock_is_read_into_memory_and_not_past_it(guest, entry):
    plain, (clock, _) = Preparation.PLAIN, CLOCK.arguments
    limit = user_limit(entry, guest.identity.arch)
    assert last_result(guest, entry, plain, "clock_gettime", clock, MEMORY_AT) == 0
    assert last_result(guest, entry, plain, "clock_gettime", clock, limit) == -EFAULT


@pytest.mark.parametrize("size", [1, 4096, 65536])
def test_as_many_bytes_are_copied_as_are_said_to_be(guest, entry, size):
    for call in ("pread64", "pwrite64"):
        assert last_result(guest, entry, Preparation.PLAIN, call, 10, MEMORY_AT, size) == size


def test_the_vdso_reads_a_clock(guest, abi):
    path = function_path(abi)
    said = guest.probe(abi, "cost", path.place, Preparation.PLAIN, 2, 3, 0, *CLOCK.arguments)
    assert "call" in said
    assert said["result"] == 0
