# SPDX-License-Identifier: Apache-2.0
"""What was recorded of one call: the events between the executor's own, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.evidence.events import STACK, Event

REQUEST_FD, ANSWER_FD = 1000, 1001
"""The executor's own channel. Source: guest/agent/executor.h."""
ENTER, EXIT, FAULT, USER_FAULT = "sys_enter", "sys_exit", "page_fault_kernel", "page_fault_user"
_PRESENT, _WRITE = 1, 2


@dataclass(frozen=True)
class Moment:
    """An event, and how the kernel had come there.

    Attributes:
        event: what happened.
        stack: addresses, the innermost first; empty where none was recorded.
    """

    event: Event
    stack: tuple[int, ...] = ()


def moments(events: Sequence[Event]) -> Iterator[Moment]:
    """Yield events with their stacks, which are recorded as the events behind them."""
    for n, event in enumerate(events):
        behind = events[n + 1 : n + 2]
        if event.name != STACK:
            stacks = [one.array("caller") for one in behind if one.name == STACK]
            yield Moment(event, *stacks)


def of_call(recorded: Iterable[Moment], check: int) -> list[Moment]:
    """Return what belongs to the one call that an executor was asked for.

    Before it the executor reads what it is asked, which it may have begun before anything was
    recorded. After it, it makes sure that it is still itself, and writes its answer.
    Source: guest/agent/executor.c, resume_x86_64.S.

    Args:
        recorded: everything, in order.
        check: the number of the call by which it makes sure.
    """
    own: list[Moment] = []
    reading = True
    for moment in recorded:
        event = moment.event
        channel = event.array("args")[:1] if event.name == ENTER else ()
        if channel == (ANSWER_FD,):
            break
        reading = reading or channel == (REQUEST_FD,)
        if not reading:
            own.append(moment)
        elif event.name == EXIT:
            reading, own = False, []
    calls = [n for n, moment in enumerate(own) if moment.event.name == ENTER]
    if calls and own[calls[-1]].event["id"] == check:
        return own[: calls[-1]]
    return own


def describe_fault(error_code: int) -> str:
    """Return what a page fault's error code says. Source: Intel SDM volume 3, figure 4-12."""
    access = "write" if error_code & _WRITE else "read"
    return f"{access}, {'not allowed' if error_code & _PRESENT else 'nothing mapped'}"
