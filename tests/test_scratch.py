# SPDX-License-Identifier: Apache-2.0
"""Folders for a while: gone with their user, and with the next one if that was killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from live import CHECKOUT

from harness.errors import HostError
from harness.scratch import scratch_folder

HOLDER = """
from harness.scratch import scratch_folder
with scratch_folder("held") as folder:
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRAPGATE_CACHE", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_whatever_ends_its_use() -> None:
    with contextlib.suppress(KeyboardInterrupt), scratch_folder("some") as folder:
        (folder / "file").touch()
        raise KeyboardInterrupt
    assert not folder.exists()


def test_what_a_killed_process_has_left_goes_and_what_a_living_one_uses_stays() -> None:
    command = [sys.executable, "-c", HOLDER]
    here = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen(command, env=here, text=True, **pipes) as living,
        subprocess.Popen(command, env=here, text=True, **pipes) as killed,
    ):
        assert living.stdout
        assert killed.stdout
        used, left = (Path(one.stdout.readline().strip()) for one in (living, killed))
        killed.kill()
        killed.wait()
        assert left.is_dir()
        with scratch_folder("next"):
            assert not left.exists()
            assert used.is_dir()
        living.communicate("\n")
    assert not used.exists()


def test_a_cache_that_cannot_be_written_is_said(cache: Path) -> None:
    (cache / "scratch").touch()
    with pytest.raises(HostError, match="no folder can be made there"), scratch_folder("some"):
        pass
