# SPDX-License-Identifier: Apache-2.0
"""Thousands of clones in a row: every one answers, and nothing is left of any."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from errno import ENOENT
from functools import partial
from pathlib import Path

from benchmarks.boot import OPTIONS, kernel_of
from benchmarks.clones import ask
from benchmarks.figure import Figure, Row, Target
from harness.entry import INT80
from harness.errors import HostError, TrapgateError
from harness.machine.state import states_dir
from harness.target.pool import ClonePool
from harness.target.spring import Spring

SPECS = ("6.1/x86_64", "6.1/i386")
CLONES = 5000
_FEW = 1000
_TRACE = b"/was-here\0"


def measure(times: int) -> list[Figure]:
    """Take 5,000 clones of each default kernel back, and start 1,000 of each anew; once."""
    del times
    springs = [(spec, Spring(kernel_of(spec), OPTIONS)) for spec in SPECS]
    ways = (("taken back", CLONES, True), ("each a process of its own", _FEW, False))
    return [
        _soak(spring, f"{count} clones of {spec} in a row, {way}", count, again=again)
        for spec, spring in springs
        for way, count, again in ways
    ]


def _soak(spring: Spring, title: str, count: int, *, again: bool) -> Figure:
    spring.find_state()
    before = _leftovers()
    begin = time.monotonic()
    with ClonePool(spring, size=3, starters=2, again=again) as pool:
        lost = sum(not _succeeds(partial(_use, pool)) for _ in range(count))
    elapsed_s = time.monotonic() - begin
    after = _leftovers()
    left = (Target(f"{what} left over", after[what] - before[what], 0) for what in before)
    return Figure(
        title,
        (Row("clones a second", "1/s", (count / elapsed_s,)),),
        (Target("clones lost", lost, 0), *left),
        ("each must not find the file that the one before has left, and makes it",),
    )


def _use(pool: ClonePool) -> None:
    with pool.take() as clone:
        ask(clone.guest)
        if clone.guest.call(INT80, "access", _TRACE, 0).errno != ENOENT:
            raise HostError("a clone remembers another")
        clone.guest.write_file(_TRACE.decode().rstrip("\0"), b"was here")


def _succeeds(use: Callable[[], None]) -> bool:
    try:
        use()
    except TrapgateError as error:
        print(f"lost: {error}", flush=True)
        return False
    return True


def _leftovers() -> dict[str, int]:
    """Count what clones could leave behind."""
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "processes": sum(_parent(entry) == os.getpid() for entry in Path("/proc").glob("[0-9]*")),
        "temporary files": len(list(Path(tempfile.gettempdir()).glob("trapgate-*"))),
        "unfinished states": len(list(states_dir().glob(".*"))),
    }


def _parent(process: Path) -> int:
    """Return the number of a process's parent, 0 when it has just ended."""
    with contextlib.suppress(OSError):
        return int((process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    return 0
