# SPDX-License-Identifier: Apache-2.0
"""A conversation with one kernel, through guests that may be replaced."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Self

from harness.agent.guest import Guest
from harness.entry import EntryPath, native_entry
from harness.errors import DeclarationError, GuestLost
from harness.repro.words import fill_up
from harness.script.reading import named_by, parse_statement, split
from harness.script.replay import Answered, Replay
from harness.script.statements import AnyStatement
from harness.syscalls import SyscallTable, read_table

Start = Callable[[], contextlib.AbstractContextManager[Guest]]


class Session:
    """Holds a guest, what has been named in it, and the entry path that calls go through.

    Args:
        start: starts a guest.

    Attributes:
        entry: where calls go that name no way in.
        asked: the statements that the present guest has been asked.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._stack = contextlib.ExitStack()
        self._guest: Guest | None = None

    def __enter__(self) -> Self:
        """Start the first guest; see `restart`."""
        self.restart()
        identity = self.guest.identity
        self._version = identity.version
        self.entry = native_entry(identity.arch.abi)
        return self

    def __exit__(self, *raised: object) -> None:
        """End the guest."""
        self._stack.close()

    def restart(self) -> None:
        """End the guest and start another, which knows nothing of the first.

        Raises:
            HostError: QEMU is missing or failed.
            GuestError: the kernel did not boot.
        """
        self._guest = None
        self._stack.close()
        self.asked: list[AnyStatement] = []
        self._names: frozenset[str] = frozenset()
        self._guest = self._stack.enter_context(self._start())
        self._replay = Replay(self._guest)

    @property
    def guest(self) -> Guest:
        """The guest.

        Raises:
            GuestLost: it cannot be asked any more.
        """
        if self._guest and self._guest.usable:
            return self._guest
        raise GuestLost("the guest is gone", hint="restart starts another")

    @property
    def usable(self) -> bool:
        """Whether the guest can still be asked."""
        return bool(self._guest and self._guest.usable)

    @property
    def table(self) -> SyscallTable:
        """The calls that the entry path takes."""
        return read_table(self.entry.table, self._version)

    def use(self, entry: EntryPath) -> None:
        """Have calls that name no way in go there.

        Raises:
            DeclarationError: this guest has no such way in, or the emulator gets it wrong.
        """
        why = self.guest.why_not_asked(entry)
        if why:
            raise DeclarationError(f"{entry} cannot be asked here: {why}")
        self.entry = entry

    def read(self, line: str) -> AnyStatement | None:
        """Read a statement in which entry path or ABI may be left out; None for an empty line.

        Raises:
            DeclarationError: it is none.
        """
        words = split(line)
        if not words:
            return None
        return parse_statement(fill_up(words, self.entry, self.table), self._names)

    def ask(self, statement: AnyStatement) -> Answered:
        """Carry a statement out; see `Replay.ask`. When that is interrupted, the guest is given up.

        Raises:
            GuestLost: the guest cannot be asked any more.
        """
        guest = self.guest
        try:
            answered = self._replay.ask(statement)
        except KeyboardInterrupt:
            guest.usable = False
            raise
        self.asked.append(statement)
        self._names |= named_by(statement)
        return answered
