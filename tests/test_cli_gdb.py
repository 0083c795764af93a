# SPDX-License-Identifier: Apache-2.0
"""`trapgate gdb`: a real debugger at a real guest, and what it knows of it."""

from __future__ import annotations

import os
import re
import sys
import termios
from pathlib import Path

import pexpect
import pytest
from elftools.elf.elffile import ELFFile
from live import CHECKOUT, I386, PROGRAM, X86_64, emulators_of, eventually, is_there, trapgate

from harness.evidence.symbols import Symbols
from harness.repro.symbolfile import Section, write_symbols
from harness.tools import find_tool

needs_gdb = pytest.mark.skipif(not find_tool("gdb"), reason="gdb is not installed")
STOP = ("-ex", "continue", "-ex", "info symbol $rip", "-ex", "delete", "-ex", "detach")


def write(folder: Path, *lines: str) -> str:
    (folder / "s.trap").write_text("".join(f"{line}\n" for line in lines))
    return str(folder / "s.trap")


@needs_gdb
@pytest.mark.parametrize(
    ("spec", "entry", "symbol"),
    [
        (I386, "int80", "entry_INT80_32"),
        (I386, "sysenter", "entry_SYSENTER_32"),
        (X86_64, "syscall", "entry_SYSCALL_64"),
        (X86_64, "int80_64", "asm_int80_emulation"),
        (X86_64, "kernel_vsyscall", "entry_SYSENTER_compat"),
    ],
)
def test_it_stops_at_the_entry_point_of_the_call(
    spec: str, entry: str, symbol: str, tmp_path: Path
) -> None:
    script = write(tmp_path, "buffer pair 8", "int80 pipe $pair -> 0", f"{entry} close -77")
    said = trapgate("gdb", "--accel", "tcg", "--kernel", spec, script, "--", "--batch", *STOP)
    assert said.returncode == 0, said.stderr
    assert f"\nstopped before: {entry} close -77\n" in said.stdout
    assert f"\n{symbol} in section " in said.stdout
    assert said.stdout.endswith(f"{entry} close -77\n  -9 EBADF (Bad file descriptor)\n")


@needs_gdb
def test_other_symbols_are_where_this_boot_has_them(tmp_path: Path) -> None:
    look = ("-ex", "print do_syscall_64", "-ex", "x/1i do_syscall_64", "-ex", "info files")
    script = write(tmp_path, "syscall getppid")
    said = trapgate("gdb", "--accel", "tcg", script, "--", "--batch", *look)
    assert "{<text variable, no debug info>} 0xffffffff" in said.stdout
    assert "<do_syscall_64>:" in said.stdout
    assert " is .init.text" in said.stdout
    assert "Cannot access memory" not in said.stdout + said.stderr


@needs_gdb
def test_gdb_at_a_terminal_leaves_it_as_it_was_and_nothing_behind(tmp_path: Path) -> None:
    script = write(tmp_path, "syscall getppid")
    session = pexpect.spawn(
        sys.executable,
        ["-c", PROGRAM, "gdb", "--accel", "tcg", script],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "TERM": "dumb"},
        encoding="utf-8",
        timeout=60,
    )
    before = termios.tcgetattr(session.child_fd)
    session.expect(r"\(gdb\) ")
    emulators = emulators_of(session.pid)
    assert emulators
    session.sendline("delete")
    session.sendline("continue")
    session.expect("Continuing.")
    session.sendintr()
    session.expect(r"SIGINT[^$]*\(gdb\) ")
    session.sendline("quit")
    session.expect(pexpect.EOF)
    assert termios.tcgetattr(session.child_fd) == before
    assert session.wait() == 0
    assert eventually(lambda: not any(map(is_there, emulators)))


@needs_gdb
def test_in_a_recording_it_goes_backwards(tmp_path: Path) -> None:
    """From the entry point to the instruction before it, and from the run's end to a function."""
    script = write(tmp_path, "syscall close -77", "syscall close -77 -> EBADF")
    recording = str(tmp_path / "s.recording")
    assert trapgate("record", "-o", recording, script).returncode == 0
    back = ("continue", "info symbol $rip", "reverse-stepi", "x/1i $rip", "stepi", "delete")
    again = ("hbreak __x64_sys_close", "continue", "continue", "reverse-stepi", "reverse-continue")
    commands = [word for each in (*back, *again) for word in ("-ex", each)]
    said = trapgate("gdb", "--recorded", recording, "--", "--batch", *commands)
    assert said.returncode == 0, said.stderr
    _, _, said_last = said.stdout.partition("\nstopped before: syscall close -77 -> EBADF\n")
    entered, _, stepped = said_last.partition("\nentry_SYSCALL_64 in section .text\n")
    assert "Breakpoint 1, 0x" in entered
    assert re.search(r"^=> 0x\w+:\tsyscall ?$", stepped, re.MULTILINE)
    _, closing, ending = stepped.partition("in __x64_sys_close ()\n")
    assert closing
    assert "Program received signal SIGINT" in ending, "the recording's end"
    assert ending.rstrip().partition("[")[0].endswith("in __x64_sys_close ()\n")


@needs_gdb
def test_a_script_without_a_call_has_nothing_to_stop_at(tmp_path: Path) -> None:
    said = trapgate("gdb", write(tmp_path, "renew"))
    assert said.returncode == 2
    assert said.stderr == "trapgate: the script makes no call that could be stopped at\n"


def test_symbols_are_in_their_sections(tmp_path: Path) -> None:
    sections = [Section(".text", 6, 0xFFFF_FFFF_8100_0000, 32), Section(".data", 3, 1 << 33, 8)]
    named = [(1 << 33, "datum"), (0xFFFF_FFFF_8100_0010, "code"), (0xFFFF_FFFF_9000_0000, "away")]
    write_symbols(tmp_path / "k", sections, Symbols(*zip(*named, strict=True)))
    with (tmp_path / "k").open("rb") as file:
        elf = ELFFile(file)
        found = {s.name: s.entry for s in elf.get_section_by_name(".symtab").iter_symbols()}
        places = {n: (s["st_value"], s["st_shndx"], s["st_info"]["type"]) for n, s in found.items()}
        text = elf.get_section_by_name(".text")
    assert places["code"] == (0xFFFF_FFFF_8100_0010, 1, "STT_FUNC")
    assert places["datum"] == (1 << 33, 2, "STT_OBJECT")
    assert places["away"] == (0xFFFF_FFFF_9000_0000, "SHN_ABS", "STT_FUNC")
    assert (text["sh_type"], text["sh_addr"], text["sh_size"]) == (
        "SHT_NOBITS",
        0xFFFF_FFFF_8100_0000,
        32,
    )
