# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor: commands and their answers, events as they come."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from qemu.qmp.legacy import QEMUMonitorProtocol

_ANSWER_S = 5.0

# Control-C may hit a conversation, whose tasks asyncio then complains of.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)


class MonitorRefused(Exception):
    """QEMU understood a command and did not do it."""


class Monitor:
    """A conversation with a QEMU that has greeted; any method raises what `qemu.qmp` raises.

    Args:
        connection: the socket, which is the conversation's from now on.
    """

    def __init__(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            loop = asyncio.new_event_loop()
            stack.callback(loop.close)
            with _current(loop):
                self._protocol = QEMUMonitorProtocol(connection)
            stack.callback(self._leave)
            self._protocol.settimeout(_ANSWER_S)
            self._protocol.connect()
            self._open = stack.pop_all()

    def ask(self, command: str, arguments: Mapping[str, object]) -> object:
        """Send one command and return what QEMU answers, or raise MonitorRefused.

        Its number is left out: QEMU reads a command byte by byte, and answers one at a time.
        Source: QEMU 7.2, monitor/monitor.c monitor_can_read.
        """
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        answer = self._protocol.cmd_obj(request)
        if "error" in answer:
            raise MonitorRefused(answer["error"]["desc"])
        return answer["return"]

    def events(self, wait_s: float) -> list[dict[str, Any]]:
        """Return what has happened, waiting a while for the first event."""
        return self._protocol.get_events(wait=wait_s)

    def close(self) -> None:
        """End the conversation."""
        self._open.close()

    def _leave(self) -> None:
        with contextlib.suppress(Exception):
            self._protocol.close()


@contextlib.contextmanager
def _current(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Have a monitor made with a loop of its own: several threads may have machines."""
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
