# SPDX-License-Identifier: Apache-2.0
"""The entry paths of one ABI are doors to the same room: call for call, the same comes back.

Source: arch/x86/entry/common.c, where all of them end in the same dispatch (6.1).
"""

from os import O_RDONLY

import pytest

from harness.agent.arguments import Buffer
from harness.entry import INT80
from harness.landscape import HOLE

CALLS = {
    "getppid": (),
    "getuid": (),
    "close of nothing": ("close", -1),
    "open": ("open", b"/proc/version\0", O_RDONLY),
    "open nowhere": ("open", b"/no/such\0", O_RDONLY),
    "read": ("read", 0, Buffer(32), 16),
    "read to a hole": ("read", 0, HOLE, 16),
    "write from a hole": ("write", 1, HOLE, 16),
    "uname": ("uname", Buffer(390)),
    "getcwd": ("getcwd", Buffer(64), 64),
    "getcwd, too small": ("getcwd", Buffer(1), 1),
    "fstat": ("fstat64", 0, Buffer(96)),
    "mmap of nothing": ("mmap2", 0, 0, 3, 0x22, -1, 0),
    "no such call": (0x7FFF,),
    "no such call, negative": (-1,),
}


@pytest.mark.claim(26)
@pytest.mark.entries("kernel_vsyscall", "sysenter", "syscall32")
@pytest.mark.parametrize("name", CALLS)
def test_it_answers_as_int80_does(guest, entry, name):
    call = CALLS[name] or (name,)
    expected = guest.call(INT80, *call)
    guest.renew()
    said = guest.call(entry, *call)
    assert (said.value, said.memory) == (expected.value, expected.memory)
