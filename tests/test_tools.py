# SPDX-License-Identifier: Apache-2.0
"""System programs are found, and a missing one is named with the command that installs it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from harness.distribution import FAMILIES, Family, find_family
from harness.errors import HostError
from harness.tools import TOOLS, find_tool, install_command, packages, require_tool, require_tools

NAMES = [tool.name for tool in TOOLS]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the whole search path, and empty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path


def pretend(monkeypatch: pytest.MonkeyPatch, release: dict[str, str], uid: int = 0) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    monkeypatch.setattr(os, "geteuid", lambda: uid)


def put(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/false\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_on_an_empty_path(name: str, folder: Path) -> None:
    assert folder.is_dir()
    assert find_tool(name) is None


def test_gcc_comes_before_clang(folder: Path) -> None:
    clang = put(folder, "clang")
    assert find_tool("cc") == clang
    assert find_tool("cc") != put(folder, "gcc")
    assert find_tool("cc") == folder / "gcc"


def test_cc_in_the_environment_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "gcc")
    monkeypatch.setenv("CC", str(put(folder, "gcc-12")))
    assert require_tool("cc") == folder / "gcc-12"


def test_a_cc_that_does_not_exist_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "gcc")
    monkeypatch.setenv("CC", "ccache gcc")
    with pytest.raises(HostError, match="CC=ccache gcc not found") as caught:
        require_tool("cc")
    assert "unset CC" in caught.value.hint


@pytest.mark.usefixtures("folder")
def test_root_is_told_the_command_without_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"ID": "debian"})
    with pytest.raises(HostError, match="qemu-system-x86_64 not found") as caught:
        require_tool("qemu-system-x86_64")
    assert "'apt-get install -y qemu-system-x86'" in caught.value.hint
    assert "trapgate doctor --install" in caught.value.hint


@pytest.mark.usefixtures("folder")
def test_a_user_is_told_one_command_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, uid=1000)
    with pytest.raises(HostError) as caught:
        require_tools(["qemu-system-x86_64", "cc"])
    assert "'sudo apt-get install -y qemu-system-x86 gcc'" in caught.value.hint


@pytest.mark.usefixtures("folder")
def test_an_unknown_distribution_is_told_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"ID": "beos"})
    with pytest.raises(HostError) as caught:
        require_tool("qemu-system-x86_64")
    assert "what Debian calls qemu-system-x86" in caught.value.hint
    assert "doctor --install" not in caught.value.hint


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ({"ID": "fedora"}, "dnf install -y qemu-system-x86"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf install -y qemu-system-x86"),
        ({"ID": "arch"}, "pacman -S --needed --noconfirm qemu-system-x86"),
        (
            {"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"},
            "zypper --non-interactive install qemu-x86",
        ),
        ({"ID": "alpine"}, "apk add qemu-system-x86_64"),
    ],
    ids=lambda value: value.get("ID") if isinstance(value, dict) else "",
)
def test_each_family_has_its_command(
    release: dict[str, str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, release)
    assert install_command(TOOLS[:1]) == command


def test_a_host_without_os_release_has_no_family(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> dict[str, str]:
        raise OSError

    monkeypatch.setattr(platform, "freedesktop_os_release", fail)
    assert find_family() is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.manager)
def test_every_tool_has_a_package_everywhere(family: Family) -> None:
    assert [tool.name for tool in TOOLS if not tool.packages.get(family)] == []


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.manager)
def test_a_package_is_named_once(family: Family) -> None:
    names = packages([*TOOLS, *TOOLS], family)
    assert len(names) == len(set(names))
