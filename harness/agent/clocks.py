# SPDX-License-Identifier: Apache-2.0
"""The clocks of the vDSO and the system calls that they stand for, asked in turns."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from harness.agent.calls import Call, Outcome
from harness.agent.guest import Guest
from harness.agent.program import Program
from harness.agent.vdso import read_vdso
from harness.arch import I386, Abi
from harness.entry import entry_paths_of, function_path
from harness.errors import GuestError
from harness.landscape import ARENA

SECOND = 1_000_000_000
SLOT_BYTES = 32
"""How much memory is each answer's own."""
FILL = 0xA5

WAIT, WAIT_BY_CLOCK = "nanosleep", "clock_nanosleep"
"""The calls that wait for a time."""

Question = Callable[[int], Call]
"""Takes the address where the answer is to be stored."""


@dataclass(frozen=True)
class Pair:
    """A function of the vDSO, and the call that it stands for.

    Attributes:
        function: the function's name.
        call: the call's name.
        layout: the structure that both fill in, as `struct` has it: seconds and nanoseconds.
    """

    function: str
    call: str
    layout: str

    @property
    def size_bytes(self) -> int:
        """The size of the structure."""
        return struct.calcsize(self.layout)


_TIMES_I386 = (
    Pair("__vdso_clock_gettime", "clock_gettime", "<ii"),
    Pair("__vdso_clock_gettime64", "clock_gettime64", "<qq"),
)
_TIMES_X86_64 = (Pair("__vdso_clock_gettime", "clock_gettime", "<qq"),)


@dataclass(frozen=True)
class Answer:
    """What a function or a call said, and what it left in its slot of memory."""

    value: int
    memory: bytes

    @property
    def untouched(self) -> bool:
        """Whether nothing was stored."""
        return self.memory == bytes([FILL]) * SLOT_BYTES

    def holds(self, layout: str) -> bool:
        """Tell whether a time was stored, a sane one, and nothing beside it."""
        size = struct.calcsize(layout)
        seconds, part = struct.unpack_from(layout, self.memory)
        beside = self.memory[size:] == bytes([FILL]) * (SLOT_BYTES - size)
        return beside and seconds >= 0 and 0 <= part < SECOND

    def time(self, layout: str, unit_ns: int = 1) -> int:
        """Return the time that was stored in nanoseconds.

        Args:
            layout: the structure.
            unit_ns: what its second member counts.
        """
        seconds, part = struct.unpack_from(layout, self.memory)
        return int(seconds * SECOND + part * unit_ns)


class Clocks:
    """Asks the vDSO of an executor, and its kernel.

    Args:
        guest: whose executor.
        abi: the executor's.

    Attributes:
        vdso: the executor's.
        entry: the way that calls take.
        times: the functions that give a clock's time; the last one takes every time there is.
        resolutions: the functions that give a clock's resolution.
        timeval: how gettimeofday's structure is laid out.
    """

    def __init__(self, guest: Guest, abi: Abi) -> None:
        self.vdso = read_vdso(guest, abi)
        self.entry = entry_paths_of(abi)[0]
        self.times = _TIMES_I386 if abi is I386 else _TIMES_X86_64
        self.timeval = self.times[0].layout
        resolutions = (
            Pair("__vdso_clock_getres", "clock_getres", self.timeval),
            Pair("__vdso_clock_getres_time64", "clock_getres_time64", "<qq"),
        )
        exported = self.vdso.exports["LINUX_2.6"]
        self.resolutions = tuple(pair for pair in resolutions if pair.function in exported)
        self._guest = guest
        self._abi = abi

    def function(self, name: str, *arguments: int) -> Call:
        """Return a call of the vDSO's function `name`."""
        address = self.vdso.function(name)
        return Call.of(function_path(self._abi), address, arguments, f"{name}{arguments}")

    def call(self, name: str, *arguments: int) -> Call:
        """Return the system call `name`."""
        number = self._guest.table(self.entry).number(name)
        return Call.of(self.entry, number, arguments, f"{name}{arguments}")

    def reader(self, clock: int, pair: Pair | None = None) -> Question:
        """Return the question for a clock's time to the vDSO, by the last of `times`."""
        return partial(self.function, (pair or self.times[-1]).function, clock)

    def caller(self, clock: int, pair: Pair | None = None) -> Question:
        """Return the question for a clock's time to the kernel."""
        return partial(self.call, (pair or self.times[-1]).call, clock)

    def ask(self, *questions: Question) -> list[Answer]:
        """Ask one after the other; each has a slot of its own for its answer.

        Raises:
            GuestError: a signal struck.
        """
        slots = [ARENA.start + place * SLOT_BYTES for place in range(len(questions))]
        program = Program()
        program.fill(ARENA.start, SLOT_BYTES * len(slots), FILL)
        for question, slot in zip(questions, slots, strict=True):
            program.call(question(slot))
        for slot in slots:
            program.read(slot, SLOT_BYTES)
        results = self._guest.run(self._abi, program)
        outcomes = [said for said in results if isinstance(said, Outcome)]
        memory = [said for said in results if isinstance(said, bytes)]
        for said in outcomes:
            if said.signal:
                raise GuestError(f"{said}")
        return [Answer(o.value, m) for o, m in zip(outcomes, memory, strict=True)]
