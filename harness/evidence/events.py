# SPDX-License-Identifier: Apache-2.0
"""What tracefs records, read from the ring buffer's own pages.

Its text would do but for one thing: it names an instruction's function, not the instruction.
Source: kernel/trace/ring_buffer.c, include/linux/ring_buffer.h enum ring_buffer_type (6.1).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from harness.evidence.trouble import BadEvidence

STACK = "kernel_stack"
"""The event that says how the kernel came to where another event happened; its array `caller` is
as long as its field `size` says, whatever its format says."""

_NAME = re.compile(r"^name: (\S+)$", re.MULTILINE)
_ID = re.compile(r"^ID: (\d+)$", re.MULTILINE)
_FIELD = re.compile(
    r"^\tfield:(?P<type>[^;]*?)(?P<name>\w+)(?:\[(?P<count>\w*)\])?;"
    r"\toffset:(?P<offset>\d+);\tsize:(?P<size>\d+);\tsigned:(?P<signed>[01]);$",
    re.MULTILINE,
)
_COMMIT = 0xF_FFFF
_MOST_IN_WORD, _PADDING, _LONG = 28, 29, (30, 31)
_WORD = struct.Struct("<I")
_WORDS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Field:
    """One field of an event.

    Attributes:
        name: what it is called.
        offset: where in the record it begins.
        size_bytes: how long it is; of an array without a length 0.
        count: how many values it has, None for one; 0 for as many as there are.
        signed: whether it is a signed number.
    """

    name: str
    offset: int
    size_bytes: int
    count: int | None
    signed: bool


@dataclass(frozen=True)
class Format:
    """What the records of one event look like.

    Attributes:
        name: the event's.
        number: what its records begin with.
        fields: in their order.
    """

    name: str
    number: int
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Event:
    """One record.

    Attributes:
        name: the event's.
        values: by field, a number; or a tuple of numbers where the field is an array.
    """

    name: str
    values: Mapping[str, int | tuple[int, ...]]

    def __getitem__(self, field: str) -> int:
        """Return a number; 0 where there is no such field."""
        value = self.values.get(field, 0)
        return value if isinstance(value, int) else value[0]

    def array(self, field: str) -> tuple[int, ...]:
        """Return an array; empty where there is no such field."""
        value = self.values.get(field, ())
        return (value,) if isinstance(value, int) else value


def parse_format(text: str) -> Format:
    """Read a file ``events/SYSTEM/EVENT/format``.

    Raises:
        BadEvidence: it is none.
    """
    name, number = _NAME.search(text), _ID.search(text)
    fields = tuple(_field(match) for match in _FIELD.finditer(text))
    if not name or not number or not fields:
        raise BadEvidence(f"no format of a trace event: begins {text[:60]!r}")
    return Format(name[1], int(number[1]), fields)


def _field(match: re.Match[str]) -> Field:
    count, size = match["count"], int(match["size"])
    if count is None:
        number: int | None = None
    else:
        number = int(count) if count.isdigit() else 0
    signed = match["signed"] == "1"
    return Field(match["name"], int(match["offset"]), size, number, signed)


def header_bytes(text: str) -> int:
    """Return where the records of a page begin, from the file ``events/header_page``.

    Raises:
        BadEvidence: it does not say so.
    """
    for match in _FIELD.finditer(text):
        if match["name"] == "data":
            return int(match["offset"])
    raise BadEvidence(f"no header of a trace page: begins {text[:60]!r}")


def decode_page(page: bytes, header: int, formats: Iterable[Format], word: int) -> list[Event]:
    """Read the records of a page, those of unknown events left out.

    Args:
        page: what one read of ``trace_pipe_raw`` gave.
        header: where its records begin.
        formats: of the events that are wanted.
        word: how many bytes a `long` of that kernel has.

    Raises:
        BadEvidence: it is cut short, or contradicts itself.
    """
    known = {format_.number: format_ for format_ in formats}
    try:
        events = []
        for record in _records(page, header):
            number = int.from_bytes(record[:2], "little")
            if number in known:
                events.append(_decode(known[number], record, word))
    except (struct.error, ValueError) as error:
        raise BadEvidence(f"a trace page makes no sense: {error}") from error
    return events


def _records(page: bytes, header: int) -> Iterator[bytes]:
    (commit,) = _WORD.unpack_from(page, 8)
    end = header + (commit & _COMMIT)
    if end > len(page):
        raise ValueError(f"{end} bytes in a page of {len(page)}")
    at = header
    while at < end:
        (head,) = _WORD.unpack_from(page, at)
        kind, delta = head & 0x1F, head >> 5
        at += _WORD.size
        if kind in _LONG:
            at += _WORD.size
            continue
        if kind == _PADDING and not delta:
            return
        length = 4 * kind
        if not kind or kind == _PADDING:
            (length,) = _WORD.unpack_from(page, at)
            at, length = (at + _WORD.size, length - _WORD.size) if not kind else (at, length)
        if length <= 0 or at + length > end:
            raise ValueError(f"a record of {length} bytes at {at}, where the page ends at {end}")
        if kind != _PADDING:
            yield page[at : at + length]
        at += length


def _decode(format_: Format, record: bytes, word: int) -> Event:
    values = {field.name: _value(field, record, word) for field in format_.fields}
    size = values.get("size")
    if format_.name == STACK and isinstance(size, int):
        (caller,) = (field for field in format_.fields if field.name == "caller")
        longer = replace(caller, size_bytes=size * word, count=size)
        values["caller"] = _value(longer, record, word)
    return Event(format_.name, values)


def _value(field: Field, record: bytes, word: int) -> int | tuple[int, ...]:
    if field.count is None:
        raw = record[field.offset : field.offset + field.size_bytes]
        if len(raw) != field.size_bytes:
            raise ValueError(f"{field.name} is behind the end of a record of {len(record)} bytes")
        return int.from_bytes(raw, "little", signed=field.signed)
    end = field.offset + field.size_bytes if field.size_bytes else len(record)
    size = field.size_bytes // field.count if field.count and field.size_bytes else word
    size = size if size in _WORDS else 1
    pieces = (record[at : at + size] for at in range(field.offset, min(end, len(record)), size))
    return tuple(int.from_bytes(piece, "little") for piece in pieces if len(piece) == size)
