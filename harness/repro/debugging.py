# SPDX-License-Identifier: Apache-2.0
"""A guest that is stopped before a call, for gdb to look at."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.agent.guest import Guest
from harness.errors import DeclarationError, HostError, TrapgateError
from harness.evidence.entering import find_entry_point
from harness.evidence.inside import Inside
from harness.kernels.kernel import Kernel
from harness.machine.machine import Machine
from harness.repro.symbolfile import read_layout, write_symbols
from harness.script.replay import Answered, Replay
from harness.script.statements import CallStatement, Script
from harness.script.writing import show_statement

_A_DAY_S = 86400.0
_END_S = 5.0
_COMPARED = (0, 2)
"""Places of the arguments that every entry path leaves where they are: SYSCALL has its return
address in ecx. Source: arch/x86/entry/vdso/vdso32/system_call.S, 6.1."""


@dataclass(frozen=True)
class Stopped:
    """A guest that has been stopped before a call.

    Attributes:
        call: the call.
        commands: gdb's, which attach it and set the breakpoint.
        symbols: a file with the kernel's symbols.
        made: whether the guest will make the call; a recorded one may have ended before.
    """

    call: CallStatement
    commands: tuple[str, ...]
    symbols: Path
    made: bool = True


class Call(threading.Thread):
    """Makes a call that may take as long as somebody looks at it.

    Args:
        replay: has carried out what comes before.
        call: the call.

    Attributes:
        answered: what came of it, None as long as nothing has.
        trouble: why nothing will.
    """

    def __init__(self, replay: Replay, call: CallStatement) -> None:
        super().__init__(name="call", daemon=True)
        self._replay = replay
        self._call = call
        self.answered: Answered | None = None
        self.trouble: TrapgateError | None = None

    def run(self) -> None:
        """Ask."""
        try:
            answered = self._replay.ask(replace(self._call, timeout_s=_A_DAY_S))
            self.answered = replace(answered, statement=self._call)
        except TrapgateError as error:
            self.trouble = error


def cut(script: Script) -> tuple[Script, CallStatement]:
    """Return what comes before the last call of a script, and that call.

    Raises:
        DeclarationError: there is none.
    """
    calls = [n for n, said in enumerate(script.statements) if isinstance(said, CallStatement)]
    if not calls:
        raise DeclarationError("the script makes no call that could be stopped at")
    call = script.statements[calls[-1]]
    assert isinstance(call, CallStatement)  # noqa: S101
    return replace(script, statements=script.statements[: calls[-1]]), call


@contextlib.contextmanager
def stopped_before(
    call: CallStatement, guest: Guest, machine: Machine, kernel: Kernel
) -> Iterator[Stopped]:
    """Stop a guest, and open a door for gdb; it is shut when the block is left.

    Args:
        call: what the guest will be asked next.
        guest: as it is after everything before.
        machine: what it runs in.
        kernel: its files.

    Raises:
        DeclarationError: the guest has no such entry path.
        HostError: QEMU refused, or the kernel does not show where its entry point is.
    """
    why = guest.why_unavailable(call.entry)
    if why:
        raise DeclarationError(f"{show_statement(call)} cannot be asked here: {why}")
    inside = Inside(guest, kernel)
    breakpoint_set = break_at(call, inside)
    with tempfile.TemporaryDirectory(prefix="trapgate-gdb-") as folder:
        symbols, door = Path(folder, "kernel"), Path(folder, "door")
        write_kernel(symbols, inside)
        machine.process.ask("stop")
        open_door(machine, door)
        yield Stopped(call, (f"target remote {door}", breakpoint_set), symbols)


def write_kernel(path: Path, inside: Inside) -> None:
    """Write a file with the sections and symbols of a guest's kernel, for a debugger."""
    vmlinux = inside.kernel.vmlinux
    layout = read_layout(vmlinux, inside.slide) if vmlinux else ()
    write_symbols(path, layout, inside.symbols)


def break_at(call: CallStatement, inside: Inside) -> str:
    """Return gdb's command for a breakpoint on an entry point that only one call meets.

    Raises:
        HostError: the kernel does not show where its entry point is.
    """
    condition = " && ".join(_conditions(call, inside.guest))
    return f"hbreak *{find_entry_point(inside, call.entry):#x} if {condition}"


def open_door(machine: Machine, door: Path) -> None:
    """Have QEMU wait for a debugger at a socket.

    Raises:
        HostError: QEMU did not.
    """
    said = machine.process.tell(f"gdbserver unix:{door},server=on,wait=off")
    if not door.exists():
        raise HostError(f"qemu does not wait for a debugger: {said}")


@contextlib.contextmanager
def asking(replay: Replay, call: CallStatement, machine: Machine) -> Iterator[Call]:
    """Make a call meanwhile; what has not come when the block is left does not come any more."""
    asked = Call(replay, call)
    asked.start()
    try:
        yield asked
    finally:
        asked.join(_END_S if machine.process.process.poll() is None else None)
        machine.process.process.kill()
        asked.join()


def _conditions(call: CallStatement, guest: Guest) -> Sequence[str]:
    """Return what tells the call from those that agent and executors make themselves."""
    entry = call.entry
    number = call.number
    code = guest.table(entry).number(number) if isinstance(number, str) else number
    expected = {entry.number: code}
    for place in _COMPARED:
        value = call.arguments[place] if place < len(call.arguments) else None
        if isinstance(value, int):
            expected[entry.arguments[place]] = value
    mask = entry.abi.mask
    return [
        f"((unsigned long)$r{name.removeprefix('e').removeprefix('r')} & {mask:#x}) == "
        f"{value & mask:#x}"
        for name, value in expected.items()
    ]
