# SPDX-License-Identifier: Apache-2.0
"""How numbers of things are written for people."""

from __future__ import annotations


def numbered(number: int, noun: str) -> str:
    """Return a number of things, one of which is called `noun`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
