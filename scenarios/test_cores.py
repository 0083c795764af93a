# SPDX-License-Identifier: Apache-2.0
"""What is left of a program that a signal killed: its core, and what its parent is told of one.

Source: fs/coredump.c do_coredump; fs/binfmt_elf.c fill_prstatus, fill_note_info, elf_core_dump;
arch/x86/include/asm/elf.h; arch/x86/kernel/ptrace.c x86_64_regsets, x86_32_regsets;
include/linux/elfcore.h, elfcore-compat.h (6.1).
"""

import io
import struct
from collections import defaultdict
from signal import SIGILL, SIGKILL, SIGQUIT, SIGSEGV, SIGTERM, SIGUSR1

import pytest
from elftools.elf.elffile import ELFFile

from harness.agent.arguments import Buffer
from harness.agent.ptrace import Option, Request, Status, decode_registers
from harness.agent.puppet import load_word, start_puppet
from harness.agent.structures import ENDED, FAULT
from harness.arch import X86_64
from harness.landscape import HOLE

pytestmark = pytest.mark.guest_only("it says where every program's core goes")

CORE, SETTING = "/core", "/proc/sys/kernel/core_pattern"
CORE_LIMIT, UNLIMITED, PAGE, READ_WRITE = 4, 0xFFFF_FFFF, 4096, 6
SET_DUMPABLE = 4
P_PID, WEXITED, ALL_CHILDREN = 1, 4, 0x4000_0000
CLD_KILLED, CLD_DUMPED, DUMPED = 2, 3, 0x80
SETS = {2: "NT_FPREGSET", 0x46E6_2B7F: 0x46E6_2B7F, 0x202: 0x202}
"""Of the x87, and with SSE and what came later, as ptrace and as a core's reader call them."""
ILL_ILLOPN, SEGV_MAPERR = 2, 1
STATUS = {
    "x86_64": struct.Struct("<3i hxx 2Q 4i 64x 216s i4x"),
    "i386": struct.Struct("<3i hxx 2I 4i 32x 68s i"),
}
"""A thread's note: its signal with code and errno; that again, pending and blocked ones; process,
parent, group and session; behind times the registers, and whether the x87 has been used."""
ROOM, NO_INSTRUCTION = Buffer(8192), b"\x0f\x0b"
PATTERN = bytes(range(256)) * 16


@pytest.fixture
def puppet(guest, abi):
    """Give a process whose core is written, as large as it may be, into the root folder."""
    guest.write_file(SETTING, CORE.encode())
    with start_puppet(guest, abi) as puppet:
        limit_core(puppet, UNLIMITED)
        yield puppet


def limit_core(puppet, size_bytes):
    at = puppet.strings.stage + 0x800
    puppet.write(at, puppet.own_entry.table.words(size_bytes, size_bytes))
    assert puppet.call(puppet.own_entry, "setrlimit", CORE_LIMIT, at) == 0


def read_core(guest):
    """Return the last core's file, and its notes by their kind, each kind's in their order."""
    core = ELFFile(io.BytesIO(guest.read_file(CORE)))
    (segment,) = (s for s in core.iter_segments() if s["p_type"] == "PT_NOTE")
    notes = defaultdict(list)
    for note in segment.iter_notes():
        notes[note["n_type"]].append(note)
    return core, notes


def content_of(core, address, size_bytes):
    """Return the bytes that a core has for an address."""
    (segment,) = (
        s
        for s in core.iter_segments()
        if s["p_type"] == "PT_LOAD" and 0 <= address - s["p_vaddr"] < s["p_filesz"]
    )
    at = address - segment["p_vaddr"]
    return segment.data()[at : at + size_bytes]


def blocked(*signals):
    return sum(1 << number - 1 for number in signals)


ODD = {name: 0x1234_5670 + n for n, name in enumerate(("bx", "cx", "dx", "si", "di", "bp"))}
ODD_64 = {f"r{n}": 0x0123_4567_89AB_CD00 + n for n in range(8, 16)}


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (SIGILL, ILL_ILLOPN),
        pytest.param(SIGSEGV, SEGV_MAPERR, marks=pytest.mark.machine(cpu="EPYC")),
    ],
    ids=["an instruction that is none", "a load from where nothing is"],
)
def test_a_core_tells_how_a_program_died(guest, puppet, number, code):
    abi = puppet.abi
    mask = blocked(SIGUSR1, 64 if abi is X86_64 else 32)
    assert puppet.ptrace(Request.SETSIGMASK, 8, mask.to_bytes(8, "little")).value == 0
    assert puppet.call(puppet.own_entry, "tgkill", puppet.pid, puppet.pid, SIGUSR1) == 0
    last = NO_INSTRUCTION if number == SIGILL else load_word(abi, HOLE)
    puppet.send_to(last, **ODD | (ODD_64 if abi is X86_64 else {}))
    assert puppet.resume() == Status.stopped(number)
    died = puppet.registers()
    sets = {kind: puppet.regset(Request.GETREGSET, kind, ROOM, ROOM.size_bytes) for kind in SETS}
    vector = guest.read_file(f"/proc/{puppet.pid}/auxv")
    assert puppet.resume(by_signal=number) == number | DUMPED
    core, notes = read_core(guest)
    assert (core["e_type"], core["e_machine"]) == ("ET_CORE", abi.elf_machine)
    layout = STATUS[abi.name]
    *told, registers, x87 = layout.unpack(notes["NT_PRSTATUS"][0]["n_descdata"])
    seen = decode_registers(registers, abi)
    assert {name: hex(value) for name, value in seen.items()} == {
        name: hex(died[name] & abi.mask) for name in seen
    }
    ids = [puppet.pid, 1, puppet.pid, puppet.pid]
    assert told == [number, 0, 0, number, blocked(SIGUSR1), mask, *ids]
    assert x87 == 1
    (about,) = notes["NT_SIGINFO"]
    at = died["ip"] if number == SIGILL else HOLE
    fault = {"signal": number, "errno": 0, "code": code, "address": at}
    assert FAULT[abi.name].decode(about["n_descdata"]) == fault
    seen = {kind: [n["n_descdata"].hex() for n in notes[name]] for kind, name in SETS.items()}
    assert seen == {
        kind: [said.content[: said.size_bytes].hex()] if said.errno is None else []
        for kind, said in sets.items()
    }
    (auxiliary,) = notes["NT_AUXV"]
    assert auxiliary["n_descdata"].rstrip(b"\0").hex() == vector.rstrip(b"\0").hex()


def test_a_core_holds_what_was_in_memory_and_whose_it_was(guest, puppet):
    stage = puppet.strings.stage + 0x2000
    puppet.write(stage, PATTERN)
    assert puppet.resume(by_signal=SIGQUIT) == SIGQUIT | DUMPED
    core, notes = read_core(guest)
    assert content_of(core, stage, len(PATTERN)) == PATTERN
    stack = puppet.home["sp"]
    flags = {s["p_vaddr"]: s["p_flags"] for s in core.iter_segments() if s["p_type"] == "PT_LOAD"}
    assert flags[max(at for at in flags if at <= stack)] == READ_WRITE, "the stack"
    about, name = notes["NT_PRPSINFO"][0]["n_desc"], f"puppet.{puppet.abi}".encode()
    own = {"pr_pid": puppet.pid, "pr_ppid": 1, "pr_sname": b"R", "pr_fname": name.ljust(16, b"\0")}
    assert {key: about[key] for key in own} == own
    files = notes["NT_FILE"][0]["n_desc"]
    assert {path.rpartition(b"/")[2] for path in files["filename"]} == {name}
    starts = {entry["vm_start"] for entry in files["Elf_Nt_File_Entry"]}
    assert starts <= set(flags), "each has its segment"


ENDS = {
    "a signal that dumps": (SIGQUIT, UNLIMITED, 1, CLD_DUMPED),
    "a signal that does not": (SIGTERM, UNLIMITED, 1, CLD_KILLED),
    "SIGKILL": (SIGKILL, UNLIMITED, 1, CLD_KILLED),
    "no room for a page": (SIGQUIT, PAGE - 1, 1, CLD_KILLED),
    "not dumpable": (SIGQUIT, UNLIMITED, 0, CLD_KILLED),
}


def test_a_parent_is_told_of_a_core_only_where_there_is_one(guest, abi):
    guest.write_file(SETTING, CORE.encode())
    seen = {}
    for name, (number, limit, dumpable, _) in ENDS.items():
        with start_puppet(guest, abi) as puppet:
            limit_core(puppet, limit)
            assert puppet.call(puppet.own_entry, "prctl", SET_DUMPABLE, dumpable) == 0
            puppet.ptrace(Request.CONT, 0, number)
            how = WEXITED | ALL_CHILDREN
            said = guest.call(puppet.tracer, "waitid", P_PID, puppet.pid, Buffer(128), how, 0)
            told = ENDED[puppet.view.name].decode(said.memory[0])
            seen[name] = told["status"], told["code"], told["pid"] == puppet.pid
    assert seen == {name: (number, code, True) for name, (number, _, _, code) in ENDS.items()}


@pytest.mark.entries("int80", "syscall")
def test_a_core_is_of_every_thread_and_the_one_that_died_is_first(guest, entry):
    guest.write_file(SETTING, CORE.encode())
    with start_puppet(guest, entry.abi, options=Option.TRACECLONE) as one:
        limit_core(one, UNLIMITED)
        other = one.start_thread(entry)
        one.set_registers(bx=0x1111)
        other.set_registers(bx=0x2222)
        assert other.ptrace(Request.CONT, 0, SIGQUIT).value == 0
        assert [each.wait() for each in (other, one)] == [SIGQUIT | DUMPED] * 2
    _, notes = read_core(guest)
    statuses = [note["n_descdata"] for note in notes["NT_PRSTATUS"]]
    threads = [STATUS[entry.abi.name].unpack(status) for status in statuses]
    seen = [(status[6], decode_registers(status[-2], entry.abi)["bx"]) for status in threads]
    assert seen == [(other.pid, 0x2222), (one.pid, 0x1111)]
