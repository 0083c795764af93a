# SPDX-License-Identifier: Apache-2.0
"""From a kernel's boot to a kept state: what is done before it is saved, and what is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from harness.agent.guest import Guest
from harness.build.initramfs import guest_programs
from harness.deadline import Deadline
from harness.errors import HostError
from harness.machine.codepages import find_code_pages
from harness.machine.keeping import enforce_limit
from harness.machine.machine import Machine
from harness.machine.making import make_state
from harness.machine.origin import Origin
from harness.machine.snapshot import forget_devices, make_container, save_devices, why_unable
from harness.machine.state import BootState
from harness.machine.vmstate import read_saved_devices
from harness.wire import WINDOW_DEVICE

WINDOW_RESOURCES = f"/sys/bus/pci/devices/{WINDOW_DEVICE}/resource"
_WINDOW_REGION = 2
_CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
_QUIET_S = 10.0
_CLOCK_S = 3.0
_BOOTS = 6
_BOOTS_TO_SETTLE = 3
_CLOCK_PAUSE_S = 0.05
_CLOCK_RUN_S = 0.4
_INACCURACY = 0.05


class Boot(Protocol):
    """Boots a guest with its memory where an origin says."""

    def __call__(self, *, origin: Origin) -> AbstractContextManager[tuple[Guest, Machine]]:
        """Boot; the machine is gone when the block is left."""


def make_boot_state(key: str, boot: Boot, size_bytes: int, say: Callable[[str], None]) -> BootState:
    """Boot once, keep what that came to, and keep no more states than there may be.

    Args:
        key: the state's name.
        boot: boots a guest.
        size_bytes: of the guest's memory.
        say: takes a line for the user.

    Raises:
        OSError: the disk is full, or the cache cannot be written.
        HostError: QEMU could not keep a state.
        GuestError: the kernel did not boot.
    """
    state = make_state(key, partial(_save, boot), size_bytes, say)
    enforce_limit()
    return state


def _save(boot: Boot, ram: Path, devices: Path) -> dict[str, Any]:
    """Boot, have the agent looking into the window, and save; see `making.Maker`.

    Where emulation is slow a kernel may fail to measure its time stamp counter: that boot is not
    worth keeping, unless this kernel never does. One that has measured it wrongly is never kept.
    """
    for boots in range(1, _BOOTS + 1):
        ram.write_bytes(b"")
        with boot(origin=Origin(ram)) as (guest, machine):
            unable = why_unable(machine.process)
            if unable:
                raise HostError(unable)
            guest.settle()  # or every clone would patch its kernel as its random pool fills
            if not machine.process.window.is_used:
                raise HostError("the kernel lets no program map the memory that a clone answers by")
            settled = await_clock(guest)
            if (settled or boots >= _BOOTS_TO_SETTLE) and keeps_time(guest):
                return _save_booted(guest, machine, ram, devices)
    raise HostError("its clock does not keep time: this host was too busy as the kernel booted")


def _save_booted(guest: Guest, machine: Machine, ram: Path, devices: Path) -> dict[str, Any]:
    arch = guest.identity.arch
    log = guest.drain_log()
    said = {
        "kernel": guest.identity.spec,
        "accelerator": guest.identity.accelerator,
        "qemu": guest.identity.qemu,
    }
    window = find_window(guest)
    iomem = guest.read_file("/proc/iomem").decode()
    make_container(machine.process, devices)
    records = {abi.name: guest.record(abi).hex() for abi in arch.abis}
    looked_into = save_quietly(guest, machine, devices)
    code = find_code_pages(iomem, ram, guest_programs(arch))
    found = {"window": window, "looked_into": looked_into, "code": code}
    return {"log": log, "records": records, **found, **said}


def await_clock(guest: Guest) -> bool:
    """Wait until the kernel has settled on its clock source, a second after it has begun.

    Every clone would do so again, with all processors stopped for it.
    Source: arch/x86/kernel/tsc.c tsc_refine_calibration_work (6.1).

    Returns:
        Whether that is the time stamp counter.
    """
    deadline = Deadline.after(_CLOCK_S, "clock source")
    while not deadline.expired:
        if guest.read_file(_CLOCK_SOURCE) == b"tsc\n":
            return True
        time.sleep(_CLOCK_PAUSE_S)
    return False


def keeps_time(guest: Guest) -> bool:
    """Tell whether its clock runs as fast as this host's, to one part in twenty.

    Its kernel has measured the time stamp counter against a clock that emulation may keep badly:
    twenty times too slow has been seen on a busy host.
    """
    first = _read_clock(guest)
    time.sleep(_CLOCK_RUN_S)
    second = _read_clock(guest)
    least_s, most_s = second.asked_s - first.answered_s, second.answered_s - first.asked_s
    return (
        least_s * (1 - _INACCURACY) <= second.guest_s - first.guest_s <= most_s * (1 + _INACCURACY)
    )


class _Reading(NamedTuple):
    """What a guest's clock showed, at some time between the host's two."""

    asked_s: float
    guest_s: float
    answered_s: float


def _read_clock(guest: Guest) -> _Reading:
    """Read the clock by which a guest's kernel waits."""
    asked_s = time.monotonic()
    guest_s = float(guest.read_file("/proc/uptime").split()[0])
    return _Reading(asked_s, guest_s, time.monotonic())


def save_quietly(guest: Guest, machine: Machine, devices: Path) -> bool:
    """Save a machine while its agent looks into the window and no interrupt is on its way.

    Its clones then need no knock, and can be taken back without forgetting; see `vmstate`. The
    agent looks for some milliseconds only, which a busy host may miss many times in a row.

    Returns:
        Whether the agent looked. A machine that is never quiet is saved as it is.
    """
    deadline = Deadline.after(_QUIET_S, "a quiet moment")
    while True:
        guest.drain_log()
        machine.process.ask("stop")
        looked_into = machine.process.window.is_looked_into
        if looked_into or deadline.expired:
            save_devices(machine.process)
            saved = read_saved_devices(devices.read_bytes())
            if not saved or saved.lean or deadline.expired:
                return looked_into
            forget_devices(machine.process)
        machine.process.ask("cont")


def find_window(guest: Guest) -> int:
    """Return where the guest's kernel has the window, from what sysfs says of its regions.

    Raises:
        HostError: the kernel knows of no such function.
    """
    try:
        resources = guest.read_file(WINDOW_RESOURCES).decode()
    except HostError as error:
        raise HostError("the kernel has no PCI, by which host and clone share memory") from error
    return int(resources.splitlines()[_WINDOW_REGION].split()[0], 16)
