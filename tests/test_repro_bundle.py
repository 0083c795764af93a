# SPDX-License-Identifier: Apache-2.0
"""Bundles: what goes in comes out, and what somebody else made of one does no harm."""

from __future__ import annotations

import io
import json
import resource
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard
from live import I386, X86_64, trapgate

from harness.errors import DeclarationError
from harness.kernels import find_source, obtain
from harness.repro.archive import LIMITS, is_archive, read_archive, write_archive
from harness.repro.opening import open_program

MANIFEST: Mapping[str, Any] = {
    "format": 1,
    "kernel": {"spec": "mine", "release": "6.99-mine", "sha256": "00ff"},
    "machine": {},
    "versions": {},
    "outcome": "fail",
    "message": "as \x1b[2Jsaid",
    "answers": ["1"],
}
MEMBERS = {
    "bundle.json": json.dumps(MANIFEST).encode(),
    "program.trap": b"kernel 6.1/i386\nint80 getpid\n",
    "outcome.txt": b"",
    "console.txt": b"",
}
PROGRAM = 'fd = syscall open "/proc/version" 0\nsyscall close $fd -> 0\nsyscall close $fd -> 0\n'


def pack(path: Path, *entries: tuple[tarfile.TarInfo, bytes], end: bool = True) -> Path:
    """Write an archive of entries that nobody has checked."""
    packed = io.BytesIO()
    for info, content in entries:
        packed.write(info.tobuf(tarfile.GNU_FORMAT))
        packed.write(content + bytes(-len(content) % 512))
    packed.write(bytes(1024) if end else b"")
    path.write_bytes(zstandard.compress(packed.getvalue()))
    return path


def entry(name: str, content: bytes = b"", **said: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in said.items():
        setattr(info, key, value)
    return info, content


GOOD = [entry(name, content) for name, content in MEMBERS.items()]


def bundle_of(folder: Path, **changed: bytes) -> Path:
    """Write a bundle with other contents of some files, whose names have _ for a dot."""
    other = {name.replace("_", "."): content for name, content in changed.items()}
    write_archive(folder / "b.tar.zst", MEMBERS | other)
    return folder / "b.tar.zst"


def manifest(**changed: object) -> bytes:
    return json.dumps({**MANIFEST, **changed}).encode()


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    members = MEMBERS | {"kernel": bytes(range(256)) * 4096}
    write_archive(tmp_path / "x", members)
    assert read_archive(tmp_path / "x") == members
    assert is_archive(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    "bad",
    [
        entry("../program.trap", b"x"),
        entry("/etc/passwd", b"x"),
        entry("extra", b"x"),
        entry("kernel", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry("kernel", type=tarfile.LNKTYPE, linkname="program.trap"),
        entry("kernel", type=tarfile.CHRTYPE),
        entry("kernel", type=tarfile.DIRTYPE),
        entry("kernel", b"x" * 600, type=tarfile.XHDTYPE),
        entry("kernel", b"x" * 600, type=tarfile.GNUTYPE_LONGNAME),
        entry("kernel", size=LIMITS["kernel"] + 1),
        entry("kernel", size=1 << 60),
        entry("kernel", size=-512),
        entry("program.trap", b"int80 getpid\n"),
    ],
    ids=lambda bad: f"{bad[0].name}-{bad[0].type.decode()}-{bad[0].size}",
)
def test_what_no_bundle_has_is_refused(bad: tuple[tarfile.TarInfo, bytes], tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar.zst", *GOOD, bad)
    with pytest.raises(DeclarationError, match=r"x\.tar\.zst (?:is damaged|has program\.trap)"):
        read_archive(path)
    assert [found.name for found in tmp_path.iterdir()] == ["x.tar.zst"]


def test_a_bomb_is_not_expanded(tmp_path: Path) -> None:
    compressor = zstandard.ZstdCompressor()
    info, _ = entry("console.txt", size=8 << 30)
    with compressor.stream_writer((tmp_path / "bomb").open("wb")) as stream:
        stream.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(512):
            stream.write(bytes(1 << 20))
    assert (tmp_path / "bomb").stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DeclarationError, match=f"may have {16 << 20} bytes, got {8 << 30}"):
        read_archive(tmp_path / "bomb")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_damage_is_said(tmp_path: Path) -> None:
    whole = bundle_of(tmp_path).read_bytes()
    for place, content in enumerate([whole[:40], whole[:4] + b"\xff" * 60, whole[:-9]]):
        path = tmp_path / f"damaged{place}"
        path.write_bytes(content)
        with pytest.raises(DeclarationError, match="is damaged"):
            read_archive(path)
    unfinished = pack(tmp_path / "unfinished", *GOOD[:2])
    with pytest.raises(DeclarationError, match=r"it has no outcome\.txt, console\.txt"):
        read_archive(unfinished)
    wide = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    ).compressobj()
    (tmp_path / "wide").write_bytes(wide.compress(bytes(1 << 20)) + wide.flush())
    with pytest.raises(DeclarationError, match="is damaged"):
        read_archive(tmp_path / "wide")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bundle_json": b"[" * 100_000}, "damaged manifest"),
        ({"bundle_json": b"[]"}, "damaged manifest"),
        ({"bundle_json": manifest(kernel=3)}, "damaged manifest"),
        ({"bundle_json": manifest(answers=None)}, "damaged manifest"),
        ({"bundle_json": manifest(format=2)}, "another format than 1"),
        ({"program_trap": b"\xff"}, "is no text"),
        ({"program_trap": b"nonsense\n"}, r"program\.trap:1: expected a statement"),
        ({"program_trap": b"memory 60000\nint80 getpid\n"}, "wants a guest of 60000 MiB"),
        ({"program_trap": b"kernel /etc/passwd\nint80 getpid\n"}, "give that kernel with --kernel"),
        ({"program_trap": b"kernel host\nint80 getpid\n"}, "its sha256 is 00ff"),
    ],
    ids=str,
)
def test_what_a_bundle_says_is_not_believed(
    changed: dict[str, bytes], said: str, tmp_path: Path
) -> None:
    path = bundle_of(tmp_path, **changed)
    with pytest.raises(DeclarationError, match=said), open_program(path):
        pass


def test_what_it_says_cannot_reach_the_terminal(tmp_path: Path) -> None:
    with open_program(bundle_of(tmp_path)) as opened:
        assert opened.manifest
        assert opened.manifest.message == "as \\x1b[2Jsaid"


def test_a_failure_is_seen_again_from_its_bundle(tmp_path: Path) -> None:
    (tmp_path / "f.trap").write_text(PROGRAM)
    output = tmp_path / "bug.tar.zst"
    made = trapgate("bundle", str(tmp_path / "f.trap"), "-o", str(output))
    assert made.returncode == 0, made.stderr
    said = "fail: statement 3 was not answered as expected"
    assert made.stdout.endswith(f"{output}, 1 KiB: {said}\n")
    again = trapgate("replay", str(output))
    assert again.returncode == 1
    assert f"recorded: {said}\nhere: {said}\nthe same kernel, sha256 " in again.stdout
    assert again.stdout.endswith("every statement answered as recorded\n")
    other = trapgate("replay", "--kernel", "6.12/x86_64", str(output))
    assert "another kernel: recorded 6.1." in other.stdout


def test_a_panic_goes_into_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "f.trap").write_text('file "/proc/sysrq-trigger" raw:"c"\nint80 getpid\n')
    output = tmp_path / "bug.tar.zst"
    made = trapgate("bundle", "--kernel", I386, str(tmp_path / "f.trap"), "-o", str(output))
    assert made.returncode == 0, made.stderr
    assert ": panic: the kernel panicked: " in made.stdout
    assert b"sysrq triggered crash" in read_archive(output)["console.txt"]
    again = trapgate("replay", str(output))
    assert again.returncode == 1
    assert "recorded: panic" in again.stdout


def test_a_users_kernel_is_named_or_brought(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(obtain(find_source(X86_64)).image.read_bytes())
    (tmp_path / "f.trap").write_text("syscall close -1 -> EBADF\n")
    making = ("bundle", "--kernel", str(image), str(tmp_path / "f.trap"), "-o")
    alone, whole = tmp_path / "alone.tar.zst", tmp_path / "whole.tar.zst"
    assert trapgate(*making, str(alone)).returncode == 0
    assert trapgate(*making, str(whole), "--with-kernel").returncode == 0
    assert str(tmp_path).encode() not in b"".join(read_archive(alone).values())
    image.rename(tmp_path / "kept")
    refused = trapgate("replay", str(alone))
    assert refused.returncode == 2
    assert "is about bzImage" in refused.stderr
    assert "give that kernel with --kernel; its sha256 is" in refused.stderr
    assert trapgate("replay", "--kernel", str(tmp_path / "kept"), str(alone)).returncode == 0
    assert "the same kernel" in trapgate("replay", str(whole)).stdout


def test_nothing_is_begun_for_a_place_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "f.trap").write_text(PROGRAM)
    said = trapgate("bundle", str(tmp_path / "f.trap"), "-o", str(tmp_path / "no" / "x.tar.zst"))
    assert (said.returncode, said.stdout) == (2, "")
    assert "there is no folder" in said.stderr
