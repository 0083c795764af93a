# SPDX-License-Identifier: Apache-2.0
"""Whatever happens during a fetch, the cache holds a whole kernel or none."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from kernel_archive import Archive, Heard, Server, serving

from harness.errors import TrapgateError
from harness.kernels.catalogue import Entry
from harness.kernels.fetch import fetch
from harness.kernels.store import find_cached, folder_of
from harness.kernels.supply import Supply

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("TRAPGATE_CACHE", str(tmp_path / "cache"))
    return Archive(tmp_path / "archive")


@pytest.fixture
def server(archive: Archive) -> Iterator[Server]:
    with serving(archive.root) as server:
        yield server


@pytest.fixture
def entry(archive: Archive) -> Entry:
    return archive.entry(archive.add_kernel("6.1.0-9", "6.1.90-1"))


def fetch_and_tell(told: Connection, entry: Entry, address: str, file_limit: int) -> None:
    """Fetch in a process of its own, and tell how that ended."""
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    heard = Heard()
    try:
        fetch(entry, Supply((address,), reporter=heard))
        told.send(("done", heard.lines))
    except TrapgateError as error:
        told.send((error.message, heard.lines))


class Fetcher:
    """A process that fetches."""

    def __init__(self, entry: Entry, server: Server, file_limit: int = 0) -> None:
        self._told, told = SPAWN.Pipe(duplex=False)
        arguments = (told, entry, server.address, file_limit)
        self.process = SPAWN.Process(target=fetch_and_tell, args=arguments)
        self.process.start()

    def result(self) -> tuple[str, list[str]]:
        """Wait for its end, and return how it was and what it said."""
        assert self._told.poll(30), "the fetch did not end"
        said: tuple[str, list[str]] = self._told.recv()
        self.process.join()
        return said


def test_a_full_disk_leaves_nothing(server: Server, entry: Entry) -> None:
    message, _ = Fetcher(entry, server, file_limit=500).result()
    assert message.startswith("cannot store 6.1_i386-")
    assert "File too large" in message
    folder = folder_of(entry)
    assert [path.name for path in folder.parent.iterdir()] == [f"{folder.name}.lock"]


def test_a_cache_that_cannot_be_written_is_one_sentence(
    server: Server, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRAPGATE_CACHE", str(tmp_path / "file"))
    message, _ = Fetcher(entry, server).result()
    assert message.startswith("cannot store")
    assert "Not a directory" in message


def test_two_processes_share_one_download(server: Server, entry: Entry) -> None:
    server.stall_at = 100
    fetchers = [Fetcher(entry, server)]
    assert server.stalled.wait(20)
    fetchers.append(Fetcher(entry, server))
    server.go_on.wait(1.5)
    server.go_on.set()
    (first, _), (second, heard) = (fetcher.result() for fetcher in fetchers)
    assert (first, second) == ("done", "done")
    assert any("waiting for another process" in line for line in heard)
    assert len(server.asked) == 1


def test_a_killed_fetch_leaves_nothing_that_looks_whole(server: Server, entry: Entry) -> None:
    server.stall_at = 100
    fetcher = Fetcher(entry, server)
    assert server.stalled.wait(20)
    assert fetcher.process.pid
    os.kill(fetcher.process.pid, signal.SIGKILL)
    fetcher.process.join()
    assert find_cached(entry) is None
    assert list(folder_of(entry).parent.glob("*.part"))
    server.go_on.set()
    assert Fetcher(entry, server).result()[0] == "done"
    assert find_cached(entry)
    assert not list(folder_of(entry).parent.glob("*.part"))


def test_what_a_dead_process_left_of_another_kernel_is_swept(server: Server, entry: Entry) -> None:
    left = folder_of(entry).with_name("5.10_i386-r1-000000000000.part")
    left.mkdir(parents=True)
    (left / "package.deb").write_bytes(b"half")
    assert Fetcher(entry, server).result()[0] == "done"
    assert not left.exists()
