# SPDX-License-Identifier: Apache-2.0
"""Calls a second through one guest: one request each, and many in a request."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.boot import OPTIONS, kernel_of
from benchmarks.figure import Figure, Target, interleaved
from harness.agent.calls import Call
from harness.agent.guest import Guest
from harness.entry import INT80, SYSCALL, EntryPath
from harness.target.spring import start_guest

TARGET_PER_S = 500
ENTRIES = {"6.1/x86_64": (SYSCALL, INT80), "6.1/i386": (INT80,)}
_CALLS = 1000


def measure(times: int) -> list[Figure]:
    """Measure `times` rounds for each ABI of both default kernels."""
    return [_measure(spec, times) for spec in ENTRIES]


def _measure(spec: str, times: int) -> Figure:
    with start_guest(kernel_of(spec), OPTIONS) as guest:
        measures = [
            (f"{entry.abi} {kind}", partial(rate, guest, entry))
            for entry in ENTRIES[spec]
            for kind, rate in (("one at a time", one_at_a_time), ("batched", batched))
        ]
        for _, rate in measures:
            rate()  # executors started, code translated
        rows = interleaved(times, measures, unit="1/s")
    targets = (Target(f"{row.what}, a second", row.median, TARGET_PER_S, False) for row in rows)  # noqa: FBT003
    return Figure(
        f"Calls a second through one guest of {spec}",
        rows,
        tuple(targets),
        (f"getppid, {_CALLS} calls a round, under TCG",),
    )


def one_at_a_time(guest: Guest, entry: EntryPath) -> float:
    """Return calls a second when each is a request of its own."""
    begin = time.monotonic()
    for _ in range(_CALLS):
        guest.call(entry, "getppid")
    return _CALLS / (time.monotonic() - begin)


def batched(guest: Guest, entry: EntryPath) -> float:
    """Return calls a second when as many as fit share a request."""
    call = Call.of(entry, guest.table(entry).number("getppid"), (), "getppid")
    begin = time.monotonic()
    outcomes = guest.calls([call] * _CALLS)
    elapsed_s = time.monotonic() - begin
    return len(outcomes) / elapsed_s
