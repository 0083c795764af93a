# SPDX-License-Identifier: Apache-2.0
"""How commands show what came of a deterministic run."""

from __future__ import annotations

from harness.cli.answered import show_answered, show_summary
from harness.repro.recorder import Played


def show_played(played: Played) -> list[str]:
    """Return what a script's statements answered, and what the run was."""
    facts, result = played.recording.facts, played.result
    said = f"{result.kind.word}: {result.message}" if result.message else result.kind.word
    kernel, qemu = facts.kernel, facts.versions.get("qemu")
    return [
        *map(show_answered, played.answers),
        show_summary(played.answers),
        said,
        f"kernel: Linux {kernel.get('release')} ({kernel.get('arch')}) on {facts.cpu} by tcg",
        f"{facts.instructions} instructions, by QEMU {qemu}",
    ]
