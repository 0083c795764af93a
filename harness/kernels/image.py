# SPDX-License-Identifier: Apache-2.0
"""The bzImage setup header, by Documentation/arch/x86/boot.rst."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from harness.arch import ARCH_I386, ARCH_X86_64, Arch
from harness.errors import DeclarationError
from harness.version import KernelVersion

HEADER_BYTES = 0x10000  # kernel_version is a 16-bit offset from 0x200, so the text is within this
_SETUP_SECTS, _MAGIC, _PROTOCOL = 0x1F1, 0x202, 0x206
_KERNEL_VERSION, _XLOADFLAGS, _PAYLOAD = 0x20E, 0x236, 0x248
_END_OF_FIELDS = 0x250
_PROTOCOL_WITH_PAYLOAD, _PROTOCOL_WITH_XLOADFLAGS = 0x208, 0x20C
_XLF_KERNEL_64 = 1
_DEBIAN_VERSION = re.compile(r" Debian (\d\S+)")


@dataclass(frozen=True)
class ImageHeader:
    """What the setup header says.

    Attributes:
        banner: the kernel_version text: release, builder, build version.
        arch: what the kernel was built for.
        payload_offset: where the compressed kernel begins, in bytes from the file's start.
        payload_size: its length in bytes.
    """

    banner: str
    arch: Arch
    payload_offset: int
    payload_size: int

    @property
    def release(self) -> str:
        """What `uname -r` will say."""
        return self.banner.split(" ", 1)[0]

    @property
    def version(self) -> KernelVersion:
        """The kernel's version, see `version_of`."""
        return version_of(self.banner)


def version_of(banner: str) -> KernelVersion:
    """Read the version from a kernel's own words.

    Args:
        banner: release, builder and build version, as in `ImageHeader.banner`. Debian keeps a
            release ("6.1.0-50") over many stable updates and says the real one at the end.

    Raises:
        DeclarationError: there is no version in it.
    """
    debian = _DEBIAN_VERSION.search(banner)
    return KernelVersion.parse(debian[1] if debian else banner.split(" ", 1)[0])


def read_header(image: Path) -> ImageHeader:
    """Read the setup header of a bzImage file.

    Raises:
        DeclarationError: the file is no bzImage or is older than protocol 2.08.
        OSError: the file cannot be read.
    """
    with image.open("rb") as file:
        return parse_header(file.read(HEADER_BYTES), str(image))


def parse_header(head: bytes, name: str) -> ImageHeader:
    """Read the setup header from a bzImage's first bytes.

    Args:
        head: at least the first `HEADER_BYTES`, or the whole of a shorter file.
        name: what to call the file in messages.

    Raises:
        DeclarationError: these are no bzImage's first bytes, or the protocol is before 2.08.
    """
    if len(head) < _END_OF_FIELDS or head[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise DeclarationError(
            f"{name} is no bzImage: expected 'HdrS' at byte {_MAGIC:#x}, "
            f"got {head[_MAGIC : _MAGIC + 4]!r}"
        )
    (protocol,) = struct.unpack_from("<H", head, _PROTOCOL)
    if protocol < _PROTOCOL_WITH_PAYLOAD:
        raise DeclarationError(
            f"{name} has boot protocol {protocol >> 8}.{protocol & 0xFF:02d}: "
            "expected 2.08 or later"
        )
    return ImageHeader(_banner(head, name), _arch(head, protocol), *_payload(head))


def _banner(head: bytes, name: str) -> str:
    (pointer,) = struct.unpack_from("<H", head, _KERNEL_VERSION)
    text = head[pointer + 0x200 :].split(b"\0", 1)[0] if pointer else b""
    if not text[:1].isdigit():
        raise DeclarationError(
            f"{name} says no version in its setup header: expected text at byte "
            f"{pointer + 0x200:#x}, got {text[:16]!r}; the file may be cut short"
        )
    return text.decode("ascii", "replace")


def _arch(head: bytes, protocol: int) -> Arch:
    (flags,) = struct.unpack_from("<H", head, _XLOADFLAGS)
    is_64 = protocol >= _PROTOCOL_WITH_XLOADFLAGS and flags & _XLF_KERNEL_64
    return ARCH_X86_64 if is_64 else ARCH_I386


def _payload(head: bytes) -> tuple[int, int]:
    offset, size = struct.unpack_from("<II", head, _PAYLOAD)
    setup_sectors = head[_SETUP_SECTS] or 4  # 0 means 4, says boot.rst
    return (setup_sectors + 1) * 512 + offset, size
