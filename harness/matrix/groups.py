# SPDX-License-Identifier: Apache-2.0
"""Which configuration a test belongs to, told from its identifier alone.

Processes that collect nothing themselves know no more of a test.
"""

from __future__ import annotations

from collections.abc import Iterable

ELSEWHERE = ""
"""The group of tests that belong to no configuration."""


class Groups:
    """The configurations of a run.

    A scenario that asks in a machine of its own has another name behind the kernel's; it belongs to
    the configuration that its name begins with, or else to the kernel.

    Args:
        names: what tests' parameters begin with: configurations, and kernels.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(set(names), key=len, reverse=True)
        self._known: dict[str, str] = {}

    def of(self, nodeid: str) -> str:
        """Return the name of the configuration that a test belongs to, or `ELSEWHERE`."""
        parameters = nodeid.partition("[")[2]
        if parameters not in self._known:
            fitting = (n for n in self._names if parameters.startswith((f"{n}-", f"{n}]")))
            self._known[parameters] = next(fitting, ELSEWHERE)
        return self._known[parameters]
