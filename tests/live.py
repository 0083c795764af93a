# SPDX-License-Identifier: Apache-2.0
"""Real guests for tests: booted once a worker, and what to look for when they should be gone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from harness import wire
from harness.agent.guest import Guest
from harness.agent.program import Program
from harness.entry import SYSCALL, EntryPath, native_entry
from harness.kernels import find_source, obtain
from harness.machine.machine import Machine
from harness.machine.plan import MachineOptions
from harness.target.spring import start_guest

I386, X86_64 = "6.1/i386", "6.1/x86_64"
TCG = MachineOptions(accelerator="tcg", boot=True)
T = TypeVar("T")
PROGRAM = "from harness.cli import main; main()"
CHECKOUT = Path(__file__).resolve().parents[1]


def on(spec: str) -> pytest.MarkDecorator:
    """Run a test on a guest of `spec` that others use too; tests of one guest share a worker."""
    return pytest.mark.parametrize(
        "booted", [pytest.param(spec, marks=pytest.mark.xdist_group(spec))], indirect=True
    )


@contextlib.contextmanager
def own_guest(spec: str = X86_64, options: MachineOptions = TCG) -> Iterator[Guest]:
    """Boot a guest that may come to harm, and see that its QEMU is gone in the end."""
    with start_guest(obtain(find_source(spec)), options) as guest:
        process = machine_of(guest).process.process
        yield guest
    assert process.returncode is not None
    assert not is_there(process.pid)


class Stable:
    """One guest a kernel, booted when first asked for and again after it came to harm."""

    def __init__(self) -> None:
        self._guests: dict[str, tuple[Guest, contextlib.ExitStack]] = {}

    def guest(self, spec: str) -> Guest:
        """Return a guest of `spec` that can be asked."""
        known = self._guests.get(spec)
        if known and known[0].usable:
            return known[0]
        if known:
            known[1].close()
        stack = contextlib.ExitStack()
        self._guests[spec] = (stack.enter_context(own_guest(spec)), stack)
        return self._guests[spec][0]

    def close(self) -> None:
        """End all of them."""
        for _, stack in self._guests.values():
            stack.close()


def native(guest: Guest) -> EntryPath:
    return native_entry(guest.identity.arch.abi)


def machine_of(guest: Guest) -> Machine:
    carrier = guest._carrier
    assert isinstance(carrier, Machine)
    return carrier


def write_to(guest: Guest, path: str, content: bytes) -> int:
    """Have the guest's executor write to a file, as a program would."""
    entry = native(guest)
    descriptor = guest.call(entry, "open", path.encode() + b"\0", os.O_WRONLY | os.O_NOCTTY).value
    return guest.call(entry, "write", descriptor, content, len(content)).value


def ask_on(guest: Guest, within_s: float = 20.0) -> None:
    """Ask until the guest does not answer any more: its end may take a moment."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        guest.call(native(guest), "getpid", timeout_s=2)


def write_and_ask(guest: Guest, path: str, content: bytes) -> None:
    """Write what is to end the guest, and ask until it does not answer."""
    write_to(guest, path, content)
    ask_on(guest)


def put_into_window(guest: Guest, content: bytes, promised: int | None = None) -> None:
    """Have a program in a 64-bit guest put bytes among the agent's own; say they are `promised`."""
    window = f"/sys/bus/pci/devices/{wire.WINDOW_DEVICE}/resource2".encode() + b"\0"
    descriptor = guest.call(SYSCALL, "open", window, os.O_RDWR).value
    shared = guest.call(SYSCALL, "mmap", 0x2E00_0000, wire.WINDOW_BYTES, 3, 0x11, descriptor, 0)
    count = shared.value + 4 * wire.TO_HOST_PUT
    answer = wire.HEADER.size + 4 + 4 + wire.CRC.size  # of the read that tells where the ring is
    put = int.from_bytes(guest.read(SYSCALL.abi, count, 4), "little") + answer
    program = Program()
    program.write(shared.value + wire.TO_HOST + put % wire.RING_BYTES, content)
    program.write(count, (put + (promised or len(content))).to_bytes(4, "little"))
    guest.run(SYSCALL.abi, program, 0.5)


def trapgate(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line; what a guest prints may be no text, so it is replaced."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def emulators_of(pid: int) -> list[int]:
    """The QEMU processes that a process has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children if "qemu" in Path(f"/proc/{c}/comm").read_text()]


def eventually(look: Callable[[], T], within_s: float = 30.0) -> T:
    """Return what `look` gives as soon as it is true."""
    end = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < end, f"not within {within_s:g} s"
        time.sleep(0.02)
    return found
