# SPDX-License-Identifier: Apache-2.0
"""The catalogue's data is whole, and specs mean what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kernel_archive import make_bzimage, make_vmlinux

from harness.arch import ARCH_I386, ARCH_X86_64
from harness.errors import DeclarationError
from harness.kernels import find_source
from harness.kernels.catalogue import Entry, all_entries, default_specs, find_entry

ENTRIES = all_entries()
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.spec)


@every_entry
def test_an_entry_is_pinned_to_a_package_of_its_own_series(entry: Entry) -> None:
    assert entry.packages.keys() == entry.names.keys()
    release = entry.release_in(entry.packages["image"].name)
    assert release
    for role, package in entry.packages.items():
        assert package.name == entry.package_name(role, release)
        assert package.version == entry.packages["image"].version
        assert package.file.endswith(f"_{entry.arch.debian}.deb")


@every_entry
def test_a_pin_is_a_hash_and_a_size_of_files_that_stay(entry: Entry) -> None:
    for package in entry.packages.values():
        assert int(package.sha256, 16) >> 255 <= 1
        assert len(package.sha256) == 64
        assert package.size > 100_000
        assert not package.security


def test_no_file_is_pinned_twice() -> None:
    pins = [package.sha256 for entry in ENTRIES for package in entry.packages.values()]
    assert len(pins) == len(set(pins))


def test_the_default_is_one_kernel_of_each_architecture() -> None:
    assert default_specs() == ("6.1/i386", "6.1/x86_64")


def test_entries_come_oldest_first() -> None:
    series = list(dict.fromkeys(entry.spec.partition("/")[0] for entry in ENTRIES))
    assert series == ["5.10", "6.1", "6.5", "6.12", "7.2", "7.3-rc"]


@pytest.mark.parametrize(
    ("spec", "package", "release"),
    [
        ("6.1/x86_64", "linux-image-6.1.0-50-amd64-unsigned", "6.1.0-50"),
        ("6.1/x86_64", "linux-image-6.1.0-0.deb11.52-amd64-unsigned", "6.1.0-0.deb11.52"),
        ("6.1/x86_64", "linux-image-6.1.0-50-rt-amd64-unsigned", None),
        ("6.1/x86_64", "linux-image-6.1.0-50-cloud-amd64-unsigned", None),
        ("6.1/x86_64", "linux-image-6.12.94+deb13-amd64-unsigned", None),
        ("6.1/i386", "linux-image-6.1.0-50-686-pae-unsigned", None),
        ("6.1/i386-rt", "linux-image-6.1.0-50-rt-686-pae-unsigned", "6.1.0-50"),
        ("6.12/x86_64-rt", "linux-image-6.12.94+deb13-rt-amd64-unsigned", "6.12.94+deb13"),
        ("7.2/x86_64", "linux-binary-7.2.13+deb14-amd64", "7.2.13+deb14"),
        ("7.3-rc/x86_64", "linux-binary-7.3-amd64", "7.3"),
    ],
)
def test_a_package_name_tells_its_release(spec: str, package: str, release: str | None) -> None:
    entry = find_entry(spec)
    assert entry
    assert entry.release_in(package) == release


def test_a_spec_of_the_catalogue_is_found_without_its_files() -> None:
    source = find_source("6.12/x86_64-rt")
    assert source.arch is ARCH_X86_64
    assert source.id == "6.12/x86_64-rt"
    assert source.files is None


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("6.1/i368", "6.1/i386"),
        ("6.1/", "6.1/i386"),
        ("6.1", "6.1/x86_64"),
        ("6.1/arm64", "6.1/x86_64"),
        ("x86_64", "6.1/x86_64"),
        ("", "kernels list"),
        ("../../etc/6.1", "bzImage"),
        ("6.1/" + "x" * 5000, "6.1/i386"),
        ("6.1/\0", "6.1/i386"),
    ],
)
def test_an_unknown_spec_names_its_neighbours(spec: str, hint: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        find_source(spec)
    assert hint in caught.value.hint


def test_a_path_is_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bzImage").write_bytes(make_bzimage(b"x" * 64, ARCH_X86_64))
    (tmp_path / "vmlinux").write_bytes(make_vmlinux(ARCH_I386))
    monkeypatch.chdir(tmp_path)
    assert find_source("./bzImage").arch is ARCH_X86_64
    assert find_source("vmlinux").arch is ARCH_I386
    assert find_source(str(tmp_path / "bzImage")).id == "bzImage"


def test_a_build_tree_is_its_image(tmp_path: Path) -> None:
    boot = tmp_path / "arch/x86/boot"
    boot.mkdir(parents=True)
    (boot / "bzImage").write_bytes(make_bzimage(b"x" * 64))
    (tmp_path / "vmlinux").write_bytes(make_vmlinux(ARCH_I386))
    (tmp_path / ".config").write_text("CONFIG_X86_32=y\n")
    files = find_source(str(tmp_path)).files
    assert files
    assert (files.image, files.config) == (boot / "bzImage", tmp_path / ".config")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is no built kernel tree"),
        (lambda path: path.write_text("#!/bin/sh\n" * 100), "is no bzImage"),
        (lambda path: path.write_bytes(b"\x7fELF"), "ELF machine 0"),
        (lambda path: path.symlink_to("nowhere"), "is not there"),
    ],
    ids=["empty folder", "script", "four bytes", "dead link"],
)
def test_a_path_that_is_no_kernel_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    make(tmp_path / "it")
    with pytest.raises(DeclarationError, match=said) as caught:
        find_source(str(tmp_path / "it"))
    assert "\n" not in caught.value.message
