# SPDX-License-Identifier: Apache-2.0
"""Guests for tests: booted when first asked for, kept while usable, replaced when not."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

from harness.agent.guest import Guest
from harness.errors import TrapgateError
from harness.kernels import Supply, obtain
from harness.plugin.configuration import Configuration
from harness.target.qemu import start_guest

_MOST_AT_ONCE = 2
_MOST_FAILURES = 2
"""How often in a row a kernel may fail to boot before it is left alone."""


class GuestHouse:
    """Keeps a few guests running, one a configuration.

    Args:
        supply: how missing kernels are fetched.
    """

    def __init__(self, supply: Supply) -> None:
        self._supply = supply
        self._open: dict[Configuration, tuple[contextlib.ExitStack, Guest]] = {}
        self._failures: dict[Configuration, list[TrapgateError]] = {}

    def __enter__(self) -> Self:
        """Open the house; guests come when they are asked for."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every guest."""
        for configuration in list(self._open):
            self._end(configuration)

    def lease(self, configuration: Configuration) -> Guest:
        """Return a usable guest of that configuration, with fresh executors.

        Raises:
            HostError: it cannot be booted on this host.
            GuestError: its kernel does not boot.
        """
        if configuration in self._open and not self._open[configuration][1].usable:
            self._end(configuration)
        if configuration not in self._open:
            self._try_boot(configuration)
        else:
            self._open[configuration][1].renew()
        return self._open[configuration][1]

    def _try_boot(self, configuration: Configuration) -> None:
        """Boot; what did not come up twice in a row would only cost every test its patience."""
        failures = self._failures.setdefault(configuration, [])
        if len(failures) >= _MOST_FAILURES:
            last = failures[-1]
            raise type(last)(f"{configuration.id} is not booted again after: {last.message}")
        try:
            self._boot(configuration)
        except TrapgateError as error:
            failures.append(error)
            raise
        failures.clear()

    def _boot(self, configuration: Configuration) -> None:
        for oldest in list(self._open)[: len(self._open) + 1 - _MOST_AT_ONCE]:
            self._end(oldest)
        with contextlib.ExitStack() as stack:
            kernel = obtain(configuration.source, self._supply)
            guest = stack.enter_context(start_guest(kernel, configuration.options))
            guest.drain_log()
            self._open[configuration] = (stack.pop_all(), guest)

    def _end(self, configuration: Configuration) -> None:
        stack, _ = self._open.pop(configuration)
        stack.close()
