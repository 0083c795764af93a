# SPDX-License-Identifier: Apache-2.0
"""Calls as data, and what came back: registers, signal, memory."""

from __future__ import annotations

import errno
import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.arch import Abi
from harness.entry import EntryPath, default_registers
from harness.errors import DeclarationError
from harness.suggest import nearest
from harness.wire import REGISTER_SLOTS, SEGMENTS, Op, Register
from harness.wording import signal_name

MAX_ERRNO = 4095
"""The largest number whose negation names an error. Source: include/linux/err.h, 6.1."""

MAX_RECORD_BYTES = 4 + 32 + 4 + 8 * REGISTER_SLOTS
"""A call's record when a signal ended it and every register changed."""

_CALL = struct.Struct("<BBI")
_CAUGHT = struct.Struct("<IIQQQ")


@functools.cache
def register_names(abi: Abi) -> Mapping[int, str]:
    """Return every register of a record by its place: general ones, flags, ip, segments."""
    special = {Register.FLAGS: "flags", Register.IP: "ip"}
    segments = {Register.CS + i: name for i, name in enumerate(SEGMENTS)}
    return dict(enumerate(abi.registers)) | {int(k): v for k, v in special.items()} | segments


@dataclass(frozen=True)
class Call:
    """One call through one entry path.

    Attributes:
        entry: the way in.
        registers: every general register's value by name, and "flags".
        label: how messages name the call.
    """

    entry: EntryPath
    registers: Mapping[str, int]
    label: str

    @classmethod
    def of(
        cls, entry: EntryPath, number: int, arguments: tuple[int, ...], label: str, **other: int
    ) -> Call:
        """Lay a number and up to six arguments out in the registers of `entry`.

        Args:
            entry: the way in.
            number: goes into the entry's number register as it is.
            arguments: at most six; negative ones are taken as two's complement.
            label: how messages name the call.
            other: registers by name that are to hold something else than they would.

        Raises:
            DeclarationError: `other` names a register that cannot be set.
        """
        abi = entry.abi
        values = dict(default_registers(abi))
        for name in other.keys() - values.keys():
            raise DeclarationError(f"{abi} has no register {name!r}", hint=nearest(name, values))
        values |= {entry.number: number} | dict(zip(entry.arguments, arguments, strict=False))
        values |= other
        return cls(entry, {name: value & abi.mask for name, value in values.items()}, label)

    def encode(self) -> bytes:
        """Return the operation that the executor carries out."""
        abi = self.entry.abi
        usual = default_registers(abi)
        given = [
            (place, self.registers[name])
            for place, name in register_names(abi).items()
            if name in usual and self.registers[name] != usual[name]
        ]
        mask = sum(1 << place for place, _ in given)
        values = struct.pack(f"<{len(given)}{_letter(abi)}", *(value for _, value in given))
        return _CALL.pack(Op.CALL, self.entry.place, mask) + values


@dataclass(frozen=True)
class Signal:
    """A signal that ended a call.

    Attributes:
        number: as in signal(7).
        code: ``si_code``.
        address: ``si_addr``.
        trap: the exception vector, for faults of the processor.
        error: its error code.
    """

    number: int
    code: int
    address: int
    trap: int
    error: int

    @property
    def name(self) -> str:
        """The signal's name, "SIGSEGV"."""
        return signal_name(self.number)

    def __str__(self) -> str:
        """Return name, code, address and trap in one phrase."""
        return (
            f"{self.name} (code {self.code}) at {self.address:#x}, "
            f"trap {self.trap}, error {self.error:#x}"
        )


@dataclass(frozen=True, repr=False)
class Outcome:
    """What one call did.

    Attributes:
        call: what was asked.
        before: every register's value at the call; general ones, flags, segments.
        after: the same and "ip" after it, or at the moment a signal struck.
        signal: what ended the call instead of a return, None when it returned.
        memory: the contents of the buffers that the call brought, in their order.
    """

    call: Call
    before: Mapping[str, int]
    after: Mapping[str, int]
    signal: Signal | None = None
    memory: tuple[bytes, ...] = field(default=())

    @property
    def value(self) -> int:
        """The result register as a signed number."""
        return self.call.entry.abi.signed(self.after[self.call.entry.number])

    @property
    def errno(self) -> int | None:
        """The error that the result names, None when it names none or a signal struck."""
        is_error = self.signal is None and -MAX_ERRNO <= self.value < 0
        return -self.value if is_error else None

    @property
    def changed(self) -> frozenset[str]:
        """General registers, flags and segments that hold something else than before."""
        return frozenset(n for n, value in self.before.items() if self.after[n] != value)

    @property
    def clobbered(self) -> frozenset[str]:
        """General registers that hold something else than before."""
        return self.changed & frozenset(self.call.entry.abi.registers)

    def __str__(self) -> str:
        """Return one line: the call, and its value, error or signal."""
        if self.signal:
            return f"{self.call.label} -> {self.signal}"
        name = errno.errorcode.get(self.errno, "") if self.errno else ""
        return f"{self.call.label} -> {self.value} {name}".rstrip()

    def __repr__(self) -> str:
        """Return that line, and what else changed, for assertions that failed."""
        changes = (f"{n} {self.before[n]:#x} -> {self.after[n]:#x}" for n in sorted(self.changed))
        return f"<{self}; {', '.join(changes)}>"


def decode_outcome(call: Call, record: memoryview, start: Mapping[str, int]) -> tuple[Outcome, int]:
    """Read the executor's record of one call.

    Args:
        call: what was asked.
        record: bytes that begin with the record; more may follow.
        start: what the executor itself says of segments and of where the entry path comes back to.

    Returns:
        The outcome, and how many bytes the record took.

    Raises:
        struct.error: the record is cut short.
    """
    abi = call.entry.abi
    caught, used = _read_signal(record)
    (mask,) = struct.unpack_from("<I", record, used)
    names = register_names(abi)
    places = [place for place in range(REGISTER_SLOTS) if mask >> place & 1 and place in names]
    values = struct.unpack_from(f"<{len(places)}{_letter(abi)}", record, used + 4)
    before = {**call.registers, **{name: start[name] for name in SEGMENTS}}
    after = {
        "ip": start[call.entry.name],
        **before,
        **{names[p]: v for p, v in zip(places, values, strict=True)},
    }
    return Outcome(call, before, after, caught), used + 4 + len(places) * abi.bits // 8


def _read_signal(record: memoryview) -> tuple[Signal | None, int]:
    (number,) = struct.unpack_from("<I", record)
    if not number:
        return None, 4
    number, code, address, trap, error = _CAUGHT.unpack_from(record, 4)
    return Signal(number, code - (1 << 32) if code >> 31 else code, address, trap, error), 4 + 32


def _letter(abi: Abi) -> str:
    return "Q" if abi.bits == 64 else "I"  # noqa: PLR2004
