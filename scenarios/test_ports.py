# SPDX-License-Identifier: Apache-2.0
"""Ports that a program may use itself: ioperm and iopl.

Source: arch/x86/kernel/ioport.c ksys_ioperm, iopl; process.c native_tss_update_io_bitmap (6.1);
man 2 ioperm, iopl.
"""

from errno import EINVAL, EPERM
from signal import SIGCHLD, SIGSEGV

import pytest

from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import INT3, start_puppet

ENTRIES = ("int80", "syscall", "int80_64")
SI_KERNEL = 0x80
PORT, HIGH_PORT = 0x80, 0x1180
IN_AL_DX, IN_AX_DX, OUT_DX_AL = b"\xec", b"\x66\xed", b"\xee"
CLI, STI = b"\xfa", b"\xfb"
INTERRUPTS, IOPL = 0x200, 0x3000
PUSHF_POP_BX = b"\x9c\x5b"


@pytest.fixture
def puppet(guest, abi):
    """Give a process of `abi` that is traced by one of the kernel's own."""
    with start_puppet(guest, abi) as puppet:
        yield puppet


def call(puppet, name, *arguments):
    """Have the puppet make a call, wherever it stands."""
    puppet.go_home()
    return puppet.call(puppet.own_entry, name, *arguments)


def may(puppet, code, port=PORT):
    """Tell whether the puppet can execute an instruction about a port; if not, why not."""
    puppet.send_to(code + INT3, dx=port, ax=0, sp=puppet.strings.stage + 0x8000)
    status = puppet.resume()
    if status == TRAP_STOP:
        return True
    assert status == Status.stopped(SIGSEGV)
    assert puppet.siginfo() == (SIGSEGV, 0, SI_KERNEL)
    assert puppet.registers()["ip"] == puppet.strings.stage
    return False


def test_a_program_may_not_use_ports(puppet):
    seen = {code: may(puppet, code) for code in (IN_AL_DX, OUT_DX_AL, CLI)}
    assert seen == dict.fromkeys(seen, False)


def test_ioperm_gives_the_ports_asked_for_and_takes_them_back(puppet):
    assert call(puppet, "ioperm", PORT, 2, 1) == 0
    around = range(PORT - 1, PORT + 3)
    assert [may(puppet, IN_AL_DX, port) for port in around] == [False, True, True, False]
    assert [may(puppet, IN_AX_DX, port) for port in around] == [False, True, False, False]
    assert may(puppet, OUT_DX_AL)
    assert not may(puppet, CLI)
    assert call(puppet, "ioperm", PORT, 1, 0) == 0
    assert [may(puppet, IN_AL_DX, port) for port in around] == [False, False, True, False]


def test_the_last_port_is_65535(puppet):
    assert call(puppet, "ioperm", 65535, 1, 1) == 0
    assert [may(puppet, IN_AL_DX, port) for port in (65534, 65535)] == [False, True]
    assert not may(puppet, IN_AX_DX, 65535)


@pytest.mark.entries(*ENTRIES)
def test_ports_past_the_last_are_einval(guest, entry):
    cases = ((65535, 2), (65536, 1), (0, 65537), (1, 0), (-1, 2), (2, -1))
    seen = {case: guest.call(entry, "ioperm", *case, 1).errno for case in cases}
    assert seen == dict.fromkeys(cases, EINVAL)


@pytest.mark.entries(*ENTRIES)
def test_giving_ports_wants_privilege_and_taking_them_does_not(guest, entry):
    assert guest.call(entry, "iopl", 4).errno == EINVAL
    assert guest.call(entry, "setuid", 1000).value == 0
    seen = {
        "ioperm, on": guest.call(entry, "ioperm", PORT, 1, 1).errno,
        "ioperm, off": guest.call(entry, "ioperm", PORT, 1, 0).errno,
        "iopl 3": guest.call(entry, "iopl", 3).errno,
        "iopl 1": guest.call(entry, "iopl", 1).errno,
        "iopl 0": guest.call(entry, "iopl", 0).errno,
    }
    refused = {"ioperm, on": EPERM, "iopl 3": EPERM, "iopl 1": EPERM}
    assert seen == {"ioperm, off": None, "iopl 0": None} | refused


def test_iopl_gives_all_ports_and_takes_them_back(puppet):
    assert call(puppet, "iopl", 3) == 0
    seen = [may(puppet, IN_AL_DX, port) for port in (PORT, PORT + 9, 65535)]
    assert seen == [True, True, True]
    assert call(puppet, "iopl", 0) == 0
    assert not may(puppet, IN_AL_DX)


def test_iopl_gives_no_power_over_interrupts(puppet):
    """CLI and STI fault, or since the end of 2021 do nothing: traps.c fixup_iopl_exception."""
    assert call(puppet, "iopl", 3) == 0
    seen = {}
    for name, code in {"cli": CLI, "sti": STI}.items():
        seen[name] = may(puppet, code + PUSHF_POP_BX)
        if seen[name]:
            assert puppet.registers()["bx"] & (IOPL | INTERRUPTS) == INTERRUPTS, name
    assert seen == dict.fromkeys(seen, seen["cli"]), "one faults, the other does not"
    assert call(puppet, "iopl", 0) == 0
    assert [may(puppet, code) for code in (CLI, STI)] == [False, False]


def test_iopl_below_three_gives_nothing(puppet):
    assert [call(puppet, "iopl", 1), may(puppet, IN_AL_DX)] == [0, False]
    assert [call(puppet, "iopl", 2), may(puppet, IN_AL_DX)] == [0, False]


def test_ports_of_ioperm_stay_while_iopl_comes_and_goes(puppet):
    assert call(puppet, "ioperm", PORT, 1, 1) == 0
    assert call(puppet, "iopl", 3) == 0
    assert call(puppet, "iopl", 0) == 0
    assert [may(puppet, IN_AL_DX, port) for port in (PORT, PORT + 1)] == [True, False]


def test_ports_of_one_process_are_not_anothers(guest, abi):
    with start_puppet(guest, abi) as one, start_puppet(guest, abi) as other:
        assert call(one, "ioperm", PORT, 1, 1) == 0
        assert [may(puppet, IN_AL_DX) for puppet in (one, other, one)] == [True, False, True]
        assert call(one, "ioperm", HIGH_PORT, 1, 1) == 0
        assert call(other, "ioperm", PORT + 1, 1, 1) == 0
        assert may(one, IN_AL_DX, HIGH_PORT)
        seen = [may(other, IN_AL_DX, port) for port in (PORT, PORT + 1, HIGH_PORT)]
        assert seen == [False, True, False], "ports of both, before the other's last and behind it"
        assert call(other, "iopl", 3) == 0
        assert [may(puppet, IN_AL_DX, PORT + 2) for puppet in (other, one)] == [True, False]


def test_a_child_has_its_parents_ports_and_its_own_from_then_on(guest, abi):
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, abi, options=options) as puppet:
        assert call(puppet, "ioperm", PORT, 1, 1) == 0
        child = puppet.fork()
        assert child.resume() == TRAP_STOP
        assert may(child, IN_AL_DX)
        assert call(child, "ioperm", PORT, 1, 0) == 0
        assert not may(child, IN_AL_DX)
        assert call(child, "ioperm", PORT + 1, 1, 1) == 0
        child.kill()
        assert puppet.resume() == Status.stopped(SIGCHLD)
        assert puppet.resume() == TRAP_STOP
        seen = [may(puppet, IN_AL_DX, port) for port in (PORT, PORT + 1)]
        assert seen == [True, False], "what the child gave up, and what it took"


def test_a_child_has_what_iopl_gave_to_a_parent_without_ports_of_its_own(guest, abi):
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, abi, options=options) as puppet:
        assert call(puppet, "iopl", 3) == 0
        child = puppet.fork()
        assert child.resume() == TRAP_STOP
        assert may(child, IN_AL_DX)
        child.kill()


IOPL_0 = {
    "x86_64": b"\xb8\xac\0\0\0\x31\xff\x0f\x05",  # mov eax, 172; xor edi, edi; syscall
    "i386": b"\xb8\x6e\0\0\0\x31\xdb\xcd\x80",  # mov eax, 110; xor ebx, ebx; int 0x80
}
INC_DX = b"\x66\xff\xc2"


def put_where_it_stands(puppet, code):
    """Have a new program begin with other instructions; return where each byte of them is."""
    at, width = puppet.registers()["ip"], puppet.view.word_bytes
    for place in range(0, len(code), width):
        word = int.from_bytes(code[place : place + width].ljust(width, INT3), "little")
        assert puppet.ptrace(Request.POKETEXT, at + place, word).value == 0
    return at


def test_a_child_has_what_iopl_gave_and_a_new_program_has_all(guest):
    options, abi = Option.TRACEFORK | Option.TRACESYSGOOD, guest.identity.arch.abi
    with start_puppet(guest, abi, options=options) as puppet:
        entry = puppet.own_entry
        assert puppet.call(entry, "ioperm", PORT, 1, 1) == 0
        assert puppet.call(entry, "iopl", 3) == 0
        child = puppet.fork(entry)
        assert child.resume() == TRAP_STOP
        child.prepare_exec()
        assert [child.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP, CALL_STOP]
        pieces = (IN_AL_DX, IOPL_0[abi.name] + b"\xba\x80\0\0\0" + IN_AL_DX, INC_DX + IN_AL_DX)
        start = put_where_it_stands(child, b"".join(pieces))
        child.set_registers(dx=PORT + 1)
        assert child.resume() == Status.stopped(SIGSEGV)
        way = child.registers()["ip"] - start
        child.kill()
    refused = ("what iopl gave", "what ioperm gave", "what nothing gave")
    ends = {len(b"".join(pieces[: n + 1])) - 1: says for n, says in enumerate(refused)}
    assert ends.get(way) == "what nothing gave", f"refused at {way}"
