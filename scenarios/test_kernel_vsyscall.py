# SPDX-License-Identifier: Apache-2.0
"""__kernel_vsyscall: the way in that the kernel picks for a 32-bit program on its processor.

Source: arch/x86/entry/vdso/vdso32/system_call.S (6.1, and 7.2 for SYSFAST32); sigreturn.S;
arch/x86/kernel/cpu/{intel,amd}.c SYSENTER32, SYSCALL32 (6.1).
"""

import pytest

from harness.agent.code import place_code
from harness.agent.vdso import read_vdso
from harness.entry import INT80, KERNEL_VSYSCALL, function_path

capstone = pytest.importorskip("capstone")

UNKNOWN = pytest.mark.machine(cpu="EPYC,vendor=Nobody123456,-sep", arch="x86_64")
"""A 64-bit processor of no known vendor and without SYSENTER."""
pytestmark = pytest.mark.abis("i386")

SAVE, RESTORE = ("push ecx", "push edx", "push ebp"), ("pop ebp", "pop edx", "pop ecx", "ret")
FAST = {
    "sysenter": ("mov ebp, esp", "sysenter"),
    "syscall": ("mov ebp, ecx", "syscall"),
    "int80": (),
}
DIRECT = ("int 0x80", "ret")
"""Since 7.0, where it is int $0x80 in any case: nothing is saved."""
ESP, NUMBERS = 4, {"ecx": 1, "edx": 2, "ebp": 5}
"""Registers by their DWARF numbers."""
MOVE = 3  # MREMAP_MAYMOVE | MREMAP_FIXED
ELSEWHERE = 0x2E00_0000


def in_known_machines(test):
    """Ask on processors that the kernel knows, with and without SYSENTER and SYSCALL."""
    for machine in ({}, {"cpu": "EPYC"}, {"cpu": "qemu32,-sep", "arch": "i386"}):
        test = pytest.mark.machine(**machine)(test)
    return test


def in_every_machine(test):
    return UNKNOWN(in_known_machines(test))


@pytest.fixture
def vdso(guest, abi):
    return read_vdso(guest, abi)


def best_of(guest):
    """Return which of the ways in a processor that the kernel knows does best."""
    if guest.identity.arch.name == "i386":
        return "sysenter" if guest.cpu.sep else "int80"
    return "sysenter" if guest.cpu.is_intel else "syscall"


def instructions(vdso, name="__kernel_vsyscall"):
    """Return a function's instructions that do something: where each is, and what it says."""
    start = vdso.address(name, "LINUX_2.5") - vdso.base
    reader = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_32)
    lines = [
        (i.address, f"{i.mnemonic} {i.op_str}".strip())
        for i in reader.disasm(vdso.code(name, "LINUX_2.5"), start)
    ]
    return [(at, text) for at, text in lines if text.split()[0] not in ("nop", "lea", "int3")]


def whole(way):
    return (*SAVE, *FAST[way], "int 0x80", *RESTORE)


@in_known_machines
@pytest.mark.claim(22)
@pytest.mark.claim(25)
@pytest.mark.claim(51)
def test_it_holds_the_best_instruction_for_the_processor(guest, vdso):
    best = best_of(guest)
    said = tuple(text for _, text in instructions(vdso))
    assert said == whole(best) or (best == "int80" and said[:2] == DIRECT)


@UNKNOWN
@pytest.mark.needs(before="7.0")
def test_for_an_unknown_processor_it_is_int80(vdso):
    assert tuple(text for _, text in instructions(vdso)) == whole("int80")


@UNKNOWN
@pytest.mark.needs(since="7.0")
def test_for_an_unknown_64_bit_processor_it_is_sysenter(vdso):
    assert tuple(text for _, text in instructions(vdso)) == whole("sysenter")


@in_every_machine
def test_an_unwinder_follows_its_pushes(vdso):
    start = vdso.address("__kernel_vsyscall", "LINUX_2.5") - vdso.base
    entries = vdso.elf.get_dwarf_info().EH_CFI_entries()
    (frame,) = (e for e in entries if e.header.get("initial_location") == start)
    rows = frame.get_decoded().table
    depth, saved = 4, {}
    for at, text in instructions(vdso):
        row = [row for row in rows if row["pc"] <= at][-1]
        assert (row["cfa"].reg, row["cfa"].offset) == (ESP, depth), f"{at:#x} {text}"
        assert {r: row[r].arg for r in NUMBERS.values() if r in row} == saved, f"{at:#x} {text}"
        operation, _, register = text.partition(" ")
        if operation == "push":
            depth += 4
            saved[NUMBERS[register]] = -depth
        elif operation == "pop":
            depth -= 4
            del saved[NUMBERS[register]]


@in_every_machine
@pytest.mark.claim(23)
@pytest.mark.entries("kernel_vsyscall", "sysenter", "syscall32")
def test_a_fast_call_comes_back_to_its_landing_pad(guest, entry, vdso):
    calls = [at for at, text in instructions(vdso) if text == "int 0x80"]
    pad = vdso.base + calls[0 if entry is KERNEL_VSYSCALL else -1] + 2
    said = guest.call(entry, "munmap", vdso.base, vdso.size_bytes)
    assert said.signal, "came back although the landing pad is gone"
    assert (said.signal.name, said.signal.address) == ("SIGSEGV", pad)
    assert (said.after["ip"], said.after["eax"]) == (pad, 0)


@in_every_machine
@pytest.mark.entries("int80", "kernel_vsyscall", "sysenter", "syscall32")
@pytest.mark.room("its parent is the first process")
def test_moving_the_vdso_moves_the_landing_pad(guest, entry, vdso):
    sizes = (vdso.size_bytes, vdso.size_bytes)
    said = guest.call(entry, "mremap", vdso.base, *sizes, MOVE, ELSEWHERE)
    assert (said.signal, said.after["eax"]) == (None, ELSEWHERE)
    if entry is not KERNEL_VSYSCALL:  # which the executor calls where it was
        assert guest.call(entry, "getppid").value == 1


@in_every_machine
@pytest.mark.entries("int80", "sysenter", "syscall32")
@pytest.mark.room("its parent is the first process")
def test_a_vdso_that_was_moved_still_makes_calls(guest, entry, abi, vdso):
    sizes = (vdso.size_bytes, vdso.size_bytes)
    guest.call(entry, "mremap", vdso.base, *sizes, MOVE, ELSEWHERE)
    offset = vdso.address("__kernel_vsyscall", "LINUX_2.5") - vdso.base
    number = guest.table(INT80).number("getppid")
    code = b"\xb8" + number.to_bytes(4, "little")  # mov $number, %eax; push $address; ret
    code += b"\x68" + (ELSEWHERE + offset).to_bytes(4, "little") + b"\xc3"
    assert guest.call(function_path(abi), place_code(guest, abi, code)).value == 1


@in_every_machine
@pytest.mark.room("its parent is the first process")
def test_int80_needs_no_vdso(guest, vdso):
    assert guest.call(INT80, "munmap", vdso.base, vdso.size_bytes).value == 0
    said = guest.call(INT80, "getppid")
    assert (said.value, said.clobbered) == (1, {"eax"})
