# SPDX-License-Identifier: Apache-2.0
"""From a user's choice of kernel and machine to the header of a script."""

from __future__ import annotations

from harness.machine.plan import DEFAULT_MEMORY_MIB, MachineOptions
from harness.script.statements import Header


def header_of(spec: str, options: MachineOptions) -> Header:
    """Return the header of a script for a machine; what is as usual is left out.

    Args:
        spec: the kernel's, empty for none in particular.
        options: the machine's.
    """
    return Header(
        spec,
        options.cpu,
        options.append,
        "" if options.accelerator == "auto" else options.accelerator,
        0 if options.memory_mib == DEFAULT_MEMORY_MIB else options.memory_mib,
    )
