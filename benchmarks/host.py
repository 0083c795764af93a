# SPDX-License-Identifier: Apache-2.0
"""What figures were measured on, as far as it bears on them."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from harness.tools import require_tool


def describe_host() -> dict[str, str]:
    """Return processor, memory, load and versions; nothing that tells whose machine it is."""
    loads = " ".join(f"{load:.2f}" for load in os.getloadavg())
    return {
        "processor": f"{_first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": _first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "qemu": _qemu(),
        "python": platform.python_version(),
        "load average": loads,
    }


def _first(path: str, key: str) -> str:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "?")


def _qemu() -> str:
    command = [str(require_tool("qemu-system-x86_64")), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0] if said else "?"
