# SPDX-License-Identifier: Apache-2.0
"""A program for the executor: operations in, their answers out."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.agent.calls import MAX_RECORD_BYTES, Call, Outcome, decode_outcome
from harness.agent.channel import ChannelBroken
from harness.wire import MAX_PAYLOAD, MAX_REQUEST, Op

_SPAN = struct.Struct("<BQI")
_COUNT = struct.Struct("<I")
_MOST_BYTES = MAX_REQUEST - 1024


@dataclass(frozen=True)
class Span:
    """An operation on memory.

    Attributes:
        op: which: write, read or fill.
        address: where it begins.
        size_bytes: how long it is.
        content: what is written, the byte to fill with, or nothing.
    """

    op: Op
    address: int
    size_bytes: int
    content: bytes


class Program:
    """Operations in the order in which they are carried out.

    Attributes:
        size_bytes: how long the encoded program is so far.
        answer_bytes: how long its answer may be at most.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._answers: list[Call | str] = []
        self.size_bytes = 0
        self.answer_bytes = 0

    def write(self, address: int, content: bytes) -> None:
        """Put bytes into the executor's memory; the answer counts those that faulted."""
        self._add(_SPAN.pack(Op.WRITE, address, len(content)) + content, "left")

    def fill(self, address: int, size_bytes: int, value: int) -> None:
        """Fill memory with one byte's value; the answer counts those that faulted."""
        self._add(_SPAN.pack(Op.FILL, address, size_bytes) + bytes([value]), "left")

    def read(self, address: int, size_bytes: int) -> None:
        """Take bytes out of the executor's memory, up to the first that faults."""
        self._add(_SPAN.pack(Op.READ, address, size_bytes), "bytes")
        self.answer_bytes += size_bytes

    def call(self, call: Call) -> None:
        """Make a call."""
        self._add(call.encode(), call)
        self.answer_bytes += MAX_RECORD_BYTES

    def add(self, other: Program) -> None:
        """Append another program's operations."""
        self._pieces += other._pieces
        self._answers += other._answers
        self.size_bytes += other.size_bytes
        self.answer_bytes += other.answer_bytes

    @property
    def length(self) -> int:
        """How many operations there are so far."""
        return len(self._pieces)

    def encode(self) -> bytes:
        """Return the program as the executor takes it."""
        return b"".join(self._pieces)

    @property
    def steps(self) -> Iterator[tuple[bytes, Call | Span]]:
        """Every operation, encoded and as it was given."""
        for piece, expected in zip(self._pieces, self._answers, strict=True):
            if isinstance(expected, Call):
                yield piece, expected
            else:
                op, address, size = _SPAN.unpack_from(piece)
                yield piece, Span(Op(op), address, size, piece[_SPAN.size :])

    def decode(self, answer: bytes, start: Mapping[str, int]) -> list[Outcome | bytes | int]:
        """Read the executor's answer.

        Args:
            answer: what came back for this program.
            start: what calls are read against, see `About.start`.

        Returns:
            For each operation an outcome (call), bytes (read) or a count (write, fill).

        Raises:
            ChannelBroken: the answer does not fit the program.
        """
        view = memoryview(answer)
        results: list[Outcome | bytes | int] = []
        try:
            for expected in self._answers:
                result, used = _decode(expected, view, start)
                results.append(result)
                view = view[used:]
        except struct.error as error:
            raise ChannelBroken("the executor's answer is shorter than its program") from error
        if view:
            raise ChannelBroken(f"the executor's answer has {len(view)} bytes too many")
        return results

    def _add(self, piece: bytes, answer: Call | str) -> None:
        self._pieces.append(piece)
        self._answers.append(answer)
        self.size_bytes += len(piece)
        self.answer_bytes += _COUNT.size


def pack(pieces: Iterable[Program]) -> Iterator[Program]:
    """Put small programs together to ones that fill a request, and whose answers fit one."""
    program = Program()
    for piece in pieces:
        too_long = program.size_bytes + piece.size_bytes > _MOST_BYTES
        if program.length and (too_long or program.answer_bytes + piece.answer_bytes > MAX_PAYLOAD):
            yield program
            program = Program()
        program.add(piece)
    if program.length:
        yield program


def _decode(
    expected: Call | str, view: memoryview, start: Mapping[str, int]
) -> tuple[Outcome | bytes | int, int]:
    if isinstance(expected, Call):
        return decode_outcome(expected, view, start)
    (count,) = _COUNT.unpack_from(view)
    if expected == "left":
        return count, _COUNT.size
    if len(view) < _COUNT.size + count:
        raise struct.error
    return bytes(view[_COUNT.size : _COUNT.size + count]), _COUNT.size + count
