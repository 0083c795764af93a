# SPDX-License-Identifier: Apache-2.0
"""What a big record costs: two runs are loaded, compared, and reported in every format."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, Row, Target
from harness.errors import OutcomeKind
from harness.record import Configuration, Evidence, Result, RunWriter, read_run
from harness.record.compare import compare
from harness.record.flakes import with_history
from harness.record.formats import FORMATS, render
from harness.record.run import this_run
from harness.whole import write_whole

RESULTS = 100_000
_KERNELS, _GROUPS = 20, 40
_LIMIT_S = 10.0
_WRONG_EVERY = 20
"""One result in so many is wrong; another one in so many is wrong in the other run."""


def measure(times: int) -> list[Figure]:
    """Measure; the records are made once."""
    with tempfile.TemporaryDirectory(prefix="trapgate-record-") as folder:
        before = write_record(Path(folder, "before"), kernel="a", shift=0)
        after = write_record(Path(folder, "after"), kernel="b", shift=3)
        rounds = [_steps(before, after, Path(folder)) for _ in range(times)]
    rows = tuple(Row(what, "s", tuple(one[what] for one in rounds)) for what in rounds[0])
    page = [one["load both"] + one["compare"] + one["report html"] for one in rounds]
    return [
        Figure(
            f"A record of {RESULTS:,} results on {_KERNELS} kernels",
            rows,
            (Target("seconds to load, compare and report as a page", max(page), _LIMIT_S),),
            (f"one in {_WRONG_EVERY} is wrong, with evidence as a wrong answer leaves it",),
        )
    ]


def write_record(folder: Path, *, kernel: str, shift: int) -> Path:
    """Write a record and return its folder.

    Args:
        folder: where to.
        kernel: a letter that the hashes of its kernels are made of.
        shift: which of the results are wrong.
    """
    with RunWriter(folder, this_run(["benchmarks"])) as writer:
        for result in _results(kernel, shift):
            writer.add(result)
    return folder


def _results(kernel: str, shift: int) -> Iterator[Result]:
    each = RESULTS // _KERNELS
    asked = itertools.product(range(_KERNELS), range(each))
    for number, (place, question) in enumerate(asked):
        name = f"{place}.1/x86_64"
        who = Configuration(name, name, "x86_64", "6.1.0", "6.1.1", kernel * 64, cpu="Nehalem")
        test = f"scenarios/test_group{question % _GROUPS}.py::test_{question}[{name}-int80]"
        wrong = (number + shift) % _WRONG_EVERY == 0
        kind = OutcomeKind.FAIL if wrong else OutcomeKind.PASS
        yield Result(test, who, kind, 0.01, "int80", "same", _evidence(number, wrong=wrong))


def _evidence(number: int, *, wrong: bool) -> Evidence:
    if not wrong:
        return Evidence()
    said = f"read({number}, buffer of 16, 16) by int80 -> 16"
    failure = f">       assert said.errno == EFAULT\nE       assert None == 14\n{said}\n" * 8
    return Evidence(
        message="assert None == 14",
        expected="14 EFAULT",
        got="None",
        call=said,
        registers="eax: 0x3 -> 0x10",
        failure=failure,
        reproduce="trapgate call --entry int80 read 3 buf:16 16",
    )


def _steps(before: Path, after: Path, folder: Path) -> dict[str, float]:
    """Return how long each step took, in seconds."""
    took = {}
    start = time.perf_counter()
    runs = [read_run(before), read_run(after)]
    took["load both"] = time.perf_counter() - start
    start = time.perf_counter()
    comparison = with_history(compare(*runs))
    took["compare"] = time.perf_counter() - start
    for name, suffix in FORMATS.items():
        start = time.perf_counter()
        write_whole(folder / f"report{suffix}", render(name, runs[1], comparison))
        took[f"report {name}"] = time.perf_counter() - start
    return took
