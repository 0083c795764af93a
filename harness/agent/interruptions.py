# SPDX-License-Identifier: Apache-2.0
"""Calls that block, and what an interruption makes of each."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from errno import EINTR

from harness.agent.guest import Guest
from harness.agent.signals import SA_RESTART, SA_RESTORER, SA_SIGINFO, Arrival, Report
from harness.arch import I386, X86_64, Abi
from harness.entry import EntryPath, entry_paths_of

BLOCK = 0x2100_0000
"""Where the words of a call are, see `guest/probes/interrupted.c`."""
PIPE_READ, PIPE_WRITE, EPOLL, SOCKET, OTHER_SOCKET, LOCKED = 10, 11, 12, 13, 14, 16
EVENT, TIMER, SIGNALS, WATCH, PATIENT_SOCKET, LISTENING = 17, 18, 19, 20, 21, 23
"""Descriptors that the probe has opened."""

_LONG_S = 1000
_SOME_S = 100
_SEEN = 9


class End(enum.IntEnum):
    """How a call that blocks again is let go."""

    SIGNAL = 0
    BYTE = 1
    EXIT = 2
    WAKE = 3
    MESSAGE = 4
    ROOM = 5


class After(enum.Enum):
    """What follows when a process is stopped and continued in the middle of a call."""

    AGAIN = "the same call once more"
    RESTART_SYSCALL = "restart_syscall, which knows how much time is left"
    EINTR = "EINTR, although no handler ran"


@dataclass(frozen=True)
class Blocking:
    """A call that blocks.

    Attributes:
        call: its name in the table, or its names on i386 and x86_64.
        arguments: up to six.
        words: what is at BLOCK.
        end: how it is let go when it blocks again.
        value: what it ends with when it is let go, None for what cannot be known.
        restarts: whether it is made again after a handler with SA_RESTART, and not EINTR.
        after_stop: what follows a stop.
        left_at: where it writes how much of a thousand seconds is left, None for nowhere.
    """

    call: str | tuple[str, str]
    arguments: tuple[int, ...]
    words: tuple[int, ...] = ()
    end: End = End.SIGNAL
    value: int | None = -EINTR
    restarts: bool = False
    after_stop: After = After.AGAIN
    left_at: int | None = None

    def name(self, abi: Abi) -> str:
        """Return its name in the table of `abi`."""
        return self.call if isinstance(self.call, str) else self.call[abi is not I386]


TO_A_DATE = "clock_nanosleep to a date"
_TIME = (_LONG_S, 0)
_REMAINING = BLOCK + 64
_WAIT, _WAIT_BITSET = 0, 9
_SIGHUP_ONLY = (1, 0)
_SET_AND_WAIT = 38
"""F_OFD_SETLKW: for a lock of the open file, not the process."""
_WRITE_LOCK = (1, 0, 0, 0)

BLOCKING: Mapping[str, Blocking] = {
    "read of a pipe": Blocking("read", (PIPE_READ, BLOCK, 1), end=End.BYTE, value=1, restarts=True),
    "recv": Blocking(
        "recvfrom", (SOCKET, BLOCK, 1, 0, 0, 0), end=End.MESSAGE, value=1, restarts=True
    ),
    "recv with a timeout": Blocking(
        "recvfrom", (PATIENT_SOCKET, BLOCK, 1, 0, 0, 0), after_stop=After.EINTR
    ),
    "accept": Blocking("accept4", (LISTENING, 0, 0, 0), restarts=True),
    "splice": Blocking(
        "splice", (PIPE_READ, 0, OTHER_SOCKET, 0, 1, 0), end=End.BYTE, value=1, restarts=True
    ),
    "read of an eventfd": Blocking("read", (EVENT, BLOCK, 8), restarts=True),
    "read of a timer": Blocking("read", (TIMER, BLOCK, 8), restarts=True),
    "read of a signalfd": Blocking("read", (SIGNALS, BLOCK, 128), restarts=True),
    "read of an inotify": Blocking("read", (WATCH, BLOCK, 256), restarts=True),
    "lock of an open file": Blocking(
        ("fcntl64", "fcntl"), (LOCKED, _SET_AND_WAIT, BLOCK), _WRITE_LOCK, restarts=True
    ),
    "wait4": Blocking("wait4", (-1, 0, 0, 0), end=End.EXIT, value=None, restarts=True),
    "waitid": Blocking("waitid", (0, 0, BLOCK, 4, 0), end=End.EXIT, value=0, restarts=True),
    "flock": Blocking("flock", (LOCKED, 2), restarts=True),
    "futex wait": Blocking(
        "futex", (BLOCK, _WAIT, 0, 0, 0, 0), end=End.WAKE, value=0, restarts=True
    ),
    "futex wait by bits": Blocking(
        "futex",
        (BLOCK, _WAIT_BITSET, 0, 0, 0x1234, 0xFF01),
        end=End.WAKE,
        value=0,
        restarts=True,
    ),
    "futex wait with a timeout": Blocking(
        "futex",
        (BLOCK + 64, _WAIT, 0, BLOCK, 0, 0),
        words=_TIME,
        end=End.WAKE,
        value=0,
        after_stop=After.RESTART_SYSCALL,
    ),
    "pause": Blocking("pause", ()),
    "rt_sigsuspend": Blocking("rt_sigsuspend", (BLOCK, 8)),
    "nanosleep": Blocking(
        "nanosleep", (BLOCK, _REMAINING), _TIME, left_at=64, after_stop=After.RESTART_SYSCALL
    ),
    "clock_nanosleep": Blocking(
        "clock_nanosleep",
        (1, 0, BLOCK, _REMAINING),
        _TIME,
        left_at=64,
        after_stop=After.RESTART_SYSCALL,
    ),
    TO_A_DATE: Blocking("clock_nanosleep", (1, 1, BLOCK, _REMAINING), (0x7000_0000, 0)),
    "poll": Blocking("poll", (BLOCK, 1, -1), after_stop=After.RESTART_SYSCALL),
    "poll with a timeout": Blocking(
        "poll", (BLOCK, 1, 1_000_000), after_stop=After.RESTART_SYSCALL
    ),
    "ppoll": Blocking("ppoll", (0, 0, BLOCK, 0, 8), _TIME, left_at=0),
    "select": Blocking(("_newselect", "select"), (0, 0, 0, 0, BLOCK), _TIME, left_at=0),
    "pselect6": Blocking("pselect6", (0, 0, 0, 0, BLOCK, 0), _TIME, left_at=0),
    "epoll_wait": Blocking("epoll_wait", (EPOLL, BLOCK, 1, -1), after_stop=After.EINTR),
    "epoll_pwait": Blocking("epoll_pwait", (EPOLL, BLOCK, 1, -1, 0, 8), after_stop=After.EINTR),
    "rt_sigtimedwait": Blocking(
        "rt_sigtimedwait", (BLOCK, 0, 0, 8), _SIGHUP_ONLY, after_stop=After.EINTR
    ),
}
"""Source: man 7 signal, "Interruption of system calls and library functions by signal handlers"
and "... by stop signals"; what restart_syscall is for: kernel/time/hrtimer.c, fs/select.c,
kernel/futex/waitwake.c (6.1)."""

_WIDE_TIME = (_LONG_S, 0, 0, 0)


def _widen(name: str) -> Blocking:
    narrow = BLOCKING[name]
    return replace(narrow, call=f"{narrow.call}_time64", words=_WIDE_TIME)


WIDE: Mapping[str, Blocking] = {
    "futex": _widen("futex wait with a timeout"),
    "clock_nanosleep": _widen("clock_nanosleep"),
    "ppoll": _widen("ppoll"),
    "pselect6": _widen("pselect6"),
    "rt_sigtimedwait": Blocking(
        "rt_sigtimedwait_time64",
        (_REMAINING, 0, BLOCK, 8),
        (*_WIDE_TIME, *(0,) * 12, *_SIGHUP_ONLY),
        after_stop=After.EINTR,
    ),
}
"""Those of the i386 table whose times have 64 bits. Source: as above."""


@dataclass(frozen=True)
class Interruption:
    """How a call is interrupted.

    Attributes:
        flags: of the handler's action, beside SA_SIGINFO.
        stopping: stop and continue the process instead of sending a signal that is handled.
        change: an offset into the handler's frame and what it puts there, 0 for nothing.
    """

    flags: int = 0
    stopping: bool = False
    change: tuple[int, int] = (0, 0)


HANDLER, RESTART, STOP = Interruption(), Interruption(SA_RESTART), Interruption(stopping=True)


@dataclass(frozen=True)
class Interrupted:
    """What came of one call.

    Attributes:
        report: all that the probe said.
        number: the call's place in it.
        entry: the way in.
        call: what was interrupted.
    """

    report: Report
    number: int
    entry: EntryPath
    call: Blocking

    @property
    def _abi(self) -> Abi:
        return self.entry.abi

    def _value(self, name: str) -> int:
        return self.report[f"{self.number}.{name}"]

    @property
    def value(self) -> int:
        """The result register once the call came back, as a signed number."""
        return self._abi.signed(self.after[self._abi.registers[0]])

    @property
    def before(self) -> dict[str, int]:
        """Registers as the call went in."""
        return self.report.registers(f"{self.number}.before")

    @property
    def after(self) -> dict[str, int]:
        """Registers once it came back."""
        return self.report.registers(f"{self.number}.after")

    @property
    def spoilt(self) -> set[str]:
        """General registers that hold something else than before, and may not."""
        before, after = self.before, self.after
        kept = set(self._abi.registers) - self.entry.may_clobber
        return {name for name in kept if before[name] != after[name]}

    @property
    def is_something_left(self) -> bool:
        """Whether most of a thousand seconds is left, told with what is less than a second.

        Where timers go by ticks, what is left may be a tick more than was asked for.
        """
        assert self.call.left_at is not None  # noqa: S101
        seconds, fraction = self.words(self.call.left_at, 2)
        return _LONG_S - _SOME_S < seconds <= _LONG_S and fraction != 0

    @property
    def arrived(self) -> int:
        """How many signals were handled."""
        return self._value("arrived")

    @property
    def signal(self) -> Arrival:
        """The first of them."""
        return self.report.frame(self.number, SA_SIGINFO)

    @property
    def code_at_ip(self) -> bytes:
        """The two bytes that the frame's instruction pointer points at."""
        return self.report.memory(f"{self.number}.code_at_ip", 2)

    @property
    def behind_landing(self) -> int:
        """How far the frame's instruction pointer is from where the entry path comes back to."""
        return self.signal.frame["ip"] - self._value("landing")

    @property
    def first(self) -> tuple[int, ...]:
        """Number, six arguments, stack and instruction pointer while it blocked, if it did."""
        return self._seen("first")

    @property
    def again(self) -> tuple[int, ...]:
        """The same when it blocked once more, zeros when it did not."""
        return self._seen("again")

    def words(self, start: int, count: int) -> tuple[int, ...]:
        """Return words of the block once the call came back, from `start` bytes on."""
        block = self.report.memory(f"{self.number}.block", 128)
        return _words(block[start:], self.entry.table)[:count]

    def _seen(self, name: str) -> tuple[int, ...]:
        return _words(self.report.memory(f"{self.number}.{name}", 8 * _SEEN), X86_64)


def interrupt(
    guest: Guest, entry: EntryPath, calls: Iterable[Blocking], how: Interruption = HANDLER
) -> list[Interrupted]:
    """Have a probe make calls that block, interrupt each, and return what came of them.

    Args:
        guest: where.
        entry: the way in.
        calls: in the order in which they are made.
        how: they are interrupted.
    """
    wanted = list(calls)
    rows = [_row(guest, entry, call) for call in wanted]
    said = guest.probe(
        entry.abi,
        "interrupted",
        entry_paths_of(entry.abi).index(entry),
        how.flags | SA_SIGINFO | SA_RESTORER,
        int(how.stopping),
        *how.change,
        *(number for row in rows for number in row),
    )
    report = Report(said, entry.abi)
    return [Interrupted(report, number, entry, call) for number, call in enumerate(wanted)]


def _row(guest: Guest, entry: EntryPath, call: Blocking) -> Sequence[int]:
    arguments = (*call.arguments, 0, 0, 0, 0, 0, 0)[:6]
    number = guest.table(entry).number(call.name(entry.table))
    block = b"".join(word.to_bytes(entry.table.bits // 8, "little") for word in call.words)
    words = _words(block, entry.abi)
    return (number, *arguments, call.end, len(words), *words)


def _words(block: bytes, abi: Abi) -> tuple[int, ...]:
    """Read memory as words of an ABI, the last one filled up with zeros."""
    width = abi.bits // 8
    pieces = (block[start : start + width] for start in range(0, len(block), width))
    return tuple(int.from_bytes(piece, "little") for piece in pieces)
