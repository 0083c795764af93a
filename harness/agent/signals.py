# SPDX-License-Identifier: Apache-2.0
"""Signals that a probe sends itself: what was asked for, and the frames that came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from harness.agent.calls import register_names
from harness.agent.guest import Guest
from harness.arch import I386, Abi
from harness.entry import EntryPath, entry_paths_of
from harness.errors import DeclarationError
from harness.wire import REGISTER_SLOTS

SA_SIGINFO = 0x4
SA_RESTORER = 0x0400_0000
SA_ONSTACK = 0x0800_0000
SA_RESTART = 0x1000_0000
SA_NODEFER = 0x4000_0000
SA_RESETHAND = 0x8000_0000

SIGUSR1, SIGUSR2 = 10, 12
FXSAVE_BYTES = 512
FRAME_BYTES, STATE_BYTES, _XSAVE_BYTES = 768, 1024, 832
"""How much of each a probe reports, see `guest/include/catch.h`."""


@dataclass(frozen=True)
class FrameLayout:
    """Where everything is in a frame that the kernel builds on a program's stack.

    Attributes:
        fields: offset from the handler's stack pointer and width in bytes, by name; registers have
            the names that the ABI gives them.
        fxsave: where FXSAVE's image is in what the frame's `state` points at.
    """

    fields: Mapping[str, tuple[int, int]]
    fxsave: int = 0

    def decode(self, frame: bytes) -> dict[str, int]:
        """Return every field's value."""
        return {
            name: int.from_bytes(frame[start : start + width], "little")
            for name, (start, width) in self.fields.items()
        }


def _row(start: int, width: int, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    return {name: (start + width * place, width) for place, name in enumerate(names)}


def _context_32(start: int) -> dict[str, tuple[int, int]]:
    """Source: arch/x86/include/uapi/asm/sigcontext.h struct sigcontext_32, 6.1."""
    general = ("edi", "esi", "ebp", "esp", "ebx", "edx", "ecx", "eax")
    names = ("gs", "fs", "es", "ds", *general, "trap", "error", "ip", "cs", "flags")
    fields = _row(start, 4, (*names, "sp_at_signal", "ss", "state", "oldmask", "cr2"))
    segments = {name: (fields[name][0], 2) for name in ("gs", "fs", "es", "ds", "cs", "ss")}
    return fields | segments


def _info(start: int, width: int) -> dict[str, tuple[int, int]]:
    """Source: include/uapi/asm-generic/siginfo.h, 6.1."""
    union = start + 16 if width == 8 else start + 12  # noqa: PLR2004
    sender = {"pid": (union, 4), "uid": (union + 4, 4)}
    return _row(start, 4, ("signo", "errno", "code")) | {"address": (union, width)} | sender


_RT_64 = FrameLayout(
    _row(0, 8, ("restorer", "uc_flags", "uc_link", "ss_sp", "ss_flags", "ss_size"))
    | _row(48, 8, (*(f"r{n}" for n in range(8, 16)), "rdi", "rsi", "rbp", "rbx", "rdx", "rax"))
    | _row(160, 8, ("rcx", "rsp", "ip", "flags"))
    | _row(192, 2, ("cs", "gs", "fs", "ss"))
    | _row(200, 8, ("error", "trap", "oldmask", "cr2", "state"))
    | {"ss_flags": (32, 4), "mask": (304, 8)}
    | _info(312, 8)
)
"""Source: arch/x86/include/asm/sigframe.h struct rt_sigframe, 6.1."""

_RT_32 = FrameLayout(
    _row(0, 4, ("restorer", "signal", "info_at", "context_at"))
    | _info(16, 4)
    | _row(144, 4, ("uc_flags", "uc_link", "ss_sp", "ss_flags", "ss_size"))
    | _context_32(164)
    | {"mask": (252, 8), "retcode": (260, 8)},
    fxsave=112,
)
"""Source: arch/x86/include/asm/sigframe.h struct rt_sigframe_ia32, 6.1."""

_OLD_32 = FrameLayout(
    _row(0, 4, ("restorer", "signal"))
    | _context_32(8)
    | {"mask_high": (720, 4), "retcode": (724, 8)},
    fxsave=112,
)
"""Source: arch/x86/include/asm/sigframe.h struct sigframe_ia32, 6.1."""


def frame_layout(abi: Abi, flags: int) -> FrameLayout:
    """Return what a handler of `abi`, installed with `flags`, finds on its stack."""
    if abi is not I386:
        return _RT_64
    return _RT_32 if flags & SA_SIGINFO else _OLD_32


@dataclass(frozen=True)
class Arrival:
    """One signal, as its handler found the world.

    Attributes:
        registers: at the handler's first instruction, "flags" and segments among them.
        frame: every field of the frame on the stack.
        at: where the frame is.
        layout: of the frame.
        state: what the frame's `state` points at: x87, SSE, AVX.
        fpu: FXSAVE's image, or XSAVE's where the kernel offers AVX, in the handler.
    """

    registers: Mapping[str, int]
    frame: Mapping[str, int]
    at: int
    layout: FrameLayout
    state: bytes = b""
    fpu: bytes = b""

    @property
    def fxsave(self) -> bytes:
        """FXSAVE's image in the frame."""
        return self.state[self.layout.fxsave : self.layout.fxsave + FXSAVE_BYTES]

    def __repr__(self) -> str:
        """Return signal, code and trap, for assertions that failed."""
        said = {name: hex(self.frame[name]) for name in ("ip", "trap", "error")}
        return f"<signal at {self.at:#x}, {said}>"


def read_registers(record: bytes, abi: Abi) -> dict[str, int]:
    """Read a record of 64 bits a register."""
    return {
        register: int.from_bytes(record[8 * place : 8 * place + 8], "little")
        for place, register in register_names(abi).items()
    }


class Report:
    """What a probe said, memory and registers among it.

    Args:
        said: what `Guest.probe` returned.
        abi: the probe's.
    """

    def __init__(self, said: Mapping[str, int], abi: Abi) -> None:
        self._said = said
        self._abi = abi

    def __getitem__(self, name: str) -> int:
        """Return one number."""
        return self._said[name]

    def memory(self, name: str, size_bytes: int) -> bytes:
        """Return memory that was reported, the first `size_bytes` of it."""
        number = self._said[name]
        return number.to_bytes(max(size_bytes, (number.bit_length() + 7) // 8), "little")[
            :size_bytes
        ]

    def registers(self, name: str) -> dict[str, int]:
        """Return a register record by the registers' names."""
        return read_registers(self.memory(name, 8 * REGISTER_SLOTS), self._abi)

    def frame(self, number: int, flags: int) -> Arrival:
        """Return one signal that arrived at a handler installed with `flags`, without its FPU."""
        layout = frame_layout(self._abi, flags)
        return Arrival(
            registers=self.registers(f"{number}.registers"),
            frame=layout.decode(self.memory(f"{number}.frame", FRAME_BYTES)),
            at=self[f"{number}.at"],
            layout=layout,
        )

    def arrival(self, number: int, flags: int) -> Arrival:
        """Return one signal that arrived at a handler installed with `flags`."""
        return replace(
            self.frame(number, flags),
            state=self.memory(f"{number}.state", STATE_BYTES),
            fpu=self.memory(f"{number}.fpu", _XSAVE_BYTES),
        )


@dataclass(frozen=True)
class Sending:
    """How a program sends itself a signal.

    Attributes:
        flags: of the action (SA_...).
        signal: which.
        by: "kill", "tkill" or "tgkill".
        cpu_flags: the flags register at the call.
        stack: the stack pointer at the call; less than 64 for a good one that far down.
        alternate_bytes: how large the alternate stack is; the top bit of 32 is SS_AUTODISARM.
        descriptor: flags of a segment descriptor to put into the LDT first, 0 for none.
        mask: signals below 33 that the action blocks meanwhile, a bit each, the first is 1.
        blocked: signals that are blocked before.
    """

    flags: int = SA_SIGINFO | SA_RESTORER
    signal: int = SIGUSR1
    by: str = "kill"
    cpu_flags: int = 0x202
    stack: int = 0
    alternate_bytes: int = 65536
    descriptor: int = 0
    mask: int = 0
    blocked: int = 0


@dataclass(frozen=True)
class Delivery:
    """A signal that a program sent itself, and what came of it.

    Attributes:
        report: all that the probe said.
        number: the delivery's place in it.
        entry: the way in of the call that sent it.
        how: it was sent and handled.
    """

    report: Report
    number: int
    entry: EntryPath
    how: Sending

    def __getitem__(self, name: str) -> int:
        """Return one number of this delivery's, see `guest/probes/deliver.c`."""
        return self.report[f"{self.number}.{name}"]

    def memory(self, name: str, size_bytes: int) -> bytes:
        """Return memory of this delivery's."""
        return self.report.memory(f"{self.number}.{name}", size_bytes)

    @cached_property
    def before(self) -> dict[str, int]:
        """Registers as the call went in."""
        return self.report.registers(f"{self.number}.before")

    @cached_property
    def after(self) -> dict[str, int]:
        """Registers once the handler's return has led to behind the call."""
        assert self.returned, f"the handler's return led to {self.second}"  # noqa: S101
        return self.report.registers(f"{self.number}.after")

    @property
    def returned(self) -> bool:
        """Whether the handler's return led to behind the call, and no other signal came."""
        return self["arrived"] == 1

    @cached_property
    def first(self) -> Arrival:
        """The signal that arrived first, which is another one where this one's frame found no room.

        The handlers of all others take a siginfo_t.
        """
        assert self["arrived"], "no signal arrived"  # noqa: S101
        sent = self.report.arrival(self.number, self.how.flags)
        other = sent.layout is _OLD_32 and sent.frame["signal"] != self.how.signal
        return self.report.arrival(self.number, SA_SIGINFO) if other else sent

    @cached_property
    def second(self) -> Arrival:
        """The signal that the handler's return led to."""
        assert not self.returned, "the handler's return led to no signal"  # noqa: S101
        return self.report.arrival(self.number + 1, SA_SIGINFO)

    @property
    def fault(self) -> tuple[int, int]:
        """Number and code of the signal that the handler's return led to."""
        return self.second.frame["signo"], self.second.frame["code"]


@dataclass(frozen=True)
class Change:
    """What the handler does to its own frame before it returns.

    Attributes:
        field: of the frame by name, or an offset into what `state` points at.
        value: what is put there.
        width: in bytes; 0 for the field's own, or four where `field` is an offset.
    """

    field: str | int
    value: int
    width: int = 0


STATE_OFFSETS = 0x8000
RESET_SS, BEFORE_HOLE, BEHIND_HOLE, COPY_AT, COPY_BEFORE_HOLE = range(5)
"""Addresses of the probe's own that a field can be given with `symbol`."""


@dataclass(frozen=True)
class Symbol:
    """A field of the frame that gets an address only the probe knows.

    Attributes:
        field: of the frame.
        place: RESET_SS and so on.
        size_bytes: how far into its page a copy is, or how much of it lies before the hole.
    """

    field: str
    place: int
    size_bytes: int = 0


PLAINLY = Sending()


@dataclass(frozen=True)
class Asked:
    """One delivery: how the signal is sent and handled, and what the handler does to its frame."""

    how: Sending = PLAINLY
    changes: tuple[Change | Symbol, ...] = ()


def deliver(
    guest: Guest, entry: EntryPath, *changes: Change | Symbol, how: Sending = PLAINLY
) -> Delivery:
    """Have a probe send itself a signal, and return what its handler found and what came after.

    Args:
        guest: where.
        entry: the way in of the call that sends it.
        changes: what the handler does to its frame before it returns.
        how: the signal is sent and handled.
    """
    return deliver_all(guest, entry, {"": Asked(how, changes)})[""]


def deliver_all(guest: Guest, entry: EntryPath, asked: Mapping[str, Asked]) -> dict[str, Delivery]:
    """Do so again and again in one process, at most fifty times, and return each by its name."""
    rows = [_row_of(guest, entry, one) for one in asked.values()]
    said = guest.probe(entry.abi, "deliver", *(n for row in rows for n in (len(row), *row)))
    report = Report(said, entry.abi)
    return {
        name: Delivery(report, 2 * place, entry, one.how)
        for place, (name, one) in enumerate(asked.items())
    }


def frame_kinds(abi: Abi) -> dict[str, int]:
    """Return the flags of an action that make the kernel build each of an ABI's frames, by name."""
    plain = {"plain": SA_RESTORER} if abi is I386 else {}
    return {"siginfo": SA_SIGINFO | SA_RESTORER} | plain


def _row_of(guest: Guest, entry: EntryPath, asked: Asked) -> Sequence[int]:
    how = asked.how
    layout = frame_layout(entry.abi, how.flags)
    pieces = (piece for change in asked.changes for piece in _encode(change, layout, entry.abi))
    return (
        entry_paths_of(entry.abi).index(entry),
        guest.table(entry).number(how.by),
        2 if how.by == "tgkill" else 1,
        *(how.signal, how.flags, how.cpu_flags, how.stack, how.alternate_bytes, how.descriptor),
        *(how.mask, how.blocked & 0xFFFF_FFFF, how.blocked >> 32),
        *(number for piece in pieces for number in piece),
    )


def _encode(
    change: Change | Symbol, layout: FrameLayout, abi: Abi
) -> Iterator[tuple[int, int, int]]:
    """Yield offset, width and value of each piece; no value is wider than a register."""
    start, width = _place(change.field, layout)
    if isinstance(change, Symbol):
        yield start, 0, change.place | change.size_bytes << 4
        return
    most = abi.bits // 8
    for done in range(0, change.width or width, most):
        yield start + done, min(change.width or width, most), change.value >> 8 * done & abi.mask


def _place(field: str | int, layout: FrameLayout) -> tuple[int, int]:
    if isinstance(field, int):
        return STATE_OFFSETS + field, 4
    if field not in layout.fields:
        raise DeclarationError(f"a frame of that kind has no field {field!r}")
    return layout.fields[field]
