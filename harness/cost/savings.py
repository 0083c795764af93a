# SPDX-License-Identifier: Apache-2.0
"""What textbooks promise of the fast ways, and what of that was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.arch import ABIS
from harness.cost.figures import Figures
from harness.cost.subjects import CLOCK, EMPTY, VDSO
from harness.entry import INT80, INT80_64, KERNEL_VSYSCALL, SYSCALL

TEXTBOOK_PERCENT = 75
"""By how much cheaper the fast entry is said to be than int $0x80; claim 55 of docs/claims.md."""

_SLOW = {"i386": INT80.name, "x86_64": INT80_64.name}
_FAST = {"i386": KERNEL_VSYSCALL.name, "x86_64": SYSCALL.name}


@dataclass(frozen=True)
class Saving:
    """A fast way held against the trap gate, for the same call.

    Attributes:
        abi: the calling program's.
        path: the fast way.
        percent: by how much it is cheaper; negative where it is dearer.
    """

    abi: str
    path: str
    percent: float

    def __str__(self) -> str:
        """Return it in words."""
        word = "less" if self.percent >= 0 else "more"
        return f"{self.path} {abs(self.percent):.0f} % {word} than {_SLOW[self.abi]}"


def savings(figures: Figures) -> Iterator[Saving]:
    """Yield what the fast entry and the vDSO save, for the ABIs of which both ways are known."""
    for abi in ABIS:
        for subject, path in ((EMPTY.name, _FAST[abi]), (CLOCK.name, VDSO)):
            slow = figures.find(subject, abi, _SLOW[abi])
            fast = figures.find(subject, abi, path)
            if slow and fast:
                yield Saving(abi, path, 100 * (1 - fast.value / slow.value))
