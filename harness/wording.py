# SPDX-License-Identifier: Apache-2.0
"""How numbers of things are written for people."""

from __future__ import annotations

import signal


def numbered(number: int, noun: str) -> str:
    """Return a number of things, one of which is called `noun`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def signal_name(number: int) -> str:
    """Return a signal's name, "SIGSEGV", or "signal 40" where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
