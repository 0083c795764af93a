# SPDX-License-Identifier: Apache-2.0
"""A matrix as data: who is asked, how a file says so, how far a run is, how that is shown."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import DeclarationError, OutcomeKind
from harness.kernels.catalogue import all_entries
from harness.matrix.choice import Matrix
from harness.matrix.file import read_matrix
from harness.matrix.github import append_summary, show_annotations
from harness.matrix.groups import ELSEWHERE, Groups
from harness.matrix.lines import Lines
from harness.matrix.live import make_table
from harness.matrix.progress import Progress, show_time
from harness.record import Configuration, Evidence, Result

PAIR = ("6.1/i386", "6.1/x86_64")


def result(kernel: str, kind: OutcomeKind, name: str = "test_a", message: str = "") -> Result:
    test = f"scenarios/test_x.py::{name}[{kernel}-int80]"
    asked = Configuration(kernel, kernel, kernel.partition("/")[2])
    return Result(test, asked, kind, evidence=Evidence(message=message))


def test_the_usual_matrix_is_every_series_and_abi() -> None:
    asked = Matrix().checked().kernels
    known = {(entry.series, entry.arch) for entry in all_entries()}
    assert {(e.series, e.arch) for e in all_entries() if e.spec in asked} == known
    assert not any(spec.endswith(("-rt", "-cloud")) for spec in asked)


def test_each_kernel_is_asked_on_each_processor() -> None:
    wanted = Matrix(kernels=("6.1/*86*4", "6.1/i386"), cpus=("EPYC,qemu32-nosep",)).checked()
    assert [part.name for part in wanted.configurations()] == [
        *("6.1/x86_64-EPYC", "6.1/x86_64-qemu32,-sep"),
        *("6.1/i386-EPYC", "6.1/i386-qemu32,-sep"),
    ]
    assert {"6.1/i386", "6.1/i386-EPYC"} <= set(wanted.names())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Matrix(kernels=("6.1/i368",)), "no kernel is called '6.1/i368'"),
        (Matrix(kernels=("4.*",)), "no kernel of the catalogue is like"),
        (Matrix(scenarios=("no/such/place",)), "scenarios no/such/place are not there"),
        (Matrix(workers="many"), "expected a number or auto, got 'many'"),
        (Matrix(cpus=("-sep",)), "expected a model before '-sep'"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_starts(wrong: Matrix, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        wrong.checked()


def test_a_file_says_what_options_say(tmp_path: Path) -> None:
    path = tmp_path / "matrix.toml"
    path.write_text(
        'kernels = ["5.*/i386*"]\ncpus = ["Nehalem,EPYC"]\nselect = "pointers"\nmemory = 192\n'
        'workers = 2\nboot = true\nscenarios = ["mine"]\nrun-dir = "runs/today"\n'
    )
    said = read_matrix(path)
    assert Matrix(**said.choice) == Matrix(
        kernels=("5.*/i386*",),
        cpus=("Nehalem,EPYC",),
        select="pointers",
        memory=192,
        workers="2",
        boot=True,
        scenarios=(str(tmp_path / "mine"),),
    )
    assert said.run_dir == str(tmp_path / "runs/today")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kernel = []", "unknown key 'kernel'\ndid you mean kernels?"),
        ("zzz = 1", "unknown key 'zzz'"),
        ("kernels = '6.1/i386'", "kernels is a list of strings, got '6.1/i386'"),
        ("memory = true", "memory is a number, got True"),
        ("boot = 1", "boot is true or false, got 1"),
        ("cpus = [1]", r"cpus is a list of strings, got \[1\]"),
        ("kernels = [", "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "matrix.toml"
    path.write_text(text)
    with pytest.raises(DeclarationError, match=said):
        read_matrix(path)


def test_a_test_belongs_to_the_configuration_that_its_name_begins_with() -> None:
    groups = Groups(["6.1/x86_64", "6.1/x86_64-cloud", "6.1/x86_64-cloud-EPYC"])
    assert groups.of("a.py::t[6.1/x86_64-cloud-int80]") == "6.1/x86_64-cloud"
    assert groups.of("a.py::t[6.1/x86_64-cloud-EPYC-int80]") == "6.1/x86_64-cloud-EPYC"
    assert groups.of("a.py::t[6.1/x86_64-vsyscall=none-int80]") == "6.1/x86_64"
    assert groups.of("a.py::t[6.1/x86_64]") == "6.1/x86_64"
    assert groups.of("a.py::t[6.1/x86_64_v2]") == groups.of("a.py::t") == ELSEWHERE


def test_lines_say_failures_and_what_is_done() -> None:
    said = io.StringIO()
    lines = Lines(Progress(list(PAIR)), said)
    lines.plan({"6.1/i386": 2, "6.1/x86_64": 1})
    lines.plan({"6.1/i386": 2, "6.1/x86_64": 1})
    lines.note(result("6.1/i386", OutcomeKind.PASS))
    lines.note(result("6.1/i386", OutcomeKind.PANIC, message="it panicked\nand more"))
    lines.note(result("6.1/x86_64", OutcomeKind.LOST))
    assert said.getvalue().splitlines() == [
        "3 tests of 2 configurations",
        "PANIC scenarios/test_x.py::test_a[6.1/i386-int80]: it panicked",
        "6.1/i386: 1 pass, 1 panic",
        "LOST scenarios/test_x.py::test_a[6.1/x86_64-int80]",
        "6.1/x86_64: 1 lost",
    ]


def test_one_thing_is_not_called_many() -> None:
    said = io.StringIO()
    Lines(Progress(list(PAIR)), said).plan({"6.1/i386": 1})
    assert said.getvalue() == "1 test of 1 configuration\n"


def test_the_table_has_a_row_a_configuration_and_leaves_out_what_is_done() -> None:
    progress = Progress(list(PAIR))
    progress.plan({"6.1/i386": 1, "6.1/x86_64": 7})
    progress.note(result("6.1/i386", OutcomeKind.PASS))
    progress.note(result("6.1/x86_64", OutcomeKind.FAIL))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(make_table(progress, 24))
    rows = [line.split() for line in console.export_text().splitlines()]
    assert ["6.1/i386", "1", "0", "0", "0"] in rows
    assert ["6.1/x86_64", "1", "1", "0", "6"] in rows
    assert ["all", "2", "1", "0", "6"] in rows
    assert make_table(progress, 7).row_count == 2


def test_the_time_left_is_shown_when_it_can_be_told() -> None:
    progress = Progress(list(PAIR))
    progress.plan({"6.1/i386": 2})
    assert show_time(progress.left_s) == "?"
    progress.note(result("6.1/i386", OutcomeKind.PASS))
    assert progress.left_s is not None
    assert show_time(61.9) == "1:01"


def test_github_gets_an_error_for_each_question_and_a_warning_for_no_answer() -> None:
    found = [
        result("6.1/i386", OutcomeKind.FAIL, message="100% wrong\nsecond line"),
        result("6.1/x86_64", OutcomeKind.FAIL),
        result("6.1/x86_64", OutcomeKind.LOST, name="test_b"),
        result("6.1/x86_64", OutcomeKind.SKIP, name="test_c"),
    ]
    assert list(show_annotations(found)) == [
        (
            "::error file=scenarios/test_x.py,title=test_a"
            "::fail on 6.1/i386, 6.1/x86_64: 100%25 wrong%0Asecond line"
        ),
        "::warning file=scenarios/test_x.py,title=test_b::lost on 6.1/x86_64: ",
    ]


def test_github_gets_a_summary_below_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summary.md"
    path.write_text("# before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    progress = Progress(list(PAIR))
    found = [result("6.1/i386", OutcomeKind.FAIL, message="`x`"), result("6.1/i386", KNOWN)]
    for one in found:
        progress.note(one)
    append_summary(progress.rows, found)
    lines = path.read_text().splitlines()
    assert lines[0] == "# before"
    assert "| 6.1/i386 | 0 | 1 | 0 | 1 | 0 |" in lines
    assert lines[-1] == "- **fail** `scenarios/test_x.py::test_a[6.1/i386-int80]` `'x'`"


KNOWN = OutcomeKind.KNOWN
