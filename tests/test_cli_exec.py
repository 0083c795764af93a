# SPDX-License-Identifier: Apache-2.0
"""`trapgate exec` as a user runs it, with programs that a user might have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pexpect
import pytest
from live import I386, PROGRAM, X86_64, emulators_of, eventually, is_there, trapgate

from harness.arch import ABIS, ARCH_X86_64
from harness.build.user import check_fits, read_program_abi
from harness.errors import DeclarationError
from harness.tools import require_tool

FAST = ("--accel", "tcg")
SOURCE = """
static long call(long nr, long a, long b, long c)
{
    long said;
#ifdef __x86_64__
    __asm__ volatile("syscall" : "=a"(said) : "a"(nr), "D"(a), "S"(b), "d"(c) :
                     "rcx", "r11", "memory");
#else
    __asm__ volatile("int $0x80" : "=a"(said) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
#endif
    return said;
}

static void say(const char *text)
{
    long n = 0;

    while (text[n])
        n++;
    call(NR_WRITE, 1, (long)text, n);
}

__attribute__((used)) void begin(char **stack)
{
    char **environment = stack + 2 + (long)stack[0];

#ifdef SILENT
    {
        END;
    }
#else
    call(NR_WRITE, 1, (long)"\\377\\0out\\n", 6);
    call(NR_WRITE, 2, (long)"err\\n", 4);
    for (char **at = stack + 1; *at; at++)
        say(*at);
    for (; *environment; environment++)
        say(*environment);
    END;
#endif
}
"""
START = """
	.globl	_start
_start:
	mov	%{0}sp, %{0}{1}
	{2}
	call	begin
	.section .note.GNU-stack, "", @progbits
"""
NUMBERS = {"x86_64": (1, 60, 57, 34, 39, 62), "i386": (4, 1, 2, 29, 20, 37)}


def build(folder: Path, end: str, abi: str = "x86_64", *flags: str) -> Path:
    """Compile a program that says something and then does `end`."""
    (folder / "p.c").write_text(SOURCE)
    push = "push %eax" if abi == "i386" else ""
    start = START.format(*(("e", "ax") if abi == "i386" else ("r", "di")), push)
    (folder / "s.S").write_text(start)
    names = ("WRITE", "EXIT", "FORK", "PAUSE", "GETPID", "KILL")
    numbers = [f"-DNR_{n}={v}" for n, v in zip(names, NUMBERS[abi], strict=True)]
    mode = ABIS[abi].compiler_flag
    command = [require_tool("cc"), mode, "-static", "-nostdlib", "-ffreestanding", "-fno-pie"]
    command += ["-fno-stack-protector", "-no-pie", f"-DEND={end}", *numbers, *flags]
    subprocess.run([*command, "-o", folder / "mine", folder / "p.c", folder / "s.S"], check=True)
    return folder / "mine"


def run(*arguments: object, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", PROGRAM, "exec", *FAST, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, input=content)


@pytest.mark.parametrize(("spec", "abi"), [(I386, "i386"), (X86_64, "i386"), (X86_64, "x86_64")])
def test_output_and_status_are_the_programs(spec: str, abi: str, tmp_path: Path) -> None:
    program = build(tmp_path, "call(NR_EXIT, 7, 0, 0)", abi)
    said = run("--kernel", spec, "--env", "A=B", "--", program, "-x", "y z")
    assert said.stdout == b"\xff\0out\n/bin/mine-xy zA=B"
    assert (said.stderr, said.returncode) == (b"err\n", 7)


def test_a_signal_is_128_and_its_number(tmp_path: Path) -> None:
    said = run(build(tmp_path, "*(volatile int *)0 = 0"))
    assert (said.returncode, said.stderr) == (128 + 11, b"err\n")


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    said = run("--timeout", "1", build(tmp_path, "call(NR_PAUSE, 0, 0, 0)"))
    assert said.returncode == 124
    assert said.stdout.startswith(b"\xff\0out\n"), "what it has said before is passed on"
    assert said.stderr == b"err\ntrapgate: mine did not end within 1 s: killed\n"


def test_much_output_comes_whole(tmp_path: Path) -> None:
    loop = (
        "for (int i = 0; i < 20000; i++) call(NR_WRITE, 1, (long)SOME, 16); call(NR_EXIT, 0, 0, 0)"
    )
    said = run(build(tmp_path, loop, "x86_64", '-DSOME="0123456789abcde\\n"'))
    assert said.returncode == 0
    assert said.stdout.endswith(b"0123456789abcde\n" * 20000)


def test_a_warning_of_the_kernel_is_a_failure(tmp_path: Path) -> None:
    program = build(
        tmp_path,
        'call(NR_WRITE, call(2, (long)"/dev/kmsg", 1, 0), (long)SAID, 23);call(NR_EXIT, 0, 0, 0)',
        "x86_64",
        '-DSAID="WARNING: CPU: 0 PID: 1\\n"',
    )
    said = run(program)
    assert said.returncode == 1
    assert said.stderr == b"err\ntrapgate: the kernel complained: WARNING: CPU: 0 PID: 1\n"


def test_a_64_bit_program_is_nothing_for_a_32_bit_kernel(tmp_path: Path) -> None:
    program = build(tmp_path, "call(NR_EXIT, 0, 0, 0)")
    said = trapgate("exec", "--kernel", I386, str(program))
    assert said.returncode == 2
    assert said.stderr.startswith(f"trapgate: program {program} is built for x86_64, and an i386")


def test_what_is_no_static_program_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    wrong = {script: "is no ELF file", tmp_path: "Is a directory", tmp_path / "no": "No such file"}
    wrong[Path("/proc/self/exe").resolve()] = "is linked dynamically"
    for path, said in wrong.items():
        with pytest.raises(DeclarationError, match=said):
            read_program_abi(path)


def test_a_program_has_to_fit_the_memory(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(DeclarationError, match="100 MiB, too many for a guest of 128 MiB"):
        check_fits(large, ABIS["x86_64"], ARCH_X86_64, 128)


def test_an_environment_has_a_form(tmp_path: Path) -> None:
    program = build(tmp_path, "call(NR_EXIT, 0, 0, 0)")
    said = trapgate("exec", "--env", "A", str(program))
    assert (said.returncode, said.stderr) == (
        2,
        "trapgate: environment: expected NAME=VALUE, got 'A'\n",
    )


ECHO = (
    "static char b[70000]; long n;"
    "while ((n = call(NR_READ, 0, (long)b, sizeof(b))) > 0) call(NR_WRITE, 1, (long)b, n);"
    "call(NR_EXIT, 9, 0, 0)"
)


def build_reader(folder: Path, end: str) -> Path:
    """Compile a program that says nothing before it does `end`."""
    return build(folder, end, "x86_64", "-DNR_READ=0", "-DSILENT")


def test_binary_input_arrives_whole_and_ends(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    said = run(build_reader(tmp_path, ECHO), content=content)
    assert said.stdout == content
    assert (said.stderr, said.returncode) == (b"", 9)


@pytest.mark.parametrize("end", ["CALL(NR_READ, 0, (long)b, 4)", ""], ids=["a little", "nothing"])
def test_a_program_need_not_read_all_of_its_input(end: str, tmp_path: Path) -> None:
    code = f"static char b[8]; (void)b; {end.replace('CALL', 'call')}; call(NR_EXIT, 3, 0, 0)"
    assert run(build_reader(tmp_path, code), content=bytes(1 << 20)).returncode == 3


def test_a_program_that_closes_its_input_goes_on(tmp_path: Path) -> None:
    code = "call(3, 0, 0, 0); for (long i = 0; i < 3; i++) call(NR_WRITE, 1, (long)WORD, 4);"
    program = build(
        tmp_path, f"{code} call(NR_EXIT, 4, 0, 0)", "x86_64", "-DSILENT", '-DWORD="abc\\n"'
    )
    said = run(program, content=bytes(1 << 20))
    assert (said.stdout, said.returncode) == (b"abc\n" * 3, 4)


def test_input_arrives_as_it_comes_and_control_c_ends_all(tmp_path: Path) -> None:
    program = build_reader(tmp_path, ECHO)
    session = pexpect.spawn(sys.executable, ["-c", PROGRAM, "exec", *FAST, str(program)])
    before = termios.tcgetattr(session.child_fd)
    session.sendline("one")
    session.expect("one\r\none\r\n", timeout=60)
    session.sendline("two")
    session.expect("two\r\ntwo\r\n", timeout=60)
    emulators = emulators_of(session.pid)
    assert emulators
    session.sendintr()
    session.expect(pexpect.EOF, timeout=30)
    assert termios.tcgetattr(session.child_fd) == before
    assert session.wait() == 130
    assert eventually(lambda: not any(map(is_there, emulators)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_program_that_waits(number: signal.Signals, tmp_path: Path) -> None:
    program = build_reader(tmp_path, ECHO)
    session = pexpect.spawn(sys.executable, ["-c", PROGRAM, "exec", *FAST, str(program)])
    before = termios.tcgetattr(session.child_fd)
    session.sendline("one")
    session.expect("one\r\none\r\n", timeout=60)
    emulators = emulators_of(session.pid)
    assert emulators
    session.kill(number)
    session.expect(pexpect.EOF, timeout=30)
    assert termios.tcgetattr(session.child_fd) == before
    session.wait()
    assert session.signalstatus == number
    assert eventually(lambda: not any(map(is_there, emulators)))


def test_a_flood_of_output_takes_no_memory(tmp_path: Path) -> None:
    code = (
        "static char b[65536]; for (long i = 0; i < SOME; i++) call(NR_WRITE, 1, (long)b, 65536);"
        "call(NR_EXIT, 0, 0, 0)"
    )
    peaks = []
    for number, count in enumerate((16, 1024)):
        folder = tmp_path / str(number)
        folder.mkdir()
        program = build(folder, code, "x86_64", "-DSILENT", f"-DSOME={count}")
        peaks.append(flood(program, count * 65536))
    assert peaks[1] < peaks[0] + (8 << 10)


def flood(program: Path, expected_bytes: int) -> int:
    """Run a program that says so much, and return the most memory that its reader took, in KiB."""
    command = [sys.executable, "-c", PROGRAM, "exec", *FAST, "--timeout", "600", str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as running:
        assert running.stdout
        read_bytes = sum(map(len, iter(lambda: running.stdout.read(1 << 16), b"")))
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    assert (read_bytes, running.returncode) == (expected_bytes, 0)
    return usage.ru_maxrss
