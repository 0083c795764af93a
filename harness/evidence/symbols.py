# SPDX-License-Identifier: Apache-2.0
"""The kernel's symbols, as /proc/kallsyms has them."""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.evidence.trouble import BadEvidence

MOST_BYTES = 64 << 20
_LINE = re.compile(rb"^([0-9a-f]{8}|[0-9a-f]{16}) [A-Za-z?] (\S+)(?:\t\[\S+\])?\n", re.M)
_FIRST_WORDS = 60


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
    """Names and addresses of one kernel; modules' symbols too.

    Args:
        rows: address and name of each, in any order; not empty.
    """

    def __init__(self, rows: list[tuple[int, str]]) -> None:
        self._rows = sorted(rows, key=lambda row: row[0])
        self._addresses = [address for address, _ in self._rows]

    def find(self, name: str) -> int | None:
        """Return the address of a symbol, None when there is none; of several the lowest."""
        return self._by_name.get(name)

    def __getitem__(self, name: str) -> int:
        """Return the address of a symbol.

        Raises:
            BadEvidence: there is none.
        """
        address = self.find(name)
        if address is None:
            raise BadEvidence(f"this kernel's /proc/kallsyms has no symbol {name}")
        return address

    def at(self, address: int) -> Place | None:
        """Return what is at an address, None below the first symbol."""
        end = bisect.bisect_right(self._addresses, address)
        if not end:
            return None
        start = bisect.bisect_left(self._addresses, self._addresses[end - 1])
        names = tuple(name for _, name in self._rows[start:end])
        return Place(address, names, address - self._addresses[start])

    def end_of(self, address: int) -> int:
        """Return where the next symbol begins; `address` itself behind the last."""
        after = bisect.bisect_right(self._addresses, address)
        return self._addresses[after] if after < len(self._addresses) else address

    def moved(self, slide: int, above: int) -> Symbols:
        """Return the symbols with those at `above` or higher moved by `slide`."""
        rows = [(a + slide if a >= above else a, name) for a, name in self._rows]
        return Symbols(rows) if slide else self

    @functools.cached_property
    def _by_name(self) -> Mapping[str, int]:
        return {name: address for address, name in reversed(self._rows)}


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
    return Symbols(rows)


def _odd_line(text: bytes) -> str:
    lines = text.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        if not _LINE.fullmatch(line + b"\n"):
            return f"line {number} is no symbol: {line[:_FIRST_WORDS]!r}"
    return f"it ends inside a line: {lines[-1][:_FIRST_WORDS]!r}" if text else "it is empty"
