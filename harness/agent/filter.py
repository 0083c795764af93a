# SPDX-License-Identifier: Apache-2.0
"""A filter of system calls for an executor, which shows whether something enters the kernel."""

from __future__ import annotations

import struct

from harness.agent.guest import Guest
from harness.arch import Abi
from harness.entry import entry_paths_of
from harness.errors import GuestError
from harness.landscape import ARENA

_SPARED = ("read", "write", "gettid", "rt_sigreturn", "exit_group")
"""What the executor itself lives on."""
_LOAD_NUMBER, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF_0000, 0x5_0000
_SET_FILTER = 1
_HEAD = ARENA.end - 64


def forbid_calls(guest: Guest, abi: Abi, errno: int) -> None:
    """Have every call of the executor of `abi` fail with `errno`, until it is renewed.

    Raises:
        GuestError: the kernel refused the filter.

    Source: include/uapi/linux/seccomp.h, filter.h (6.1).
    """
    entry, word = entry_paths_of(abi)[0], abi.bits // 8
    numbers = [guest.table(entry).number(name) for name in _SPARED]
    steps = [(_LOAD_NUMBER, 0, 0, 0)]
    steps += [(_JUMP_IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ERRNO | errno), (_RETURN, 0, 0, _ALLOW)]
    program = b"".join(struct.pack("<HBBI", *step) for step in steps)
    guest.write(abi, ARENA.start, program)
    guest.write(abi, _HEAD, b"".join(n.to_bytes(word, "little") for n in (len(steps), ARENA.start)))
    said = guest.call(entry, "seccomp", _SET_FILTER, 0, _HEAD)
    if said.value:
        raise GuestError(f"no filter of system calls: {said}")
