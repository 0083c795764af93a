# SPDX-License-Identifier: Apache-2.0
"""What one look at the host brought to light."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Standing(enum.Enum):
    """How one thing stands."""

    OK = "ok"
    LOW = "low"
    UNPROVEN = "unproven"
    ABSENT = "absent"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: the thing, short enough for a column.
        standing: how it stands.
        detail: version, path, size or error, in one line.
        required: whether nothing works while it is absent or failed.
        remedy: what to do about it, empty when there is nothing to do.
    """

    name: str
    standing: Standing
    detail: str
    required: bool = False
    remedy: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the harness cannot work as things stand."""
        return self.required and self.standing in {Standing.ABSENT, Standing.FAILED}
