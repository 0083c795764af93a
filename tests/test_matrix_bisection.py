# SPDX-License-Identifier: Apache-2.0
"""Since when an answer is another one: the search, the verdicts, and git's own bisection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from live import CHECKOUT, PROGRAM, trapgate

from harness.errors import DeclarationError, HostError, OutcomeKind
from harness.matrix.bisection import find_change, row_between
from harness.matrix.building import usual_build
from harness.matrix.verdict import Judgement, Verdict, judge
from harness.record import Configuration, Result

NO_MSEAL = """
from errno import ENOSYS
import pytest
from harness.entry import SYSCALL

def test_there_is_no_mseal(guest):
    assert guest.call(SYSCALL, 462).errno == ENOSYS

def test_nobody_is_asked(guest):
    pytest.skip("not today")

def test_with_an_error(guest):
    assert guest.call(SYSCALL, 462).value == nothing_of_that_name

def test_said_to_fail(guest):
    pytest.fail("it does")
"""
MAKEFILE = """
olddefconfig: ;
bzImage:
\ttest ! -e broken
\tmkdir -p arch/x86/boot
\tcp $$(cat which) arch/x86/boot/bzImage
"""


def answers(good: str, unknown: str = "") -> dict[str, Judgement]:
    known = dict.fromkeys(good, Verdict.GOOD) | dict.fromkeys(unknown, Verdict.UNKNOWN)
    return {name: Judgement(known.get(name, Verdict.BAD), "because") for name in "abcdefghi"}


@pytest.mark.parametrize("last", range(1, 9))
def test_the_change_is_found_with_few_questions(last: int) -> None:
    row, asked = "abcdefghi", list[str]()
    said = answers(row[:last])
    change = find_change(row, lambda name: (asked.append(name), said[name])[1])
    assert (change.last_good, change.first_bad) == (row[last - 1], row[last])
    assert len(asked) <= 2 + 3
    assert len(set(asked)) == len(asked)


def test_what_cannot_tell_is_gone_around_and_named() -> None:
    change = find_change("abcdefghi", answers("abcd", "ef").__getitem__)
    assert (change.last_good, change.first_bad, change.unknown) == ("d", "g", ("e", "f"))
    assert str(change).endswith("not known: e, f")


@pytest.mark.parametrize(
    ("good", "unknown", "kind", "said"),
    [
        ("", "", DeclarationError, "a was said to be good, and is bad: because"),
        ("abcdefghi", "", DeclarationError, "i was said to be bad, and is good: because"),
        ("", "a", HostError, "a cannot tell: because"),
    ],
)
def test_the_ends_are_asked_first(
    good: str, unknown: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        find_change("abcdefghi", answers(good, unknown).__getitem__)


def test_the_row_is_the_catalogues_of_one_build_in_either_direction() -> None:
    row = row_between("5.10/i386-pae", "6.5/i386-pae")
    assert row == ["5.10/i386-pae", "6.1/i386-pae", "6.5/i386-pae"]
    assert row_between("6.5/i386-pae", "5.10/i386-pae") == row[::-1]


@pytest.mark.parametrize("bad", ["6.1/i386", "5.10/x86_64"])
def test_two_kernels_of_one_build_are_expected(bad: str) -> None:
    with pytest.raises(DeclarationError, match=f"of one build, got 5.10/x86_64 and {bad}"):
        row_between("5.10/x86_64", bad)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("PASS SKIP KNOWN", Verdict.GOOD),
        ("PASS FAIL LOST", Verdict.BAD),
        ("PANIC", Verdict.BAD),
        ("SPLAT", Verdict.BAD),
        ("TIMEOUT", Verdict.BAD),
        ("PASS LOST", Verdict.UNKNOWN),
        ("PASS INFRASTRUCTURE", Verdict.UNKNOWN),
        ("SKIP", Verdict.UNKNOWN),
        ("KNOWN", Verdict.UNKNOWN),
        ("", Verdict.UNKNOWN),
    ],
)
def test_results_make_a_verdict(words: str, verdict: Verdict) -> None:
    asked = Configuration("6.1/i386", "6.1/i386", "i386")
    results = [Result("t", asked, OutcomeKind[word]) for word in words.split()]
    assert judge(results).verdict is verdict


@pytest.fixture
def question(tmp_path: Path) -> str:
    path = tmp_path / "test_question.py"
    path.write_text(NO_MSEAL)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--kernel", "6.1/x86_64", "-k", "mseal"), 0, "good: 1 pass"),
        (("--kernel", "6.12/x86_64", "-k", "mseal"), 1, "bad: 1 fail; "),
        (("--kernel", "6.1/x86_64", "-k", "nobody"), 125, "cannot tell: 1 skip"),
        (("--kernel", "6.1/x86_64", "-k", "error"), 125, "1 fail; a NameError in the scenario "),
        (("--kernel", "6.12/x86_64", "-k", "error or mseal"), 1, "bad: 2 fail; "),
        (("--kernel", "6.1/x86_64", "-k", "said_to"), 1, "bad: 1 fail; "),
        (("--kernel", "6.1/x86_64", "-k", "nonesuch"), 125, "cannot tell: no test is like"),
        (("--kernel", "6.1/x86_64", "-k", "mseal and"), 125, "cannot tell: 6.1/x86_64 could not"),
        (("--kernel", "6.1/none", "-k", "mseal"), 125, "cannot tell: no kernel is called"),
        (("--kernel", "6.1/x86_64"), 125, "Missing option '-k'"),
        (("-k", "mseal", "--build", "false"), 125, "cannot tell: 'false' failed in .: status 1"),
        (("-k", "mseal", "--build", "no-such-program"), 125, "cannot tell: cannot run 'no-such"),
    ],
)
def test_a_step_ends_as_git_expects(
    arguments: tuple[str, ...], status: int, said: str, question: str
) -> None:
    done = trapgate("bisect-step", "--scenarios", question, *arguments)
    assert done.returncode == status, done.stderr
    assert said in done.stdout + done.stderr


def test_packaged_kernels_are_bisected(question: str) -> None:
    ends = ("--good", "5.10/x86_64", "--bad", "7.3-rc/x86_64")
    done = trapgate("bisect", *ends, "-k", "mseal", "--scenarios", question)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "6.12/x86_64 is the first bad one, 6.1/x86_64 the last good one (4 of 5 kernels asked)"
    )


def test_an_end_that_is_not_what_was_said_ends_it(question: str) -> None:
    ends = ("--good", "6.12/x86_64", "--bad", "5.10/x86_64")
    done = trapgate("bisect", *ends, "-k", "mseal", "--scenarios", question)
    assert done.returncode == 2
    assert "trapgate: 6.12/x86_64 was said to be good, and is bad: 1 fail" in done.stderr


def test_only_a_source_tree_is_built(tmp_path: Path) -> None:
    assert usual_build(str(tmp_path)) == usual_build("6.1/i386") == ""
    (tmp_path / "Makefile").touch()
    (tmp_path / "Kbuild").touch()
    assert usual_build(str(tmp_path)).endswith("olddefconfig bzImage")
    built = tmp_path / "built"
    built.mkdir()
    (built / "Makefile").touch()
    assert not usual_build(str(built))
    (built / "source").symlink_to(tmp_path)
    assert usual_build(str(built)).endswith("olddefconfig bzImage")


def git(tree: Path, *arguments: str) -> str:
    who = [part for name in ("name", "email") for part in ("-c", f"user.{name}=x")]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout


def test_git_bisects_a_tree_that_is_built_at_each_step(tmp_path: Path, question: str) -> None:
    tree = tmp_path / "linux"
    tree.mkdir()
    git(tree, "init", "-q")
    (tree / "Makefile").write_text(MAKEFILE)
    (tree / "Kbuild").touch()
    (tree / ".gitignore").write_text("arch/\n")
    for name, kernel in (("one", "6.1"), ("two", "6.1"), ("three", ""), ("four", "6.12")):
        image = trapgate("kernels", "path", f"{kernel or '6.12'}/x86_64").stdout.strip()
        (tree / "which").write_text(f"{image}\n")
        (tree / "broken").unlink(missing_ok=True) if kernel else (tree / "broken").touch()
        (tree / "log").write_text(name)
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "-m", name)
    git(tree, "bisect", "start", "HEAD", "HEAD~3")
    step = [sys.executable, "-c", PROGRAM, "bisect-step", "--kernel", ".", "-k", "mseal"]
    done = subprocess.run(
        ["git", "bisect", "run", *step, "--scenarios", question],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot tell: 'make" in done.stdout
    assert "good: 1 pass" in done.stdout
    assert git(tree, "log", "-1", "--format=%s", "refs/bisect/bad").strip() == "four"
    assert "only 'skip'ped commits left" in done.stdout + done.stderr
