# SPDX-License-Identifier: Apache-2.0
"""For comparison, where it is installed: virtme-ng with the same bzImage under TCG.

It boots into the host's own root file system, for which a stock kernel needs modules (9p or
virtiofs); where it does not come up, that is said and nothing is measured.
"""

from __future__ import annotations

import shutil
import time
from functools import partial

import pexpect

from benchmarks.boot import kernel_of, time_boot
from benchmarks.figure import Figure, Target, interleaved
from harness.kernels import Kernel

SPEC = "6.1/x86_64"
_PATIENCE_S = 180
_TITLE = f"virtme-ng, {SPEC}, to the end of `uname -r`"


def measure(times: int) -> list[Figure]:
    """Measure `times` boots of each, or say in a note why not."""
    kernel = kernel_of(SPEC)
    if not shutil.which("vng"):
        return [Figure(_TITLE, (), notes=("vng is not installed; nothing was measured",))]
    trouble = _run(kernel)
    if trouble:
        return [Figure(_TITLE, (), notes=(f"nothing was measured: {trouble}",))]
    measures = [("ours, to the hello", partial(time_boot, kernel)), ("vng", partial(_time, kernel))]
    ours, theirs = interleaved(times, measures)
    return [Figure(_TITLE, (ours, theirs), (Target("ours / vng", ours.median / theirs.median),))]


def _time(kernel: Kernel) -> float:
    begin = time.monotonic()
    _run(kernel)
    return time.monotonic() - begin


def _run(kernel: Kernel) -> str:
    """Have vng boot the kernel and ask for its release; return what went wrong, if anything."""
    command = f"vng --disable-kvm --force-9p -r {kernel.image} -- uname -r"
    said = pexpect.run(command, timeout=_PATIENCE_S, encoding="utf-8", codec_errors="replace")
    if kernel.release in said:
        return ""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    why = next(
        (line for line in lines if "Kernel panic" in line),
        lines[-1] if lines else "it said nothing",
    )
    return f"vng does not get this kernel to a program: {why}"
