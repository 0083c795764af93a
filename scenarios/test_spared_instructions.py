# SPDX-License-Identifier: Apache-2.0
"""Instructions that tell where the kernel keeps its tables: what programs are told instead.

A processor with UMIP raises a general protection fault, and the kernel makes up an answer.

Source: arch/x86/kernel/umip.c emulate_umip_insn, fixup_umip_exception (6.1).
"""

import struct
from signal import SIGSEGV

import pytest

from harness.agent.pieces import CODE, ROOM, Piece, run_pieces
from harness.agent.ptrace import TRAP_STOP
from harness.agent.puppet import INT3, start_puppet
from harness.arch import ARCH_I386
from harness.cpu import read_features
from harness.landscape import HOLE

pytestmark = pytest.mark.machine(cpu="EPYC,+pku,+umip")

TABLES = {"sgdt": ("0f0103", 0xFFFF_FFFF_FFFE_0000), "sidt": ("0f010b", 0xFFFF_FFFF_FFFF_0000)}
MACHINE_STATUS = 0x8005_0033
"""What cr0 is on every machine: paging, protection and the like."""
KEPT, KEPT_BYTE = 0x5A5A_5A5A, b"\x5a"
WRITE, DATA = 0x11, 0x51
MAPERR, PAGE_FAULT, WRITING_AS_USER = 1, 14, 6


def tell(abi, code):
    """Return a piece that lets `code` write at ROOM, and has 16 bytes from there in registers."""
    fill = "".join(f"c743{at:02x}5a5a5a5a" for at in (0, 4, 8, 12))  # movl $KEPT, at(%ebx)
    load = "8b03 8b4b04 8b5308 8b730c"  # mov (%ebx), %eax; 4: %ecx; 8: %edx; 12: %esi
    return Piece(bytes.fromhex(fill + code + load), {name(abi, "bx"): ROOM})


def name(abi, letters):
    return abi.registers[0][0] + letters


def told(ran, abi):
    """Return the 16 bytes at ROOM."""
    assert ran.frame is None, ran.frame
    words = (ran.after[name(abi, letters)] for letters in ("ax", "cx", "dx", "si"))
    return b"".join(word.to_bytes(8, "little")[:4] for word in words)


@pytest.fixture(autouse=True)
def _umip(guest):
    """Skip where the instructions are not spared."""
    if "umip" not in read_features(guest.read_file("/proc/cpuinfo")):
        pytest.skip("no UMIP on this processor, or not for this kernel")


@pytest.mark.parametrize("instruction", TABLES)
def test_a_table_is_said_to_be_empty_at_the_end_of_memory(guest, abi, instruction):
    code, base = TABLES[instruction]
    ran = run_pieces(guest, abi, {instruction: tell(abi, code)})[instruction]
    expected = bytes(2) + abi.words(base)
    assert told(ran, abi).hex() == expected.ljust(16, KEPT_BYTE).hex()


def test_status_task_and_local_table_are_the_same_for_all(guest, abi):
    task = 0x80 if guest.identity.arch is ARCH_I386 else 0x40
    values = {"smsw": ("0f01", 4, MACHINE_STATUS), "sldt": ("0f00", 0, 0), "str": ("0f00", 1, task)}
    for instruction, (code, operation, value) in values.items():
        to_memory, to_register = (f"{code}{mode | operation << 3:02x}" for mode in (0x03, 0xC3))
        pieces = {"memory": tell(abi, to_memory)}
        pieces["register"] = Piece(bytes.fromhex(to_register), {name(abi, "bx"): KEPT})
        ran = run_pieces(guest, abi, pieces)
        low = (value & 0xFFFF).to_bytes(2, "little")
        assert told(ran["memory"], abi).hex() == low.ljust(16, KEPT_BYTE).hex(), instruction
        assert hex(ran["register"].after[name(abi, "bx")]) == hex(value), instruction


def test_a_local_table_is_told_where_there_is_one(guest, abi):
    """Source: GDT_ENTRY_LDT, arch/x86/include/asm/segment.h (6.1)."""
    with start_puppet(guest, abi) as puppet:
        at = puppet.strings.stage + 0x9000
        puppet.write(at, struct.pack("<IIII", 0, 0, 0xFFFFF, DATA))
        assert puppet.call(puppet.own_entry, "modify_ldt", WRITE, at, 16) == 0
        puppet.send_to(bytes.fromhex("0f00c0") + INT3, ax=KEPT)  # sldt %eax
        assert puppet.resume() == TRAP_STOP
        table = 0x88 if guest.identity.arch is ARCH_I386 else 0x50
        assert hex(puppet.registers()["ax"]) == hex(table)


def test_an_answer_that_cannot_be_written_is_sigsegv_there(guest, abi):
    piece = Piece(bytes.fromhex(TABLES["sgdt"][0]), {name(abi, "bx"): HOLE})
    frame = run_pieces(guest, abi, {"sgdt": piece})["sgdt"].frame
    assert (frame["signo"], frame["code"], hex(frame["address"])) == (SIGSEGV, MAPERR, hex(HOLE))
    assert (frame["trap"], frame["error"], frame["ip"]) == (PAGE_FAULT, WRITING_AS_USER, CODE)
