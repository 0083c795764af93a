# SPDX-License-Identifier: Apache-2.0
"""The guest that scenarios hold: a kernel that can be asked."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from harness.agent.about import ABOUT_BYTES, About, decode_about
from harness.agent.arguments import Argument, lay_out, show
from harness.agent.asked import Executed, Fetched, History, Probed, Ran, Renewed, Wrote
from harness.agent.calls import Call, Outcome
from harness.agent.channel import ChannelBroken, ChannelSilent
from harness.agent.client import AgentClient, Exit
from harness.agent.guard import Anything, Guard
from harness.agent.identity import Identity
from harness.agent.program import Program, pack
from harness.arch import Abi
from harness.build.programs import STANDING_PROBES, build_program, probe_path, probe_recipe
from harness.cpu import Cpu, why_unavailable
from harness.deadline import Deadline, Patience
from harness.entry import EntryPath
from harness.errors import DeclarationError, GuestError, KernelSplat, TrapgateError
from harness.landscape import ABOUT
from harness.machine.console import find_splat, read_records, read_trouble
from harness.machine.errata import Erratum, Situation, find_erratum
from harness.syscalls import SyscallTable, read_table
from harness.wire import SEED_BYTES

_GRACE_S = 5.0

AnyCall = tuple[int | str, *tuple[Argument, ...]]
"""A call's number or name, and at most six arguments."""

OnOutput = Callable[[int, bytes], None]
"""Takes 1 or 2, and a piece of what came out of that descriptor."""


class Carrier(Protocol):
    """What a guest runs in, as far as the guest needs to know."""

    def explain(self, error: TrapgateError) -> TrapgateError:
        """Find out why the agent's channel broke or fell silent."""


@runtime_checkable
class Saved(Protocol):
    """A carrier that keeps what its processor held."""

    def saved_registers(self) -> Mapping[str, int]:
        """Return numbers by the emulator's own names, empty where nothing was saved."""


class Guest:
    """One kernel with an agent in it.

    Args:
        client: the conversation with the agent.
        carrier: what explains a broken conversation.
        identity: which kernel this is.
        patience: how long its answers may take.
        records: what executors of the same kernel have said of themselves; of a new one its
            addresses differ, not its processor nor its segments.
        guard: looks at everything before it is asked.
        room: the folder that stands for the root of a guest, where that is not the root.

    Attributes:
        identity: which kernel this is.
        usable: whether it can still be asked; False after it panicked, hung or was lost.
        touched: whether anything has been asked of it since it was settled.
        asked: what that was.
        guard: what looks at everything before it is asked.
    """

    def __init__(  # noqa: PLR0913 - what a guest is made of
        self,
        client: AgentClient,
        carrier: Carrier,
        identity: Identity,
        patience: Patience,
        records: Mapping[Abi, bytes] | None = None,
        *,
        guard: Guard | None = None,
        room: str = "",
    ) -> None:
        self.identity = identity
        self.usable = True
        self.touched = False
        self.asked = History()
        self.guard = guard or Anything()
        self._room = room
        self._client = client
        self._carrier = carrier
        self._patience = patience
        self._about: dict[Abi, About] = {}
        known = {a: decode_about(record, a) for a, record in (records or {}).items()}
        self._start = {abi: about.start for abi, about in known.items()}
        self._cpu = next((about.cpu for about in known.values()), None)
        self._log: list[str] = []
        self._kept = ""
        self._brought: set[str] = set()

    def __repr__(self) -> str:
        """Return which kernel this is, for assertions that failed."""
        return f"<guest {self.identity}>"

    def call(
        self,
        entry: EntryPath,
        number: int | str,
        *arguments: Argument,
        timeout_s: float | None = None,
        **registers: int,
    ) -> Outcome:
        """Make one call.

        Args:
            entry: the way into the kernel.
            number: a number, or the name of a call in the entry path's table.
            arguments: at most six: numbers; bytes, of which the address is passed; buffers, whose
                address is passed and whose contents come back in the outcome's `memory`.
            timeout_s: how long the call may take; a call's usual patience when not given.
            registers: registers (and "flags") that are to hold something else than they would.

        Raises:
            DeclarationError: no such call, or too many arguments.
            GuestError: the executor died, or the kernel did.
        """
        results = self.run(entry.abi, self._one(entry, number, arguments, registers), timeout_s)
        memory = tuple(r for r in results if isinstance(r, bytes))
        (outcome,) = (r for r in results if isinstance(r, Outcome))
        return replace(outcome, memory=memory)

    def calls(self, calls: Sequence[Call]) -> list[Outcome]:
        """Make many calls of one ABI, as many at a time as fit a request; may be empty."""
        outcomes: list[Outcome] = []
        for program in pack(map(_program_of, calls)):
            results = self.run(calls[0].entry.abi, program)
            outcomes += [r for r in results if isinstance(r, Outcome)]
        return outcomes

    def series(self, entry: EntryPath, calls: Sequence[AnyCall]) -> list[Outcome]:
        """Make many calls with arguments as `call` takes them, as many at a time as fit a request.

        Args:
            entry: the way into the kernel.
            calls: may be empty; all of them have the same arena, one after the other.

        Raises:
            DeclarationError: no such call, too many arguments, or memory that is not writable.
        """
        outcomes: list[Outcome] = []
        for program in pack(self._one(entry, number, memory, {}) for number, *memory in calls):
            for result in self.run(entry.abi, program):
                if isinstance(result, Outcome):
                    outcomes.append(result)
                elif isinstance(result, bytes):
                    outcomes[-1] = replace(outcomes[-1], memory=(*outcomes[-1].memory, result))
                elif result:
                    said = f"{result} bytes that {calls[len(outcomes)]} brings are not writable"
                    raise DeclarationError(said)
        return outcomes

    def run(
        self, abi: Abi, program: Program, timeout_s: float | None = None
    ) -> list[Outcome | bytes | int]:
        """Have the executor of `abi` carry out a program, and return each operation's result."""
        self.guard.check_program(abi, program)
        limit_s = timeout_s or self._patience.call_s
        start = self._starts_with(abi)
        deadline = Deadline.after(limit_s + _GRACE_S, "call")
        ran = Ran(abi, program, timeout_s)
        self.asked.note(ran)
        with self._explained():
            answer = self._client.run(abi, program.encode(), limit_s, deadline)
            self.asked.answered(ran, answer, start)
            return program.decode(answer, start)

    def about(self, abi: Abi) -> About:
        """Return what the executor of `abi` says of itself; a new one after one died."""
        if abi not in self.identity.arch.abis:
            raise DeclarationError(f"an {self.identity.arch} kernel runs no {abi} programs")
        if abi not in self._about:
            self._about[abi] = decode_about(self.record(abi), abi)
        return self._about[abi]

    def record(self, abi: Abi) -> bytes:
        """Return what the executor of `abi` says of itself, undecoded."""
        program = Program()
        program.read(ABOUT.start, ABOUT_BYTES)
        with self._explained():
            answer = self._client.run(
                abi, program.encode(), self._patience.call_s, self._deadline("executor's start")
            )
            (record,) = program.decode(answer, {})
        assert isinstance(record, bytes)  # noqa: S101
        return record

    def settle(self, *, fresh: bool = False) -> None:
        """Set the guest's wall clock to the host's, and give its random pool a seed of its own.

        Args:
            fresh: whether executors are to start anew, at addresses of their own; those that run
                are left asleep, which costs less than to end them.

        Raises:
            HostError: the guest's kernel refused.
        """
        now = divmod(time.time_ns(), 1_000_000_000)
        with self._explained():
            deadline = self._deadline("settling")
            self._client.settle(now, os.urandom(SEED_BYTES), deadline, fresh=fresh)
        if fresh:
            self._about.clear()
        self.begin()

    def begin(self) -> None:
        """Take the guest as untouched from now on: whatever was asked was asked to prepare it."""
        self.touched = False
        self.asked.clear()

    @property
    def cpu(self) -> Cpu:
        """The processor, as a program sees it."""
        self._cpu = self._cpu or self.about(self.identity.arch.abi).cpu
        return self._cpu

    def table(self, entry: EntryPath) -> SyscallTable:
        """Return the numbers that `entry` takes on this kernel."""
        return read_table(entry.table, self.identity.version)

    def why_unavailable(self, entry: EntryPath) -> str:
        """Return why `entry` cannot be used here, empty when it can."""
        if entry.abi not in self.identity.arch.abis:
            return f"an {self.identity.arch} kernel runs no {entry.abi} programs"
        return why_unavailable(entry, self.identity.arch, self.cpu)

    def find_erratum(self, of: EntryPath | str) -> Erratum | None:
        """Return the emulator's known error that `of`, as errata.py names it, runs into here.

        A host may be emulated, too; its emulator's version is not known, so it has every error.
        """
        said, cpu = self.identity, self.cpu
        accelerator = "tcg" if cpu.by_tcg else said.accelerator
        return find_erratum(of, Situation(said.arch, accelerator, cpu, said.qemu))

    def why_not_asked(self, entry: EntryPath) -> str:
        """Return why `entry` cannot be used here, or would be answered by the emulator's error.

        Empty when the answer will be the kernel's.
        """
        why = self.why_unavailable(entry)
        erratum = None if why else self.find_erratum(entry)
        return erratum.says if erratum else why

    def write(self, abi: Abi, address: int, content: bytes) -> None:
        """Put bytes into the memory of the executor of `abi`.

        Raises:
            DeclarationError: not all of it is writable.
        """
        program = Program()
        program.write(address, content)
        if self.run(abi, program) != [0]:
            raise DeclarationError(f"{len(content)} bytes at {address:#x} are not all writable")

    def read(self, abi: Abi, address: int, size_bytes: int) -> bytes:
        """Take bytes out of the memory of the executor of `abi`, up to the first that faults."""
        program = Program()
        program.read(address, size_bytes)
        (content,) = self.run(abi, program)
        assert isinstance(content, bytes)  # noqa: S101
        return content

    def read_file(self, path: str) -> bytes:
        """Return the contents of a file in the guest."""
        self.guard.check_read(path)
        self.asked.note(Fetched(path))
        with self._explained():
            return self._client.get(path, self._deadline("file"))

    def read_part(self, path: str, offset: int, size_bytes: int) -> bytes:
        """Return some of a file in the guest, less where it ends; scripts do not repeat that."""
        self.guard.check_read(path)
        with self._explained():
            deadline = self._deadline("file")
            return self._client.get(path, deadline, offset=offset, size_bytes=size_bytes)

    def saved_registers(self) -> Mapping[str, int]:
        """Return what an emulator has saved of the processor, empty where none has."""
        return self._carrier.saved_registers() if isinstance(self._carrier, Saved) else {}

    def write_file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Write a file in the guest."""
        self.guard.check_write(path)
        self.asked.note(Wrote(path, content, mode))
        patience = self._patience.request_s + len(content) / 50_000
        with self._explained():
            self._client.put(path, content, mode, Deadline.after(patience, "file"))

    def place(self, path: str) -> str:
        """Return where a file of ours lies that a guest would have at `path`."""
        return f"{self._room}{path}"

    def execute(
        self, argv: list[str], *, timeout_s: float = 60.0, environment: dict[str, str] | None = None
    ) -> tuple[Exit, bytes, bytes]:
        """Run a program in the guest, and return its end, its output and its errors."""
        output: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        end = self.execute_streaming(
            argv, lambda which, piece: output[which].extend(piece), timeout_s, environment
        )
        return end, bytes(output[1]), bytes(output[2])

    def execute_streaming(
        self,
        argv: list[str],
        on_output: OnOutput,
        timeout_s: float = 60.0,
        environment: dict[str, str] | None = None,
        input_from: int | None = None,
    ) -> Exit:
        """Run a program in the guest, and pass its output on as it comes.

        Args:
            argv: a path in the guest, and arguments; not empty.
            on_output: takes what it writes.
            timeout_s: how long it may take.
            environment: may be empty.
            input_from: the descriptor that its standard input comes from; without one it is empty.
        """
        self.asked.note(Executed(tuple(argv)))
        deadline = Deadline.after(timeout_s + _GRACE_S, "program")
        with self._explained():
            return self._client.execute(
                argv, environment or {}, timeout_s, deadline, on_output, input_from=input_from
            )

    def probe(self, abi: Abi, name: str, *numbers: int, timeout_s: float = 60.0) -> dict[str, int]:
        """Run a probe (`guest/probes/NAME.c`) as a program of `abi`, and return what it reports.

        Args:
            abi: what it is compiled for.
            name: the probe's.
            numbers: its arguments, which it reads with `argument()`.
            timeout_s: how long it may take.

        Raises:
            DeclarationError: there is no such probe.
            GuestError: the probe did not end by itself with status 0.
        """
        self.guard.check_probe(abi, name)
        path = self.place(f"/{probe_path(name, abi)}")
        argv = [path, *(f"{number & abi.mask:x}" for number in numbers)]
        with self.asked.noting(Probed(abi, name, numbers)):
            stands = name in STANDING_PROBES and not self.identity.target
            if not stands and path not in self._brought:
                program = build_program(probe_recipe(name, abi), abi)
                self.write_file(path, program.read_bytes(), mode=0o755)
                self._brought.add(path)
            end, output, _ = self.execute(argv, timeout_s=timeout_s)
        if end.status or end.timed_out:
            raise GuestError(f"probe {name} of {abi} {end}", evidence=output.decode())
        lines = (line.rpartition(" ") for line in output.decode().splitlines())
        return {key: int(value, 16) for key, _, value in lines}

    def renew(self, *, tidy: bool = False) -> None:
        """Replace the executors by fresh ones; on a host, `tidy` up what others have left."""
        self.asked.note(Renewed())
        self._about.clear()
        with self._explained():
            self._client.renew(self._deadline("renewal"), tidy=tidy)

    def drain_log(self) -> str:
        """Return what the kernel has logged since the last time, one message a line."""
        with self._explained():
            fresh = read_records(self._client.log(self._deadline("kernel log")))
        self._log.append(fresh)
        kept, self._kept = self._kept, ""
        return "\n".join(filter(None, (kept, fresh)))

    def find_splat(self) -> str | None:
        """Return the first warning or oops that the kernel has logged since the last time."""
        return find_splat(self.drain_log())

    @property
    def log(self) -> str:
        """All of the kernel's log that has been drained so far."""
        return "\n".join(filter(None, self._log))

    def _starts_with(self, abi: Abi) -> dict[str, int]:
        """Return what is the same for every executor of an ABI, asking the first one only."""
        if abi not in self._start:
            self._start[abi] = self.about(abi).start
        return self._start[abi]

    def _one(
        self,
        entry: EntryPath,
        number: int | str,
        arguments: Sequence[Argument],
        registers: Mapping[str, int],
    ) -> Program:
        """Return the program of one call: its memory filled, the call, its buffers read."""
        program = Program()
        layout = lay_out(program, arguments)
        code = self.table(entry).number(number) if isinstance(number, str) else number
        label = f"{number}({', '.join(map(show, arguments))}) by {entry}"
        program.call(Call.of(entry, code, layout.values, label, **registers))
        for address, buffer in layout.buffers:
            program.read(address, buffer.size_bytes)
        return program

    def _deadline(self, phase: str) -> Deadline:
        return Deadline.after(self._patience.request_s, phase)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn a channel's trouble into what really happened; forget executors that died."""
        self.touched = True
        try:
            yield
        except (ChannelBroken, ChannelSilent) as error:
            self.usable = False
            raise self._carrier.explain(error) from error
        except GuestError as error:
            self._about.clear()
            self._kept = self.drain_log()
            splat = find_splat(self._kept)
            if splat:
                said = f"the kernel complained: {splat}; {error.message}"
                raise KernelSplat(said, evidence=read_trouble(self._kept)) from error
            raise


def _program_of(call: Call) -> Program:
    program = Program()
    program.call(call)
    return program
