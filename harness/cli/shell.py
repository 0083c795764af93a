# SPDX-License-Identifier: Apache-2.0
"""`trapgate shell`: questions to one kernel, line by line."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator

from harness.cli.dialogue import Dialogue
from harness.cli.machine import MachineChoice, takes_machine
from harness.cli.terminal import kept_terminal
from harness.errors import TrapgateError
from harness.kernels.catalogue import default_specs
from harness.repro.session import Session
from harness.script.header import header_of

_WRONG = 1


@takes_machine
def shell(*, machine: MachineChoice) -> None:
    """Ask one kernel line by line: calls, memory, files.

    A line is a statement of a script, see `trapgate replay`, in which entry path and ABI may be
    left out; "help" shows what else there is. Where standard input is no terminal, its lines are
    carried out up to the first that cannot be.

    Status 0: the end of the lines. Without a terminal also 1: an expectation did not hold, or the
    kernel warned, panicked or hung. 2: a line is wrong, or there is no guest.
    """
    interactive = bool(sys.stdin and sys.stdin.isatty())
    if interactive:  # loading it takes as long as starting a guest does: side by side
        threading.Thread(target=importlib.import_module, args=["harness.cli.prompt"]).start()
    with (
        kept_terminal(),
        machine.open_target(default_specs()[0]) as target,
        Session(target.start) as session,
    ):
        header = header_of(target.spec if machine.boots else "", machine.options)
        dialogue = Dialogue(session, header)
        if interactive:
            _converse(dialogue, session)
        else:
            _carry_out(dialogue)


def _converse(dialogue: Dialogue, session: Session) -> None:
    """Answer somebody: whatever goes wrong is said, and does not end it."""
    from harness.cli.prompt import prompted_lines  # noqa: PLC0415 - scripts have no need of it

    print(*dialogue.answer("kernel"), "help shows what to type", sep="\n")
    for line in prompted_lines(lambda: f"{session.entry}> ", dialogue.complete):
        try:
            for said in dialogue.answer(line):
                print(said)
        except TrapgateError as error:
            print(dialogue.excuse(error))
        except KeyboardInterrupt:
            print("interrupted; the guest was given up: restart starts another")
        if dialogue.ended:
            return


def _carry_out(dialogue: Dialogue) -> None:
    """Answer the lines of a script, up to the first that cannot be carried out."""
    for number, line in _lines():
        try:
            for said in dialogue.answer(line):
                print(said, flush=True)
        except TrapgateError as error:
            error.message = f"standard input:{number}: {error.message}"
            raise
        if dialogue.ended:
            break
    if dialogue.wrong:
        sys.exit(_WRONG)


def _lines() -> Iterator[tuple[int, str]]:
    """Yield numbers and lines; what is no text is no statement either."""
    lines = sys.stdin.buffer if sys.stdin else ()
    yield from enumerate((line.decode(errors="replace") for line in lines), start=1)
