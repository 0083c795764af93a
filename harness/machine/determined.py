# SPDX-License-Identifier: Apache-2.0
"""A machine that nobody talks to, from its start to its reset: recorded by QEMU, or played again.

It cannot be talked to. While QEMU records a machine that waits for nothing (`-icount sleep=off`),
it keeps what comes for a serial port to itself; one that may wait gets all of it at once, more than
the port's FIFO holds. So what is asked has to be in the machine from the beginning.
Source: softmmu/icount.c icount_account_warp_timer, replay/replay-char.c (QEMU 7.2).
"""

from __future__ import annotations

import contextlib
import enum
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.deadline import Deadline, Patience
from harness.errors import HostError
from harness.machine.arguments import Wiring, qemu_arguments
from harness.machine.console import last_lines
from harness.machine.emulator import spawn_emulator
from harness.machine.plan import MachinePlan

if TYPE_CHECKING:
    from harness.machine.monitor import Monitor

_LOOK_S = 0.5
_END_S = 10.0
_RESET = "guest-reset"
_SAVEABLE = ("-global", "apic.vapic=off")
"""Without the part of the interrupt controller that, when a state of it is loaded, waits for the
processor, which waits until the machine may be played on.
Source: hw/i386/kvmvapic.c vapic_enable_tpr_reporting, accel/tcg/tcg-accel-ops-rr.c
rr_cpu_thread_fn (QEMU 7.2).
"""


class Mode(enum.Enum):
    """What QEMU does with the events of a run."""

    RECORD = "record"
    REPLAY = "replay"


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes:
        instructions: how many were executed.
        answers: what went over the second serial port.
        console: what the kernel printed.
    """

    instructions: int
    answers: bytes
    console: str


@dataclass(frozen=True)
class Files:
    """What a run is given: open files, each with all of it on disk, and a machine to go with them.

    Attributes:
        initramfs: what the machine has instead of its plan's.
        events: what QEMU writes or reads.
        saveable: whether a state of the machine can be loaded while it is played.
    """

    initramfs: IO[bytes]
    events: IO[bytes]
    saveable: bool


def run_determined(
    plan: MachinePlan, mode: Mode, files: Files, patience: Patience, limit_s: float
) -> Run:
    """Start a machine and wait until it resets itself; it is gone in the end.

    Args:
        plan: a machine that counts instructions.
        mode: whether it is recorded or played.
        files: what it is given.
        patience: how long QEMU may take to start, and to execute one more instruction.
        limit_s: how long all of it may take.

    Raises:
        HostError: QEMU failed, could not go on, or does not come to an end.
    """
    with start_determined(plan, mode, files, patience.start_s) as machine:
        reason = machine.wait(patience.request_s, Deadline.after(limit_s, mode.value))
        instructions = machine.executed()
        machine.quit()
        if reason != _RESET:
            raise HostError(f"{mode.value}: expected the machine's end by {_RESET}, got {reason}")
        console = content_of(machine.console).decode(errors="replace")
        return Run(instructions, content_of(machine.answers), console)


class DeterminedMachine:
    """A QEMU that runs; `console`, `answers` and `errors` are what it writes."""

    def __init__(self, plan: MachinePlan, mode: Mode, files: Files, extra: tuple[str, ...]) -> None:
        self.mode = mode
        self.console, self.answers, self.errors = (unlinked_file() for _ in range(3))
        plan = replace(plan, initramfs=_path(files.initramfs))
        self.socket, there = socket.socketpair()
        self._monitor: Monitor | None = None
        wiring = Wiring(
            console=f"file,path={_path(self.console)}",
            frames=f"file,path={_path(self.answers)}",
            monitor=f"socket,fd={there.fileno()}",
            events=f"rr={mode.value},rrfile={_path(files.events)}",
            extra=(*extra, *(_SAVEABLE if files.saveable else ())),
        )
        inherited = (self.console, self.answers, there, files.initramfs, files.events)
        descriptors = [file.fileno() for file in inherited]
        with there:
            self.process = spawn_emulator(qemu_arguments(plan, wiring), self.errors, descriptors)

    def connect(self, limit_s: float) -> None:
        """Wait until QEMU's monitor answers."""
        from harness.machine.monitor import Monitor  # noqa: PLC0415 - asyncio is slow to load

        self.socket.settimeout(limit_s)
        with self._translated():
            self.socket.recv(1, socket.MSG_PEEK)
            self._monitor = Monitor(self.socket)

    def ask(self, command: str, **arguments: object) -> Any:
        """Send one command to QEMU's monitor."""
        with self._translated():
            return self._monitor.ask(command, arguments) if self._monitor else None

    def quit(self) -> None:
        """Have QEMU end by itself, as it has to for its record to be whole."""
        with self._translated():
            self.ask("quit")
            self.process.wait(_END_S)

    def executed(self) -> int:
        """Return how many instructions have been executed so far."""
        return int(self.ask("query-replay")["icount"])

    def wait(self, stall_s: float, deadline: Deadline) -> str:
        """Wait until the machine has ended, and return QEMU's word for why."""
        executed, stall = -1, Deadline.after(stall_s, "instruction")
        while not (reason := self._ended()):
            if (now := self.executed()) != executed:
                executed, stall = now, Deadline.after(stall_s, "instruction")
            if stall.expired:
                raise HostError(
                    f"{self.mode.value}: qemu stands still after {executed} instructions",
                    hint="that is the emulator's fault, or a recording's that it did not make",
                )
            if deadline.expired:
                raise HostError(f"{self.mode.value}: not done within {deadline.granted_s:g} s")
        return reason

    def _ended(self) -> str:
        """Return why the machine has ended, empty as long as it has not; look for a moment."""
        happened: list[dict[str, Any]] = []
        with self._translated(), contextlib.suppress(TimeoutError):
            happened = self._monitor.events(_LOOK_S) if self._monitor else []
        ends = (event["data"]["reason"] for event in happened if event["event"] == "SHUTDOWN")
        return str(next(ends, ""))

    def end(self) -> None:
        """Let go of everything."""
        self.process.kill()
        self.process.wait()
        if self._monitor:
            self._monitor.close()
        for file in (self.socket, self.console, self.answers, self.errors):
            file.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Say what QEMU said when it does not answer any more."""
        try:
            yield
        except HostError:
            raise
        except Exception as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_LOOK_S)
            said = last_lines(content_of(self.errors).decode(errors="replace")) or repr(error)
            raise HostError(f"{self.mode.value}: qemu gave up", evidence=said) from error


@contextlib.contextmanager
def start_determined(
    plan: MachinePlan, mode: Mode, files: Files, start_s: float, extra: tuple[str, ...] = ()
) -> Iterator[DeterminedMachine]:
    """Start QEMU so that it dies when we do; it is gone when the block is left.

    Args:
        plan: a machine that counts instructions.
        mode: whether it is recorded or played.
        files: what it is given.
        start_s: how long QEMU may take to start.
        extra: QEMU's arguments for what no guest sees.

    Raises:
        HostError: QEMU failed.
    """
    machine = DeterminedMachine(plan, mode, files, extra)
    try:
        machine.connect(start_s)
        yield machine
    finally:
        machine.end()


def unlinked_file(content: bytes = b"") -> IO[bytes]:
    """Open a file on disk that has no name and vanishes with the last process that holds it.

    Raises:
        HostError: it cannot be written.
    """
    try:
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked for it closes it
        file.write(content)
        file.flush()
    except OSError as error:
        raise HostError(f"a temporary file cannot be written: {error.strerror}") from error
    return file


def content_of(file: IO[bytes]) -> bytes:
    """Return all that has been written to a file, by whomever."""
    file.seek(0)
    return file.read()


def _path(file: IO[bytes]) -> Path:
    """Return by what name a process that inherits a file without a name can open it."""
    return Path(f"/proc/self/fd/{file.fileno()}")
