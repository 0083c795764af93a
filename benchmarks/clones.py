# SPDX-License-Identifier: Apache-2.0
"""What a pristine kernel costs: a clone from nothing, from a pool, or taken back in place."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.boot import OPTIONS, kernel_of
from benchmarks.figure import Figure, Row, Target, interleaved
from harness.agent.guest import Guest
from harness.entry import INT80
from harness.errors import HostError
from harness.target.pool import ClonePool
from harness.target.spring import Clone, Spring

SPECS = ("6.1/x86_64", "6.1/i386")
_FROM_NOTHING_S, _FROM_POOL_S, _PER_S = 0.10, 0.03, 20
_IN_A_ROW = 60
_READY_S = 0.3


def measure(times: int) -> list[Figure]:
    """Measure `times` rounds for each default kernel."""
    return [_measure(Spring(kernel_of(spec), OPTIONS), spec, times) for spec in SPECS]


def _measure(spring: Spring, spec: str, times: int) -> Figure:
    spring.find_state()
    with ClonePool(spring, size=3, starters=2) as pool:
        pooled = interleaved(
            times, [("taken from a pool, to its answer", partial(from_pool, pool))]
        )
        rate = Row("created, asked and ended, a second", "1/s", (throughput(pool),))
    single = (
        ("spawned, to its answer", partial(from_nothing, spring)),
        ("taken back, to its answer", partial(taken_back, spring)),
    )
    rows = (*pooled, *interleaved(times, single), rate)
    targets = (
        Target("seconds from a pool", rows[0].median, _FROM_POOL_S),
        Target("seconds from nothing", rows[1].median, _FROM_NOTHING_S),
        Target("clones a second", rate.median, _PER_S, at_most=False),
    )
    return Figure(f"Clones of {spec}", rows, targets, ("one getppid each, under TCG",))


def ask(guest: Guest) -> None:
    """Have the guest's kernel answer once."""
    if guest.call(INT80, "getppid").value != 1:
        raise HostError("the guest answered something else")


def from_nothing(spring: Spring) -> float:
    """Return the seconds from starting QEMU to an answer."""
    begin = time.monotonic()
    with spring.start_clone() as clone:
        ask(clone.guest)
        return time.monotonic() - begin


def from_pool(pool: ClonePool) -> float:
    """Return the seconds from taking a clone that waits to an answer."""
    time.sleep(_READY_S)
    begin = time.monotonic()
    with pool.take() as clone:
        ask(clone.guest)
        return time.monotonic() - begin


def taken_back(spring: Spring) -> float:
    """Return the seconds from a guest that was used to a pristine one's answer."""
    with spring.start_clone() as clone:
        ask(clone.guest)
        return _take_back(clone)


def _take_back(clone: Clone) -> float:
    begin = time.monotonic()
    ask(clone.rewind())
    return time.monotonic() - begin


def throughput(pool: ClonePool) -> float:
    """Return how many clones a second are created, asked and ended, one after the other."""
    begin = time.monotonic()
    for _ in range(_IN_A_ROW):
        with pool.take() as clone:
            ask(clone.guest)
    return _IN_A_ROW / (time.monotonic() - begin)
