# SPDX-License-Identifier: Apache-2.0
"""Plain command lines are read as typer reads them, and all others are left to it."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import Application
from harness.cli.call import call
from harness.cli.commands import SETTINGS
from harness.cli.exec import execute
from harness.cli.explain import explain
from harness.cli.quick import Command, NotPlainError, read_line

PLAIN = [
    (call, "getpid"),
    (call, "--json getpid"),
    (call, "--kernel 6.1/x86_64 --entry int80 read 0 @hole -1"),
    (call, "--kernel= --timeout 1.5 getpid"),
    (call, "--register eax=1 --register=ebx=-2 7 --json --nope -- x"),
    (call, "--memory 256 --append a=b --append c --mirror http://x/ --boot 0x7"),
    (explain, "--kernel 6.1/i386 --entry vdso32 --json clock_gettime 1 buf:16"),
    (execute, "/bin/true -a --env A=B"),
    (execute, "--timeout 3 --env A=B --env C= --accel tcg --cpu max ./x"),
]
NOT_PLAIN = [
    *(
        "",
        "--help",
        "--nope getpid",
        "-5",
        "-- getpid",
        "--json=yes getpid",
        "--kernel",
        "--kernel x",
    ),
    *("--memory x getpid", "--memory 1_0 getpid", "--timeout 1e3 getpid", "--timeout nan getpid"),
    *("--append -x getpid", "--kern x getpid"),
]


@pytest.mark.parametrize(("command", "line"), PLAIN)
def test_a_plain_line_is_read_as_typer_reads_it(command: Command, line: str) -> None:
    assert read_line(command, line.split()) == by_typer(command, line.split())


@pytest.mark.parametrize("line", NOT_PLAIN)
def test_any_other_line_is_left_to_typer(line: str) -> None:
    with pytest.raises(NotPlainError):
        read_line(call, line.split())


def test_a_path_is_a_path() -> None:
    assert read_line(execute, ["a"])["path"] == Path("a")


def by_typer(command: Command, line: list[str]) -> dict[str, Any]:
    """Return what typer gives to a command instead of running it."""
    given: dict[str, Any] = {}

    def remember(**values: Any) -> None:
        given.update(values)

    remember.__signature__ = command.__signature__  # type: ignore[attr-defined]
    application = Application(add_completion=False)
    application.command(context_settings=SETTINGS)(remember)
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        application(line)
    return given
