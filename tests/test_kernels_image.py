# SPDX-License-Identifier: Apache-2.0
"""The bzImage header, the payload in every codec, and what a vmlinux says of itself."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import lz4.block
import pytest
import zstandard
from kernel_archive import make_bzimage, make_vmlinux

from harness.arch import ARCH_I386, ARCH_X86_64, Arch
from harness.errors import DeclarationError
from harness.kernels import Kernel, find_source, obtain
from harness.kernels.elf import read_vmlinux
from harness.kernels.image import read_header, version_of
from harness.kernels.payload import decompress, vmlinux_of

BLOCK = 8 << 20


def lz4_legacy(data: bytes) -> bytes:
    """Write what ``lz4 -l`` does: a magic number, then blocks of 8 MiB with their sizes."""
    packed = [
        lz4.block.compress(data[at : at + BLOCK], store_size=False)
        for at in range(0, len(data), BLOCK)
    ]
    return b"\x02\x21\x4c\x18" + b"".join(struct.pack("<I", len(one)) + one for one in packed)


CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "bzip2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=0),
    "lz4": lz4_legacy,
    "zstd": zstandard.ZstdCompressor(1).compress,
    "zstd-stream": lambda data: zstandard.ZstdCompressor(1, write_content_size=False).compress(
        data
    ),
}
codecs = pytest.mark.parametrize("codec", CODECS)


@pytest.fixture(scope="module")
def real() -> Kernel:
    return obtain(find_source("6.1/i386"))


def with_size(packed: bytes, data: bytes) -> bytes:
    """Append the size, as kernel builds do for every codec whose format lacks it."""
    return packed + struct.pack("<I", len(data))


@codecs
def test_a_real_kernel_comes_out_of_every_codec(real: Kernel, codec: str) -> None:
    vmlinux = real.vmlinux.read_bytes() if real.vmlinux else b""
    header = read_header(real.image)
    setup = bytearray(real.image.read_bytes()[: header.payload_offset])
    payload = with_size(CODECS[codec](vmlinux), vmlinux)
    struct.pack_into("<I", setup, 0x24C, len(payload))
    image = bytes(setup) + payload + b"a signature may follow"
    assert vmlinux_of(image, "it") == vmlinux


@codecs
def test_a_stream_cut_short_is_never_taken(codec: str) -> None:
    noise = hashlib.shake_128(b"noise").digest(1 << 20)
    packed = CODECS[codec](make_vmlinux() + noise)
    with pytest.raises(DeclarationError, match=r"cut short|damaged"):
        vmlinux_of(make_bzimage(packed[: len(packed) // 2]), "it")


@codecs
def test_a_bomb_stops_at_the_limit(codec: str) -> None:
    bomb = CODECS[codec](bytes(20 << 20))
    with pytest.raises(DeclarationError, match="grows past"):
        decompress(bomb, "it", limit=1 << 20)


def test_the_default_kernel_is_what_its_package_says(real: Kernel) -> None:
    header = read_header(real.image)
    assert (header.release, header.arch) == (real.release, ARCH_I386)
    assert real.version.series == "6.1"
    assert real.version.patch > 100
    assert not real.pvh
    assert real.boot_file == real.image


def test_the_64_bit_default_boots_by_its_vmlinux() -> None:
    kernel = obtain(find_source("6.1/x86_64"))
    assert kernel.arch is ARCH_X86_64
    assert kernel.pvh
    assert kernel.boot_file == kernel.vmlinux
    assert kernel.config is not None
    assert "CONFIG_IA32_EMULATION=y" in kernel.config.read_text()
    assert kernel.modules["msr"].read_bytes().startswith(b"\x7fELF")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no bzImage"),
        (b"This is a text.\n" * 100, "expected 'HdrS'"),
        (make_bzimage(b"x" * 100)[:0x255], "cut short"),
        (make_bzimage(b"x" * 100)[:-1], "expected 100 bytes of payload"),
        (make_bzimage(b"\x89LZO\0\r\n" * 9), "expected gzip, bzip2"),
        (make_bzimage(gzip.compress(b"no kernel")), "is no ELF file"),
    ],
    ids=["empty", "text", "head", "tail", "codec", "content"],
)
def test_what_is_no_image_is_one_sentence(content: bytes, said: str) -> None:
    with pytest.raises(DeclarationError, match=said) as caught:
        vmlinux_of(content, "it")
    assert "\n" not in str(caught.value)


def test_an_old_boot_protocol_is_refused() -> None:
    image = bytearray(make_bzimage(b"x" * 100))
    struct.pack_into("<H", image, 0x206, 0x207)
    with pytest.raises(DeclarationError, match=r"protocol 2\.07"):
        vmlinux_of(bytes(image), "it")


@pytest.mark.parametrize("arch", [ARCH_I386, ARCH_X86_64], ids=str)
@pytest.mark.parametrize("pvh", [True, False])
def test_a_vmlinux_says_how_it_may_start(tmp_path: Path, arch: Arch, *, pvh: bool) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(make_vmlinux(arch, pvh=pvh, banner="6.12.1-mine"))
    facts = read_vmlinux(file)
    assert (facts.arch, facts.pvh) == (arch, pvh)
    assert facts.banner.startswith("6.12.1-mine (someone)")


def test_a_vmlinux_cut_short_is_one_sentence(tmp_path: Path, real: Kernel) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(real.vmlinux.read_bytes()[:100_000] if real.vmlinux else b"")
    with pytest.raises(DeclarationError, match="no whole ELF file"):
        read_vmlinux(file)


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("6.1.0-50-amd64 (x@y) #1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-02)", "6.1.176"),
        ("7.3-amd64 (x@y) #1 SMP Debian 7.3~rc7-1~exp1 (2026-10-28)", "7.3-rc7"),
        ("6.18.4-mine (me@here) #7 SMP", "6.18.4"),
    ],
)
def test_the_version_is_the_upstream_one(banner: str, version: str) -> None:
    assert str(version_of(banner)) == version
