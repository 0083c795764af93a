# SPDX-License-Identifier: Apache-2.0
"""A plan becomes a command line: a pure function."""

from __future__ import annotations

from dataclasses import dataclass

from harness.machine.plan import MachinePlan

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


@dataclass(frozen=True)
class Wiring:
    """What a machine's three connections end in, each as QEMU's -chardev has it, without the id.

    Attributes:
        console: the kernel's console, ttyS0.
        frames: the agent's frames, ttyS1.
        monitor: QEMU's own monitor, empty for none.
        extra: arguments that these need beside them.
    """

    console: str
    frames: str
    monitor: str = ""
    extra: tuple[str, ...] = ()


BY_HAND = Wiring(
    console="stdio",
    frames="socket,path=frames.sock,server=on,wait=off",
)
"""For somebody who copies the command line: the console on the terminal, frames on a socket."""


def qemu_arguments(plan: MachinePlan, wiring: Wiring) -> list[str]:
    """Return QEMU's arguments for `plan`, without the program's name."""
    monitor = (
        ["-chardev", f"{_with_id(wiring.monitor, 'monitor')}", "-mon", "monitor,mode=control"]
        if wiring.monitor
        else []
    )
    return [
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-sandbox", SANDBOX),
        *("-machine", plan.machine, "-accel", plan.accelerator, "-cpu", plan.cpu),
        *("-m", f"{plan.memory_mib}M", "-smp", str(plan.vcpus)),
        *wiring.extra,
        *("-chardev", _with_id(wiring.console, "console"), "-serial", "chardev:console"),
        *("-chardev", _with_id(wiring.frames, "frames"), "-serial", "chardev:frames"),
        *monitor,
        *("-kernel", str(plan.kernel), "-initrd", str(plan.initramfs)),
        *("-append", " ".join(plan.command_line)),
    ]


def _with_id(backend: str, identity: str) -> str:
    kind, _, rest = backend.partition(",")
    return f"{kind},id={identity}" + (f",{rest}" if rest else "")
