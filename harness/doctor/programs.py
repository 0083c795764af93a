# SPDX-License-Identifier: Apache-2.0
"""Look for the system programs, and ask each for its version."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator

from harness.doctor.command import run
from harness.doctor.finding import Finding, Standing
from harness.tools import TOOLS, Tool, advise_install, find_tool

_VERSION_PATIENCE_S = 10


def examine_programs() -> Iterator[Finding]:
    """Look at Python and at every program of `harness.tools.TOOLS`.

    Returns:
        One finding for each; the detail holds version and path.
    """
    yield Finding("python", Standing.OK, f"{platform.python_version()} ({sys.executable})")
    yield from (_examine_tool(tool) for tool in TOOLS)


def _examine_tool(tool: Tool) -> Finding:
    path = find_tool(tool.name)
    if not path:
        return Finding(tool.name, Standing.ABSENT, tool.purpose, tool.required, _remedy(tool))
    ended = run([path, "--version"], timeout_s=_VERSION_PATIENCE_S)
    version = next(iter(ended.output.splitlines()), "no version")
    standing = Standing.OK if ended.status == 0 else Standing.FAILED
    return Finding(tool.name, standing, f"{version} ({path})", tool.required)


def _remedy(tool: Tool) -> str:
    # What is required gets one command for all of it, behind the findings.
    return "" if tool.required else advise_install([tool])
