# SPDX-License-Identifier: Apache-2.0
"""Scripts as tests: which files are taken, for which kernels, and what their failures say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from live import CHECKOUT, I386, X86_64

GOOD = "append vsyscall=none\nsyscall close -1 -> EBADF\n"
WRONG = "# a comment\n\nint80 getppid\nint80 close -1 -> ENOSYS  # a note\nint80 getpid\n"


def session(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a folder of programs."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "-n", "0"]
    return subprocess.run(
        [*command, *options, str(folder)],
        cwd=folder if folder.is_dir() else folder.parent,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def write(folder: Path, **scripts: str) -> Path:
    programs = folder / "programs"
    programs.mkdir()
    for name, text in scripts.items():
        (programs / f"{name}.trap").write_text(text)
    return programs


def test_each_kernel_that_runs_it_is_asked(tmp_path: Path) -> None:
    write(tmp_path, good=GOOD, both="int80 close -1 -> EBADF\n")
    (tmp_path / "elsewhere.trap").write_text(WRONG)
    done = session(tmp_path, "--kernel", I386, "--kernel", X86_64)
    assert done.returncode == 0, done.stdout
    assert "programs/both.trap::test_answers[6.1/i386] PASSED" in done.stdout
    assert "programs/both.trap::test_answers[6.1/x86_64] PASSED" in done.stdout
    assert "programs/good.trap::test_answers[6.1/x86_64-vsyscall=none] PASSED" in done.stdout
    assert "elsewhere" not in done.stdout
    assert "3 passed" in done.stdout


def test_a_wrong_answer_gives_its_line(tmp_path: Path) -> None:
    programs = write(tmp_path, wrong=WRONG)
    done = session(programs / "wrong.trap", "--kernel", I386)
    assert done.returncode == 1
    assert "wrong.trap:4: int80 close -1 -> ENOSYS\nanswered: EBADF\n" in done.stdout
    assert "trapgate replay" in done.stdout, "and how it is asked again"


def test_a_way_in_that_is_not_there_is_a_skip(tmp_path: Path) -> None:
    programs = write(tmp_path, skipped="syscall32 close -1 -> EBADF\n")
    done = session(programs, "--kernel", I386, "-rs")
    assert done.returncode == 0, done.stdout
    assert "SKIPPED" in done.stdout
    assert "syscall32: " in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("int80 getpid -> 1\nint80 close 1 2 3 4 5 6 7 -> 0\n", "bad.trap:2: a call takes six"),
        ("int80 close -1 -> EBADFF\n", "bad.trap:1: expected a number, an error's"),
        ("int80 getpid\n", "bad.trap: no statement says what it expects: write -> 0"),
    ],
)
def test_a_bad_file_says_where_and_what_was_expected(text: str, said: str, tmp_path: Path) -> None:
    done = session(write(tmp_path, bad=text), "--kernel", I386)
    assert done.returncode == 2
    assert said in done.stdout
    assert "Traceback" not in done.stdout


def test_our_own_programs_name_their_sources() -> None:
    programs = sorted((CHECKOUT / "scenarios" / "programs").iterdir())
    assert programs
    assert [path.name for path in programs if "\n# Source: " not in path.read_text()] == []
