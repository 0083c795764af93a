# SPDX-License-Identifier: Apache-2.0
"""One kernel in one kind of machine: what tests are multiplied by."""

from __future__ import annotations

from dataclasses import dataclass

from harness.kernels import KernelSource
from harness.machine.plan import MachineOptions


@dataclass(frozen=True)
class Configuration:
    """What a guest is booted from.

    Attributes:
        source: the kernel.
        options: the machine.
    """

    source: KernelSource
    options: MachineOptions

    @property
    def id(self) -> str:
        """A short name for test identifiers and for xdist's groups."""
        return "-".join(filter(None, (self.source.id, self.options.cpu)))

    def named_in(self, nodeid: str) -> bool:
        """Tell whether a test's identifier is one of this configuration, which it begins with."""
        _, _, parameters = nodeid.partition("[")
        return parameters.startswith((f"{self.id}-", f"{self.id}]"))
