# SPDX-License-Identifier: Apache-2.0
"""Frames on a byte stream: what is sent, and what comes back or does not."""

from __future__ import annotations

import select
import socket
import zlib
from dataclasses import dataclass

from harness import wire
from harness.deadline import Deadline
from harness.errors import GuestLost, GuestTimeout

_CHUNK = 1 << 16


class ChannelBroken(GuestLost):
    """The stream ended, or what came on it makes no sense."""


class ChannelSilent(GuestTimeout):
    """Nothing came in time."""


@dataclass(frozen=True)
class Frame:
    """One frame as it came.

    Attributes:
        type: a `wire.FrameType`, or another number that somebody else invented.
        status: a `wire.Status`; only `DONE` frames say anything but 0.
        sequence: that of the request it answers.
        payload: up to `wire.MAX_PAYLOAD` bytes.
    """

    type: int
    status: int
    sequence: int
    payload: bytes


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes that travel for `frame`."""
    header = wire.HEADER.pack(
        wire.MAGIC, frame.type, frame.status, frame.sequence, len(frame.payload)
    )
    body = header + frame.payload
    return body + wire.CRC.pack(zlib.crc32(body))


class FrameStream:
    """The host's end of a stream of frames.

    Args:
        connection: a connected stream socket; it stays the caller's to close.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._pending = bytearray()
        connection.settimeout(0)

    def send(self, frame: Frame, deadline: Deadline) -> None:
        """Send one frame.

        Raises:
            ChannelBroken: the other end is gone.
            ChannelSilent: the other end does not read.
        """
        data = memoryview(encode_frame(frame))
        while data:
            self._wait(writing=True, deadline=deadline)
            try:
                data = data[self._connection.send(data) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise ChannelBroken(f"the guest's channel broke while sending: {error}") from error

    def receive(self, deadline: Deadline) -> Frame:
        """Wait for the next frame.

        Raises:
            ChannelBroken: the stream ended, or what came is no frame.
            ChannelSilent: nothing complete came in time.
        """
        header = self._take(wire.HEADER.size, deadline)
        magic, kind, status, sequence, length = wire.HEADER.unpack(header)
        if magic != wire.MAGIC or length > wire.MAX_PAYLOAD:
            raise ChannelBroken(
                f"damaged frame: expected magic {wire.MAGIC:#06x} and at most "
                f"{wire.MAX_PAYLOAD} bytes, got {magic:#06x} and {length}"
            )
        payload = self._take(length, deadline)
        (checksum,) = wire.CRC.unpack(self._take(wire.CRC.size, deadline))
        if checksum != zlib.crc32(header + payload):
            raise ChannelBroken(f"damaged frame: wrong checksum behind {length} bytes of payload")
        return Frame(kind, status, sequence, payload)

    def _take(self, count: int, deadline: Deadline) -> bytes:
        while len(self._pending) < count:
            self._wait(writing=False, deadline=deadline)
            try:
                piece = self._connection.recv(_CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise ChannelBroken(f"the guest's channel broke: {error}") from error
            if not piece:
                raise ChannelBroken("the guest's channel ended in the middle of a conversation")
            self._pending += piece
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken

    def _wait(self, *, writing: bool, deadline: Deadline) -> None:
        mask = select.POLLOUT if writing else select.POLLIN
        poller = select.poll()
        poller.register(self._connection, mask)
        if not poller.poll(deadline.remaining_s * 1000):
            said = f"no answer: {deadline.phase} took longer than {deadline.granted_s:g} s"
            begun = f", and {len(self._pending)} bytes came of an unfinished frame"
            raise ChannelSilent(said + (begun if self._pending else ""))
