# SPDX-License-Identifier: Apache-2.0
"""Guests for tests: a pristine clone for each, or one boot for many where there are no clones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, Self

from harness.agent.guest import Guest
from harness.errors import NotForHosts, TrapgateError
from harness.kernels import Kernel, KernelSource, Supply, obtain
from harness.plugin.configuration import PLAIN, Configuration, Variation
from harness.target.pool import ClonePool
from harness.target.spring import Spring

if TYPE_CHECKING:
    from harness.evidence.inside import Inside
    from harness.target.host import HostTarget

_MOST_AT_ONCE = 8
"""Configurations whose machines are kept running."""
_CLONES = 4
"""Of one configuration: one, and one more for each guest that a test has beside another."""
_MOST_FAILURES = 2
"""How often in a row a kernel may fail to boot before it is left alone."""


class Host(Protocol):
    """Where the guests of one configuration are had from."""

    def take(self, *, pristine: bool) -> contextlib.AbstractContextManager[Guest]:
        """Give a guest for one test; see `GuestHouse.lease`."""

    def close(self) -> None:
        """End every machine."""


class GuestHouse:
    """Gives guests to tests, one after the other.

    Args:
        supply: how missing kernels are fetched.
    """

    def __init__(self, supply: Supply) -> None:
        self._supply = supply
        self._open: dict[Configuration, Host] = {}
        self._springs: dict[Configuration, Spring] = {}
        self._failures: dict[Configuration, list[TrapgateError]] = {}

    def __enter__(self) -> Self:
        """Open the house; guests come when they are asked for."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End every guest."""
        for configuration in list(self._open):
            self._end(configuration)

    @contextlib.contextmanager
    def lease(self, configuration: Configuration, *, pristine: bool = False) -> Iterator[Guest]:
        """Give a usable guest of that configuration, which no test has touched.

        Where guests are booted and not cloned, many tests share a boot and each gets fresh
        executors, since a boot takes seconds.

        Args:
            configuration: the kernel and the machine.
            pristine: whether even then nobody may have touched the kernel before.

        Raises:
            HostError: it cannot be started on this host.
            GuestError: its kernel does not boot.
        """
        with contextlib.ExitStack() as stack:
            yield self._try(configuration, stack, pristine=pristine)

    def _try(
        self, configuration: Configuration, stack: contextlib.ExitStack, *, pristine: bool
    ) -> Guest:
        """Take; what did not come up twice in a row would only cost every test its patience."""
        failures = self._failures.setdefault(configuration, [])
        if len(failures) >= _MOST_FAILURES:
            last = failures[-1]
            raise type(last)(f"{configuration.id} is not booted again after: {last.message}")
        try:
            guest = stack.enter_context(self._host(configuration).take(pristine=pristine))
        except NotForHosts:
            raise
        except TrapgateError as error:
            failures.append(error)
            raise
        failures.clear()
        return guest

    def _host(self, configuration: Configuration) -> Host:
        host = self._open.pop(configuration, None)
        if host is None:
            for longest_unused in list(self._open)[: len(self._open) + 1 - _MOST_AT_ONCE]:
                self._end(longest_unused)
            host = self._new_host(configuration)
        self._open[configuration] = host
        return host

    def kernel(self, configuration: Configuration) -> Kernel:
        """Return the kernel of a configuration, fetched if need be.

        Raises:
            NotForHosts: it is a real host's, whose image is not ours to read.
        """
        if not isinstance(configuration.source, KernelSource):
            raise NotForHosts("for guests only: it looks into the kernel's image")
        return obtain(configuration.source, self._supply)

    def _new_host(self, configuration: Configuration) -> Host:
        if not isinstance(configuration.source, KernelSource):
            return Visiting(configuration.source, configuration.variation)
        spring = self._spring(configuration)
        return Cloning(spring) if spring.find_state() else Booting(spring)

    def _spring(self, configuration: Configuration) -> Spring:
        if configuration not in self._springs:
            kernel = self.kernel(configuration)
            self._springs[configuration] = Spring(kernel, configuration.options)
        return self._springs[configuration]

    def _end(self, configuration: Configuration) -> None:
        self._open.pop(configuration).close()


class Cloning:
    """A pool of clones, each of which is pristine again before the next test gets it.

    Args:
        spring: where clones come from.
    """

    def __init__(self, spring: Spring) -> None:
        self._stack = contextlib.ExitStack()
        pool = ClonePool(spring, size=_CLONES, eager=False, fresh=True)
        self._pool = self._stack.enter_context(pool)

    @contextlib.contextmanager
    def take(self, *, pristine: bool) -> Iterator[Guest]:
        """Give a guest that knows of no test, asked for or not."""
        del pristine
        with self._pool.take() as clone:
            yield clone.guest

    def close(self) -> None:
        """End every clone."""
        self._stack.close()


class Source(Protocol):
    """Where guests come from, one after the other."""

    def start(self) -> contextlib.AbstractContextManager[Guest]:
        """Start one; it is gone when the block is left."""


class Booting:
    """One booted machine, replaced when it is of no use any more.

    Args:
        source: where boots come from.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stack = contextlib.ExitStack()
        self._guest: Guest | None = None

    @contextlib.contextmanager
    def take(self, *, pristine: bool) -> Iterator[Guest]:
        """Give the guest of the running boot with fresh executors, or a new one.

        Who asks for a pristine kernel may leave another behind, which nobody else is given.
        """
        if pristine or not self._renewed():
            self.close()
            self._guest = self._stack.enter_context(self._source.start())
            self._guest.drain_log()
        assert self._guest  # noqa: S101
        self._guest.begin()
        try:
            yield self._guest
        finally:
            if pristine:
                self.close()

    def close(self) -> None:
        """End the machine."""
        self._stack.close()
        self._guest = None

    def _renewed(self) -> bool:
        if not self._guest or not self._guest.usable:
            return False
        with contextlib.suppress(TrapgateError):
            self._guest.renew(tidy=True)
            return True
        return False


class Visiting(Booting):
    """An agent on a real host, whose kernel is what it is.

    Args:
        host: which.
        variation: the machine that a scenario wants, which cannot be had there.
    """

    def __init__(self, host: HostTarget, variation: Variation) -> None:
        super().__init__(host)
        self._variation = variation

    @contextlib.contextmanager
    def take(self, *, pristine: bool) -> Iterator[Guest]:
        """Give the host with fresh executors.

        Raises:
            NotForHosts: another kernel or machine is wanted.
        """
        if self._variation != PLAIN:
            raise NotForHosts(
                f"for guests only: it asks in a machine of its own, {self._variation}"
            )
        if pristine:
            raise NotForHosts("for guests only: it wants a kernel that nobody has touched")
        with super().take(pristine=False) as guest:
            yield guest


class Sharing:
    """One guest for several tests, replaced only when it is of no use any more.

    Args:
        house: gives it.
        configuration: the kernel and the machine.
    """

    def __init__(self, house: GuestHouse, configuration: Configuration) -> None:
        self._house = house
        self._configuration = configuration
        self._stack = contextlib.ExitStack()
        self._guest: Guest | None = None
        self._inside: Inside | None = None

    def __enter__(self) -> Self:
        """Begin; the guest comes when it is asked for."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Give the guest back."""
        self._stack.close()

    def guest(self) -> Guest:
        """Return the guest, as the last test has left it.

        Raises:
            HostError: it cannot be started on this host.
            GuestError: its kernel does not boot.
        """
        if not self._guest or not self._guest.usable:
            self._stack.close()
            self._inside = None
            lease = self._house.lease(self._configuration, pristine=self._configuration.boots)
            self._guest = self._stack.enter_context(lease)
        return self._guest

    def inside(self) -> Inside:
        """Return what the guest's kernel shows of itself, read once for all tests."""
        from harness.evidence.inside import Inside  # noqa: PLC0415 - few sessions need it

        guest = self.guest()
        self._inside = self._inside or Inside(guest, self._house.kernel(self._configuration))
        return self._inside
