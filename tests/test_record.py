# SPDX-License-Identifier: Apache-2.0
"""The record of a run: written as it happens, read whatever ended it, found by its name."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from live import CHECKOUT, X86_64, eventually, trapgate
from records import NEW, result, write
from test_plugin import session

from harness.errors import DeclarationError, HostError, OutcomeKind
from harness.record import Evidence, RunIndex, RunWriter, State, new_run_folder, read_run
from harness.record.run import this_run

FAIL, PASS, SKIP = OutcomeKind.FAIL, OutcomeKind.PASS, OutcomeKind.SKIP
RESULTS = [result("test_a"), result("test_b", FAIL), result("test_c", SKIP, NEW)]


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAPGATE_STATE", str(tmp_path / "state"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "first", RESULTS)


def test_what_is_written_is_read(folder: Path) -> None:
    run = read_run(folder)
    assert run.results == RESULTS
    assert (run.name, run.facts.state, run.remarks) == ("first", State.FINISHED, [])
    assert run.facts.argv == ("pytest", "scenarios")


def test_a_result_knows_its_group_and_its_question() -> None:
    one = result("test_a")
    assert (one.group, one.question) == ("pointers", "test_pointers.py::test_a[int80]")


def test_a_result_is_there_as_soon_as_it_is_added(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", this_run())
    writer.add(RESULTS[0])
    run = read_run(tmp_path / "run")
    assert run.results == RESULTS[:1]
    assert "the run has not ended" in run.remarks[0]
    writer.close(State.INTERRUPTED)
    assert read_run(tmp_path / "run").remarks == ["the run was interrupted: results are missing"]


def test_an_error_closes_a_record_as_interrupted(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), RunWriter(tmp_path / "run", this_run()) as writer:
        writer.add(RESULTS[0])
        raise KeyboardInterrupt
    assert read_run(tmp_path / "run").facts.state is State.INTERRUPTED


@pytest.mark.parametrize(
    ("kinds", "kept"),
    [
        ((OutcomeKind.LOST, PASS), PASS),
        ((FAIL, OutcomeKind.LOST), FAIL),
        ((FAIL, PASS), FAIL),
        ((PASS, OutcomeKind.PANIC), OutcomeKind.PANIC),
    ],
)
def test_of_a_test_that_ran_again_the_worst_answer_counts(
    kinds: tuple[OutcomeKind, OutcomeKind], kept: OutcomeKind, tmp_path: Path
) -> None:
    run = read_run(write(tmp_path / "run", [result("test_a", kind) for kind in kinds]))
    assert [one.kind for one in run.results] == [kept]


def test_a_torn_last_line_is_left_out_and_said(folder: Path) -> None:
    path = folder / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    run = read_run(folder)
    assert run.results == RESULTS[:-1]
    assert run.remarks == ["the record's last line is cut short, and its result is left out"]


def spoil_results(folder: Path) -> None:
    path = folder / "results.jsonl"
    first, *others = path.read_text().splitlines(keepends=True)
    path.write_text("".join([first, "no JSON\n", *others]))


def spoil_a_type(folder: Path) -> None:
    path = folder / "results.jsonl"
    path.write_text(path.read_text().replace('"arch": "i386"', '"arch": 386', 1))


def spoil_facts(folder: Path) -> None:
    (folder / "run.json").write_text("[]")


def raise_format(folder: Path) -> None:
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(facts | {"format": 9}))


def lose_results(folder: Path) -> None:
    (folder / "results.jsonl").unlink()


def empty(folder: Path) -> None:
    (folder / "results.jsonl").write_text("")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_results, r"line 2 is damaged"),
        (spoil_a_type, r"line 1 is damaged: .*expected a text, got 386"),
        (spoil_facts, r"run.json: the record is damaged"),
        (raise_format, r"expected a record of format 1, got format 9"),
        (lose_results, r"results.jsonl: the record is damaged"),
        (empty, r"run first has no results"),
    ],
)
def test_a_bad_record_is_said(spoil: Callable[[Path], None], said: str, folder: Path) -> None:
    spoil(folder)
    with pytest.raises(DeclarationError, match=said):
        read_run(folder)


def test_a_record_is_never_written_over(folder: Path) -> None:
    with pytest.raises(DeclarationError, match="there is a record already"):
        RunWriter(folder, this_run())
    assert read_run(folder).results == RESULTS


def test_a_run_is_found_by_its_name(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "second", RESULTS[:1])
    noted = [(one.name, one.state, one.outcomes) for one in RunIndex().runs()]
    assert noted == [
        ("first", "finished", "1 fail, 1 pass, 1 skip"),
        ("second", "finished", "1 pass"),
    ]
    assert read_run("first").folder == folder
    with pytest.raises(DeclarationError, match="no run is called 'frist'") as caught:
        read_run("frist")
    assert caught.value.hint == "did you mean first?"


def test_an_index_that_cannot_be_is_said_and_hinders_no_record(tmp_path: Path) -> None:
    (tmp_path / "state" / "runs.db").mkdir(parents=True)
    folder = write(tmp_path / "first", RESULTS)
    with pytest.raises(HostError, match="the index of runs cannot be used"):
        read_run("first")
    assert read_run(folder).results == RESULTS


def test_a_damaged_index_hinders_no_record(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "state" / "runs.db").write_bytes(b"no database" * 100)
    with pytest.raises(DeclarationError, match="no run is called 'first'"):
        read_run("first")
    assert read_run(folder).results == RESULTS
    assert read_run(write(tmp_path / "second", RESULTS)).results == RESULTS
    assert [one.name for one in RunIndex().runs()] == ["second"]


def test_a_new_folder_is_no_other_run() -> None:
    first = new_run_folder()
    write(first, RESULTS)
    assert new_run_folder() != first


SCENARIOS = """
    import pytest

    def test_right(guest):
        assert guest.call(SYSCALL, "getppid").value == 1

    def test_wrong(guest):
        assert guest.call(SYSCALL, "close", -1).errno == 2

    def test_panic(guest):
        guest.write_file("/proc/sysrq-trigger", b"c")

    @pytest.mark.needs(since="99.0")
    def test_never(guest):
        pass

    @pytest.mark.known("what it does")
    def test_known(guest):
        pass
"""


@pytest.mark.xdist_group("plugin")
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_session_is_recorded(workers: str, tmp_path: Path) -> None:
    session(tmp_path, SCENARIOS, "--kernel", X86_64, "--run-dir", "record", "-n", workers)
    run = read_run(tmp_path / "record")
    by_name = {one.question.partition("::")[2]: one for one in run.results}
    assert {name: one.kind.word for name, one in by_name.items()} == {
        "test_right": "pass",
        "test_wrong": "fail",
        "test_panic": "panic",
        "test_never": "skip",
        "test_known": "known",
    }
    who = by_name["test_right"].configuration
    assert (who.id, who.cpu, who.accelerator) == (X86_64, "Nehalem", "tcg")
    assert len(who.image) == len(who.config) == 64
    assert who.qemu == run.facts.qemu
    wrong = by_name["test_wrong"].evidence
    assert (wrong.expected, wrong.got) == ("2 ENOENT", "9 EBADF")
    assert wrong.call == "close(-1) by syscall -> -9 EBADF"
    assert "rax: 0x3 -> 0xfffffffffffffff7" in wrong.registers
    assert wrong.asked == "syscall close -1  # EBADF"
    assert wrong.reproduce.startswith("trapgate call")
    assert "sysrq triggered crash" in by_name["test_panic"].evidence.console
    assert by_name["test_never"].evidence == Evidence(message="came with 99.0")
    assert by_name["test_known"].evidence.message == "what it does"
    assert len({one.inputs for one in run.results}) == 1


@pytest.mark.xdist_group("plugin")
def test_an_interrupted_session_is_a_shorter_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import os, pathlib, time\n\n"
        "def test_first(guest):\n    pass\n\n"
        "def test_second(guest):\n"
        f"    pathlib.Path({str(tmp_path / 'there')!r}).touch()\n    time.sleep(600)\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py"]
    with subprocess.Popen(
        [*command, "--kernel", X86_64, "--run-dir", "record"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.DEVNULL,
    ) as process:
        eventually((tmp_path / "there").exists, within_s=120)
        process.send_signal(signal.SIGINT)
    run = read_run(tmp_path / "record")
    assert [one.kind for one in run.results] == [PASS]
    assert run.facts.state is State.INTERRUPTED


@pytest.mark.xdist_group("plugin")
def test_a_worker_that_dies_leaves_its_result(tmp_path: Path) -> None:
    dying = """
        import os

        def test_first(guest):
            pass

        def test_dying(guest):
            os.kill(os.getpid(), 9)
    """
    alone = ("-n", "1", "--max-worker-restart", "0")
    session(tmp_path, dying, "--kernel", X86_64, "--run-dir", "record", *alone)
    first, second = read_run(tmp_path / "record").results
    assert (first.kind, second.kind) == (PASS, OutcomeKind.INFRASTRUCTURE)
    assert second.evidence.message.startswith("worker 'gw0' crashed while running")


def test_runs_are_listed(folder: Path) -> None:
    said = trapgate("runs")
    assert said.returncode == 0
    (line,) = (line for line in said.stdout.splitlines() if line.startswith("first"))
    assert "finished" in line
    assert "1 fail, 1 pass, 1 skip" in line
    (row,) = json.loads(trapgate("runs", "--json").stdout)
    assert (row["name"], row["folder"]) == ("first", str(folder))


@pytest.mark.xdist_group("plugin")
def test_a_folder_with_a_record_is_refused_before_anything(folder: Path, tmp_path: Path) -> None:
    done = session(tmp_path, SCENARIOS, "--kernel", X86_64, "--run-dir", str(folder))
    assert done.status == 2
    assert "there is a record already" in done.errors
    assert read_run(folder).results == RESULTS
