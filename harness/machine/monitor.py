# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor: commands and their answers, events as they come.

Each message is a line of JSON. Source: QEMU 7.2, docs/interop/qmp-spec.txt.

`qemu.qmp` does this and much more, by asyncio: loading both takes as much processor time as a clone
and each command several times what QEMU takes to answer it.
"""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from harness.errors import HostError

_ANSWER_S = 5.0
_CHUNK = 1 << 16

Message = dict[str, Any]


class Monitor:
    """A conversation with a QEMU that greets.

    Args:
        connection: the socket; it stays the caller's to close.

    Raises:
        HostError: QEMU does not greet, and so for every method.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._numbers = itertools.count(1)
        self._events: list[Message] = []
        if "QMP" not in self._read(time.monotonic() + _ANSWER_S):
            raise HostError("qemu's monitor greets in another language")
        self.ask("qmp_capabilities", {})

    def ask(self, command: str, arguments: Mapping[str, object]) -> object:
        """Send one command and return what QEMU answers.

        Raises:
            HostError: QEMU refuses; the message is what it says.
        """
        number = next(self._numbers)
        request = {"execute": command, "arguments": dict(arguments), "id": number}
        self._send(json.dumps(request).encode() + b"\n")
        deadline = time.monotonic() + _ANSWER_S
        while (answer := self._read(deadline)).get("id") != number:
            if "event" in answer:
                self._events.append(answer)
        if "error" in answer:
            raise HostError(str(answer["error"]["desc"]))
        return answer["return"]

    def events(self, wait_s: float) -> list[Message]:
        """Return what has happened since the last time, waiting a while where nothing has."""
        if not self._events:
            self._events.append(self._read(time.monotonic() + wait_s))
        events, self._events = self._events, []
        return [event for event in events if "event" in event]

    def _send(self, request: bytes) -> None:
        try:
            self._connection.settimeout(_ANSWER_S)
            self._connection.sendall(request)
        except OSError as error:
            raise HostError(f"qemu takes no command: {error}") from error

    def _read(self, deadline: float) -> Message:
        """Return the next message, which has to be there at `deadline` of the monotonic clock."""
        while b"\n" not in self._received:
            try:
                self._connection.settimeout(max(deadline - time.monotonic(), 1e-3))
                piece = self._connection.recv(_CHUNK)
            except OSError as error:
                raise HostError(f"qemu does not answer: {error}") from error
            if not piece:
                raise HostError("qemu has closed the connection")
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        message: Message = json.loads(line)
        return message
