# SPDX-License-Identifier: Apache-2.0
"""A configuration asked on a worker of a cluster: the worker's half of `harness.matrix.cluster`.

Workers have the same harness installed, and import this.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from harness.errors import DeclarationError, HostError
from harness.matrix.asking import ask_here
from harness.matrix.choice import Matrix
from harness.record.result import Result
from harness.scratch import scratch_folder

Message = dict[str, Any]
Plain = dict[str, Any]


class Dispatch:
    """Sends what it is told to whoever handed the work out, and remembers it.

    Args:
        send: takes a message.
        wanted: whether anybody still waits for this.
    """

    def __init__(self, send: Callable[[Message], None], wanted: Callable[[], bool]) -> None:
        self._send = send
        self._wanted = wanted
        self._waiting: list[Plain] = []
        self.results: list[Plain] = []

    def plan(self, tests: Mapping[str, int]) -> None:
        """Pass on how many tests there are."""
        self._send({"plan": dict(tests)})

    def note(self, result: Result) -> None:
        """Keep a result for the next message."""
        self._waiting.append(result.to_json())

    def look(self) -> None:
        """Send what has come.

        Raises:
            HostError: nobody waits for it any more.
        """
        if not self._wanted():
            raise HostError("the work was called off")
        if self._waiting:
            self._send({"results": self._waiting})
            self.results += self._waiting
            self._waiting = []


def ask_part(matrix: Matrix, topic: str) -> list[Plain]:
    """Ask one configuration, and tell of each result as it comes.

    Args:
        matrix: of one configuration.
        topic: what messages go under.

    Returns:
        Every result, as `Result.to_json` has it; none where no test is for this configuration.

    Raises:
        HostError: it could not be asked.
    """
    worker = importlib.import_module("distributed").get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"

    dispatch = Dispatch(lambda message: worker.log_event(topic, message), is_wanted)
    with scratch_folder("part") as scratch:
        try:
            ask_here(replace(matrix, workers="1"), scratch / "record", dispatch)
        except DeclarationError:
            return []
    dispatch.look()
    return dispatch.results
