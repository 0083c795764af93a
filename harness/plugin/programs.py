# SPDX-License-Identifier: Apache-2.0
"""Scripts as tests: a `.trap` file in a folder called "programs" is asked of every kernel."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.agent.calls import Outcome
from harness.agent.guest import Guest
from harness.arch import ARCH_I386, ARCH_X86_64
from harness.errors import DeclarationError
from harness.script.lifting import answer_of
from harness.script.reading import read_script
from harness.script.replay import Answered, Replay, abis_of
from harness.script.statements import CallStatement, Script
from harness.script.writing import show_statement

SUFFIX = ".trap"
FOLDER = "programs"
_TEST = "test_answers"


class Program(pytest.Module):
    """A script's file, in the place of a module with one test."""

    def _getobj(self) -> types.ModuleType:
        """Return that module.

        Raises:
            CollectError: the file is no script, or expects nothing.
        """
        try:
            script = read_script(self.path)
        except DeclarationError as error:
            raise self.CollectError(str(error)) from error
        if all(getattr(said, "expected", None) in (None, ()) for said in script.statements):
            raise self.CollectError(f"{self.path}: no statement says what it expects: write -> 0")
        module = types.ModuleType(self.path.stem)
        setattr(module, _TEST, _marked(_test_of(script, self.path.name), script))
        return module


def find_program(path: Path, parent: pytest.Collector) -> Program | None:
    """Return what a file is collected as, None for a file that is no program.

    Args:
        path: the file.
        parent: its folder's collector.
    """
    asked_for = path.parent.name == FOLDER or parent.session.isinitpath(path)
    if path.suffix != SUFFIX or not asked_for:
        return None
    program: Program = Program.from_parent(parent, path=path)
    return program


def _marked(test: Callable[[Guest], None], script: Script) -> Callable[[Guest], None]:
    """Have a test asked in the machine that its script wants; kernels are the session's choice."""
    header = script.header
    arch = "" if abis_of(script) <= set(ARCH_I386.abis) else ARCH_X86_64.name
    mark = pytest.mark.machine(cpu=header.cpu, append=" ".join(header.append), arch=arch)
    return mark(test)


def _test_of(script: Script, name: str) -> Callable[[Guest], None]:
    def test(guest: Guest) -> None:
        for statement in script.statements:
            _skip_where_impossible(statement, guest)
        for answered in Replay(guest).run(script):
            if answered.held is False:
                pytest.fail(f"{name}:{_say_wrong(answered)}", pytrace=False)

    return test


def _skip_where_impossible(statement: object, guest: Guest) -> None:
    if isinstance(statement, CallStatement):
        why = guest.why_not_asked(statement.entry)
        if why:
            pytest.skip(f"{statement.entry}: {why}")


def _say_wrong(answered: Answered) -> str:
    """Return line, statement and answer."""
    answer = answered.answer
    said = answer_of(answer) if isinstance(answer, Outcome) else repr(answer)
    return f"{answered.statement.line}: {show_statement(answered.statement)}\nanswered: {said}"
