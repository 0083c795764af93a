# SPDX-License-Identifier: Apache-2.0
"""Sweeps: right calls made wrong one pointer at a time, on both default kernels."""

from __future__ import annotations

from errno import EBADF, ECHILD

from live import native

from harness.agent.arguments import Buffer
from harness.agent.guest import Guest
from harness.agent.sweep import Row, find_trusted, map_last_page, read_first_page
from harness.landscape import PAGE
from harness.pointers import bad_pointers, user_limit


def test_a_call_that_looks_at_its_pointers_is_not_found(booted: Guest) -> None:
    rows = (Row(("uname", Buffer(390))), Row(("access", b"/init\0", 0)))
    assert find_trusted(booted, native(booted), rows) == {}


def test_a_call_that_does_not_is_found_with_each_kind_of_pointer(booted: Guest) -> None:
    entry = native(booted)
    found = find_trusted(booted, entry, [Row(("getppid", Buffer(4)))])
    kinds = {bad.name for bad in bad_pointers(entry, booted.identity.arch)}
    kinds |= {f"{edge}_after_{fits}" for edge in ("cut", "limit") for fits in (1, 3)}
    kinds |= {"cut_read_only_after_1", "cut_read_only_after_3"}
    assert set(found) == {f"getppid, argument 1 {kind}" for kind in kinds}
    assert set(found.values()) == {"1, and not EFAULT"}


def test_a_row_that_does_not_work_is_found(booted: Guest) -> None:
    rows = [Row(("close", -1)), Row(("wait4", -1, 0, 0, 0), answers=ECHILD)]
    found = find_trusted(booted, native(booted), rows)
    assert found == {"close, all right": "EBADF, and not success"}


def test_pointers_may_be_null_and_kinds_left_out(booted: Guest) -> None:
    entry = native(booted)
    rows = [Row(("times", Buffer(4 * entry.abi.word_bytes)), optional=(1,))]
    assert find_trusted(booted, entry, rows) == {}
    left_out = Row(("close", b"4"), answers=EBADF, null={1: None}, unlike=("",))
    assert find_trusted(booted, entry, [left_out]) == {}


def test_what_a_kernel_was_built_without_is_left_out(booted: Guest) -> None:
    assert find_trusted(booted, native(booted), [Row((0x7FFF, Buffer(4)))]) == {}


def test_the_last_page_ends_at_the_limit(booted: Guest) -> None:
    entry = native(booted)
    limit = map_last_page(booted, entry)
    assert limit == user_limit(entry, booted.identity.arch)
    booted.write(entry.abi, limit - PAGE, bytes(PAGE))
    assert len(booted.read(entry.abi, limit - 4, 8)) == 4


def test_the_first_page_of_memory_can_be_watched(booted: Guest) -> None:
    assert len(read_first_page(booted)) == PAGE
