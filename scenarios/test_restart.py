# SPDX-License-Identifier: Apache-2.0
"""What becomes of a call that a signal interrupts: EINTR, or the same call once more.

Source: arch/x86/kernel/signal.c handle_signal, arch_do_signal_or_restart (6.1); man 7 signal.
"""

from errno import EINTR

import pytest

from harness.agent.interruptions import (
    BLOCK,
    BLOCKING,
    HANDLER,
    PIPE_WRITE,
    RESTART,
    STOP,
    TO_A_DATE,
    WIDE,
    After,
    Blocking,
    End,
    Interruption,
    interrupt,
)
from harness.agent.signals import SA_RESTART, SA_SIGINFO, frame_layout

PLAIN = ("int80", "syscall", "int80_64")
RESTARTED = {name: call for name, call in BLOCKING.items() if call.restarts}
NOT_RESTARTED = {name: call for name, call in BLOCKING.items() if not call.restarts}
SIX = {name: BLOCKING[name] for name in ("read of a pipe", "futex wait by bits")}
NOT_AGAIN = (0,) * 9
PIPE_BYTES = 65536
SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
WRITE_MORE = Blocking("write", (PIPE_WRITE, BLOCK, PIPE_BYTES + 4096), end=End.ROOM)


def asked(guest, entry, calls, how=HANDLER):
    """Interrupt calls by name, and return what came of each by name."""
    return dict(zip(calls, interrupt(guest, entry, calls.values(), how), strict=True))


def each(said, look):
    return {name: look(one) for name, one in said.items()}


def numbers(guest, entry, calls):
    table = guest.table(entry)
    return {name: table.number(call.name(entry.table)) for name, call in calls.items()}


def without_time_left(guest, said):
    """Return the names of calls with a timeout that do not say what is left of it.

    Where time goes by ticks nothing may have gone by yet, and nothing can be said.
    """
    if guest.read_file(SOURCE) != b"tsc\n":
        return set()
    timed = {name: one for name, one in said.items() if one.call.left_at is not None}
    assert timed
    return {name for name, one in timed.items() if not one.is_something_left}


def spoilt(said):
    return {name: one.spoilt for name, one in said.items() if one.spoilt}


@pytest.mark.claim(57)
@pytest.mark.entries(*PLAIN)
def test_a_handler_without_sa_restart_ends_every_call_with_eintr(guest, entry):
    said = asked(guest, entry, BLOCKING)
    assert each(said, lambda one: one.value) == dict.fromkeys(BLOCKING, -EINTR)
    seen = each(said, lambda one: (one.signal.frame[entry.number], one.behind_landing))
    assert seen == dict.fromkeys(BLOCKING, (-EINTR & entry.abi.mask, 0)), "in the handler's frame"
    assert spoilt(said) == {}
    assert without_time_left(guest, said) == set()
    assert said[TO_A_DATE].words(64, 2) == (0, 0), "a date has no time left"


@pytest.mark.entries(*PLAIN)
def test_sa_restart_makes_these_calls_again_as_they_were(guest, entry):
    said = asked(guest, entry, RESTARTED, RESTART)
    expected = numbers(guest, entry, RESTARTED)
    assert each(said, lambda one: one.again) == each(said, lambda one: one.first)
    assert each(said, lambda one: one.again[0]) == expected
    seen = each(said, lambda one: (one.signal.frame[entry.number], one.behind_landing))
    assert seen == {n: (number, -2) for n, number in expected.items()}, "in the handler's frame"
    assert said.pop("wait4").value > 1
    assert each(said, lambda one: one.value) == each(said, lambda one: one.call.value)


@pytest.mark.entries(*PLAIN)
def test_sa_restart_does_not_bring_these_calls_back(guest, entry):
    said = asked(guest, entry, NOT_RESTARTED, RESTART)
    assert each(said, lambda one: one.value) == dict.fromkeys(said, -EINTR)
    seen = each(said, lambda one: one.signal.frame[entry.number])
    assert seen == dict.fromkeys(said, -EINTR & entry.abi.mask), "in the handler's frame"


@pytest.mark.entries(*PLAIN)
def test_a_stop_in_the_middle_of_a_call_is_followed_by_what_the_manual_says(guest, entry):
    said = asked(guest, entry, BLOCKING, STOP)
    restart = guest.table(entry).number("restart_syscall")
    follows = {
        After.AGAIN: lambda one: one.first,
        After.RESTART_SYSCALL: lambda one: (restart, *one.first[1:]),
        After.EINTR: lambda _: NOT_AGAIN,
    }
    assert each(said, lambda one: one.again) == {
        name: follows[BLOCKING[name].after_stop](one) for name, one in said.items()
    }
    assert said.pop("wait4").value > 1
    assert each(said, lambda one: one.value) == each(said, lambda one: one.call.value)
    assert without_time_left(guest, said) == set()


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize("how", [RESTART, STOP], ids=["restart", "stop"])
def test_a_write_that_has_begun_is_not_made_again(guest, entry, how):
    (said,) = interrupt(guest, entry, [WRITE_MORE], how)
    assert said.value == PIPE_BYTES


@pytest.mark.entries("int80", "int80_64")
@pytest.mark.parametrize("how", [RESTART, STOP], ids=["restart", "stop"])
def test_calls_whose_times_have_64_bits_are_interrupted_like_the_others(guest, entry, how):
    said, ended = asked(guest, entry, WIDE, how), how is RESTART
    restart, stays = guest.table(entry).number("restart_syscall"), {After.EINTR}
    seen = each(said, lambda one: (one.value, one.again[0]))
    first = numbers(guest, entry, WIDE) | {
        n: restart for n, c in WIDE.items() if c.after_stop is After.RESTART_SYSCALL
    }
    assert seen == {
        name: (-EINTR, 0) if ended or call.after_stop in stays else (call.value, first[name])
        for name, call in WIDE.items()
    }
    left = {
        n: one.words(one.call.left_at, 4) for n, one in said.items() if one.call.left_at is not None
    }
    assert {n: w for n, w in left.items() if not (900 < w[0] <= 1000 and w[1] == w[3] == 0)} == {}


MESSAGE = 8192
"""The longest message; a queue holds two. Source: include/uapi/linux/msg.h (6.1)."""


@pytest.fixture
def system_v(guest, entry):
    """Give calls that wait for an empty queue, a full one, and a semaphore, by name."""
    making = [("msgget", 0, 0o600), ("msgget", 0, 0o600), ("semget", 0, 1, 0o600)]
    empty, full, semaphore = (one.value for one in guest.series(entry, making))
    message = entry.table.words(1) + bytes(MESSAGE)
    guest.series(entry, [("msgsnd", full, message, MESSAGE, 0)] * 2)
    down = (0xFFFF_0000, 0)
    yield {
        "msgrcv": Blocking("msgrcv", (empty, BLOCK, 8, 0, 0)),
        "msgsnd": Blocking("msgsnd", (full, BLOCK, 8, 0), (1,)),
        "semtimedop": Blocking(
            ("semtimedop_time64", "semtimedop"),
            (semaphore, BLOCK, 1, 0),
            down,
            after_stop=After.EINTR,
        ),
    }
    if guest.usable:
        removals = [("msgctl", empty, 0, 0), ("msgctl", full, 0, 0), ("semctl", semaphore, 0, 0, 0)]
        guest.series(entry, removals)


@pytest.mark.entries(*PLAIN)
@pytest.mark.parametrize("how", [RESTART, STOP], ids=["restart", "stop"])
def test_no_handler_lets_a_queue_or_a_semaphore_wait_on_and_a_stop_only_queues(
    guest, entry, system_v, how
):
    said = asked(guest, entry, system_v, how)
    assert each(said, lambda one: one.value) == dict.fromkeys(system_v, -EINTR)
    again = {n for n, call in system_v.items() if how is STOP and call.after_stop is After.AGAIN}
    assert each(said, lambda one: one.again) == {
        name: one.first if name in again else NOT_AGAIN for name, one in said.items()
    }


@pytest.mark.claim(23)
@pytest.mark.claim(27)
@pytest.mark.entries("kernel_vsyscall", "sysenter", "syscall32")
def test_the_vdso_makes_a_call_again_by_the_int80_before_its_landing_pad(guest, entry):
    said = asked(guest, entry, SIX, RESTART)
    landing_pad = each(said, lambda one: one.first[8])
    assert each(said, lambda one: one.signal.frame["ip"] + 2) == landing_pad
    assert each(said, lambda one: one.code_at_ip) == dict.fromkeys(said, b"\xcd\x80")


@pytest.mark.claim(27)
@pytest.mark.parametrize("how", [RESTART, STOP], ids=["restart", "stop"])
def test_all_six_arguments_and_every_register_survive_a_restart(guest, entry, how):
    said = asked(guest, entry, SIX, how)
    given = {name: (*call.arguments, 0, 0, 0)[:6] for name, call in SIX.items()}
    assert each(said, lambda one: one.first[1:7]) == given
    assert each(said, lambda one: one.again) == each(said, lambda one: one.first)
    assert spoilt(said) == {}
    assert each(said, lambda one: one.value) == each(said, lambda one: one.call.value)


def test_every_entry_path_gives_eintr_and_keeps_every_register(guest, entry):
    said = asked(guest, entry, SIX)
    assert each(said, lambda one: (one.value, one.arrived)) == dict.fromkeys(said, (-EINTR, 1))
    seen = each(said, lambda one: one.signal.frame[entry.number])
    assert seen == dict.fromkeys(said, -EINTR & entry.abi.mask), "in the handler's frame"
    assert spoilt(said) == {}


def test_a_number_changed_in_the_frame_is_the_call_made_instead(guest, entry):
    start, _ = frame_layout(entry.abi, SA_SIGINFO).fields[entry.number]
    instead = guest.table(entry).number("getpid")
    (said,) = interrupt(
        guest, entry, [SIX["read of a pipe"]], Interruption(SA_RESTART, change=(start, instead))
    )
    assert (said.value > 1, said.again) == (True, NOT_AGAIN)
