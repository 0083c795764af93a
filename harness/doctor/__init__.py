# SPDX-License-Identifier: Apache-2.0
"""Look at the host: what the harness needs, what of it is there, what is not."""

from __future__ import annotations

from harness.doctor.compiler import examine_compiler
from harness.doctor.emulator import examine_emulator
from harness.doctor.finding import Finding, Standing
from harness.doctor.host import examine_host
from harness.doctor.mirror import examine_mirror
from harness.doctor.programs import examine_programs

__all__ = ["Finding", "Standing", "examine"]


def examine() -> list[Finding]:
    """Look at everything that the harness needs of this host, and change nothing.

    Returns:
        The findings in the order of reading: programs, what they can do, devices, folders, mirror.
    """
    return [
        *examine_programs(),
        *examine_compiler(),
        *examine_emulator(),
        *examine_host(),
        examine_mirror(),
    ]
