# SPDX-License-Identifier: Apache-2.0
"""`trapgate qemu`: what it prints is run as it stands."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import I386, X86_64, eventually, trapgate

from harness.agent.channel import Port
from harness.agent.client import AgentClient
from harness.agent.frames import FrameStream
from harness.deadline import Deadline

FAST = ("--accel", "tcg")


@contextlib.contextmanager
def pasted(line: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    console = (folder / "console").open("wb")
    with (
        console,
        subprocess.Popen(
            ["sh", "-c", f"exec {line}"], cwd=folder, stdin=subprocess.DEVNULL, stdout=console
        ) as shell,
    ):
        yield shell
        shell.terminate()


@pytest.mark.parametrize("spec", [I386, X86_64])
def test_the_line_boots_the_guest(spec: str, tmp_path: Path) -> None:
    said = trapgate("qemu", *FAST, "--kernel", spec, "--append", "loglevel=7")
    assert said.stderr == ""
    (line,) = said.stdout.splitlines()
    with pasted(line, tmp_path), socket.socket(socket.AF_UNIX) as frames:
        eventually((tmp_path / "frames.sock").is_socket)
        frames.connect(str(tmp_path / "frames.sock"))
        hello = AgentClient(FrameStream(Port(frames))).greet(Deadline.after(60, "boot"))
        assert (hello.abi.name, hello.is_init) == (spec.partition("/")[2], True)
        eventually(lambda: b"Run /init as init process" in (tmp_path / "console").read_bytes())


def test_the_options_are_in_the_line() -> None:
    options = ("--cpu", "pentium3", "--memory", "64", "--append", "a=b c", "--append", "d")
    words = shlex.split(trapgate("qemu", *FAST, *options).stdout)
    assert words[words.index("-cpu") + 1] == "pentium3"
    assert words[words.index("-m") + 1] == "64M"
    assert words[-1].endswith(" a=b c d")
