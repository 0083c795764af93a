# SPDX-License-Identifier: Apache-2.0
"""Which QEMU this host has."""

from __future__ import annotations

import subprocess

from harness.tools import find_tool

EMULATOR = "qemu-system-x86_64"
_PATIENCE_S = 20


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
