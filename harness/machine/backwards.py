# SPDX-License-Identifier: Apache-2.0
"""A machine that is played to a debugger, which may go backwards in it.

QEMU goes back by loading the last state that it has of the time before, and playing from there. It
keeps one by itself whenever a debugger comes.
Source: replay/replay-debugging.c replay_seek, replay_gdb_attached (QEMU 7.2).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from harness.deadline import Deadline
from harness.errors import HostError
from harness.machine.determined import DeterminedMachine, Files, Mode, start_determined
from harness.machine.plan import MachinePlan

_ROOM = ("-drive", "driver=null-co,size=65536,if=none,snapshot=on,id=room")
"""A drive that no guest sees, where QEMU keeps states: in a temporary file without a name."""
_LOOK_S = 0.1


class Debuggee:
    """A machine that waits for a debugger, at first before its first instruction.

    Args:
        machine: it; nobody else talks to it.
    """

    def __init__(self, machine: DeterminedMachine) -> None:
        self._machine = machine

    def executed(self) -> int:
        """Return how many instructions have been executed."""
        return self._machine.executed()

    def keep_state(self, name: str) -> None:
        """Keep the machine's state, to be gone back to.

        Raises:
            HostError: QEMU could not.
        """
        command = {"command-line": f"savevm {name}"}
        said = self._machine.ask("human-monitor-command", **command)
        if said:
            raise HostError(f"qemu keeps no state of the machine: {said.strip()}")

    def seek(self, instructions: int, deadline: Deadline) -> None:
        """Go to where so many instructions have been executed, and stop.

        Raises:
            HostError: QEMU failed, or it takes too long.
        """
        self._machine.ask("replay-seek", icount=instructions)
        while self._machine.ask("query-status")["running"]:
            if deadline.expired:
                said = f"qemu did not come to {instructions} instructions"
                raise HostError(f"{said} within {deadline.granted_s:g} s")
            time.sleep(_LOOK_S)


@contextlib.contextmanager
def start_debuggee(
    plan: MachinePlan, files: Files, door: Path, start_s: float
) -> Iterator[Debuggee]:
    """Start a machine that is played; it is gone when the block is left.

    Args:
        plan: a machine that counts instructions.
        files: what it is given.
        door: where debuggers find it, a socket; one after the other.
        start_s: how long QEMU may take to start.

    Raises:
        HostError: QEMU failed.
    """
    waiting = ("-S", "-gdb", f"unix:{door},server=on,wait=off", *_ROOM)
    with start_determined(plan, Mode.REPLAY, files, start_s, waiting) as machine:
        yield Debuggee(machine)
