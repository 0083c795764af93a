# SPDX-License-Identifier: Apache-2.0
"""Conversations that are heard now and held later, with a guest that nobody talks to."""

from __future__ import annotations

from harness.agent.channel import Channel, ChannelBroken
from harness.deadline import Deadline
from harness.errors import HostError
from harness.wire import HEADER


class Overheard:
    """A channel that keeps what is sent.

    Args:
        channel: what carries it.

    Attributes:
        sent: all of it so far.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.sent = b""

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of `data`."""
        self.sent += data
        self._channel.send(data, deadline)

    def receive(self, deadline: Deadline) -> bytes:
        """Return the bytes that have come."""
        return self._channel.receive(deadline)


class OtherRequest(HostError):
    """A guest answered so that it has to be asked something else than it was.

    Args:
        corrected: all that it is to be asked next time; empty where that cannot be told.
    """

    def __init__(self, corrected: bytes) -> None:
        super().__init__(
            "the guest answered otherwise than when its requests were written down",
            hint="a script whose calls depend on what is never the same cannot be recorded",
        )
        self.corrected = corrected


class Held:
    """A channel over which everything has been said already.

    Args:
        requests: what the guest has been asked.
        answers: what it has answered.
    """

    def __init__(self, requests: bytes, answers: bytes) -> None:
        self._requests = requests
        self._answers = answers
        self._at = 0

    def send(self, data: bytes, deadline: Deadline) -> None:
        """See that `data` is what has been asked next."""
        del deadline
        begin, end = self._at, self._at + len(data)
        asked, rest = self._requests[begin:end], self._requests[end:]
        if asked != data:
            same_shape = asked[: HEADER.size] == data[: HEADER.size]
            raise OtherRequest(self._requests[:begin] + data + rest if same_shape else b"")
        self._at = end

    def receive(self, deadline: Deadline) -> bytes:
        """Return all that has been answered."""
        del deadline
        if not self._answers:
            raise ChannelBroken("the guest ended before it had answered everything")
        answers, self._answers = self._answers, b""
        return answers
