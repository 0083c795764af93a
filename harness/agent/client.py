# SPDX-License-Identifier: Apache-2.0
"""Requests to an agent and its answers, over whatever carries them."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from harness import wire
from harness.agent.channel import ChannelBroken
from harness.agent.feeding import Feeder
from harness.agent.frames import Frame, FrameStream
from harness.arch import ABIS, Abi
from harness.deadline import Deadline
from harness.errors import DeclarationError, GuestError, GuestTimeout, HostError
from harness.wire import FrameType, Place, Status
from harness.wording import signal_name

_RUN = struct.Struct("<BII")
_DETAIL = struct.Struct("<I")
_HELLO = struct.Struct("<IBB")
_PIECE = wire.MAX_REQUEST - 1024
_NO_INPUT = nullcontext(None)


@dataclass(frozen=True)
class Hello:
    """What an agent says first.

    Attributes:
        abi: the interface that the agent itself was built for.
        place: where it is.
    """

    abi: Abi
    place: Place

    @property
    def is_init(self) -> bool:
        """Whether it is the first process of its kernel."""
        return self.place is Place.GUEST


_LAST_SIGNAL = 64


@dataclass(frozen=True)
class Exit:
    """How a program in the guest ended.

    Attributes:
        status: its exit status, or 128 plus the number of the signal that killed it.
        timed_out: whether it was killed because it took too long.
    """

    status: int
    timed_out: bool

    def __str__(self) -> str:
        """Return it as what is said of the program."""
        if self.timed_out:
            return "was ended after its time"
        number = self.status - 128
        by = f", as {signal_name(number)} ends a program" if 0 < number <= _LAST_SIGNAL else ""
        return f"ended with {self.status}{by}"


class AgentClient:
    """The host's side of a conversation with one agent, one request at a time.

    Args:
        stream: frames to and from the agent.
    """

    def __init__(self, stream: FrameStream) -> None:
        self._stream = stream
        self._sequence = 0

    def greet(self, deadline: Deadline) -> Hello:
        """Wait for the agent's hello.

        Raises:
            ChannelBroken: something else came, or an agent of another version.
            ChannelSilent: nothing came.
        """
        frame = self._stream.receive(deadline)
        if frame.type != FrameType.HELLO or len(frame.payload) != _HELLO.size:
            raise ChannelBroken(f"expected the agent's hello, got a frame of type {frame.type}")
        protocol, bits, place = _HELLO.unpack(frame.payload)
        if protocol != wire.PROTOCOL:
            raise ChannelBroken(f"expected an agent of protocol {wire.PROTOCOL}, got {protocol}")
        abi = next((abi for abi in ABIS.values() if abi.bits == bits), None)
        if abi is None:
            raise ChannelBroken(f"expected an agent of 32 or 64 bits, got one of {bits} bits")
        if place not in set(Place):
            raise ChannelBroken(f"expected an agent in one of {len(Place)} places, got {place}")
        return Hello(abi, Place(place))

    def run(self, abi: Abi, program: bytes, timeout_s: float, deadline: Deadline) -> bytes:
        """Have the executor of `abi` carry out a program.

        Args:
            abi: which executor.
            program: operations, see `wire.Op`; at most `wire.MAX_REQUEST` bytes.
            timeout_s: after which the agent kills the executor.
            deadline: for the agent itself to answer.

        Returns:
            The operations' answers, one after the other.

        Raises:
            GuestError: the executor died.
            GuestTimeout: the executor was killed because it took too long.
        """
        if len(program) > wire.MAX_PAYLOAD - _RUN.size:
            raise DeclarationError(f"a program of {len(program)} bytes: at most 64 KiB fit")
        head = _RUN.pack(abi.bits, int(timeout_s * 1000), len(program))
        done = self._finish(FrameType.RUN, head + program, deadline)
        detail = _detail(done)
        if done.status == Status.DIED:
            raise GuestError(f"the {abi} executor died: {describe_wait_status(detail)}")
        if done.status == Status.TIMEOUT:
            raise GuestTimeout(f"the call did not return within {timeout_s:g} s")
        _check(done, f"the {abi} executor could not be started")
        return done.payload

    def put(self, path: str, content: bytes, mode: int, deadline: Deadline) -> None:
        """Write a file in the guest.

        Raises:
            HostError: the guest's kernel refused.
        """
        for offset in range(0, max(len(content), 1), _PIECE):
            head = struct.pack("<IQ", mode, offset) + path.encode() + b"\0"
            piece = content[offset : offset + _PIECE]
            _check(self._finish(FrameType.PUT, head + piece, deadline), f"cannot write {path}")

    def get(
        self, path: str, deadline: Deadline, *, offset: int = 0, size_bytes: int = 1 << 30
    ) -> bytes:
        """Read a file in the guest, up to `size_bytes` of it from `offset` on.

        Raises:
            HostError: the guest's kernel refused.
        """
        request = struct.pack("<QI", offset, size_bytes) + path.encode() + b"\0"
        return b"".join(self._collect(FrameType.GET, request, deadline, f"cannot read {path}"))

    def log(self, deadline: Deadline) -> str:
        """Return the kernel's log records since the last time, as /dev/kmsg has them."""
        pieces = self._collect(FrameType.LOG, b"", deadline, "cannot read the kernel's log")
        return b"".join(pieces).decode(errors="replace")

    def renew(self, deadline: Deadline, *, tidy: bool = False) -> None:
        """End the executors, so that the next call finds fresh ones.

        Args:
            deadline: for the agent to answer.
            tidy: whether, on a host, all else that was left in the agent's room goes, too.
        """
        _check(
            self._finish(FrameType.RENEW, b"\1" if tidy else b"", deadline),
            "cannot end the executors",
        )

    def settle(
        self, now: tuple[int, int], seed: bytes, deadline: Deadline, *, fresh: bool = False
    ) -> None:
        """Set the guest's wall clock, and reseed its random pool.

        Args:
            now: seconds and nanoseconds since the epoch.
            seed: `wire.SEED_BYTES` bytes.
            deadline: for the agent to answer.
            fresh: whether executors that run are left asleep, and the next call finds new ones.

        Raises:
            HostError: the guest's kernel refused.
        """
        request = struct.pack("<BQQ", fresh, *now) + seed
        _check(self._finish(FrameType.SETTLE, request, deadline), "cannot settle the guest")

    def share(self, window: FrameStream, deadline: Deadline) -> bool:
        """Go on in the shared window, and return whether the guest has found it."""
        done = self._finish(FrameType.SHARE, b"", deadline)
        if done.status == Status.OK:
            self._stream = window
        return done.status == Status.OK

    def execute(  # noqa: PLR0913 - what a program is started with
        self,
        argv: list[str],
        environment: dict[str, str],
        timeout_s: float,
        deadline: Deadline,
        on_output: Callable[[int, bytes], None],
        *,
        input_from: int | None = None,
    ) -> Exit:
        """Run a program in the guest to its end.

        Args:
            argv: a path in the guest, and arguments; not empty.
            environment: may be empty.
            timeout_s: after which the agent kills the program's process group.
            deadline: for the agent itself to answer.
            on_output: called with 1 or 2 and what came out of that descriptor.
            input_from: a descriptor to read its input from; without one it has none.

        Raises:
            DeclarationError: the guest's kernel does not run such a file.
        """
        texts = [*argv, *(f"{name}={value}" for name, value in environment.items())]
        has_input = input_from is not None
        request = struct.pack("<IBI", int(timeout_s * 1000), has_input, len(argv))
        request += b"".join(os.fsencode(text) + b"\0" for text in texts)
        give = partial(self._give_input, deadline)
        with Feeder(input_from, _PIECE, give) if input_from is not None else _NO_INPUT as feeder:
            for frame in self._ask(FrameType.EXEC, request, deadline):
                if frame.type == FrameType.OUTPUT and frame.payload:
                    on_output(frame.payload[0], frame.payload[1:])
                elif frame.type == FrameType.WANT and feeder:
                    feeder.want()
        detail = _detail(frame)
        if frame.status == Status.ERRNO:
            raise DeclarationError(f"the guest cannot run {argv[0]}: {os.strerror(detail)}")
        if frame.status not in (Status.OK, Status.TIMEOUT):
            _check(frame, f"cannot run {argv[0]}")
        return Exit(_exit_status(detail), frame.status == Status.TIMEOUT)

    def _give_input(self, deadline: Deadline, piece: bytes) -> None:
        self._stream.send(Frame(FrameType.INPUT, 0, self._sequence, piece), deadline)

    def _collect(
        self, kind: FrameType, payload: bytes, deadline: Deadline, trouble: str
    ) -> list[bytes]:
        frames = list(self._ask(kind, payload, deadline))
        _check(frames[-1], trouble)
        return [frame.payload for frame in frames if frame.type == FrameType.DATA]

    def _finish(self, kind: FrameType, payload: bytes, deadline: Deadline) -> Frame:
        *_, done = self._ask(kind, payload, deadline)
        return done

    def _ask(self, kind: FrameType, payload: bytes, deadline: Deadline) -> Iterator[Frame]:
        self._sequence += 1
        self._stream.send(Frame(kind, 0, self._sequence, payload), deadline)
        while True:
            frame = self._stream.receive(deadline)
            if frame.sequence != self._sequence:
                raise ChannelBroken(
                    f"expected an answer to request {self._sequence}, got one to {frame.sequence}"
                )
            yield frame
            if frame.type == FrameType.DONE:
                return


def describe_wait_status(status: int) -> str:
    """Return what a wait status says, in words."""
    if os.WIFSIGNALED(status):
        return f"killed by signal {os.WTERMSIG(status)}"
    return f"exited with status {os.WEXITSTATUS(status)}"


def _exit_status(wait_status: int) -> int:
    if os.WIFSIGNALED(wait_status):
        return 128 + os.WTERMSIG(wait_status)
    return os.WEXITSTATUS(wait_status)


def _detail(done: Frame) -> int:
    if len(done.payload) < _DETAIL.size:
        return 0
    detail: int = _DETAIL.unpack_from(done.payload)[0]
    return detail


def _check(done: Frame, trouble: str) -> None:
    if done.status == Status.OK:
        return
    if done.status == Status.ERRNO:
        raise HostError(f"{trouble}: {os.strerror(_detail(done))}")
    raise ChannelBroken(f"{trouble}: the agent answered with status {done.status}")
