# SPDX-License-Identifier: Apache-2.0
"""A plan becomes a command line: a pure function."""

from __future__ import annotations

import json
from dataclasses import dataclass

from harness.machine.origin import BOOTED, SNAPSHOT_NODE, Origin
from harness.machine.plan import MachinePlan
from harness.wire import WINDOW_BYTES, WINDOW_DEVICE

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

COUNTING = "shift=0,sleep=off"
"""Each instruction is a nanosecond, and an idle processor waits for nothing.

Source: docs/devel/tcg-icount.rst, qemu-options.hx -icount (QEMU 7.2).
"""


@dataclass(frozen=True)
class Wiring:
    """What a machine's three connections end in, each as QEMU's -chardev has it, without the id.

    Attributes:
        console: the kernel's console, ttyS0.
        frames: the agent's frames, ttyS1.
        monitor: QEMU's own monitor, empty for none.
        window: the path of memory that host and guest share, empty for none.
        snapshot: the path of a kept state's devices, empty for none.
        events: mode and file of QEMU's record or replay, as its -icount has them, empty for none;
            only of a machine that counts. It then stays when it has ended, to be asked.
        extra: arguments that these need beside them.
    """

    console: str
    frames: str
    monitor: str = ""
    window: str = ""
    snapshot: str = ""
    events: str = ""
    extra: tuple[str, ...] = ()


BY_HAND = Wiring(
    console="stdio",
    frames="socket,path=frames.sock,server=on,wait=off",
)
"""For somebody who copies the command line: the console on the terminal, frames on a socket."""


def qemu_arguments(plan: MachinePlan, wiring: Wiring, origin: Origin = BOOTED) -> list[str]:
    """Return QEMU's arguments, without the program's name.

    Args:
        plan: the machine.
        wiring: what its connections end in.
        origin: what it begins with.
    """
    return [
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-sandbox", SANDBOX),
        *("-object", origin.memory_backend(plan.memory_mib)),
        *(
            "-machine",
            f"{plan.machine},memory-backend=ram",
            "-accel",
            plan.accelerator,
            "-cpu",
            plan.cpu,
        ),
        *(_counting(wiring.events) if plan.counted else ()),
        *("-m", f"{plan.memory_mib}M", "-smp", str(plan.vcpus)),
        *wiring.extra,
        *("-chardev", _with_id(wiring.console, "console"), "-serial", "chardev:console"),
        *("-chardev", _with_id(wiring.frames, "frames"), "-serial", "chardev:frames"),
        *(_monitor(wiring.monitor) if wiring.monitor else ()),
        *(_window(wiring.window) if wiring.window else ()),
        *(_boot(plan) if origin.boots else _restore(wiring.snapshot)),
    ]


def _counting(events: str) -> tuple[str, ...]:
    if not events:
        return ("-icount", COUNTING)
    return ("-icount", f"{COUNTING},{events}", "-no-shutdown")


def _monitor(backend: str) -> tuple[str, ...]:
    return ("-chardev", _with_id(backend, "monitor"), "-mon", "monitor,mode=control")


def _window(path: str) -> tuple[str, ...]:
    """Shared memory as a PCI function; "master" is what lets a machine that has it be saved."""
    slot = WINDOW_DEVICE.rpartition(":")[2].partition(".")[0]
    return (
        "-object",
        f"memory-backend-file,id=window,size={WINDOW_BYTES},mem-path={path},share=on",
        "-device",
        f"ivshmem-plain,memdev=window,master=on,addr=0x{slot}",
    )


def _boot(plan: MachinePlan) -> tuple[str, ...]:
    files = ("-kernel", str(plan.kernel), "-initrd", str(plan.initramfs))
    return (*files, "-append", " ".join(plan.command_line))


def _restore(snapshot: str) -> tuple[str, ...]:
    node = {
        "driver": "qcow2",
        "node-name": SNAPSHOT_NODE,
        "file": {"driver": "file", "filename": snapshot, "locking": "off"},
    }
    return ("-S", "-blockdev", json.dumps(node))


def _with_id(backend: str, identity: str) -> str:
    kind, _, rest = backend.partition(",")
    return f"{kind},id={identity}" + (f",{rest}" if rest else "")
