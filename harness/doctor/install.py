# SPDX-License-Identifier: Apache-2.0
"""Install the required programs that are missing, or say in one command how to."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence

from harness.distribution import Family, find_family
from harness.doctor.command import Ended, run
from harness.errors import HostError
from harness.tools import TOOLS, Tool, advise_install, find_tool, packages, require_tools

_PATIENCE_S = 1800
_LAST_LINES = 12


def find_missing() -> list[Tool]:
    """Return the required programs that are not there."""
    return [tool for tool in TOOLS if tool.required and not find_tool(tool.name)]


def install_missing(say: Callable[[str], None]) -> None:
    """Install every required program that is missing, without asking anything.

    Args:
        say: is told, in one line each, what begins and what is done.

    Raises:
        HostError: they could not be installed; it names the packages and the command.
    """
    missing = find_missing()
    wanted = [tool for tool in missing if not tool.override]
    if wanted:
        install(wanted, say)
    require_tools(tool.name for tool in missing)


def install(wanted: Sequence[Tool], say: Callable[[str], None]) -> None:
    """Install programs, without asking anything.

    Args:
        wanted: which; at least one.
        say: is told, in one line each, what begins and what is done.

    Raises:
        HostError: they could not be installed.
    """
    family = _require_family(wanted)
    names = packages(wanted, family)
    privilege = _find_privilege(wanted)
    say(f"installing {', '.join(names)} with {family.manager}")
    ended = _attempt(family, names, privilege)
    if ended.status != 0:
        raise _failure(wanted, f"{family.manager} failed", ended.last_lines(_LAST_LINES))
    say(f"installed {', '.join(names)}")


def _require_family(wanted: Sequence[Tool]) -> Family:
    family = find_family()
    if not family:
        raise _failure(wanted, "this distribution's package manager is not one of the known ones")
    if not shutil.which(family.manager):
        raise _failure(wanted, f"{family.manager} not found")
    return family


def _find_privilege(wanted: Sequence[Tool]) -> tuple[str, ...]:
    if os.geteuid() == 0:
        return ()
    if not shutil.which("sudo"):
        raise _failure(wanted, "this user is not root, and there is no sudo")
    return ("sudo",) if sys.stdin and sys.stdin.isatty() else ("sudo", "-n")


def _attempt(family: Family, names: Sequence[str], privilege: Sequence[str]) -> Ended:
    """Install; if that fails, for want of lists or for stale ones, fetch them and try again."""
    command = (*family.install, *family.unattended, *names)
    ended = _run_as_root(privilege, command)
    if ended.status == 0 or not family.refresh:
        return ended
    _run_as_root(privilege, family.refresh)
    return _run_as_root(privilege, command)


def _run_as_root(privilege: Sequence[str], command: Sequence[str]) -> Ended:
    # sudo drops the environment, and only what env(1) sets behind it arrives.
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive")
    return run([*privilege, *quiet, *command], timeout_s=_PATIENCE_S)


def _failure(wanted: Sequence[Tool], reason: str, evidence: str = "") -> HostError:
    names = ", ".join(tool.name for tool in wanted)
    said = f"the package manager's last lines:\n{evidence}" if evidence else ""
    return HostError(
        f"cannot install {names}: {reason}", hint=advise_install(wanted), evidence=said
    )
