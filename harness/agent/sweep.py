# SPDX-License-Identifier: Apache-2.0
"""Right calls made wrong, one pointer at a time, to find those that a kernel trusts."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from harness.agent.arguments import Argument, At, Buffer
from harness.agent.calls import Outcome
from harness.agent.guest import AnyCall, Guest
from harness.entry import EntryPath, native_entry
from harness.landscape import EDGE, EDGE_READ_ONLY, PAGE
from harness.pointers import bad_pointers, user_limit

NOT_BUILT = frozenset({errno.ENOSYS, errno.EOPNOTSUPP})
"""What a right call answers on a kernel that was built without it."""

_MAP_FIXED_NOREPLACE, _MAP_PRIVATE_ANONYMOUS, _READ_WRITE = 0x100000, 0x22, 3


@dataclass(frozen=True)
class Row:
    """A call with all its pointers right: every `bytes` and every `Buffer` is one.

    Attributes:
        call: a name and arguments; memory as long as what the kernel reads or writes, to the byte.
        answers: the error that it answers all the same, None for success.
        optional: arguments, from 1, that may be null, with the same answer.
        null: arguments that answer something else than EFAULT when they are null.
        first: calls that have to come before each.
        unlike: kinds of wrong that it cannot be asked about, by the beginnings of their names.
    """

    call: AnyCall
    answers: int | None = None
    optional: tuple[int, ...] = ()
    null: Mapping[int, int | None] = field(default_factory=dict)
    first: tuple[AnyCall, ...] = ()
    unlike: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Case:
    name: str
    call: AnyCall
    answers: int | None
    first: tuple[AnyCall, ...]


def find_trusted(guest: Guest, entry: EntryPath, rows: Iterable[Row]) -> dict[str, str]:
    """Ask each row as it stands, and again with each pointer wrong in each way.

    Returns:
        What was answered wrongly, by the case; empty when the kernel is well. Rows that the kernel
        was built without are left out.

    Raises:
        NotForHosts: this is a real host, whose memory a kernel that trusts a pointer would damage.
    """
    guest.guard.check_guest("it gives calls every kind of bad pointer, one after the other")
    map_last_page(guest, entry)
    rows = list(rows)
    right = [_Case(f"{row.call[0]}, all right", row.call, row.answers, row.first) for row in rows]
    answered = zip(rows, right, _ask(guest, entry, right), strict=True)
    built = [(row, case, said) for row, case, said in answered if said.errno not in NOT_BUILT]
    cases = [case for row, _, _ in built for case in _spoil(row, entry, guest)]
    asked = [(case, said) for _, case, said in built]
    asked += zip(cases, _ask(guest, entry, cases), strict=True)
    return {
        case.name: f"{_answer(said)}, and not {_name(case.answers)}"
        for case, said in asked
        if said.signal or said.errno != case.answers
    }


def map_last_page(guest: Guest, entry: EntryPath) -> int:
    """Map the last page that a program can have, and return where it ends.

    A stack may be there already, which does as well.
    """
    limit = user_limit(entry, guest.identity.arch)
    name = entry.table.mmap
    flags = _MAP_FIXED_NOREPLACE | _MAP_PRIVATE_ANONYMOUS
    guest.call(entry, name, limit - PAGE, PAGE, _READ_WRITE, flags, -1, 0)
    return limit


def read_first_page(guest: Guest) -> bytes:
    """Return physical page 0, which is mapped writable where the kernel's own addresses begin.

    Nobody uses it, so that what changed it went through one of the pointers of `harness.pointers`.
    Empty on a kernel that shows it to nobody. Source: arch/x86/mm/init.c init_mem_mapping (6.1).
    """
    entry = native_entry(guest.identity.arch.abi)
    memory = guest.call(entry, "open", b"/dev/mem\0", 0).value
    said = guest.call(entry, "pread64", memory, Buffer(PAGE), PAGE, 0, 0)
    guest.call(entry, "close", memory)
    return said.memory[0] if said.value == PAGE else b""


def _ask(guest: Guest, entry: EntryPath, cases: list[_Case]) -> list[Outcome]:
    said = iter(guest.series(entry, [call for case in cases for call in (*case.first, case.call)]))
    return [[next(said) for _ in (*case.first, case.call)][-1] for case in cases]


def _spoil(row: Row, entry: EntryPath, guest: Guest) -> Iterator[_Case]:
    """Yield the row with each of its pointers replaced by each kind."""
    number, *right = row.call
    for place, argument in enumerate(right):
        if not isinstance(argument, bytes | Buffer):
            continue
        for kind, instead, answers in _kinds(row, place + 1, argument, entry, guest):
            if not kind.startswith(row.unlike):
                wrong = (*right[:place], instead, *right[place + 1 :])
                name = f"{number}, argument {place + 1} {kind}"
                yield _Case(name, (number, *wrong), answers, row.first)


def _kinds(
    row: Row, place: int, argument: bytes | Buffer, entry: EntryPath, guest: Guest
) -> Iterator[tuple[str, Argument, int | None]]:
    """Yield a name, what to pass, and what is to be answered."""
    null = dict.fromkeys(row.optional, row.answers) | dict(row.null)
    for bad in bad_pointers(entry, guest.identity.arch):
        if isinstance(argument, Buffer) or not bad.readable:
            yield (
                bad.name,
                bad.address,
                errno.EFAULT if bad.address else null.get(place, errno.EFAULT),
            )
    size = _size(argument)
    limit = user_limit(entry, guest.identity.arch)
    yield "ends_with_memory", At(EDGE.end - size, argument), row.answers
    yield "limit_reached", At(limit - size, argument), row.answers
    for fits in sorted({1, size - 1} - {0, size}):
        part = _cut(argument, fits)
        yield f"cut_after_{fits}", At(EDGE.end - fits, part), errno.EFAULT
        yield f"limit_after_{fits}", At(limit - fits, part), errno.EFAULT
        if isinstance(argument, Buffer):
            yield f"cut_read_only_after_{fits}", At(EDGE_READ_ONLY.end - fits, part), errno.EFAULT


def _size(memory: bytes | Buffer) -> int:
    return memory.size_bytes if isinstance(memory, Buffer) else len(memory)


def _cut(memory: bytes | Buffer, fits: int) -> bytes | Buffer:
    return Buffer(fits, memory.fill) if isinstance(memory, Buffer) else memory[:fits]


def _answer(said: Outcome) -> str:
    return str(said.signal or (said.errno and _name(said.errno)) or said.value)


def _name(error: int | None) -> str:
    return errno.errorcode.get(error, str(error)) if error else "success"
