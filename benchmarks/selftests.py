# SPDX-License-Identifier: Apache-2.0
"""Our scenarios against Linux's own selftests: what each takes, and what each notices.

The first kernel of an architecture is what its others are compared with: what says something else
there has noticed something. Any list of kernels does, such as one with a planted bug each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.boot import kernel_of
from benchmarks.figure import Figure, Row, Target
from benchmarks.kselftest import built_selftests
from harness.arch import ARCH_I386, Arch
from harness.errors import HostError
from harness.kernels.catalogue import default_specs
from harness.places import data_dir
from harness.record.reading import read_run
from harness.record.table import BLAMELESS, UNASKED

_PROGRAM = "from harness.cli import main; main()"
_MACHINE = ("--accel", "tcg")
_PATIENCE_S = "60"
_GOOD = ("0", "pass")
_SKIP = "4"
"""A selftest's status for that (tools/testing/selftests/kselftest.h KSFT_SKIP, 6.1)."""
_OURS = 2
_MOST_NAMED = 8
NO_ANSWER = "no answer"
"""Neither suite's word: it says nothing about the kernel."""

Answers = Mapping[str, str]
"""What each test that asked anything said, by its name.

That is an outcome, or an exit status with a "!" behind it where trapgate had something to tell of
the kernel: a panic, or a warning.
"""


@dataclass(frozen=True)
class Suite:
    """Tests that can be put to a kernel.

    Attributes:
        name: whose they are.
        ask: puts all of them to the kernel of a spec.
    """

    name: str
    ask: Callable[[str], Answers]


@dataclass(frozen=True)
class Healthy:
    """What a suite says of the kernel that others are compared with.

    Attributes:
        seconds: how long each run took.
        answers: what was said in every run; what differed from run to run is left out.
        unsteady: the names of what differed.
    """

    seconds: tuple[float, ...]
    answers: Answers
    unsteady: tuple[str, ...]


def measure(times: int, specs: Sequence[str] = ()) -> list[Figure]:
    """Put both suites to the first kernel of each architecture `times` times, once to the others.

    Args:
        times: how often those are asked that others are compared with.
        specs: the kernels, as --kernel takes them; the default pair when there are none.
    """
    by_arch: dict[Arch, list[str]] = {}
    for spec in specs or default_specs():
        by_arch.setdefault(kernel_of(spec).arch, []).append(spec)
    return [_compare(arch, found, times) for arch, found in by_arch.items()]


def _compare(arch: Arch, specs: Sequence[str], times: int) -> Figure:
    suites = (Suite("selftests", partial(ask_selftests, arch)), Suite("scenarios", ask_all))
    parts = [_ask(suite, specs, times) for suite in suites]
    return Figure(
        f"Linux's selftests and our scenarios, {arch}",
        rows=tuple(row for part in parts for row in part.rows),
        targets=tuple(target for part in parts for target in part.targets),
        notes=tuple(note for part in parts for note in part.notes),
    )


def _ask(suite: Suite, specs: Sequence[str], times: int) -> Figure:
    """Return the part of a figure that is one suite's."""
    healthy = _ask_healthy(suite, specs[0], times)
    rows = [Row(f"{suite.name}, {label_of(specs[0])}", "s", healthy.seconds)]
    notes, noticed = [_describe(suite, specs[0], healthy)], 0
    for spec in specs[1:]:
        seconds, answers = _timed(suite, spec)
        others = _others(healthy, answers)
        noticed += bool(others)
        rows.append(Row(f"{suite.name}, {label_of(spec)}", "s", (seconds,)))
        notes.append(f"{suite.name}, {label_of(spec)}: {_named(others) or 'as before'}")
        missing = [name for name, said in answers.items() if said == NO_ANSWER]
        notes[-1] += f"; {NO_ANSWER}: {_named(missing)}" if missing else ""
        print(f"- {notes[-1]}, {seconds:.1f} s", file=sys.stderr)
    target = Target(f"kernels that {suite.name} tell from the first, of {len(specs) - 1}", noticed)
    return Figure(suite.name, tuple(rows), (target,) if specs[1:] else (), tuple(notes))


def ask_selftests(arch: Arch, spec: str) -> Answers:
    """Run every selftest that a kernel of `arch` can run by `trapgate exec`, two at a time."""
    suffix = "_32" if arch is ARCH_I386 else ("_32", "_64")
    programs = [path for path in built_selftests() if path.name.endswith(suffix)]

    def run(program: Path) -> str:
        command = [sys.executable, "-c", _PROGRAM, "exec", *_MACHINE, "--kernel", spec]
        command += ["--timeout", _PATIENCE_S, "--", str(program)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode == _OURS and b"trapgate: " in done.stderr:
            return NO_ANSWER
        return f"{done.returncode}{'!' * (b'trapgate: the kernel ' in done.stderr)}"

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        said = zip(programs, threads.map(run, programs), strict=True)
        return {program.name: status for program, status in said if status != _SKIP}


def ask_all(spec: str) -> Answers:
    """Put every scenario to a kernel, with a worker a processor."""
    with tempfile.TemporaryDirectory(prefix="trapgate-bench-") as folder:
        command = [sys.executable, "-m", "pytest", str(data_dir("scenarios")), "-q", *_MACHINE]
        command += ["-p", "no:cacheprovider", "-n", str(os.cpu_count())]
        command += ["--kernel", spec, "--run-dir", f"{folder}/run", "--reproduce-dir", folder]
        clean = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
        subprocess.run(
            command, env=clean, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        run = read_run(f"{folder}/run")
    if run.remarks:
        raise HostError(f"scenarios on {spec}: {run.remarks[0]}")
    return {
        result.question: NO_ANSWER if result.kind in BLAMELESS else result.kind.word
        for result in run.results
        if result.kind not in UNASKED
    }


def label_of(spec: str) -> str:
    """Return what a kernel is called in a table: a file's folder, where its name says nothing."""
    path = Path(spec)
    return path.parent.name if path.name == "bzImage" else spec


def _ask_healthy(suite: Suite, spec: str, times: int) -> Healthy:
    runs = [_timed(suite, spec) for _ in range(times)]
    first = runs[0][1]
    steady = {
        name: said for name, said in first.items() if all(a.get(name) == said for _, a in runs)
    }
    unsteady = tuple(name for name in first if name not in steady)
    return Healthy(tuple(seconds for seconds, _ in runs), steady, unsteady)


def _timed(suite: Suite, spec: str) -> tuple[float, Answers]:
    begin = time.monotonic()
    answers = suite.ask(spec)
    return time.monotonic() - begin, answers


def _others(healthy: Healthy, answers: Answers) -> list[str]:
    """Return what says something else than it did, and what."""
    return [
        f"{name} {said}, not {healthy.answers[name]}"
        for name, said in answers.items()
        if name in healthy.answers and said not in (healthy.answers[name], NO_ANSWER)
    ]


def _describe(suite: Suite, spec: str, healthy: Healthy) -> str:
    bad = [f"{name} {said}" for name, said in healthy.answers.items() if said not in _GOOD]
    count = len(healthy.answers) + len(healthy.unsteady)
    said = f"{suite.name}, {label_of(spec)}: {count}, of which not good {_named(bad) or 'none'}"
    return f"{said}; not the same each time: {_named(healthy.unsteady) or 'none'}"


def _named(found: Sequence[str]) -> str:
    """Return how many there are and the first of them, "" for none."""
    more = ["..."] if len(found) > _MOST_NAMED else []
    return f"{len(found)}: {', '.join([*found[:_MOST_NAMED], *more])}" if found else ""
