# SPDX-License-Identifier: Apache-2.0
"""What a frame that the handler has changed leads to: what it says, or SIGSEGV, and nothing worse.

Each question is put to every kind of frame: i386 has one with siginfo_t and an older one without.

Source: arch/x86/kernel/signal.c restore_sigcontext, FIX_EFLAGS; entry_64.S native_irq_return_iret;
traps.c iret_error (6.1).
"""

import pytest

from harness.agent.arguments import Buffer
from harness.agent.signals import (
    BEFORE_HOLE,
    BEHIND_HOLE,
    Asked,
    Change,
    Sending,
    Symbol,
    deliver,
    deliver_all,
    frame_kinds,
)
from harness.agent.structures import ALTERNATE_STACK
from harness.arch import ARCH_I386, I386
from harness.landscape import HOLE
from harness.wire import SEGMENTS

pytestmark = pytest.mark.machine(append="pti=on")

PLAIN = ("int80", "syscall")
SIGILL, SIGTRAP, SIGBUS, SIGSEGV = 4, 5, 7, 11
RESTART_RESULTS = (512, 513, 514, 516)
TRAP_TRACE, SEGV_MAPERR, SI_KERNEL, ILL_BADSTK = 2, 1, 0x80, 8
GENERAL_PROTECTION, IRET_ERROR = 13, 32
IN_LDT, FLAT_IN_LDT = 4, 7
FLAT = 0x51
"""Flags of a descriptor: 32 bits, its limit counted in pages, usable."""

USUAL = 0x202
TRAP, ALIGNMENT, RESUME, IDENTIFICATION = 0x100, 0x40000, 0x10000, 0x200000
MAY_CHANGE = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x400 | 0x800 | ALIGNMENT
"""CF, PF, AF, ZF, SF, DF, OF and AC; TF and RF too, which do not stay."""
NEVER = {
    "interrupts off": 0x200,
    "IOPL": 0x3000,
    "IOPL, lower half": 0x1000,
    "NT": 0x4000,
    "VM": 0x20000,
    "VIF and VIP": 0x180000,
    "ID": IDENTIFICATION,
    "unused": 0xFFC0_8028,
    "all of these": 0xFFFA_F228,
}
CODE = {"null": 0, "kernel": 0x10, "kernel 32": 0x60, "data": 0x2B, "ldt": 0x7, "far": 0xFFF8}
STACK = {"null": 0, "kernel": 0x18, "kernel 32": 0x68, "ldt": 0x7, "far": 0xFFF8}
SIG_BLOCK, IN_I386_KERNEL = 0, 0xC010_0000
"""The latter lies past a program's memory, and can be read, on i386; elsewhere nothing is there."""
NOWHERE = {"hole": HOLE, "null": 0, "kernel": 0xFFFF_F000}
HAS_SS = 2
KILL_AND_STOP = 1 << 8 | 1 << 18
ALL = (1 << 64) - 1
MXCSR, XMM0 = 24, 160


def in_each_frame(guest, entry, *changes, **how):
    """Deliver a signal with those changes once for every kind of frame that the ABI has."""
    kinds = frame_kinds(entry.abi)
    return deliver_all(
        guest, entry, {kind: Asked(Sending(flags, **how), changes) for kind, flags in kinds.items()}
    )


def for_each_value(guest, entry, field, values):
    """Deliver a signal for every value of a field, in every kind of frame."""
    asked = {
        f"{name}, {kind}": Asked(Sending(flags), (Change(field, value),))
        for kind, flags in frame_kinds(entry.abi).items()
        for name, value in values.items()
    }
    return deliver_all(guest, entry, asked)


def each(said, look):
    return {name: look(one) for name, one in said.items()}


def same(said, value):
    return dict.fromkeys(said, value)


def value_of(values, name):
    return values[name.rpartition(",")[0]]


def refusal(guest, field, selector):
    """Return signal, code, trap and error of a return to a selector that the processor refuses.

    A stack segment of the LDT sends a 64-bit kernel over its espfix stack, where the fault becomes
    a double fault, and the error code is lost (traps.c exc_double_fault, 6.1).
    """
    if guest.identity.arch is ARCH_I386:
        return [SIGILL, ILL_BADSTK, IRET_ERROR, 0]
    lost = field == "ss" and selector & IN_LDT
    return [SIGSEGV, SI_KERNEL, GENERAL_PROTECTION, 0 if lost else selector & ~3]


@pytest.mark.entries(*PLAIN)
def test_every_general_register_can_be_changed_in_the_frame(guest, entry):
    wide = 0x5EED_F00D_0000_0000 & entry.abi.mask
    new = {name: wide | 0x7E57_0000 | n for n, name in enumerate(entry.abi.registers)}
    said = in_each_frame(guest, entry, *(Change(name, value) for name, value in new.items()))
    assert each(said, lambda one: {name: one.after[name] for name in new}) == same(said, new)


@pytest.mark.entries(*PLAIN)
def test_status_direction_and_alignment_flags_can_be_set(guest, entry):
    said = in_each_frame(guest, entry, Change("flags", USUAL | MAY_CHANGE))
    assert each(said, lambda one: one.after["flags"]) == same(said, USUAL | MAY_CHANGE)


@pytest.mark.entries(*PLAIN)
def test_those_flags_can_be_cleared(guest, entry):
    flags = USUAL | MAY_CHANGE & ~ALIGNMENT
    said = in_each_frame(guest, entry, Change("flags", USUAL), cpu_flags=flags)
    assert each(said, lambda one: one.after["flags"]) == same(said, USUAL)


@pytest.mark.entries(*PLAIN)
def test_no_other_flag_can_be_changed(guest, entry):
    values = {name: USUAL ^ flags for name, flags in NEVER.items()}
    said = for_each_value(guest, entry, "flags", values)
    assert each(said, lambda one: one.after["flags"]) == same(said, USUAL)


@pytest.mark.entries(*PLAIN)
def test_a_flag_that_no_frame_can_change_cannot_be_cleared_either(guest, entry):
    said = in_each_frame(guest, entry, Change("flags", 0), cpu_flags=USUAL | IDENTIFICATION)
    assert each(said, lambda one: one.after["flags"]) == same(said, USUAL | IDENTIFICATION)


@pytest.mark.entries(*PLAIN)
def test_the_trap_flag_in_the_frame_traps_after_one_instruction(guest, entry):
    names = ("signo", "code", "trap")
    for kind, one in in_each_frame(guest, entry, Change("flags", USUAL | TRAP)).items():
        frame = one.second.frame
        assert [frame[name] for name in names] == [SIGTRAP, TRAP_TRACE, 1], kind
        assert 0 < frame["ip"] - one.first.frame["ip"] < 16, kind
        assert frame["address"] == frame["ip"], kind
        assert frame["flags"] & TRAP, f"in the frame: {kind}"
        assert one.second.registers["flags"] & TRAP == 0, f"in the handler: {kind}"


@pytest.mark.entries(*PLAIN)
def test_the_resume_flag_does_no_harm(guest, entry):
    said = in_each_frame(guest, entry, Change("flags", USUAL | RESUME))
    assert each(said, lambda one: one.after["flags"] & ~RESUME) == same(said, USUAL)


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize(("field", "values"), [("cs", CODE), ("ss", STACK)], ids=["cs", "ss"])
def test_a_bad_code_or_stack_segment_is_a_signal(guest, entry, field, values):
    names = ("signo", "code", "trap", "error", field, "ip", entry.abi.registers[7])
    said = for_each_value(guest, entry, field, values)
    for name, one in said.items():
        selector = value_of(values, name) | 3
        kept = [one.first.frame["ip"], one.first.frame[entry.abi.registers[7]]]
        seen = [one.second.frame[name] for name in names]
        assert seen == [*refusal(guest, field, selector), selector, *kept], name


@pytest.mark.entries("syscall")
@pytest.mark.parametrize("uc_flags", [0, HAS_SS])
def test_a_bad_stack_segment_is_mended_where_nobody_asked_for_strictness(guest, entry, uc_flags):
    said = deliver(guest, entry, Change("uc_flags", uc_flags), Change("ss", 0))
    assert said.after["ss"] == guest.about(entry.abi).registers["ss"]


WRITABLE = {"flat": FLAT, "expands down": FLAT | 2}
OTHER = {"read only": FLAT | 8, "code": FLAT | 4, "not present": FLAT | 0x20}


@pytest.mark.entries("syscall")
def test_a_stack_segment_is_mended_unless_it_is_there_and_writable(guest, entry):
    """Source: arch/x86/kernel/signal_64.c force_valid_ss (6.12)."""
    seen = {}
    for kind, descriptor in (WRITABLE | OTHER).items():
        changes = Change("uc_flags", HAS_SS), Change("ss", FLAT_IN_LDT)
        seen[kind] = deliver(guest, entry, *changes, how=Sending(descriptor=descriptor)).after["ss"]
    own = guest.about(entry.abi).registers["ss"]
    assert seen == dict.fromkeys(WRITABLE, FLAT_IN_LDT) | dict.fromkeys(OTHER, own)


@pytest.mark.entries("int80")
@pytest.mark.parametrize("field", ["fs", "gs"])
def test_a_bad_data_segment_becomes_null(guest, entry, field):
    said = in_each_frame(guest, entry, Change(field, 0xFFF8))
    assert each(said, lambda one: one.after[field] & ~3) == same(said, 0)
    own = guest.about(entry.abi).registers
    others = [name for name in SEGMENTS if name not in ("fs", "gs")]
    expected = [own[name] for name in others]
    assert each(said, lambda one: [one.after[name] for name in others]) == same(said, expected)


@pytest.mark.entries("int80")
@pytest.mark.parametrize("field", ["ds", "es", "fs", "gs"])
def test_a_data_segment_in_the_frame_is_loaded(guest, entry, field):
    change = Change(field, FLAT_IN_LDT)
    said = in_each_frame(guest, entry, change, descriptor=FLAT)
    assert each(said, lambda one: one.after[field]) == same(said, FLAT_IN_LDT)


@pytest.mark.entries(*PLAIN)
def test_a_stack_segment_in_the_frame_is_loaded(guest, entry):
    """Also where SYSRET, which knows one alone, could be taken but for that."""
    said = in_each_frame(guest, entry, Change("ss", FLAT_IN_LDT), descriptor=FLAT)
    assert each(said, lambda one: one.after["ss"]) == same(said, FLAT_IN_LDT)


@pytest.mark.entries(*PLAIN)
def test_a_bad_instruction_pointer_is_sigsegv_there(guest, entry):
    said = for_each_value(guest, entry, "ip", NOWHERE)
    names = ("signo", "code", "address", "ip", "cr2")
    assert each(said, lambda one: [one.second.frame[name] for name in names]) == {
        name: [SIGSEGV, SEGV_MAPERR, *[value_of(NOWHERE, name)] * 3] for name in said
    }


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize("result", RESTART_RESULTS)
def test_a_result_in_the_frame_is_no_reason_to_make_a_call_again(guest, entry, result):
    """Another signal comes at the return, where calls that it interrupted would be prepared."""
    change = Change(entry.number, -result & entry.abi.mask)
    said = in_each_frame(guest, entry, change, mask=1 << (SIGBUS - 1))
    for kind, one in said.items():
        first, second = one.first.frame, one.second.frame
        assert second["signo"] == SIGBUS, kind
        assert entry.abi.signed(second[entry.number]) == -result, kind
        assert second["ip"] == first["ip"], kind


@pytest.mark.entries(*PLAIN)
def test_any_stack_pointer_is_taken(guest, entry):
    stack = entry.abi.registers[7]
    said = for_each_value(guest, entry, stack, {"hole": HOLE + 1, "null": 0})
    assert each(said, lambda one: one.after[stack]) == {
        name: HOLE + 1 if "hole" in name else 0 for name in said
    }


@pytest.mark.entries(*PLAIN)
def test_the_mask_in_the_frame_is_taken_but_for_kill_and_stop(guest, entry):
    said = deliver(guest, entry, Change("mask", ALL))
    assert said["mask_after"] == ALL & ~KILL_AND_STOP


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize("changed", [0, 0x1000], ids=["as it was", "changed"])
def test_the_alternate_stack_is_what_the_frame_says(guest, entry, changed):
    """The handler has set another one meanwhile."""
    asked, layout = Sending(alternate_bytes=8192), ALTERNATE_STACK[entry.abi.name]
    changes = (Change("ss_sp", HOLE + changed), Change("ss_size", 0x3000)) if changed else ()
    said = deliver(guest, entry, *changes, how=asked)
    assert said["set_inside"] == 0
    seen = layout.decode(said.memory("stack_after", layout.size_bytes))
    start, size = (HOLE + changed, 0x3000) if changed else (said["alternate"], 8192)
    assert seen == {"start": start, "flags": 0, "size": size}


SET_INSIDE_BYTES = 0x10000
"""As large as the alternate stack that a handler sets: guest/probes/deliver.c ALT_BYTES."""


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize(("field", "value"), [("ss_size", 100), ("ss_flags", 0x5EED)])
def test_an_alternate_stack_that_cannot_be_is_not_set_and_does_no_harm(guest, entry, field, value):
    """Source: kernel/signal.c restore_altstack, compat_restore_altstack (6.1)."""
    asked, layout = Sending(alternate_bytes=8192), ALTERNATE_STACK[entry.abi.name]
    said = deliver(guest, entry, Change(field, value), how=asked)
    assert said["set_inside"] == 0
    assert said.returned, f"a signal: {said.fault}"
    seen = layout.decode(said.memory("stack_after", layout.size_bytes))
    assert seen == {"start": said["alternate"], "flags": 0, "size": SET_INSIDE_BYTES}


@pytest.mark.entries("int80")
def test_both_halves_of_the_mask_in_an_old_frame_are_taken(guest, entry):
    flags = frame_kinds(entry.abi)["plain"]
    changes = (Change("oldmask", 0xFFFF_FFFF), Change("mask_high", 0x8000_0001))
    said = deliver(guest, entry, *changes, how=Sending(flags))
    assert said["mask_after"] == 0x8000_0001_FFFF_FFFF & ~KILL_AND_STOP


@pytest.mark.entries(*PLAIN)
def test_no_x87_state_in_the_frame_is_the_initial_one(guest, entry):
    for kind, one in in_each_frame(guest, entry, Change("state", 0)).items():
        fpu = one.memory("fpu_after", 512)
        assert (fpu[:2], fpu[24:28]) == (b"\x7f\x03", b"\x80\x1f\x00\x00"), kind
        assert fpu[32:288] == bytes(256), kind


@pytest.mark.entries(*PLAIN)
def test_x87_state_that_cannot_be_read_is_sigsegv(guest, entry):
    places = {name: where for name, where in NOWHERE.items() if where}
    said = for_each_value(guest, entry, "state", places)
    assert each(said, lambda one: one.fault) == same(said, (SIGSEGV, SI_KERNEL))


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize("place", [BEFORE_HOLE, BEHIND_HOLE])
def test_x87_state_that_runs_into_a_hole_is_sigsegv(guest, entry, place):
    said = in_each_frame(guest, entry, Symbol("state", place))
    assert each(said, lambda one: one.fault) == same(said, (SIGSEGV, SI_KERNEL))


@pytest.mark.entries(*PLAIN)
def test_x87_and_sse_state_can_be_changed_in_the_frame(guest, entry):
    start = 112 if entry.abi is I386 else 0
    changes = (Change(start + MXCSR, 0x7F80), Change(start + XMM0, 0x7E57_C0DE))
    for kind, one in in_each_frame(guest, entry, *changes).items():
        fpu = one.memory("fpu_after", 512)
        assert int.from_bytes(fpu[MXCSR : MXCSR + 4], "little") == 0x7F80, kind
        assert int.from_bytes(fpu[XMM0 : XMM0 + 4], "little") == 0x7E57_C0DE, kind


@pytest.mark.needs(arch="i386")
@pytest.mark.entries("int80")
def test_bits_of_mxcsr_that_are_none_are_cleared_where_there_are_registers_only(guest, entry):
    """With XSAVE they are refused: arch/x86/kernel/fpu/signal.c __fpu_restore_sig (6.1)."""
    for kind, one in in_each_frame(guest, entry, Change(112 + MXCSR, 0xFFFF_7F80, 4)).items():
        if one.report["has_avx"]:
            assert one.fault == (SIGSEGV, SI_KERNEL), kind
        else:
            seen = one.memory("fpu_after", 512)[MXCSR:][:4]
            assert (one.returned, seen.hex()) == (True, "807f0000"), kind


@pytest.mark.entries("int80")
def test_x87_state_is_taken_from_its_older_form(guest, entry):
    """The frame has it twice: arch/x86/kernel/fpu/signal.c __fpu_restore_sig (6.1)."""
    changes = (Change(0, 0xFFFF_0C7F), Change(28, 0x7E57_C0DE), Change(98, 0x7E57_F00D))
    for kind, one in in_each_frame(guest, entry, *changes).items():
        fpu = one.memory("fpu_after", 512)
        assert fpu[:2].hex() == "7f0c", f"control word: {kind}"
        assert fpu[32:36].hex() == "dec0577e", f"first register: {kind}"
        assert fpu[32 + 7 * 16 : 36 + 7 * 16].hex() == "0df0577e", f"last register: {kind}"


@pytest.mark.entries("int80", "syscall", "int80_64")
@pytest.mark.parametrize("where", [HOLE, 0xFFFF_FFF0, 64, IN_I386_KERNEL])
def test_a_frame_that_cannot_be_read_is_sigsegv(guest, entry, where):
    """And nothing of it is taken."""
    stack, told = entry.abi.registers[7], ("rt_sigprocmask", SIG_BLOCK, 0, Buffer(8), 8)
    masked = guest.call(entry, *told).memory
    for name in {"rt_sigreturn", "sigreturn"} & guest.table(entry).numbers.keys():
        said = guest.call(entry, name, **{stack: where})
        assert said.signal, name
        seen = (said.signal.number, said.signal.code, said.signal.address)
        assert seen == (SIGSEGV, SI_KERNEL, 0), name
        assert guest.call(entry, *told).memory == masked, f"blocked signals: {name}"
