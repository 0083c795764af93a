# SPDX-License-Identifier: Apache-2.0
"""What a real host may be asked; whatever is not named as harmless never reaches it.

The host's own protection comes behind this: the agent is an ordinary user there, nobody where it
came as root, and has namespaces of its own where the host gives them to ordinary users. This table
keeps away what such a user could still do to others, or to a kernel that is not well.
"""

from __future__ import annotations

import functools

from harness.agent.calls import Call
from harness.agent.identity import Identity
from harness.agent.program import Program
from harness.arch import X86_64, Abi
from harness.entry import FUNCTIONS, EntryPath
from harness.errors import NotForHosts
from harness.places import data_dir
from harness.syscalls import SyscallTable, read_table
from harness.toml import read_toml
from harness.version import KernelVersion

_OPENS = {"open": 1, "openat": 2}
"""Calls that only look at a file when the argument of that place, the flags, is 0."""
_HARMLESS_FLAGS = 0o2000000 | 0o100000 | 0o4000 | 0o200000 | 0o400
"""Close on exec, large file, no blocking, directory, no controlling terminal."""
_NEWEST_KNOWN = KernelVersion(7, 3)
_NEVER_TAKEN = 1024
"""Numbers from here on are no calls, whatever comes."""
_X32 = 0x4000_0000
_NUMBER_MASK = 0xFFFF_FFFF
_LOOKED_AT = ("/proc/", "/sys/")


@functools.cache
def read_harmless() -> dict[str, frozenset[str]]:
    """Return the names of what may be asked, by group; see ``kernels/syscalls/harmless.toml``."""
    rows = read_toml(data_dir("kernels") / "syscalls" / "harmless.toml")
    return {group: frozenset(names) for group, names in rows.items()}


class Harmless:
    """Guards a real host.

    Args:
        identity: which kernel it runs.
        room: the agent's folder; empty where it has a room of its own.

    Attributes:
        absent: ABIs whose programs its kernel does not run.
    """

    def __init__(self, identity: Identity, room: str) -> None:
        self.absent: frozenset[Abi] = frozenset()
        self._identity = identity
        self._room = room
        known = read_harmless()
        self._anywhere = known["own"] | known["never_were"]
        self._in_room = known["in_room"]
        self._probes = known["probes"]

    def check_program(self, abi: Abi, program: Program) -> None:
        """Let a program pass if all of its calls are harmless.

        Raises:
            NotForHosts: one is not, or the host runs no such programs.
        """
        self._check_abi(abi)
        for _, step in program.steps:
            if isinstance(step, Call) and not _only_looks(step, self._name(step)):
                self.check_call(step.entry, step.registers[step.entry.number])

    def check_call(self, entry: EntryPath, number: int) -> None:
        """Let a call pass if it is harmless.

        Raises:
            NotForHosts: it is not.
        """
        if entry in FUNCTIONS:
            return  # the code behind it came by calls that have been looked at
        table = read_table(entry.table, self._identity.version)
        plain = number & _NUMBER_MASK
        name = _name_of(plain, table)
        if not name:
            self._check_unnamed(plain, table)
        elif name not in self._anywhere and (self._room or name not in self._in_room):
            why = self._no_room if name in self._in_room else "what it does may last"
            raise NotForHosts(f"{name} is not asked of a real host: {why}")

    def check_read(self, path: str) -> None:
        """Let pass what the agent's room has, and what kernels say of themselves."""
        if self._room and not path.startswith((*_LOOKED_AT, f"{self._room}/")):
            raise NotForHosts(f"{path} would be the host's own: {self._no_room}")

    def check_write(self, path: str) -> None:
        """Let pass what stays in the agent's room."""
        if path.startswith((*_LOOKED_AT, "/dev/")):
            raise NotForHosts(f"{path} is written to by root alone, and in guests only")
        if self._room and not path.startswith(f"{self._room}/"):
            raise NotForHosts(f"{path} would be the host's own: {self._no_room}")

    def check_probe(self, abi: Abi, name: str) -> None:
        """Let pass what does nothing to anybody else."""
        self._check_abi(abi)
        if self._room and name not in self._probes:
            raise NotForHosts(f"the probe {name} makes any call that it is told: {self._no_room}")

    def check_guest(self, why: str) -> None:
        """Refuse.

        Raises:
            NotForHosts: always.
        """
        raise NotForHosts(f"for guests only: {why}")

    def check_room(self, why: str) -> None:
        """Let pass what is asked in a room of the agent's own."""
        if self._room:
            raise NotForHosts(f"asked where {why}: {self._no_room}")

    @property
    def _no_room(self) -> str:
        return f"{self._identity.target} gives the agent no room of its own"

    def _check_abi(self, abi: Abi) -> None:
        if abi in self.absent:
            raise NotForHosts(f"the kernel of {self._identity.target} runs no {abi} programs")

    def _name(self, call: Call) -> str | None:
        table = read_table(call.entry.table, self._identity.version)
        return _name_of(call.registers[call.entry.number] & _NUMBER_MASK, table)

    def _check_unnamed(self, number: int, table: SyscallTable) -> None:
        """Let a number pass that no call has; kernels that we do not know may have more calls."""
        known = self._identity.version < _NEWEST_KNOWN or number < table.size
        if not known and number < _NEVER_TAKEN:
            raise NotForHosts(f"nobody knows what the call {number} does on so new a kernel")


def _name_of(number: int, table: SyscallTable) -> str | None:
    """Return a call's name, whatever bits stand beside its number, also of one that came later."""
    plain = number & ~_X32 if table.abi is X86_64 else number
    newer = (name for name, value in table.newer.items() if value == plain)
    return table.name(plain) or next(newer, None)


def _only_looks(call: Call, name: str | None) -> bool:
    """Tell whether a call that opens a file neither makes it nor writes to it."""
    if name not in _OPENS or call.entry in FUNCTIONS:
        return False
    return not call.registers[call.entry.arguments[_OPENS[name]]] & ~_HARMLESS_FLAGS
