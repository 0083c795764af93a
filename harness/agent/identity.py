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
        accelerator: "tcg" or "kvm".
        cpu: the processor model as QEMU spells it.
        qemu: the emulator's version, (0, 0) where there is none.
        reason: why that accelerator.
    """

    spec: str
    arch: Arch
    version: KernelVersion
    release: str
    accelerator: str
    cpu: str
    qemu: QemuVersion = (0, 0)
    reason: str = ""

    def __str__(self) -> str:
        """Return it in one line."""
        return f"Linux {self.release} ({self.arch}) on {self.cpu} by {self.accelerator}"
