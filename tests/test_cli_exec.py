# SPDX-License-Identifier: Apache-2.0
"""`trapgate exec` as a user runs it, with programs that a user might have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from live import I386, X86_64, trapgate

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

    call(NR_WRITE, 1, (long)"\\377\\0out\\n", 6);
    call(NR_WRITE, 2, (long)"err\\n", 4);
    for (char **at = stack + 1; *at; at++)
        say(*at);
    for (; *environment; environment++)
        say(*environment);
    END;
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


def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    program = "from harness.cli import main; main()"
    command = [sys.executable, "-c", program, "exec", *FAST, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)


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
