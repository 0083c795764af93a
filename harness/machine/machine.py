# SPDX-License-Identifier: Apache-2.0
"""A booted machine, and what became of one that stopped talking."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from harness.deadline import Deadline, Patience
from harness.errors import GuestError, GuestLost, GuestPanic, GuestTimeout, TrapgateError
from harness.machine.console import find_panic, last_lines, read_trouble
from harness.machine.origin import BOOTED, Origin
from harness.machine.plan import MachinePlan
from harness.machine.process import QemuProcess, start_qemu
from harness.machine.vmstate import read_saved_processor

_SETTLE_S = 2.0


class Machine:
    """A machine whose kernel is booting or has booted.

    Args:
        process: the QEMU that it runs in.
    """

    def __init__(self, process: QemuProcess) -> None:
        self.process = process

    @property
    def plan(self) -> MachinePlan:
        """What it was started from."""
        return self.process.plan

    def saved_registers(self) -> Mapping[str, int]:
        """Return what the processor held in the state that this machine was cloned from.

        Returns:
            Numbers by QEMU's names, "env.lstar"; empty for a machine that was booted.
        """
        devices = self.process.origin.devices
        return read_saved_processor(devices.read_bytes()) if devices else {}

    def explain(self, error: TrapgateError) -> TrapgateError:
        """Find out why the agent's channel broke or fell silent.

        Args:
            error: what the channel said, a `GuestLost` or a `GuestTimeout`.

        Returns:
            A panic, a timeout or a loss, with the console's last lines, and for a guest that is
            alive the processor's registers.
        """
        silent = isinstance(error, GuestTimeout)
        registers = self.process.registers() if silent else ""
        status = self.process.wait(Deadline.after(0 if silent else _SETTLE_S, "end"))
        console = self.process.console_text()
        panic = find_panic(console)
        if panic:
            return GuestPanic(f"the kernel panicked: {panic}", evidence=read_trouble(console))
        if status is None:
            parts = (error.message, last_lines(console), registers)
            kind = GuestTimeout if silent else GuestLost
            return kind(parts[0], evidence="\n".join(part for part in parts[1:] if part))
        return self._explain_end(status, console)

    def _explain_end(self, status: int, console: str) -> GuestError | GuestLost:
        evidence = "\n".join(filter(None, (last_lines(console), self.process.error_text())))
        reason = self.process.shutdown_reason()
        if reason == "guest-reset":
            said = "the processor reset without a panic: a triple fault, or somebody's reboot"
            return GuestPanic(said, evidence=evidence)
        if reason == "guest-shutdown":
            return GuestLost("the guest switched itself off", evidence=evidence)
        if status < 0:
            return GuestLost(f"qemu was killed by signal {-status}", evidence=evidence)
        return GuestLost(f"qemu ended with status {status}", evidence=evidence)


@contextlib.contextmanager
def start_machine(
    plan: MachinePlan, patience: Patience, origin: Origin = BOOTED
) -> Iterator[Machine]:
    """Start a machine; it is gone when the block is left.

    Raises:
        HostError: QEMU did not start.
    """
    with start_qemu(plan, patience, origin) as process:
        yield Machine(process)
