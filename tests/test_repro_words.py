# SPDX-License-Identifier: Apache-2.0
"""What may be left out of a statement, and what a word may become."""

from __future__ import annotations

import pytest

from harness.entry import INT80, SYSCALL
from harness.errors import DeclarationError
from harness.repro.words import candidates, fill_up
from harness.syscalls import read_table
from harness.version import KernelVersion

VERSION = KernelVersion(6, 1)
TABLE = read_table(INT80.table, VERSION)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("getpid", "int80 getpid"),
        ("20", "int80 20"),
        ("fd = open x", "fd = int80 open x"),
        ("fd = syscall open x", "fd = syscall open x"),
        ("peek @edge 4", "peek i386 @edge 4"),
        ("peek x86_64 @edge 4", "peek x86_64 @edge 4"),
        ("probe hello", "probe i386 hello"),
        ("renew", "renew"),
        ("cat /x", "cat /x"),
    ],
)
def test_entry_path_and_abi_may_be_left_out(typed: str, meant: str) -> None:
    assert fill_up(typed.split(), INT80, TABLE) == meant.split()


@pytest.mark.parametrize("typed", ["getpit", "x =", "= 3", "kernel 6.1/i386"])
def test_what_is_no_statement_is_not_taken_for_a_call(typed: str) -> None:
    with pytest.raises(DeclarationError, match="expected a call or a statement, got"):
        fill_up(typed.split(), SYSCALL, read_table(SYSCALL.table, VERSION))


@pytest.mark.parametrize(
    ("before", "some"),
    [
        ("getpp", {"getppid"}),
        ("", {"getpid", "peek", "entry", "int80"}),
        ("int80 getpp", {"getppid"}),
        ("x = kernel_v", {"kernel_vsyscall"}),
        ("entry sysc", {"syscall", "syscall32"}),
        ("abi ", {"i386", "x86_64"}),
        ("peek x", {"x86_64"}),
    ],
)
def test_names_are_completed_where_they_may_stand(before: str, some: set[str]) -> None:
    found = candidates(before, ["entry", "abi"], TABLE)
    begun = before[-1:].strip() and before.rsplit(maxsplit=1)[-1]
    assert some <= set(found)
    assert all(word.startswith(begun) for word in found)


def test_arguments_are_not_guessed() -> None:
    assert candidates("getpid g", [], TABLE) == []
