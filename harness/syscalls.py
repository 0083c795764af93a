# SPDX-License-Identifier: Apache-2.0
"""The names and numbers of system calls, by table and kernel version."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from harness.arch import ARCH_I386, Abi, Arch
from harness.errors import DeclarationError
from harness.places import data_dir
from harness.suggest import nearest
from harness.toml import read_toml
from harness.version import KernelVersion

_FIRST = KernelVersion(0, 0)


@dataclass(frozen=True, repr=False)
class SyscallTable:
    """The system calls that a kernel of some version has numbers for.

    Attributes:
        abi: whose numbers these are.
        numbers: number by name.
        newer: names that later kernels have and this one has not, with their numbers.
    """

    abi: Abi
    numbers: Mapping[str, int]
    newer: Mapping[str, int]

    def __repr__(self) -> str:
        """Return whose table this is and how long."""
        return f"<{self.abi} table of {self.size}>"

    @property
    def size(self) -> int:
        """One more than the largest number: the kernel's NR_syscalls."""
        return max(self.numbers.values()) + 1

    def number(self, name: str) -> int:
        """Return the number of the call `name`, also of one that came later.

        Raises:
            DeclarationError: no kernel that we know of has such a call.
        """
        found = self.numbers.get(name, self.newer.get(name))
        if found is None:
            hint = nearest(name, {*self.numbers, *self.newer})
            raise DeclarationError(f"unknown system call {name!r} on {self.abi}", hint=hint)
        return found

    def name(self, number: int) -> str | None:
        """Return the name of `number`, None when it is not taken."""
        return next((name for name, value in self.numbers.items() if value == number), None)

    def find_unused(self) -> int | None:
        """Return the largest number inside the table that no call has, None when all are taken."""
        taken = set(self.numbers.values())
        return next((n for n in range(self.size - 1, -1, -1) if n not in taken), None)


@functools.cache
def read_table(abi: Abi, version: KernelVersion) -> SyscallTable:
    """Return the table of `abi` as a kernel of `version` has it."""
    there: dict[str, int] = {}
    newer: dict[str, int] = {}
    for name, (number, since) in _read_all(abi).items():
        has_it = (since.major, since.minor) <= (version.major, version.minor)
        (there if has_it else newer)[name] = number
    return SyscallTable(abi, there, newer)


@functools.cache
def _read_all(abi: Abi) -> dict[str, tuple[int, KernelVersion]]:
    path = data_dir("kernels") / "syscalls" / f"{abi}.toml"
    rows = read_toml(path)
    return {
        name: (row["number"], KernelVersion.parse(row["since"]) if "since" in row else _FIRST)
        for name, row in rows.items()
    }


@functools.cache
def read_answers(abi: Abi) -> dict[str, str]:
    """Return what calls of `abi`, by name, answer to six arguments of -1.

    Returns:
        The name of an error or a signal, or "OK" for zero or more; calls are missing that would
        not come back, and those that answer differently in different releases.
    """
    said = _read_minus_one()
    return {
        name: answer
        for part in ("both", str(abi))
        for answer, names in said[part].items()
        for name in names
    }


def read_groups(arch: Arch) -> dict[str, list[str]]:
    """Return names that a kernel of `arch` has or has not together, by its configuration."""
    groups = dict(_read_minus_one()["together"])
    if arch is not ARCH_I386:
        del groups["32BIT"]
    return groups


@functools.cache
def _read_minus_one() -> dict[str, dict[str, list[str]]]:
    path = data_dir("kernels") / "syscalls" / "minus_one.toml"
    rows: dict[str, dict[str, list[str]]] = read_toml(path)
    return rows
