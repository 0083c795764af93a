# SPDX-License-Identifier: Apache-2.0
"""What can be asked: a kernel in QEMU, or that of a real host."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from harness.agent.guest import Guest
from harness.arch import Arch
from harness.kernels.kernel import Kernel
from harness.machine.plan import MachineOptions
from harness.target.spring import start_guest
from harness.version import KernelVersion

QEMU = "qemu"
"""What the target is called that boots kernels."""


class Target(Protocol):
    """One kernel somewhere."""

    @property
    def spec(self) -> str:
        """What --kernel takes for it, or --target."""

    @property
    def arch(self) -> Arch:
        """What it was built for."""

    @property
    def version(self) -> KernelVersion:
        """Its version."""

    @property
    def memory_mib(self) -> int:
        """How much memory programs have to share there; 0 for nobody has to care."""

    def start(self) -> contextlib.AbstractContextManager[Guest]:
        """Start an agent there; it is gone when the block is left."""


@dataclass(frozen=True)
class QemuTarget:
    """A kernel that QEMU boots.

    Attributes:
        kernel: which.
        options: the machine's.
    """

    kernel: Kernel
    options: MachineOptions

    @property
    def spec(self) -> str:
        """The kernel's."""
        return self.kernel.spec

    @property
    def arch(self) -> Arch:
        """What it was built for."""
        return self.kernel.arch

    @property
    def version(self) -> KernelVersion:
        """Its version."""
        return self.kernel.version

    @property
    def memory_mib(self) -> int:
        """The guest's memory."""
        return self.options.memory_mib

    @contextlib.contextmanager
    def start(self) -> Iterator[Guest]:
        """Start a guest; see `start_guest`."""
        with start_guest(self.kernel, self.options) as guest:
            yield guest
