# SPDX-License-Identifier: Apache-2.0
"""The prompt of `trapgate shell`: lines with a history and completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory

from harness.errors import HostError
from harness.places import state_dir

Complete = Callable[[str], list[str]]


class _Words(Completer):
    def __init__(self, complete: Complete) -> None:
        self._complete = complete

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        del event
        before = document.text_before_cursor
        begun = 0 if before[-1:].isspace() else len((before.split() or [""])[-1])
        return (Completion(word, -begun) for word in self._complete(before))


def prompted_lines(label: Callable[[], str], complete: Complete) -> Iterator[str]:
    """Yield the lines that somebody types, until Control-D; Control-C begins a line anew.

    Args:
        label: gives what stands before each.
        complete: see `Dialogue.complete`.

    Raises:
        HostError: there is no place for the history.
    """
    folder = state_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"no place for a history at {folder}: {error.strerror}") from error
    history = FileHistory(folder / "shell-history")
    session = PromptSession[str](
        history=history, completer=_Words(complete), complete_while_typing=False
    )
    while True:
        try:
            yield session.prompt(label())
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
