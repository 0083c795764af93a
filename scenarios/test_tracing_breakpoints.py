# SPDX-License-Identifier: Apache-2.0
"""The four breakpoints that a tracer may set, and the trap flag that is the program's or its own.

Source: arch/x86/kernel/ptrace.c ptrace_write_dr7, ptrace_triggered; arch/x86/kernel/hw_breakpoint.c
decode_dr7, arch_build_bp_info; arch/x86/kernel/step.c is_setting_trap_flag (6.1); Intel SDM
volume 3, 18.2.
"""

import struct
from errno import EINVAL
from signal import SIGCONT, SIGSEGV, SIGTRAP

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import DEBUG_REGISTERS, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import INSTRUCTIONS, INT3, load_word, start_puppet
from harness.agent.signals import FRAME_BYTES, SA_RESTORER, SA_SIGINFO, frame_layout
from harness.agent.structures import ACTION
from harness.arch import ARCH_I386, I386
from harness.cpu import read_features
from harness.landscape import HOLE
from harness.machine.errata import IRET_UNDER_SMAP

NOP = b"\x90"
SI_KERNEL, TRAP_TRACE, TRAP_HWBKPT = 0x80, 2, 4
TRAP, DEBUG = 0x100, 1
STATUS, CONTROL = 6, 7
STEPPED = 0x4000
WRITE, READ_OR_WRITE = 1, 3
LENGTH_CODES = {1: 0, 2: 1, 8: 2, 4: 3}
WATCHED = 0x1000
EVENT_FORK, EVENT_EXEC = 1, 4


@pytest.fixture
def puppet(guest):
    """Give a process of the kernel's own ABI, and a tracer of the same."""
    with start_puppet(guest, guest.identity.arch.abi) as puppet:
        yield puppet


def place_of(puppet, number):
    return DEBUG_REGISTERS[puppet.view] + number * puppet.view.word_bytes


def poke(puppet, number, value):
    return puppet.ptrace(Request.POKEUSER, place_of(puppet, number), value).errno


def peek(puppet, number):
    said = puppet.ptrace(Request.PEEKUSER, place_of(puppet, number), Buffer(8, fill=0))
    return int.from_bytes(said.memory[0], "little")


def enable(slot, kind=0, length=1):
    """Return what the control register has for one of the four."""
    return 1 << 2 * slot | (kind | LENGTH_CODES[length] << 2) << 16 + 4 * slot


def stops(puppet):
    """Resume until int3 stops it, and return how far on the stage it was at each stop before."""
    seen = []
    while puppet.resume() == TRAP_STOP and puppet.siginfo()[2] == TRAP_HWBKPT:
        seen.append(puppet.registers()["ip"] - puppet.strings.stage)
    assert puppet.siginfo()[2] == SI_KERNEL
    return seen


def test_each_of_four_breakpoints_has_an_address_and_a_bit_of_its_own(puppet):
    for slot in range(4):
        assert poke(puppet, slot, puppet.strings.stage + 3 - slot) is None
    seen = {}
    for slots in ((0,), (1,), (2,), (3,), (0, 1, 2, 3), (1, 3)):
        assert poke(puppet, CONTROL, sum(enable(slot) for slot in slots)) is None
        puppet.send_to(4 * NOP + INT3)
        seen[slots] = sorted(3 - place for place in stops(puppet))
        assert peek(puppet, CONTROL) == sum(enable(slot) for slot in slots)
        assert [peek(puppet, n) - puppet.strings.stage for n in range(4)] == [3, 2, 1, 0]
    assert seen == {slots: list(slots) for slots in seen}


def test_the_status_says_which_breakpoint_it_was(puppet):
    puppet.send_to(4 * NOP + INT3)
    for slot in range(4):
        assert poke(puppet, slot, puppet.strings.stage + slot) is None
    assert poke(puppet, CONTROL, sum(enable(slot) for slot in range(4))) is None
    seen = []
    for _ in range(4):
        assert puppet.resume() == TRAP_STOP
        seen.append(peek(puppet, STATUS) & 0xF)
    assert seen == [1, 2, 4, 8]


def test_the_status_says_that_it_was_a_step(puppet):
    """Source: arch/x86/kernel/traps.c exc_debug_user, DR_STEP (6.1)."""
    puppet.send_to(NOP + INT3)
    assert poke(puppet, STATUS, 0xFFFF_0FF0) is None
    assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
    assert hex(peek(puppet, STATUS) & (STEPPED | 0xF)) == hex(STEPPED)


def test_a_step_that_ends_at_a_breakpoint_is_told_before_it(puppet):
    """Source: arch/x86/kernel/hw_breakpoint.c hw_breakpoint_handler, bpx (6.1)."""
    assert poke(puppet, 0, puppet.strings.stage + 1) is None
    assert poke(puppet, CONTROL, enable(0)) is None
    puppet.send_to(2 * NOP + INT3)
    assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
    assert hex(peek(puppet, STATUS) & (STEPPED | 0xF)) == hex(STEPPED)
    assert stops(puppet) == [1]


def access(puppet, opcode, address, after=b""):
    """Assemble an access of one byte at an address."""
    form = b"\x05" if puppet.abi is I386 else b"\x04\x25"
    return opcode + form + address.to_bytes(4, "little") + after


def accesses(puppet, start, length):
    """Assemble a load and a store of each byte from before to behind what is watched."""
    places = range(start - 1, start + length + 1)
    loads = [(place, "load", access(puppet, b"\x8a", place)) for place in places]
    stores = [(place, "store", access(puppet, b"\xc6", place, b"\1")) for place in places]
    return loads + stores


@pytest.mark.parametrize("kind", [WRITE, READ_OR_WRITE], ids=["write", "read or write"])
def test_a_watch_is_as_long_as_it_says_and_of_that_kind(guest, puppet, kind):
    start = puppet.strings.stage + WATCHED
    longest = 4 if guest.identity.arch is ARCH_I386 else 8
    for slot, length in enumerate(n for n in LENGTH_CODES if n <= longest):
        assert poke(puppet, slot, start) is None
        assert poke(puppet, CONTROL, enable(slot, kind, length)) is None
        code, ends, expected = b"", {}, []
        for place, what, piece in accesses(puppet, start, length):
            code += piece
            ends[len(code)] = place - start, what
            if start <= place < start + length and (what == "store" or kind == READ_OR_WRITE):
                expected.append((place - start, what))
        puppet.send_to(code + INT3)
        assert [ends[at] for at in stops(puppet)] == expected, f"{length} bytes"


def test_a_watch_starts_at_a_multiple_of_its_length(puppet):
    start = puppet.strings.stage + WATCHED
    seen = {}
    for length in (2, 4):
        for odd in range(1, length):
            assert poke(puppet, CONTROL, 0) is None
            assert poke(puppet, 2, start + odd) is None
            seen[length, odd] = poke(puppet, CONTROL, enable(2, WRITE, length))
    assert seen == dict.fromkeys(seen, EINVAL)


def test_a_control_that_is_refused_leaves_what_was_set(puppet):
    assert poke(puppet, 0, puppet.strings.stage + 1) is None
    assert poke(puppet, 1, puppet.strings.stage + WATCHED + 1) is None
    assert poke(puppet, CONTROL, enable(0)) is None
    assert poke(puppet, CONTROL, enable(0, WRITE) | enable(1, WRITE, 4)) == EINVAL
    assert peek(puppet, CONTROL) == enable(0)
    puppet.send_to(2 * NOP + INT3)
    assert stops(puppet) == [1]


def test_a_watch_that_becomes_less_leaves_nothing_of_what_it_was(puppet):
    """Source: arch/x86/kernel/hw_breakpoint.c arch_uninstall_hw_breakpoint (6.1)."""
    start = puppet.strings.stage + WATCHED
    pieces = (access(puppet, b"\x8a", start), access(puppet, b"\xc6", start + 1, b"\1"))
    code = b"".join(pieces) + access(puppet, b"\xc6", start, b"\1")
    assert poke(puppet, 0, start) is None
    seen = {}
    for kind, length in ((READ_OR_WRITE, 4), (WRITE, 1)):
        assert poke(puppet, CONTROL, enable(0, kind, length)) is None
        puppet.send_to(code + INT3)
        seen[kind] = stops(puppet)
    every = [len(pieces[0]), len(b"".join(pieces)), len(code)]
    assert seen == {READ_OR_WRITE: every, WRITE: [len(code)]}


def test_a_child_has_none_of_its_parents_breakpoints(guest):
    """Source: arch/x86/kernel/process.c copy_thread, ptrace_bps (6.1)."""
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, guest.identity.arch.abi, options=options) as puppet:
        assert poke(puppet, 0, puppet.strings.stage) is None
        assert poke(puppet, CONTROL, enable(0)) is None
        puppet.prepare(puppet.own_entry, "fork")
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_FORK)
        child = puppet.follow_child()
        assert peek(child, 0) == 0
        child.send_to(NOP + INT3)
        assert stops(child) == []
        child.kill()


def test_a_new_program_has_none_of_the_old_ones_breakpoints(guest):
    """Source: arch/x86/kernel/process.c flush_thread (6.1)."""
    abi = guest.identity.arch.abi
    with start_puppet(guest, abi, options=Option.TRACEEXEC | Option.TRACESYSGOOD) as puppet:
        assert poke(puppet, 0, puppet.strings.stage) is None
        assert poke(puppet, CONTROL, enable(0)) is None
        nothing = {0: 0, STATUS: peek(puppet, STATUS), CONTROL: 0}
        assert poke(puppet, STATUS, nothing[STATUS] ^ 1) is None
        puppet.prepare_exec()
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_EXEC)
        assert {number: peek(puppet, number) for number in nothing} == nothing


def test_the_status_is_what_the_tracer_has_set(puppet):
    seen = {}
    for value in (0, 0xFFFF_0FF0, 0xFFFF_4FF5):
        assert poke(puppet, STATUS, value) is None
        seen[value] = peek(puppet, STATUS)
    assert seen == {value: value for value in seen}


SET_TRAP_FLAG = b"\x68\x02\x03\0\0" + b"\x9d"  # push $0x302; popf


def test_a_trap_flag_that_the_program_sets_is_its_own(puppet):
    puppet.send_to(SET_TRAP_FLAG + 2 * NOP + INT3)
    shown = []
    for _ in range(2):
        assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
        shown.append(puppet.registers()["flags"] & TRAP)
    assert shown == [0, TRAP], "behind push, behind popf"
    assert puppet.resume() == TRAP_STOP
    seen = puppet.registers()["ip"] - puppet.strings.stage, puppet.siginfo()[2]
    assert seen == (7, TRAP_TRACE), "behind the first nop"


def test_a_trap_flag_that_a_tracer_sets_is_the_programs(puppet):
    puppet.send_to(2 * NOP + INT3, flags=puppet.home["flags"] | TRAP)
    assert puppet.registers()["flags"] & TRAP
    assert puppet.resume() == TRAP_STOP
    seen = puppet.registers()["ip"] - puppet.strings.stage, puppet.siginfo()[2]
    assert seen == (1, TRAP_TRACE)


LDT_CODE, LDT_SELECTOR, NARROW_CODE = 0x55, 7, 0x23
FLAGS = 0x302
POPF, IRET = b"\x9d", b"\xcf"
REX_OR_DEC = b"\x48"
PREFIXES = (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF2, 0xF3)
"""Those of segments, of the operand's size (flags of 16 bits), of the address's, of repetition."""


def shown_behind(puppet, code, **registers):
    """Step once over what takes flags from the stack, and return how the trap flag is shown."""
    stack = puppet.strings.stage + 0x8000
    words = (FLAGS,) if code[-1:] == POPF else (puppet.strings.stage + 8, puppet.home["cs"], FLAGS)
    words += (stack, puppet.home["ss"])
    size = {4: "I", 8: "Q"}[puppet.view.word_bytes]
    puppet.write(stack, struct.pack(f"<{len(words)}{size}", *words))
    puppet.write(puppet.strings.stage, code + INT3)
    puppet.set_registers(puppet.home | {"ip": puppet.strings.stage, "sp": stack} | registers)
    assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
    shown = puppet.registers()["flags"] & TRAP
    puppet.set_registers(puppet.home | {"ip": puppet.strings.stage + len(code)})
    assert stops(puppet) == []
    return shown


def test_a_trap_flag_is_the_programs_own_however_it_sets_it(puppet):
    """Nor does a step over another instruction make it so: step.c is_setting_trap_flag (6.1)."""
    wide = puppet.abi is not I386
    at = puppet.strings.stage + 0x9000
    puppet.write(at, struct.pack("<IIII", 0, puppet.strings.stage, 0xFFFFF, LDT_CODE))
    assert puppet.call(puppet.own_entry, "modify_ldt", 0x11, at, 16) == 0
    puppet.home = puppet.registers()
    narrow = {"cs": NARROW_CODE} if wide else {}
    seen = {
        "a decrement before": shown_behind(puppet, REX_OR_DEC + POPF, **narrow),
        **{f"prefix {one:#x}": shown_behind(puppet, bytes([one]) + POPF) for one in PREFIXES},
        "prefixes": shown_behind(puppet, bytes(PREFIXES) + POPF),
        "in a segment": shown_behind(puppet, POPF, ip=0, cs=LDT_SELECTOR),
    }
    assert seen == {**dict.fromkeys(seen, TRAP), "a decrement before": 0}
    if wide:
        assert shown_behind(puppet, REX_OR_DEC + POPF) == TRAP


def test_a_trap_flag_that_iret_sets_is_the_programs_own(guest, puppet):
    erratum = guest.find_erratum(IRET_UNDER_SMAP)
    if erratum and "smap" in read_features(guest.read_file("/proc/cpuinfo")):
        pytest.skip(erratum.says)
    wide = puppet.abi is not I386
    assert shown_behind(puppet, (REX_OR_DEC if wide else b"") + IRET) == TRAP


def test_a_step_over_a_block_stops_behind_its_branch(puppet):
    jump_over_int3 = b"\xeb\x01" + INT3
    puppet.send_to(jump_over_int3 + NOP + INT3)
    assert puppet.resume(Request.SINGLEBLOCK) == TRAP_STOP
    seen = puppet.registers()["ip"] - puppet.strings.stage, puppet.siginfo()[2]
    assert seen == (3, TRAP_TRACE)
    assert stops(puppet) == []
    assert puppet.registers()["ip"] - puppet.strings.stage == 5


EVENT_STOP = 128


def test_a_process_that_is_let_go_steps_no_more(guest, puppet):
    """Source: arch/x86/kernel/ptrace.c ptrace_disable; step.c user_disable_single_step (6.1)."""
    entry = puppet.own_entry
    pause = b"\xb8" + puppet.number(entry, "pause").to_bytes(4, "little")
    puppet.send_to(2 * NOP + pause + INSTRUCTIONS[entry.name] + b"\xeb\xf7")
    assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
    assert puppet.ptrace(Request.DETACH).value == 0
    puppet.signal(SIGCONT)
    guest.call(puppet.tracer, "poll", 0, 0, 1)
    assert puppet.ptrace(Request.SEIZE).errno is None, "a trap of its own has ended it"
    assert puppet.ptrace(Request.INTERRUPT).value == 0
    assert puppet.wait() == Status.stopped(SIGTRAP, EVENT_STOP)


@pytest.mark.parametrize("what", ["a call", "an instruction"])
def test_a_frame_says_of_a_step_that_it_was_one_whatever_came_before(puppet, what):
    """Source: arch/x86/kernel/ptrace.c send_sigtrap (6.12)."""
    start, entry = puppet.strings.stage, puppet.own_entry
    action, flags = start + 0x8000, SA_SIGINFO | SA_RESTORER
    fields = {"handler": start + 0x8100, "flags": flags, "restorer": start}
    puppet.write(action, ACTION[puppet.abi.name].encode(**fields))
    puppet.write(start + 0x8100, INT3)
    assert puppet.call(entry, "rt_sigaction", SIGTRAP, action, 0, 8) == 0
    puppet.send_to(load_word(puppet.abi, HOLE))
    assert puppet.resume() == Status.stopped(SIGSEGV)
    code = INSTRUCTIONS[entry.name] if what == "a call" else NOP
    puppet.send_to(code + INT3, ax=puppet.number(entry, "getppid"), sp=start + 0x7000)
    assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
    assert puppet.registers()["ip"] == start + len(code)
    assert puppet.resume(by_signal=SIGTRAP) == TRAP_STOP
    at = puppet.registers()["sp"]
    frame = frame_layout(puppet.abi, flags).decode(puppet.read(at, FRAME_BYTES))
    assert (frame["trap"], frame["error"], frame["ip"]) == (DEBUG, 0, start + len(code))
