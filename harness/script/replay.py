# SPDX-License-Identifier: Apache-2.0
"""A script carried out on a guest, statement by statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import singledispatchmethod

from harness.agent.calls import Outcome
from harness.agent.client import Exit
from harness.agent.guest import Guest
from harness.agent.program import Program
from harness.arch import Abi
from harness.errors import DeclarationError, GuestError
from harness.landscape import ARENA
from harness.script.lifting import answer_of
from harness.script.notation import Plain
from harness.script.statements import (
    AnyStatement,
    CallStatement,
    GetFile,
    Load,
    Peek,
    Place,
    Poke,
    PutFile,
    Reference,
    Renew,
    Reserve,
    RunProbe,
    RunProgram,
    Script,
    Value,
)
from harness.suggest import nearest
from harness.syscalls import read_table
from harness.version import KernelVersion

_ALIGNMENT = 64
_MOST_AT_ONCE = 8192
_SHORTEST_FILL = 256


@dataclass(frozen=True)
class Written:
    """What came of a write into memory.

    Attributes:
        left_bytes: how many bytes could not be written.
    """

    left_bytes: int


@dataclass(frozen=True)
class Ended:
    """What came of a program.

    Attributes:
        end: how it ended.
        output: what it wrote to descriptors 1 and 2.
    """

    end: Exit
    output: bytes


Answer = Outcome | bytes | Written | Ended | Mapping[str, int] | GuestError | None


@dataclass(frozen=True)
class Answered:
    """A statement, and what came of it.

    Attributes:
        statement: what was asked.
        answer: what came back; None where nothing can.
        held: whether that is what was expected; None when nothing was. No answer never is.
    """

    statement: AnyStatement
    answer: Answer
    held: bool | None


def check_names(script: Script, version: KernelVersion) -> None:
    """Find out before a guest is started whether its kernel can have every call that is named.

    Raises:
        DeclarationError: no kernel has such a call.
    """
    for statement in script.statements:
        if isinstance(statement, CallStatement) and isinstance(statement.number, str):
            read_table(statement.entry.table, version).number(statement.number)


def abis_of(script: Script) -> set[Abi]:
    """Return the ABIs that a script asks executors and probes of; may be empty."""
    return {
        statement.entry.abi if isinstance(statement, CallStatement) else statement.abi
        for statement in script.statements
        if isinstance(statement, CallStatement | Peek | Poke | RunProbe)
    }


class Replay:
    """Carries statements out one after the other; later ones know what earlier ones have named.

    Args:
        guest: who is asked.
    """

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._names: dict[str, int] = {}
        self._end = ARENA.end

    def run(self, script: Script) -> Iterator[Answered]:
        """Yield what came of each statement, as soon as it did.

        Raises:
            DeclarationError: a statement cannot be carried out there.
            GuestError: the kernel can be asked no more.
        """
        for statement in script.statements:
            yield self.ask(statement)

    def ask(self, statement: AnyStatement) -> Answered:
        """Carry one statement out; see `run`."""
        try:
            answer = self._ask(statement)
        except GuestError as error:
            if not self._guest.usable:
                raise
            return Answered(statement, error, held=False)
        return Answered(statement, answer, _holds(statement, answer))

    @singledispatchmethod
    def _ask(self, statement: AnyStatement) -> Answer:
        raise NotImplementedError(type(statement))

    @_ask.register
    def _(self, call: CallStatement) -> Answer:
        why = self._guest.why_not_asked(call.entry)
        if why:
            said = f"{call.entry} cannot be asked on {self._guest.identity}: {why}"
            raise DeclarationError(said)
        abi = call.entry.abi
        arguments = [self._argument(value, abi) for value in call.arguments]
        registers = {name: self._number(number, abi) for name, number in call.registers}
        outcome = self._guest.call(
            call.entry, call.number, *arguments, timeout_s=call.timeout_s, **registers
        )
        if call.result:
            self._names[call.result] = outcome.value & abi.mask
        return outcome

    @_ask.register
    def _(self, reserve: Reserve) -> Answer:
        self._end -= (reserve.size_bytes + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
        if self._end < ARENA.start:
            raise DeclarationError(f"the arena has no {reserve.size_bytes} bytes for a buffer")
        self._names[reserve.name] = self._end
        return None

    @_ask.register
    def _(self, poke: Poke) -> Answer:
        program = Program()
        address, content = self._place(poke.place) & poke.abi.mask, poke.content
        if len(content) >= _SHORTEST_FILL and len(set(content)) == 1:
            program.fill(address, len(content), content[0])
            return Written(sum(self._run(poke.abi, program, int)))
        left = 0
        for at in range(0, len(content), _MOST_AT_ONCE):
            program = Program()
            program.write(address + at, content[at : at + _MOST_AT_ONCE])
            left += sum(self._run(poke.abi, program, int))
        return Written(left)

    @_ask.register
    def _(self, peek: Peek) -> Answer:
        return self._guest.read(peek.abi, self._place(peek.place) & peek.abi.mask, peek.size_bytes)

    @_ask.register
    def _(self, put: PutFile) -> Answer:
        self._guest.write_file(put.path, put.content, put.mode)
        return None

    @_ask.register
    def _(self, get: GetFile) -> Answer:
        return self._guest.read_file(get.path)

    @_ask.register
    def _(self, probe: RunProbe) -> Answer:
        return self._guest.probe(probe.abi, probe.name, *probe.numbers)

    @_ask.register
    def _(self, program: RunProgram) -> Answer:
        end, output, errors = self._guest.execute(list(program.argv))
        return Ended(end, output + errors)

    @_ask.register
    def _(self, renew: Renew) -> Answer:
        del renew
        self._guest.renew()
        return None

    def _run(self, abi: Abi, program: Program, kind: type[int]) -> list[int]:
        return [result for result in self._guest.run(abi, program) if isinstance(result, kind)]

    def _argument(self, value: Value, abi: Abi) -> Plain:
        return self._number(value, abi) if isinstance(value, int | Reference | Load) else value

    def _number(self, value: int | Reference | Load, abi: Abi) -> int:
        if not isinstance(value, Load):
            return self._place(value)
        content = self._guest.read(abi, self._place(value.place) & abi.mask, value.size_bytes)
        return int.from_bytes(content, "little")

    def _place(self, place: Place) -> int:
        if isinstance(place, int):
            return place
        if place.name not in self._names:
            hint = nearest(place.name, self._names)
            raise DeclarationError(f"nothing is called {place.name!r} yet", hint=hint)
        return self._names[place.name] + place.offset


def _holds(statement: AnyStatement, answer: Answer) -> bool | None:
    """Judge; None when nothing was expected."""
    expected = getattr(statement, "expected", None)
    if expected is None or expected == ():
        return None
    if isinstance(answer, Outcome):
        return _is_answer(answer, expected)
    if isinstance(answer, Ended):
        return bool(answer.end.status == expected and not answer.end.timed_out)
    if isinstance(answer, Mapping):
        return all(answer.get(name) == value for name, value in expected)
    return bool(answer == expected)


def _is_answer(outcome: Outcome, expected: int | str) -> bool:
    if isinstance(expected, str):
        return answer_of(outcome) == expected
    mask = outcome.call.entry.abi.mask
    return not outcome.signal and (outcome.value - expected) & mask == 0
