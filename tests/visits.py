# SPDX-License-Identifier: Apache-2.0
"""Agents on real hosts, as tests start them: what runs, and whether anything of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from live import CHECKOUT, eventually, is_there

BUSY = """
import sys
from harness.arch import X86_64
from harness.entry import SYSCALL
from harness.target.host import open_host
with open_host(sys.argv[1]) as host, host.start() as guest:
    guest.probe(X86_64, "puppet")
    print("busy", flush=True)
    guest.call(SYSCALL, "pause", timeout_s=300)
"""
"""Leaves a process behind that nobody waits for, and waits in a call for ever."""


def family(pid: int) -> set[int]:
    """Return all descendants of a process."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.parent.name))
    found, wanted = set(), [pid]
    while wanted:
        children = parents.get(wanted.pop(), [])
        found |= {*children}
        wanted += children
    return found


def rooms(folder: Path) -> list[Path]:
    """Return the agents' folders in a folder."""
    return list(folder.glob("trapgate-agent-*"))


@contextlib.contextmanager
def busy_visit(target: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start a harness that has an agent make a call which does not come back; kill it at last."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, target],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "busy\n", process.stderr and process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def assert_gone_after(end: signal.Signals, process: subprocess.Popen[str], host: int) -> None:
    """Send a signal to a harness, and see that what a host's process has started is gone.

    Args:
        end: the signal.
        process: the harness.
        host: the process whose descendants the agent and all of its own are.
    """
    before = family(host) - {process.pid}
    assert len(before) >= 3, "keeper, agent, executor, and what it has left"
    process.send_signal(end)
    eventually(lambda: not [pid for pid in before if is_there(pid)])
