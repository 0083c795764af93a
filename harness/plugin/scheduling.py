# SPDX-License-Identifier: Apache-2.0
"""How pytest-xdist deals tests out: a configuration to a worker, and help where much is left.

A worker keeps the clones of few machines, and QEMU what it has translated for them, so it asks one
configuration everything before it takes the next. What travels at a time is a file's tests of one
configuration: they may share a guest. Their order is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from harness.plugin.options import groups_of


class Distributor:
    """Gives pytest-xdist the scheduler, unless the user has chosen another one."""

    def pytest_xdist_make_scheduler(
        self, config: pytest.Config, log: Producer
    ) -> LoadScopeScheduling | None:
        """Return a scheduler for xdist's usual mode."""
        return ByConfiguration(config, log) if config.getvalue("dist") == "load" else None


class ByConfiguration(LoadScopeScheduling):
    """Keeps each configuration on one worker until a worker has nothing else to do.

    Args:
        config: the controlling process's.
        log: where xdist's own messages go.
    """

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._groups = groups_of(config)
        self._owned: dict[WorkerController, str] = {}

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take what a worker has collected, so that a test's place in it is found at once."""
        super().add_node_collection(node, collection)
        if node in self.registered_collections:
            self.registered_collections[node] = _Places(self.registered_collections[node])

    def _split_scope(self, nodeid: str) -> str:
        """Return what a test travels with, its configuration first; one of nobody's goes alone."""
        group = self._groups.of(nodeid)
        return f"{group}\n{nodeid.partition('::')[0] if group else nodeid}"

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Give a worker the next file of its configuration, or of another one."""
        self._forget_done(node)
        scope = self._next_scope(node)
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """Have a lost worker's work done by others, but not the test that it died of.

        Returns:
            That test; None when the worker had nothing to do any more.
        """
        self._owned.pop(node, None)
        self._forget_done(node)
        work = self.assigned_work.pop(node)
        unit: dict[str, bool] = next(iter(work.values()), {})
        died_of = next((nodeid for nodeid, done in unit.items() if not done), None)
        if died_of:
            unit[died_of] = True
        self.workqueue.update({s: unit for s, unit in work.items() if not all(unit.values())})
        for other in self.assigned_work if died_of else ():
            self._reschedule(other)
        return died_of

    def _next_scope(self, node: WorkerController) -> str:
        own = self._owned.get(node)
        found = next((s for s in self.workqueue if own == _group_in(s)), None)
        if not found:
            own = self._owned[node] = self._largest_left()
            found = next(s for s in self.workqueue if own == _group_in(s))
        return found

    def _largest_left(self) -> str:
        """Return the configuration that most is left of, nobody else's if there is one."""
        left: Counter[str] = Counter()
        for scope, unit in self.workqueue.items():
            left[_group_in(scope)] += len(unit)
        free = [group for group in left if group not in self._owned.values()]
        return max(free or left, key=left.__getitem__)

    def _forget_done(self, node: WorkerController) -> None:
        """Drop finished work, which xdist would count again after each test."""
        work = self.assigned_work.get(node, {})
        self.assigned_work[node] = {s: unit for s, unit in work.items() if not all(unit.values())}


class _Places(list[str]):
    """A collection whose `index` does not look at every test: xdist asks it for each one."""

    def __init__(self, collection: Iterable[str]) -> None:
        super().__init__(collection)
        self._places = {nodeid: place for place, nodeid in enumerate(self)}

    def index(self, nodeid: str, *_: object) -> int:
        """Return a test's place."""
        return self._places[nodeid]


def _group_in(scope: str) -> str:
    return scope.partition("\n")[0]
