# SPDX-License-Identifier: Apache-2.0
"""A process in the guest that an executor holds by its strings: traced, with ptrace(2).

The tracer is an executor, the traced process what `guest/probes/puppet.c` left behind. Every step
is a call that the executor makes, so that a tracer of either ABI traces a process of either.
"""

from __future__ import annotations

import contextlib
import copy
import signal
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from errno import EINTR
from typing import NamedTuple

from harness.agent.arguments import Argument, At, Buffer, lay_out
from harness.agent.calls import Call, Outcome, register_names
from harness.agent.clocks import WAIT
from harness.agent.filters import SET_MODE_FILTER, program_of
from harness.agent.guest import AnyCall, Guest
from harness.agent.program import Program
from harness.agent.ptrace import (
    LAYOUTS,
    TRAP_STOP,
    Option,
    Request,
    Status,
    decode_registers,
    encode_registers,
    pack,
    plain_name,
    words,
)
from harness.agent.structures import FAULT, REFUSED
from harness.arch import I386, Abi
from harness.build.programs import probe_path
from harness.entry import EntryPath, default_registers, entry_paths_of, native_entry
from harness.errors import GuestError
from harness.landscape import ARENA
from harness.syscalls import SyscallTable
from harness.wire import REGISTER_SLOTS, Register

STACK_OFFSET = 0xF000
"""Where on the stage the stack pointer stands at a call that does not say otherwise."""

_ALL_CHILDREN = 0x40000000
_THREAD = 0x10F00
"""With memory, file system, descriptors and handlers in common."""
_THREADS_STACK_OFFSET = 0x9000
_MOST_INTERRUPTIONS = 8
"""How often a wait may be interrupted: an executor gets a SIGCHLD for each of its children."""
_MOST_STOPS = 16
_NO_HANG = 1
_WAITING = b"S"
"""How ``/proc/PID/stat`` tells that a process waits for something."""
_MOST_LOOKS, _LOOK_NANOSECONDS = 100, 5_000_000
INSTRUCTIONS: Mapping[str, bytes] = {
    "int80": b"\xcd\x80",
    "int80_64": b"\xcd\x80",
    "syscall": b"\x0f\x05",
}
"""The instructions that are a call by themselves, by entry path."""
INT3 = b"\xcc"


def load_word(abi: Abi, address: int = 0, prefix: bytes = b"") -> bytes:
    """Assemble ``mov address, %eax``, with a prefix that says by which segment."""
    opcode = b"\xa1" if abi is I386 else b"\x8b\x04\x25"
    return prefix + opcode + address.to_bytes(4, "little")


_SIGINFO = struct.Struct("<iii")
_SIGINFO_BYTES = 128
_VECTOR_BYTES = 16
_FILTER_OFFSET = 0x4000
_RECORD = struct.Struct(f"<{REGISTER_SLOTS}Q")


def _places(abi: Abi) -> dict[str, int]:
    """Where a record of `before` and `after` has each register."""
    general = set(abi.registers)
    return {
        plain_name(name) if name in general else name: place
        for place, name in register_names(abi).items()
    }


@dataclass(frozen=True)
class Strings:
    """Where a puppet's strings are, as its probe says it.

    Attributes:
        pid: the puppet's.
        stage: memory that can be written and executed.
        before: the registers of its next call, and in the place of the instruction pointer the
            number of the entry path.
        after: the registers after its last one.
        landed: by entry path, the address behind its instruction.
    """

    pid: int
    stage: int
    before: int
    after: int
    landed: Mapping[str, int]

    @classmethod
    def of(cls, said: Mapping[str, int]) -> Strings:
        """Read the probe's report."""
        own = {name: value for name, value in said.items() if not name.startswith("landed_")}
        landed = {n.removeprefix("landed_"): v for n, v in said.items() if n not in own}
        return cls(**own, landed=landed)


@dataclass(frozen=True)
class Regset:
    """What came of a call about a set of registers.

    Attributes:
        errno: the error, None when there was none.
        size_bytes: how much of it there was, as the vector says it afterwards.
        content: what the vector pointed to.
    """

    errno: int | None
    size_bytes: int
    content: bytes


class _Step(NamedTuple):
    """A call that has to succeed.

    Attributes:
        says: what is done, for the message if it fails.
        call: the call.
        result: what it has to return.
    """

    says: str
    call: AnyCall
    result: int = 0


@contextlib.contextmanager
def start_puppet(
    guest: Guest,
    abi: Abi,
    tracer: EntryPath | None = None,
    options: int = Option.TRACESYSGOOD,
) -> Iterator[Puppet]:
    """Yield a traced process, which is killed in the end.

    Args:
        guest: where it will be.
        abi: its ABI.
        tracer: the entry path by which it is traced; that of the kernel's own ABI when not given.
        options: what the tracer wants to know, ORed.
    """
    own = native_entry(guest.identity.arch.abi)
    puppet = Puppet(guest, tracer or own, abi, options)
    try:
        yield puppet
    finally:
        if guest.usable:
            puppet.kill()


class Puppet:
    """One traced process, stopped whenever it can be asked.

    Args:
        guest: where it is.
        tracer: the entry path by which the executor of its ABI calls ptrace.
        abi: the puppet's own.
        options: what the tracer wants to know, ORed; it dies with its tracer in any case.

    Attributes:
        abi: its ABI.
        tracer: the entry path by which it is traced.
        view: the ABI in whose layout the tracer sees registers.
        strings: where everything is.
        home: its registers before its first call, in the tracer's view.
    """

    def __init__(
        self, guest: Guest, tracer: EntryPath, abi: Abi, options: int = Option.TRACESYSGOOD
    ) -> None:
        self.abi = abi
        self.view = tracer.table
        self.tracer = tracer
        self.strings = Strings.of(guest.probe(abi, "puppet"))
        self._guest = guest
        self._go(self._asking(Request.SEIZE, 0, options | Option.EXITKILL))
        self.resume()
        self.home = self.registers()

    @property
    def own_entry(self) -> EntryPath:
        """The entry path of its ABI's plainest calls."""
        return native_entry(self.abi)

    @property
    def pid(self) -> int:
        """Its process identifier."""
        return self.strings.pid

    def ptrace(self, request: int, address: int = 0, data: Argument = 0) -> Outcome:
        """Make one ptrace call about it."""
        return self._guest.call(self.tracer, "ptrace", request, self.pid, address, data)

    def wait(self) -> Status:
        """Wait until it stops or ends."""
        for _ in range(_MOST_INTERRUPTIONS):
            (said,) = self._guest.series(self.tracer, [self._waiting])
            if said.errno != EINTR:
                break
        return self._status_of(said)

    def resume(self, request: int = Request.CONT, by_signal: int = 0) -> Status:
        """Let it go on, and wait until it stops or ends."""
        return self._go(self._asking(request, 0, by_signal))

    def registers(self) -> dict[str, int]:
        """Return its registers as PTRACE_GETREGS shows them, by name."""
        size = len(LAYOUTS[self.view]) * self.view.bits // 8
        return decode_registers(self._do(Request.GETREGS, 0, Buffer(size)).memory[0], self.view)

    def set_registers(self, values: Mapping[str, int] | None = None, **some: int) -> None:
        """Set registers by PTRACE_SETREGS: `values` or what it has, and over them `some`."""
        self._make(self._setting({**(values or self.registers()), **some}))

    def read(self, address: int, size_bytes: int) -> bytes:
        """Return some of its memory."""
        program = Program()
        own, segments = self._segments(address, size_bytes)
        program.write(ARENA.start, segments)
        arguments = (self.pid, ARENA.start, 1, ARENA.start + len(segments) // 2, 1, 0)
        number = self.table(self.tracer).number("process_vm_readv")
        program.call(Call.of(self.tracer, number, arguments, f"process_vm_readv({address:#x})"))
        program.read(own, size_bytes)
        _, said, content = self._guest.run(self.tracer.abi, program)
        assert isinstance(said, Outcome)  # noqa: S101
        assert isinstance(content, bytes)  # noqa: S101
        if said.value != size_bytes:
            raise GuestError(f"a traced process's memory: {said}")
        return content

    def write(self, address: int, content: bytes) -> None:
        """Put something into its memory."""
        self._make(self._writing(address, content))

    def regset(self, request: int, kind: int, content: Argument, size_bytes: int) -> Regset:
        """Get or set a whole set of registers.

        Args:
            request: GETREGSET or SETREGSET.
            kind: which set, as core dumps number their notes.
            content: what the vector points to: memory, or an address.
            size_bytes: how long the vector says that it is.
        """
        program = Program()
        layout = lay_out(program, (bytes(_VECTOR_BYTES), content))
        vector, own = layout.values
        program.write(vector, pack((own, size_bytes), self.view))
        number = self.table(self.tracer).number("ptrace")
        label = f"ptrace of a set of registers, {kind:#x}"
        program.call(Call.of(self.tracer, number, (request, self.pid, kind, vector), label))
        program.read(vector, self.view.bits // 4)
        program.read(own, 0 if isinstance(content, int) else _size_of(content))
        said, after, memory = self._guest.run(self.tracer.abi, program)[-3:]
        assert isinstance(said, Outcome)  # noqa: S101
        assert isinstance(after, bytes)  # noqa: S101
        assert isinstance(memory, bytes)  # noqa: S101
        return Regset(said.errno, words(after, self.view)[1], memory)

    def prepare(
        self, entry: EntryPath, number: int | str, *arguments: int, **registers: int
    ) -> dict[str, int]:
        """Have a call ready for when it goes on.

        Args:
            entry: the way in.
            number: a number, or the name of a call.
            arguments: at most six numbers.
            registers: what is to hold something else than usual, by the names of ``pt_regs``.

        Returns:
            Every general register and the flags at that call, by the names of ``pt_regs``.
        """
        values, preparing = self._preparing(entry, number, arguments, registers)
        self._make(preparing)
        return values

    def _preparing(
        self,
        entry: EntryPath,
        number: int | str,
        arguments: Sequence[int],
        registers: dict[str, int],
    ) -> tuple[dict[str, int], _Step]:
        code = self.number(entry, number)
        usual = dict(default_registers(self.abi))
        usual |= {entry.number: code} | dict(zip(entry.arguments, arguments, strict=False))
        flags = usual.pop("flags")
        values = {plain_name(name): value for name, value in usual.items()}
        values |= {"sp": self.strings.stage + STACK_OFFSET, "flags": flags} | registers
        values = {name: value & self.abi.mask for name, value in values.items()}
        record = [0] * REGISTER_SLOTS
        for name, place in _places(self.abi).items():
            record[place] = values.get(name, 0)
        record[Register.IP] = entry_paths_of(self.abi).index(entry)
        return values, self._writing(self.strings.before, _RECORD.pack(*record))

    def table(self, entry: EntryPath) -> SyscallTable:
        """Return the numbers that `entry` takes there."""
        return self._guest.table(entry)

    def number(self, entry: EntryPath, number: int | str) -> int:
        """Return the number of the call `number` on the way `entry`, if it may be made there."""
        code = self.table(entry).number(number) if isinstance(number, str) else number
        self._guest.guard.check_call(entry, code)
        return code

    def call(self, entry: EntryPath, number: int | str, *arguments: int, **registers: int) -> int:
        """Have it make a call that nobody watches, and return the signed result."""
        _, preparing = self._preparing(entry, number, arguments, registers)
        status = self._go(preparing, self._asking(Request.CONT))
        if status != TRAP_STOP:
            raise GuestError(f"a traced process that was to make a call: {status!r}")
        return self.abi.signed(self.after()["ax"])

    def begin_call(self, entry: EntryPath, number: int | str, *arguments: int) -> None:
        """Have it begin a call, and come back as it waits in there for something.

        Raises:
            GuestError: it does not wait.
        """
        self.prepare(entry, number, *arguments)
        self.resume(Request.SYSCALL)
        self.ptrace(Request.SYSCALL)
        path = f"/proc/{self.pid}/stat"
        if not self._look(lambda: self._guest.read_file(path).split()[2] == _WAITING):
            raise GuestError(f"a traced process that was to wait in {number} does not")

    def end_call(self) -> int | None:
        """Return the signed result of the call that it has begun; None while it waits in there.

        It is then stopped at the call's end. That is patient: what it waits for may just have come.
        """
        wait = ("wait4", self.pid, Buffer(4), _NO_HANG | _ALL_CHILDREN, 0)
        if not self._look(lambda: self._guest.call(self.tracer, *wait).value == self.pid):
            return None
        return self.abi.signed(self.registers()["ax"] & self.abi.mask)

    def _look(self, seen: Callable[[], bool]) -> bool:
        """Look again and again, for half a second of the guest's, and tell whether it was seen."""
        soon = self.view.words(0, _LOOK_NANOSECONDS)
        for _ in range(_MOST_LOOKS):
            if seen():
                return True
            self._guest.call(self.tracer, WAIT, soon, 0)
        return False

    def after(self) -> dict[str, int]:
        """Return what it found in its registers after its call, by the names of ``pt_regs``."""
        values = _RECORD.unpack(self.read(self.strings.after, _RECORD.size))
        return {name: values[place] for name, place in _places(self.abi).items()}

    def prepare_exec(
        self, entry: EntryPath | None = None, abi: Abi | None = None, **registers: int
    ) -> dict[str, int]:
        """Have an execve ready, by which it becomes a new puppet, without arguments.

        Args:
            entry: the way in; the plainest of its ABI when not given.
            abi: what the new program is compiled for; its own when not given. A guest has both
                from its start.
            registers: as for `prepare`, whose answer this returns.
        """
        path = self._guest.place(f"/{probe_path('puppet', abi or self.abi)}")
        self.write(self.strings.stage, path.encode() + b"\0")
        return self.prepare(
            entry or self.own_entry, "execve", self.strings.stage, 0, 0, **registers
        )

    def send_to(self, code: bytes, **registers: int) -> None:
        """Have it go on at `code`, put on the stage, with registers as at home but for some."""
        sent = {**self.home, "ip": self.strings.stage, **registers}
        self._make(self._writing(self.strings.stage, code), self._setting(sent))

    def go_home(self) -> None:
        """Have it stand where it stood before its first call, wherever it was sent."""
        self.set_registers(self.home)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._guest.call(self.tracer, "kill", self.pid, number)

    def interrupt(self, number: int) -> tuple[dict[str, int], Status]:
        """Let it begin the call that it has ready, and send it a signal meanwhile.

        Returns:
            Its registers as it entered the kernel, and how it stops next.
        """
        self.resume(Request.SYSCALL)
        entered = self.registers()
        self.ptrace(Request.SYSCALL)
        self.signal(number)
        return entered, self.wait()

    def siginfo(self) -> tuple[int, int, int]:
        """Return number, errno and code of the signal that stopped it."""
        number, errno, code = _SIGINFO.unpack_from(self.siginfo_bytes())
        return number, errno, code

    def siginfo_bytes(self) -> bytes:
        """Return the ``siginfo_t`` of the signal that stopped it, in the tracer's layout."""
        return self._do(Request.GETSIGINFO, 0, Buffer(_SIGINFO_BYTES)).memory[0]

    def fault_address(self) -> int:
        """Return the address that the signal that stopped it tells."""
        return FAULT[self.view.name].decode(self.siginfo_bytes())["address"]

    def refused_call(self) -> tuple[int, int, int]:
        """Return address, number and architecture of the call that SIGSYS tells."""
        said = REFUSED[self.view.name].decode(self.siginfo_bytes())
        return said["address"], said["call"], said["arch"]

    def stops(self, request: int) -> Iterator[Status]:
        """Resume it by `request` again and again, and yield how it stops, its int3 last."""
        for _ in range(_MOST_STOPS):
            status = self.resume(request)
            yield status
            if status == TRAP_STOP or not status.is_stop:
                return
        raise GuestError(f"a traced process has stopped {_MOST_STOPS} times; last: {status!r}")

    def event_message(self) -> int:
        """Return what the event that stopped it has to say: a child, an exit status, data."""
        said = self._do(Request.GETEVENTMSG, 0, Buffer(self.view.bits // 8))
        return int.from_bytes(said.memory[0], "little")

    def execute(self, entry: EntryPath, number: int | str) -> int:
        """Have it make a call by an instruction put where it stands, and return the result.

        Args:
            entry: int80, int80_64 or syscall.
            number: a number, or the name of a call.
        """
        code = (INSTRUCTIONS[entry.name] + INT3).ljust(self.view.bits // 8, INT3)
        word = int.from_bytes(code, "little")
        found = self.registers()
        status = self._go(
            self._asking(Request.POKETEXT, found["ip"], word),
            self._setting({**found, "ax": self.number(entry, number)}),
            self._asking(Request.CONT),
        )
        if status != TRAP_STOP:
            raise GuestError(f"a traced process that was to execute a call: {status!r}")
        return self.abi.signed(self.registers()["ax"] & self.abi.mask)

    def install_filter(self, entry: EntryPath, code: bytes, flags: int = 0) -> int:
        """Have it give itself a seccomp filter, and return the result."""
        at = self.strings.stage + _FILTER_OFFSET
        vector = program_of(at, code, entry.table).ljust(_VECTOR_BYTES, b"\0")
        self.write(at - _VECTOR_BYTES, vector + code)
        return self.call(entry, "seccomp", SET_MODE_FILTER, flags, at - _VECTOR_BYTES)

    def follow(self, child: int) -> Puppet:
        """Return its child `child`, which is traced because the tracer wanted to know of forks."""
        followed = copy.copy(self)
        followed.strings = replace(self.strings, pid=child)
        return followed

    def follow_child(self) -> Puppet:
        """Return the child that it has stopped for, which is stopped, too.

        Raises:
            GuestError: the child does not stop.
        """
        child = self.follow(self.event_message())
        if not child.wait().is_stop:
            raise GuestError("a new child does not stop, although its tracer follows children")
        return child

    def fork(self, entry: EntryPath | None = None) -> Puppet:
        """Have it fork, and return the child at its first stop; the parent is at the fork's event.

        Args:
            entry: the way in; the plainest of its ABI when not given.

        Raises:
            GuestError: the child did not stop.
        """
        self.prepare(entry or self.own_entry, "fork")
        self.resume()
        return self.follow_child()

    def start_thread(self, entry: EntryPath) -> Puppet:
        """Have it start a thread, and return that at its int3; its tracer wants to know of clones.

        Both have the room for prepared calls in common: one is let go after the other.

        Raises:
            GuestError: the thread did not stop.
        """
        self.prepare(entry, "clone", _THREAD, self.strings.stage + _THREADS_STACK_OFFSET, 0, 0, 0)
        self.resume()
        thread = self.follow_child()
        for each in (thread, self):
            if (status := each.resume()) != TRAP_STOP:
                raise GuestError(f"a new thread or who started it: {status!r}")
        return thread

    def kill(self) -> None:
        """Kill it and wait for its end, if it has not ended yet."""
        kill = ("kill", self.pid, signal.SIGKILL)
        self._guest.series(self.tracer, [kill, ("wait4", self.pid, 0, _ALL_CHILDREN, 0)])

    def _do(self, request: int, address: int, data: Argument) -> Outcome:
        """Make one ptrace call that has to succeed."""
        (said,) = self._make(self._asking(request, address, data))
        return said

    def _go(self, *steps: _Step) -> Status:
        """Take steps, the last of which lets it go on, and wait until it stops or ends."""
        calls = [step.call for step in steps]
        *said, waited = self._guest.series(self.tracer, [*calls, self._waiting])
        _check(steps, said)
        return self.wait() if waited.errno == EINTR else self._status_of(waited)

    def _make(self, *steps: _Step) -> list[Outcome]:
        """Take steps with one request."""
        said = self._guest.series(self.tracer, [step.call for step in steps])
        _check(steps, said)
        return said

    def _status_of(self, waited: Outcome) -> Status:
        if waited.value != self.pid:
            raise GuestError(f"waiting for a traced process: {waited}")
        return Status(int.from_bytes(waited.memory[0], "little"))

    @property
    def _waiting(self) -> AnyCall:
        return "wait4", self.pid, Buffer(4), _ALL_CHILDREN, 0

    def _asking(self, request: int, address: int = 0, data: Argument = 0) -> _Step:
        says = f"ptrace request {Request(request).name}"
        return _Step(says, ("ptrace", request, self.pid, address, data))

    def _setting(self, registers: Mapping[str, int]) -> _Step:
        return self._asking(Request.SETREGS, 0, encode_registers(registers, self.view))

    def _writing(self, address: int, content: bytes) -> _Step:
        _, segments = self._segments(address, len(content))
        brought, other = At(ARENA.start, segments + content), ARENA.start + len(segments) // 2
        call = ("process_vm_writev", self.pid, brought, 1, other, 1, 0)
        return _Step("a traced process's memory", call, len(content))

    def _segments(self, address: int, size_bytes: int) -> tuple[int, bytes]:
        """Return where the tracer's side lies, behind two vectors of one segment, and those."""
        own = ARENA.start + 4 * self.view.bits // 8
        return own, pack((own, size_bytes, address, size_bytes), self.view)


def _check(steps: Sequence[_Step], said: Sequence[Outcome]) -> None:
    for step, outcome in zip(steps, said, strict=True):
        if outcome.value != step.result:
            raise GuestError(f"{step.says}: {outcome}")


def _size_of(content: bytes | Buffer | At) -> int:
    content = content.content if isinstance(content, At) else content
    return content.size_bytes if isinstance(content, Buffer) else len(content)
