# SPDX-License-Identifier: Apache-2.0
"""One step of a call's way through a kernel, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.evidence.trouble import NotShown

NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Step:
    """One step of a call's way.

    Attributes:
        title: what it is about, in a word.
        lines: what is known of it, for people; the first says most.
        facts: the same for programs, addresses as hexadecimal strings.
    """

    title: str
    lines: tuple[str, ...]
    facts: Mapping[str, object] = field(default_factory=dict)


def step_of(title: str, tell: Callable[[], Step]) -> Step:
    """Return a step, or one that says why there is no evidence of it."""
    try:
        return tell()
    except NotShown as error:
        return unshown(title, error)


def unshown(title: str, error: NotShown) -> Step:
    """Return a step that says why there is no evidence of it."""
    return Step(title, (f"{NOT_SHOWN}: {error.message}",), {NOT_SHOWN: error.message})
