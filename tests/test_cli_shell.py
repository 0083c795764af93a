# SPDX-License-Identifier: Apache-2.0
"""`trapgate shell` as somebody types into it, and as a script feeds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from live import CHECKOUT, I386, PROGRAM, X86_64, emulators_of, eventually, is_there

FAST = ("--accel", "tcg")
PANIC = ('fd = open "/proc/sysrq-trigger" 1', 'write $fd raw:"c" 1')
READY = r">[^\r\n]*\x1b\[\?25h"
"""What ends a prompt, and the sequence that shows the cursor again when it is drawn."""
COMPLETED = r"getpp(?:\x1b\[[\d;?]*[a-z])*id"
GONE = "the guest is gone: restart starts another"


class Typist:
    """Somebody at a terminal."""

    def __init__(self, state: Path, spec: str) -> None:
        environment = os.environ | {
            "TRAPGATE_STATE": str(state),
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "PYTHONPATH": str(CHECKOUT),
            "TERM": "xterm",
        }
        arguments = ["-c", PROGRAM, "shell", *FAST, "--kernel", spec]
        self.seen: Any = pexpect.spawn(
            sys.executable, arguments, env=environment, encoding="utf-8", timeout=30
        )
        self.modes = termios.tcgetattr(self.seen.child_fd)
        self.prompt = ("syscall" if spec == X86_64 else "int80") + READY
        self.seen.expect(self.prompt)
        self.emulators = emulators_of(self.seen.pid)

    def type(self, line: str, expected: str) -> None:
        """Type a line, and wait for what has to be said to it and for the next prompt."""
        self.seen.sendline(line)
        self.seen.expect(expected)
        self.seen.expect(self.prompt)

    def check_end(self, status: int) -> None:
        """See that it ends so, with the terminal as it was and no QEMU left."""
        self.seen.expect(pexpect.EOF)
        assert termios.tcgetattr(self.seen.child_fd) == self.modes
        self.seen.wait()
        assert (self.seen.exitstatus, self.seen.signalstatus) == (status, None)
        assert self.emulators
        assert eventually(lambda: not any(map(is_there, self.emulators)))


@pytest.fixture
def typist(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Typist]:
    somebody = Typist(tmp_path, getattr(request, "param", X86_64))
    yield somebody
    somebody.seen.close(force=True)


def run(*lines: str, spec: str = X86_64) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, "shell", *FAST, "--kernel", spec]
    text = "".join(f"{line}\n" for line in lines)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("typist", [I386, X86_64], indirect=True)
def test_questions_are_answered_one_after_the_other(typist: Typist) -> None:
    typist.type('fd = open "/proc/version" 0', r"\d+ \(0x")
    typist.type("read $fd buf:16 5", r"Linux")
    typist.type("int80 close -1", "EBADF")
    typist.type("peek @edge 4", "4 bytes:")
    typist.type("cat /proc/version", r"Linux version \d")
    typist.type("ls /proc", "cmdline")
    typist.seen.sendeof()
    typist.check_end(0)


def test_an_error_is_one_line_and_the_next_question_is_answered(typist: Typist) -> None:
    typist.type("getpit", r"expected a call or a statement, got 'getpit'; [^\n]*getp\w+\?\r\n")
    typist.type("read $nothing 1 1", "nothing is called 'nothing' yet")
    typist.type('open "', "a quote that does not end")
    typist.type("entry sysenter6", "unknown entry path 'sysenter6'; [^\n]*sysenter")
    typist.type("hex", "expected hex PLACE SIZE, got 0 words behind it")
    typist.type("cat /nowhere", "cannot read /nowhere: No such file")
    typist.type("getpid", r"\d+ \(0x")
    typist.type("quit now", "expected quit, got 1 words")
    typist.seen.sendline("quit")
    typist.check_end(0)


def test_words_are_completed_and_lines_remembered(typist: Typist) -> None:
    typist.seen.send("getpp\t")
    typist.seen.expect(COMPLETED)
    typist.type("", r"\d+ \(0x")
    typist.seen.send("\x1b[A")
    typist.seen.expect("getppid")
    typist.type("", r"\d+ \(0x")
    typist.seen.sendeof()
    typist.check_end(0)


def test_control_c_begins_a_line_anew(typist: Typist) -> None:
    typist.seen.send("getp")
    typist.seen.sendintr()
    typist.type("getpid", r"\d+ \(0x")
    typist.seen.sendeof()
    typist.check_end(0)


def test_a_kernel_that_panicked_is_followed_by_another_on_request(typist: Typist) -> None:
    typist.type(PANIC[0], "0x")
    typist.type(PANIC[1], f"panic: the kernel panicked: [^\n]*sysrq[^\n]*; {GONE}")
    typist.type("why", "Kernel panic - not syncing")
    typist.type("getpid", "lost: the guest is gone; restart starts another")
    typist.type("restart", "another guest of the same kernel")
    typist.type("close $fd", "nothing is called 'fd' yet")
    typist.type("getpid", r"\d+ \(0x")
    typist.seen.sendeof()
    typist.check_end(0)


def test_a_killed_emulator_is_a_guest_that_is_lost(typist: Typist) -> None:
    for emulator in typist.emulators:
        os.kill(emulator, signal.SIGKILL)
    typist.type("getpid", f"lost: qemu was killed by signal 9; {GONE}")
    typist.seen.sendeof()
    typist.check_end(0)


def test_a_call_that_does_not_return_can_be_interrupted(typist: Typist) -> None:
    typist.seen.sendline("pause")
    typist.seen.expect("\n")
    typist.seen.expect(pexpect.TIMEOUT, timeout=1)
    typist.seen.sendintr()
    typist.seen.expect("interrupted; the guest was given up")
    typist.seen.expect(typist.prompt)
    typist.type("restart", "another guest")
    typist.type("getpid", r"\d+ \(0x")
    typist.seen.sendeof()
    typist.check_end(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_is_restored_when_the_shell_is_ended(number: int, typist: Typist) -> None:
    assert termios.tcgetattr(typist.seen.child_fd) != typist.modes, "the prompt changes them"
    os.kill(typist.seen.pid, number)
    typist.check_end(128 + number)


def test_files_travel_both_ways(typist: Typist, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(bytes(range(256)))
    typist.type(f"put {tmp_path}/here /tmp/there", "256 bytes")
    typist.type(f"get /tmp/there {tmp_path}/again", "256 bytes")
    typist.type(f"get /tmp/nothing {tmp_path}/again", "cannot read /tmp/nothing")
    typist.type(f"put {tmp_path}/none /x", "cannot read [^\n]*none: No such file")
    assert (tmp_path / "again").read_bytes() == bytes(range(256))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "here", "shell-history"]


def test_what_was_asked_is_saved_as_a_script(tmp_path: Path) -> None:
    saved = tmp_path / "saved.trap"
    said = run('fd = open "/proc/version" 0', "close $fd -> 0", f"save {saved}")
    assert said.returncode == 0, said.stderr
    text = saved.read_text()
    assert text == (
        f'kernel {X86_64}\naccel tcg\n\nfd = syscall open "/proc/version" 0\n'
        "syscall close $fd -> 0\n"
    )


def test_a_script_ends_at_the_first_line_that_is_wrong() -> None:
    said = run("getpid", "", "  # nothing", "nonsense", "getpid")
    assert said.returncode == 2
    assert said.stdout.count("(0x") == 1
    assert said.stderr.startswith("trapgate: standard input:4: expected a call or a statement")


@pytest.mark.parametrize("command", [("shell",), ("exec", "/no/such/program")], ids=" ".join)
def test_an_input_that_was_closed_is_an_empty_one(command: tuple[str, ...]) -> None:
    line = ["sh", "-c", '"$@" <&-', "sh", sys.executable, "-c", PROGRAM, *command]
    said = subprocess.run(line, capture_output=True, text=True, check=False)
    assert "Traceback" not in said.stderr
    assert said.returncode == (0 if command == ("shell",) else 2)


def test_a_script_tells_by_its_status_what_came_of_it() -> None:
    assert run("close -1 -> EBADF").returncode == 0
    wrong = run("close -1 -> 0", "getpid")
    assert (wrong.returncode, wrong.stdout.count("(0x")) == (1, 1)
    assert "not what was expected" in wrong.stdout
    panicked = run(*PANIC)
    assert panicked.returncode == 1
    assert "standard input:2: the kernel panicked" in panicked.stderr
