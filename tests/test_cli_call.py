# SPDX-License-Identifier: Apache-2.0
"""`trapgate call` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live import I386, X86_64, trapgate

from harness.agent.arguments import Buffer
from harness.arch import I386 as ABI32
from harness.arch import X86_64 as ABI64
from harness.errors import DeclarationError
from harness.landscape import EDGE, HOLE, READ_ONLY
from harness.script.notation import parse_argument, parse_call

FAST = ("--accel", "tcg")


def test_a_bad_pointer_is_shown_on_a_screen() -> None:
    arguments = ("--kernel", I386, "--entry", "sysenter", "read", "0", "0xdead0000", "16")
    said = trapgate("call", *FAST, *arguments)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.splitlines() == [
        "-14 EFAULT (Bad address)",
        "read(0, 0xdead0000, 16) by sysenter, number 3",
        "eax: 0x00000003 -> 0xfffffff2",
        *said.stdout.splitlines()[3:],
    ]
    assert "kernel: Linux 6.1.0-" in said.stdout
    assert "accelerator: tcg of QEMU" in said.stdout


def test_a_screen_is_never_left() -> None:
    said = trapgate("call", *FAST, "getrandom", "buf:4000", "4000", "0")
    lines = said.stdout.splitlines()
    assert len(lines) == 24
    assert max(map(len, lines)) <= 100
    assert "more lines of memory: see --json" in said.stdout


def test_json_has_everything_and_keys_that_stay() -> None:
    arguments = ("open", "str:/proc/version", "0")
    said = json.loads(trapgate("call", *FAST, "--json", "--kernel", X86_64, *arguments).stdout)
    top = "after before call changed entry errno kernel machine memory number signal value"
    assert sorted(said) == top.split()
    assert (said["value"], said["errno"], said["signal"]) == (3, None, None)
    assert said["after"]["rax"] == "0x3"
    assert said["kernel"]["spec"] == X86_64
    assert said["machine"]["reason"] == "asked for"


def test_memory_and_registers_go_all_the_way() -> None:
    arguments = ("--json", "--register", "esi=@edge+4088", "--entry", "int80", "uname", "buf:390")
    said = json.loads(trapgate("call", *FAST, *arguments).stdout)
    assert bytes.fromhex(said["memory"][0]).startswith(b"Linux\0")
    assert said["before"]["esi"] == hex(EDGE.start + 4088)


def test_a_signal_is_shown_instead_of_a_value() -> None:
    arguments = ("--entry", "sysenter", "--register", "esp=@hole", "getpid")
    said = trapgate("call", *FAST, *arguments)
    assert said.returncode == 0
    first = said.stdout.splitlines()[0]
    assert first.startswith("SIGSEGV at 0x2efffffc: code 1, trap 14 (page fault), error 0x6, ip 0x")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-1",), "-38 ENOSYS"),
        (("close", "-1"), "-9 EBADF"),
        (("0x7fffffff",), "-38 ENOSYS"),
    ],
)
def test_numbers_may_be_negative(arguments: tuple[str, ...], said: str) -> None:
    done = trapgate("call", *FAST, *arguments)
    assert done.stdout.startswith(said), done.stderr


def test_a_path_that_is_not_there_is_status_2_and_the_reason() -> None:
    said = trapgate(
        "call", *FAST, "--kernel", I386, "--cpu", "qemu32,-sep", "--entry", "sysenter", "0"
    )
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr.startswith("trapgate: sysenter cannot be asked on Linux 6.1")
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--entry", "sysentre", "0"), "unknown entry path 'sysentre'\ndid you mean sysenter"),
        (("getpdi",), "unknown system call 'getpdi' on i386\ndid you mean getp"),
        (("read", "@egde"), "unknown region '@egde'\ndid you mean @edge"),
        (("read", "many"), "no argument of a call: 'many'\nexpected a number"),
        (("read", "--json"), "options go before the call's name"),
        (("--register", "exx=1", "0"), "i386 has no register 'exx'\ndid you mean e"),
        (("--register", "eax", "0"), "register eax: expected NAME=NUMBER"),
        (("--kernel", "6.1/i368", "0"), "no kernel is called '6.1/i368'\ndid you mean 6.1/i386"),
        (("--accel", "hvf", "0"), "unknown accelerator 'hvf'"),
        (("--memory", "8", "0"), "a guest needs 32 MiB"),
    ],
)
def test_what_is_not_understood_is_status_2_and_a_hint(
    arguments: tuple[str, ...], said: str
) -> None:
    done = trapgate("call", *FAST, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_kernel_that_is_a_text_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "bzImage"
    text.write_text("no kernel\n" * 1000)
    done = trapgate("call", *FAST, "--kernel", str(text), "0")
    assert done.returncode == 2
    assert str(text) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_saved_call_is_a_script_that_says_the_same(tmp_path: Path) -> None:
    script = tmp_path / "it.trap"
    machine = (*FAST, "--kernel", I386, "--kernel-append", "audit=0", "--save", str(script))
    asked = ("--entry", "int80", "--register", "ebp=@edge", "write", "-1", 'str:a "b"', "4")
    said = trapgate("call", *machine, *asked)
    header, call = script.read_text().split("\n\n")
    assert header == f"kernel {I386}\naccel tcg\nappend audit=0"
    assert call == 'int80 write -1 "a \\"b\\"" 4 ebp=@edge\n'
    again = trapgate("replay", str(script))
    assert said.stdout.splitlines()[0] == again.stdout.splitlines()[1].strip() != ""


def test_a_call_to_a_host_is_saved_without_a_kernel(tmp_path: Path) -> None:
    script = tmp_path / "it.trap"
    assert trapgate("call", "--target", "local", "--save", str(script), "getpid").returncode == 0
    assert script.read_text() == "syscall getpid\n"


def test_what_cannot_be_saved_is_not_asked(tmp_path: Path) -> None:
    done = trapgate("call", *FAST, "--save", str(tmp_path / "no" / "it.trap"), "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "the script cannot be written" in done.stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-0x10", -16),
        ("str:x y", b"x y\0"),
        ('"x"', b"x\0"),
        ("str:", b"\0"),
        ("buf:0x10", Buffer(16)),
        ("@hole", HOLE),
        ("@edge+0x10", EDGE.start + 16),
        ("@read_only-8", READ_ONLY.start - 8),
        ("0xffffffff", 0xFFFF_FFFF),
    ],
)
def test_how_arguments_are_written(text: str, value: object) -> None:
    assert parse_argument(text, ABI32) == value


@pytest.mark.parametrize("text", ["", "0x", "buf:", "buf:0", "buf:-1", "@", "@edge+", "1_0x", "é"])
def test_what_is_no_argument(text: str) -> None:
    with pytest.raises(DeclarationError):
        parse_argument(text, ABI32)


def test_numbers_have_to_fit() -> None:
    assert parse_argument("0x100000000", ABI64) == 1 << 32
    with pytest.raises(DeclarationError, match="does not fit the 32 bits"):
        parse_argument("0x100000000", ABI32)


def test_calls_have_names_or_numbers() -> None:
    assert [parse_call(text) for text in ("read", "-1", "0x10")] == ["read", -1, 16]
