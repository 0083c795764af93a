# SPDX-License-Identifier: Apache-2.0
"""All scenarios on the default pair as a user runs them, against what booting alone costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial

from benchmarks.boot import kernel_of, time_boot
from benchmarks.figure import Figure, Measure, Row, Target, interleaved
from harness.errors import HostError
from harness.kernels.catalogue import default_specs
from harness.places import data_dir

ALLOWANCE_S = 20.0
_BOOTS = 3
DISTRIBUTED = ("-n", "2")


def measure(times: int) -> list[Figure]:
    """Run the scenarios `times` times in two ways, and the pair's boots beside them."""
    kernels = [kernel_of(spec) for spec in default_specs()]
    boots: list[tuple[str, Measure]] = [
        (f"cold start of {k.spec}", partial(time_boot, k)) for k in kernels
    ]
    suites: list[tuple[str, Measure]] = [
        ("scenarios, as tox runs them", time_scenarios),
        ("scenarios, `-n 2`", partial(time_scenarios, *DISTRIBUTED)),
    ]
    rows = interleaved(times, [*boots, *suites])
    limit_s = _limit(rows[: len(boots)])
    alone, distributed = rows[len(boots) :]
    targets = (
        Target(f"{alone.what}, s", alone.median, limit_s),
        Target("two workers / one process", distributed.median / alone.median),
    )
    note = f"the target is three cold boots of the pair's average and {ALLOWANCE_S:g} s"
    return [Figure("All scenarios on the default pair", rows, targets, (note,))]


def time_scenarios(*options: str) -> float:
    """Run all scenarios under TCG and return the seconds that took.

    Raises:
        HostError: not all of them passed, so that the time says nothing.
    """
    command = [sys.executable, "-m", "pytest", str(data_dir("scenarios")), "-q", "--accel", "tcg"]
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    begin = time.monotonic()
    done = subprocess.run(
        [*command, *options], env=clean, capture_output=True, text=True, check=False
    )
    elapsed_s = time.monotonic() - begin
    if done.returncode:
        raise HostError("scenarios did not pass", evidence=done.stdout[-2000:] + done.stderr)
    return elapsed_s


def _limit(boots: tuple[Row, ...]) -> float:
    return _BOOTS * sum(row.median for row in boots) / len(boots) + ALLOWANCE_S
