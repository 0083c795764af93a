# SPDX-License-Identifier: Apache-2.0
"""What a signal's handler finds: in its registers, on its stack, in the frame that is to go back.

Each question is put to every kind of frame: i386 has one with siginfo_t and an older one without.

Source: arch/x86/kernel/signal.c, signal_32.c, signal_64.c, fpu/signal.c (6.1).
"""

import struct
from dataclasses import replace
from errno import ENOMEM, EPERM

import pytest

from harness.agent.about import AT_MINSIGSTKSZ
from harness.agent.arguments import Buffer
from harness.agent.signals import (
    SA_NODEFER,
    SA_ONSTACK,
    SA_RESETHAND,
    SA_SIGINFO,
    SIGUSR1,
    SIGUSR2,
    Asked,
    Sending,
    deliver,
    deliver_all,
    frame_kinds,
)
from harness.agent.structures import ALTERNATE_STACK
from harness.agent.vdso import read_vdso
from harness.arch import I386
from harness.errors import GuestError
from harness.landscape import ARENA, HOLE
from harness.wire import SEGMENTS

PLAIN = ("int80", "syscall", "int80_64")
SIGSEGV, SI_KERNEL, SI_USER, SI_TKILL = 11, 0x80, 0, 0xFFFF_FFFA
DIRECTION, IDENTIFICATION, STATUS = 0x400, 0x200000, 0x8D5
NESTED, ALIGNMENT = 0x4000, 0x40000
ODD_FLAGS = 0x202 | DIRECTION | IDENTIFICATION | STATUS
SS_ONSTACK, SS_DISABLE = 1, 2
HAS_SS_AND_IS_STRICT = 6
ALTERNATE_BYTES, MOST_FRAME_BYTES = 65536, 2048
SS_AUTODISARM, DISARMING = -0x8000_0000, 2 * ALTERNATE_BYTES | 0x8000_0000
BELOW, ABOVE, FILL = 256, 64, b"\x5a"
RED_ZONE_BYTES = 128
INITIAL_X87, INITIAL_MXCSR = 0x37F, 0x1F80
NO_ROOM = {"hole": HOLE, "kernel": 0xFFFF_F000, "null": 64}
TRAMPOLINES = {
    "siginfo": ("__kernel_rt_sigreturn", "b8ad000000cd8000"),
    "plain": ("__kernel_sigreturn", "58b877000000cd80"),
}
BLOCKED = 1 << 0 | 1 << 63


def in_each_frame(guest, entry, more=0, **how):
    """Deliver a signal once for every kind of frame that the ABI has."""
    kinds = frame_kinds(entry.abi)
    return deliver_all(
        guest, entry, {kind: Asked(Sending(flags | more, **how)) for kind, flags in kinds.items()}
    )


def each(said, look):
    return {kind: look(one) for kind, one in said.items()}


def same(said, value):
    return dict.fromkeys(said, value)


def general(registers, entry):
    """Return the general registers without the result's."""
    return {name: registers[name] for name in entry.abi.registers if name != entry.number}


def bit(signal):
    return 1 << (signal - 1)


def selectors(registers):
    """Return segments by name; a null selector is one whatever its privilege bits are."""
    there = [name for name in SEGMENTS if name in registers]
    return {name: registers[name] if registers[name] > 3 else 0 for name in there}


def contents(fxsave, abi):
    """Return control, status and data of an image; TCG keeps no instruction pointers in it."""
    x87 = b"".join(fxsave[32 + 16 * n : 42 + 16 * n] for n in range(8))
    return fxsave[:5] + fxsave[24:28] + x87 + fxsave[160 : 288 if abi is I386 else 416]


def tag_word(fxsave):
    """Return two bits for each register: valid, zero, special or empty."""
    top, full, tags = fxsave[3] >> 3 & 7, fxsave[4], 0
    for number in range(8):
        at = 32 + 16 * ((number - top) & 7)
        digits, exponent = struct.unpack_from("<QH", fxsave, at)
        normal = exponent & 0x7FFF not in (0, 0x7FFF) and digits >> 63
        tag = 0 if normal else 1 if digits == exponent & 0x7FFF == 0 else 2
        tags |= (tag if full >> number & 1 else 3) << 2 * number
    return tags


def saved_mask(frame):
    names = ("mask",) if "mask" in frame else ("oldmask", "mask_high")
    return sum(frame[name] << 32 * place for place, name in enumerate(names))


def stack_inside(said):
    """Return base, flags and size of the alternate stack as the handler was told."""
    width = said.entry.abi.bits // 8
    image = said.memory("stack_inside", 3 * width)
    words = [int.from_bytes(image[n * width : (n + 1) * width], "little") for n in range(3)]
    return words[0], words[1] & 0xFFFF_FFFF, words[2]


@pytest.mark.claim(13)
@pytest.mark.claim(17)
@pytest.mark.entries(*PLAIN)
def test_the_frame_holds_every_register_as_the_call_left_it(guest, entry):
    said = in_each_frame(guest, entry, cpu_flags=ODD_FLAGS)
    landing = said["siginfo"]["landing"]
    changed = {"rcx": landing, "r11": ODD_FLAGS} if entry.name == "syscall" else {}
    expected = each(said, lambda one: general(one.before, entry) | changed)
    assert each(said, lambda one: general(one.first.frame, entry)) == expected
    names = (entry.number, "ip", "flags")
    seen = each(said, lambda one: [one.first.frame[name] for name in names])
    assert seen == same(said, [0, landing, ODD_FLAGS]), "result, ip and flags"
    if entry.abi is I386:
        stack = each(said, lambda one: one.before["esp"])
        assert each(said, lambda one: one.first.frame["sp_at_signal"]) == stack


@pytest.mark.claim(17)
@pytest.mark.entries("kernel_vsyscall", "sysenter", "syscall32")
def test_at_the_landing_pad_the_frame_holds_every_register_but_the_stacks(guest, entry):
    said = in_each_frame(guest, entry, cpu_flags=ODD_FLAGS)
    known = each(said, lambda one: general(one.before, entry) | {"esp": one.first.frame["esp"]})
    assert each(said, lambda one: general(one.first.frame, entry)) == known
    assert each(said, lambda one: one.first.frame["eax"]) == same(said, 0)
    used = each(said, lambda one: one.before["esp"] - one.first.frame["esp"])
    assert used == same(said, 16), "return address, ecx, edx and ebp"


@pytest.mark.entries(*PLAIN)
def test_the_frame_holds_the_programs_own_segments_and_no_trap(guest, entry):
    said = in_each_frame(guest, entry)
    own = selectors(guest.about(entry.abi).registers)
    for one in said.values():
        there = selectors(one.first.frame)
        assert there == {name: own[name] for name in there}
        assert {one.first.frame[name] for name in ("error", "trap", "cr2", "oldmask")} == {0}


@pytest.mark.claim(17)
def test_every_register_comes_back_after_the_handler(guest, entry):
    said = in_each_frame(guest, entry, cpu_flags=ODD_FLAGS)
    own = selectors(guest.about(entry.abi).registers)
    for kind, one in said.items():
        changed = {name for name in entry.abi.registers if one.after[name] != one.before[name]}
        assert changed <= entry.may_clobber, kind
        assert one.after[entry.number] == 0
        assert (one.after["flags"] ^ ODD_FLAGS) & ~entry.may_change_flags == 0, kind
        assert selectors(one.after) == own, kind


@pytest.mark.parametrize("flags", [NESTED, ALIGNMENT, NESTED | ALIGNMENT], ids=hex)
def test_flags_of_the_interrupted_call_do_no_harm(guest, entry, flags):
    """The way to a handler is IRET, which a nested-task flag of the kernel's would make fail."""
    said = in_each_frame(guest, entry, cpu_flags=0x202 | flags)
    assert each(said, lambda one: one.returned) == same(said, True)  # noqa: FBT003
    assert each(said, lambda one: hex(one.first.frame["flags"] & flags)) == same(said, hex(flags))
    assert each(said, lambda one: hex(one.after["flags"] & flags)) == same(said, hex(flags))


@pytest.mark.claim(57)
def test_a_signal_to_oneself_comes_before_the_call_returns(guest, entry):
    asked = {by: Asked(Sending(by=by)) for by in ("kill", "tkill", "tgkill")}
    said = deliver_all(guest, entry, asked)
    names = (entry.number, "signo", "code", "errno", "pid", "uid")
    pid = said["kill"].before[entry.arguments[0]]
    assert each(said, lambda one: [one.first.frame[name] for name in names]) == {
        by: [0, SIGUSR1, SI_USER if by == "kill" else SI_TKILL, 0, pid, 0] for by in said
    }
    assert each(said, lambda one: one.returned) == same(said, True)  # noqa: FBT003


@pytest.mark.entries(*PLAIN)
def test_a_handler_is_given_signal_info_and_context(guest, entry):
    said = deliver(guest, entry)
    registers, frame, at = said.first.registers, said.first.frame, said.first.at
    if entry.abi is I386:
        expected = [SIGUSR1, at + 16, at + 144]
        assert [registers[name] for name in ("eax", "edx", "ecx")] == expected
        assert [frame[name] for name in ("signal", "info_at", "context_at")] == expected
    else:
        names = ("rdi", "rsi", "rdx", "rax")
        assert [registers[name] for name in names] == [SIGUSR1, at + 312, at + 8, 0]


@pytest.mark.entries("int80")
def test_a_plain_handler_is_given_the_signal_alone(guest, entry):
    said = in_each_frame(guest, entry)["plain"]
    registers = said.first.registers
    assert [registers[name] for name in ("eax", "edx", "ecx")] == [SIGUSR1, 0, 0]
    assert said.first.frame["signal"] == SIGUSR1


def test_a_handler_starts_with_the_direction_flag_clear_and_its_own_segments(guest, entry):
    said = in_each_frame(guest, entry, cpu_flags=ODD_FLAGS)
    flags = each(said, lambda one: one.first.registers["flags"] & ~entry.may_change_flags)
    assert flags == same(said, ODD_FLAGS & ~DIRECTION & ~entry.may_change_flags)
    own = selectors(guest.about(entry.abi).registers)
    assert each(said, lambda one: selectors(one.first.registers)) == same(said, own)


@pytest.mark.entries(*PLAIN)
def test_a_handler_finds_the_other_registers_as_they_were(guest, entry):
    given = {"eax", "ecx", "edx", "esp", "rax", "rdi", "rsi", "rdx", "rsp"}
    others = [name for name in entry.abi.registers if name not in given]
    for kind, one in in_each_frame(guest, entry).items():
        found = {name: one.first.registers[name] for name in others}
        assert found == {name: one.first.frame[name] for name in others}, kind
        assert one.first.registers[entry.abi.registers[7]] == one.first.at, kind


def test_any_stack_pointer_gives_a_frame_aligned_as_the_abi_wants_it(guest, entry):
    stack = entry.abi.registers[7]
    for shift in (0, 1, 4, 8, 15):
        for kind, one in in_each_frame(guest, entry, stack=shift).items():
            assert (one.first.at + entry.abi.bits // 8) % 16 == 0, (kind, shift)
            assert (one.first.frame["state"] + one.first.layout.fxsave) % 64 == 0, (kind, shift)
            assert one.after[stack] == one.before[stack], (kind, shift)


@pytest.mark.entries(*PLAIN)
def test_what_is_on_the_stack_stays_and_so_does_the_red_zone(guest, entry):
    red_zone = 0 if entry.abi is I386 else RED_ZONE_BYTES
    for kind, one in in_each_frame(guest, entry).items():
        around = one.memory("around", BELOW + ABOVE)
        assert around[BELOW - red_zone :] == FILL * (red_zone + ABOVE), kind
        assert around[: BELOW - red_zone] != FILL * (BELOW - red_zone), "a frame is right below"


@pytest.mark.entries("int80")
@pytest.mark.parametrize("kind", TRAMPOLINES)
def test_without_a_restorer_the_vdsos_trampoline_leads_back(guest, entry, kind):
    name, code = TRAMPOLINES[kind]
    said = deliver(guest, entry, how=Sending(SA_SIGINFO if kind == "siginfo" else 0))
    vdso = read_vdso(guest, entry.abi)
    trampoline = vdso.address(name, "LINUX_2.5") - vdso.base
    assert said.first.frame["restorer"] - said.report["vdso"] == trampoline
    assert said.first.frame["retcode"].to_bytes(8, "little").hex() == code
    assert said.returned


@pytest.mark.entries("syscall", "int80_64")
def test_without_a_restorer_64_bit_code_gets_sigsegv(guest, entry):
    frame = deliver(guest, entry, how=Sending(SA_SIGINFO)).first.frame
    assert (frame["signo"], frame["code"], frame["address"]) == (SIGSEGV, SI_KERNEL, 0)


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize(
    ("more", "own"), [(0, bit(SIGUSR1)), (SA_NODEFER, 0)], ids=["defer", "nodefer"]
)
def test_a_handler_runs_with_the_mask_that_was_asked_for(guest, entry, more, own):
    said = in_each_frame(guest, entry, more, mask=bit(SIGUSR2), blocked=BLOCKED)
    inside = each(said, lambda one: one["mask_inside"])
    assert inside == same(said, own | bit(SIGUSR2) | BLOCKED)
    assert each(said, lambda one: saved_mask(one.first.frame)) == same(said, BLOCKED)
    assert each(said, lambda one: one.first.frame["oldmask"]) == same(
        said, BLOCKED & entry.abi.mask
    )
    assert each(said, lambda one: one["mask_after"]) == same(said, BLOCKED)


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize("more", [0, SA_RESETHAND])
def test_a_handler_stays_unless_it_is_for_once(guest, entry, more):
    said = in_each_frame(guest, entry, more)
    assert each(said, lambda one: one["handler_after"] == 0) == same(said, bool(more))


def most_frame_bytes(guest, entry):
    """Return what a frame takes at most: processors with long vectors say how much they need."""
    said = guest.about(entry.abi).auxv.get(AT_MINSIGSTKSZ, 0)
    return max(MOST_FRAME_BYTES, said + RED_ZONE_BYTES)


@pytest.mark.entries(*PLAIN)
def test_a_handler_runs_on_the_alternate_stack_when_it_asks(guest, entry):
    for kind, one in in_each_frame(guest, entry, SA_ONSTACK).items():
        top = one["alternate"] + ALTERNATE_BYTES
        assert top - most_frame_bytes(guest, entry) < one.first.at < top, kind
        assert stack_inside(one) == (one["alternate"], SS_ONSTACK, ALTERNATE_BYTES), kind
        assert entry.abi.signed(one["set_inside"]) == -EPERM, kind
        assert one.returned, kind


@pytest.mark.entries(*PLAIN)
def test_an_alternate_stack_that_disarms_itself_is_another_handlers_to_use(guest, entry):
    """It is put away while its handler runs, which sets its other half, and back afterwards."""
    layout = ALTERNATE_STACK[entry.abi.name]
    how = Sending(frame_kinds(entry.abi)["siginfo"] | SA_ONSTACK, alternate_bytes=DISARMING)
    said = deliver(guest, entry, how=how)
    armed = {"start": said["alternate"], "flags": SS_AUTODISARM, "size": 2 * ALTERNATE_BYTES}
    assert ALTERNATE_BYTES < said.first.at - armed["start"] < 2 * ALTERNATE_BYTES
    assert stack_inside(said) == (0, SS_DISABLE, 0)
    assert said["set_inside"] == 0
    assert layout.decode(said.memory("stack_after", layout.size_bytes)) == armed


@pytest.mark.entries(*PLAIN)
def test_a_handler_stays_on_its_stack_when_it_does_not_ask(guest, entry):
    for kind, one in in_each_frame(guest, entry).items():
        stack = one.before[entry.abi.registers[7]]
        assert stack - most_frame_bytes(guest, entry) < one.first.at < stack, kind
        assert stack_inside(one) == (one["alternate"], 0, ALTERNATE_BYTES), kind
        assert one["set_inside"] == 0, kind


@pytest.mark.entries(*PLAIN)
def test_the_frame_says_which_alternate_stack_there_was(guest, entry):
    said = deliver(guest, entry, how=Sending(frame_kinds(entry.abi)["siginfo"] | SA_ONSTACK))
    names = ("ss_sp", "ss_flags", "ss_size", "uc_link")
    expected = [said["alternate"], 0, ALTERNATE_BYTES, 0]
    assert [said.first.frame[name] for name in names] == expected


@pytest.mark.entries(*PLAIN)
def test_the_frame_says_what_kind_of_state_it_has(guest, entry):
    said = deliver(guest, entry)
    strict = 0 if entry.abi is I386 else HAS_SS_AND_IS_STRICT
    assert said.first.frame["uc_flags"] == strict | said.report["has_avx"]
    assert said.first.frame["uc_link"] == 0, "where the stack held something else"


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize("where", NO_ROOM)
def test_a_stack_without_room_for_the_frame_is_sigsegv(guest, entry, where):
    stack = entry.abi.registers[7]
    names = ("signo", "code", "address", entry.number, stack)
    said = in_each_frame(guest, entry, stack=NO_ROOM[where])
    assert each(said, lambda one: [one.first.frame[name] for name in names]) == same(
        said, [SIGSEGV, SI_KERNEL, 0, 0, NO_ROOM[where]]
    )
    assert each(said, lambda one: one.after[stack]) == same(said, NO_ROOM[where])


def overflow(guest, entry):
    """Have frames built where they do not fit on the alternate stack, and where they do."""
    for kind, flags in frame_kinds(entry.abi).items():
        how = Sending(flags | SA_ONSTACK)
        start = deliver(guest, entry, how=how)["alternate"]
        with pytest.raises(GuestError, match=f"ended with {128 + SIGSEGV}"):
            deliver(guest, entry, how=replace(how, stack=start + 256))
        assert deliver(guest, entry, how=replace(how, stack=start + 8192)).returned, kind


@pytest.mark.entries("syscall", "int80_64")
def test_a_frame_that_does_not_fit_on_the_alternate_stack_ends_the_process(guest, entry):
    """Not even the handler of SIGSEGV has room for its own."""
    overflow(guest, entry)


@pytest.mark.entries("int80")
@pytest.mark.needs(since="6.2")
def test_a_32_bit_frame_that_does_not_fit_on_the_alternate_stack_ends_the_process(guest, entry):
    """A 64-bit kernel did not look before: arch/x86/ia32/ia32_signal.c get_sigframe (6.1)."""
    overflow(guest, entry)


@pytest.mark.entries(*PLAIN)
def test_x87_and_sse_state_is_in_the_frame_and_comes_back(guest, entry):
    for kind, one in in_each_frame(guest, entry).items():
        before = contents(one.memory("fpu_before", 512), entry.abi)
        assert contents(one.first.fxsave, entry.abi) == before, f"in the frame: {kind}"
        assert contents(one.memory("fpu_after", 512), entry.abi) == before, f"afterwards: {kind}"


def test_x87_and_sse_state_lies_where_a_processor_can_store_it(guest, entry):
    for kind, one in in_each_frame(guest, entry).items():
        state = one.first.frame["state"] + one.first.layout.fxsave
        assert state % 64 == 0, kind
        assert state + 512 <= one.before[entry.abi.registers[7]], kind


@pytest.mark.entries("int80")
def test_the_frame_has_x87_state_in_its_older_form_too(guest, entry):
    for kind, one in in_each_frame(guest, entry).items():
        seen, fxsave = one.first.state[:112], one.first.fxsave
        control, status, tags = struct.unpack_from("<III", seen)
        known = struct.unpack_from("<HH", fxsave)
        assert (control, status) == tuple(0xFFFF_0000 | word for word in known), kind
        assert hex(tags) == hex(0xFFFF_0000 | tag_word(fxsave)), kind
        registers = b"".join(fxsave[32 + 16 * n : 42 + 16 * n] for n in range(8))
        assert seen[28:108] == registers, kind
        assert struct.unpack_from("<HH", seen, 108) == (known[1], 0), f"status and magic: {kind}"


@pytest.mark.entries(*PLAIN)
def test_a_handler_starts_with_x87_and_sse_as_a_program_does(guest, entry):
    for kind, one in in_each_frame(guest, entry).items():
        fpu = one.first.fpu
        assert int.from_bytes(fpu[:2], "little") == INITIAL_X87, kind
        assert int.from_bytes(fpu[24:28], "little") == INITIAL_MXCSR, kind
        assert fpu[2:24] + fpu[32:416] == bytes(22 + 384), kind


@pytest.mark.entries(*PLAIN)
def test_a_stack_pointer_is_on_the_alternate_stack_from_its_second_byte_to_its_end(guest, entry):
    layout, stack = ALTERNATE_STACK[entry.table.name], entry.abi.registers[7]
    start, size = ARENA.start + 0x4000, 4096
    new = layout.encode(start=start, size=size)
    assert guest.call(entry, "sigaltstack", new, 0).value == 0
    places = {-1: 0, 0: 0, 1: SS_ONSTACK, size: SS_ONSTACK, size + 1: 0}
    for place, flags in places.items():
        at = {stack: start + place}
        said = guest.call(entry, "sigaltstack", 0, Buffer(layout.size_bytes), **at)
        assert layout.decode(said.memory[0])["flags"] == flags, place
        change = guest.call(entry, "sigaltstack", new, 0, **at)
        assert change.errno == (EPERM if flags else None), place


@pytest.mark.parametrize(
    ("size_bytes", "flags", "errno"),
    [(2048, 0, None), (2047, 0, ENOMEM), (0, 0, ENOMEM), (0, SS_DISABLE, None)],
)
def test_the_alternate_stack_has_a_least_size(guest, entry, size_bytes, flags, errno):
    width = entry.table.bits // 8
    fields = (ARENA.start, flags, size_bytes)
    stack = b"".join(value.to_bytes(width, "little") for value in fields)
    assert guest.call(entry, "sigaltstack", stack, Buffer(3 * width)).errno == errno
