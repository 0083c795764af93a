# SPDX-License-Identifier: Apache-2.0
"""What carries frames: a connected socket, or memory shared with a guest."""

from __future__ import annotations

import select
import socket
import time
from typing import Protocol

from harness.deadline import Deadline
from harness.errors import GuestLost, GuestTimeout
from harness.machine.shared import SharedMemory
from harness.wire import (
    AGENT_LOOKS,
    RING_BYTES,
    TO_GUEST,
    TO_GUEST_PUT,
    TO_GUEST_TAKEN,
    TO_HOST,
    TO_HOST_PUT,
    TO_HOST_TAKEN,
)

_CHUNK = 1 << 16
_WORD = 1 << 32
_SPINS = 20
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.0001, 0.005
_PAUSED = 1 / 16
"""Of a wait so far, the share that passes before the next look: short waits end soon, long ones
cost few looks."""
_KNOCK = b"!"
_KNOCK_AFTER_S = 0.05


class ChannelBroken(GuestLost):
    """The stream ended, or what came on it makes no sense."""


class ChannelSilent(GuestTimeout):
    """Nothing came in time."""


class Channel(Protocol):
    """Bytes in order, both ways."""

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of `data`, or raise ChannelBroken or ChannelSilent."""

    def receive(self, deadline: Deadline) -> bytes:
        """Return the bytes that have come, at least one, or raise as `send` does."""


class Port:
    """A connected stream socket; it stays the caller's to close.

    Args:
        connection: the socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.settimeout(0)

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of `data`."""
        left = memoryview(data)
        while left:
            self._wait(select.POLLOUT, deadline)
            try:
                left = left[self._connection.send(left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise ChannelBroken(f"the guest's channel broke while sending: {error}") from error

    def receive(self, deadline: Deadline) -> bytes:
        """Return the bytes that have come, at least one."""
        while True:
            self._wait(select.POLLIN, deadline)
            try:
                piece = self._connection.recv(_CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise ChannelBroken(f"the guest's channel broke: {error}") from error
            if not piece:
                raise ChannelBroken("the guest's channel ended in the middle of a conversation")
            return piece

    def has_something(self) -> bool:
        """Tell whether there are bytes, or the other end is gone."""
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        return bool(poller.poll(0))

    def _wait(self, mask: int, deadline: Deadline) -> None:
        poller = select.poll()
        poller.register(self._connection, mask)
        if not poller.poll(deadline.remaining_s * 1000):
            raise silence(deadline)


class Window:
    """Memory shared with an agent: a ring of bytes each way, see `harness.wire`.

    The port beside it carries nothing but knocks, for an agent that has stopped looking.

    Args:
        memory: what the machine maps as well; it stays the caller's to close.
        port: the serial port's end; its closing is the machine's end.
        looking: whether the agent looks into the window already, as in a restored machine.
    """

    def __init__(self, memory: SharedMemory, port: Port, *, looking: bool = False) -> None:
        self._memory = memory.bytes
        self._words = memory.words
        self._port = port
        for word in (TO_GUEST_PUT, TO_GUEST_TAKEN, TO_HOST_PUT, TO_HOST_TAKEN):
            self._words[word] = 0
        self._words[AGENT_LOOKS] = int(looking)

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Put all of `data` into the ring, and knock if nobody looks."""
        left = memoryview(data)
        while left:
            put = self._words[TO_GUEST_PUT]
            room = RING_BYTES - (put - self._words[TO_GUEST_TAKEN]) % _WORD
            at = put % RING_BYTES
            now = min(len(left), room, RING_BYTES - at)
            self._memory[TO_GUEST + at : TO_GUEST + at + now] = left[:now]
            self._words[TO_GUEST_PUT] = (put + now) % _WORD
            left = left[now:]
            if left:
                self._pause(_SHORTEST_PAUSE_S, deadline)
        if not self._words[AGENT_LOOKS]:
            self._port.send(_KNOCK, deadline)

    def receive(self, deadline: Deadline) -> bytes:
        """Return the bytes that have come, at least one.

        Silence is met with a knock, and then with ever rarer ones: an agent that is said to look
        may have gone to sleep as its state was saved, and one that is at work does not mind.
        """
        spins, knock_after_s, begin = 0, _KNOCK_AFTER_S, time.monotonic()
        while not (waiting := self._waiting()):
            spins += 1
            if spins <= _SPINS:
                continue
            waited_s = time.monotonic() - begin
            self._pause(waited_s * _PAUSED, deadline)
            if waited_s > knock_after_s:
                self._port.send(_KNOCK, deadline)
                knock_after_s *= 2
        taken = self._words[TO_HOST_TAKEN]
        at = taken % RING_BYTES
        now = min(waiting, RING_BYTES - at)
        piece = self._memory[TO_HOST + at : TO_HOST + at + now]
        self._words[TO_HOST_TAKEN] = (taken + now) % _WORD
        return piece

    def _waiting(self) -> int:
        waiting = (self._words[TO_HOST_PUT] - self._words[TO_HOST_TAKEN]) % _WORD
        if waiting > RING_BYTES:
            raise ChannelBroken(f"damaged window: {waiting} bytes in a ring of {RING_BYTES}")
        return waiting

    def _pause(self, about_s: float, deadline: Deadline) -> None:
        """Give the guest a moment; what comes over the port now is its end, or damage."""
        time.sleep(min(max(about_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S))
        if self._port.has_something():
            piece = self._port.receive(deadline)
            raise ChannelBroken(f"{len(piece)} bytes came over the port instead of the window")
        if deadline.expired:
            raise silence(deadline)


def silence(deadline: Deadline) -> ChannelSilent:
    """Return the error for a deadline that has passed."""
    return ChannelSilent(f"no answer: {deadline.phase} took longer than {deadline.granted_s:g} s")
