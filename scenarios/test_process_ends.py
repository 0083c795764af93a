# SPDX-License-Identifier: Apache-2.0
"""Calls that come back twice, and those that do not: the beginning and the end of a process.

Source: kernel/{exit,fork,ptrace}.c; arch/x86/kernel/process.c copy_thread (6.1).
"""

import struct
from errno import ECHILD, ESRCH

import pytest

from harness.agent.ptrace import Request
from harness.agent.puppet import start_puppet

PLAIN = 0x202
ALL = 0x24_4CD5
"""ID, AC, NT, DF and what arithmetic sets."""
SIGCHLD = 17
FLAGS = 1 << 16
"""The bit of the flags among those of the registers."""


@pytest.mark.claim(38)
@pytest.mark.parametrize("name", ["exit", "exit_group"])
@pytest.mark.room("the root folder is a guest's")
def test_a_few_instructions_say_hello_and_end(guest, entry, name):
    number = guest.table(entry).number(name)
    assert guest.probe(entry.abi, "hello", entry.place, number, 0) == {"hello": 1}
    path = f"/probes/hello.{entry.abi}"
    argv = [path, f"{entry.place:x}", f"{number:x}", "2345678e"]
    end, output, _ = guest.execute(argv)
    assert (end.status, output) == (0x8E, b"hello 0000000000000001\n")


@pytest.mark.claim(17)
@pytest.mark.parametrize("name", ["fork", "clone"])
def test_a_child_finds_the_registers_that_its_parent_has(guest, entry, name):
    number, flags = guest.table(entry).number(name), PLAIN | ALL
    seen = guest.probe(entry.abi, "forked", entry.place, number, SIGCHLD, flags)
    assert (seen["waited"], seen["childs result"], seen["status"]) == (1, 0, 17 << 8)
    assert seen["child"] > 1
    status = entry.may_change_flags
    assert hex(seen["differing"] & ~(FLAGS if status else 0)) == "0x0"
    assert hex(seen["childs flags"] & ~status) == hex(flags & ~status)


def test_who_is_traced_ends_with_a_tracer_that_wanted_it_so(guest, abi):
    with start_puppet(guest, abi) as puppet:
        puppet.prepare(puppet.own_entry, "pause")
        puppet.ptrace(Request.CONT)
        assert guest.call(puppet.tracer, "kill", puppet.pid, 0).errno is None
        guest.renew()
        seen = [guest.call(puppet.tracer, "kill", puppet.pid, 0).errno for _ in range(50)]
        assert seen[-1] == ESRCH


SIGKILL, SIGCONT, SIGSTOP = 9, 18, 19
CLD_EXITED, CLD_KILLED, CLD_STOPPED, CLD_CONTINUED = 1, 2, 5, 6
ENDED = 0xA5
"""The lowest byte of what a child ended with."""
STATES = {
    # waitid's result, signal, code, whether it names the child, status; whether wait4 does, status
    "alive": (0, 0, 0, 0, 0, 0, 0xFFFF_FFFF),
    "stopped": (0, SIGCHLD, CLD_STOPPED, 1, SIGSTOP, 1, SIGSTOP << 8 | 0x7F),
    "continued": (0, SIGCHLD, CLD_CONTINUED, 1, SIGCONT, 1, 0xFFFF),
    "killed": (0, SIGCHLD, CLD_KILLED, 1, SIGKILL, 1, SIGKILL),
    "gone": (-ECHILD & 0xFFFF_FFFF, 0, 0, 0, 0, 0, 0xFFFF_FFFF),
    "ended": (0, SIGCHLD, CLD_EXITED, 1, ENDED, 1, ENDED << 8),
}


def test_a_parent_is_told_what_becomes_of_its_child(guest, abi):
    said = guest.probe(abi, "childs_ends")
    seen = {name: struct.unpack("<7I", said[name].to_bytes(28, "little")) for name in STATES}
    assert seen == STATES
