# SPDX-License-Identifier: Apache-2.0
"""A handler that a tracer steps into: where it begins, on which stack, with which flags.

Source: arch/x86/kernel/signal.c handle_signal, get_sigframe; arch/x86/include/asm/sighandling.h
FIX_EFLAGS; kernel/signal.c signal_setup_done, force_sig_info_to_task (6.1).
"""

import struct
from dataclasses import dataclass
from errno import EINTR
from signal import SIGSEGV, SIGTRAP, SIGUSR1, SIGUSR2

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import CALL_STOP, DEBUG_REGISTERS, TRAP_STOP, Request, Status
from harness.agent.puppet import INT3, load_word, start_puppet
from harness.agent.signals import (
    FRAME_BYTES,
    SA_NODEFER,
    SA_ONSTACK,
    SA_RESTORER,
    SA_SIGINFO,
    frame_kinds,
    frame_layout,
)
from harness.agent.structures import ACTION, ALTERNATE_STACK, SENT, SIGNAL_BYTES
from harness.arch import I386
from harness.landscape import HOLE

NOP = b"\x90"
RETURN_FROM_SIGNAL = {
    ("i386", True): b"\x58\xb8\xad\0\0\0\xcd\x80",  # pop %eax; mov $173, %eax; int $0x80
    ("i386", False): b"\x58\x58\xb8\x77\0\0\0\xcd\x80",  # pop twice; mov $119, %eax; int $0x80
    ("x86_64", True): b"\x58\xb8\x0f\0\0\0\x0f\x05",  # pop %rax; mov $15, %eax; syscall
}
"""By ABI and whether the frame is one with a siginfo_t."""
SI_KERNEL, TRAP_BRKPT, TRAP_TRACE, TRAP_HWBKPT = 0x80, 1, 2, 4
TRAP, RESUME = 0x100, 0x10000
BREAK_AT_FIRST = 1
CODE, FIELDS, ALTERNATE, ALTERNATE_BYTES = 0x2000, 0x3000, 0x4000, 0x4000
DEFAULT, IGNORE = 0, 1
INSTRUCTION_BYTES = 2
"""As long as any that enters the kernel is."""
CALLED_WITH = {
    ("i386", "siginfo"): ("ax",),
    ("i386", "plain"): ("ax", "dx", "cx"),
    ("x86_64", "siginfo"): ("di", "ax"),
}
"""Registers of a handler that hold the signal and then zeros, by ABI and kind of frame."""
SIG_BLOCK = 0


@pytest.fixture
def puppet(guest, abi):
    """Give a process of `abi` that is traced by one of the kernel's own."""
    with start_puppet(guest, abi) as puppet:
        yield puppet


@dataclass(frozen=True)
class Handler:
    """A handler of a puppet's.

    Attributes:
        start: its first instruction.
        stack: the stack pointer there.
        flags: the flags there.
        saved: where the frame keeps the flags of what was interrupted.
    """

    start: int
    stack: int
    flags: int
    saved: int


def set_handler(puppet, signal, flags=SA_SIGINFO):
    """Give a signal a handler that returns at once, and return its address."""
    code, action = (puppet.strings.stage + at for at in (CODE, FIELDS))
    puppet.write(code, RETURN_FROM_SIGNAL[puppet.abi.name, bool(flags & SA_SIGINFO)])
    fields = {"handler": code, "flags": flags | SA_RESTORER, "restorer": code}
    puppet.write(action, ACTION[puppet.abi.name].encode(**fields))
    assert puppet.call(puppet.own_entry, "rt_sigaction", signal, action, 0, 8) == 0
    return code


def step_into(puppet, signal):
    """Send a signal, let it through by a single step, and return where that led to."""
    puppet.signal(signal)
    assert puppet.resume() == Status.stopped(signal)
    assert puppet.resume(Request.SINGLESTEP, by_signal=signal) == TRAP_STOP
    seen = puppet.registers()
    offset, _ = frame_layout(puppet.abi, SA_SIGINFO).fields["flags"]
    return Handler(seen["ip"], seen["sp"], seen["flags"], seen["sp"] + offset)


def saved_flags(puppet, handler):
    return int.from_bytes(puppet.read(handler.saved, 4), "little")


def break_at(puppet, address):
    for number, value in ((0, address), (7, BREAK_AT_FIRST)):
        at = DEBUG_REGISTERS[puppet.view] + number * puppet.view.word_bytes
        assert puppet.ptrace(Request.POKEUSER, at, value).errno is None


def where(puppet):
    """Return how far on the stage the puppet is, and the code of the signal that stopped it."""
    return puppet.registers()["ip"] - puppet.strings.stage, puppet.siginfo()[2]


def test_a_step_into_a_handler_stops_at_its_first_instruction(puppet):
    start = set_handler(puppet, SIGUSR1)
    puppet.send_to(NOP + INT3)
    handler = step_into(puppet, SIGUSR1)
    assert hex(handler.start) == hex(start)
    assert puppet.siginfo() == (SIGTRAP, 0, SIGTRAP), "as an event of ptrace"
    assert not handler.flags & TRAP, "trap flag as the tracer sees it"
    assert not saved_flags(puppet, handler) & TRAP, "trap flag in the frame"
    assert puppet.resume() == TRAP_STOP
    assert where(puppet) == (2, SI_KERNEL), "the tracer's trap flag has come back with the frame"


HAS_STACK_SEGMENT, IS_STRICT, NARROW_CODE = 2, 4, 0x23


@pytest.mark.abis("x86_64")
def test_a_frame_is_strict_about_the_stack_segment_of_64_bit_code_only(puppet):
    """Source: arch/x86/kernel/signal.c frame_uc_flags (6.1)."""
    set_handler(puppet, SIGUSR1)
    place, size = frame_layout(puppet.abi, SA_SIGINFO).fields["uc_flags"]
    seen = {}
    for code in (puppet.home["cs"], NARROW_CODE):
        puppet.send_to(NOP + INT3, cs=code)
        said = puppet.read(step_into(puppet, SIGUSR1).stack + place, size)
        seen[code] = said[0] & (HAS_STACK_SEGMENT | IS_STRICT)
        assert puppet.resume() == TRAP_STOP, "and comes back"
    wide = HAS_STACK_SEGMENT | IS_STRICT
    assert seen == {puppet.home["cs"]: wide, NARROW_CODE: HAS_STACK_SEGMENT}


def test_a_handler_is_told_what_the_tracer_says_of_the_signal(puppet):
    """Source: kernel/ptrace.c ptrace_setsiginfo (6.1)."""
    set_handler(puppet, SIGUSR1)
    puppet.send_to(NOP + INT3)
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    told = {"code": 0, "pid": 0x7777, "uid": 0x8888}
    record = SENT[puppet.view.name].encode(signal=SIGUSR1, **told).ljust(SIGNAL_BYTES, b"\0")
    assert puppet.ptrace(Request.SETSIGINFO, 0, record).value == 0
    assert puppet.siginfo_bytes()[:SIGNAL_BYTES].hex() == record.hex(), "as the tracer is told"
    assert puppet.resume(Request.SINGLESTEP, by_signal=SIGUSR1) == TRAP_STOP
    frame = puppet.read(puppet.registers()["sp"], FRAME_BYTES)
    seen = frame_layout(puppet.abi, SA_SIGINFO).decode(frame)
    assert {name: seen[name] for name in told} == told


def test_a_step_within_a_handler_takes_one_instruction(puppet):
    start = set_handler(puppet, SIGUSR1)
    puppet.send_to(NOP + INT3)
    step_into(puppet, SIGUSR1)
    assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
    assert puppet.registers()["ip"] == start + 1


def test_a_step_over_the_return_from_a_handler_stops_where_it_leads(puppet):
    """The flags that come back with the frame are without the tracer's own."""
    seen = {}
    for kind, flags in frame_kinds(puppet.abi).items():
        set_handler(puppet, SIGUSR1, flags)
        puppet.send_to(NOP + INT3)
        handler = step_into(puppet, SIGUSR1)
        while puppet.registers()["ip"] >= handler.start:
            assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
        seen[kind] = [where(puppet), puppet.registers()["flags"] & TRAP]
        assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
        seen[kind].append(where(puppet))
        puppet.go_home()
    assert seen == {kind: [(0, TRAP_BRKPT), 0, (1, TRAP_TRACE)] for kind in seen}


def test_a_handler_is_called_with_its_arguments_whatever_the_registers_were(puppet):
    """A 64-bit handler finds no vectors among them: rax is 0, see the ABI's 3.2.3."""
    seen = {}
    for name, flags in frame_kinds(puppet.abi).items():
        set_handler(puppet, SIGUSR1, flags)
        puppet.send_to(NOP + INT3, **dict.fromkeys(("ax", "cx", "dx", "si", "di"), 0x77))
        step_into(puppet, SIGUSR1)
        found = puppet.registers()
        seen[name] = [found[register] for register in CALLED_WITH[puppet.abi.name, name]]
        assert puppet.resume() == TRAP_STOP
        puppet.go_home()
    assert seen == {name: [SIGUSR1, 0, 0][: len(said)] for name, said in seen.items()}


@pytest.mark.abis("i386")
def test_a_handler_has_its_own_segments_whatever_was_interrupted(puppet):
    """Source: arch/x86/kernel/signal_32.c ia32_setup_frame, ia32_setup_rt_frame (6.12)."""
    others = dict.fromkeys(("ds", "es"), puppet.home["cs"])
    own = dict.fromkeys(others, puppet.home["ss"])
    seen = {}
    for kind, flags in frame_kinds(puppet.abi).items():
        set_handler(puppet, SIGUSR1, flags)
        puppet.send_to(NOP + INT3, **others)
        step_into(puppet, SIGUSR1)
        within = puppet.registers()
        assert puppet.resume() == TRAP_STOP
        behind = puppet.registers()
        seen[kind] = [{name: found[name] for name in others} for found in (within, behind)]
        puppet.go_home()
    assert seen == {kind: [own, others] for kind in seen}


FLAT = struct.pack("<IIII", 0xFFFF_FFFF, 0, 0xFFFFF, 0x51)
"""A thread-local entry of the kernel's choice for all of memory."""


def ready_for_another_stack(puppet):
    """Give it an alternate stack and a flat segment; return start and end of the one, and other."""
    entry, stage = puppet.own_entry, puppet.strings.stage
    at, start = stage + FIELDS, stage + ALTERNATE
    puppet.write(at, FLAT + entry.table.words(start, 0, ALTERNATE_BYTES))
    assert puppet.call(entry, "set_thread_area", at) == 0
    assert puppet.call(entry, "sigaltstack", at + len(FLAT), 0) == 0
    return start, start + ALTERNATE_BYTES, 8 * int.from_bytes(puppet.read(at, 4), "little") + 3


def stack_of_handler(puppet, flags, restorer, **registers):
    """Return the stack pointer at a handler whose restorer comes without its flag."""
    at = puppet.strings.stage + FIELDS
    fields = {"handler": set_handler(puppet, SIGUSR1), "restorer": restorer}
    puppet.write(at, ACTION["i386"].encode(**fields, flags=flags & ~SA_RESTORER | SA_NODEFER))
    assert puppet.call(puppet.own_entry, "rt_sigaction", SIGUSR1, at, 0, 8) == 0
    puppet.send_to(NOP + INT3, **registers)
    stack = step_into(puppet, SIGUSR1).stack
    puppet.go_home()
    return stack


@pytest.mark.abis("i386")
def test_a_restorer_without_its_flag_is_a_stack_for_whoever_has_another_stack_segment(puppet):
    """It is the alternate one, too: get_sigframe of newer kernels refuses any other (6.12)."""
    start, end, other = ready_for_another_stack(puppet)
    seen = {
        (kind, ss == other): start < stack_of_handler(puppet, flags, end, ss=ss) < end
        for kind, flags in frame_kinds(puppet.abi).items()
        for ss in (other, puppet.home["ss"])
    }
    assert seen == {(kind, is_other): is_other for kind, is_other in seen}


@pytest.mark.abis("i386")
@pytest.mark.needs(arch="i386")
def test_a_restorer_is_no_stack_for_whoever_is_on_the_alternate_one(puppet):
    """Source: arch/x86/kernel/signal.c get_sigframe (6.1); ia32_signal.c asks for nothing (6.1)."""
    start, end, other = ready_for_another_stack(puppet)
    middle = start + ALTERNATE_BYTES // 2
    seen = {
        kind: start < stack_of_handler(puppet, flags, end, ss=other, sp=middle) < middle
        for kind, flags in frame_kinds(puppet.abi).items()
    }
    assert seen == dict.fromkeys(seen, True), "below where it was"


ERESTARTNOINTR = 513


def test_a_fork_that_a_signal_meets_is_made_again_behind_its_handler(puppet):
    """No fork is EINTR. Source: kernel/fork.c copy_process (6.1)."""
    set_handler(puppet, SIGUSR1, SA_SIGINFO)
    layout = frame_layout(puppet.abi, SA_SIGINFO)
    for by_signal in (0, SIGUSR1):
        puppet.go_home()
        puppet.prepare(puppet.own_entry, "fork")
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        entered = puppet.registers()
        puppet.signal(SIGUSR1)
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        assert puppet.registers() == entered | {"ax": -ERESTARTNOINTR & puppet.view.mask}
        assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGUSR1)
        if by_signal:
            assert puppet.resume(Request.SINGLESTEP, by_signal=SIGUSR1) == TRAP_STOP
            at = puppet.registers()["sp"]
            frame = layout.decode(puppet.read(at, FRAME_BYTES))
            again = entered["orig_ax"], entered["ip"] - INSTRUCTION_BYTES
            assert (frame[puppet.abi.registers[0]], frame["ip"]) == again
        else:
            assert puppet.resume(Request.SYSCALL) == CALL_STOP
            assert puppet.registers() == entered
            puppet.set_registers(orig_ax=-1)
            assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, TRAP_STOP]


def test_a_second_signal_goes_on_below_the_first_on_the_alternate_stack(puppet):
    layout, stack = ALTERNATE_STACK[puppet.abi.name], puppet.strings.stage + ALTERNATE
    puppet.write(puppet.strings.stage, layout.encode(start=stack, size=ALTERNATE_BYTES))
    assert puppet.call(puppet.own_entry, "sigaltstack", puppet.strings.stage, 0) == 0
    for signal in (SIGUSR1, SIGUSR2):
        set_handler(puppet, signal, SA_SIGINFO | SA_ONSTACK)
    puppet.send_to(NOP + INT3)
    first, second = (step_into(puppet, signal).stack - stack for signal in (SIGUSR1, SIGUSR2))
    assert ALTERNATE_BYTES - 4096 < first < ALTERNATE_BYTES
    assert first - 4096 < second < first, "over the frame of the first"
    assert puppet.resume() == TRAP_STOP
    assert where(puppet) == (2, SI_KERNEL)


def test_the_resume_flag_in_a_frame_lets_a_breakpoint_be_passed_once(puppet):
    """Debuggers of one's own go on by it: FIX_EFLAGS has it among the flags that are taken."""
    set_handler(puppet, SIGUSR1)
    seen = {}
    for flag in (0, RESUME):
        puppet.send_to(NOP + INT3)
        break_at(puppet, puppet.strings.stage)
        handler = step_into(puppet, SIGUSR1)
        flags = saved_flags(puppet, handler) & ~RESUME | flag
        puppet.write(handler.saved, flags.to_bytes(4, "little"))
        assert puppet.resume() == TRAP_STOP
        seen[flag] = where(puppet)
    assert seen == {0: (0, TRAP_HWBKPT), RESUME: (2, SI_KERNEL)}


def test_a_breakpoint_at_a_handler_is_not_passed_by_what_was_interrupted(puppet):
    """A handler starts without the resume flag: handle_signal."""
    start = set_handler(puppet, SIGUSR1)
    puppet.send_to(NOP + INT3, flags=puppet.home["flags"] | RESUME)
    break_at(puppet, start)
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    assert puppet.resume(by_signal=SIGUSR1) == TRAP_STOP
    assert where(puppet) == (CODE, TRAP_HWBKPT)


ENDS_WITH_A_HANDLER = {
    "rt_sigsuspend": ("mask", 8),
    "sigsuspend": (0, 0, 1 << SIGUSR2 - 1),
    "ppoll": (0, 0, 0, "mask", 8),
    "pselect6": (0, 0, 0, 0, 0, "block"),
    "epoll_pwait": ("epoll", "room", 1, -1, "mask", 8),
}
"""Calls that wait with another mask, which blocks SIGUSR2 alone."""


def calls_that_wait(puppet):
    """Return those that the process has, with their places filled in."""
    at, word = puppet.strings.stage + FIELDS, puppet.abi.word_bytes
    puppet.write(at, (1 << SIGUSR2 - 1).to_bytes(8, "little") + puppet.abi.words(at, 8))
    places = {"mask": at, "block": at + 8, "room": at + 8 + 2 * word}
    places["epoll"] = puppet.call(puppet.own_entry, "epoll_create1", 0)
    there = puppet.table(puppet.own_entry).numbers.keys() & ENDS_WITH_A_HANDLER.keys()
    return {name: [places.get(a, a) for a in ENDS_WITH_A_HANDLER[name]] for name in sorted(there)}


@pytest.fixture
def before(puppet):
    """Give the mask that the process has: it blocks SIGUSR1, and the last of all."""
    mask = 1 << SIGUSR1 - 1 | 1 << 63
    set_handler(puppet, SIGUSR1)
    puppet.home = puppet.registers()
    return mask


def mask_of(puppet):
    said = puppet.ptrace(Request.GETSIGMASK, 8, Buffer(8))
    return hex(int.from_bytes(said.memory[0], "little"))


def set_mask(puppet, mask):
    assert puppet.ptrace(Request.SETSIGMASK, 8, mask.to_bytes(8, "little")).value == 0


def saved_mask(puppet, handler, flags):
    """Return the mask in the frame of a handler that was installed with `flags`."""
    fields = frame_layout(puppet.abi, flags).fields
    places = [fields[name] for name in ("mask",) if name in fields]
    places = places or [fields["oldmask"], fields["mask_high"]]
    pieces = [puppet.read(handler.stack + at, width) for at, width in places]
    return hex(int.from_bytes(b"".join(pieces), "little"))


def masks(puppet, flags, name, arguments):
    """Return the mask within the handler that ends a call, in its frame, and behind the call."""
    puppet.go_home()
    puppet.prepare(puppet.own_entry, name, *arguments)
    handler = step_into(puppet, SIGUSR1)
    within, saved = mask_of(puppet), saved_mask(puppet, handler, flags)
    assert puppet.resume() == TRAP_STOP
    assert puppet.abi.signed(puppet.after()["ax"]) == -EINTR, name
    return within, saved, mask_of(puppet)


def test_a_mask_for_the_time_of_a_call_ends_with_it(puppet, before):
    """What the handler goes back to is the mask from before: sigmask_to_save."""
    within = hex(1 << SIGUSR1 - 1 | 1 << SIGUSR2 - 1)
    for kind, flags in frame_kinds(puppet.abi).items():
        set_handler(puppet, SIGUSR1, flags)
        calls = calls_that_wait(puppet)
        set_mask(puppet, before)
        for name, arguments in calls.items():
            seen = masks(puppet, flags, name, arguments)
            assert seen == (within, hex(before), hex(before)), (kind, name)


def test_a_mask_for_the_time_of_a_call_ends_when_it_is_made_again(puppet, before):
    """Only epoll_pwait is not: man 7 signal."""
    calls, seen = calls_that_wait(puppet), {}
    del calls["epoll_pwait"]
    set_mask(puppet, before)
    for name, arguments in calls.items():
        puppet.go_home()
        puppet.prepare(puppet.own_entry, name, *arguments)
        _, status = puppet.interrupt(SIGUSR1)
        assert status == CALL_STOP, name
        told = [mask_of(puppet)]
        assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGUSR1), name
        told += [mask_of(puppet)]
        stop = puppet.resume(Request.SYSCALL)
        seen[name] = stop, *told, mask_of(puppet)
        puppet.set_registers(orig_ax=-1)
        assert list(puppet.stops(Request.SYSCALL))[-1] == TRAP_STOP, name
    assert seen == dict.fromkeys(seen, (CALL_STOP, *[hex(before)] * 3)), "as a tracer is told it"


def test_a_mask_that_a_tracer_sets_in_such_a_call_is_not_undone_by_its_end(puppet, before):
    """Source: kernel/ptrace.c PTRACE_SETSIGMASK, clear_tsk_restore_sigmask (6.1)."""
    calls, seen, other = calls_that_wait(puppet), {}, 1 << SIGUSR2 - 1
    for name, arguments in calls.items():
        set_mask(puppet, before)
        puppet.go_home()
        puppet.prepare(puppet.own_entry, name, *arguments)
        _, status = puppet.interrupt(SIGUSR1)
        assert status == CALL_STOP, name
        set_mask(puppet, other)
        puppet.set_registers(ax=-EINTR)
        assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGUSR1), name
        assert puppet.resume() == TRAP_STOP, name
        seen[name] = mask_of(puppet)
    assert seen == dict.fromkeys(seen, hex(other))


@pytest.mark.parametrize("how", ["blocked", "ignored"])
def test_a_fault_whose_signal_is_not_wanted_ends_the_process(puppet, how):
    entry, at = puppet.own_entry, puppet.strings.stage + FIELDS
    if how == "blocked":
        set_handler(puppet, SIGSEGV)
        puppet.write(at, (1 << SIGSEGV - 1).to_bytes(8, "little"))
        assert puppet.call(entry, "rt_sigprocmask", SIG_BLOCK, at, 0, 8) == 0
    else:
        puppet.write(at, ACTION[puppet.abi.name].encode(handler=IGNORE))
        assert puppet.call(entry, "rt_sigaction", SIGSEGV, at, 0, 8) == 0
    puppet.send_to(load_word(puppet.abi, HOLE) + INT3)
    assert puppet.resume() == Status.stopped(SIGSEGV)
    assert puppet.resume(by_signal=SIGSEGV) & 0x7F == SIGSEGV


NT_PRFPREG, NT_PRXFPREG, NT_X86_XSTATE = 2, 0x46E6_2B7F, 0x202
CONTROL, MXCSR, REGISTERS, SSE = slice(2), slice(24, 28), slice(32, 288), slice(160, 288)
XFEATURES, XSTATE_BV, UPPER = 472, 512, slice(576, 704)
X87_AND_SSE, ALSO_AVX = b"\3", b"\7"


def state_set(puppet):
    """Return the number of the set that is FXSAVE's image."""
    return NT_PRXFPREG if puppet.abi is I386 else NT_PRFPREG


def load(puppet, kind, size, **parts):
    """Change parts of the state that the puppet has: its x87, SSE and AVX."""
    image = bytearray(puppet.regset(Request.GETREGSET, kind, Buffer(size), size).content)
    for part, content in parts.values():
        image[part] = content
    assert puppet.regset(Request.SETREGSET, kind, bytes(image), size).errno is None


def state_in(puppet, handler):
    """Return where the frame's pointer to its state is, and where FXSAVE's image lies."""
    layout = frame_layout(puppet.abi, SA_SIGINFO)
    at, width = handler.stack + layout.fields["state"][0], puppet.abi.word_bytes
    return at, int.from_bytes(puppet.read(at, width), "little") + layout.fxsave


def test_a_frame_without_state_leads_to_the_initial_one_whatever_the_handler_has(puppet):
    """Source: arch/x86/kernel/fpu/signal.c fpu__restore_sig (6.1)."""
    set_handler(puppet, SIGUSR1)
    puppet.send_to(NOP + INT3)
    handler = step_into(puppet, SIGUSR1)
    load(puppet, state_set(puppet), 512, control=(CONTROL, b"\x7f\2"), sse=(SSE, b"w" * 128))
    at, _ = state_in(puppet, handler)
    puppet.write(at, bytes(puppet.abi.word_bytes))
    assert puppet.resume() == TRAP_STOP
    said = puppet.regset(Request.GETREGSET, state_set(puppet), Buffer(512), 512).content
    assert (said[CONTROL].hex(), said[MXCSR].hex()) == ("7f03", "801f0000")
    assert said[REGISTERS].hex() == bytes(256).hex()


@pytest.mark.machine(cpu="EPYC")
def test_state_that_a_frame_does_not_say_it_has_is_the_initial_one(puppet):
    """Source: arch/x86/kernel/fpu/signal.c restore_fpregs_from_user (6.1)."""
    kind, seen, has = NT_X86_XSTATE, {}, (slice(XSTATE_BV, XSTATE_BV + 1), ALSO_AVX)
    size = puppet.regset(Request.GETREGSET, kind, Buffer(4096), 4096).size_bytes
    set_handler(puppet, SIGUSR1)
    for features in (ALSO_AVX, X87_AND_SSE):
        puppet.send_to(NOP + INT3)
        load(puppet, kind, size, has=has, upper=(UPPER, b"b" * 128))
        handler = step_into(puppet, SIGUSR1)
        load(puppet, kind, size, has=has, upper=(UPPER, b"w" * 128))
        puppet.write(state_in(puppet, handler)[1] + XFEATURES, features)
        assert puppet.resume() == TRAP_STOP
        seen[features] = puppet.regset(Request.GETREGSET, kind, Buffer(size), size).content[UPPER]
    assert seen == {ALSO_AVX: b"b" * 128, X87_AND_SSE: bytes(128)}, "w: the handler's own"
