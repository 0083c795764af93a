# SPDX-License-Identifier: Apache-2.0
"""Sets of registers besides the general ones, which a tracer sees and sets as a whole.

Source: arch/x86/kernel/ptrace.c ioperm_get, x86_64_regsets, x86_32_regsets, PTRACE_ARCH_PRCTL;
arch/x86/kernel/fpu/regset.c xstateregs_set, fpregs_get, twd_fxsr_to_i387; arch/x86/kernel/tls.c
regset_tls_set (6.1).
"""

import struct
from errno import EFAULT, EINVAL, EIO, ENXIO, EOPNOTSUPP, EPERM

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import TRAP_STOP, Request
from harness.agent.puppet import INT3, start_puppet
from harness.arch import ARCH_I386, I386, X86_64
from harness.entry import INT80
from harness.landscape import ARENA, EDGE, HOLE

NT_PRFPREG, NT_PRXFPREG = 2, 0x46E6_2B7F
NT_386_TLS, NT_386_IOPERM, NT_X86_XSTATE = 0x200, 0x201, 0x202
BOTH = (Request.GETREGSET, Request.SETREGSET)


@pytest.fixture
def puppet(guest, abi):
    """Give a process of `abi` that is traced by one of the kernel's own."""
    with start_puppet(guest, abi) as puppet:
        yield puppet


def get(puppet, kind, size=4096):
    return puppet.regset(Request.GETREGSET, kind, Buffer(size), size)


def put(puppet, kind, content):
    return puppet.regset(Request.SETREGSET, kind, content, len(content)).errno


PORTS_BYTES = 8192


def test_the_set_of_ports_has_a_bit_for_each(puppet):
    """A bit is clear where the program may use the port."""
    assert get(puppet, NT_386_IOPERM, PORTS_BYTES).errno == ENXIO, "before there is any"
    expected = bytearray(b"\xff" * PORTS_BYTES)
    for first, count in ((0x3F6, 4), (0xFFFF, 1)):
        assert puppet.call(puppet.own_entry, "ioperm", first, count, 1) == 0
        for port in range(first, first + count):
            expected[port // 8] &= ~(1 << port % 8)
    said = get(puppet, NT_386_IOPERM, PORTS_BYTES + 8)
    assert (said.errno, said.size_bytes) == (None, PORTS_BYTES)
    assert said.content == bytes(expected) + b"\xa5" * 8
    assert put(puppet, NT_386_IOPERM, bytes(8)) == EOPNOTSUPP


NORMAL, INFINITE = (struct.pack("<QH", 1 << 63 | 0x1234, exponent) for exponent in (0x3FFF, 0x7FFF))
ZERO, DENORMAL = bytes(10), struct.pack("<QH", 1, 0)
STACK = (NORMAL, ZERO, INFINITE, DENORMAL, NORMAL, NORMAL, ZERO, NORMAL)
TOP_IS_3, FULL, TAGS = 3 << 11, 0b0111_1110, 0b11_10_10_01_00_00_01_11
"""The stack begins with the processor's fourth register; its first and its last are empty. By two
bits each: valid, zero, special, empty. Source: Intel SDM volume 1, 8.1.7."""
FSAVE_BYTES, CODE, DATA = 108, 0x71, 0x79


def fxsave(status, full, registers, opcode=0x7A5):
    code, operand = (0x1234, CODE), (0x5678, DATA)
    head = struct.pack("<HHBxH6I", 0x27F, status, full, opcode, *code, *operand, 0x1F80, 0)
    return (head + b"".join(one.ljust(16, b"\0") for one in registers)).ljust(512, b"\0")


def fsave(status, tags, registers):
    code, operand = (0x1234, 0x7A5 << 16 | CODE), (0x5678, DATA)
    head = struct.pack("<7I", 0x27F, status, tags, *code, *operand)
    return head + b"".join(registers)


@pytest.fixture
def narrow(guest):
    """Give a 32-bit process that is traced by another."""
    with start_puppet(guest, I386, INT80) as puppet:
        yield puppet


def test_x87_state_is_shown_in_its_older_form(guest, narrow):
    on_i386 = guest.identity.arch is ARCH_I386
    assert put(narrow, NT_PRXFPREG, fxsave(TOP_IS_3, FULL, STACK)) is None
    said = get(narrow, NT_PRFPREG, FSAVE_BYTES + 8)
    assert (said.errno, said.size_bytes) == (None, FSAVE_BYTES)
    by_request = narrow.ptrace(Request.GETFPREGS, 0, Buffer(FSAVE_BYTES)).memory[0]
    for seen in (said.content, by_request):
        control, status, tags, ip, code, operand, data = struct.unpack_from("<7I", seen)
        assert (hex(control), hex(status)) == ("0xffff027f", hex(0xFFFF_0000 | TOP_IS_3))
        assert bin(tags & 0xFFFF) == bin(TAGS)
        assert (hex(ip), hex(operand)) == ("0x1234", "0x5678")
        # a 64-bit kernel has the program's segments there and no opcode
        assert hex(code) == hex(0x7A5 << 16 | CODE if on_i386 else narrow.home["cs"])
        assert hex(data) == hex(DATA if on_i386 else 0xFFFF_0000 | narrow.home["ds"])
        assert seen[28:FSAVE_BYTES].hex() == b"".join(STACK).hex()


@pytest.mark.needs(since="5.14")
def test_state_is_set_as_a_whole_or_not_at_all(puppet, narrow):
    """Source: arch/x86/kernel/fpu/regset.c xfpregs_set, fpregs_set (5.14); tls.c (6.1)."""
    image = fxsave(TOP_IS_3, FULL, STACK)
    wide, kinds = NT_PRFPREG if puppet.abi is not I386 else NT_PRXFPREG, {}
    kinds["fxsave"] = puppet, wide, 512
    kinds["fsave"] = narrow, NT_PRFPREG, FSAVE_BYTES
    for says, (process, kind, size) in kinds.items():
        before = get(process, kind, size).content
        short = put(process, kind, image[: size - process.view.bits // 8])
        nowhere = process.regset(Request.SETREGSET, kind, HOLE, size).errno
        edge = process.regset(Request.SETREGSET, kind, EDGE.end - size + 8, size).errno
        assert (says, short, nowhere, edge) == (says, EINVAL, EFAULT, EFAULT)
        told = process.regset(Request.GETREGSET, kind, HOLE, size).errno
        assert (says, told) == (says, EFAULT)
        assert get(process, kind, size).content == before, says
    entries = [narrow.regset(one, NT_386_TLS, HOLE, 16).errno for one in BOTH]
    assert entries == [EFAULT] * 2


def set_by_request(narrow, content):
    return narrow.ptrace(Request.SETFPREGS, 0, content).errno


def set_by_set(narrow, content):
    return put(narrow, NT_PRFPREG, content)


def test_x87_state_is_set_in_its_older_form(guest, narrow):
    on_i386 = guest.identity.arch is ARCH_I386
    empty = changed(fxsave(0, 0, [bytes(10)] * 8, 0), 8, bytes(16))
    for way in (set_by_request, set_by_set):
        assert put(narrow, NT_PRXFPREG, empty) is None
        assert way(narrow, fsave(TOP_IS_3, TAGS, STACK)) is None
        seen, expected = get(narrow, NT_PRXFPREG, 512).content, fxsave(TOP_IS_3, FULL, STACK)
        assert seen[:8].hex() == expected[:8].hex(), f"control, status, tags, code: {way.__name__}"
        # a 64-bit kernel has 64 bits for each pointer and no room for a selector
        pointers = expected[8:24] if on_i386 else struct.pack("<QQ", 0x1234, 0x5678)
        assert seen[8:24].hex() == pointers.hex(), f"pointers: {way.__name__}"
        assert seen[32:160].hex() == expected[32:160].hex(), f"registers: {way.__name__}"


def test_sse_state_has_requests_of_its_own(guest, narrow):
    """A 32-bit kernel says EIO whatever is wrong: ptrace.c PTRACE_GETFPXREGS, PTRACE_SETFPXREGS."""
    image = fxsave(TOP_IS_3, FULL, STACK)[:160] + bytes(range(1, 129)) + bytes(224)
    assert narrow.ptrace(Request.SETFPXREGS, 0, image).errno is None
    said = narrow.ptrace(Request.GETFPXREGS, 0, Buffer(520))
    assert said.errno is None
    seen = said.memory[0]
    assert (seen[:5].hex(), seen[24:28].hex()) == (image[:5].hex(), image[24:28].hex())
    assert seen[32:288].hex() == image[32:288].hex(), "registers of x87 and of SSE"
    assert seen[512:] == b"\xa5" * 8
    requests = (Request.GETFPXREGS, Request.SETFPXREGS)
    refused = {one.name: narrow.ptrace(one, 0, HOLE).errno for one in requests}
    wrong = EIO if guest.identity.arch is ARCH_I386 else EFAULT
    assert refused == dict.fromkeys(refused, wrong)


@pytest.mark.machine(cpu="EPYC")
def test_x87_state_set_in_its_older_form_is_there_where_it_was_the_initial_one(narrow):
    """Source: arch/x86/kernel/fpu/regset.c fpregs_set, XFEATURE_MASK_FP (6.1)."""
    said = get(narrow, NT_X86_XSTATE)
    image = changed(said.content[: said.size_bytes], XSTATE_BV, bytes(8))
    assert put(narrow, NT_X86_XSTATE, image) is None
    assert set_by_set(narrow, fsave(TOP_IS_3, TAGS, STACK)) is None
    seen = get(narrow, NT_PRXFPREG, 512).content
    assert seen[32:160].hex() == fxsave(TOP_IS_3, FULL, STACK)[32:160].hex()


UPPER_HALF = slice(288, 416)


@pytest.mark.needs(arch="x86_64", since="5.14")
def test_a_narrow_tracer_leaves_nothing_in_registers_that_it_has_not(guest):
    """Source: arch/x86/kernel/fpu/regset.c xfpregs_set (5.14)."""
    image = fxsave(0, 0, [bytes(10)] * 8)
    image = changed(image, 160, bytes(range(256)))
    with start_puppet(guest, X86_64, INT80) as puppet:
        assert puppet.ptrace(Request.SETFPXREGS, 0, image).value == 0
        seen = get(puppet, NT_PRFPREG, 512).content
        assert seen[160:288].hex() == image[160:288].hex()
        assert seen[UPPER_HALF].hex() == bytes(128).hex()


TLS = struct.Struct("<IIII")
USABLE, EMPTY = 0x51, 0x28
"""Flags of struct user_desc: 32 bits, its limit in pages, usable; as an unused entry is shown."""


def test_entries_of_the_thread_are_emptied_and_none_that_makes_no_sense_is_taken(narrow):
    first = struct.unpack_from("<I", get(narrow, NT_386_TLS, 48).content)[0]
    good, zeros = TLS.pack(first, 0x5000, 0xFFFFF, USABLE), TLS.pack(first + 1, 0, 0, 0)
    assert put(narrow, NT_386_TLS, good + TLS.pack(first + 1, 0x7000, 1, USABLE)) is None
    cases = {
        "half an entry": (good[:8], EINVAL),
        "one and a half": (good + good[:8], EINVAL),
        "of 16 bits": (TLS.pack(first, 0, 1, USABLE - 1), EINVAL),
        "code": (TLS.pack(first, 0, 1, USABLE | 4), EINVAL),
        "a good one, and of 16 bits": (zeros + TLS.pack(first, 0, 1, USABLE - 1), EINVAL),
    }
    seen = {says: put(narrow, NT_386_TLS, content) for says, (content, _) in cases.items()}
    assert seen == {says: error for says, (_, error) in cases.items()}
    assert put(narrow, NT_386_TLS, good + zeros) is None
    unused = [TLS.pack(first + n, 0, 0, EMPTY) for n in (1, 2)]
    assert get(narrow, NT_386_TLS, 48).content == good + b"".join(unused)


SET_GS, SET_FS, GET_FS, GET_GS = range(0x1001, 0x1005)
USER_DATA = 0x2B


@pytest.mark.abis("x86_64")
def test_a_tracer_is_told_bases_and_sets_them(guest, puppet):
    at, bases = ARENA.start + 0x1000, {}
    puppet.set_registers(fs=USER_DATA, gs=USER_DATA)
    for setting, getting, name in ((SET_FS, GET_FS, "fs_base"), (SET_GS, GET_GS, "gs_base")):
        base = 0x1234_5678_9000 + setting
        assert puppet.ptrace(Request.ARCH_PRCTL, base, setting).value == 0
        assert puppet.ptrace(Request.ARCH_PRCTL, at, getting).value == 0
        told = int.from_bytes(guest.read(puppet.abi, at, 8), "little")
        bases[name] = hex(told - setting), hex(puppet.registers()[name] - setting)
        past = puppet.ptrace(Request.ARCH_PRCTL, 0x7FFF_FFFF_F000, setting).errno
        assert (name, past) == (name, EPERM)
    assert bases == dict.fromkeys(bases, ("0x123456789000", "0x123456789000"))
    selectors = {name: puppet.registers()[name] for name in ("fs", "gs")}
    assert selectors == {"fs": 0, "gs": 0}
    assert puppet.ptrace(Request.ARCH_PRCTL, 0, 0x1005).errno == EINVAL


CPUID_13 = b"\xb8\x0d\0\0\0\x31\xc9\x0f\xa2"  # mov eax, 13; xor ecx, ecx; cpuid
MXCSR, XSTATE_BV, XCOMP_BV, RESERVED, UPPER = 24, 512, 520, 528, 576


def changed(image, at, content):
    return image[:at] + content + image[at + len(content) :]


@pytest.mark.machine(cpu="EPYC")
def test_the_extended_set_is_as_large_as_the_processor_says_and_has_all(puppet):
    puppet.send_to(CPUID_13 + INT3)
    assert puppet.resume() == TRAP_STOP
    size = puppet.registers()["bx"] & 0xFFFF_FFFF
    said = get(puppet, NT_X86_XSTATE)
    assert (said.errno, said.size_bytes) == (None, size)
    assert said.content[464] & 7 == 7, "what the kernel says there is of state"
    upper = bytes(range(1, 129))
    image = changed(said.content[:size], XSTATE_BV, b"\7")
    assert put(puppet, NT_X86_XSTATE, changed(image, UPPER, upper)) is None
    puppet.send_to(INT3)
    assert puppet.resume() == TRAP_STOP
    assert get(puppet, NT_X86_XSTATE).content[UPPER:][:128] == upper
    cases = {
        "compacted": changed(image, XCOMP_BV + 7, b"\x80"),
        "reserved": changed(image, RESERVED + 47, b"\1"),
        "unknown": changed(image, XSTATE_BV + 2, b"\x10"),
    }
    seen = {says: put(puppet, NT_X86_XSTATE, content) for says, content in cases.items()}
    assert seen == dict.fromkeys(cases, EINVAL)
    assert put(puppet, NT_X86_XSTATE, image[: size - 8]) == EFAULT
    assert puppet.regset(Request.SETREGSET, NT_X86_XSTATE, HOLE, size).errno == EFAULT


@pytest.mark.machine(cpu="EPYC")
@pytest.mark.needs(since="5.14")
def test_a_control_of_sse_that_cannot_be_is_refused_and_another_taken_without_x87(puppet):
    """Source: arch/x86/kernel/fpu/xstate.c copy_uabi_to_xstate; regset.c xfpregs_set (5.14)."""
    said = get(puppet, NT_X86_XSTATE)
    image = changed(said.content[: said.size_bytes], XSTATE_BV, b"\7")
    wide = NT_PRFPREG if puppet.abi is not I386 else NT_PRXFPREG
    assert put(puppet, NT_X86_XSTATE, image) is None
    unknown = changed(image, MXCSR + 2, b"\1")
    assert (put(puppet, NT_X86_XSTATE, unknown), put(puppet, wide, unknown[:512])) == (EINVAL,) * 2
    for features in (b"\2", b"\4"):
        for control in ("807f", "801f"):
            part = changed(changed(image, XSTATE_BV, features), MXCSR, bytes.fromhex(control))
            assert put(puppet, NT_X86_XSTATE, part) is None
            seen = get(puppet, NT_X86_XSTATE).content
            assert seen[MXCSR : MXCSR + 2].hex() == control, features
