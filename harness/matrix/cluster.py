# SPDX-License-Identifier: Apache-2.0
"""A matrix asked by a Dask cluster: a configuration a task, one record in the end.

Dask gives a lost worker's task to another one, which asks from the start: results that came before
stay, and come once.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import queue
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DeclarationError, HostError, TrapgateError
from harness.matrix.asking import no_test
from harness.matrix.choice import Matrix
from harness.matrix.following import Watcher
from harness.matrix.part import Message, Plain, ask_part
from harness.record import Result, RunWriter
from harness.record.run import this_run
from harness.release import own_version

_ADDRESS = re.compile(r"\w+://.+:\d+")
_CONNECT_S = 5
_PAUSE_S = 0.1


class Collector:
    """Puts results into the record and before the watcher, each test's once.

    Args:
        record: takes them.
        watcher: is told.
    """

    def __init__(self, record: RunWriter, watcher: Watcher) -> None:
        self._record = record
        self._watcher = watcher
        self._known: set[str] = set()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._known)

    def take(self, message: Message) -> None:
        """Take a message of `harness.matrix.part`."""
        if "plan" in message:
            self._watcher.plan(message["plan"])
        self.add(message.get("results", ()))

    def add(self, results: Sequence[Plain]) -> None:
        """Take results that may have come before."""
        for result in map(Result.from_json, results):
            if result.test not in self._known:
                self._known.add(result.test)
                self._record.add(result)
                self._watcher.note(result)


def ask_cluster(
    matrix: Matrix, scheduler: str, folder: Path, watcher: Watcher, argv: Sequence[str]
) -> None:
    """Hand every configuration to a cluster, and write the record here.

    Args:
        matrix: a checked one.
        scheduler: the address of the cluster's.
        folder: where the record goes; there is none yet.
        watcher: is told how it goes; what it raises calls the work off.
        argv: the command line.

    Raises:
        DeclarationError: no test was chosen.
        HostError: the scheduler is not there, or a configuration could not be asked.
    """
    with connected(scheduler) as client, RunWriter(folder, this_run(argv)) as record:
        collector = Collector(record, watcher)
        with _handed_out(client, matrix, collector, watcher) as futures:
            troubles = [_trouble(part, future) for part, future in futures.items()]
        troubles = [trouble for trouble in troubles if trouble]
        if troubles:
            raise HostError("\n".join(troubles))
        if not collector.count:
            raise no_test(matrix)


@contextlib.contextmanager
def connected(scheduler: str) -> Iterator[Any]:
    """Give a client of a cluster that can do our work.

    Raises:
        DeclarationError: that is no address.
        HostError: nobody answers there, or its workers cannot do it.
    """
    if not _ADDRESS.fullmatch(scheduler):
        raise DeclarationError(f"scheduler {scheduler!r} is no address: expected tcp://HOST:PORT")
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise HostError(
            f"a scheduler needs the package distributed: {error}",
            hint="install it with pip install 'trapgate[cluster]'",
        ) from error
    _silence()
    try:
        client = distributed.Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except OSError as error:
        raise HostError(
            f"no scheduler answers at {scheduler} within {_CONNECT_S} s",
            hint="start one with `dask scheduler`, and workers with `dask worker`",
        ) from error
    with client:
        _check_workers(client, scheduler)
        yield client


def _silence() -> None:
    """Keep Dask from telling on standard error what our own errors say."""
    for name in [n for n in logging.root.manager.loggerDict if n.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _check_workers(client: Any, scheduler: str) -> None:
    """See that there are workers with the same harness."""
    try:
        versions = client.run(own_version, on_error="return")
    except Exception as error:
        raise HostError(f"the workers of {scheduler} do not answer: {error}") from error
    if not versions:
        raise HostError(
            f"the scheduler {scheduler} has no workers", hint=f"start `dask worker {scheduler}`"
        )
    for worker, version in versions.items():
        if version != own_version():
            raise HostError(
                f"worker {worker} has no trapgate {own_version()}: {version}",
                hint="install the same version there",
            )


@contextlib.contextmanager
def _handed_out(
    client: Any, matrix: Matrix, collector: Collector, watcher: Watcher
) -> Iterator[dict[str, Any]]:
    """Give the futures of all configurations, by name, when they are done."""
    topic = f"trapgate-{uuid.uuid4().hex}"
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    client.subscribe_topic(topic, lambda event: messages.put(event[1]))
    parts = {part.name: part for part in matrix.configurations()}
    futures = {
        name: client.submit(ask_part, part, topic, key=f"{topic}-{name}", pure=False)
        for name, part in parts.items()
    }
    try:
        while not all(future.done() for future in futures.values()):
            _take_all(messages, collector)
            watcher.look()
            time.sleep(_PAUSE_S)
        _take_all(messages, collector)
        for future in futures.values():
            collector.add(future.result() if future.status == "finished" else ())
        yield futures
    finally:
        client.cancel(list(futures.values()), force=True)
        client.unsubscribe_topic(topic)


def _take_all(messages: queue.SimpleQueue[Message], collector: Collector) -> None:
    while not messages.empty():
        collector.take(messages.get())


def _trouble(name: str, future: Any) -> str:
    """Return why a configuration could not be asked, empty when it was."""
    if future.status == "finished":
        return ""
    error = future.exception() if future.status == "error" else "the scheduler is gone"
    said = error.message if isinstance(error, TrapgateError) else f"{error}"
    return f"{name} could not be asked: {said}"
