# SPDX-License-Identifier: Apache-2.0
"""The registers of a traced process, in every way that ptrace shows and sets them.

An `entry` is here the one by which the tracer calls ptrace, and `abi` that of the traced process.

Source: arch/x86/kernel/ptrace.c getreg, putreg, set_segment_reg, set_flags, ptrace_set_debugreg,
user_x86_64_view, user_x86_32_view; arch/x86/include/asm/user_{32,64}.h (6.1).
"""

from errno import EINVAL, EIO
from signal import SIGUSR1

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import (
    CALL_STOP,
    DEBUG_REGISTERS,
    LAYOUTS,
    TRAP_STOP,
    Request,
    Status,
    decode_registers,
    encode_registers,
    plain_name,
)
from harness.agent.puppet import INSTRUCTIONS, start_puppet
from harness.arch import ARCH_I386, I386
from harness.entry import SYSCALL

pytestmark = pytest.mark.entries("syscall", "int80")

NT_PRSTATUS, NT_PRFPREG, NT_X86_XSTATE, NT_PRXFPREG = 1, 2, 0x202, 0x46E6_2B7F
FLAG_MASK = 0x50DD5  # CF PF AF ZF SF TF DF OF RF AC, and on a 64-bit kernel NT
NT, TRAP, TRAP_TRACE = 0x4000, 0x100, 2


@pytest.fixture
def puppet(guest, entry, abi):
    """Give a process of `abi` that is traced by `entry`."""
    with start_puppet(guest, abi, entry) as puppet:
        yield puppet


def at_exit(puppet, **registers):
    puppet.prepare(puppet.own_entry, "getppid", 11, 12, 13, 14, 15, 16, **registers)
    puppet.resume(Request.SYSCALL)
    assert puppet.resume(Request.SYSCALL) == CALL_STOP


def offset(puppet, name):
    return LAYOUTS[puppet.view].index(name) * puppet.view.bits // 8


def peek(puppet, at):
    said = puppet.ptrace(Request.PEEKUSER, at, Buffer(puppet.view.bits // 8))
    assert said.value == 0
    return int.from_bytes(said.memory[0], "little")


def poke(puppet, at, value):
    return puppet.ptrace(Request.POKEUSER, at, value).errno


def get_regset(puppet, kind, size=4096):
    return puppet.regset(Request.GETREGSET, kind, Buffer(size), size)


def set_regset(puppet, kind, content):
    return puppet.regset(Request.SETREGSET, kind, content, len(content))


@pytest.mark.claim(35)
def test_every_way_of_looking_shows_the_same_registers(puppet):
    at_exit(puppet)
    seen = puppet.registers()
    peeked = {name: peek(puppet, offset(puppet, name)) for name in seen}
    said = get_regset(puppet, NT_PRSTATUS)
    assert peeked == seen
    assert (said.errno, said.size_bytes) == (None, len(LAYOUTS[puppet.abi]) * puppet.abi.bits // 8)
    assert said.content[said.size_bytes :] == b"\xa5" * (4096 - said.size_bytes)
    whole = decode_registers(said.content[: said.size_bytes], puppet.abi)
    mask = puppet.view.mask & puppet.abi.mask
    common = whole.keys() & seen.keys()
    assert {n: whole[n] & mask for n in common} == {n: seen[n] & mask for n in common}


def test_part_of_a_register_set_is_given_and_its_size(puppet):
    at_exit(puppet)
    size = puppet.abi.bits // 8
    whole = get_regset(puppet, NT_PRSTATUS).content
    part = get_regset(puppet, NT_PRSTATUS, 3 * size)
    assert (part.errno, part.size_bytes, part.content) == (None, 3 * size, whole[: 3 * size])
    assert get_regset(puppet, NT_PRSTATUS, 3 * size + 1).errno == EINVAL
    assert get_regset(puppet, 0x7777).errno == EINVAL


def set_by_words(puppet, chosen):
    for name, value in chosen.items():
        assert poke(puppet, offset(puppet, name), value) is None, name


def set_by_structure(puppet, chosen):
    puppet.set_registers(**chosen)


def set_by_set(puppet, chosen):
    layout = LAYOUTS[puppet.abi]
    old = get_regset(puppet, NT_PRSTATUS, len(layout) * puppet.abi.bits // 8).content
    record = encode_registers(decode_registers(old, puppet.abi) | chosen, puppet.abi)
    assert set_regset(puppet, NT_PRSTATUS, record).errno is None


@pytest.mark.parametrize("way", [set_by_words, set_by_structure, set_by_set])
def test_every_register_set_is_what_the_program_has(puppet, way):
    at_exit(puppet)
    view = puppet.abi if way is set_by_set else puppet.view
    general = [plain_name(name) for name in puppet.abi.registers]
    there = [name for name in LAYOUTS[view] if name in general]
    chosen = {name: 0x0BAD_0000 + 0x101 * place for place, name in enumerate(there)}
    chosen |= {"sp": puppet.strings.stage + 0x8000, "flags": 0xAD7, "fs": user_ds(puppet)}
    way(puppet, chosen)
    seen = puppet.registers()
    common = chosen.keys() & seen.keys()
    assert {name: seen[name] for name in common} == {name: chosen[name] for name in common}
    puppet.resume()
    found = puppet.after()
    assert {name: found[name] for name in chosen} == chosen


def user_ds(puppet):
    """Return a data segment that every program may load: that of its stack."""
    return puppet.home["ss"]


def test_places_that_are_no_registers_are_refused_and_others_read_as_zero(guest, puppet):
    """A 64-bit kernel lets 32-bit tracers set the latter in vain: putreg32 (6.1)."""
    size = puppet.view.bits // 8
    user, registers = (288, 68) if puppet.view is I386 else (928, 216)
    outside = (*range(1, size), size + 1, user, user + size, -size, 0x1000_0000)
    assert {at: puppet.ptrace(Request.PEEKUSER, at, Buffer(size)).errno for at in outside} == (
        dict.fromkeys(outside, EIO)
    )
    assert {at: poke(puppet, at, 0) for at in outside} == dict.fromkeys(outside, EIO)
    between = (registers, registers + size)
    narrow = puppet.view is I386 and guest.identity.arch is not ARCH_I386
    answer = None if narrow else EIO
    assert {at: poke(puppet, at, 1) for at in between} == dict.fromkeys(between, answer)
    assert {at: peek(puppet, at) for at in between} == dict.fromkeys(between, 0)


def test_a_segment_of_the_kernels_is_refused(puppet):
    at_exit(puppet)
    before = puppet.registers()
    for name in ("cs", "ss", "ds", "es", "fs", "gs"):
        values = [0x8, 0x10, 0x60, 0x1, 0x2] + [0] * (name in ("cs", "ss"))
        answers = {value: poke(puppet, offset(puppet, name), value) for value in values}
        assert answers == dict.fromkeys(values, EIO), name
    assert puppet.registers() == before


def test_only_a_programs_flags_can_be_set(puppet, guest):
    at_exit(puppet)
    old = puppet.registers()["flags"]
    mask = FLAG_MASK | (NT if guest.identity.arch.name == "x86_64" else 0)
    seen = {}
    for value in (0xFFFF_FFFF, 0):
        assert poke(puppet, offset(puppet, "flags"), value) is None
        seen[value] = puppet.registers()["flags"]
    assert seen == {0xFFFF_FFFF: old & ~mask | mask, 0: old & ~mask}


def test_a_trap_flag_that_is_set_while_stepping_is_the_programs_own(puppet):
    """A step's own is hidden, and ends with the steps: set_flags of arch/x86/kernel/ptrace.c."""
    puppet.send_to(b"\x90\x90\x90\xcc")
    assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
    flags = puppet.registers()["flags"]
    assert not flags & TRAP, "the step's"
    assert poke(puppet, offset(puppet, "flags"), flags | TRAP) is None
    assert puppet.registers()["flags"] & TRAP, "the one that was set, as a tracer sees it"
    assert puppet.resume() == TRAP_STOP
    seen = puppet.registers()["ip"] - puppet.strings.stage, puppet.siginfo()[2]
    assert seen == (2, TRAP_TRACE), "where the program traps by itself"


def test_a_selector_of_nothing_is_loaded_as_null(puppet):
    at_exit(puppet)
    assert poke(puppet, offset(puppet, "fs"), 0x7) is None
    puppet.resume()
    assert puppet.after()["fs"] == 0


@pytest.mark.entries("syscall")
@pytest.mark.abis("x86_64")
def test_no_data_segment_of_nothing_is_loaded(puppet):
    """Source: arch/x86/entry/entry_64.S asm_load_gs_index; asm/segment.h loadsegment (6.1)."""
    at_exit(puppet)
    names = ("ds", "es", "fs", "gs")
    puppet.set_registers(**dict.fromkeys(names, 0xFFF7))
    puppet.resume()
    found = puppet.after()
    assert {name: found[name] for name in names} == dict.fromkeys(names, 0)


TRAP_HWBKPT = 4
WATCH_WRITE_4, BREAK, WATCH_IO, WATCH_WRITE_8 = 0xD0001, 0x1, 0x20001, 0x90001
WATCHED = 0x104


def debug_register(puppet, number):
    return DEBUG_REGISTERS[puppet.view] + number * puppet.view.bits // 8


def arm(puppet, address, control):
    """Set the first address and the control register, and return both answers."""
    return [poke(puppet, debug_register(puppet, n), v) for n, v in ((0, address), (7, control))]


def store(puppet, address):
    """Assemble: mov dword [address], 1."""
    opcode = b"\xc7\x05" if puppet.abi is I386 else b"\xc7\x04\x25"
    return opcode + address.to_bytes(4, "little") + b"\1\0\0\0"


def test_a_watched_store_traps_behind_itself(puppet):
    watched = puppet.strings.stage + WATCHED
    assert arm(puppet, watched, WATCH_WRITE_4) == [None, None]
    code = store(puppet, watched + 4) + store(puppet, watched + 3) + store(puppet, watched)
    puppet.send_to(code + b"\xcc")
    ends = [puppet.strings.stage + len(code) * n // 3 for n in (2, 3)]
    for end in ends:
        assert puppet.resume() == TRAP_STOP
        assert (puppet.registers()["ip"], puppet.siginfo()[2]) == (end, TRAP_HWBKPT)
        assert peek(puppet, debug_register(puppet, 6)) & 0xF == 1


def test_a_breakpoint_traps_before_its_instruction_once(puppet):
    assert arm(puppet, puppet.strings.stage + 1, BREAK) == [None, None]
    puppet.send_to(b"\x90\x90\x90\xcc")
    assert puppet.resume() == TRAP_STOP
    seen = puppet.registers()["ip"] - puppet.strings.stage, puppet.siginfo()[2]
    assert seen == (1, TRAP_HWBKPT)
    assert puppet.resume() == TRAP_STOP
    assert puppet.registers()["ip"] - puppet.strings.stage == 4


def test_a_breakpoint_taken_back_traps_no_more(puppet):
    assert arm(puppet, puppet.strings.stage + 1, BREAK) == [None, None]
    assert peek(puppet, debug_register(puppet, 0)) == puppet.strings.stage + 1
    assert peek(puppet, debug_register(puppet, 7)) == BREAK
    assert arm(puppet, puppet.strings.stage + 1, 0) == [None, None]
    puppet.send_to(b"\x90\x90\x90\xcc")
    assert puppet.resume() == TRAP_STOP
    assert puppet.registers()["ip"] - puppet.strings.stage == 4


def test_breakpoints_that_cannot_be_are_refused(puppet, guest):
    stage = puppet.strings.stage
    last = 0xBFFF_FFFF if guest.identity.arch.name == "i386" else 0x7FFF_FFFF_EFFF
    last = min(last, puppet.view.mask)
    cases = {
        "the last address": (last, BREAK, [None, None]),
        "at an odd address": (stage + 1, WATCH_WRITE_4, [None, EINVAL]),
        "of an i/o port": (stage, WATCH_IO, [None, EINVAL]),
    }
    if puppet.view.mask > last:
        cases["the first past a program's"] = (last + 1, 0, [EINVAL, None])
        cases["the kernel's"] = (puppet.view.mask - 0xFFF, 0, [EINVAL, None])
    for says, (address, control, expected) in cases.items():
        arm(puppet, stage, 0)
        assert arm(puppet, address, control) == expected, says
    assert [poke(puppet, debug_register(puppet, n), 0) for n in (4, 5)] == [EIO, EIO]


def fx_image(seed):
    """Return an image of FXSAVE: default control words, and registers that tell themselves apart.

    Source: Intel SDM volume 1, table 10-2.
    """
    image = bytearray(512)
    image[0:2], image[24:28], image[28:32] = b"\x7f\x03", b"\x80\x1f\0\0", b"\xff\xff\0\0"
    for number in range(8):
        image[32 + 16 * number : 42 + 16 * number] = bytes([seed + number]) * 8 + b"\xff\x3f"
        image[160 + 16 * number : 176 + 16 * number] = bytes([seed + 16 + number]) * 16
    return bytes(image)


def legacy_image(puppet, operation):
    """Assemble: fxsave or fxrstor of the stage's second page."""
    opcode = {"save": (b"\x0f\xae\x05", b"\x0f\xae\x04\x25")}
    opcode |= {"restore": (b"\x0f\xae\x0d", b"\x0f\xae\x0c\x25")}
    page = puppet.strings.stage + 0x1000
    return opcode[operation][puppet.abi is not I386] + page.to_bytes(4, "little")


def fx_request(puppet, request):
    """GETFPREGS and SETFPREGS are the whole image for 64-bit tracers; others have an old format."""
    return {"GET": (18, 14), "SET": (19, 15)}[request][puppet.view is not I386]


def test_floating_point_registers_are_those_that_the_program_loaded(puppet):
    image = fx_image(0x20)
    puppet.write(puppet.strings.stage + 0x1000, image)
    puppet.send_to(legacy_image(puppet, "restore") + b"\xcc")
    assert puppet.resume() == TRAP_STOP
    shown = {
        "request": puppet.ptrace(fx_request(puppet, "GET"), 0, Buffer(512)).memory[0],
        "set": get_regset(puppet, fx_set(puppet), 512).content,
        "extended set": get_regset(puppet, NT_X86_XSTATE, 4096).content,
    }
    for says, whole in shown.items():
        if says != "extended set" or whole[:2] != b"\xa5\xa5":
            assert whole[24:28] == image[24:28], says
            assert whole[32:288] == image[32:288], says


def fx_set(puppet):
    return NT_PRXFPREG if puppet.abi is I386 else NT_PRFPREG


def set_fp_by_request(puppet, image):
    assert puppet.ptrace(fx_request(puppet, "SET"), 0, image).value == 0


def set_fp_by_set(puppet, image):
    assert set_regset(puppet, fx_set(puppet), image).errno is None


def test_floating_point_registers_set_are_what_the_program_finds(puppet):
    for seed, way in ((0x40, set_fp_by_request), (0x60, set_fp_by_set)):
        image = fx_image(seed)
        puppet.send_to(legacy_image(puppet, "save") + b"\xcc")
        way(puppet, image)
        assert puppet.resume() == TRAP_STOP
        found = puppet.read(puppet.strings.stage + 0x1000, 512)
        assert found[24:28] == image[24:28], way.__name__
        assert found[32:288] == image[32:288], way.__name__


@pytest.mark.needs(since="5.14")
def test_a_control_word_with_reserved_bits_is_refused(puppet):
    image = bytearray(fx_image(0x40))
    image[24:28] = b"\xff\xff\xff\xff"
    assert set_regset(puppet, fx_set(puppet), bytes(image)).errno == EINVAL


@pytest.mark.needs(arch="x86_64")
@pytest.mark.entries("syscall")
def test_code_segments_of_either_width_can_be_set(puppet):
    inc_eax_or_rex = b"\x40\xcc"
    seen = {}
    for cs in (0x23, 0x33):
        puppet.send_to(inc_eax_or_rex, cs=cs, ax=7)
        assert puppet.resume() == TRAP_STOP
        seen[cs] = puppet.registers()["cs"], puppet.registers()["ax"]
    assert seen == {0x23: (0x23, 8), 0x33: (0x33, 7)}


@pytest.mark.needs(arch="x86_64")
@pytest.mark.entries("syscall")
@pytest.mark.abis("x86_64")
def test_a_code_segment_set_at_the_end_of_a_call_is_not_sysrets(puppet):
    """Nothing else is changed: rcx and r11 are as it wants them. Source: do_syscall_64 (6.12)."""
    puppet.send_to(INSTRUCTIONS["syscall"] + b"\x40\xcc", ax=puppet.number(SYSCALL, "getppid"))
    assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2
    puppet.set_registers(cs=0x23, ax=7)
    assert puppet.resume() == TRAP_STOP
    assert (puppet.registers()["cs"], puppet.registers()["ax"]) == (0x23, 8), "inc eax, or REX"


@pytest.mark.entries("syscall")
@pytest.mark.abis("x86_64")
@pytest.mark.parametrize("name", ["fs_base", "gs_base"])
def test_a_base_set_is_what_the_program_addresses_by(puppet, name):
    prefix = {"fs_base": b"\x64", "gs_base": b"\x65"}[name]
    puppet.send_to(prefix + b"\x48\x8b\x04\x25\0\0\0\0\xcc")  # mov rax, fs:[0]
    base = puppet.strings.stage + 0x2000
    puppet.write(base, b"abcdefgh")
    assert poke(puppet, offset(puppet, name), base) is None
    assert puppet.registers()[name] == base
    assert puppet.resume() == TRAP_STOP
    assert puppet.registers()["ax"] == int.from_bytes(b"abcdefgh", "little")
    refused = (0x7FFF_FFFF_F000, 0x8000_0000_0000, 0xFFFF_8880_0000_0000)
    assert {v: poke(puppet, offset(puppet, name), v) for v in refused} == dict.fromkeys(
        refused, EIO
    )
    assert puppet.registers()[name] == base


ERESTARTSYS = 512


@pytest.mark.claim(27)
@pytest.mark.abis("i386")
def test_a_call_is_made_again_though_its_tracer_set_its_registers(puppet):
    """A narrow tracer sets eax without its sign. Source: TS_I386_REGS_POKED, asm/syscall.h."""
    puppet.prepare(puppet.own_entry, "futex", puppet.strings.stage, 0, 0, 0)
    first, status = puppet.interrupt(SIGUSR1)
    assert status == CALL_STOP
    assert puppet.registers() == first | {"ax": -ERESTARTSYS & puppet.view.mask}
    assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGUSR1)
    puppet.set_registers()
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.registers() == first


def test_a_call_is_made_again_after_its_tracer_had_something_else_done(puppet):
    """What a debugger does that calls a function of an interrupted program."""
    puppet.prepare(puppet.own_entry, "futex", puppet.strings.stage + 0x4000, 0, 0, 0)
    first, status = puppet.interrupt(SIGUSR1)
    assert status == CALL_STOP
    interrupted = puppet.registers()
    assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGUSR1)
    puppet.send_to(b"\x90\xcc")
    assert puppet.resume() == TRAP_STOP
    puppet.set_registers(interrupted)
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.registers() == first


@pytest.mark.abis("i386")
def test_a_selector_set_is_what_the_program_has(puppet):
    at_exit(puppet)
    chosen = dict.fromkeys(("ds", "es", "fs", "gs"), puppet.home["ss"])
    puppet.set_registers(**chosen)
    seen = puppet.registers()
    assert {name: seen[name] for name in chosen} == chosen, "as the tracer reads them again"
    puppet.resume()
    found = puppet.after()
    assert {name: found[name] for name in chosen} == chosen, "as the program has them"
