# SPDX-License-Identifier: Apache-2.0
"""Clones that wait: started and loaded in the background, to be taken at once."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from harness.errors import HostError, TrapgateError
from harness.target.spring import Clone, Spring

_GRACE_S = 30.0


class ClonePool:
    """Keeps a few clones of one spring ready: loaded, settled and stopped.

    QEMU processes die with the thread that started them, so the threads that start them live as
    long as the pool.

    Args:
        spring: where clones come from; its state is made before the pool opens.
        size: how many wait at most.
        starters: how many are started at the same time.

    Raises:
        HostError: this host cannot keep a state.
    """

    def __init__(self, spring: Spring, size: int = 2, starters: int = 1) -> None:
        if not spring.find_state():
            raise HostError(f"no pool of clones: {spring.trouble}")
        self._spring = spring
        self._ready: queue.Queue[Clone | TrapgateError] = queue.Queue()
        self._wanted = threading.Semaphore(size)
        self._closing = threading.Event()
        self._doomed: queue.Queue[Clone] = queue.Queue()
        self._open: dict[Clone, contextlib.ExitStack] = {}
        self._threads = [
            threading.Thread(target=self._refill, name="clone pool", daemon=True)
            for _ in range(starters)
        ]

    def __enter__(self) -> Self:
        """Begin to start clones."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every clone, waiting ones and taken ones."""
        self._closing.set()
        self._wanted.release(len(self._threads))
        for thread in self._threads:
            thread.join()
        for stack in self._open.values():
            stack.close()

    @property
    def waiting(self) -> int:
        """How many clones wait now."""
        return self._ready.qsize()

    @property
    def processes(self) -> set[int]:
        """The process numbers of every clone that the pool has not ended yet."""
        return {clone.pid for clone in list(self._open)}

    @contextlib.contextmanager
    def take(self) -> Iterator[Clone]:
        """Take a clone that waits, and let it run; it is ended when the block is left.

        Raises:
            HostError: no clone could be started.
        """
        try:
            clone = self._ready.get(timeout=_GRACE_S)
        except queue.Empty as error:
            raise HostError(f"no clone within {_GRACE_S:g} s") from error
        self._wanted.release()
        if isinstance(clone, TrapgateError):
            raise clone
        try:
            clone.resume()
            yield clone
        finally:
            clone.kill()
            self._doomed.put(clone)

    def _refill(self) -> None:
        """Start what is wanted and clear away what is done with, until the pool closes."""
        while self._wanted.acquire() and not self._closing.is_set():
            self._clear_away()
            self._ready.put(self._start())

    def _start(self) -> Clone | TrapgateError:
        stack = contextlib.ExitStack()
        try:
            clone = stack.enter_context(self._spring.start_clone())
            clone.pause()
        except TrapgateError as error:
            stack.close()
            return error
        self._open[clone] = stack
        return clone

    def _clear_away(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._open.pop(self._doomed.get_nowait()).close()
