# SPDX-License-Identifier: Apache-2.0
"""The table of what was asked: question by kernel and entry path, so that a hole shows.

It is made from reports, which come from pytest-xdist's workers as they come from a session alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from _pytest.terminal import TerminalReporter

from harness.entry import ENTRY_PATHS
from harness.errors import OutcomeKind
from harness.plugin.outcomes import find_kind

SYMBOLS = {
    OutcomeKind.FAIL: "F",
    OutcomeKind.SPLAT: "W",
    OutcomeKind.PANIC: "P",
    OutcomeKind.TIMEOUT: "T",
    OutcomeKind.LOST: "E",
    OutcomeKind.INFRASTRUCTURE: "E",
    OutcomeKind.PASS: ".",
    OutcomeKind.KNOWN: "x",
    OutcomeKind.SKIP: "s",
}
"""What stands for the outcomes of a question, the first that is among them."""

_NO_PATH = ""
_LEGEND = ". passed, s skipped, x known error, F wrong, W splat, P panic, T timeout, E no answer"
_INDENT = 2
_GAP = 2


@dataclass
class Question:
    """One test function of one file.

    Attributes:
        file: the file's name.
        name: the function's.
        cells: the kinds of outcome, by machine and entry path.
        skipped: why the first of its tests was skipped; empty when none was.
    """

    file: str
    name: str
    cells: dict[tuple[str, str], set[OutcomeKind]] = field(default_factory=dict)
    skipped: str = ""

    @property
    def never_asked(self) -> bool:
        """Whether every test of it was skipped."""
        return all(kinds <= {OutcomeKind.SKIP} for kinds in self.cells.values())

    def note(self, place: tuple[str, str], kind: OutcomeKind) -> None:
        """Add the outcome of one test."""
        self.cells.setdefault(place, set()).add(kind)


def letters(paths: Iterable[str]) -> dict[str, str]:
    """Return what stands for each entry path above its column: a letter of its name.

    A question that goes through none has a column of its own, with a dash.
    """
    found = {_NO_PATH: "-"}
    for path in paths:
        free = [letter for letter in f"{path}{path.upper()}" if letter not in found.values()]
        found[path] = next(iter(free), "?")
    return found


class _Layout:
    """Where a table's columns are.

    Args:
        questions: in the order of the rows.
    """

    def __init__(self, questions: list[Question]) -> None:
        places = {place for question in questions for place in question.cells}
        self.letters = {
            path: letter
            for path, letter in letters(ENTRY_PATHS).items()
            if path in {path for _, path in places}
        }
        machines = dict.fromkeys(machine for q in questions for machine, _ in q.cells)
        self.widths = {m: max(len(m), len(self.letters)) + _GAP for m in machines}
        self.left = max(_INDENT + len(question.name) for question in questions) + _GAP

    def line(self, head: str, cells: dict[str, str]) -> str:
        """Return a line: what stands left, and a cell for each of some machines."""
        shown = (f"{text:<{self.widths[machine]}}" for machine, text in cells.items())
        return f"{head:<{self.left}}{''.join(shown)}".rstrip()

    def cell(self, question: Question, machine: str) -> str:
        """Return a symbol for each entry path."""
        kinds = (question.cells.get((machine, path), set()) for path in self.letters)
        return "".join(map(_symbol, kinds))

    def portions(self, width: int) -> Iterator[list[str]]:
        """Deal the machines out to tables of that width, one at least to each."""
        portion: list[str] = []
        for machine in self.widths:
            used = self.left + sum(self.widths[m] for m in portion)
            if portion and used + self.widths[machine] > width:
                yield portion
                portion = []
            portion.append(machine)
        yield portion


def show_table(questions: list[Question], width: int) -> Iterator[str]:
    """Yield the table's lines; as many machines beside one another as the width holds.

    Args:
        questions: in the order of the rows, at least one; those of a file follow one another.
        width: the most columns of a line.
    """
    layout = _Layout(questions)
    names = {letter: path or "no entry path" for path, letter in layout.letters.items()}
    yield _LEGEND
    yield "columns: " + ", ".join(f"{letter} {name}" for letter, name in names.items())
    for machines in layout.portions(width):
        yield ""
        yield layout.line("", {machine: machine for machine in machines})
        yield layout.line("", dict.fromkeys(machines, "".join(names)))
        for file, asked in itertools.groupby(questions, key=lambda question: question.file):
            yield file
            for question in asked:
                cells = {machine: layout.cell(question, machine) for machine in machines}
                yield layout.line(f"{'':{_INDENT}}{question.name}", cells)


def _symbol(kinds: set[OutcomeKind]) -> str:
    return next((symbol for kind, symbol in SYMBOLS.items() if kind in kinds), " ")


class CoverageTable:
    """Gathers outcomes, and shows them in the end."""

    def __init__(self) -> None:
        self._questions: dict[tuple[str, str], Question] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a test; a phase that only passes says nothing new."""
        properties = {name: str(value) for name, value in report.user_properties}
        kind = find_kind(report)
        if "machine" not in properties or not kind:
            return
        if report.when != "call" and kind is OutcomeKind.PASS:
            return
        file, _, rest = report.nodeid.partition("::")
        name = rest.partition("[")[0]
        question = self._questions.setdefault((file, name), Question(file, name))
        question.note((properties["machine"], properties.get("entry", "")), kind)
        if kind is OutcomeKind.SKIP and isinstance(report.longrepr, tuple):
            question.skipped = question.skipped or report.longrepr[2].removeprefix("Skipped: ")

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Show the table, and below it what was asked of nobody."""
        questions = [self._questions[key] for key in sorted(self._questions)]
        if not questions:
            return
        terminalreporter.section("coverage")
        for line in show_table(questions, terminalreporter._tw.fullwidth):  # noqa: SLF001
            terminalreporter.write_line(line)
        for question in questions:
            if question.never_asked:
                said = f"skipped everywhere: {question.file}::{question.name}: {question.skipped}"
                terminalreporter.write_line(said)


def register(config: pytest.Config) -> None:
    """Have the table shown where it is wanted, by the process that shows anything."""
    if config.getoption("--coverage-table") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(CoverageTable(), "trapgate-coverage")
