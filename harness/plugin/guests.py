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
from harness.target.spring import Spring

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
        self._open: dict[Configuration, Lodger] = {}
        self._springs: dict[Configuration, Spring] = {}
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

    def lease(self, configuration: Configuration, *, pristine: bool = False) -> Guest:
        """Return a usable guest of that configuration, with fresh executors.

        Args:
            configuration: the kernel and the machine.
            pristine: whether no test may have touched the kernel before.

        Raises:
            HostError: it cannot be started on this host.
            GuestError: its kernel does not boot.
        """
        known = self._open.get(configuration)
        if known and not known.renew(pristine=pristine):
            self._end(configuration)
        if configuration not in self._open:
            self._try_boot(configuration)
        return self._open[configuration].guest

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
        self._open[configuration] = Lodger(self._spring(configuration))

    def _spring(self, configuration: Configuration) -> Spring:
        if configuration not in self._springs:
            kernel = obtain(configuration.source, self._supply)
            self._springs[configuration] = Spring(kernel, configuration.options)
        return self._springs[configuration]

    def _end(self, configuration: Configuration) -> None:
        self._open.pop(configuration).close()


class Lodger:
    """One machine of a house, and the guest that is in it now.

    Args:
        spring: where it comes from.

    Attributes:
        guest: the one that was renewed last.
    """

    def __init__(self, spring: Spring) -> None:
        with contextlib.ExitStack() as stack:
            self._clone = stack.enter_context(spring.start_clone()) if spring.find_state() else None
            self.guest = self._clone.guest if self._clone else stack.enter_context(spring.start())
            self.guest.drain_log()
            self._stack = stack.pop_all()

    def renew(self, *, pristine: bool) -> bool:
        """Replace the executors, or the whole guest; False when the machine has to be replaced."""
        if not self.guest.usable or (pristine and not self._clone):
            return False
        try:
            if pristine and self._clone:
                self.guest = self._clone.rewind()
            else:
                self.guest.renew()
        except TrapgateError:
            return False
        return True

    def close(self) -> None:
        """End the machine."""
        self._stack.close()
