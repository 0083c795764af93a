# SPDX-License-Identifier: Apache-2.0
"""A matrix as users meet it: its record, its words, its status, and that nothing is left of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from live import CHECKOUT, I386, PROGRAM, X86_64, eventually, is_there, trapgate

from harness.record import Result, State, read_run

pytestmark = pytest.mark.xdist_group("matrix")

QUESTIONS = """
import pytest
from harness.entry import INT80

@pytest.mark.entries("int80")
@pytest.mark.parametrize("time", range(8))
def test_right(guest, entry, time):
    assert guest.call(entry, "getpid").errno is None

def test_only_the_old_one(guest):
    assert guest.identity.arch.name == "i386"

@pytest.mark.machine(append="vsyscall=none")
def test_elsewhere(guest):
    assert guest.call(INT80, "getpid").errno is None
"""
MANY = """
import pytest
from harness.entry import INT80

@pytest.mark.parametrize("time", range(2000))
def test_right(guest, time):
    assert guest.call(INT80, "getpid").errno is None
"""
PAIR = ("--kernel", I386, "--kernel", X86_64)


@pytest.fixture
def questions(tmp_path: Path) -> str:
    path = tmp_path / "test_few.py"
    path.write_text(QUESTIONS)
    return str(path)


def verdicts(results: list[Result]) -> dict[str, str]:
    return {result.test: result.kind.word for result in results}


def test_it_records_what_pytest_records(questions: str, tmp_path: Path) -> None:
    mine, pytests = tmp_path / "a", tmp_path / "b"
    done = trapgate("matrix", *PAIR, "--scenarios", questions, "--run-dir", str(mine))
    assert done.returncode == 1, done.stderr
    assert done.stdout == f"20 tests: 19 pass, 1 fail\nrecord: {mine}\n"
    assert f"{I386}: 10 pass" in done.stderr
    assert f"test_few.py::test_only_the_old_one[{X86_64}]: " in done.stderr
    command = [sys.executable, "-m", "pytest", questions, *PAIR, "-n", "2", f"--run-dir={pytests}"]
    subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    one, other = read_run(mine), read_run(pytests)
    assert one.facts.state is other.facts.state is State.FINISHED
    assert verdicts(one.results) == verdicts(other.results)
    assert {r.configuration for r in one.results} == {r.configuration for r in other.results}


def test_a_file_and_github(questions: str, tmp_path: Path) -> None:
    summary, runs = tmp_path / "summary.md", tmp_path / "runs"
    plan = tmp_path / "matrix.toml"
    plan.write_text(
        f'kernels = ["6.1/x86_6?"]\nscenarios = ["{questions}"]\nselect = "old"\n'
        f'run-dir = "{runs}"\nworkers = 1\n'
    )
    there = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    done = trapgate("matrix", str(plan), **there)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=")
    assert "test_few.py,title=test_only_the_old_one::fail on 6.1/x86_64: " in done.stdout
    assert "| 6.1/x86_64 | 0 | 1 | 0 | 0 | 0 |" in summary.read_text()
    assert read_run(runs).results[0].kind.word == "fail"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kernel", "4.*"), "no kernel of the catalogue is like '4.*'"),
        (("-k", "nonesuch"), "no test is like 'nonesuch': nothing was asked of 6.1/x86_64"),
        (("-k", "and and"), "6.1/x86_64 could not be asked: -k 'and and' cannot be read: "),
        (("-n", "few"), "workers: expected a number or auto, got 'few'"),
        (("--scheduler", "nowhere"), "scheduler 'nowhere' is no address: expected tcp://HOST:PORT"),
        (("no.toml",), "matrix no.toml cannot be read"),
    ],
)
def test_bad_input_is_a_sentence_and_leaves_nothing(
    arguments: tuple[str, ...], said: str, questions: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    kernel = () if "--kernel" in arguments else ("--kernel", X86_64)
    where = ("--scenarios", questions, "--run-dir", str(folder))
    done = trapgate("matrix", *kernel, *where, *arguments)
    assert done.returncode == 2
    assert f"trapgate: {said}" in done.stderr
    assert not folder.exists()


def test_on_a_terminal_there_is_a_table(questions: str, tmp_path: Path) -> None:
    options = (*PAIR, "--scenarios", questions, "--run-dir", str(tmp_path / "run"), "-n", "1")
    terminal = pexpect.spawn(
        sys.executable,
        ["-c", PROGRAM, "matrix", *options],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "TERM": "xterm"},
        encoding="utf-8",
        timeout=120,
        dimensions=(30, 100),
    )
    for shown in ("configuration.*done.*failed.*no answer.*left", r"\d:\d\d left", "record: "):
        terminal.expect(shown)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1


def descendants(pid: int) -> Iterator[int]:
    """Every process below one; those that end meanwhile may be missed."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                yield child
                yield from descendants(child)


def name_of(pid: int) -> str:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text()
    return ""


def guests_of(pid: int) -> list[int]:
    return [p for p in descendants(pid) if "qemu" in name_of(p)]


def has_a_line(path: Path) -> bool:
    return path.exists() and b"\n" in path.read_bytes()


@pytest.mark.parametrize(
    ("signals", "status"),
    [
        ([signal.SIGINT], 130),
        ([signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGTERM], -signal.SIGTERM),
        ([signal.SIGHUP], -signal.SIGHUP),
        ([signal.SIGKILL], -signal.SIGKILL),
    ],
)
def test_however_it_is_ended_nothing_is_left(
    signals: list[signal.Signals], status: int, tmp_path: Path
) -> None:
    path, folder, temporary = (tmp_path / name for name in ("test_many.py", "run", "temporary"))
    path.write_text(MANY)
    temporary.mkdir()
    options = (*PAIR, "--scenarios", str(path), "--run-dir", str(folder), "-n", "2")
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "matrix", *options],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        eventually(lambda: len(guests_of(run.pid)) >= 2, 120)
        eventually(lambda: has_a_line(folder / "results.jsonl"), 120)
        everyone = list(descendants(run.pid))
        for number in signals:
            run.send_signal(number)
    eventually(lambda: not any(map(is_there, everyone)), 5)
    assert run.returncode == status
    left = read_run(folder)
    killed = signals == [signal.SIGKILL]
    assert left.facts.state is (State.RUNNING if killed else State.INTERRUPTED)
    assert {path.name.split("-")[0] for path in temporary.iterdir()} <= {"pytest"}  # its own
    assert set(Counter(result.kind.word for result in left.results)) == {"pass"}
    assert len(left.results) < 4000
