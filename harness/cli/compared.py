# SPDX-License-Identifier: Apache-2.0
"""How `trapgate replay` shows whether a bundle's outcome is the one that was recorded."""

from __future__ import annotations

from collections.abc import Iterator

from harness.kernels.kernel import Kernel
from harness.repro.bundle import Manifest
from harness.repro.result import Result


def show_comparison(manifest: Manifest, kernel: Kernel, result: Result) -> list[str]:
    """Return what was recorded, and in what this run differs from it."""
    recorded = f"{manifest.outcome}: {manifest.message}" if manifest.message else manifest.outcome
    here = f"{result.kind.word}: {result.message}" if result.message else result.kind.word
    return [
        f"recorded: {recorded}",
        f"here: {here}",
        *_other_kernel(manifest, kernel),
        *_other_answers(manifest.answers, result.answers),
    ]


def _other_kernel(manifest: Manifest, kernel: Kernel) -> Iterator[str]:
    recorded = manifest.kernel.get("sha256")
    if recorded == kernel.sha256:
        yield f"the same kernel, sha256 {kernel.sha256}"
    else:
        yield f"another kernel: recorded {manifest.kernel.get('version')}, sha256 {recorded}"
        yield f"                here {kernel.version}, sha256 {kernel.sha256}"


def _other_answers(recorded: tuple[str, ...], here: tuple[str, ...]) -> Iterator[str]:
    """Yield the statements that answered differently; addresses may well do so."""
    for number, (then, now) in enumerate(zip(recorded, here, strict=False), start=1):
        if then != now:
            yield f"statement {number}: recorded {then}, here {now}"
    if len(recorded) != len(here):
        yield f"statements carried out: recorded {len(recorded)}, here {len(here)}"
    if recorded == here:
        yield "every statement answered as recorded"
