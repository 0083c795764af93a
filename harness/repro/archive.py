# SPDX-License-Identifier: Apache-2.0
"""Bundles and recordings as files: tar archives, compressed by zstd, that need not be well-meant.

Only what `write_archive` writes is read: plain files of the names below, each once and no larger
than said. No name or link out of an archive ever becomes a path.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from harness.errors import DeclarationError
from harness.whole import write_output

Members = Mapping[str, bytes]

SUFFIX = ".tar.zst"
MAGIC = zstandard.FRAME_HEADER
KERNEL = "kernel"
REQUIRED = ("bundle.json", "program.trap", "outcome.txt", "console.txt")
_MIB = 1 << 20
LIMITS = {
    "bundle.json": _MIB,
    "program.trap": 8 * _MIB,
    "outcome.txt": 8 * _MIB,
    "console.txt": 16 * _MIB,
    KERNEL: 256 * _MIB,
}
"""Bytes that a file may have, by its name."""


@dataclass(frozen=True)
class Layout:
    """What an archive of one kind has in it.

    Attributes:
        word: what messages call it.
        required: names of files that are never missing.
        limits: how many bytes each file may have, by its name.
    """

    word: str
    required: tuple[str, ...]
    limits: Mapping[str, int]


BUNDLE = Layout("bundle", REQUIRED, LIMITS)
_LEVEL = 12
_WINDOW_BYTES = 8 * _MIB


def is_archive(path: Path) -> bool:
    """Tell whether a file is compressed as bundles are; False for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def write_archive(path: Path, members: Members) -> None:
    """Write an archive, whole or not at all.

    Raises:
        HostError: it cannot be written.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    write_output(path, zstandard.ZstdCompressor(level=_LEVEL).compress(packed.getvalue()))


def read_archive(path: Path, layout: Layout = BUNDLE) -> Members:
    """Return an archive's files by name.

    Raises:
        DeclarationError: it cannot be read, is damaged, or has what none of its kind has.
    """
    word = layout.word
    members: dict[str, bytes] = {}
    try:
        with path.open("rb") as file:
            expander = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
            for name, content in _read(expander.stream_reader(file), layout):
                if name in members:
                    raise DeclarationError(f"{word} {path} has {name} twice")
                members[name] = content
    except OSError as error:
        raise DeclarationError(f"cannot read the {word} {path}: {error.strerror}") from error
    except (zstandard.ZstdError, tarfile.HeaderError, UnicodeError, ValueError) as error:
        raise DeclarationError(f"{word} {path} is damaged: {error}") from error
    missing = [name for name in layout.required if name not in members]
    if missing:
        raise DeclarationError(f"{word} {path} is damaged: it has no {', '.join(missing)}")
    return members


def _read(stream: BinaryIO, layout: Layout) -> Iterator[tuple[str, bytes]]:
    while any(block := _take(stream, tarfile.BLOCKSIZE)):
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        most = layout.limits.get(info.name)
        if most is None or info.type != tarfile.REGTYPE:
            said = f"no {layout.word} has {info.name!r} as a file of type {info.type!r}"
            raise ValueError(said)
        if not 0 <= info.size <= most:
            raise ValueError(f"{info.name} may have {most} bytes, got {info.size}")
        yield info.name, _take(stream, info.size)
        _take(stream, -info.size % tarfile.BLOCKSIZE)


def _take(stream: BinaryIO, count: int) -> bytes:
    """Return so many bytes."""
    taken = bytearray()
    while len(taken) < count:
        piece = stream.read(count - len(taken))
        if not piece:
            raise ValueError(f"expected {count} bytes, and it ends after {len(taken)}")
        taken += piece
    return bytes(taken)
