# SPDX-License-Identifier: Apache-2.0
"""A small Debian archive on loopback, with real packages that hold tiny kernels."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import lzma
import struct
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from harness.arch import ARCH_I386, ARCH_X86_64, Arch
from harness.kernels.catalogue import Entry, Package

SETUP_BYTES = 2 * 512
NAMES = {"image": "linux-image-{release}-{flavour}-unsigned"}
NAMES_APART = {
    "image": "linux-binary-{release}-{flavour}",
    "config": "linux-base-{release}-{flavour}",
    "modules": "linux-modules-{release}-{flavour}",
}


class Heard:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Remember the line."""
        self.lines.append(line)

    def progress(self, name: str, done: int, total: int) -> None:
        """Look that the figures make sense."""
        assert name
        assert 0 <= done <= total


def make_vmlinux(arch: Arch = ARCH_I386, *, pvh: bool = True, banner: str = "6.1.0-1-686") -> bytes:
    """Make an ELF file with a note segment and a kernel's banner, and nothing to run."""
    is_64 = arch is ARCH_X86_64
    head, entry = (64, 56) if is_64 else (52, 32)
    note = struct.pack("<III4sI", 4, 4, 18 if pvh else 17, b"Xen", 0x1000000)
    words = "QQQQQQ" if is_64 else "IIIIII"
    ident = b"\x7fELF" + bytes([2 if is_64 else 1, 1, 1]).ljust(12, b"\0")
    elf = ident + struct.pack("<HHI", 2, 62 if is_64 else 3, 1)
    elf += struct.pack("<QQQ" if is_64 else "<III", 0x1000000, head, 0)
    elf += struct.pack("<IHHHHHH", 0, head, entry, 1, 0, 0, 0)
    segment = (head + entry, 0, 0, len(note), len(note))
    if is_64:
        elf += struct.pack(f"<II{words}", 4, 4, *segment, 4)
    else:
        elf += struct.pack(f"<I{words}I", 4, *segment, 4, 4)
    return elf + note + f"Linux version {banner} (someone) #1 SMP\n\0".encode()


def make_bzimage(payload: bytes, arch: Arch = ARCH_I386, banner: str = "6.1.0-1-686") -> bytes:
    """Make a bzImage whose setup header leads to `payload`, which follows at once."""
    head = bytearray(SETUP_BYTES)
    head[0x1F1] = SETUP_BYTES // 512 - 1
    struct.pack_into("<4sH", head, 0x202, b"HdrS", 0x20F)
    struct.pack_into("<H", head, 0x20E, 0x260 - 0x200)
    struct.pack_into("<H", head, 0x236, int(arch is ARCH_X86_64))
    struct.pack_into("<II", head, 0x248, 0, len(payload))
    text = f"{banner} (someone) #1 SMP\0".encode()
    head[0x260 : 0x260 + len(text)] = text
    return bytes(head) + payload


def tiny_image(banner: str, arch: Arch = ARCH_I386) -> bytes:
    vmlinux = make_vmlinux(arch, banner=banner)
    return make_bzimage(gzip.compress(vmlinux), arch, banner)


def tiny_module() -> bytes:
    return lzma.compress(b"\x7fELF, or nearly")


class Archive:
    """A folder laid out as Debian's archive is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.packages: dict[str, list[tuple[str, str, Package]]] = {}

    def add(self, name: str, version: str, files: dict[str, bytes], suite: str = "test") -> Package:
        """Build a real package and list it in a suite."""
        tree = self.root / "build" / f"{name}-{version}"
        control = f"Package: {name}\nVersion: {version}\nArchitecture: i386\n"
        control += "Maintainer: Nobody <nobody@localhost>\nDescription: a test\n"
        for path, content in {"DEBIAN/control": control.encode(), **files}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
        where = f"pool/main/l/linux/{name}_{version}_i386.deb"
        (self.root / where).parent.mkdir(parents=True, exist_ok=True)
        command = [
            "dpkg-deb",
            "--root-owner-group",
            "-Zxz",
            "-b",
            str(tree),
            str(self.root / where),
        ]
        subprocess.run(command, check=True, capture_output=True)
        deb = (self.root / where).read_bytes()
        package = Package(where, len(deb), hashlib.sha256(deb).hexdigest())
        self.packages.setdefault(suite, []).append((name, version, package))
        return package

    def add_kernel(self, release: str, version: str, suite: str = "test") -> Package:
        """Add an image package in the layout up to 6.12."""
        files = {
            f"boot/vmlinuz-{release}-686": tiny_image(f"{release}-686"),
            f"boot/config-{release}-686": b"CONFIG_X86_32=y\n",
            f"lib/modules/{release}-686/kernel/arch/x86/kernel/msr.ko.xz": tiny_module(),
        }
        return self.add(f"linux-image-{release}-686-unsigned", version, files, suite)

    def add_kernel_apart(self, release: str, version: str) -> dict[str, Package]:
        """Add the three packages of the layout from 7.x on."""
        tree = f"usr/lib/modules/{release}-686"
        parts = {
            "image": {f"{tree}/vmlinuz": tiny_image(f"{release}-686")},
            "config": {f"{tree}/config": b"CONFIG_X86_32=y\n"},
            "modules": {f"{tree}/kernel/arch/x86/kernel/msr.ko.xz": tiny_module()},
        }
        named = {role: NAMES_APART[role].format(release=release, flavour="686") for role in parts}
        return {role: self.add(named[role], version, files) for role, files in parts.items()}

    def publish(self, suite: str = "test", home: Path | None = None, fields: str = "") -> None:
        """Write a suite's index, signed where there is a GnuPG home."""
        stanzas = [
            f"Package: {name}\nVersion: {version}\nFilename: {package.file}\n"
            f"Size: {package.size}\nSHA256: {package.sha256}\n"
            for name, version, package in self.packages[suite]
        ]
        index = lzma.compress("\n".join(stanzas).encode())
        folder = self.root / "dists" / suite
        (folder / "main/binary-i386").mkdir(parents=True, exist_ok=True)
        (folder / "main/binary-i386/Packages.xz").write_bytes(index)
        listed = f"{hashlib.sha256(index).hexdigest()} {len(index)} main/binary-i386/Packages.xz"
        release = folder / ("Release" if home else "InRelease")
        release.write_text(f"Origin: Test\n{fields}Suite: {suite}\nSHA256:\n {listed}\n")
        if home:
            gpg(home, "--yes", "--clearsign", "-o", str(folder / "InRelease"), str(release))

    def entry(self, package: Package | None = None, **changes: Any) -> Entry:
        """Return a catalogue entry that is pinned to a package of this archive."""
        packages = {"image": package} if package else {}
        facts: dict[str, Any] = {
            "names": NAMES,
            "packages": packages,
            "suites": ("test",),
        } | changes
        return Entry("6.1/i386", ARCH_I386, "686", default=False, **facts)


def gpg(home: Path, *arguments: str) -> None:
    command = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
    subprocess.run([*command, "--passphrase", "", *arguments], check=True, capture_output=True)


class Server(ThreadingHTTPServer):
    """Serves an archive; `stall_at` bytes into a package it stops until `go_on` is set."""

    daemon_threads = True
    stall_at = 0

    def __init__(self, root: Path) -> None:
        self.go_on, self.stalled, self.asked = threading.Event(), threading.Event(), list[str]()
        super().__init__(("127.0.0.1", 0), lambda *given: _Handler(*given, directory=str(root)))

    @property
    def address(self) -> str:
        """The base address, as a mirror's."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        self.server.asked.append(f"{self.path}")

    def copyfile(self, source: Any, outputfile: Any) -> None:
        with contextlib.suppress(OSError):
            if self.server.stall_at and self.path.endswith(".deb"):
                self._stall(source, outputfile)
            super().copyfile(source, outputfile)

    def _stall(self, source: BinaryIO, outputfile: BinaryIO) -> None:
        outputfile.write(source.read(self.server.stall_at))
        outputfile.flush()
        self.server.stalled.set()
        self.server.go_on.wait(20)


@contextlib.contextmanager
def serving(root: Path) -> Iterator[Server]:
    server = Server(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
