# SPDX-License-Identifier: Apache-2.0
"""One monotonic deadline, made where the patience is known and handed down from there."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """A point in monotonic time by which a named phase has to be over.

    Attributes:
        at_s: the value of `time.monotonic` at which patience ends, in seconds.
        phase: what is being waited for, as a noun for messages ("boot", "call").
        granted_s: how many seconds were granted, for messages.
    """

    at_s: float
    phase: str
    granted_s: float

    @classmethod
    def after(cls, seconds: float, phase: str) -> Deadline:
        """Grant `seconds` from now for `phase`."""
        return cls(time.monotonic() + seconds, phase, seconds)

    @property
    def remaining_s(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at_s - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether patience has ended."""
        return self.remaining_s == 0.0


@dataclass(frozen=True)
class Patience:
    """How long each phase of a guest's life may take, in seconds.

    Attributes:
        start_s: until QEMU answers on its monitor.
        boot_s: from there to the agent's hello.
        call_s: one program of calls.
        request_s: anything else the agent is asked.
    """

    start_s: float = 20.0
    boot_s: float = 30.0
    call_s: float = 5.0
    request_s: float = 10.0

    def scaled(self, factor: float) -> Patience:
        """Return the same with every phase `factor` times as long."""
        return Patience(
            self.start_s * factor,
            self.boot_s * factor,
            self.call_s * factor,
            self.request_s * factor,
        )
