# SPDX-License-Identifier: Apache-2.0
"""A script as data: a header, and statements in the order in which they are carried out."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.arch import Abi
from harness.entry import EntryPath
from harness.script.notation import Plain


@dataclass(frozen=True)
class Reference:
    """What an earlier statement has named: a call's result, or a buffer's address.

    Attributes:
        name: that name.
        offset: what is added to it.
    """

    name: str
    offset: int = 0


Place = int | Reference
"""An address."""


@dataclass(frozen=True)
class Load:
    """A number that is read from the memory of the call's own executor before the call.

    Attributes:
        size_bytes: 1, 2, 4 or 8.
        place: where it lies, little-endian.
    """

    size_bytes: int
    place: Place


Value = Plain | Reference | Load
Number = int | Reference | Load


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What every statement has.

    Attributes:
        line: where it stands in its file, from 1; 0 when it stands in none.
        note: a comment, such as what was answered when it was recorded.
    """

    line: int = field(default=0, compare=False)
    note: str = field(default="", compare=False)


@dataclass(frozen=True)
class CallStatement(Statement):
    """A call.

    Attributes:
        entry: the way in.
        number: a number, or a name in the entry path's table.
        arguments: at most six.
        registers: registers (and "flags") that are to hold something else than they would.
        result: the name that its value gets, empty for none.
        timeout_s: how long it may take, None for as long as usual.
        expected: a value, or the name of an error or of a signal; None when nothing is expected.
    """

    entry: EntryPath
    number: int | str
    arguments: tuple[Value, ...] = ()
    registers: tuple[tuple[str, Number], ...] = ()
    result: str = ""
    timeout_s: float | None = None
    expected: int | str | None = None


@dataclass(frozen=True)
class Reserve(Statement):
    """Memory of both executors that gets a name; what it holds is what was there."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class Poke(Statement):
    """Bytes written into the memory of an executor."""

    abi: Abi
    place: Place
    content: bytes


@dataclass(frozen=True)
class Peek(Statement):
    """Bytes read from the memory of an executor, up to the first that faults."""

    abi: Abi
    place: Place
    size_bytes: int
    expected: bytes | None = None


@dataclass(frozen=True)
class PutFile(Statement):
    """A file written in the guest."""

    path: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class GetFile(Statement):
    """A file read in the guest."""

    path: str
    expected: bytes | None = None


@dataclass(frozen=True)
class RunProbe(Statement):
    """A probe; `expected` is a part of what it has to report."""

    abi: Abi
    name: str
    numbers: tuple[int, ...] = ()
    expected: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class RunProgram(Statement):
    """A program that is there in the guest; `expected` is its exit status."""

    argv: tuple[str, ...]
    expected: int | None = None


@dataclass(frozen=True)
class Renew(Statement):
    """Fresh executors."""


AnyStatement = (
    CallStatement | Reserve | Poke | Peek | PutFile | GetFile | RunProbe | RunProgram | Renew
)


@dataclass(frozen=True)
class Header:
    """In what a script is to be carried out; empty for what it leaves open.

    Attributes:
        kernel: a spec.
        cpu: a processor model.
        append: kernel parameters, each as one option takes it.
        accel: an accelerator.
        memory_mib: the guest's memory, 0 for the usual.
    """

    kernel: str = ""
    cpu: str = ""
    append: tuple[str, ...] = ()
    accel: str = ""
    memory_mib: int = 0


@dataclass(frozen=True)
class Script:
    """A header and statements."""

    header: Header
    statements: tuple[AnyStatement, ...]
