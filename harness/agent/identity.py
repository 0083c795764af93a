# SPDX-License-Identifier: Apache-2.0
"""Which kernel answers, and in what."""

from __future__ import annotations

from dataclasses import dataclass

from harness.arch import Arch
from harness.machine.errata import QemuVersion
from harness.version import KernelVersion


@dataclass(frozen=True)
class Identity:
    """Which kernel a guest runs, and in what.

    Attributes:
        spec: what the user asked for.
        arch: what the kernel was built for.
        version: its version.
        release: what `uname -r` says.
        accelerator: "tcg" or "kvm"; "none" on a real host.
        cpu: the processor model as QEMU spells it; as it calls itself on a real host.
        qemu: the emulator's version, (0, 0) where there is none.
        reason: why that accelerator.
        target: what a real host was called, empty for a guest in QEMU.
    """

    spec: str
    arch: Arch
    version: KernelVersion
    release: str
    accelerator: str
    cpu: str
    qemu: QemuVersion = (0, 0)
    reason: str = ""
    target: str = ""

    def __str__(self) -> str:
        """Return it in one line."""
        carried = f"at {self.target}" if self.target else f"by {self.accelerator}"
        return f"Linux {self.release} ({self.arch}) on {self.cpu} {carried}"
