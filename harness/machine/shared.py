# SPDX-License-Identifier: Apache-2.0
"""Memory that a machine and this host share, mapped for as long as the machine runs."""

from __future__ import annotations

import mmap
import os

from harness.wire import AGENT_LOOKS, TO_HOST_PUT, WINDOW_BYTES


class SharedMemory:
    """A file without a name, of `WINDOW_BYTES`, which a machine maps as well; see `harness.wire`.

    Attributes:
        descriptor: the file, for the machine to inherit.
        bytes: all of it.
        words: the same as native words of 32 bits, each read and written at once.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("trapgate-window")
        os.ftruncate(self.descriptor, WINDOW_BYTES)
        self.bytes = mmap.mmap(self.descriptor, WINDOW_BYTES)
        self.words = memoryview(self.bytes).cast("I")

    @property
    def is_looked_into(self) -> bool:
        """Whether the machine's agent looks, or looked when the machine was stopped."""
        return bool(self.words[AGENT_LOOKS])

    @property
    def is_used(self) -> bool:
        """Whether the machine's agent has ever answered through it."""
        return bool(self.words[TO_HOST_PUT])

    def close(self) -> None:
        """Let go of it; it may be called again."""
        if not self.bytes.closed:
            self.words.release()
            self.bytes.close()
            os.close(self.descriptor)
