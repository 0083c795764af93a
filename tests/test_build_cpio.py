# SPDX-License-Identifier: Apache-2.0
"""The archive that a guest starts from, read back by somebody else."""

from __future__ import annotations

import shutil
import stat
import subprocess
from itertools import permutations

import pytest

from harness.arch import ARCHES, Arch
from harness.build.cpio import Entry, character_device, folder, program, write_newc
from harness.build.initramfs import build_initramfs

ENTRIES = [
    folder("dev"),
    character_device("dev/console", 5, 1),
    program("init", b"\x7fELF" + bytes(101)),
    program("odd", b"abc"),
]


def read_newc(archive: bytes) -> list[Entry]:
    """Read an archive as the kernel's documentation describes it, without our writer's code."""
    entries, at = [], 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode()
        content_at = (at + 110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return entries
        content = archive[content_at : content_at + fields[6]]
        entries.append(Entry(name, fields[1], content, (fields[9], fields[10])))
        at = (content_at + fields[6] + 3) // 4 * 4


def test_the_same_input_gives_the_same_bytes() -> None:
    archives = {write_newc(order) for order in permutations(ENTRIES)}
    assert len(archives) == 1
    assert len(archives.pop()) % 512 == 0


def test_an_independent_reader_finds_everything() -> None:
    assert read_newc(write_newc(ENTRIES)) == sorted(ENTRIES)


@pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
def test_cpio_lists_it() -> None:
    command = ["cpio", "-itv", "--quiet"]
    said = subprocess.run(command, input=write_newc(ENTRIES), capture_output=True, check=True)
    lines = said.stdout.decode().splitlines()
    assert [line.split()[-1] for line in lines] == ["dev", "dev/console", "init", "odd"]
    assert lines[1].startswith("crw-------")


@pytest.mark.parametrize("arch", ARCHES.values(), ids=str)
def test_a_guest_gets_an_agent_and_its_executors(arch: Arch) -> None:
    built = build_initramfs(arch)
    entries = {entry.path: entry for entry in read_newc(built.path.read_bytes())}
    executables = {"init", *(f"executor.{abi}" for abi in arch.abis)}
    assert executables <= entries.keys()
    assert all(stat.S_IMODE(entries[name].mode) == 0o755 for name in executables)
    assert build_initramfs(arch) == built
