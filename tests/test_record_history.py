# SPDX-License-Identifier: Apache-2.0
"""What earlier runs say of a change, and that no loss of the index loses it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from live import trapgate
from records import NEW, OLD, result, write

from harness.errors import OutcomeKind
from harness.record import Result, RunIndex, RunWriter, read_run
from harness.record.compare import Difference, compare
from harness.record.flakes import with_history
from harness.record.history import History, key_of
from harness.record.run import this_run

FAIL, PANIC, PASS = OutcomeKind.FAIL, OutcomeKind.PANIC, OutcomeKind.PASS
LOST, SKIP = OutcomeKind.LOST, OutcomeKind.SKIP


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRAPGATE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def difference(folder: Path, before: Result, after: Result) -> Difference:
    """Return what two runs of one question differ in, in the light of those in the state."""
    runs = [write(folder / name, [one]) for name, one in (("before", before), ("after", after))]
    (change,) = with_history(compare(*map(read_run, runs))).changes
    return change.difference


@pytest.mark.parametrize(
    ("earlier", "before", "after", "said"),
    [
        ([], result("q"), result("q", FAIL, NEW), "WORSE"),
        ([result("q", PASS, NEW)], result("q"), result("q", FAIL, NEW), "FLAKE"),
        ([result("q", FAIL)], result("q"), result("q", FAIL, NEW), "FLAKE"),
        ([result("q", FAIL)], result("q"), result("q", PANIC, NEW), "WORSE"),
        ([result("q", PASS, NEW, inputs="x")], result("q"), result("q", FAIL, NEW), "WORSE"),
        ([result("r", PASS, NEW)], result("q"), result("q", FAIL, NEW), "WORSE"),
        ([result("q", LOST, NEW)], result("q"), result("q", FAIL, NEW), "WORSE"),
        ([result("q", FAIL, NEW)], result("q", FAIL), result("q", PASS, NEW), "FLAKE"),
        ([result("q")], result("q", LOST), result("q", FAIL), "FLAKE"),
        ([], result("q", LOST), result("q", FAIL), "NEW_FAILURE"),
        ([result("q", PASS, NEW)], result("q", SKIP), result("q", FAIL, NEW), "FLAKE"),
        ([result("q", FAIL, inputs="x")], result("q"), result("q", FAIL, inputs="x"), "OURS"),
        ([result("q", inputs="x")], result("q"), result("q", FAIL, inputs="x"), "FLAKE"),
    ],
)
def test_earlier_runs_tell_a_flake(
    earlier: list[Result], before: Result, after: Result, said: str, tmp_path: Path
) -> None:
    for number, one in enumerate(earlier):
        write(tmp_path / f"earlier-{number}", [one])
    assert difference(tmp_path, before, after).name == said


def test_an_answer_that_is_always_given_is_no_flake(tmp_path: Path) -> None:
    write(tmp_path / "once", [result("q", FAIL)])
    for number in range(2):
        write(tmp_path / f"again-{number}", [result("q", FAIL, NEW)])
    assert difference(tmp_path, result("q"), result("q", FAIL, NEW)) is Difference.WORSE


def test_a_run_that_was_thrown_away_is_remembered(tmp_path: Path) -> None:
    shutil.rmtree(write(tmp_path / "gone", [result("q", PASS, NEW)]))
    assert difference(tmp_path, result("q"), result("q", FAIL, NEW)) is Difference.FLAKE


def test_another_run_in_the_same_folder_is_another_one(tmp_path: Path) -> None:
    for number, kind in enumerate((PASS, FAIL)):
        facts = this_run()
        facts = type(facts)(**vars(facts) | {"started": f"2026-01-0{number + 1}T00:00:00+00:00"})
        with RunWriter(tmp_path / "run", facts) as writer:
            writer.add(result("q", kind))
        shutil.rmtree(tmp_path / "run")
    (changing,) = History().changing()
    assert changing.answers == {"fail": 1, "pass": 1}


def test_a_killed_runs_answers_count_each_once(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "killed", this_run())
    writer.add(result("q"))
    assert History().recall([result("q")]) == {key_of(result("q")): {PASS: 1}}
    writer.add(result("q", FAIL))
    with (tmp_path / "killed" / "results.jsonl").open("a") as torn:
        torn.write('no JSON\n{"test": ')
    for _ in range(2):
        assert History().recall([result("q")]) == {key_of(result("q")): {PASS: 1, FAIL: 1}}


def lose(index: Path) -> None:
    index.unlink()


def overwrite(index: Path) -> None:
    index.write_bytes(b"no database" * 100)


def cut(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:-5000])


def spoil_a_page(index: Path) -> None:
    content = bytearray(index.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    index.write_bytes(content)


def be_of_another_harness(index: Path) -> None:
    index.unlink()
    with sqlite3.connect(index) as database:
        database.execute("CREATE TABLE runs (name TEXT)")


def be_old(index: Path) -> None:
    with sqlite3.connect(index) as database:
        database.execute("DROP TABLE answers")
        database.execute("DROP TABLE remembered")


@pytest.mark.parametrize(
    "spoil", [lose, overwrite, cut, spoil_a_page, be_of_another_harness, be_old]
)
def test_a_spoilt_index_is_made_again(
    spoil: Callable[[Path], None], state: Path, tmp_path: Path
) -> None:
    write(state / "runs" / "good", [result("q", PASS, NEW), result("r", FAIL)])
    write(state / "runs" / "bad", [result("q", FAIL, NEW)])
    (state / "runs" / "none").mkdir()
    (state / "runs" / "damaged").mkdir()
    (state / "runs" / "damaged" / "run.json").write_text("[]")
    spoil(state / "runs.db")
    known = {run.name: (run.state, run.outcomes) for run in RunIndex().runs()}
    assert known == {"good": ("finished", "1 fail, 1 pass"), "bad": ("finished", "1 fail")}
    assert read_run("good").folder == state / "runs" / "good"
    assert [str(one) for one in History().changing()] == [
        "test_pointers.py::q[int80] on 6.1/i386 (6.1.2): 1 fail, 1 pass"
    ]
    assert difference(tmp_path, result("q"), result("q", FAIL, NEW)) is Difference.FLAKE


def test_the_commands_know_what_is_flaky(tmp_path: Path) -> None:
    for name, one in (("a", result("q")), ("b", result("q", PASS, NEW))):
        write(tmp_path / name, [one])
    write(tmp_path / "c", [result("q", FAIL, NEW)])
    done = trapgate("compare", "a", "c")
    assert done.returncode == 0
    assert "1 flaky; 0 as before" in done.stdout
    assert "\n    6.1.1: 1 pass; 6.1.2: 1 fail, 1 pass\n" in done.stdout
    (flake,) = json.loads(trapgate("compare", "a", "c", "--json").stdout)["changes"]["flake"]
    assert flake["known"] == "6.1.1: 1 pass; 6.1.2: 1 fail, 1 pass"
    page = trapgate("report", "c", "--format", "html", "--against", "a").stdout
    assert "6.1.1: 1 pass; 6.1.2: 1 fail, 1 pass" in page
    assert trapgate("runs", "--flaky").stdout == (
        "test_pointers.py::q[int80] on 6.1/i386 (6.1.2): 1 fail, 1 pass\n"
    )
    assert json.loads(trapgate("runs", "--flaky", "--json").stdout) == [
        {
            "question": "test_pointers.py::q[int80]",
            "configuration": f"{OLD.id} (6.1.2)",
            "answers": {"fail": 1, "pass": 1},
        }
    ]


def test_without_a_place_for_the_index_there_is_no_history(state: Path, tmp_path: Path) -> None:
    (state / "runs.db").mkdir(parents=True)
    assert difference(tmp_path, result("q"), result("q", FAIL, NEW)) is Difference.WORSE
