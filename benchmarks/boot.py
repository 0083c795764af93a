# SPDX-License-Identifier: Apache-2.0
"""One cold start, from the emulator's process to the agent's hello, by any command line."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness.agent.channel import ChannelBroken, ChannelSilent, Port
from harness.agent.frames import FrameStream
from harness.deadline import Deadline
from harness.errors import GuestError
from harness.kernels import Kernel, find_source, obtain
from harness.machine.arguments import Wiring, qemu_arguments
from harness.machine.console import last_lines
from harness.machine.plan import MachineOptions, MachinePlan
from harness.target.qemu import plan_guest
from harness.tools import require_tool

OPTIONS = MachineOptions(accelerator="tcg")
_PATIENCE_S = 180.0

Arguments = Callable[[MachinePlan, Wiring], list[str]]
"""Makes QEMU's command line, without the program's name."""


def kernel_of(spec: str) -> Kernel:
    """Return a kernel of the catalogue, fetching it if need be."""
    return obtain(find_source(spec))


def time_boot(kernel: Kernel, arguments: Arguments = qemu_arguments) -> float:
    """Boot once under TCG.

    Args:
        kernel: what to boot, with the initramfs that every guest of ours has.
        arguments: ours, or those of somebody else.

    Returns:
        Seconds from the start of QEMU to the agent's hello.

    Raises:
        GuestError: it did not say hello.
    """
    plan = plan_guest(kernel, OPTIONS)
    with tempfile.TemporaryDirectory(prefix="trapgate-bench-") as folder:
        console = Path(folder) / "console"
        here, there = socket.socketpair()
        wiring = Wiring(console=f"file,path={console}", frames=f"socket,fd={there.fileno()}")
        with here, there:
            return _time(arguments(plan, wiring), here, there, console)


def _time(arguments: list[str], here: socket.socket, there: socket.socket, console: Path) -> float:
    guard = [str(require_tool("setpriv")), "--pdeathsig", "KILL", "--"]
    command = [*guard, str(require_tool("qemu-system-x86_64")), *arguments]
    begin = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[there.fileno()]) as process:
        there.close()
        try:
            FrameStream(Port(here)).receive(
                Deadline.after(_PATIENCE_S, "boot")
            )  # the agent's hello
            return time.monotonic() - begin
        except (ChannelBroken, ChannelSilent) as error:
            text = console.read_text(encoding="utf-8", errors="replace")
            raise GuestError(f"no hello: {error}", evidence=last_lines(text)) from error
        finally:
            process.kill()
