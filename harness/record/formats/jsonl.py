# SPDX-License-Identifier: Apache-2.0
"""JSON Lines: a result a line, each with its run."""

from __future__ import annotations

import json

from harness.record.compare import Comparison
from harness.record.reading import Run


def render(run: Run, comparison: Comparison | None) -> str:
    """Return the lines; what a run has in common stands in each, under "run"."""
    del comparison
    facts = run.facts
    common = {
        "name": run.name,
        "started": facts.started,
        "trapgate": facts.trapgate,
        "host": facts.host,
    }
    return "".join(json.dumps({"run": common} | one.to_json()) + "\n" for one in run.results)
