# SPDX-License-Identifier: Apache-2.0
"""The kernel's symbols, as /proc/kallsyms has them."""

from __future__ import annotations

import bisect
import re
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.evidence.trouble import BadEvidence, NotShown

MOST_BYTES = 64 << 20
_LINE = re.compile(rb"^([0-9a-f]{8}|[0-9a-f]{16}) [A-Za-z?] (\S+)(?:\t\[\S+\])?\n", re.MULTILINE)
_FIRST_WORDS = 60
_HEAD = struct.Struct("<8sQ")
_MAGIC = b"symbols1"
_TELLING = ("__x64_", "__ia32_")


@dataclass(frozen=True)
class Place:
    """A place in the kernel.

    Attributes:
        address: where it is.
        names: the symbols that begin nearest below it, at least one.
        offset: how far behind their beginning it is.
    """

    address: int
    names: tuple[str, ...]
    offset: int

    def __str__(self) -> str:
        """Return the first name, with the offset where there is one."""
        return f"{self.names[0]}+{self.offset:#x}" if self.offset else self.names[0]


class Symbols:
    """Names and addresses of one kernel.

    Args:
        addresses: in ascending order; not empty.
        names: the symbol at each.
    """

    def __init__(self, addresses: Sequence[int], names: Sequence[str]) -> None:
        self._addresses = addresses
        self._names = names

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Give addresses and names, in ascending order."""
        return zip(self._addresses, self._names, strict=True)

    def find(self, name: str) -> int | None:
        """Return the address of a symbol, None when there is none; of several the lowest."""
        try:
            return self._addresses[self._names.index(name)]
        except ValueError:
            return None

    def __getitem__(self, name: str) -> int:
        """Return the address of a symbol.

        Raises:
            NotShown: there is none.
        """
        address = self.find(name)
        if address is None:
            raise NotShown(f"this kernel's /proc/kallsyms has no symbol {name}")
        return address

    def at(self, address: int) -> Place | None:
        """Return what is at an address, None below the first symbol."""
        end = bisect.bisect_right(self._addresses, address)
        if not end:
            return None
        start = bisect.bisect_left(self._addresses, self._addresses[end - 1])
        names = sorted(self._names[start:end], key=_is_plain)
        return Place(address, tuple(names), address - self._addresses[start])

    def end_of(self, address: int) -> int:
        """Return where the next symbol begins; `address` itself behind the last."""
        after = bisect.bisect_right(self._addresses, address)
        return self._addresses[after] if after < len(self._addresses) else address

    def moved(self, slide: int, above: int) -> Symbols:
        """Return the symbols with those at `above` or higher moved by `slide`."""
        if not slide:
            return self
        return Symbols([a + slide if a >= above else a for a in self._addresses], self._names)

    def encode(self) -> bytes:
        """Return them in a form that is read at once, where the text takes a second."""
        head = _HEAD.pack(_MAGIC, len(self._addresses))
        return head + array("Q", self._addresses).tobytes() + "\n".join(self._names).encode()


def decode_symbols(content: bytes) -> Symbols:
    """Read what `Symbols.encode` gave.

    Raises:
        BadEvidence: it is something else, or cut short.
    """
    magic, count = _HEAD.unpack(content[: _HEAD.size].ljust(_HEAD.size, b"\0"))
    addresses = array("Q")
    end = _HEAD.size + count * addresses.itemsize
    if magic != _MAGIC or not 0 < count <= len(content):
        raise BadEvidence("these are no kept symbols")
    names = content[end:].decode("ascii", "replace").split("\n")
    if end > len(content) or len(names) != count:
        raise BadEvidence(f"kept symbols: expected {count} names, got {len(names)}")
    addresses.frombytes(content[_HEAD.size : end])
    return Symbols(addresses, names)


def parse_kallsyms(text: bytes) -> Symbols:
    """Read /proc/kallsyms.

    Args:
        text: all of it: address, type and name a line, and a module's name in brackets.

    Raises:
        BadEvidence: a line is something else, it is cut short, or all addresses are hidden.
    """
    if len(text) > MOST_BYTES:
        raise BadEvidence(f"/proc/kallsyms: {len(text)} bytes, more than any kernel's")
    rows = [(int(m[1], 16), m[2].decode("ascii", "replace")) for m in _LINE.finditer(text)]
    if len(rows) != text.count(b"\n") or not text.endswith(b"\n"):
        raise BadEvidence(f"/proc/kallsyms: {_odd_line(text)}")
    if not any(address for address, _ in rows):
        raise BadEvidence("/proc/kallsyms: all addresses are hidden (kernel.kptr_restrict)")
    rows.sort(key=lambda row: row[0])
    return Symbols([address for address, _ in rows], [name for _, name in rows])


def _is_plain(name: str) -> bool:
    """Tell names of several at one address that say less of a service routine."""
    return not name.startswith(_TELLING)


def _odd_line(text: bytes) -> str:
    lines = text.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        if not _LINE.fullmatch(line + b"\n"):
            return f"line {number} is no symbol: {line[:_FIRST_WORDS]!r}"
    return f"it ends inside a line: {lines[-1][:_FIRST_WORDS]!r}" if text else "it is empty"
