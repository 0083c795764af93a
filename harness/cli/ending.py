# SPDX-License-Identifier: Apache-2.0
"""What ends a command from outside: it leaves as tidily as after Control-C, and dies of it then."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

_ASKED_TO_END = (signal.SIGTERM, signal.SIGHUP)


class Ended(SystemExit):
    """A signal has asked us to end; a second one would not be waited for.

    It is a kind of exit, for asyncio keeps any other exception to itself. Source: Python 3.11,
    asyncio/events.py Handle._run.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


@contextlib.contextmanager
def endings_heard() -> Iterator[None]:
    """Let SIGTERM and SIGHUP leave the block as an exception, and end this process after it.

    Whoever started us sees that we died of the signal; what was ignored, as by nohup, still is.
    """
    heard = [number for number in _ASKED_TO_END if signal.getsignal(number) is signal.SIG_DFL]
    for number in heard:
        signal.signal(number, _hear)
    try:
        yield
    except Ended as ended:
        sys.stdout.flush()
        os.kill(os.getpid(), ended.number)
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


def _hear(number: int, frame: FrameType | None) -> None:
    del frame
    signal.signal(number, signal.SIG_DFL)
    raise Ended(number)
