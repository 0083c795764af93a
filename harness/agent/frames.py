# SPDX-License-Identifier: Apache-2.0
"""Frames on a byte stream: what is sent, and what comes back or does not."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from harness import wire
from harness.agent.channel import Channel, ChannelBroken, ChannelSilent
from harness.deadline import Deadline


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
        channel: what carries them.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._pending = bytearray()

    def send(self, frame: Frame, deadline: Deadline) -> None:
        """Send one frame.

        Raises:
            ChannelBroken: the other end is gone.
            ChannelSilent: the other end does not read.
        """
        self._channel.send(encode_frame(frame), deadline)

    def receive(self, deadline: Deadline) -> Frame:
        """Wait for the next frame.

        Raises:
            ChannelBroken: the stream ended, or what came is no frame.
            ChannelSilent: nothing complete came in time.
        """
        try:
            return self._receive(deadline)
        except ChannelSilent as error:
            begun = len(self._pending)
            if not begun:
                raise
            said = f"{error.message}, and {begun} bytes came of an unfinished frame"
            raise ChannelSilent(said) from error

    def _receive(self, deadline: Deadline) -> Frame:
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
            self._pending += self._channel.receive(deadline)
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken
