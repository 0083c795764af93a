# SPDX-License-Identifier: Apache-2.0
"""`trapgate call` and `trapgate exec` from a shell, their state kept: from nothing to the end.

Beside them what nobody can do without: Python's start, and that of a QEMU until it greets. Of our
own process also the processor time, which a busy host changes less.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.boot import kernel_of
from benchmarks.figure import Figure, Row, Target, interleaved
from harness.errors import HostError
from harness.tools import require_tool

SPEC = "6.1/x86_64"
_TARGET_S = 0.15
_PROGRAM = "from harness.cli import main; main()"
_OPTIONS = ("--accel", "tcg", "--kernel", SPEC)
_SOURCE = 'void _start(void) { asm volatile("syscall" : : "a"(231), "D"(0)); }'


def measure(times: int) -> list[Figure]:
    """Measure `times` commands of each kind, in turn."""
    kernel_of(SPEC)
    with tempfile.TemporaryDirectory(prefix="trapgate-bench-") as scratch:
        folder = Path(scratch)
        call = _trapgate("call", "getpid")
        execute = _trapgate("exec", str(_compiled(folder)))
        commands = {"python -c pass": [sys.executable, "-c", "pass"], "call": call, "exec": execute}
        environment = _as_installed(folder)
        for command in commands.values():
            _run(command, environment)  # bytecode, the state, files into the page cache
        elapsed = [(what, partial(_time, c, environment)) for what, c in commands.items()]
        rows = interleaved(times, [*elapsed, ("QEMU's start to its greeting", _time_qemu)])
        spent = [
            (f"{what}, processor time of our process", partial(_time_spent, c, environment))
            for what, c in commands.items()
        ]
        spent_rows = interleaved(times, spent, unit="ms")
    return [Figure(f"Commands on {SPEC}", (*rows, *spent_rows), _targets(rows), _NOTES)]


_BARE = ("-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-S")
_WATCH = """
import atexit, resource, sys
def tell(said=resource.getrusage):
    used = said(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, file=sys.stderr)
atexit.register(tell)
"""
_NOTES = (
    "TCG; the state is kept, the bytecode compiled; from fork to exit as a shell waits for it",
)


def _targets(rows: Sequence[Row]) -> tuple[Target, ...]:
    bare, call, execute, emulator = (row.median for row in rows)
    floor = bare + emulator
    return (
        Target("seconds of a call", call, _TARGET_S),
        Target("seconds of a program", execute, _TARGET_S),
        Target("seconds of a call beyond those of Python and QEMU", call - floor),
    )


def _trapgate(command: str, argument: str) -> list[str]:
    return [sys.executable, "-c", _PROGRAM, command, *_OPTIONS, argument]


def _as_installed(folder: Path) -> dict[str, str]:
    """Return an environment in which modules are compiled once, as an installed package's are."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def _compiled(folder: Path) -> Path:
    """Return a program that does nothing but end."""
    source, program = folder / "nothing.c", folder / "nothing"
    source.write_text(_SOURCE, encoding="utf-8")
    command = [str(require_tool("cc")), "-nostdlib", "-static", "-o", str(program), str(source)]
    subprocess.run(command, check=True)
    return program


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"{command[-2:]} ended with {done.returncode}", evidence=done.stderr)


def _time(command: Sequence[str], environment: dict[str, str]) -> float:
    begin = time.monotonic()
    _run(command, environment)
    return time.monotonic() - begin


def _time_spent(command: Sequence[str], environment: dict[str, str]) -> float:
    """Return the milliseconds of processor time that a command itself has taken, without QEMU."""
    watched = [*command[:2], _WATCH + command[2], *command[3:]]
    done = subprocess.run(watched, env=environment, capture_output=True, text=True, check=True)
    return float(done.stderr.splitlines()[-1]) * 1000


def _time_qemu() -> float:
    """Return the seconds until a QEMU with an empty machine greets on its monitor."""
    here, there = socket.socketpair()
    command = [str(require_tool("qemu-system-x86_64")), *_BARE]
    command += [
        "-chardev",
        f"socket,id=monitor,fd={there.fileno()}",
        "-mon",
        "monitor,mode=control",
    ]
    begin = time.monotonic()
    with (
        here,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[there.fileno()]) as process,
    ):
        there.close()
        greeting = here.recv(1)
        elapsed_s = time.monotonic() - begin
        process.kill()
    if not greeting:
        raise HostError("qemu did not greet")
    return elapsed_s
