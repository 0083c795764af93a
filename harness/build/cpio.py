# SPDX-License-Identifier: Apache-2.0
"""The newc cpio archive that the kernel unpacks as its first root file system.

Source: Documentation/driver-api/early-userspace/buffer-format.rst (6.1).
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, order=True)
class Entry:
    """One file, folder or device node of the archive.

    Attributes:
        path: where it goes, without a leading slash.
        mode: type and permission bits, as in ``st_mode``.
        content: a file's bytes; empty for anything else.
        device: major and minor number of a device node.
    """

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(path: str) -> Entry:
    """Return a folder that everybody may enter."""
    return Entry(path, stat.S_IFDIR | 0o755)


def program(path: str, content: bytes) -> Entry:
    """Return an executable file."""
    return Entry(path, stat.S_IFREG | 0o755, content)


def file(path: str, content: bytes) -> Entry:
    """Return a file that only root may read."""
    return Entry(path, stat.S_IFREG | 0o600, content)


def character_device(path: str, major: int, minor: int) -> Entry:
    """Return a character device node; writing one into an archive needs no privilege."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def write_newc(entries: Iterable[Entry]) -> bytes:
    """Return the archive of `entries`, sorted by path: the same bytes from the same input.

    Folders have to be among the entries; they sort before what is in them.
    """
    records = [_record(entry, number) for number, entry in enumerate(sorted(entries), start=1)]
    archive = b"".join(records) + _record(Entry(_TRAILER, 0), 0)
    return archive + bytes(-len(archive) % 512)


def _record(entry: Entry, inode: int) -> bytes:
    name = entry.path.encode() + b"\0"
    major, minor = entry.device
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    owner, when, where, checksum = (0, 0), (0,), (0, 0), (0,)
    size = len(entry.content)
    numbers = (inode, entry.mode, *owner, links, *when, size, *where, major, minor)
    header = _MAGIC + b"".join(b"%08X" % n for n in (*numbers, len(name), *checksum))
    return _padded(header + name) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
