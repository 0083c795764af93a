# SPDX-License-Identifier: Apache-2.0
"""Instructions that a scenario brings along, for the executor to call as a function."""

from __future__ import annotations

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE

from harness.agent.guest import Guest
from harness.arch import Abi
from harness.entry import entry_paths_of
from harness.errors import GuestError
from harness.landscape import PAGE

CODE = 0x2E80_0000
"""Where such code is put: below 2 GiB, and not in a region of the executor's landscape."""

_MAP_FIXED = 0x10


def place_code(guest: Guest, abi: Abi, code: bytes, address: int = CODE) -> int:
    """Map memory in the executor of `abi`, put instructions there, and return their address.

    Args:
        guest: whose executor.
        abi: the executor's.
        code: machine code, a page of it at most; it is called by the entry path of
            `function_path` and ends with a return.
        address: where to; the start of a page.

    Raises:
        GuestError: the kernel did not map it.
    """
    name = abi.mmap
    protection = PROT_READ | PROT_WRITE | PROT_EXEC
    flags = MAP_PRIVATE | MAP_ANONYMOUS | _MAP_FIXED
    said = guest.call(entry_paths_of(abi)[0], name, address, PAGE, protection, flags, -1, 0)
    if said.value != address:
        raise GuestError(f"no memory for code at {address:#x}: {said}")
    guest.write(abi, address, code)
    return address
