# SPDX-License-Identifier: Apache-2.0
"""What the caller decides about fetching."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.kernels.reporter import LineReporter, Reporter


@dataclass(frozen=True)
class Supply:
    """How kernels that are not in the cache are got.

    Attributes:
        mirrors: addresses to try in order, instead of those the environment or apt names.
        with_modules: whether to fetch a modules package of its own too (110 MB from 7.x on).
        reporter: is told what is being done.
        keyrings: the keys for package indexes, None for this machine's Debian keyrings.
    """

    mirrors: tuple[str, ...] = ()
    with_modules: bool = False
    reporter: Reporter = field(default_factory=LineReporter)
    keyrings: tuple[Path, ...] | None = None
