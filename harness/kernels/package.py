# SPDX-License-Identifier: Apache-2.0
"""What is kept of a kernel package: the image, the configuration and the wanted modules."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from debian.arfile import ArError
from debian.debfile import DebError, DebFile

from harness.errors import DeclarationError, HostError
from harness.kernels.payload import decompress

IMAGE, CONFIG = "vmlinuz", "config"
WANTED_MODULES = ("msr",)

_MODULE_TREE = r"(?:usr/)?lib/modules/[^/]+"
_KEPT = {
    IMAGE: re.compile(rf"boot/vmlinuz-[^/]+|{_MODULE_TREE}/vmlinuz"),
    CONFIG: re.compile(rf"boot/config-[^/]+|{_MODULE_TREE}/config"),
    **{
        f"{name}.ko": re.compile(rf"{_MODULE_TREE}/(?:.+/)?{name}\.ko(?:\.\w+)?")
        for name in WANTED_MODULES
    },
}
MODULES = tuple(name for name in _KEPT if name.endswith(".ko"))


def unpack(deb: Path, name: str, wanted: tuple[str, ...], into: Path) -> None:
    """Write the wanted files of a kernel package into a folder; modules are expanded.

    The package is read no further than the last of them, which spares most of its 400 MB.

    Args:
        deb: the package file.
        name: what to call the package in messages.
        wanted: which of `IMAGE`, `CONFIG` and `MODULES`.
        into: the folder.

    Raises:
        HostError: the package cannot be read, or lacks a wanted file.
        OSError: `into` cannot be written.
    """
    missing = set(wanted)
    try:
        for kept, content in _members(deb):
            if kept in missing:
                missing.remove(kept)
                (into / kept).write_bytes(_expanded(kept, content, name))
            if not missing:
                return
    except (ArError, DebError, DeclarationError, EOFError, tarfile.TarError) as error:
        raise HostError(f"package {name} cannot be unpacked: {error}") from error
    raise HostError(f"package {name} holds no {', '.join(sorted(missing))}")


def _members(deb: Path) -> Iterator[tuple[str, bytes]]:
    with DebFile(str(deb)) as package:
        archive = package.data.tgz()
        for member in archive:
            path = member.name.removeprefix("./").removeprefix("/")
            kept = next((name for name, where in _KEPT.items() if where.fullmatch(path)), None)
            if kept and member.isfile():
                file = archive.extractfile(member)
                yield kept, file.read() if file else b""


def _expanded(kept: str, content: bytes, package: str) -> bytes:
    return decompress(content, f"{kept} of {package}") if kept in MODULES else content
