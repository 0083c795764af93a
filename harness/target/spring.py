# SPDX-License-Identifier: Apache-2.0
"""Guests of one kernel in one machine: clones of a kept boot, or boots where that cannot be."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from harness.agent.client import AgentClient
from harness.agent.guest import Guest
from harness.arch import ABIS
from harness.errors import HostError
from harness.kernels.kernel import Kernel
from harness.machine.machine import Machine, start_machine
from harness.machine.plan import MachineOptions
from harness.machine.snapshot import leave_memory_out, load_devices, place_window
from harness.machine.state import BootState, find_state, state_key
from harness.target.qemu import (
    boot_guest,
    identify,
    open_window,
    patience_for,
    plan_guest,
    settle_accelerator,
)

if TYPE_CHECKING:
    from harness.machine.rewind import Rewinder

Say = Callable[[str], None]


def tell(line: str) -> None:
    """Write a line for the user to standard error."""
    print(f"trapgate: {line}", file=sys.stderr)


class Spring:
    """Where guests come from.

    Args:
        kernel: what they run.
        options: the machine that they run in; "auto" is settled here.
        say: takes a line for the user.

    Attributes:
        plan: the machine.
        trouble: why guests are booted and not cloned, empty while they are cloned.
    """

    def __init__(self, kernel: Kernel, options: MachineOptions, say: Say = tell) -> None:
        accelerator = settle_accelerator(kernel, options)
        self._kernel = kernel
        self._reason = accelerator.reason
        self._say = say
        self.patience = patience_for(accelerator.name)
        self.plan = plan_guest(kernel, replace(options, accelerator=accelerator.name))
        self.trouble = "a boot was asked for" if options.boot else ""
        self._state: BootState | None = None

    def find_state(self) -> BootState | None:
        """Return the boot state that guests are cloned from, made now if need be.

        Returns:
            None where this host cannot keep one; `trouble` says why, and the user has been told.

        Raises:
            GuestError: the kernel does not boot.
        """
        if self._state or self.trouble:
            return self._state
        key = state_key(self.plan, self._kernel.sha256, self.plan.initramfs.name)
        try:
            self._state = find_state(key, self._say)
            if not self._state:
                self._state = self._make_state(key)
        except (HostError, OSError) as error:
            self.trouble = error.message if isinstance(error, HostError) else str(error)
            self._say(f"guests of {self._kernel.spec} are booted, not cloned: {self.trouble}")
        return self._state

    def _make_state(self, key: str) -> BootState:
        # What only a state's making needs, pyelftools and locks, costs more than a clone.
        from harness.target.making import make_boot_state  # noqa: PLC0415

        boot = partial(boot_guest, self._kernel, self.plan, self.patience, self._reason)
        return make_boot_state(key, boot, self.plan.memory_mib << 20, self._say)

    @contextlib.contextmanager
    def start_clone(self, *, fresh: bool = False) -> Iterator[Clone]:
        """Start a clone; it is gone when the block is left.

        Args:
            fresh: whether its executors start anew, at addresses that are not those of the state's.

        Raises:
            HostError: there is no state to clone, or QEMU could not load it.
        """
        state = self.find_state()
        if not state:
            raise HostError(f"guests of {self._kernel.spec} cannot be cloned: {self.trouble}")
        with start_machine(self.plan, self.patience, state.origin) as machine:
            leave_memory_out(machine.process)
            place_window(machine.process, state.guest["window"])
            load_devices(machine.process)
            clone = Clone(self, machine, state, fresh=fresh)
            try:
                clone.settle()
                yield clone
            finally:
                clone.close()

    @contextlib.contextmanager
    def start(self) -> Iterator[Guest]:
        """Start a guest, by cloning where that can be, else by a boot.

        Raises:
            HostError: QEMU or the compiler is missing or failed.
            GuestError: the kernel did not boot.
        """
        with self.start_with_machine() as (guest, _):
            yield guest

    @contextlib.contextmanager
    def start_with_machine(self) -> Iterator[tuple[Guest, Machine]]:
        """Start a guest as `start` does, for somebody who needs the machine around it, too."""
        if self.find_state():
            with self.start_clone() as clone:
                yield clone.guest, clone.machine
        else:
            with boot_guest(self._kernel, self.plan, self.patience, self._reason) as both:
                yield both

    def revive(self, machine: Machine, state: BootState, *, fresh: bool) -> Guest:
        """Return the guest in a machine that is in that state again, and set it going."""
        identity = identify(self._kernel, self.plan, tuple(state.guest["qemu"]), self._reason)
        records = {ABIS[n]: bytes.fromhex(r) for n, r in state.guest["records"].items()}
        looking = state.guest["looked_into"]
        client = AgentClient(open_window(machine, looking=looking))
        machine.process.ask("cont")
        guest = Guest(client, machine, identity, self.patience, records)
        guest.settle(fresh=fresh)
        return guest


class Clone:
    """A machine that was restored from a state, and can be taken back to it.

    Args:
        spring: where it comes from.
        machine: restored and stopped.
        state: what it was restored from.
        fresh: whether its executors start anew each time.

    Attributes:
        machine: what the guest runs in.
    """

    def __init__(
        self, spring: Spring, machine: Machine, state: BootState, *, fresh: bool = False
    ) -> None:
        self._spring = spring
        self._fresh = fresh
        self.machine = machine
        self._state = state
        self._rewinder: Rewinder | None = None
        self._guest: Guest | None = None

    @property
    def guest(self) -> Guest:
        """The guest, as it is since it was last settled."""
        assert self._guest  # noqa: S101 - settled by whoever started it
        return self._guest

    def settle(self) -> Guest:
        """Let the guest run, with the time and a random seed of its own."""
        self._guest = self._spring.revive(self.machine, self._state, fresh=self._fresh)
        return self._guest

    def rewind(self) -> Guest:
        """Take the machine back and return the guest in it, which knows nothing of the last one.

        Raises:
            HostError: it cannot be taken back; the clone is of no use any more.
        """
        from harness.machine.rewind import Rewinder  # noqa: PLC0415 - most clones are used once

        process = self.machine.process
        self._rewinder = self._rewinder or Rewinder(process, self._state.guest["code"])
        self._rewinder.rewind()
        process.drain_frames()
        process.forget_console()
        return self.settle()

    @property
    def pid(self) -> int:
        """The process number of its QEMU."""
        return self.machine.process.process.pid

    def pause(self) -> None:
        """Stop the guest where it is, at no cost but its memory."""
        self.machine.process.ask("stop")

    def resume(self) -> None:
        """Let a paused guest go on, with the right time."""
        self.machine.process.ask("cont")
        self.guest.settle()

    def kill(self) -> None:
        """End the machine at once; who started it lets go of the rest."""
        self.machine.process.process.kill()

    def close(self) -> None:
        """Let go of the process's memory."""
        if self._rewinder:
            self._rewinder.close()


@contextlib.contextmanager
def start_guest(kernel: Kernel, options: MachineOptions, say: Say = tell) -> Iterator[Guest]:
    """Start one guest; it is gone when the block is left.

    Args:
        kernel: what it runs.
        options: the machine's.
        say: takes a line for the user.

    Raises:
        HostError: QEMU or the compiler is missing or failed.
        GuestError: the kernel did not boot.
    """
    with Spring(kernel, options, say).start() as guest:
        yield guest
