# SPDX-License-Identifier: Apache-2.0
"""The compressed kernel inside a bzImage, in every form that kernel builds write on x86."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable

import lz4.block
import zstandard

from harness.errors import DeclarationError
from harness.kernels.image import parse_header

LIMIT_BYTES = 1 << 30
_WINDOW_BYTES = 1 << 27  # kernel builds call zstd with --ultra -22, whose window is 128 MiB
_LZ4_BLOCK_BYTES = 8 << 20  # the legacy container's fixed block size
_SIZE_BYTES = 4
_STEP_BYTES = 4096  # so much of a zstd stream becomes 128 MiB at most


def vmlinux_of(image: bytes, name: str) -> bytes:
    """Take the ELF payload out of a bzImage.

    Args:
        image: the whole bzImage; bytes after the payload do not matter.
        name: what to call the file in messages.

    Returns:
        An ELF file's bytes, and perhaps relocations after it.

    Raises:
        DeclarationError: the image is cut short or damaged, or compressed in an unknown way.
    """
    header = parse_header(image, name)
    payload = image[header.payload_offset : header.payload_offset + header.payload_size]
    if len(payload) < max(header.payload_size, _SIZE_BYTES):
        raise DeclarationError(
            f"{name} is cut short: expected {header.payload_size} bytes of payload at byte "
            f"{header.payload_offset}, got {len(payload)}"
        )
    vmlinux = decompress(payload, f"the payload of {name}")
    (size,) = struct.unpack_from("<I", payload, len(payload) - _SIZE_BYTES)
    if len(vmlinux) != size:  # arch/x86/boot/compressed/mkpiggy.c takes it from there, too
        raise DeclarationError(
            f"the payload of {name} is damaged: expected {size} expanded bytes by its last four, "
            f"got {len(vmlinux)}"
        )
    if not vmlinux.startswith(b"\x7fELF"):
        raise DeclarationError(f"the payload of {name} is no ELF file: begins {vmlinux[:8]!r}")
    return vmlinux


def decompress(data: bytes, name: str, limit: int = LIMIT_BYTES) -> bytes:
    """Expand one compressed stream, whatever of the kernel's formats it is in.

    Args:
        data: the stream; what follows its end (a kernel's appended size) is ignored.
        name: what to call it in messages.
        limit: the most bytes that it may become.

    Raises:
        DeclarationError: the format is unknown, the stream is damaged, or it grows past `limit`.
    """
    expand = next((call for magic, call in _CODECS.items() if data.startswith(magic)), None)
    if expand is None:
        raise DeclarationError(
            f"{name} begins {data[:6].hex(' ')}: expected gzip, bzip2, xz, lzma, lz4 or zstd"
        )
    try:
        expanded = expand(data, limit + 1)
    except _DAMAGE as error:
        raise DeclarationError(f"{name} is damaged or cut short: {error}") from error
    if len(expanded) > limit:
        raise DeclarationError(f"{name} grows past {limit} bytes, more than any kernel")
    return expanded


def _gzip(data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    return _ended(stream.decompress(data, limit), limit, ended=stream.eof)


def _bzip2(data: bytes, limit: int) -> bytes:
    stream = bz2.BZ2Decompressor()
    return _ended(stream.decompress(data, limit), limit, ended=stream.eof)


def _xz(data: bytes, limit: int) -> bytes:
    stream = lzma.LZMADecompressor(lzma.FORMAT_AUTO)
    return _ended(stream.decompress(data, limit), limit, ended=stream.eof)


def _zstd(data: bytes, limit: int) -> bytes:
    stream = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj()
    expanded = bytearray()
    for at in range(0, len(data), _STEP_BYTES):
        expanded += stream.decompress(data[at : at + _STEP_BYTES])
        if stream.eof or len(expanded) >= limit:
            break
    return _ended(bytes(expanded), limit, ended=stream.eof)


def _lz4_legacy(data: bytes, limit: int) -> bytes:
    blocks: list[bytes] = []
    position, total = _SIZE_BYTES, 0
    while position + _SIZE_BYTES <= len(data) and total < limit:
        (size,) = struct.unpack_from("<I", data, position)
        if size == total:  # a kernel's appended size stands where the next block would
            break
        block = data[position + _SIZE_BYTES : position + _SIZE_BYTES + size]
        if len(block) < size:
            raise EOFError("the stream ends inside a block")
        blocks.append(lz4.block.decompress(block, uncompressed_size=_LZ4_BLOCK_BYTES))
        total += len(blocks[-1])
        position += _SIZE_BYTES + size
    return b"".join(blocks)


def _ended(expanded: bytes, limit: int, *, ended: bool) -> bytes:
    if not ended and len(expanded) < limit:
        raise EOFError(f"the stream ends after {len(expanded)} expanded bytes")
    return expanded


_DAMAGE = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    lz4.block.LZ4BlockError,
)
_CODECS: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\xfd7zXZ\0": _xz,
    b"\x5d\0\0": _xz,
    b"\x02\x21\x4c\x18": _lz4_legacy,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"\x7fELF": lambda data, limit: data[:limit],
}
