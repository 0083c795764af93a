# SPDX-License-Identifier: Apache-2.0
"""Memory shared with the executors: programs and answers without a byte on the serial port.

The host puts a program into an ABI's slot and raises its sequence number; an executor that looks
there carries it out and lets the number that it answers follow. Layout: `harness.wire`.
"""

from __future__ import annotations

import mmap

from harness.arch import Abi
from harness.wire import (
    MAILBOX_BYTES,
    MAX_PAYLOAD,
    SLOT_ANSWER,
    SLOT_BYTES,
    SLOT_HEADER,
    SLOT_PROGRAM,
)

_ASKED, _ANSWERED, _ANSWER_BYTES, _LOOKING = 0, 2, 3, 4


class Mailbox:
    """The host's view of one machine's mailbox.

    Args:
        descriptor: an open file of `MAILBOX_BYTES` that the machine maps as well.
        looking: whether executors are to be taken for looking already, as in a restored machine.
    """

    def __init__(self, descriptor: int, *, looking: bool = False) -> None:
        self._memory = mmap.mmap(descriptor, MAILBOX_BYTES)
        self._words = memoryview(self._memory).cast("I")
        self._sequence = 0
        self.clear(looking=looking)

    def clear(self, *, looking: bool = False) -> None:
        """Forget every question and answer."""
        for base in (0, SLOT_BYTES):
            SLOT_HEADER.pack_into(self._memory, base, 0, 0, 0, 0, int(looking), 0)

    def post(self, abi: Abi, program: bytes) -> None:
        """Give the executor of `abi` a program of at most `MAX_PAYLOAD` bytes."""
        base = _base(abi)
        self._sequence = self._sequence % 0xFFFF_FFFF + 1
        self._memory[base + SLOT_PROGRAM : base + SLOT_PROGRAM + len(program)] = program
        self._words[base // 4 + 1] = len(program)
        self._words[base // 4 + _ASKED] = self._sequence

    def find_answer(self, abi: Abi) -> bytes | None:
        """Return what the executor has answered to the last program, None when it has not yet."""
        base = _base(abi)
        if self._words[base // 4 + _ANSWERED] != self._words[base // 4 + _ASKED]:
            return None
        size = min(self._words[base // 4 + _ANSWER_BYTES], MAX_PAYLOAD)
        return self._memory[base + SLOT_ANSWER : base + SLOT_ANSWER + size]

    def is_looking(self, abi: Abi) -> bool:
        """Tell whether the executor will see a program by itself."""
        return bool(self._words[_base(abi) // 4 + _LOOKING])

    def close(self) -> None:
        """Unmap the memory."""
        self._words.release()
        self._memory.close()


def _base(abi: Abi) -> int:
    return 0 if abi.bits == 32 else SLOT_BYTES  # noqa: PLR2004
