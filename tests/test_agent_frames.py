# SPDX-License-Identifier: Apache-2.0
"""Frames survive any cutting of the stream, and nothing else passes for one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import wire
from harness.agent.channel import Port
from harness.agent.client import AgentClient, Exit
from harness.agent.frames import ChannelBroken, ChannelSilent, Frame, FrameStream, encode_frame
from harness.deadline import Deadline
from harness.errors import OutcomeKind

BYTE = st.integers(0, 255)
FRAMES = st.builds(Frame, BYTE, BYTE, st.integers(0, 2**32 - 1), st.binary(max_size=2000))
HELLO = Frame(wire.FrameType.HELLO, 0, 0, b"\1\0\0\0\x20\1")


@pytest.fixture
def ends() -> Iterator[tuple[FrameStream, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield FrameStream(Port(here)), there


def soon() -> Deadline:
    return Deadline.after(0.2, "test")


@given(st.lists(FRAMES, max_size=5), st.integers(1, 50))
def test_frames_come_out_as_they_went_in(frames: list[Frame], piece: int) -> None:
    here, there = socket.socketpair()
    with here, there:
        stream, content = FrameStream(Port(here)), b"".join(map(encode_frame, frames))
        for at in range(0, len(content), max(piece, len(content) // 50)):
            there.send(content[at : at + max(piece, len(content) // 50)])
        assert [stream.receive(soon()) for _ in frames] == frames


@given(FRAMES, st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_never_passes(frame: Frame, place: int, change: int) -> None:
    content = bytearray(encode_frame(frame))
    content[place % len(content)] ^= change
    here, there = socket.socketpair()
    with here:
        with there:
            there.sendall(content)
        with pytest.raises(ChannelBroken):
            FrameStream(Port(here)).receive(soon())


def test_the_largest_frame_passes(ends: tuple[FrameStream, socket.socket]) -> None:
    stream, there = ends
    there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    frame = Frame(wire.FrameType.DATA, 0, 1, bytes(wire.MAX_PAYLOAD))
    there.sendall(encode_frame(frame))
    assert stream.receive(soon()) == frame


def test_a_frame_that_is_too_large_is_broken(ends: tuple[FrameStream, socket.socket]) -> None:
    stream, there = ends
    there.sendall(wire.HEADER.pack(wire.MAGIC, 65, 0, 1, wire.MAX_PAYLOAD + 1))
    with pytest.raises(ChannelBroken, match=r"at most 65536 bytes, got 0x4754 and 65537"):
        stream.receive(soon())


def test_silence_is_a_timeout(ends: tuple[FrameStream, socket.socket]) -> None:
    stream, there = ends
    with pytest.raises(ChannelSilent, match=r"no answer: test took longer than 0\.2 s$"):
        stream.receive(soon())
    there.sendall(encode_frame(HELLO)[:5])
    with pytest.raises(ChannelSilent, match="and 5 bytes came of an unfinished frame") as caught:
        stream.receive(soon())
    assert caught.value.kind is OutcomeKind.TIMEOUT


def test_an_end_is_lost(ends: tuple[FrameStream, socket.socket]) -> None:
    stream, there = ends
    there.sendall(encode_frame(HELLO)[:5])
    there.close()
    with pytest.raises(ChannelBroken, match="ended in the middle") as caught:
        stream.receive(soon())
    assert caught.value.kind is OutcomeKind.LOST


def test_a_reader_that_does_not_read_is_a_timeout(ends: tuple[FrameStream, socket.socket]) -> None:
    stream, _ = ends
    frame = Frame(wire.FrameType.PUT, 0, 1, bytes(wire.MAX_PAYLOAD))
    with pytest.raises(ChannelSilent, match="no answer"):
        [stream.send(frame, soon()) for _ in range(100)]


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (Frame(wire.FrameType.DONE, 0, 0, b""), "got a frame of type 67"),
        (Frame(wire.FrameType.HELLO, 0, 0, b""), "got a frame of type 64"),
        (
            Frame(wire.FrameType.HELLO, 0, 0, b"\xff\0\0\0\x20\1"),
            f"of protocol {wire.PROTOCOL}, got 255",
        ),
        (Frame(wire.FrameType.HELLO, 0, 0, bytes([wire.PROTOCOL, 0, 0, 0, 7, 1])), "of 7 bits"),
    ],
)
def test_only_an_agent_of_ours_is_greeted(
    ends: tuple[FrameStream, socket.socket], first: Frame, said: str
) -> None:
    stream, there = ends
    there.sendall(encode_frame(first))
    with pytest.raises(ChannelBroken, match=said):
        AgentClient(stream).greet(soon())


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (Exit(3, timed_out=False), "ended with 3"),
        (Exit(139, timed_out=False), "ended with 139, as SIGSEGV ends a program"),
        (Exit(255, timed_out=False), "ended with 255"),
        (Exit(137, timed_out=True), "was ended after its time"),
    ],
)
def test_how_a_program_ended_is_said_in_words(end: Exit, said: str) -> None:
    assert str(end) == said
