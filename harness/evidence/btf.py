# SPDX-License-Identifier: Apache-2.0
"""The layout of a structure, from the kernel's own type information (BTF).

Source: Documentation/bpf/btf.rst, include/uapi/linux/btf.h (6.12).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.evidence.trouble import BadEvidence

_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_MAGIC = 0xEB9F
_STRUCT, _UNION = 4, 5
_FIXED = {1: 4, 3: 12, 14: 4, 17: 4}
"""How many bytes follow a type, by its kind: INT, ARRAY, VAR, DECL_TAG."""
_EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
"""How many follow for each of its members: STRUCT, UNION, ENUM, FUNC_PROTO, DATASEC, ENUM64."""
_MOST_KINDS = 19
_MOST_NESTED = 8


@dataclass(frozen=True)
class Layout:
    """Where a structure has its members.

    Attributes:
        size_bytes: how long it is.
        offsets: by member, those of unnamed unions and structures among them; in bytes.
    """

    size_bytes: int
    offsets: Mapping[str, int]


def parse_layout(section: bytes, name: str) -> Layout | None:
    """Return the layout of a structure, None where there is none of that name.

    Args:
        section: section .BTF of a vmlinux.
        name: the structure's.

    Raises:
        BadEvidence: the section is cut short, or contradicts itself.
    """
    try:
        return _Btf(section).layout(name)
    except (struct.error, LookupError, ValueError) as error:
        raise BadEvidence(f".BTF makes no sense: {str(error) or type(error).__name__}") from error


class _Btf:
    def __init__(self, section: bytes) -> None:
        magic, version, _, length, types, types_size, strings, strings_size = _HEADER.unpack_from(
            section
        )
        if magic != _MAGIC or version != 1:
            raise ValueError(f"expected magic {_MAGIC:#x}, version 1; got {magic:#x}, {version}")
        if length + max(types + types_size, strings + strings_size) > len(section):
            raise ValueError(f"it is longer than its {len(section)} bytes")
        self._types = section[length + types : length + types + types_size]
        self._strings = section[length + strings : length + strings + strings_size]
        self._places = [0]
        self._rest = self._walk()

    def layout(self, name: str) -> Layout | None:
        """Look from the first type on: most of the many are never read."""
        for at in self._rest:
            self._places.append(at)
            name_at, info, size = _TYPE.unpack_from(self._types, at)
            if info >> 24 & 0x1F == _STRUCT and self._is_called(name_at, name):
                return Layout(size, dict(self._members(at, 0, _MOST_NESTED)))
        return None

    def _walk(self) -> Iterator[int]:
        """Yield where each type is, in the order of their numbers."""
        at = 0
        while at < len(self._types):
            _, info, _ = _TYPE.unpack_from(self._types, at)
            kind, members = info >> 24 & 0x1F, info & 0xFFFF
            if not 0 < kind <= _MOST_KINDS:
                raise ValueError(f"type of unknown kind {kind}")
            yield at
            at += _TYPE.size + _FIXED.get(kind, 0) + members * _EACH.get(kind, 0)

    def _members(self, at: int, base: int, depth: int) -> Iterator[tuple[str, int]]:
        if not depth:
            raise ValueError("structures are nested without end")
        _, info, _ = _TYPE.unpack_from(self._types, at)
        bits = 0xFFFFFF if info >> 31 else 0xFFFFFFFF
        for n in range(info & 0xFFFF):
            name_at, kind, offset = _MEMBER.unpack_from(
                self._types, at + _TYPE.size + n * _MEMBER.size
            )
            place, name = base + (offset & bits) // 8, self._text(name_at)
            if name:
                yield name, place
            elif self._kind(kind) in (_STRUCT, _UNION):
                yield from self._members(self._place(kind), place, depth - 1)

    def _kind(self, number: int) -> int:
        info: int = _TYPE.unpack_from(self._types, self._place(number))[1]
        return info >> 24 & 0x1F

    def _place(self, number: int) -> int:
        """Return where a type is, reading on as far as it takes."""
        self._places += itertools.islice(self._rest, max(number + 1 - len(self._places), 0))
        return self._places[number]

    def _is_called(self, at: int, name: str) -> bool:
        return self._strings.startswith(name.encode() + b"\0", at)

    def _text(self, at: int) -> str:
        return self._strings[at : self._strings.index(b"\0", at)].decode("ascii", "replace")
