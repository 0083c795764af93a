# SPDX-License-Identifier: Apache-2.0
"""What a guest was asked since it was settled: kept while it is little, to be asked again."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.agent.calls import Outcome
from harness.agent.program import Program
from harness.arch import Abi

MOST_BYTES = 4 << 20
"""How much is kept; the oldest goes first."""


@dataclass
class Ran:
    """A program that an executor was given.

    Attributes:
        abi: the executor's.
        program: what it was given.
        timeout_s: how long it might take, None for as long as usual.
        answer: what came back, None when nothing did.
        start: what the answer is read against.
    """

    abi: Abi
    program: Program
    timeout_s: float | None
    answer: bytes | None = None
    start: Mapping[str, int] | None = None

    @property
    def size_bytes(self) -> int:
        """How much it keeps, roughly."""
        return self.program.size_bytes + len(self.answer or b"")

    @property
    def results(self) -> list[Outcome | bytes | int | None]:
        """The result of each operation, None for each when nothing came back."""
        if self.answer is None or self.start is None:
            return [None] * self.program.length
        return [*self.program.decode(self.answer, self.start)]


@dataclass(frozen=True)
class Wrote:
    """A file that was written."""

    path: str
    content: bytes
    mode: int

    @property
    def size_bytes(self) -> int:
        """How much it keeps."""
        return len(self.content)


@dataclass(frozen=True)
class Fetched:
    """A file that was read."""

    path: str
    size_bytes: int = 0


@dataclass(frozen=True)
class Probed:
    """A probe that was run."""

    abi: Abi
    name: str
    numbers: tuple[int, ...]
    size_bytes: int = 0


@dataclass(frozen=True)
class Executed:
    """A program that was run."""

    argv: tuple[str, ...]
    size_bytes: int = 0


@dataclass(frozen=True)
class Renewed:
    """Executors that were replaced."""

    size_bytes: int = 0


Asked = Ran | Wrote | Fetched | Probed | Executed | Renewed


class History:
    """The last things that a guest was asked, in their order.

    Attributes:
        lost: how many older ones were not kept.
    """

    def __init__(self) -> None:
        self._items: deque[Asked] = deque()
        self._kept_bytes = 0
        self._aside = False
        self.lost = 0

    def __iter__(self) -> Iterator[Asked]:
        """Yield them, oldest first."""
        return iter(self._items)

    def note(self, asked: Asked) -> None:
        """Keep one, unless it is a part of another."""
        if self._aside:
            return
        self._items.append(asked)
        self._kept_bytes += asked.size_bytes + 1
        while self._kept_bytes > MOST_BYTES:
            self._kept_bytes -= self._items.popleft().size_bytes + 1
            self.lost += 1

    @contextlib.contextmanager
    def noting(self, asked: Asked) -> Iterator[None]:
        """Keep one, and nothing of what it is made of."""
        self.note(asked)
        before, self._aside = self._aside, True
        try:
            yield
        finally:
            self._aside = before

    def answered(self, ran: Ran, answer: bytes, start: Mapping[str, int]) -> None:
        """Keep what came back for the last one."""
        ran.answer, ran.start = answer, start
        self._kept_bytes += len(answer) if self._items and self._items[-1] is ran else 0

    def clear(self) -> None:
        """Forget everything: the guest does, too."""
        self._items.clear()
        self._kept_bytes = self.lost = 0
