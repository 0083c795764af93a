# SPDX-License-Identifier: Apache-2.0
"""What a program asks for signals and is told again: actions, masks, what is pending, its stack.

Source: kernel/signal.c do_sigaction, sigprocmask, do_sigpending, do_sigaltstack; kernel/compat.c
sigprocmask; arch/x86/kernel/signal_32.c (6.1).
"""

from errno import EINVAL, ENOSYS

import pytest

from harness.agent.arguments import Buffer
from harness.agent.structures import ACTION, ALTERNATE_STACK, OLD_ACTION
from harness.landscape import ARENA

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

SIGKILL, SIGUSR1, SIGSTOP, FIRST, LAST = 9, 10, 19, 34, 64
ALL = (1 << 64) - 1
KILL_AND_STOP = 1 << 8 | 1 << 18
FLAGS = 0xDC00_0007
"""Of an action: ONSTACK, RESTART, NODEFER, RESETHAND, RESTORER, NOCLDSTOP, NOCLDWAIT, SIGINFO."""
NEVER_A_FLAG = 0x400
"""SA_UNSUPPORTED. Source: include/uapi/asm-generic/signal-defs.h (6.1)."""
BLOCK, UNBLOCK, SETMASK = 0, 1, 2
HANDLER, RESTORER = 0x2010_1234, 0x2010_5678
SS_DISABLE, SS_AUTODISARM = 2, -0x8000_0000
LEAST_STACK_BYTES = 2048


def word(value):
    return value.to_bytes(8, "little")


def act(guest, entry, signal, **fields):
    """Set what is done at a signal, and return what was set before."""
    layout = ACTION[entry.table.name]
    new = layout.encode(**fields) if fields else 0
    said = guest.call(entry, "rt_sigaction", signal, new, Buffer(layout.size_bytes + 8), 8)
    assert said.value == 0, said
    memory = said.memory[-1]
    assert memory[layout.size_bytes :] == b"\xa5" * 8
    return layout.decode(memory)


@pytest.mark.parametrize("signal", [1, SIGUSR1, 31, 32, 33, LAST])
def test_an_action_is_told_as_it_was_set(guest, entry, signal):
    first = {
        "handler": HANDLER,
        "flags": FLAGS,
        "restorer": RESTORER,
        "mask": 0x8000_0001_4000_0002,
    }
    second = {"handler": 1, "flags": 0, "restorer": 0, "mask": 0}
    act(guest, entry, signal, **first)
    assert act(guest, entry, signal, **second) == first
    assert act(guest, entry, signal) == second


def test_an_action_blocks_neither_kill_nor_stop(guest, entry):
    act(guest, entry, SIGUSR1, handler=HANDLER, mask=ALL)
    assert hex(act(guest, entry, SIGUSR1)["mask"]) == hex(ALL & ~KILL_AND_STOP)


@pytest.mark.needs(since="5.11")
def test_a_flag_that_is_none_is_not_kept(guest, entry):
    act(guest, entry, SIGUSR1, handler=HANDLER, flags=FLAGS | NEVER_A_FLAG)
    assert hex(act(guest, entry, SIGUSR1)["flags"]) == hex(FLAGS)


def test_an_action_wants_a_signal_that_may_have_one(guest, entry):
    action = ACTION[entry.table.name].encode(handler=HANDLER)
    cases = {
        **{(signal, action, 8): EINVAL for signal in (0, 65, -1, SIGKILL, SIGSTOP)},
        **{(signal, 0, 8): EINVAL for signal in (0, 65, -1)},
        **{(signal, 0, 8): None for signal in (SIGKILL, SIGSTOP, 1, LAST)},
        **{(SIGUSR1, action, size): EINVAL for size in (0, 4, 16)},
    }
    calls = [("rt_sigaction", signal, new, 0, size) for signal, new, size in cases]
    seen = [one.errno for one in guest.series(entry, calls)]
    assert dict(zip(cases, seen, strict=True)) == cases


@pytest.mark.entries("int80", "int80_64")
def test_the_older_call_takes_and_tells_the_same_with_half_a_mask(guest, entry):
    lower = 0x8000_0002
    given = {"handler": HANDLER, "mask": lower, "flags": FLAGS, "restorer": RESTORER}
    assert guest.call(entry, "sigaction", SIGUSR1, OLD_ACTION.encode(**given), 0).value == 0
    assert act(guest, entry, SIGUSR1) == given
    act(guest, entry, SIGUSR1, **given | {"mask": 7 << 32 | lower})
    said = guest.call(entry, "sigaction", SIGUSR1, 0, Buffer(OLD_ACTION.size_bytes + 8))
    assert said.memory == (OLD_ACTION.encode(**given) + b"\xa5" * 8,)


@pytest.mark.entries("int80", "int80_64")
def test_the_oldest_call_sets_a_handler_for_once(guest, entry):
    act(guest, entry, SIGUSR1, handler=RESTORER, mask=ALL)
    assert guest.call(entry, "signal", SIGUSR1, HANDLER).value == RESTORER
    seen = act(guest, entry, SIGUSR1)
    del seen["restorer"]  # nobody's: 5.10 leaves there what was on its stack
    assert seen == {"handler": HANDLER, "flags": 0xC000_0000, "mask": 0}
    assert guest.call(entry, "signal", SIGUSR1, 1).value == HANDLER
    said = guest.series(entry, [("signal", signal, 1) for signal in (0, 65, SIGKILL, SIGSTOP)])
    assert [one.errno for one in said] == [EINVAL] * 4


def blocked(guest, entry, how, mask):
    """Change what is blocked, and return what was blocked before."""
    said = guest.call(entry, "rt_sigprocmask", how, word(mask), Buffer(16), 8)
    assert said.value == 0
    assert said.memory[0][8:] == b"\xa5" * 8
    return int.from_bytes(said.memory[0][:8], "little")


def test_a_mask_is_added_to_taken_from_and_set(guest, entry):
    low, high = 1 << (SIGUSR1 - 1), 1 << (FIRST - 1) | 1 << (LAST - 1)
    last = 1 << (LAST - 1)
    steps = {
        (SETMASK, low): 0,
        (BLOCK, high): low,
        (UNBLOCK, low): low | high,
        (UNBLOCK, last): high,
        (SETMASK, ALL): high & ~last,
        (SETMASK, 0): ALL & ~KILL_AND_STOP,
    }
    before = blocked(guest, entry, BLOCK, 0)
    seen = {step: hex(blocked(guest, entry, *step) & ~before) for step in steps}
    assert seen == {step: hex(mask & ~before) for step, mask in steps.items()}


def test_a_change_of_the_mask_wants_to_be_known_and_its_size(guest, entry):
    cases = {(3, 8): EINVAL, (-1, 8): EINVAL, (SETMASK, 4): EINVAL, (SETMASK, 16): EINVAL}
    calls = [("rt_sigprocmask", how, word(0), 0, size) for how, size in cases]
    assert [one.errno for one in guest.series(entry, calls)] == list(cases.values())
    assert guest.call(entry, "rt_sigprocmask", 99, 0, Buffer(8), 8).value == 0


@pytest.mark.entries("int80", "int80_64")
def test_the_older_call_changes_the_lower_half_alone(guest, entry):
    high = 1 << (LAST - 1)
    blocked(guest, entry, SETMASK, high | 2)
    steps = {(BLOCK, 1): 2, (UNBLOCK, 2): 3, (SETMASK, 4): 1, (SETMASK, ALL >> 32): 4}
    for (how, mask), before in steps.items():
        said = guest.call(entry, "sigprocmask", how, mask.to_bytes(4, "little"), Buffer(8))
        assert said.value == 0
        assert said.memory == (before.to_bytes(4, "little") + b"\xa5" * 4,), (how, mask)
    lower = 0xFFFF_FFFF & ~KILL_AND_STOP
    assert hex(blocked(guest, entry, SETMASK, 0)) == hex(high | lower)
    assert guest.call(entry, "sigprocmask", 3, bytes(4), 0).errno == EINVAL


@pytest.mark.entries("int80", "int80_64")
def test_the_oldest_calls_tell_and_set_32_signals(guest, entry):
    """What they set are all that are blocked: kernel/signal.c ssetmask (6.1)."""
    if guest.call(entry, "sgetmask").errno == ENOSYS:
        pytest.skip("built without the oldest calls for masks")
    blocked = 0x8000_0001_4000_0002
    assert guest.call(entry, "rt_sigprocmask", SETMASK, word(blocked), 0, 8).value == 0
    calls = (
        ("sgetmask",),
        ("ssetmask", 0x4104),
        ("sgetmask",),
        ("ssetmask", 0x7FFF_FFFF),
        ("sgetmask",),
    )
    seen = [one.value & 0xFFFF_FFFF for one in guest.series(entry, calls)]
    lower, most = blocked & 0xFFFF_FFFF, 0x7FFF_FFFF & ~KILL_AND_STOP
    assert seen == [lower, lower, 0x4004, 0x4004, most]
    now = guest.call(entry, "rt_sigprocmask", BLOCK, 0, Buffer(8), 8).memory[0]
    assert now == word(most)


def test_what_is_pending_is_told(guest, entry):
    signals = (1, SIGUSR1, FIRST, LAST)
    mask = sum(1 << (signal - 1) for signal in signals)
    blocked(guest, entry, BLOCK, mask)
    own = guest.call(entry, "getpid").value
    sent = guest.series(entry, [("kill", own, signal) for signal in signals])
    assert [one.value for one in sent] == [0] * len(signals)
    sizes = {8: word(mask), 4: word(mask)[:4], 0: b""}
    for size, expected in sizes.items():
        said = guest.call(entry, "rt_sigpending", Buffer(8), size)
        assert said.memory == (expected.ljust(8, b"\xa5"),), size
    assert guest.call(entry, "rt_sigpending", Buffer(16), 16).errno == EINVAL
    if "sigpending" in guest.table(entry).numbers:
        assert guest.call(entry, "sigpending", Buffer(8)).memory[0][:4] == word(mask)[:4]


@pytest.mark.parametrize("flags", [0, SS_AUTODISARM])
def test_an_alternate_stack_is_told_as_it_was_set(guest, entry, flags):
    layout = ALTERNATE_STACK[entry.table.name]
    steps = (
        {"start": ARENA.start, "flags": flags, "size": LEAST_STACK_BYTES},
        {"start": ARENA.start + 5, "flags": flags, "size": ARENA.size_bytes},
        {"start": ARENA.start + 5, "flags": flags ^ SS_AUTODISARM, "size": ARENA.size_bytes},
    )
    for given in steps:
        assert guest.call(entry, "sigaltstack", layout.encode(**given), 0).value == 0
        said = guest.call(entry, "sigaltstack", 0, Buffer(layout.size_bytes))
        assert layout.decode(said.memory[0]) == given
        assert not any(layout.gaps(said.memory[0]))
    none = layout.encode(start=1, flags=SS_DISABLE, size=1)
    assert guest.call(entry, "sigaltstack", none, 0).value == 0
    said = guest.call(entry, "sigaltstack", 0, Buffer(layout.size_bytes))
    assert layout.decode(said.memory[0]) == {"start": 0, "flags": SS_DISABLE, "size": 0}


def test_an_alternate_stack_has_no_other_flags(guest, entry):
    layout = ALTERNATE_STACK[entry.table.name]
    flags = {3: EINVAL, 4: EINVAL, 0x4000_0000: EINVAL, 1: None, SS_AUTODISARM | 1: None}
    calls = [
        ("sigaltstack", layout.encode(start=ARENA.start, flags=one, size=LEAST_STACK_BYTES), 0)
        for one in flags
    ]
    seen = [said.errno for said in guest.series(entry, calls)]
    assert dict(zip(flags, seen, strict=True)) == flags
