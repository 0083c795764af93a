# SPDX-License-Identifier: Apache-2.0
"""What a pristine kernel costs: a boot, a clone from nothing or a pool, or one taken back."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.boot import OPTIONS, kernel_of, time_boot
from benchmarks.cold_start import stock_boot
from benchmarks.figure import Figure, Measure, Row, Target, interleaved
from harness.agent.guest import Guest
from harness.entry import INT80
from harness.errors import HostError
from harness.machine.process import start_qemu
from harness.target.pool import ClonePool
from harness.target.spring import Clone, Spring

SPECS = ("6.1/x86_64", "6.1/i386")
_FROM_NOTHING_S, _FROM_POOL_S, _PER_S, _STOCK_RATIO = 0.10, 0.03, 20, 1 / 40
_IN_A_ROW = 60
_READY_S = 0.3


def measure(times: int) -> list[Figure]:
    """Measure `times` rounds for each default kernel."""
    return [_measure(Spring(kernel_of(spec), OPTIONS), spec, times) for spec in SPECS]


def _measure(spring: Spring, spec: str, times: int) -> Figure:
    spring.find_state()
    kernel = kernel_of(spec)
    with ClonePool(spring, size=3, starters=2) as pool:
        ways: list[tuple[str, Measure]] = [
            ("bzImage booted, QEMU's default devices", partial(stock_boot, kernel)),
            ("booted, ours", partial(time_boot, kernel)),
            ("clone spawned, to its answer", partial(from_nothing, spring)),
            ("clone from a waiting pool, to its answer", partial(from_pool, pool)),
            ("clone taken back, to its answer", partial(taken_back, spring)),
            ("for comparison: QEMU started, to its monitor's greeting", partial(bare, spring)),
        ]
        rows = interleaved(times, ways)
    stock, _, nothing, pooled, *_ = rows
    ended, again = (_throughput(spring, times, again=again) for again in (False, True))
    targets = (
        Target("seconds from nothing", nothing.median, _FROM_NOTHING_S),
        Target("of a stock boot", nothing.median / stock.median, _STOCK_RATIO),
        Target("seconds from a pool", pooled.median, _FROM_POOL_S),
        Target("clones a second, a process each", ended.median, _PER_S, at_most=False),
        Target("clones a second, taken back", again.median, _PER_S, at_most=False),
    )
    note = "one getppid each, under TCG; a pool of 3 with 2 starters"
    return Figure(f"Clones of {spec}", (*rows, ended, again), targets, (note,))


def ask(guest: Guest) -> None:
    """Have the guest's kernel answer once."""
    if guest.call(INT80, "getppid").value != 1:
        raise HostError("the guest answered something else")


def bare(spring: Spring) -> float:
    """Return the seconds that QEMU takes to begin with anything, which no clone can be under."""
    begin = time.monotonic()
    with start_qemu(spring.plan, spring.patience):
        return time.monotonic() - begin


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
    """Return the seconds from a guest that was used to a pristine one's answer.

    The first time translates what the answer needs; the second is what a test run sees.
    """
    with spring.start_clone() as clone:
        ask(clone.guest)
        _take_back(clone)
        return _take_back(clone)


def _take_back(clone: Clone) -> float:
    begin = time.monotonic()
    ask(clone.rewind())
    return time.monotonic() - begin


def _throughput(spring: Spring, times: int, *, again: bool) -> Row:
    """Measure how many clones a second are had, asked and given back, one after the other."""
    with ClonePool(spring, size=3, starters=2, again=again) as pool:
        values = tuple(_rate(pool) for _ in range(times))
    how = "had, asked and taken back" if again else "created, asked and ended"
    return Row(f"{how}, a second", "1/s", values)


def _rate(pool: ClonePool) -> float:
    begin = time.monotonic()
    for _ in range(_IN_A_ROW):
        with pool.take() as clone:
            ask(clone.guest)
    return _IN_A_ROW / (time.monotonic() - begin)
