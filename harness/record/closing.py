# SPDX-License-Identifier: Apache-2.0
"""Records whose writer is gone: closed by somebody else, or thrown away when they say nothing."""

from __future__ import annotations

import json
from pathlib import Path

from harness.record.run import FACTS, RESULTS, RunFacts, State
from harness.record.writer import write_facts


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
        write_facts(folder, facts.closed(State.INTERRUPTED))


def has_results(folder: Path) -> bool:
    """Whether a record says anything."""
    path = folder / RESULTS
    return path.exists() and path.stat().st_size > 0
