# SPDX-License-Identifier: Apache-2.0
"""A user's own kernels: images, payloads, build trees."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from kernel_archive import make_bzimage, make_vmlinux, tiny_image

from harness.arch import ARCH_X86_64
from harness.errors import DeclarationError
from harness.kernels import Kernel, find_source, obtain, tell_apart
from harness.kernels.files import host_files


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRAPGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kernel_at(path: Path) -> Kernel:
    return obtain(find_source(str(path)))


def build_tree(root: Path) -> Path:
    for folder in ("arch/x86/boot", "arch/x86/kernel"):
        (root / folder).mkdir(parents=True)
    (root / "arch/x86/boot/bzImage").write_bytes(tiny_image("6.18.1-mine", ARCH_X86_64))
    (root / "arch/x86/kernel/msr.ko").write_bytes(b"\x7fELF")
    (root / ".config").write_text("CONFIG_X86_64=y\n")
    return root


def test_a_bzimage_gets_its_payload_taken_out_once(tmp_path: Path, cache: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(tiny_image("6.18.1-mine", ARCH_X86_64))
    first = kernel_at(image)
    assert (first.release, str(first.version)) == ("6.18.1-mine", "6.18.1")
    assert (first.image, first.boot_file) == (image, first.vmlinux)
    assert first.vmlinux is not None
    assert first.vmlinux.is_relative_to(cache / "images")
    before = first.vmlinux.stat()
    assert kernel_at(image) == first
    assert first.vmlinux.stat() == before


def test_a_changed_image_is_another_kernel(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(tiny_image("6.18.1-mine", ARCH_X86_64))
    first = kernel_at(image)
    image.write_bytes(tiny_image("6.18.2-mine", ARCH_X86_64))
    second = kernel_at(image)
    assert second.release == "6.18.2-mine"
    assert (first.sha256, first.vmlinux) != (second.sha256, second.vmlinux)


def test_a_build_tree_brings_its_configuration_and_modules(tmp_path: Path) -> None:
    tree = build_tree(tmp_path / "linux")
    kernel = kernel_at(tree)
    assert kernel.config == tree / ".config"
    assert kernel.modules == {"msr": tree / "arch/x86/kernel/msr.ko"}
    assert kernel.arch is ARCH_X86_64
    assert kernel.provenance is None


def test_compressed_modules_are_expanded(tmp_path: Path, cache: Path) -> None:
    tree = build_tree(tmp_path / "linux")
    module = tree / "arch/x86/kernel/msr.ko"
    module.with_name("msr.ko.xz").write_bytes(lzma.compress(module.read_bytes()))
    module.unlink()
    kept = kernel_at(tree).modules["msr"]
    assert kept.is_relative_to(cache)
    assert kept.read_bytes() == b"\x7fELF"


def test_a_vmlinux_with_the_note_is_used_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(make_vmlinux(ARCH_X86_64, banner="6.18.1-mine"))
    kernel = kernel_at(file)
    assert kernel.image == kernel.vmlinux == kernel.boot_file == file
    assert kernel.release == "6.18.1-mine"


def test_a_vmlinux_without_the_note_asks_for_the_bzimage(tmp_path: Path) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(make_vmlinux(pvh=False))
    with pytest.raises(DeclarationError, match="no PVH entry note") as caught:
        kernel_at(file)
    assert "give its bzImage" in caught.value.hint


def test_a_damaged_image_leaves_nothing_in_the_cache(tmp_path: Path, cache: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(make_bzimage(b"\x1f\x8b" + bytes(500)))
    with pytest.raises(DeclarationError, match=r"payload of kernel .* is damaged or cut short"):
        kernel_at(image)
    assert not list(cache.glob("images/*"))


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    specs = ["6.1/i386"]
    for folder in ("old/x86", "new/x86", "other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "bzImage").write_bytes(tiny_image("6.18.1-mine", ARCH_X86_64))
        specs.append(str(tmp_path / folder / "bzImage"))
    alone = [source.id for source in tell_apart([find_source(spec) for spec in specs[:2]])]
    assert alone == ["6.1/i386", "bzImage"]
    told = [source.id for source in tell_apart([find_source(spec) for spec in [*specs, specs[1]]])]
    old = "old/x86/bzImage"
    assert told == ["6.1/i386", old, "new/x86/bzImage", "other/bzImage", old]


def test_the_host_without_an_image_is_told_so() -> None:
    with pytest.raises(DeclarationError, match=r"expected /boot/vmlinuz-0\.0-none") as caught:
        host_files("0.0-none")
    assert "kernels list" in caught.value.hint
