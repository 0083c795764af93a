# SPDX-License-Identifier: Apache-2.0
"""A record looked through for what is worth remembering: what is damaged in it is passed over."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from harness.record.result import Result
from harness.record.run import FACTS, RESULTS, RunFacts


def find_facts(folder: Path) -> RunFacts | None:
    """Return which run a folder has the record of, None when it has none that can be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        return RunFacts.from_json(json.loads((folder / FACTS).read_bytes()))
    return None


def size_of(folder: Path) -> int:
    """Return how many bytes of results a record has."""
    with contextlib.suppress(OSError):
        return (folder / RESULTS).stat().st_size
    return 0


def scan(folder: Path, begin: int = 0) -> Iterator[tuple[int, Result]]:
    """Yield the results of a record, each with the offset at which its line ends.

    Args:
        folder: the record's.
        begin: the offset at which the first line begins.
    """
    with contextlib.suppress(OSError), (folder / RESULTS).open("rb") as lines:
        end = lines.seek(begin)
        for line in lines:
            end += len(line)
            if line.endswith(b"\n"):
                with contextlib.suppress(ValueError):
                    yield end, Result.from_json(json.loads(line))
