# SPDX-License-Identifier: Apache-2.0
"""Which exception becomes which signal, and what siginfo and frame say of it.

The emulator's, not the kernel's: in long mode TCG takes a vector twice where it makes the error
code of a gate that is closed (target/i386/tcg/seg_helper.c do_interrupt64, 7.2). Not asked, since
it cannot raise them: #AC, an unmasked SSE exception, and INT1 (f1), which stops the whole machine.

Source: arch/x86/kernel/traps.c, idt.c; arch/x86/mm/fault.c set_signal_archinfo (6.1).
"""

import pytest

from harness.agent.pieces import CODE, PAGE, ROOM, Piece, run_pieces
from harness.agent.ptrace import Status
from harness.agent.puppet import INT3, load_word, start_puppet
from harness.arch import ARCH_I386, ARCH_X86_64, I386, X86_64
from harness.landscape import HOLE

SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV = 4, 5, 7, 8, 11
SI_KERNEL, SEGV_MAPERR, SEGV_ACCERR = 0x80, 1, 2
FPE_INTDIV, FPE_FLTDIV, ILL_ILLOPN, TRAP_TRACE, BUS_ADRERR = 1, 3, 2, 2, 2
DE, DB, BP, OF, BR, UD, GP, PF, MF = 0, 1, 3, 4, 5, 6, 13, 14, 16
NAMES = ("signo", "code", "address", "trap", "error", "ip")
PROTECTED, WRITING, USER, FETCHING = 1, 2, 4, 16
OVERFLOW = 0x202 | 0x800
GATES_FOR_ALL = {3, 4, 0x80}
KERNEL = {
    (ARCH_I386, I386): (0xC100_0000, PROTECTED),
    (ARCH_X86_64, X86_64): (0xFFFF_FFFF_8100_0000, PROTECTED),
}
"""Where the kernel is, and what every fault there looks like, so that nothing is learned of it."""

READ, WRITE = bytes.fromhex("8a03"), bytes.fromhex("8803")  # mov (%ebx), %al; mov %al, (%ebx)
JUMP = bytes.fromhex("ffe3")  # jmp *%ebx
SET_TRAP_FLAG = bytes.fromhex("9c 810c24 00010000 9d 90")  # pushf; or $0x100, (%esp); popf; nop
DIVIDE_BY_ZERO_IN_X87 = bytes.fromhex(
    "68 7b030000 d92c24 58 d9e8 d9ee def9 9b"  # fldcw with #Z unmasked; fld1; fldz; fdivp; fwait
)

# Name: code, registers, and what NAMES then are; the last is counted from the piece's start.
TRAPS = {
    "int3": ("cc", {}, [SIGTRAP, SI_KERNEL, 0, BP, 0, 1]),
    "int $3": ("cd03", {}, [SIGTRAP, SI_KERNEL, 0, BP, 0, 2]),
    "int $4": ("cd04", {}, [SIGSEGV, SI_KERNEL, 0, OF, 0, 2]),
    "ud2": ("0f0b", {}, [SIGILL, ILL_ILLOPN, CODE, UD, 0, 0]),
}
DIVISIONS = {
    "div": ("f7f3", [SIGFPE, FPE_INTDIV, CODE, DE, 0, 0]),
    "idiv": ("f7fb", [SIGFPE, FPE_INTDIV, CODE, DE, 0, 0]),
}
ONLY_32 = {
    "into": ("ce", {"flags": OVERFLOW}, [SIGSEGV, SI_KERNEL, 0, OF, 0, 1]),
    "bound": ("6203", {"eax": 0x7FFF_FFFF, "ebx": ROOM}, [SIGSEGV, SI_KERNEL, 0, BR, 0, 0]),
}
PRIVILEGED = {
    "hlt": "f4",
    "cli": "fa",
    "sti": "fb",
    "in": "ec",
    "out": "ee",
    "lgdt": "0f0113",
    "mov %cr3, %eax": "0f20d8",
    "mov %dr7, %eax": "0f21f8",
    "rdmsr": "0f32",
    "wrmsr": "0f30",
    "clts": "0f06",
    "invd": "0f08",
    "lmsw": "0f01f0",
    "ltr": "0f00d8",
}


def name_of(abi, letters):
    return abi.registers[0][0] + letters


def seen(ran):
    """Return NAMES of the signal that stopped a piece, the ip counted from its start."""
    assert ran.frame, "no signal came"
    return [ran.frame[name] - CODE * (name == "ip") for name in NAMES]


def stop_at(guest, abi, pieces):
    return {name: seen(ran) for name, ran in run_pieces(guest, abi, pieces).items()}


def test_traps_and_invalid_instructions(guest, abi):
    cases = TRAPS | (ONLY_32 if abi is I386 else {})
    pieces = {name: Piece(bytes.fromhex(code), more) for name, (code, more, _) in cases.items()}
    assert stop_at(guest, abi, pieces) == {name: said for name, (_, _, said) in cases.items()}


def test_a_division_by_zero_is_sigfpe_at_the_instruction(guest, abi):
    zero = {name_of(abi, "bx"): 0}
    pieces = {name: Piece(bytes.fromhex(code), zero) for name, (code, _) in DIVISIONS.items()}
    assert stop_at(guest, abi, pieces) == {name: said for name, (_, said) in DIVISIONS.items()}


def test_an_unmasked_x87_exception_is_sigfpe(guest, abi):
    (said,) = stop_at(guest, abi, {"fwait": Piece(DIVIDE_BY_ZERO_IN_X87)}).values()
    place = len(DIVIDE_BY_ZERO_IN_X87) - 1
    assert said == [SIGFPE, FPE_FLTDIV, CODE + place, MF, 0, place]


FNINIT = bytes.fromhex("dbe3")
FPE_FLTOVF, FPE_FLTUND, FPE_FLTRES, FPE_FLTINV = 4, 5, 6, 7
SCALE = "d9e8 d9fd 9b"  # fld1; fscale; fwait, by the number that is on the stack of x87 already
SET_DENORMAL = 8 * "6a00" + "d93424 804c240482 d92424" + 8 * "58" + "9b"
"""push by push room; fnstenv, orb $0x82, 4(%esp), fldenv: no emulator has to notice a denormal."""
# Name: what is computed with which exception unmasked, and what siginfo calls it.
X87 = {
    "zero by zero": (0x01, "d9ee d9ee def9 9b", FPE_FLTINV),
    "too large": (0x08, "68 204e0000 db0424 58" + SCALE, FPE_FLTOVF),
    "too small": (0x10, "68 e0b1ffff db0424 58" + SCALE, FPE_FLTUND),
    "denormal": (0x02, SET_DENORMAL, FPE_FLTUND),
    "inexact": (0x20, "d9e8 6a03 db0424 58 def9 9b", FPE_FLTRES),
}


def test_each_x87_exception_has_a_code_of_its_own(guest, abi):
    """Source: arch/x86/kernel/fpu/core.c fpu__exception_code (6.1).

    Each begins with fninit: on a real processor the last exception is still pending otherwise.
    """
    pieces = {}
    for name, (mask, code, _) in X87.items():
        unmasked = b"\x68" + (0x37F & ~mask).to_bytes(4, "little") + bytes.fromhex("d92c24 58")
        pieces[name] = Piece(FNINIT + unmasked + bytes.fromhex(code))
    seen = {name: one[:2] for name, one in stop_at(guest, abi, pieces).items()}
    assert seen == {name: [SIGFPE, code] for name, (_, _, code) in X87.items()}


def test_the_trap_flag_stops_behind_the_next_instruction(guest, abi):
    (said,) = stop_at(guest, abi, {"popf": Piece(SET_TRAP_FLAG)}).values()
    end = len(SET_TRAP_FLAG)
    assert said == [SIGTRAP, TRAP_TRACE, CODE + end, DB, 0, end]


def test_privileged_instructions_are_general_protection_faults(guest, abi):
    room = {name_of(abi, "bx"): ROOM}
    pieces = {name: Piece(bytes.fromhex(code), room) for name, code in PRIVILEGED.items()}
    expected = [SIGSEGV, SI_KERNEL, 0, GP, 0, 0]
    assert stop_at(guest, abi, pieces) == dict.fromkeys(pieces, expected)


@pytest.mark.claim(14)
def test_no_program_may_raise_any_other_vector(guest, abi):
    vectors = [vector for vector in range(256) if vector not in GATES_FOR_ALL]
    pieces = {hex(vector): Piece(bytes([0xCD, vector])) for vector in vectors}
    expected = {hex(n): [SIGSEGV, SI_KERNEL, 0, GP, n * 8 + 2, 0] for n in vectors}
    by_tcg = {hex(n): [SIGSEGV, SI_KERNEL, 0, GP, n * 16 + 2, 0] for n in vectors}
    assert stop_at(guest, abi, pieces) in (expected, by_tcg)


def test_a_page_fault_says_where_and_how(guest, abi):
    kernel, hidden = KERNEL.get((guest.identity.arch, abi), (0xFFFF_F000, 0))
    none, read_only = ROOM + 2 * PAGE, ROOM + PAGE
    cases = {
        "read at null": (READ, 0, SEGV_MAPERR, USER),
        "write at null": (WRITE, 0, SEGV_MAPERR, USER | WRITING),
        "read of a hole": (READ, HOLE, SEGV_MAPERR, USER),
        "write to a hole": (WRITE, HOLE + 0xFFF, SEGV_MAPERR, USER | WRITING),
        "read of a closed page": (READ, none, SEGV_ACCERR, USER),
        "write to a closed page": (WRITE, none, SEGV_ACCERR, USER | WRITING),
        "write to a read-only page": (WRITE, read_only, SEGV_ACCERR, USER | WRITING),
        "read of the kernel": (READ, kernel, SEGV_MAPERR, USER | hidden),
        "write to the kernel": (WRITE, kernel, SEGV_MAPERR, USER | hidden | WRITING),
    }
    register = name_of(abi, "bx")
    said = stop_at(guest, abi, {n: Piece(c, {register: at}) for n, (c, at, _, _) in cases.items()})
    assert said == {
        name: [SIGSEGV, code, at, PF, error, 0] for name, (_, at, code, error) in cases.items()
    }


SHORT = b"/tmp/short\0"
PRIVATE_FIXED, READABLE, MAPPED = 0x12, 1, 0x2E00_0000


def test_a_page_behind_the_end_of_a_file_is_sigbus(guest, abi):
    """Source: arch/x86/mm/fault.c do_sigbus (6.1)."""
    guest.write_file(SHORT[:-1].decode(), b"short")
    with start_puppet(guest, abi) as puppet:
        puppet.write(puppet.strings.stage, SHORT)
        fd = puppet.call(puppet.own_entry, "open", puppet.strings.stage, 0)
        mmap = abi.mmap
        how = (2 * PAGE, READABLE, PRIVATE_FIXED, fd, 0)
        assert puppet.call(puppet.own_entry, mmap, MAPPED, *how) == MAPPED
        address = MAPPED + PAGE + 5
        puppet.send_to(load_word(abi, address) + INT3)
        assert puppet.resume() == Status.stopped(SIGBUS)
        assert puppet.siginfo() == (SIGBUS, 0, BUS_ADRERR)
        assert puppet.fault_address() == address


BEHIND = MAPPED + PAGE + 5
GROW_AND_READ = {
    I386: (
        "cd80 b8 a3000000 ba 00200000 31f6 cd80 8a83 05100000",
        {"eax": 192, "ebx": MAPPED, "ecx": PAGE, "edx": 1, "esi": 0x31, "edi": -1, "ebp": 0},
    ),
    X86_64: (
        "0f05 b8 19000000 ba 00200000 4531d2 0f05 8a87 05100000",
        {"rax": 9, "rdi": MAPPED, "rsi": PAGE, "rdx": 1, "r10": 0x31, "r8": -1, "r9": 0},
    ),
}
"""Maps a page of shared memory, has mremap make two of it, and reads from the second."""


def test_a_page_behind_the_end_of_what_is_mapped_is_told_like_a_page_fault(guest, abi):
    """Source: arch/x86/mm/fault.c do_sigbus, set_signal_archinfo; mm/shmem.c shmem_fault (6.1)."""
    code, registers = GROW_AND_READ[abi]
    unsigned = {name: value & abi.mask for name, value in registers.items()}
    ran = run_pieces(guest, abi, {"read": Piece(bytes.fromhex(code), unsigned)})["read"]
    place = len(bytes.fromhex(code)) - 6
    assert seen(ran) == [SIGBUS, BUS_ADRERR, BEHIND, PF, USER, place]
    assert ran.frame["cr2"] == BEHIND


def test_a_jump_to_where_nothing_is_faults_there(guest, abi):
    register = name_of(abi, "bx")
    places = {"null": 0, "hole": HOLE, "end of a page": HOLE + 0xFFF}
    said = stop_at(guest, abi, {name: Piece(JUMP, {register: at}) for name, at in places.items()})
    kept = {name: [*one[:4], one[4] & ~FETCHING, one[5]] for name, one in said.items()}
    assert kept == {
        name: [SIGSEGV, SEGV_MAPERR, at, PF, USER, at - CODE] for name, at in places.items()
    }


@pytest.mark.needs(arch="x86_64")
def test_a_jump_to_data_is_refused_there(guest, abi):
    """The 686 kernels of i386 have no bit against it in their page tables."""
    register = name_of(abi, "bx")
    said = stop_at(guest, abi, {"data": Piece(JUMP, {register: ROOM + 8})})
    error = USER | PROTECTED | FETCHING
    assert said["data"] == [SIGSEGV, SEGV_ACCERR, ROOM + 8, PF, error, ROOM + 8 - CODE]


@pytest.mark.abis("x86_64")
def test_an_address_that_is_none_is_a_general_protection_fault(guest, abi):
    places = (0x8000_0000_0000, 0xFFFF_7FFF_FFFF_FFFF)
    pieces = {hex(at): Piece(READ, {"rbx": at}) for at in places}
    expected = [SIGSEGV, SI_KERNEL, 0, GP, 0, 0]
    assert stop_at(guest, abi, pieces) == dict.fromkeys(pieces, expected)


def test_a_bad_selector_is_named_in_the_error_code(guest, abi):
    register = name_of(abi, "ax")
    selectors = {hex(s): s for s in (0x10, 0x1003, 0xFFFB, 0x7)}
    load = bytes.fromhex("8ec0")  # mov %eax, %es
    said = stop_at(guest, abi, {n: Piece(load, {register: s}) for n, s in selectors.items()})
    assert said == {n: [SIGSEGV, SI_KERNEL, 0, GP, s & 0xFFFC, 0] for n, s in selectors.items()}


def test_an_exceptions_frame_holds_every_register(guest, abi):
    pieces = {"ud2": Piece(b"\x0f\x0b"), "hlt": Piece(b"\xf4"), "int3": Piece(b"\xcc")}
    pieces["page fault"] = Piece(READ, {name_of(abi, "bx"): HOLE})
    for name, ran in run_pieces(guest, abi, pieces).items():
        frame = {register: ran.frame[register] for register in abi.registers}
        before = {register: ran.before[register] for register in abi.registers}
        assert frame == before, name
        assert {register: ran.after[register] for register in abi.registers} == before, name
        assert ran.frame["flags"] & ~0x10000 == 0x202, name


def test_an_error_code_is_not_that_of_an_earlier_exception(guest, abi):
    """Source: arch/x86/kernel/traps.c do_trap_no_signal, math_error, send_sigtrap (6.1)."""
    none = {name: Piece(bytes.fromhex(code), more) for name, (code, more, _) in TRAPS.items()}
    none["div"] = Piece(bytes.fromhex(DIVISIONS["div"][0]), {name_of(abi, "bx"): 0})
    none |= {"x87": Piece(DIVIDE_BY_ZERO_IN_X87), "trap flag": Piece(SET_TRAP_FLAG)}
    fault = Piece(WRITE, {name_of(abi, "bx"): HOLE})
    pieces = {}
    for name, one in none.items():
        pieces |= {f"a page fault before {name}": fault, name: one}
    errors = {
        name: said[NAMES.index("error")] for name, said in stop_at(guest, abi, pieces).items()
    }
    assert errors == {name: 0 if name in none else USER | WRITING for name in pieces}


def test_an_address_stays_in_the_frame_of_page_faults_only(guest, abi):
    register = name_of(abi, "bx")
    ran = run_pieces(guest, abi, {"fault": Piece(READ, {register: HOLE + 0x123})})
    assert ran["fault"].frame["cr2"] == HOLE + 0x123
