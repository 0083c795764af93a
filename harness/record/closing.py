# SPDX-License-Identifier: Apache-2.0
"""Records whose writer is gone: closed by somebody else, or thrown away when they say nothing."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from harness.errors import HostError
from harness.record.index import RunIndex
from harness.record.run import FACTS, RESULTS, RunFacts, State


def close_abandoned(folder: Path) -> None:
    """Have a record say that it was interrupted, if it still says that it is running.

    Args:
        folder: the record's; there may be none.
    """
    path = folder / FACTS
    if not path.exists():
        return
    facts = RunFacts.from_json(json.loads(path.read_bytes()))
    if facts.state is State.RUNNING:
        facts = facts.closed(State.INTERRUPTED)
        scratch = path.with_name(f".{FACTS}.{os.getpid()}")
        scratch.write_text(json.dumps(facts.to_json(), indent=2) + "\n", encoding="utf-8")
        scratch.replace(path)
        with contextlib.suppress(HostError):  # as the writer has it
            RunIndex().note(folder.resolve(), facts)


def has_results(folder: Path) -> bool:
    """Whether a record says anything."""
    path = folder / RESULTS
    return path.exists() and path.stat().st_size > 0
