# SPDX-License-Identifier: Apache-2.0
"""A guest of ours as a host by SSH: another kernel than this host's, and the same in QEMU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dropbear import PROGRAMS, USER, Inhabited, find, inhabited_guest, libraries
from live import CHECKOUT, X86_64, eventually, trapgate
from visits import busy_visit

from harness.entry import SYSCALL, SYSCALL32
from harness.errors import OutcomeKind
from harness.record.reading import read_run
from harness.record.result import Result
from harness.target.host import open_host
from harness.target.ssh_connection import connect, read_place

FILES = ("flags", "personality", "pointers", "registers", "signal_information")
"""Scenarios about several parts of the boundary, quick ones."""
NOT_FOR_HOSTS = ("for guests only", "is not asked of a real host")
"""What reasons to skip have in them that are a host's."""

pytestmark = pytest.mark.xdist_group("inhabited")


@pytest.fixture(scope="module")
def running() -> Iterator[Inhabited]:
    with inhabited_guest() as guest:
        yield guest


@pytest.fixture
def there(running: Inhabited, monkeypatch: pytest.MonkeyPatch) -> Inhabited:
    """Give the guest, to a user whose ~/.ssh has what it takes to log in there."""
    caches = os.environ.get("XDG_CACHE_HOME", str(Path("~/.cache").expanduser()))
    monkeypatch.setenv("XDG_CACHE_HOME", caches)
    monkeypatch.setenv("HOME", str(running.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return running


def test_its_kernel_answers_and_not_this_hosts(there: Inhabited) -> None:
    done = trapgate("call", "--target", there.spec, "--entry", "int80_64", "getppid")
    assert done.returncode == 0, done.stderr
    assert f"Linux {there.kernel.release} (x86_64) on Intel Core i7 9xx" in done.stdout
    assert done.stdout.splitlines()[-1] == f"target: {there.spec}"


def test_an_emulated_host_has_its_emulators_errors(there: Inhabited) -> None:
    with open_host(there.spec) as host, host.start() as guest:
        erratum = guest.find_erratum(SYSCALL32)
        assert erratum
        assert "double-faults" in erratum.says
        assert guest.find_erratum(SYSCALL) is None


def test_a_program_runs_there(there: Inhabited) -> None:
    program = find(PROGRAMS[0])
    if libraries(program):
        pytest.skip("this host's busybox is not linked statically")
    done = trapgate("exec", "--target", there.spec, "--", program, "uname", "-r")
    assert (done.returncode, done.stdout) == (0, f"{there.kernel.release}\n"), done.stderr


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_there_however_the_harness_ends(
    end: signal.Signals, there: Inhabited
) -> None:
    eventually(lambda: not left_there(there))
    with busy_visit(there.spec) as process:
        assert {"agent", "sftp-server"} <= left_there(there)
        process.send_signal(end)
        eventually(lambda: not left_there(there))


def left_there(there: Inhabited) -> set[str]:
    """Return what lies in the guest's /tmp, and what its user runs but for what looks."""
    with connect(read_place(there.spec), accept_new=False) as client:
        _, output, _ = client.exec_command("ls /tmp; ps -o user,comm")
        lines = output.read().decode().splitlines()
    running = {line.split()[1] for line in lines if line.startswith(USER)}
    return {line for line in lines if " " not in line} | running - {"sh", "ps"}


def test_scenarios_say_the_same_in_qemu_and_by_ssh(there: Inhabited, tmp_path: Path) -> None:
    booted = verdicts(tmp_path / "qemu", "--kernel", X86_64, "--accel", "tcg")
    asked = verdicts(tmp_path / "ssh", "--target", there.spec)
    for_guests = {question for question, result in asked.items() if is_for_guests(result)}
    assert len(for_guests) < len(asked) / 2
    assert asked.keys() == booted.keys()
    assert {
        question: (result.kind, booted[question].kind)
        for question, result in asked.items()
        if question not in for_guests and result.kind is not booted[question].kind
    } == {}


def is_for_guests(result: Result) -> bool:
    said = result.evidence.message
    return result.kind is OutcomeKind.SKIP and any(reason in said for reason in NOT_FOR_HOSTS)


def verdicts(folder: Path, *options: str) -> dict[str, Result]:
    """Ask some scenarios, and return what came of each question."""
    files = [f"scenarios/test_{name}.py" for name in FILES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    command += ["--run-dir", str(folder), *options]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {result.question: result for result in read_run(folder).results}
