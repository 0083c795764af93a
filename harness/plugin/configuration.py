# SPDX-License-Identifier: Apache-2.0
"""One kernel in one kind of machine: what tests are multiplied by."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.kernels import KernelSource
from harness.machine.plan import MachineOptions

if TYPE_CHECKING:
    from harness.target.host import HostTarget


@dataclass(frozen=True)
class Variation:
    """What a scenario wants different about the machine it asks in.

    Attributes:
        cpu: a processor model of QEMU's, empty for the configuration's own.
        append: more kernel parameters, separated by spaces; may be empty.
        arch: the only kernels that it is meant for, by their architecture's name; empty for all.
    """

    cpu: str = ""
    append: str = ""
    arch: str = ""

    def __str__(self) -> str:
        """Return what it wants, in a few words."""
        wants = {"cpu": self.cpu, "append": self.append}
        return ", ".join(f"{name} {value!r}" for name, value in wants.items() if value)


PLAIN = Variation()


@dataclass(frozen=True)
class Configuration:
    """What a guest is booted from, or the host that is asked instead.

    Attributes:
        source: the kernel, or the host that has it.
        given: the machine that the user chose.
        variation: what a scenario changes about it.
    """

    source: KernelSource | HostTarget
    given: MachineOptions
    variation: Variation = PLAIN

    @property
    def options(self) -> MachineOptions:
        """The machine that is started."""
        return replace(
            self.given,
            cpu=self.variation.cpu or self.given.cpu,
            append=(*self.given.append, *self.variation.append.split()),
        )

    @property
    def boots(self) -> bool:
        """Whether a kernel is booted, and not that of a real host asked."""
        return isinstance(self.source, KernelSource)

    @property
    def plain(self) -> Configuration:
        """The same without what a scenario changes."""
        return self.with_variation(PLAIN)

    def with_variation(self, variation: Variation) -> Configuration:
        """Return the same with what a scenario changes about it."""
        return self if variation == self.variation else replace(self, variation=variation)

    @functools.cached_property
    def id(self) -> str:
        """A short name for test identifiers and for xdist's groups."""
        return "-".join(filter(None, (self.source.id, self.options.cpu, self.variation.append)))

    def named_in(self, nodeid: str) -> bool:
        """Tell whether a test's identifier is one of this configuration, which it begins with."""
        _, _, parameters = nodeid.partition("[")
        return parameters.startswith((f"{self.id}-", f"{self.id}]"))
