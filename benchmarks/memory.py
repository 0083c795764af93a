# SPDX-License-Identifier: Apache-2.0
"""What idle clones take of the host's memory: pages of a state's file are shared by all of them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from benchmarks.boot import OPTIONS, kernel_of
from benchmarks.clones import SPECS, ask
from benchmarks.figure import Figure, Row, Target
from harness.target.spring import Spring

_CLONES = 50
_LIMIT_MIB = 1024
_IDLE_S = 0.5


def measure(times: int) -> list[Figure]:
    """Measure each default kernel once: memory does not depend on the host's moods."""
    del times
    return [_measure(Spring(kernel_of(spec), OPTIONS), spec) for spec in SPECS]


def _measure(spring: Spring, spec: str) -> Figure:
    with contextlib.ExitStack() as stack:
        clones = []
        for _ in range(_CLONES):
            clones.append(stack.enter_context(spring.start_clone()))
            ask(clones[-1].guest)
        time.sleep(_IDLE_S)
        shares = tuple(_share_mib(clone.pid) for clone in clones)
    guest_mib = spring.plan.memory_mib
    return Figure(
        f"Memory of {_CLONES} idle clones of {spec}, {guest_mib} MiB each",
        (Row("proportional set size of one QEMU", "MiB", shares),),
        (
            Target(f"MiB for all {_CLONES}", sum(shares), _LIMIT_MIB),
            Target("of what as many whole guests would take", sum(shares) / guest_mib / _CLONES),
        ),
        ("each has answered one getppid, under TCG; Pss of /proc/PID/smaps_rollup",),
    )


def _share_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
