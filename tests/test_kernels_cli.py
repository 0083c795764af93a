# SPDX-License-Identifier: Apache-2.0
"""``trapgate kernels`` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = "from harness.cli import main; main()"


def kernels(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "kernels", *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list_fits_a_page_without_a_terminal() -> None:
    said = kernels("list", COLUMNS="40")
    assert said.returncode == 0
    lines = said.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("6.1/i386 (default)") for line in lines)
    assert "\x1b" not in said.stdout


def test_the_list_as_json_says_what_is_in_the_cache(tmp_path: Path) -> None:
    said = kernels("list", "--json", TRAPGATE_CACHE=str(tmp_path))
    rows = {row["spec"]: row for row in json.loads(said.stdout)}
    assert rows["6.1/i386"]["default"]
    assert not rows["6.1/i386"]["cached"]
    assert rows["7.2/x86_64"]["size_bytes"] < 20_000_000


def test_path_prints_what_is_booted_and_nothing_else() -> None:
    boot = Path(kernels("path", "6.1/x86_64").stdout.removesuffix("\n"))
    assert boot.read_bytes().startswith(b"\x7fELF")
    config = Path(kernels("path", "6.1/x86_64", "--config").stdout.removesuffix("\n"))
    assert "CONFIG_X86_64=y" in config.read_text()


def test_an_unknown_kernel_is_exit_status_2_and_a_sentence() -> None:
    said = kernels("fetch", "6.1/i368")
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr.startswith("trapgate: no kernel is called '6.1/i368'\ndid you mean 6.1/i386")


def test_no_kernel_at_all_is_exit_status_2() -> None:
    said = kernels("fetch")
    assert said.returncode == 2
    assert "give a spec, or --all" in said.stderr


def test_without_a_mirror_it_is_said_what_to_give(tmp_path: Path) -> None:
    said = kernels("fetch", "6.1/i386", TRAPGATE_CACHE=str(tmp_path), PATH=str(tmp_path))
    assert said.returncode == 2
    assert "no Debian mirror is known" in said.stderr
    assert "give the address of a Debian mirror with --mirror or TRAPGATE_MIRROR" in said.stderr
