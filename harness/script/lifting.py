# SPDX-License-Identifier: Apache-2.0
"""From what a guest was asked to the statements that ask the same again."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from harness.agent.arguments import Buffer, lay_out
from harness.agent.asked import Asked, Executed, Fetched, Probed, Ran, Renewed, Wrote
from harness.agent.calls import Call, Outcome
from harness.agent.channel import ChannelBroken
from harness.agent.program import Program, Span
from harness.arch import Abi
from harness.entry import EntryPath, default_registers
from harness.script.notation import Plain
from harness.script.statements import (
    AnyStatement,
    CallStatement,
    GetFile,
    Peek,
    Poke,
    PutFile,
    Reference,
    Renew,
    RunProbe,
    RunProgram,
)
from harness.syscalls import SyscallTable
from harness.wire import Op

TableOf = Callable[[EntryPath], SyscallTable]
Step = tuple[bytes, Call | Span]
Result = Outcome | bytes | int | None

_UNANSWERED = "no answer"
_SMALL = 4096

_DESCRIPTOR, _ADDRESS, _PROCESS = "fd", "map", "pid"
_GIVES: Mapping[str, str] = {
    **dict.fromkeys(("open", "openat", "openat2", "creat", "dup", "socket"), _DESCRIPTOR),
    **dict.fromkeys(("eventfd", "eventfd2", "memfd_create", "timerfd_create"), _DESCRIPTOR),
    **dict.fromkeys(("epoll_create", "epoll_create1", "signalfd", "signalfd4"), _DESCRIPTOR),
    **dict.fromkeys(("inotify_init", "inotify_init1", "pidfd_open"), _DESCRIPTOR),
    **dict.fromkeys(("mmap", "mmap2", "mremap", "brk", "shmat"), _ADDRESS),
    **dict.fromkeys(("getpid", "gettid", "fork", "vfork", "clone", "clone3"), _PROCESS),
}
_NO_DESCRIPTOR_FIRST = ("kill", "tkill", "tgkill", "wait4", "waitpid", "exit", "exit_group")
_PROCESS_AT: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("kill", "tkill", "wait4", "waitpid", "pidfd_open"), (0,)),
    **dict.fromkeys(("process_vm_readv", "process_vm_writev", "prlimit64"), (0,)),
    **dict.fromkeys(("ptrace", "waitid"), (1,)),
    "tgkill": (0, 1),
}


def lift(asked: Iterable[Asked], table_of: TableOf) -> tuple[AnyStatement, ...]:
    """Return the statements that ask the same; what was answered stands in their notes.

    Descriptors, addresses and processes that a call gave and a later one took get names, so that
    they need not be the same the next time.

    Args:
        asked: oldest first; may be empty.
        table_of: gives the names of an entry path's calls.
    """
    named = _Named()
    return named.name(s for one in asked for s in _lift(one, table_of))


def _lift(asked: Asked, table_of: TableOf) -> Iterator[tuple[AnyStatement, Result]]:
    match asked:
        case Ran():
            yield from _lift_program(asked, table_of)
        case Wrote(path, content, mode):
            yield PutFile(path, content, mode), None
        case Fetched(path):
            yield GetFile(path), None
        case Probed(abi, name, numbers):
            yield RunProbe(abi, name, numbers), None
        case Executed(argv):
            yield RunProgram(argv), None
        case Renewed():
            yield Renew(), None


def _lift_program(ran: Ran, table_of: TableOf) -> Iterator[tuple[AnyStatement, Result]]:
    steps = list(ran.program.steps)
    results = _results_of(ran)
    at = 0
    while at < len(steps):
        whole, used = _lift_call(steps[at:], table_of)
        statement = whole or _lift_step(ran.abi, steps[at][1], table_of)
        used = used or 1
        if isinstance(statement, CallStatement):
            statement = replace(statement, timeout_s=ran.timeout_s)
        yield statement, _first_outcome(results[at : at + used])
        at += used


def _results_of(ran: Ran) -> list[Result]:
    try:
        return ran.results
    except ChannelBroken:
        return [None] * ran.program.length


def _first_outcome(results: Iterable[Result]) -> Outcome | None:
    return next((result for result in results if isinstance(result, Outcome)), None)


def _lift_call(steps: list[Step], table_of: TableOf) -> tuple[CallStatement | None, int]:
    """Return a call with the memory that it brings, and how many steps that is.

    Whether it is one shows when it is laid out again: the same operations have to come of it.
    """
    place = next((n for n, (_, step) in enumerate(steps) if isinstance(step, Call)), None)
    if place is None:
        return None, 0
    call = steps[place][1]
    assert isinstance(call, Call)  # noqa: S101
    spans = [step for _, step in steps[:place] if isinstance(step, Span) and step.op is not Op.READ]
    brought = {span.address: _brought(span) for span in spans}
    if len(brought) != place:
        return None, 0
    arguments = tuple(brought.get(number, number) for number in _arguments_of(call))
    lowered = _lower(call, arguments)
    if [piece for piece, _ in lowered] != [piece for piece, _ in steps[: len(lowered)]]:
        return None, 0
    return _statement(call, arguments, table_of), len(lowered)


def _brought(span: Span) -> bytes | Buffer:
    return span.content if span.op is Op.WRITE else Buffer(span.size_bytes, span.content[0])


def _lower(call: Call, arguments: tuple[Plain, ...]) -> list[Step]:
    program = Program()
    layout = lay_out(program, arguments)
    program.call(call)
    for address, buffer in layout.buffers:
        program.read(address, buffer.size_bytes)
    return list(program.steps)


def _lift_step(abi: Abi, step: Call | Span, table_of: TableOf) -> AnyStatement:
    if isinstance(step, Call):
        return _statement(step, tuple(_arguments_of(step)), table_of)
    if step.op is Op.READ:
        return Peek(abi, step.address, step.size_bytes)
    times = step.size_bytes if step.op is Op.FILL else 1
    return Poke(abi, step.address, step.content * times)


def _arguments_of(call: Call) -> list[int]:
    """Return the numbers in the registers for arguments, up to the last that was given."""
    usual = default_registers(call.entry.abi)
    names = call.entry.arguments
    given = [n for n, name in enumerate(names, 1) if call.registers[name] != usual[name]]
    return [call.registers[name] for name in names[: max(given, default=0)]]


def _statement(call: Call, arguments: tuple[Plain, ...], table_of: TableOf) -> CallStatement:
    abi, usual = call.entry.abi, default_registers(call.entry.abi)
    spoken_for = {call.entry.number, *call.entry.arguments}
    others = {
        name: _readable(value, abi)
        for name, value in call.registers.items()
        if name not in spoken_for and value != usual[name]
    }
    return CallStatement(
        call.entry,
        _name_of(call, table_of),
        tuple(_readable(a, abi) if isinstance(a, int) else a for a in arguments),
        tuple(others.items()),
    )


def _name_of(call: Call, table_of: TableOf) -> int | str:
    number, table = call.registers[call.entry.number], table_of(call.entry)
    names = {known: name for name, known in {**table.newer, **table.numbers}.items()}
    return names.get(number, _readable(number, call.entry.abi))


def _readable(number: int, abi: Abi) -> int:
    """Return a register's bits as the number that was probably meant."""
    signed = abi.signed(number)
    return signed if -_SMALL <= signed < 0 else number


class _Named:
    """Gives names to results that are used again."""

    def __init__(self) -> None:
        self._statements: list[AnyStatement] = []
        self._givers: dict[tuple[str, int], int] = {}
        self._counts: dict[str, int] = {}

    def name(self, said: Iterable[tuple[AnyStatement, Result]]) -> tuple[AnyStatement, ...]:
        for statement, outcome in said:
            self._statements.append(self._with_names(statement))
            if isinstance(statement, CallStatement):
                self._note(statement, outcome)
        return tuple(self._statements)

    def _note(self, call: CallStatement, outcome: Result) -> None:
        place = len(self._statements) - 1
        said = answer_of(outcome) if isinstance(outcome, Outcome) else _UNANSWERED
        self._statements[place] = replace(self._statements[place], note=str(said))
        kind = _GIVES.get(str(call.number))
        if kind and isinstance(said, int) and said not in call.arguments:
            self._givers[kind, said] = place

    def _with_names(self, statement: AnyStatement) -> AnyStatement:
        if isinstance(statement, Poke | Peek) and isinstance(statement.place, int):
            return replace(statement, place=self._named(_ADDRESS, statement.place))
        if not isinstance(statement, CallStatement):
            return statement
        values = enumerate(statement.arguments)
        taken = tuple(
            self._argument(statement, at, value) if isinstance(value, int) else value
            for at, value in values
        )
        return replace(statement, arguments=taken)

    def _argument(self, call: CallStatement, at: int, value: int) -> int | Reference:
        name = str(call.number)
        if at in _PROCESS_AT.get(name, ()):
            return self._named(_PROCESS, value)
        takes_one = at == 0 and name not in _NO_DESCRIPTOR_FIRST
        if takes_one or (at == 4 and name.startswith("mmap")):  # noqa: PLR2004
            found = self._named(_DESCRIPTOR, value)
            return found if isinstance(found, Reference) else self._named(_ADDRESS, value)
        return self._named(_ADDRESS, value)

    def _named(self, kind: str, value: int) -> int | Reference:
        place = self._givers.get((kind, value))
        if place is None:
            return value
        giver = self._statements[place]
        assert isinstance(giver, CallStatement)  # noqa: S101
        if not giver.result:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            name = kind if self._counts[kind] == 1 else f"{kind}{self._counts[kind]}"
            giver = replace(giver, result=name)
            self._statements[place] = giver
        return Reference(giver.result)


def answer_of(outcome: Outcome) -> int | str:
    """Return what a call answered, as a script would expect it."""
    if outcome.signal:
        return outcome.signal.name
    return errno.errorcode.get(outcome.errno or 0, outcome.value)
