# SPDX-License-Identifier: Apache-2.0
"""The numbers that the host and the guest's agent have agreed on; the C header is made from them.

Everything on the wire is little-endian. A frame is a header (`HEADER`), `length` bytes of
payload, and the CRC-32 (zlib's) of both. The agent answers each frame with one or more frames of
the same sequence number; the last of them has type `DONE`.
"""

from __future__ import annotations

import enum
import struct

PROTOCOL = 3
MAGIC = 0x4754
HEADER = struct.Struct("<HBBII")
"""Magic, type, status, sequence, length of the payload in bytes."""
CRC = struct.Struct("<I")
MAX_PAYLOAD = 65536
"""Bytes of payload that either side accepts in one frame."""
MAX_REQUEST = 16384
"""Bytes that the host sends before it waits: less than the guest's tty buffers hold."""


REQUESTS_FILE = "requests"
"""In the root of a guest that nobody talks to while it runs: all requests that it is to answer over
its port, one after the other. It then resets the machine."""


class FrameType(enum.IntEnum):
    """What a frame is: requests of the host first, answers of the agent from 64."""

    RUN = 1
    """Run operations: u8 ABI bits, u32 timeout in ms, u32 bytes of program, program."""
    PUT = 2
    """Write a file: u32 mode, u64 offset, path with its NUL, data."""
    GET = 3
    """Read a file: u64 offset, u32 bytes at most, path with its NUL."""
    EXEC = 4
    """Start a program: u32 timeout in ms, u8 whether it gets input, u32 argc, argv and environment
    as NUL-ended strings."""
    LOG = 5
    """Give the kernel log's records that have come since the last time."""
    RENEW = 6
    """End the executors; the next RUN starts new ones. With a u8, all else in a room goes, too."""
    SHARE = 7
    """Go on in the shared window, both ways; the serial port then only wakes the agent up."""
    SETTLE = 8
    """Begin anew: u8 whether running executors are left asleep and the next RUN starts new ones,
    u64 seconds and u64 nanoseconds for the wall clock, random bytes for the kernel's pool."""

    INPUT = 9
    """What a started program is to read, nothing at the end. It answers a `WANT`, with the sequence
    number of the program's `EXEC`, and is not answered itself."""

    HELLO = 64
    """The agent is up: u32 protocol, u8 ABI bits, u8 place."""
    DATA = 65
    """A piece of an answer, more follow."""
    OUTPUT = 66
    """What a started program wrote: u8 descriptor (1 or 2), bytes."""
    DONE = 67
    """The end of an answer; the header's status says how it went."""
    WANT = 68
    """A started program can take input; it is asked for once at a time."""


class Status(enum.IntEnum):
    """How a request went, in the header of its `DONE`."""

    OK = 0
    ERRNO = 1
    """A system call of the agent's own failed: u32 errno."""
    DIED = 2
    """The executor died: u32 wait status."""
    TIMEOUT = 3
    """It took too long and was killed."""
    MALFORMED = 4
    """The agent could not make sense of the request."""


class Place(enum.IntEnum):
    """Where an agent is, in its hello."""

    HOST = 0
    """On a real host, among its files and processes."""
    GUEST = 1
    """In a guest, as its first process."""
    ROOM = 2
    """On a real host, in a room of its own: with a root, processes and names that are its own."""


class Op(enum.IntEnum):
    """One operation of a program for the executor."""

    WRITE = 1
    """u64 address, u32 length, bytes; answers u32 bytes not written."""
    READ = 2
    """u64 address, u32 length; answers u32 bytes read, bytes."""
    FILL = 3
    """u64 address, u32 length, u8 value; answers u32 bytes not written."""
    CALL = 4
    """u8 entry, u32 register mask, values of the ABI's width; answers a record, see `agent`."""


class Register(enum.IntEnum):
    """Places in a register record beyond the sixteen general ones."""

    FLAGS = 16
    IP = 17
    CS = 18
    SS = 19
    DS = 20
    ES = 21
    FS = 22
    GS = 23


SEED_BYTES = 64
"""How many random bytes a guest is settled with."""
REGISTER_SLOTS = 24
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")


WINDOW_DEVICE = "0000:00:10.0"
"""The PCI function whose memory host and guest share, where a machine has one."""
WINDOW_BYTES = 1 << 20
"""All of that memory."""
RING_BYTES = 1 << 18
"""How many bytes are on their way at most, in each direction."""
TO_GUEST, TO_HOST = 4096, 4096 + RING_BYTES
"""Where in the window the rings' bytes are."""
TO_GUEST_PUT, TO_GUEST_TAKEN, TO_HOST_PUT, TO_HOST_TAKEN, AGENT_LOOKS = range(5)
"""Words at the window's start: bytes put into and taken out of each ring so far, modulo 2**32, and
whether the agent looks into the window by itself."""
AGENT_CLOCK = 64
"""Where in the window the agent leaves its time stamp counter at each answer: u64."""
WINDOW_TICKS = 5_000_000
"""How long an idle agent looks before it sleeps until a byte comes over the serial port: two
milliseconds or so, in ticks of the time stamp counter."""
WINDOW_NAP_NS = 100_000
"""How long it naps between two looks after the first sixteenth of that."""
