# SPDX-License-Identifier: Apache-2.0
"""Pieces of machine code that a probe runs, and the exceptions that stop them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.agent.calls import register_names
from harness.agent.guest import Guest
from harness.agent.signals import (
    FRAME_BYTES,
    SA_SIGINFO,
    Report,
    frame_layout,
    read_registers,
)
from harness.arch import Abi
from harness.wire import REGISTER_SLOTS

CODE = 0x2200_0000
"""Where the piece lies, in a page that may be executed and written to."""
ROOM = 0x2300_0000
"""Three pages: the first may be written to, the second read, the third neither."""
PAGE = 4096

_AT_ONCE = 90
_RECORD_BYTES = 8 * REGISTER_SLOTS


@dataclass(frozen=True)
class Piece:
    """Machine code.

    Attributes:
        code: its bytes.
        registers: those that are to hold something else than they would, "flags" among them.
    """

    code: bytes
    registers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """What came of one piece.

    Attributes:
        before: registers as it began.
        after: registers once it was over; after a signal those that the frame said.
        frame: of the signal that stopped it, every field by name, None for no signal.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    frame: Mapping[str, int] | None


def run_pieces(guest: Guest, abi: Abi, pieces: Mapping[str, Piece]) -> dict[str, Ran]:
    """Have a probe run pieces of code, one after the other, and return what came of each by name.

    Args:
        guest: where.
        abi: what the code is.
        pieces: by name; as many processes are started as it takes.
    """
    names = list(pieces)
    ran: dict[str, Ran] = {}
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        rows = [number for name in some for number in _row(pieces[name], abi)]
        report = Report(guest.probe(abi, "execute", *rows), abi)
        ran |= {name: _read(report, number, abi) for number, name in enumerate(some)}
    return ran


def _read(report: Report, number: int, abi: Abi) -> Ran:
    seen = report.memory(f"{number}.seen", 8 + 2 * _RECORD_BYTES + FRAME_BYTES)
    start = 8 + 2 * _RECORD_BYTES
    return Ran(
        before=read_registers(seen[8 : 8 + _RECORD_BYTES], abi),
        after=read_registers(seen[8 + _RECORD_BYTES : start], abi),
        frame=frame_layout(abi, SA_SIGINFO).decode(seen[start:]) if seen[0] else None,
    )


def _row(piece: Piece, abi: Abi) -> Sequence[int]:
    places = {name: place for place, name in register_names(abi).items()}
    sets = [number for n, v in piece.registers.items() for number in (places[n], v)]
    width = abi.bits // 8
    words = (piece.code[start : start + width] for start in range(0, len(piece.code), width))
    codes = (int.from_bytes(word, "little") for word in words)
    return (len(piece.registers), *sets, len(piece.code), *codes)
