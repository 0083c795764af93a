# SPDX-License-Identifier: Apache-2.0
"""What a session leaves its user with: commands that reproduce failures, and what was asked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from live import I386, X86_64, trapgate
from test_plugin import Session, session

from harness.errors import OutcomeKind
from harness.plugin.coverage import Question, letters, show_table

pytestmark = pytest.mark.xdist_group("plugin")

FAILING = """
    import pytest

    from harness.agent.arguments import Buffer
    from harness.entry import INT80

    def test_one_call(guest):
        assert guest.call(SYSCALL, "open", b"/no/such file\\0", -1, flags=0x602).value == 0

    def test_several_calls(guest):
        guest.write_file("/letters", b"abc")
        fd = guest.call(SYSCALL, "open", b"/letters\\0", 0).value
        assert guest.call(SYSCALL, "read", fd, Buffer(4), 4).value == 4

    def test_a_probe(guest):
        assert guest.probe(INT80.abi, "vdso_gettimeofday")["found"] == 2

    def test_a_panic(guest):
        guest.write_file("/proc/sysrq-trigger", b"c")

    def test_nothing(guest):
        assert False

    @pytest.mark.claim(2)
    def test_right(guest):
        assert guest.call(SYSCALL, "getppid").value == 1

    @pytest.mark.needs(since="99.0")
    @pytest.mark.entries("int80", "syscall")
    def test_never(guest, entry):
        pass
"""


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("failing")
    options = ("--reproduce-dir", "scripts", "--coverage-table", "--junitxml", "junit.xml")
    return session(folder, FAILING, "--kernel", X86_64, "-n", "2", *options)


def command_of(name: str, done: Session) -> str:
    return done.properties_of(name)["reproduce"]


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("test_one_call", 0, "-2 ENOENT (No such file or directory)"),
        ("test_several_calls", 0, "\nsyscall read $fd buf:4 4\n  3 (0x3)\n"),
        ("test_a_probe", 0, "\n  found: 1 (0x1)\n"),
        ("test_a_panic", 1, "Kernel panic - not syncing: sysrq triggered crash"),
    ],
)
def test_a_failure_is_reproduced_by_its_command(
    name: str, status: int, said: str, failing: Session
) -> None:
    command = command_of(name, failing)
    assert f"- reproduce -\n{command}\n" in re.sub(
        "-+ reproduce -+", "- reproduce -", failing.output
    )
    done = trapgate(*shlex.split(command)[1:])
    assert done.returncode == status, done.stderr
    assert said in f"\n{done.stdout}\n{done.stderr}"


def test_one_call_needs_no_file(failing: Session) -> None:
    assert command_of("test_one_call", failing) == (
        f"trapgate call --kernel {X86_64} --accel tcg --entry syscall --register flags=0x602 "
        "open 'str:/no/such file' -1"
    )


def test_several_calls_are_a_script_that_people_read(failing: Session) -> None:
    path = Path(shlex.split(command_of("test_several_calls", failing))[-1])
    assert path.parent == failing.folder / "scripts"
    comment, *lines = path.read_text().splitlines()
    assert f"test_several_calls[{X86_64}]" in comment
    assert lines == [
        f"kernel {X86_64}",
        "accel tcg",
        "",
        'file "/letters" raw:"abc"',
        'fd = syscall open "/letters" 0  # 3',
        "syscall read $fd buf:4 4  # 3",
    ]


@pytest.mark.parametrize("name", ["test_nothing", "test_right", "test_never"])
def test_without_a_failure_or_a_question_there_is_no_command(name: str, failing: Session) -> None:
    assert "reproduce" not in failing.properties_of(name)


def test_reports_say_what_was_asked(failing: Session) -> None:
    assert failing.properties_of("test_right")["claim"] == "2"
    assert failing.properties_of("test_right")["machine"] == X86_64
    assert failing.properties_of("test_never")["entry"] in ("int80", "syscall")


def test_the_table_shows_what_was_asked_and_what_never(failing: Session) -> None:
    table = failing.output.partition(" coverage ")[2].splitlines()
    rows = {line.split()[0]: line for line in table if line.startswith("  test_")}
    head = next(line for line in table if X86_64 in line)
    at = head.index(X86_64)
    symbols = {name: line[at : at + 3] for name, line in rows.items()}
    assert symbols["test_right"] == "."
    assert symbols["test_a_panic"] == "P"
    assert symbols["test_one_call"] == "F"
    assert symbols["test_never"] == " ss"
    assert "skipped everywhere: test_it.py::test_never: came with 99.0" in table
    assert "skipped everywhere: test_it.py::test_right" not in failing.output


def question(name: str, **machines: OutcomeKind) -> Question:
    cells = {(machine, ""): {kind} for machine, kind in machines.items()}
    return Question("test_a.py", name, cells)


def test_a_table_is_as_wide_as_it_may_be() -> None:
    asked = [question("test_x", a=OutcomeKind.PASS, b=OutcomeKind.KNOWN), question("test_y")]
    together = list(show_table(asked, 80))
    head = ["          a  b", "          -  -"]
    assert together[3:] == [*head, "test_a.py", "  test_x  .  x", "  test_y"]
    assert sum(line == "test_a.py" for line in show_table(asked, 14)) == 2


def test_entry_paths_have_letters_of_their_own() -> None:
    said = letters(["int80", "sysenter", "syscall32", "syscall", "int80_64"])
    assert len(set(said.values())) == len(said) == 6


@pytest.mark.parametrize("spec", [I386])
def test_a_script_that_cannot_be_written_is_said(spec: str, tmp_path: Path) -> None:
    (tmp_path / "scripts").write_text("a file where a folder should be")
    scenarios = """
        from harness.entry import INT80

        def test_it(guest):
            guest.renew()
            assert guest.call(INT80, "getppid").value == 2
    """
    done = session(tmp_path, scenarios, "--kernel", spec, "--reproduce-dir", "scripts")
    assert done.status == 1
    assert "not written: " in done.output
    assert "1 failed" in done.output
