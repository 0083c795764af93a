# SPDX-License-Identifier: Apache-2.0
"""Files of a guest's, and of this host's."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from harness.agent.arguments import Buffer
from harness.agent.guest import Guest
from harness.entry import native_entry
from harness.errors import DeclarationError

_ENTRY = struct.Struct("<QqHB")
_CHUNK = Buffer(4096)
_KINDS = {1: "|", 2: "", 4: "/", 6: "", 8: "", 10: "@", 12: "="}
_O_DIRECTORY = 0o200000


def list_folder(guest: Guest, path: str) -> list[str]:
    """Return the names in a folder of a guest, sorted, with ls's marks: / @ | = behind them.

    Source: include/linux/dirent.h struct linux_dirent64, 6.1.

    Raises:
        DeclarationError: the guest has no such folder.
    """
    native = native_entry(guest.identity.arch.abi)
    opened = guest.call(native, "open", os.fsencode(path) + b"\0", _O_DIRECTORY)
    if opened.errno:
        raise DeclarationError(f"cannot list {path}: {os.strerror(opened.errno)}")
    names: list[str] = []
    size = _CHUNK.size_bytes
    while (got := guest.call(native, "getdents64", opened.value, _CHUNK, size)).value > 0:
        names += _names_in(got.memory[0][: got.value])
    guest.call(native, "close", opened.value)
    return sorted(names)


def _names_in(entries: bytes) -> Iterator[str]:
    while entries:
        _, _, size_bytes, kind = _ENTRY.unpack_from(entries)
        name = os.fsdecode(entries[_ENTRY.size : size_bytes].partition(b"\0")[0])
        if name not in (".", ".."):
            yield name + _KINDS.get(kind, "")
        entries = entries[size_bytes:]


def read_here(path: Path) -> bytes:
    """Return what a file of this host's holds.

    Raises:
        DeclarationError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DeclarationError(f"cannot read {path}: {error.strerror}") from error
