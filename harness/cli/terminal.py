# SPDX-License-Identifier: Apache-2.0
"""The user's terminal: left as it was found, whatever ends us."""

from __future__ import annotations

import contextlib
import signal
import sys
import termios
from collections.abc import Iterator
from types import FrameType

_INPUT = 0  # sys.stdin is None where it was closed
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def kept_terminal() -> Iterator[None]:
    """Put the terminal's modes back when the block is left, also by a signal that asks for it."""
    former = {ending: signal.signal(ending, _leave) for ending in _ENDINGS}
    try:
        modes = termios.tcgetattr(_INPUT)
    except termios.error:
        modes = None
    try:
        yield
    finally:
        if modes:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(_INPUT, termios.TCSADRAIN, modes)
        for ending, handler in former.items():
            signal.signal(ending, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)
