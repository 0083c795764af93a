# SPDX-License-Identifier: Apache-2.0
"""Fetching a pinned kernel: from whichever mirror has it, verified, once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernel_archive import NAMES_APART, Archive, Heard, Server, serving

from harness.errors import DeclarationError, HostError
from harness.kernels.catalogue import Entry
from harness.kernels.fetch import fetch
from harness.kernels.kernel import Kernel
from harness.kernels.obtain import obtain
from harness.kernels.spec import KernelSource, find_source
from harness.kernels.store import find_cached, folder_of
from harness.kernels.supply import Supply

LIGHT = """
import sys
from harness.kernels import find_source, obtain
obtain(find_source("6.1/i386"))
print({"requests", "debian", "elftools", "zstandard", "filelock", "rich"} & set(sys.modules))
"""


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("TRAPGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRAPGATE_STATE", str(tmp_path / "state"))
    return Archive(tmp_path / "archive")


@pytest.fixture
def server(archive: Archive) -> Iterator[Server]:
    with serving(archive.root) as server:
        yield server


@pytest.fixture
def entry(archive: Archive) -> Entry:
    return archive.entry(archive.add_kernel("6.1.0-9", "6.1.90-1"))


def obtained(entry: Entry, *mirrors: str, with_modules: bool = False) -> Kernel:
    source = KernelSource(entry.spec, entry.arch, entry=entry)
    return obtain(source, Supply(mirrors, with_modules, Heard(), keyrings=()))


def dead_mirror() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_pinned_kernel_arrives_with_what_belongs_to_it(server: Server, entry: Entry) -> None:
    kernel = obtained(entry, server.address)
    assert kernel.release == "6.1.0-9-686"
    assert kernel.config is not None
    assert kernel.config.read_text() == "CONFIG_X86_32=y\n"
    assert kernel.modules["msr"].read_bytes() == b"\x7fELF, or nearly"
    assert kernel.pvh
    assert kernel.provenance is not None
    assert (kernel.provenance.version, kernel.provenance.pinned) == ("6.1.90-1", True)


def test_only_what_is_wanted_stays(server: Server, entry: Entry) -> None:
    folder = obtained(entry, server.address).image.parent
    assert {path.name for path in folder.iterdir()} == {
        *("vmlinuz", "vmlinux", "config", "msr.ko", "kernel.json")
    }


def test_a_cached_kernel_needs_no_mirror(server: Server, entry: Entry) -> None:
    first = obtained(entry, server.address)
    assert obtained(entry, dead_mirror()) == first
    assert len(server.asked) == 1


def test_a_local_folder_is_a_mirror(archive: Archive, entry: Entry) -> None:
    assert obtained(entry, archive.root.as_uri()).release == "6.1.0-9-686"


def test_the_mirror_may_come_from_the_environment(
    server: Server, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAPGATE_MIRROR", f"{dead_mirror()}, {server.address}/\n")
    assert obtained(entry).release == "6.1.0-9-686"


def test_a_dead_mirror_is_passed_over(server: Server, entry: Entry) -> None:
    assert obtained(entry, dead_mirror(), server.address).release == "6.1.0-9-686"


def test_an_altered_package_is_passed_over(archive: Archive, server: Server, entry: Entry) -> None:
    deb = server_copy(archive, entry, "altered")
    content = bytearray(deb.read_bytes())
    content[len(content) // 2] ^= 1
    deb.write_bytes(content)
    kernel = obtained(entry, f"{server.address}/altered", server.address)
    assert kernel.release == "6.1.0-9-686"
    assert sum("altered" in path for path in server.asked) == 2


def test_mirrors_that_are_all_dead_are_one_sentence(entry: Entry) -> None:
    mirrors = [dead_mirror(), dead_mirror(), "http://trapgate.invalid"]
    with pytest.raises(HostError, match="no mirror can be reached") as caught:
        obtained(entry, *mirrors)
    assert all(mirror in caught.value.message for mirror in mirrors)
    assert "--mirror" in caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("address", ["ftp://localhost", "localhost/debian", "/srv/debian"])
def test_a_mirror_that_is_no_address_is_refused(entry: Entry, address: str) -> None:
    with pytest.raises(DeclarationError, match="is no address"):
        obtained(entry, address)


@pytest.mark.parametrize("name", ["vmlinuz", "vmlinux", "config", "msr.ko", "kernel.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"?")])
def test_a_damaged_cache_is_found_out(
    server: Server, entry: Entry, damage: Callable[[Path], object], name: str
) -> None:
    folder = obtained(entry, server.address).image.parent
    damage(folder / name)
    assert find_cached(entry) is None
    assert obtained(entry, server.address).release == "6.1.0-9-686"
    assert find_cached(entry)


def test_a_cache_copied_without_its_times_is_still_whole(server: Server, entry: Entry) -> None:
    kernel = obtained(entry, server.address)
    os.utime(kernel.image, (0, 0))
    assert find_cached(entry) == kernel
    content = bytearray(kernel.image.read_bytes())
    content[-1] ^= 1
    kernel.image.write_bytes(content)
    os.utime(kernel.image, (1, 1))
    assert find_cached(entry) is None


def test_a_package_without_a_kernel_is_one_sentence(archive: Archive, server: Server) -> None:
    package = archive.add("linux-image-6.1.0-9-686-unsigned", "6.1.90-1", {"boot/other": b""})
    with pytest.raises(HostError, match=r"holds no config, msr\.ko, vmlinuz"):
        obtained(archive.entry(package), server.address)
    assert not folder_of(archive.entry(package)).exists()


def test_modules_apart_are_fetched_when_asked_for(archive: Archive, server: Server) -> None:
    packages = archive.add_kernel_apart("6.1.5", "6.1.5-1")
    entry = archive.entry(names=NAMES_APART, packages=packages)
    plain = obtained(entry, server.address)
    assert plain.config is not None
    assert not plain.modules
    assert not any("linux-modules" in path for path in server.asked)
    full = obtained(entry, server.address, with_modules=True)
    assert full.modules["msr"].is_file()
    assert full.image == plain.image
    assert obtained(entry, dead_mirror()) == full


def test_a_password_in_an_address_is_not_repeated(entry: Entry) -> None:
    address = dead_mirror().replace("//", "//me:secret@")
    with pytest.raises(HostError) as caught:
        fetch(entry, Supply((address,), reporter=Heard()))
    assert "secret" not in str(caught.value)


def test_a_cached_kernel_loads_nothing_of_what_fetching_needs() -> None:
    obtain(find_source("6.1/i386"))
    ran = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def server_copy(archive: Archive, entry: Entry, below: str) -> Path:
    """Put a second copy of an entry's package below another mirror's base."""
    file = entry.packages["image"].file
    copy = archive.root / below / file
    copy.parent.mkdir(parents=True)
    copy.write_bytes((archive.root / file).read_bytes())
    return copy
