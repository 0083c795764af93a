# SPDX-License-Identifier: Apache-2.0
"""Clones that wait: started or taken back in the background, to be had at once."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Self

from harness.errors import HostError
from harness.target.spring import Clone, Spring

_GRACE_S = 120.0


class ClonePool:
    """Keeps a few clones of one spring ready: loaded, with the right time, as if nobody had asked.

    A clone that is given back is taken back to its state and waits again; one that is of no use
    any more is replaced. That happens in the background. QEMU processes die with the thread that
    started them, so those threads live as long as the pool.

    Args:
        spring: where clones come from; its state is made before the pool opens.
        size: how many there are at most, taken ones included.
        starters: how many are started or taken back at the same time.
        eager: whether all of them are started as the pool opens, and not when they are missed.
        again: whether a clone that is given back waits again; else it is ended and replaced.
        fresh: whether the executors of each start anew; see `Spring.start_clone`.

    Raises:
        HostError: this host cannot keep a state.
    """

    def __init__(  # noqa: PLR0913 - each says how many or how
        self,
        spring: Spring,
        size: int = 2,
        starters: int = 1,
        *,
        eager: bool = True,
        again: bool = True,
        fresh: bool = False,
    ) -> None:
        if not spring.find_state():
            raise HostError(f"no pool of clones: {spring.trouble}")
        self._spring = spring
        self._missing = threading.Semaphore(size)
        self._counting = threading.Lock()
        self._takers = self._returning = 0
        self._eager = size if eager else 0
        self._again = again
        self._fresh = fresh
        self._ready: queue.Queue[Clone | Exception] = queue.Queue()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._open: dict[Clone, contextlib.ExitStack] = {}
        self._threads = [
            threading.Thread(target=self._do_work, name="clone pool", daemon=True)
            for _ in range(starters)
        ]

    def __enter__(self) -> Self:
        """Begin to start clones."""
        for thread in self._threads:
            thread.start()
        for _ in range(self._eager):
            self._want_one_more()
        return self

    def __exit__(self, *raised: object) -> None:
        """End every clone, waiting ones and taken ones."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._work.get_nowait()
        for _ in self._threads:
            self._work.put(None)
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
        """Take a clone that waits; it is given back when the block is left.

        Raises:
            HostError: no clone could be started; or what else has kept it from starting.
        """
        clone = self._next()
        try:
            yield clone
        finally:
            with self._counting:
                self._returning += 1
            self._work.put(lambda: self._take_back(clone))

    def _next(self) -> Clone:
        """Wait for a clone; one that is on its way back is sooner there than a new one."""
        with self._counting:
            self._takers += 1
            too_few = self._takers > self.waiting + self._returning
        if too_few:
            self._want_one_more()
        try:
            clone = self._ready.get(timeout=_GRACE_S)
        except queue.Empty as error:
            raise HostError(f"no clone within {_GRACE_S:g} s") from error
        finally:
            with self._counting:
                self._takers -= 1
        if isinstance(clone, Exception):
            raise clone
        return clone

    def _want_one_more(self) -> None:
        """Have a clone started unless there are enough."""
        if self._missing.acquire(blocking=False):
            self._work.put(self._start)

    def _do_work(self) -> None:
        while work := self._work.get():
            work()

    def _start(self) -> None:
        stack = contextlib.ExitStack()
        try:
            clone = stack.enter_context(self._spring.start_clone(fresh=self._fresh))
        except Exception as error:  # whoever waits for a clone is to hear of it
            stack.close()
            self._missing.release()
            self._ready.put(error)
        else:
            self._open[clone] = stack
            self._ready.put(clone)

    def _take_back(self, clone: Clone) -> None:
        came_back = False
        with contextlib.suppress(Exception):  # whatever was done to it: the next test gets another
            if self._again and clone.guest.usable:
                if clone.guest.touched:
                    clone.rewind()
                came_back = True
        with self._counting:
            self._returning -= 1
            if came_back:
                self._ready.put(clone)
                return
        self._open.pop(clone).close()
        self._missing.release()
        if self._eager or self.waiting <= self._takers:
            self._want_one_more()
