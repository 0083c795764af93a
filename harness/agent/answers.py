# SPDX-License-Identifier: Apache-2.0
"""Calls in a row, each with the answer that it has to have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.agent.guest import Guest
from harness.entry import EntryPath


def find_wrong(guest: Guest, entry: EntryPath, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Make calls in a row, and return those with another answer than the row begins with.

    Args:
        guest: who is asked.
        entry: the way into the kernel.
        rows: an answer, which is a result or an error's number with a minus, and then a call as
            `Guest.series` takes it.
    """
    seen = guest.series(entry, [(name, *arguments) for _, name, *arguments in rows])
    return [
        f"{said}, and not {row[0]}"
        for row, said in zip(rows, seen, strict=True)
        if said.value != row[0]
    ]
