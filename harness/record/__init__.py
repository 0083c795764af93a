# SPDX-License-Identifier: Apache-2.0
"""What a run leaves: one folder with every result, written as it happens.

`run.json` says which run it was, `results.jsonl` has one line a result. An interrupted run is a
shorter run that can be read like any other.
"""

from harness.record.index import RunIndex, new_run_folder
from harness.record.reading import Run, read_run
from harness.record.result import Configuration, Evidence, Result
from harness.record.run import RunFacts, State
from harness.record.writer import RunWriter

__all__ = [
    "Configuration",
    "Evidence",
    "Result",
    "Run",
    "RunFacts",
    "RunIndex",
    "RunWriter",
    "State",
    "new_run_folder",
    "read_run",
]
