# SPDX-License-Identifier: Apache-2.0
"""Two runs compared: whose doing a change is, and what comes first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from live import trapgate
from records import NEW, OLD, WIDE, result, write

from harness.errors import DeclarationError, OutcomeKind
from harness.record import Result, read_run
from harness.record.compare import Comparison, compare
from harness.record.differences import show_text, summary

PASS, FAIL, PANIC, SPLAT = (
    *(OutcomeKind.PASS, OutcomeKind.FAIL),
    *(OutcomeKind.PANIC, OutcomeKind.SPLAT),
)
LOST, SKIP, KNOWN = OutcomeKind.LOST, OutcomeKind.SKIP, OutcomeKind.KNOWN


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAPGATE_STATE", str(tmp_path / "state"))


def compared(folder: Path, before: Iterable[Result], after: Iterable[Result]) -> Comparison:
    return compare(
        read_run(write(folder / "before", before)), read_run(write(folder / "after", after))
    )


@pytest.mark.parametrize(
    ("before", "after", "said", "status"),
    [
        (result("q", PASS), result("q", PASS, NEW), None, 0),
        (result("q", PASS), result("q", FAIL, NEW), "WORSE", 1),
        (result("q", FAIL), result("q", PANIC, NEW), "WORSE", 1),
        (result("q", FAIL), result("q", PASS, NEW), "BETTER", 0),
        (result("q", PANIC), result("q", SPLAT, NEW), "BETTER", 0),
        (result("q", PASS), result("q", FAIL), "FLAKE", 0),
        (result("q", FAIL), result("q", PASS), "FLAKE", 0),
        (result("q", PASS), result("q", FAIL, inputs="other"), "OURS", 0),
        (result("q", PASS), result("q", LOST, NEW), "NO_ANSWER", 2),
        (result("q", LOST), result("q", OutcomeKind.INFRASTRUCTURE), None, 0),
        (result("q", LOST), result("q", PASS), "ANSWERED", 0),
        (result("q", LOST), result("q", FAIL), "NEW_FAILURE", 1),
        (result("q", SKIP), result("q", PASS), "NEW", 0),
        (result("q", SKIP), result("q", FAIL), "NEW_FAILURE", 1),
        (result("q", SKIP), result("q", LOST), "NO_ANSWER", 2),
        (result("q", SKIP), result("q", KNOWN, NEW), None, 0),
        (result("q", FAIL), result("q", KNOWN, NEW), "GONE", 0),
        (result("q", PASS), result("q", SKIP), "GONE", 0),
    ],
)
def test_whose_doing_a_change_is(
    before: Result, after: Result, said: str | None, status: int, tmp_path: Path
) -> None:
    found = compared(tmp_path, [before], [after])
    assert [change.difference.name for change in found.changes] == ([said] if said else [])
    assert found.same == (0 if said else 1)
    assert found.exit_status == status


def test_what_only_one_run_has_asked_is_new_or_gone(tmp_path: Path) -> None:
    before = [result("both"), result("old"), result("never", SKIP)]
    after = [result("both"), result("good"), result("bad", FAIL), result("nor", SKIP)]
    found = compared(tmp_path, before, after)
    assert {(change.difference.name, change.step) for change in found.changes} == {
        ("NEW_FAILURE", "not asked -> fail"),
        ("NEW", "not asked -> pass"),
        ("GONE", "pass -> not asked"),
    }


def test_slower_is_what_is_slower_than_the_whole_run(tmp_path: Path) -> None:
    before = [result(f"q{n}") for n in range(9)]
    after = [replace(one, duration_s=0.03) for one in before[:-1]]
    late = replace(before[-1], duration_s=0.5)
    found = compared(tmp_path, before, [*after, late])
    assert [(change.difference.name, change.after) for change in found.changes] == [
        ("SLOWER", late)
    ]
    assert found.pace == pytest.approx(3)
    assert "  test_pointers.py::q8[int80]: pass -> pass, 0.01 s -> 0.50 s on 6.1/i386" in list(
        show_text(found, 10)
    )


def test_one_kernel_each_is_paired_by_its_architecture(tmp_path: Path) -> None:
    mine = replace(NEW, id="bzImage", spec="./bzImage")
    varied = replace(mine, id="bzImage-EPYC", base="bzImage")
    old = replace(OLD, id="6.1/i386-EPYC", base="6.1/i386")
    before = [result("q"), result("v", PASS, old)]
    found = compared(tmp_path, before, [result("q", FAIL, mine), result("v", FAIL, varied)])
    assert [change.difference.name for change in found.changes] == ["WORSE", "WORSE"]


def test_runs_without_a_common_kernel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"common: 6\.1/i386 before, 7\.2/x86_64"):
        compared(tmp_path, [result("q")], [result("q", PASS, WIDE)])


def test_what_calls_for_action_comes_first(tmp_path: Path) -> None:
    before = [result("a"), result("b"), result("c"), result("d", PASS, WIDE), result("e", FAIL)]
    after = [
        result("e", PASS, NEW),
        result("d", FAIL, WIDE),
        result("c", LOST, NEW),
        result("b", FAIL, NEW),
        result("a", FAIL, NEW),
    ]
    found = compared(tmp_path, before, after)
    assert summary(found) == "2 worse, 1 lost, 1 flaky, 1 better; 0 as before"
    lines = list(show_text(found, 1))
    heads = [line.partition(":")[0] for line in lines if not line.startswith(" ") and ": " in line]
    assert heads[-4:] == ["worse", "lost", "flaky", "better"]
    assert "  ... and 1 more: see --all" in lines


def test_alike_changes_are_one_line(tmp_path: Path) -> None:
    kernels = [replace(OLD, id=f"{n}/i386", spec=f"{n}/i386") for n in range(6)]
    before = [result("q", PASS, one) for one in kernels]
    after = [result("q", FAIL, replace(one, image="n" * 64)) for one in kernels]
    lines = list(show_text(compared(tmp_path, before, after), 10))
    assert (
        "  test_pointers.py::q[int80]: pass -> fail on 0/i386, 1/i386, 2/i386, 3/i386 and 2 more"
        in (lines)
    )


@pytest.mark.parametrize(("kind", "status"), [(PASS, 0), (FAIL, 1), (LOST, 2)])
def test_the_command_ends_with_the_verdict(kind: OutcomeKind, status: int, tmp_path: Path) -> None:
    write(tmp_path / "a", [result("q")])
    write(tmp_path / "b", [result("q", kind, NEW)])
    done = trapgate("compare", "a", "b")
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout.startswith("a (")


def test_the_command_prints_json(tmp_path: Path) -> None:
    write(tmp_path / "a", [result("q")])
    write(tmp_path / "b", [result("q", FAIL, NEW)])
    said = json.loads(trapgate("compare", "--json", "a", "b").stdout)
    (worse,) = said["changes"]["worse"]
    assert (worse["before"], worse["after"]) == ("pass", "fail")
    assert (worse["kernel_before"], worse["kernel_after"]) == ("6.1.1", "6.1.2")
    assert said["changes"]["flake"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "a", "nothing"),
        ("compare", "a", "empty"),
        ("report", "nothing", "--format", "ktap"),
        ("report", "a"),
        ("report", "a", "--format", "pdf"),
        ("report", "a", "--output", "page.txt"),
        ("report", "a", "--output", "no/such/folder/page.html"),
        ("report", "a", "--output", "page.html", "--against", "other"),
    ],
)
def test_bad_input_is_a_sentence_and_status_2(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a", [result("q")])
    write(tmp_path / "empty", [])
    write(tmp_path / "other", [result("q", PASS, WIDE)])
    done = trapgate(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("trapgate: ")
    assert len(done.stderr.splitlines()) <= 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty", "other", "state"]


def test_a_report_is_printed_or_written(tmp_path: Path) -> None:
    write(tmp_path / "a", [result("q")])
    page = tmp_path / "a.html"
    assert trapgate("report", "a", "--output", str(page)).returncode == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert trapgate("report", "a", "--format", "ktap").stdout.startswith("KTAP version 1\n1..1\n")
