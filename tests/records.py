# SPDX-License-Identifier: Apache-2.0
"""Records for tests: results that differ in what a test is about."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.errors import OutcomeKind
from harness.record import Configuration, Evidence, Result, RunWriter
from harness.record.run import this_run

OLD = Configuration("6.1/i386", "6.1/i386", "i386", "6.1.0-1-686", "6.1.1", "a" * 64, cpu="Nehalem")
NEW = Configuration("6.1/i386", "6.1/i386", "i386", "6.1.0-2-686", "6.1.2", "b" * 64, cpu="Nehalem")
WIDE = Configuration("7.2/x86_64", "7.2/x86_64", "x86_64", "7.2.1", "7.2.1", "c" * 64)
WRONG = Evidence(
    message="assert None == 14",
    expected="14 EFAULT",
    got="None",
    call="read(3, buffer of 16, 16) by int80 -> 16",
    registers="eax: 0x3 -> 0x10",
    asked='fd = int80 open "/proc/version" 0  # 3',
    failure=">   assert said.errno == EFAULT",
    console="[    2.1] the last line",
    reproduce="trapgate call --kernel 6.1/i386 --entry int80 read 3 buf:16 16",
)


def result(
    name: str,
    kind: OutcomeKind = OutcomeKind.PASS,
    who: Configuration = OLD,
    *,
    entry: str = "int80",
    inputs: str = "same",
) -> Result:
    """Return the result of a question of test_pointers.py; what is no pass has evidence."""
    shown = {OutcomeKind.PASS: Evidence(), OutcomeKind.SKIP: Evidence(message="came with 99.0")}
    test = f"scenarios/test_pointers.py::{name}[{who.id}-{entry}]"
    return Result(test, who, kind, 0.01, entry, inputs, shown.get(kind, WRONG))


def write(folder: Path, results: Iterable[Result]) -> Path:
    """Write the record of a run that ended, and return its folder."""
    with RunWriter(folder, this_run(["pytest", "scenarios"])) as writer:
        for one in results:
            writer.add(one)
    return folder
