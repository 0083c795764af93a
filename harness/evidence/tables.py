# SPDX-License-Identifier: Apache-2.0
"""The system-call tables of a running kernel, and in what those of two kernels differ.

Numbers have their names from `harness.syscalls`, and what they lead to from the pointers or from
the switch in the kernel's memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.arch import X86_64, Abi
from harness.evidence.code import Dispatch
from harness.evidence.gates import INT80
from harness.evidence.inside import Inside
from harness.evidence.msr import Msr
from harness.evidence.symbols import Symbols
from harness.syscalls import read_table

NONE = "sys_ni_syscall"
"""How the names of the routines end that unimplemented numbers lead to."""

_WRAPPING = re.compile(r"^__(?:x64|ia32|se|do)_")


@dataclass(frozen=True)
class Row:
    """Where one number leads.

    Attributes:
        number: it.
        name: the call's, empty where no call has the number.
        routine: the symbol of the service routine.
    """

    number: int
    name: str
    routine: str

    @property
    def implemented(self) -> bool:
        """Whether there is a service routine, and not the one that stands for none."""
        return is_implemented(self.routine)

    @property
    def plain(self) -> str:
        """The routine's name in the sources, `sys_read`: without what wraps it."""
        return _WRAPPING.sub("", self.routine)


@dataclass(frozen=True)
class Table:
    """One table of a kernel.

    Attributes:
        abi: whose numbers.
        dispatch: how the kernel finds the routines.
        rows: a row a number, from 0.
    """

    abi: Abi
    dispatch: Dispatch
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Change:
    """One thing in which two kernels' tables differ.

    Attributes:
        kind: "added", "removed", "renamed" (another routine or name) or "moved".
        number: of the later kernel, or of the earlier one where it is removed.
        name: the call's.
        says: before and after, in words.
    """

    kind: str
    number: int
    name: str
    says: str


def is_implemented(routine: str) -> bool:
    """Whether a routine is one, and not what answers for numbers that have none."""
    return bool(routine) and not routine.endswith(NONE)


def name_routine(symbols: Symbols, address: int, table: Abi) -> str:
    """Return the symbol of a service routine; of several that of the table's own ABI."""
    place = symbols.at(address)
    if not place or place.offset:
        return str(place or hex(address))
    own = "__x64_" if table is X86_64 else "__ia32_"
    return next((name for name in place.names if name.startswith(own)), place.names[0])


def read_kernel_table(inside: Inside, abi: Abi) -> Table:
    """Return a kernel's table of an ABI.

    Raises:
        NotShown: its code does not say where the numbers lead.
    """
    entry = inside.msrs[Msr.LSTAR] if abi is X86_64 else inside.gates[INT80].handler
    dispatch = inside.text.way_from(entry).dispatch
    names = read_table(abi, inside.kernel.version)
    by_number = {number: name for name, number in names.numbers.items()}
    size = names.size if dispatch.bound is None else dispatch.bound + 1
    routines = inside.text.routines(dispatch, size)
    rows = (
        Row(number, by_number.get(number, ""), name_routine(inside.symbols, address, abi))
        for number, address in enumerate(routines)
    )
    return Table(abi, dispatch, tuple(rows))


def compare(before: Table, after: Table) -> Iterator[Change]:
    """Yield what differs between two kernels' tables of one ABI, in the order of the numbers."""
    old, new = _calls(before), _calls(after)
    gone = {name: row for name, row in old.items() if name not in new}
    changes = [_change(name, old.get(name), row) for name, row in new.items()]
    changes += [Change("removed", row.number, name, row.plain) for name, row in gone.items()]
    yield from sorted(filter(None, changes), key=lambda change: (change.number, change.kind))


def _calls(table: Table) -> Mapping[str, Row]:
    """Return the implemented calls by name; a number without one has its routine's."""
    return {row.name or row.plain: row for row in table.rows if row.implemented}


def _change(name: str, old: Row | None, new: Row) -> Change | None:
    if old is None:
        return Change("added", new.number, name, new.plain)
    if old.number != new.number:
        return Change("moved", new.number, name, f"{old.number} > {new.number}")
    if old.plain != new.plain:
        return Change("renamed", new.number, name, f"{old.plain} > {new.plain}")
    return None


def describe(table: Table, symbols: Symbols) -> str:
    """Return in a line how long a table is and where it is."""
    place = table.dispatch.table or table.dispatch.switch
    found = symbols.at(place)
    name = str(found) if found and not found.offset else "without a name"
    kind = "table of pointers" if table.dispatch.table else "switch"
    there = sum(row.implemented for row in table.rows)
    size = len(table.rows)
    return f"{table.abi}: {there} of {size} numbers implemented, by {kind} {name} at {place:#x}"
