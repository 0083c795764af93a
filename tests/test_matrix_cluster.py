# SPDX-License-Identifier: Apache-2.0
"""A matrix asked by a real Dask cluster: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import CHECKOUT, I386, PROGRAM, X86_64, eventually, is_there, trapgate
from test_matrix_run import descendants

from harness.record import State, read_run

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.xdist_group("cluster")

TESTS = 120
QUESTIONS = f"""
import pytest
from harness.entry import INT80

@pytest.mark.parametrize("time", range({TESTS}))
def test_right(guest, time):
    assert guest.call(INT80, "getpid").errno is None
"""
HERE = os.environ | {"PYTHONPATH": str(CHECKOUT)}


class Cluster:
    """A scheduler, and workers that are started one by one."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        known = folder / "scheduler.json"
        where = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(known))
        self.scheduler = self._start("scheduler", "--no-dashboard", *where)
        self.address = eventually(lambda: known.exists() and address_in(known))

    def workers(self, count: int) -> list[subprocess.Popen[bytes]]:
        """Start some, and wait until the scheduler knows them."""
        quiet = ("--no-dashboard", "--no-nanny", "--nthreads", "1", "--local-directory", "scratch")
        started = [self._start("worker", self.address, *quiet) for _ in range(count)]
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=120)
        return started

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, env=HERE, cwd=self._folder, **silent)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process


def address_in(path: Path) -> str:
    """Return the scheduler's address, empty while it is still being written."""
    with contextlib.suppress(ValueError):
        return str(json.loads(path.read_text())["address"])
    return ""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        yield Cluster(tmp_path, stack)


@pytest.fixture
def command(tmp_path: Path, cluster: Cluster) -> list[str]:
    path = tmp_path / "test_many.py"
    path.write_text(QUESTIONS)
    options = ["--scenarios", str(path), "--run-dir", str(tmp_path / "run")]
    return ["matrix", *options, "--scheduler", cluster.address]


def start(command: list[str]) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", PROGRAM, *command]
    return subprocess.Popen(line, env=HERE, stdout=subprocess.PIPE, text=True)


def count(folder: Path) -> int:
    path = folder / "results.jsonl"
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def test_a_lost_workers_work_is_done_again(
    command: list[str], cluster: Cluster, tmp_path: Path
) -> None:
    first, second = cluster.workers(2)
    asked = ("--kernel", I386, "--kernel", X86_64, "--kernel", "6.5/i386-pae")
    with start([*command, *asked]) as run:
        eventually(lambda: count(tmp_path / "run") > TESTS // 4, 300)
        lost = list(descendants(first.pid))
        first.kill()
        said, _ = run.communicate()
    assert run.returncode == 0
    assert f"{3 * TESTS} tests: {3 * TESTS} pass" in said
    record = read_run(tmp_path / "run")
    assert record.facts.state is State.FINISHED
    assert len({result.test for result in record.results}) == len(record.results) == 3 * TESTS
    assert {result.configuration.spec for result in record.results} == {*asked[1::2]}
    assert second.poll() is None
    eventually(lambda: not any(map(is_there, lost)), 10)


def test_an_interruption_ends_the_guests_of_workers(
    command: list[str], cluster: Cluster, tmp_path: Path
) -> None:
    (worker,) = cluster.workers(1)
    with start([*command, "--kernel", X86_64]) as run:
        eventually(lambda: count(tmp_path / "run"), 120)
        busy = list(descendants(worker.pid))
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate()
    assert run.returncode == 130
    assert said.startswith("interrupted, ")
    eventually(lambda: not any(map(is_there, busy)), 10)
    assert read_run(tmp_path / "run").facts.state is State.INTERRUPTED
    assert worker.poll() is None


def test_a_scheduler_that_goes_away_is_a_sentence(
    command: list[str], cluster: Cluster, tmp_path: Path
) -> None:
    cluster.workers(1)
    with start([*command, "--kernel", X86_64]) as run:
        eventually(lambda: count(tmp_path / "run"), 120)
        cluster.scheduler.kill()
        run.communicate()
    assert run.returncode == 2
    assert read_run(tmp_path / "run").facts.state is State.INTERRUPTED


def test_a_cluster_that_cannot_ask_is_a_sentence(command: list[str], cluster: Cluster) -> None:
    alone = trapgate(*command)
    assert alone.returncode == 2
    assert f"trapgate: the scheduler {cluster.address} has no workers" in alone.stderr
    nobody = trapgate(*command[:-1], "tcp://127.0.0.1:1")
    assert nobody.returncode == 2
    assert "trapgate: no scheduler answers at tcp://127.0.0.1:1 within 5 s" in nobody.stderr
