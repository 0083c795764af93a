# SPDX-License-Identifier: Apache-2.0
"""The one command that reproduces a failure: what its guest was asked, asked again."""

from __future__ import annotations

import hashlib
import re
import shlex
from pathlib import Path

import pytest

from harness.agent.guest import Guest
from harness.errors import TrapgateError
from harness.kernels import KernelSource
from harness.places import state_dir
from harness.plugin.configuration import Configuration
from harness.script.header import header_of
from harness.script.lifting import lift
from harness.script.statements import CallStatement, Header, Script
from harness.script.writing import write_command, write_script

SUFFIX = ".trap"
_SECTION = "reproduce"
_LONGEST = 120


def add_reproduction(item: pytest.Item, report: pytest.TestReport, guest: Guest) -> None:
    """Put the command into a failure, and into its properties.

    Nothing is put where nothing was asked. What stands in the way of it is said in its place: the
    failure itself matters more.
    """
    try:
        command = find_command(item, guest)
    except (TrapgateError, OSError) as error:
        command = f"not written: {error}"
    if command:
        report.sections.append((_SECTION, command))
        for properties in (report.user_properties, item.user_properties):  # JUnit's has the last
            properties.append((_SECTION, command))


def find_command(item: pytest.Item, guest: Guest) -> str | None:
    """Return a command that asks a guest of the same kernel what this one was asked.

    One call is a `trapgate call`. Anything else is written to a script for `trapgate replay`.

    Returns:
        One line for a shell; None when nothing was asked.

    Raises:
        OSError: the script cannot be written.
    """
    header = _header(item)
    statements = lift(guest.asked, guest.table)
    if not statements:
        return None
    if len(statements) == 1 and isinstance(statements[0], CallStatement) and not guest.asked.lost:
        command = write_command(header, statements[0])
        if command:
            return _at_target(item, command)
    comments = [f"What {item.nodeid} asked; behind # stands what was answered."]
    if guest.asked.lost:
        comments.append(f"Of what was asked, the first {guest.asked.lost} were not kept.")
    path = _folder(item.config) / _file_name(item.nodeid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write_script(Script(header, statements), comments), encoding="utf-8")
    return _at_target(item, shlex.join(["trapgate", "replay", str(path)]))


def _header(item: pytest.Item) -> Header:
    """Return the machine of a test, as far as it is not the usual one."""
    configuration = _configuration(item)
    if not isinstance(configuration.source, KernelSource):
        return Header()
    return header_of(_lasting(configuration.source), configuration.options)


def _configuration(item: pytest.Item) -> Configuration:
    assert isinstance(item, pytest.Function)  # noqa: S101
    configuration = item.callspec.params["configuration"]
    assert isinstance(configuration, Configuration)  # noqa: S101
    return configuration


def _at_target(item: pytest.Item, command: str) -> str:
    """Return a command of `trapgate` that asks the real host that a test asks, if it does."""
    source = _configuration(item).source
    if isinstance(source, KernelSource):
        return command
    program, name, rest = command.split(" ", 2)
    return f"{program} {name} --target {shlex.quote(source.spec)} {rest}"


def _lasting(source: KernelSource) -> str:
    """Return a kernel's spec as it can be given in any folder."""
    named = source.entry or not Path(source.spec).exists()
    return source.spec if named else str(Path(source.spec).resolve())


def _folder(config: pytest.Config) -> Path:
    given = config.getoption("--reproduce-dir")
    return Path(given).resolve() if given else state_dir() / _SECTION


def _file_name(nodeid: str) -> str:
    """Return a name that says which test it was, and is no other's."""
    plain = re.sub(r"[^\w.,=+-]+", "-", nodeid).strip("-")
    digest = hashlib.sha256(nodeid.encode()).hexdigest()[:8]
    return f"{plain[:_LONGEST]}-{digest}{SUFFIX}"
