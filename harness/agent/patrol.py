# SPDX-License-Identifier: Apache-2.0
"""Waiting for an executor's answer in the mailbox, and looking after executors that keep silent."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.agent.mailbox import Mailbox
from harness.arch import Abi
from harness.errors import GuestTimeout

_SPINS = 50
_PAUSE_S = 0.0001
_FIRST_CHECK_S = 0.005
_LONGEST_CHECK_S = 0.2


def await_answer(mailbox: Mailbox, abi: Abi, timeout_s: float, check: Callable[[], None]) -> bytes:
    """Return the executor's answer to the program that was posted last.

    Args:
        mailbox: where it will be.
        abi: whose executor.
        timeout_s: how long to wait.
        check: makes sure that the executor lives and looks; raises when it does not live.

    Raises:
        GuestTimeout: there is no answer in time.
    """
    if not mailbox.is_looking(abi):
        check()
    begun = time.monotonic()
    next_check, interval, looks = begun + _FIRST_CHECK_S, _FIRST_CHECK_S, 0
    while (answer := mailbox.find_answer(abi)) is None:
        looks += 1
        if looks > _SPINS:
            time.sleep(_PAUSE_S)
        now = time.monotonic()
        if now > begun + timeout_s:
            raise GuestTimeout(f"the call did not return within {timeout_s:g} s")
        if now > next_check:
            check()
            interval = min(interval * 2, _LONGEST_CHECK_S)
            next_check = time.monotonic() + interval
    return answer
