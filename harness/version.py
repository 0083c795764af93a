# SPDX-License-Identifier: Apache-2.0
"""Kernel versions: read from a release string, and compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.errors import DeclarationError

_RELEASE = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-~]?rc(\d+))?")
_NO_CANDIDATE = 1_000_000


@dataclass(frozen=True, order=True)
class KernelVersion:
    """A kernel's version, ordered as kernels are: 6.1 < 7.3-rc7 < 7.3 < 7.3.1.

    Attributes:
        major: the first number.
        minor: the second number; with `major` it names the series.
        patch: the third number, 0 where there is none.
        candidate: the release candidate's number; releases come after all candidates.
        release: the whole text it was read from; it does not take part in comparisons.
    """

    major: int
    minor: int
    patch: int = 0
    candidate: int = _NO_CANDIDATE
    release: str = field(default="", compare=False)

    @classmethod
    def parse(cls, release: str) -> KernelVersion:
        """Read a version from what `uname -r` or a package version says.

        Args:
            release: such as "6.1.0-50-amd64", "6.12.107+deb13-amd64" or "7.3~rc7-1~exp1".

        Raises:
            DeclarationError: the text does not begin with a kernel version.
        """
        found = _RELEASE.match(release)
        if not found:
            raise DeclarationError(
                f"no kernel version: expected something like '6.1' or '7.3-rc7', got {release!r}"
            )
        major, minor, patch, candidate = found.groups()
        return cls(
            int(major),
            int(minor),
            int(patch or 0),
            int(candidate) if candidate else _NO_CANDIDATE,
            release,
        )

    @property
    def series(self) -> str:
        """The first two numbers, as in "6.1"."""
        return f"{self.major}.{self.minor}"

    def __str__(self) -> str:
        """Return the shortest text that reads back as the same version."""
        patch = f".{self.patch}" if self.patch else ""
        candidate = f"-rc{self.candidate}" if self.candidate != _NO_CANDIDATE else ""
        return f"{self.series}{patch}{candidate}"
