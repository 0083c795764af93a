# SPDX-License-Identifier: Apache-2.0
"""How tests are dealt to pytest-xdist's workers: configurations stay together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from live import CHECKOUT, I386, X86_64

from harness.record import read_run

SCENARIOS = """
import pytest

@pytest.mark.parametrize("number", range(20))
def test_a(configuration, number):
    pass
"""
ORDINARY = """
import pytest

@pytest.mark.parametrize("number", range(20))
def test_b(number):
    pass
"""
DEADLY = """
import os
import pytest

@pytest.fixture
def deadly():
    os._exit(3)

def test_before(guest):
    pass

def test_that_ends_its_worker(guest):
    os._exit(3)

def test_between(guest):
    pass

def test_that_ends_it_before_it_begins(guest, deadly):
    pass

def test_after(guest):
    pass
"""
RAN = "[gw"


def run(folder: Path, *options: str) -> dict[str, list[str]]:
    """Return the tests that each worker ran, in order."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", str(folder), *options],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    ran: dict[str, list[str]] = defaultdict(list)
    for line in done.stdout.splitlines():
        if line.startswith(RAN) and " PASSED " in line:
            ran[line[1:4]].append(line.split(" PASSED ")[1].strip().rpartition("/test_")[2])
    return ran


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(SCENARIOS)
    return tmp_path


def test_a_configuration_stays_on_a_worker(folder: Path) -> None:
    (folder / "test_two.py").unlink()
    ran = run(folder, "--kernel", I386, "--kernel", X86_64, "-n", "2")
    kernels = [{test.partition("[")[2].split("-")[0] for test in tests} for tests in ran.values()]
    assert sorted(kernels, key=str) == [{I386}, {X86_64}]


def test_a_worker_with_nothing_else_to_do_helps_and_files_stay_whole(folder: Path) -> None:
    ran = run(folder, "--kernel", I386, "-n", "2")
    assert sorted(map(len, ran.values())) == [20, 20]
    for tests in ran.values():
        assert len({test.partition("::")[0] for test in tests}) == 1
        numbers = [int(test.rpartition("-")[2].rstrip("]")) for test in tests]
        assert numbers == sorted(numbers)


def test_another_projects_tests_are_all_run(tmp_path: Path) -> None:
    (tmp_path / "test_ordinary.py").write_text(ORDINARY)
    ran = run(tmp_path, "-n", "2")
    assert set(ran) == {"gw0", "gw1"}
    assert sorted(test for tests in ran.values() for test in tests) == sorted(
        f"ordinary.py::test_b[{number}]" for number in range(20)
    )


def test_the_users_own_choice_of_a_scheduler_wins(folder: Path) -> None:
    ran = run(folder, "--kernel", I386, "--kernel", X86_64, "-n", "2", "--dist", "loadfile")
    for tests in ran.values():
        assert len({test.partition("::")[0] for test in tests}) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_a_worker_has_died_of_is_said_once_and_not_tried_again(
    workers: str, tmp_path: Path
) -> None:
    (tmp_path / "test_deadly.py").write_text(DEADLY)
    (tmp_path / "test_other.py").write_text(ORDINARY)
    options = ["--kernel", X86_64, "-n", workers, "--run-dir", "record"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "23 passed, 2 errors" in done.stdout, done.stdout
    assert done.returncode == 2
    assert done.stdout.count("replacing crashed worker") == 2
    lines = (tmp_path / "record" / "results.jsonl").read_text().splitlines()
    assert len(lines) == 5
    ended = {
        one.question.partition("::test_")[2]: one for one in read_run(tmp_path / "record").results
    }
    assert {name: one.kind.word for name, one in ended.items()} == {
        "before": "pass",
        "that_ends_its_worker": "infrastructure",
        "between": "pass",
        "that_ends_it_before_it_begins": "infrastructure",
        "after": "pass",
    }
    died = ended["that_ends_it_before_it_begins"]
    assert died.configuration == ended["before"].configuration
    assert "crashed while running" in died.evidence.message
