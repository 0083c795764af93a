# SPDX-License-Identifier: Apache-2.0
"""`trapgate explain` and `trapgate tables` as a user runs them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from live import I386, X86_64, trapgate

FAST = ("--accel", "tcg")


def told(*arguments: str) -> dict[str, dict[str, Any]]:
    """Return the steps of a call's way, by title."""
    done = trapgate("explain", *FAST, "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return {step["step"]: step for step in json.loads(done.stdout)["way"]}


def test_a_bad_pointer_is_explained_on_a_screen() -> None:
    call = ("--entry", "sysenter", "read", "0", "0x1ead0000", "16")
    done = trapgate("explain", *FAST, "--kernel", I386, *call)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == "-14 EFAULT (Bad address)"
    assert lines[2].startswith("entry       MSR SYSENTER_EIP leads to entry_SYSENTER_32 (0xc")
    assert "dispatcher  entry_SYSENTER_32 > do_SYSENTER_32 > do_fast_syscall_32" in done.stdout
    assert "leads to __ia32_sys_read (0xc" in done.stdout
    assert "in kernel mode at 0x1ead0000, by clear_user+" in done.stdout
    assert "exception table, row " in done.stdout
    assert "return      -14 in eax; the kernel left with -14" in done.stdout
    assert max(map(len, lines)) <= 100


def test_json_has_every_step() -> None:
    way = told("--kernel", X86_64, "read", "0", "0x1ead0000", "16")
    assert list(way) == ["entry", "dispatcher", "slot", "routine", "faults", "return"]
    assert way["entry"]["symbol"] == "entry_SYSCALL_64"
    assert way["slot"]["symbol"] == "__x64_sys_read"
    assert way["routine"]["pt_regs"]["si"] == "0x1ead0000"
    assert way["faults"]["faults"][0]["fixup"]["type"]
    assert way["return"]["sys_exit"] == [-14]


def test_what_a_coarse_check_refuses_has_no_fault() -> None:
    way = told("--kernel", I386, "read", "0", "0xdead0000", "16")
    assert way["faults"]["faults"] == []


def test_without_sep_the_vdso_comes_by_the_gate() -> None:
    way = told("--kernel", I386, "--cpu", "qemu32,-sep", "--entry", "kernel_vsyscall", "getpid")
    assert way["entry"]["instruction"] == "int80"
    assert way["entry"]["gate"]["kind"] == "interrupt gate"


def test_a_32_bit_program_is_told_of_its_own_table() -> None:
    way = told("--kernel", X86_64, "--entry", "int80", "getpid")
    assert (way["slot"]["number"], way["slot"]["symbol"]) == (20, "__ia32_sys_getpid")


@pytest.mark.parametrize("number", ["9999", "-1"])
def test_an_unknown_number_has_no_routine(number: str) -> None:
    way = told("--kernel", X86_64, number)
    assert way["routine"]["ran"] is None
    assert way["return"]["value"] == -38


def test_the_number_that_counts_is_the_registers() -> None:
    way = told("--kernel", X86_64, "--register", "rax=39", "read")
    assert way["slot"]["name"] == "getpid"


def test_the_vdso_may_do_without_the_kernel() -> None:
    way = told("--kernel", X86_64, "--entry", "vdso", "clock_gettime", "1", "buf:16")
    assert way["entry"]["entered"] is False
    way = told("--kernel", X86_64, "--entry", "vdso", "clock_gettime", "77", "buf:16")
    assert way["routine"]["entered_for"] == ["clock_gettime"]


def test_a_page_that_is_brought_in_has_no_fixup() -> None:
    way = told("--kernel", X86_64, "read", "0", "@untouched", "16")
    assert [fault["fixup"] for fault in way["faults"]["faults"]] == [None]
    assert way["return"]["value"] == 16


def test_a_kernel_that_shows_nothing_is_said_to() -> None:
    locked = ("--boot", "--append", "lockdown=confidentiality")
    way = told("--kernel", X86_64, *locked, "read", "0", "0x1ead0000", "16")
    unseen = {title for title, step in way.items() if "not shown" in step}
    assert unseen == {"entry", "dispatcher", "routine", "faults"}
    assert way["return"]["value"] == -14


def test_a_signal_is_an_end_too() -> None:
    way = told("--kernel", I386, "--entry", "sysenter", "--register", "esp=@hole", "getpid")
    assert way["routine"]["ran"] is False
    assert way["return"]["value"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--entry", "vdso", "7"), "no function of the vDSO: 7"),
        (("--entry", "vsdo", "time"), "unknown entry path 'vsdo'"),
        (("getpdi",), "unknown system call 'getpdi'"),
        (
            ("--entry", "vdso", "--kernel", X86_64, "read"),
            "the vDSO has no function read\nthere are: ",
        ),
        (("--kernel", I386, "--entry", "syscall", "0"), "syscall cannot be asked on"),
    ],
)
def test_what_cannot_be_explained_is_said(arguments: tuple[str, ...], said: str) -> None:
    done = trapgate("explain", *FAST, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"trapgate: {said}")
    assert "Traceback" not in done.stderr


def test_tables_show_every_number() -> None:
    done = trapgate("tables", *FAST, "--kernel", X86_64)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].startswith("x86_64: 3")
    assert " of 451 numbers implemented, by switch x64_sys_call at 0xffffffff8" in lines[0]
    assert lines[1].split() == ["0", "read", "__x64_sys_read"]
    assert "  156  _sysctl                     unimplemented" in lines
    (second,) = (line for line in lines if line.startswith("i386: "))
    assert lines[lines.index(second) + 4].split() == ["3", "read", "__ia32_sys_read"]


def test_tables_as_json() -> None:
    said = json.loads(trapgate("tables", *FAST, "--json", "--kernel", I386).stdout)
    assert list(said) == ["i386"]
    assert said["i386"]["rows"][17] == {"number": 17, "name": "break", "routine": None}


def test_tables_of_two_kernels() -> None:
    done = trapgate("tables", *FAST, "--diff", I386, X86_64)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("i386: ")
    assert ["17", "added"] not in [line.split()[:2] for line in lines]
    assert any("compat_sys_" in line and "renamed" in line for line in lines)
    again = json.loads(trapgate("tables", *FAST, "--json", "--diff", I386, I386).stdout)
    assert again == {"i386": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--diff", I386, "6.1/i368"), "no kernel is called '6.1/i368'"),
        (("--kernel", I386, "--diff", I386, X86_64), "--diff names both kernels"),
    ],
)
def test_tables_that_cannot_be_shown(arguments: tuple[str, ...], said: str) -> None:
    done = trapgate("tables", *FAST, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"trapgate: {said}")
