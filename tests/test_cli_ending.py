# SPDX-License-Identifier: Apache-2.0
"""Signals that ask a command to end: it tidies up, and dies of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from live import CHECKOUT, PROGRAM, emulators_of, eventually, is_there

COMMAND = """
import signal, sys
from harness.cli.ending import endings_heard

signal.signal(signal.SIGHUP, signal.SIG_IGN if "ignored" in sys.argv else signal.SIG_DFL)
with endings_heard():
    try:
        print("begun", flush=True)
        input()
    finally:
        print("tidied")
print("went on")
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a command that waits, and return it when it does."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    here = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], env=here, text=True, **pipes
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_tidies_up_and_dies_of_the_signal(number: signal.Signals) -> None:
    with start() as process:
        process.send_signal(number)
        said, _ = process.communicate()
    assert (process.returncode, said) == (-number, "tidied\n")


def test_what_is_ignored_stays_so() -> None:
    with start("ignored") as process:
        process.send_signal(signal.SIGHUP)
        said, _ = process.communicate("\n")
    assert (process.returncode, said) == (0, "tidied\nwent on\n")


@pytest.mark.parametrize("line", ["call --accel tcg pause", "explain --accel tcg getppid"])
def test_a_guest_ends_with_its_command(line: str, tmp_path: Path) -> None:
    with started(tmp_path, *line.split()) as process:
        emulators = eventually(lambda: emulators_of(process.pid))
        process.send_signal(signal.SIGTERM)
    assert process.returncode == -signal.SIGTERM
    assert eventually(lambda: not any(map(is_there, emulators)))
    assert not list(tmp_path.iterdir())


def started(folder: Path, *line: str) -> subprocess.Popen[bytes]:
    """Start a command whose temporary files lie in a folder."""
    here = os.environ | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(folder)}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *line], env=here)
