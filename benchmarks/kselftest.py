# SPDX-License-Identifier: Apache-2.0
"""Linux's own selftests of x86 as static programs, built from Debian's package of the source."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from debian.debfile import DebFile

from harness.errors import HostError
from harness.kernels.catalogue import Package
from harness.kernels.download import download
from harness.kernels.mirrors import find_mirrors
from harness.kernels.reporter import LineReporter
from harness.places import cache_dir

PACKAGE = Package(
    file="pool/main/l/linux/linux-source-6.1_6.1.176-1_all.deb",
    size=139131140,
    sha256="9305d1a151b8e83dcb88aa11361e7b9513f0c252bdf7f5647e4542762d99c094",
)
_TESTS = "tools/testing/selftests"
_NEEDED = (
    f"{_TESTS}/x86/",
    f"{_TESTS}/lib.mk",
    f"{_TESTS}/kselftest",
    "arch/x86/include/asm/desc_defs.h",
    "scripts/subarch.include",
)
_ELF = b"\x7fELF"


def built_selftests() -> list[Path]:
    """Return the programs by name, each ending in _32 or _64; the first time takes minutes.

    Those for which the compiler here lacks something (`-m32`, a static library) are left out.

    Raises:
        HostError: the package cannot be had, or nothing of it can be built.
    """
    folder = cache_dir() / "selftests" / PACKAGE.sha256[:16]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            _build(Path(name), folder)
    return sorted(folder.iterdir())


def _build(scratch: Path, folder: Path) -> None:
    deb, built = scratch / "source.deb", scratch / "built"
    download(PACKAGE, deb, find_mirrors(), LineReporter())
    _unpack(deb, scratch)
    built.mkdir()
    # gcc makes a precompiled header where it fails, so that what is no program goes again.
    command = ["make", "-k", f"-j{os.cpu_count()}", "CC=gcc -static", f"OUTPUT={built}"]
    where = scratch / "linux" / _TESTS / "x86"
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    for path in built.iterdir():
        if not path.read_bytes().startswith(_ELF):
            path.unlink()
    if not any(built.iterdir()):
        raise HostError(f"no selftest of {PACKAGE.name} can be built", evidence=done.stderr[-2000:])
    built.rename(folder)


def _unpack(deb: Path, scratch: Path) -> None:
    """Unpack what is needed of the tar archive that the package holds, as "linux"."""
    with DebFile(str(deb)) as package:
        outer = package.data.tgz()
        source = next(member for member in outer if member.name.endswith(".tar.xz"))
        file = outer.extractfile(source)
        assert file  # noqa: S101 - a file's member has one
        for member, inner in _needed(file):
            inner.extract(member, scratch, filter="data")


def _needed(file: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    with tarfile.open(fileobj=file, mode="r|xz") as inner:
        for member in inner:
            path = member.name.partition("/")[2]
            if path.startswith(_NEEDED):
                yield member.replace(name=f"linux/{path}"), inner
