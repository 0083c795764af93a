# SPDX-License-Identifier: Apache-2.0
"""Input for a program in the guest: read here when the program wants some, and not before."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable
from typing import Self

from harness.errors import TrapgateError


class Feeder:
    """Reads a descriptor in a thread of its own, since that may wait for ever.

    Args:
        descriptor: what is read; it stays the caller's to close.
        most_bytes: of one piece.
        give: takes each piece, and an empty one at the end. A `TrapgateError` of it ends the
            feeding: whoever waits for the program's output will see what has happened.
    """

    def __init__(self, descriptor: int, most_bytes: int, give: Callable[[bytes], None]) -> None:
        self._descriptor = descriptor
        self._most_bytes = most_bytes
        self._give = give
        self._orders, self._give_orders = os.pipe()
        self._thread = threading.Thread(target=self._feed, name="feeder", daemon=True)

    def __enter__(self) -> Self:
        """Begin to wait for orders."""
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        """End; what has not been read stays where it is."""
        os.close(self._give_orders)
        self._thread.join()
        os.close(self._orders)

    def want(self) -> None:
        """Order a piece."""
        os.write(self._give_orders, b"!")

    def _feed(self) -> None:
        with contextlib.suppress(TrapgateError):
            while os.read(self._orders, 1):
                ready, _, _ = select.select([self._descriptor, self._orders], [], [])
                if self._orders in ready:
                    return
                self._give(self._read())

    def _read(self) -> bytes:
        """Return a piece; what cannot be read has ended."""
        with contextlib.suppress(OSError):
            return os.read(self._descriptor, self._most_bytes)
        return b""
