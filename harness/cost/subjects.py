# SPDX-License-Identifier: Apache-2.0
"""What is measured: calls that differ in one thing from one another."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from harness.arch import Arch
from harness.entry import ENTRY_PATHS, INT80_64, EntryPath
from harness.pointers import user_limit

VDSO = "vdso"
"""What stands for an entry path where the kernel is not entered."""

MEMORY_AT = 0x2400_0000
"""Where the probe has memory; see guest/probes/cost.c."""

_HOLE = MEMORY_AT - 0x10_0000
"""Nothing lies there, and what comes next is no stack: the kernel does not try to extend it."""
_FILE = 10
_REALTIME = 0
"""The monotonic clock adds two parts of a second, which takes a step more where they fill one."""
_NO_CALL = 100_000
_SIZES = (1, 16, 256, 4096, 16384, 65536)
_PAST_USER_MEMORY = -1


class Preparation(enum.IntEnum):
    """What is done to the calling process before; guest/probes/cost.c has the same numbers."""

    PLAIN = 0
    TRACED = 1
    FILTERED = 2
    FILTERED_BY_ARGUMENT = 3
    TRACED_BY_TURNS = 4


@dataclass(frozen=True)
class Subject:
    """One call whose cost is of interest.

    Attributes:
        name: what it is called in tables.
        call: its name, or a number that no table has.
        arguments: what it is given; -1 stands for an address past a program's memory.
        preparation: what is done to its process before.
        errno: what it has to answer, 0 for no error.
    """

    name: str
    call: str | int
    arguments: tuple[int, ...] = ()
    preparation: Preparation = Preparation.PLAIN
    errno: int = 0

    def is_for(self, entry: EntryPath) -> bool:
        """Tell whether `entry` takes its arguments: 32 bits reach only what 64-bit code owns."""
        return entry is not INT80_64 or _PAST_USER_MEMORY not in self.arguments

    def arguments_for(self, entry: EntryPath, arch: Arch) -> tuple[int, ...]:
        """Return what is passed through `entry` on a kernel of `arch`."""
        limit = user_limit(entry, arch)
        return tuple(limit if a == _PAST_USER_MEMORY else a for a in self.arguments)


def _subjects() -> Iterator[Subject]:
    enosys, efault = 38, 14
    yield Subject("getpid", "getpid")
    yield Subject("no such call", _NO_CALL, errno=enosys)
    yield Subject("clock_gettime", "clock_gettime", (_REALTIME, MEMORY_AT))
    yield Subject("a good pointer", "clock_getres", (_REALTIME, MEMORY_AT))
    yield Subject("a pointer into a hole", "clock_getres", (_REALTIME, _HOLE), errno=efault)
    past = (_REALTIME, _PAST_USER_MEMORY)
    yield Subject("a pointer past memory", "clock_getres", past, errno=efault)
    yield Subject("getpid, traced", "getpid", preparation=Preparation.TRACED)
    yield Subject("getpid, filtered", "getpid", preparation=Preparation.FILTERED)
    by_argument = Preparation.FILTERED_BY_ARGUMENT
    yield Subject("getpid, argument filtered", "getpid", preparation=by_argument)
    for name, call in (("read", "pread64"), ("write", "pwrite64")):
        for size in _SIZES:
            yield Subject(f"{name} {size} B", call, (_FILE, MEMORY_AT, size))


SUBJECTS = tuple(_subjects())
EMPTY, CLOCK = SUBJECTS[0], SUBJECTS[2]
PATHS = (*ENTRY_PATHS, VDSO)
"""Names in the order of columns."""
