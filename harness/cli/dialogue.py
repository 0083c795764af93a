# SPDX-License-Identifier: Apache-2.0
"""What `trapgate shell` understands beside statements, and what it says to each line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.arch import ABIS
from harness.cli.answer import show_bytes, show_identity
from harness.cli.answered import show_answer
from harness.entry import find_entry_path, native_entry
from harness.errors import DeclarationError, GuestError, TrapgateError
from harness.repro.files import list_folder, read_here
from harness.repro.session import Session
from harness.repro.words import candidates
from harness.script.statements import GetFile, Header, Script
from harness.script.writing import write_script
from harness.suggest import nearest
from harness.whole import write_output
from harness.wording import numbered

Words = list[str]
Said = Iterable[str]

STATEMENTS = """\
CALL [ARGUMENT]...            a call by the entry path in use; NAME = CALL ... keeps its value
PATH CALL [ARGUMENT]...       the same by another one: int80, kernel_vsyscall, syscall, ...
peek [ABI] PLACE SIZE         memory of an executor; poke [ABI] PLACE BYTES writes there
buffer NAME SIZE              memory that gets a name: $NAME is its address
cat PATH, file PATH BYTES     a file in the guest, shown or written
probe [ABI] NAME, exec PATH   a probe, a program of the guest's
renew                         fresh executors"""


@dataclass(frozen=True)
class Command:
    """One word that is no statement's.

    Attributes:
        form: how it is written.
        says: what it does, in half a line.
        least: how many words have to follow it.
        most: how many may.
        do: takes those words and returns lines.
    """

    form: str
    says: str
    least: int
    most: int
    do: Callable[[Words], Said]


class Dialogue:
    """Answers lines.

    Args:
        session: with whom.
        header: what a saved script begins with.

    Attributes:
        commands: by name.
        ended: whether somebody wanted to leave.
        wrong: whether something was not what was expected.
    """

    def __init__(self, session: Session, header: Header) -> None:
        self._session = session
        self._header = header
        self._evidence = ""
        self.ended = False
        self.wrong = False
        self.commands = {
            "entry": Command(
                "entry [PATH]", "the way in of calls that name none", 0, 1, self._entry
            ),
            "abi": Command("abi [ABI]", "its ABI; chooses the plainest way in", 0, 1, self._abi),
            "hex": Command("hex PLACE SIZE", "memory, all of it", 2, 3, self._hex),
            "ls": Command("ls [PATH]", "names in a folder of the guest", 0, 1, self._ls),
            "put": Command("put HERE THERE", "copies a file into the guest", 2, 2, self._put),
            "get": Command("get THERE HERE", "copies one out of it", 2, 2, self._get),
            "log": Command("log", "what the kernel has logged so far", 0, 0, self._log),
            "why": Command("why", "the evidence behind the last error", 0, 0, self._why),
            "kernel": Command(
                "kernel", "which kernel this is, in what machine", 0, 0, self._kernel
            ),
            "save": Command("save FILE", "all that was asked, as a script", 1, 1, self._save),
            "restart": Command("restart", "another guest of the same kernel", 0, 0, self._restart),
            "help": Command("help", "this", 0, 0, self._help),
            "quit": Command("quit", "the end, as Control-D", 0, 0, self._quit),
        }

    def answer(self, line: str) -> Said:
        """Return what is to be said to a line; may be empty.

        Raises:
            TrapgateError: it cannot be carried out, or the guest has come to harm.
        """
        words = line.split()
        command = self.commands.get(words[0]) if words else None
        if not command:
            return self._ask(line)
        if not command.least <= len(words) - 1 <= command.most:
            raise DeclarationError(f"expected {command.form}, got {len(words) - 1} words behind it")
        return command.do(words[1:])

    def excuse(self, error: TrapgateError) -> str:
        """Return an error as one line, and keep what is behind it."""
        self._evidence = error.evidence
        blame = "" if isinstance(error, DeclarationError) else f"{error.kind.word}: "
        more = ["why shows more"] if error.evidence else []
        gone = [] if self._session.usable else ["the guest is gone: restart starts another"]
        parts = [error.message, error.hint, *more, *gone]
        return blame + "; ".join(dict.fromkeys(" ".join(p.split()) for p in parts if p))

    def complete(self, before: str) -> list[str]:
        """Return what the word at the end of a line may become."""
        return candidates(before, list(self.commands), self._session.table)

    def _ask(self, line: str) -> Said:
        statement = self._session.read(line)
        if not statement:
            return []
        answered = self._session.ask(statement)
        self.wrong |= answered.held is False
        if isinstance(answered.answer, GuestError):
            self._evidence = answered.answer.evidence
        shown = show_answer(answered)
        if isinstance(statement, GetFile) and isinstance(answered.answer, bytes):
            shown = [*_readable(answered.answer), *shown[len(show_bytes(answered.answer)) + 1 :]]
        return [*shown, *self._complaints()]

    def _complaints(self) -> Said:
        splat = self._session.guest.find_splat()
        self.wrong |= bool(splat)
        return [f"the kernel complained: {splat}"] if splat else []

    def _entry(self, words: Words) -> Said:
        if words:
            self._session.use(find_entry_path(words[0]))
        return [f"calls go through {self._session.entry}, as {self._session.entry.abi} code"]

    def _abi(self, words: Words) -> Said:
        if words and words[0] not in ABIS:
            raise DeclarationError(f"unknown abi {words[0]!r}", hint=nearest(words[0], ABIS))
        return self._entry([str(native_entry(ABIS[words[0]]))] if words else [])

    def _hex(self, words: Words) -> Said:
        statement = self._session.read(" ".join(["peek", *words]))
        assert statement  # noqa: S101 - peek is one
        content = self._session.ask(statement).answer
        return show_bytes(content, sys.maxsize) if isinstance(content, bytes) else []

    def _ls(self, words: Words) -> Said:
        return list_folder(self._session.guest, words[0] if words else "/")

    def _put(self, words: Words) -> Said:
        content = read_here(Path(words[0]))
        self._session.guest.write_file(words[1], content, 0o755)
        return [numbered(len(content), "byte")]

    def _get(self, words: Words) -> Said:
        content = self._session.guest.read_file(words[0])
        write_output(Path(words[1]), content)
        return [numbered(len(content), "byte")]

    def _log(self, words: Words) -> Said:
        del words
        self._session.guest.drain_log()
        return self._session.guest.log.splitlines()

    def _why(self, words: Words) -> Said:
        del words
        return self._evidence.splitlines() or ["there is no more to say"]

    def _kernel(self, words: Words) -> Said:
        del words
        return show_identity(self._session.guest.identity)

    def _save(self, words: Words) -> Said:
        script = Script(self._header, tuple(self._session.asked))
        write_output(Path(words[0]), write_script(script))
        return [f"{numbered(len(script.statements), 'statement')}: trapgate replay {words[0]}"]

    def _restart(self, words: Words) -> Said:
        del words
        self._session.restart()
        return ["another guest of the same kernel; nothing is named in it"]

    def _help(self, words: Words) -> Said:
        del words
        rows = [f"{command.form:<30}{command.says}" for command in self.commands.values()]
        return [*STATEMENTS.splitlines(), *rows]

    def _quit(self, words: Words) -> Said:
        self.ended = not words
        return []


def _readable(content: bytes) -> list[str]:
    """Return a text's lines, or the dump of what is none."""
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        lines = ["\0"]
    plain = all(line.replace("\t", " ").isprintable() for line in lines)
    return lines if plain else show_bytes(content, sys.maxsize)
