# SPDX-License-Identifier: Apache-2.0
"""This host's QEMU: which it is, and how it is started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from typing import IO

from harness.machine.allocation import emulator_environment
from harness.tools import find_tool, require_tool

EMULATOR = "qemu-system-x86_64"
_PATIENCE_S = 20


def spawn_emulator(
    arguments: Iterable[str], errors: IO[bytes], descriptors: Sequence[int]
) -> subprocess.Popen[bytes]:
    """Start QEMU so that it dies when we do, however we die.

    Args:
        arguments: its own.
        errors: where it complains.
        descriptors: what it inherits beside.

    Raises:
        HostError: it is not here.
    """
    guard = [str(require_tool("setpriv")), "--pdeathsig", "KILL", "--"]
    return subprocess.Popen(
        [*guard, str(require_tool(EMULATOR)), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=emulator_environment(),
        pass_fds=descriptors,
        start_new_session=True,
    )


def find_qemu_version() -> str:
    """Return what this host's QEMU calls its version, empty when it does not say so."""
    qemu = find_tool(EMULATOR)
    if not qemu:
        return ""
    try:
        done = subprocess.run(
            [qemu, "--version"], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = done.stdout.split()
    return words[words.index("version") + 1] if "version" in words[:-1] else ""
