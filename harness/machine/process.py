# SPDX-License-Identifier: Apache-2.0
"""One QEMU process: started, watched, and certain to end."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.deadline import Deadline, Patience
from harness.errors import HostError
from harness.machine.arguments import Wiring, qemu_arguments
from harness.machine.console import last_lines
from harness.machine.emulator import spawn_emulator
from harness.machine.errata import QemuVersion
from harness.machine.origin import BOOTED, Origin
from harness.machine.plan import MachinePlan
from harness.machine.shared import SharedMemory

if TYPE_CHECKING:
    from harness.machine.monitor import Monitor

_EVENT_S = 0.5
_DRAINED_BYTES = 1 << 16


class QemuProcess:
    """A running QEMU with its connections.

    Attributes:
        frames: the host's end of the second serial port.
        window: the memory that host and guest share.
        devices: a descriptor of what the machine is to load, a copy of its origin's; 0 for none.
        process: the process itself.
    """

    def __init__(self, plan: MachinePlan, patience: Patience, origin: Origin = BOOTED) -> None:
        """Start QEMU; use `start_qemu`, which also ends it."""
        self.plan = plan
        self.patience = patience
        self.origin = origin
        self.window = SharedMemory()
        self._console = _unlinked_file("console")
        self._errors = _unlinked_file("qemu")
        self._forgotten = 0
        self.frames, frames_there = socket.socketpair()
        monitor_here, monitor_there = socket.socketpair()
        self._monitor_socket = monitor_here
        self._monitor: Monitor | None = None
        self.devices = _copy(origin.devices) if origin.devices else 0
        with frames_there, monitor_there, _write_only(self._console) as console:
            frames, monitor = frames_there.fileno(), monitor_there.fileno()
            window = self.window.descriptor
            wiring = _inherited(console, frames, monitor, window, self.devices)
            descriptors = [console, frames, monitor, window]
            descriptors += [self.devices] if self.devices else []
            arguments = qemu_arguments(self.plan, wiring, self.origin)
            self.process = spawn_emulator(arguments, self._errors, descriptors)

    def connect(self) -> None:
        """Wait until QEMU's monitor answers.

        Raises:
            HostError: QEMU did not start.
        """
        # Loading asyncio takes as long as QEMU takes to start: side by side it takes no time.
        from harness.machine.monitor import Monitor  # noqa: PLC0415

        greets = select.poll()
        greets.register(self._monitor_socket, select.POLLIN)
        if not greets.poll(self.patience.start_s * 1000):
            raise self._did_not_start()
        try:
            self._monitor = Monitor(self._monitor_socket)
        except Exception as error:
            raise self._did_not_start() from error

    def ask(self, command: str, **arguments: object) -> object:
        """Send one command to QEMU's monitor.

        Raises:
            HostError: QEMU refused, or is gone.
        """
        try:
            assert self._monitor  # noqa: S101 - connected by whoever started the process
            return self._monitor.ask(command, arguments)
        except Exception as error:
            raise HostError(f"qemu's monitor did not do {command}: {error}") from error

    def tell(self, line: str) -> str:
        """Send a line of the monitor's language for people, and return what QEMU prints.

        Raises:
            HostError: QEMU is gone.
        """
        return str(self.ask("human-monitor-command", **{"command-line": line}))

    def version(self) -> QemuVersion:
        """Return QEMU's version: major and minor."""
        said: Any = self.ask("query-version")
        return int(said["qemu"]["major"]), int(said["qemu"]["minor"])

    def registers(self) -> str:
        """Return what the processor holds, as QEMU prints it; empty when QEMU does not answer."""
        with contextlib.suppress(HostError):
            return self.tell("info registers")
        return ""

    def shutdown_reason(self) -> str:
        """Return why QEMU says the machine stopped ("guest-reset"), empty when it has not said.

        What QEMU has said before its end is still to be read after it, if not at once.
        """
        deadline = Deadline.after(_EVENT_S, "event")
        with contextlib.suppress(Exception):
            while not deadline.expired:
                for event in self._monitor.events(deadline.remaining_s) if self._monitor else ():
                    if event["event"] == "SHUTDOWN":
                        return str(event["data"]["reason"])
        return ""

    def drain_frames(self) -> None:
        """Drop what a stopped machine has sent and nobody has read."""
        with contextlib.suppress(BlockingIOError):
            while self.frames.recv(_DRAINED_BYTES, socket.MSG_DONTWAIT):
                pass

    def forget_console(self) -> None:
        """Leave what the kernel has printed so far out of the console's text from now on."""
        self._forgotten = os.fstat(self._console.fileno()).st_size

    def console_text(self) -> str:
        """Return all that the kernel has printed so far."""
        size = os.fstat(self._console.fileno()).st_size
        text = os.pread(self._console.fileno(), size - self._forgotten, self._forgotten)
        return text.decode(errors="replace")

    def error_text(self) -> str:
        """Return what QEMU itself has complained of."""
        size = os.fstat(self._errors.fileno()).st_size
        return last_lines(os.pread(self._errors.fileno(), size, 0).decode(errors="replace"))

    def wait(self, deadline: Deadline) -> int | None:
        """Return the process's exit status, None when it still runs at the deadline."""
        try:
            return self.process.wait(deadline.remaining_s)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill the process, which has nothing to save, and let go of everything.

        It may be called again.
        """
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.window.close()
        if self.devices:
            os.close(self.devices)
            self.devices = 0
        if self._monitor:
            self._monitor.close()
        for file in (self.frames, self._monitor_socket, self._console, self._errors):
            file.close()

    def _did_not_start(self) -> HostError:
        status = self.wait(Deadline.after(1, "start"))
        state = "does not answer" if status is None else f"ended with status {status}"
        return HostError(f"qemu {state} at its start", evidence=self.error_text())


@contextlib.contextmanager
def start_qemu(
    plan: MachinePlan, patience: Patience, origin: Origin = BOOTED
) -> Iterator[QemuProcess]:
    """Start QEMU for `plan`, and end it when the block is left.

    Raises:
        HostError: QEMU did not start.
    """
    process = QemuProcess(plan, patience, origin)
    try:
        process.connect()
        yield process
    finally:
        process.end()


def _inherited(console: int, frames: int, monitor: int, window: int, snapshot: int) -> Wiring:
    """Wire everything to open descriptors: no path, so nothing to collide or be left behind."""
    sets = ["-add-fd", f"fd={console},set=1"]
    if snapshot:
        sets += ["-add-fd", f"fd={snapshot},set=2"]
    return Wiring(
        console="file,path=/dev/fdset/1,append=on",
        frames=f"socket,fd={frames}",
        monitor=f"socket,fd={monitor}",
        window=f"/proc/self/fd/{window}",
        snapshot="/dev/fdset/2",
        extra=tuple(sets),
    )


def _copy(path: Path) -> int:
    """Return a descriptor of a copy in memory: loading a state writes to its file."""
    descriptor = os.memfd_create("trapgate-devices")
    os.write(descriptor, path.read_bytes())
    return descriptor


def _unlinked_file(purpose: str) -> IO[bytes]:
    """Open a file that has no name and vanishes with the last process that holds it."""
    return os.fdopen(os.memfd_create(f"trapgate-{purpose}"), "w+b")


@contextlib.contextmanager
def _write_only(file: IO[bytes]) -> Iterator[int]:
    """Open an unlinked file once more, as QEMU wants it: for appending, and not for reading."""
    descriptor = os.open(Path(f"/proc/self/fd/{file.fileno()}"), os.O_WRONLY | os.O_APPEND)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
