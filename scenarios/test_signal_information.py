# SPDX-License-Identifier: Apache-2.0
"""What a program is told of a signal, field by field, whatever it was sent by.

Source: kernel/signal.c copy_siginfo_to_user, copy_siginfo_to_external32, do_sigtimedwait;
kernel/exit.c waitid; kernel/time/posix-timers.c; fs/fcntl.c send_sigio_to_task;
include/uapi/asm-generic/siginfo.h (6.1).
"""

import struct
from errno import E2BIG, EAGAIN, EBADF, EINVAL, EPERM, ESRCH
from os import O_NONBLOCK

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.agent.structures import (
    ACTION,
    ENDED,
    ENDED_AFTER,
    EVENT,
    FAULT,
    QUEUED,
    READY,
    REFUSED,
    SENT,
    SIGNAL_BYTES,
    TIMED,
)
from harness.arch import I386

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

SIGUSR1, SIGALRM, SIGCHLD, FIRST, LAST = 10, 14, 17, 34, 64
"""Three of the old kind, and of the new the first that C libraries leave alone and the last."""
SI_USER, SI_QUEUE, SI_TIMER, SI_TKILL, CLD_EXITED, POLL_IN = 0, -1, -2, -6, 1, 1
VALUE = 0x1122_3344_5566_7788
BLOCK, MONOTONIC = 0, 1
P_PID, WEXITED = 1, 4
F_SETFL, F_SETOWN, F_SETSIG, O_ASYNC = 4, 8, 10, 0o20000
READABLE = 0x41
CHILDS_STATUS = 5
"""What a child of the executor ends with: guest/agent/resume_x86_64.S."""


def bits(*signals):
    return sum(1 << (signal - 1) for signal in signals).to_bytes(8, "little")


@pytest.fixture
def own(guest, entry):
    """Give the process that asks, which has every signal blocked that is asked about."""
    blocked = bits(SIGUSR1, SIGCHLD, FIRST, LAST)
    assert guest.call(entry, "rt_sigprocmask", BLOCK, blocked, 0, 8).value == 0
    return guest.call(entry, "getpid").value


def take(guest, entry, signal, layout, *, wide=False):
    """Wait for a signal, with a time of 64 bits or of the table's, and return what is told."""
    room, time = Buffer(SIGNAL_BYTES + 8), bytes(16) if wide else entry.table.words(1, 0)
    name = "rt_sigtimedwait_time64" if wide else "rt_sigtimedwait"
    said = guest.call(entry, name, bits(signal), room, time, 8)
    assert said.value == signal, said
    (memory,) = said.memory
    assert memory[layout.size_bytes :] == bytes(SIGNAL_BYTES - layout.size_bytes) + b"\xa5" * 8
    return layout.decode(memory)


@pytest.mark.parametrize("signal", [SIGUSR1, FIRST, LAST])
def test_a_signal_says_who_sent_it_and_how(guest, entry, own, signal):
    ways = {("kill", own): SI_USER, ("tkill", own): SI_TKILL, ("tgkill", own, own): SI_TKILL}
    layout, widths = SENT[entry.table.name], (False, True) if entry.table is I386 else (False,)
    for (name, *whom), code in ways.items():
        expected = {"signal": signal, "errno": 0, "code": code, "pid": own, "uid": 0}
        for wide in widths:
            assert guest.call(entry, name, *whom, signal).value == 0
            seen = take(guest, entry, signal, layout, wide=wide)
            assert seen == expected, f"{name}, time of 64 bits: {wide}"


@pytest.mark.parametrize("name", ["rt_sigqueueinfo", "rt_tgsigqueueinfo"])
def test_a_queued_signal_brings_its_value(guest, entry, own, name):
    layout = QUEUED[entry.table.name]
    given = {"signal": FIRST, "errno": 7, "code": SI_QUEUE, "pid": 5, "uid": 6}
    given["value"] = VALUE & entry.table.mask
    whom = (own,) if name == "rt_sigqueueinfo" else (own, own)
    information = layout.encode(**given).ljust(SIGNAL_BYTES, b"\0")
    assert guest.call(entry, name, *whom, FIRST, information).value == 0
    assert take(guest, entry, FIRST, layout) == given


def test_a_signal_sent_by_a_descriptor_is_the_one_that_it_says(guest, entry, own):
    """Source: kernel/signal.c pidfd_send_signal (6.1)."""
    layout = QUEUED[entry.table.name]
    given = {"signal": FIRST, "errno": 7, "code": SI_QUEUE, "pid": 5, "uid": 6}
    given["value"] = VALUE & entry.table.mask
    information = layout.encode(**given).ljust(SIGNAL_BYTES, b"\0")
    process = guest.call(entry, "pidfd_open", own, 0).value
    cases = {(process, LAST, 0): EINVAL, (process, FIRST, 1 << 30): EINVAL, (0, FIRST, 0): EBADF}
    calls = [("pidfd_send_signal", fd, signal, information, f) for fd, signal, f in cases]
    seen = [one.errno for one in guest.series(entry, calls)]
    assert dict(zip(cases, seen, strict=True)) == cases
    assert guest.call(entry, "pidfd_send_signal", process, FIRST, information, 0).value == 0
    assert take(guest, entry, FIRST, layout) == given


OF_A_THREAD, TO_THREAD, TO_PROCESS, TO_GROUP = 0o200, 1, 2, 4
"""What a descriptor is of, and what a flag sends to."""


@pytest.mark.needs(since="6.9")
def test_a_signal_sent_by_a_descriptor_is_a_threads_or_its_processes(guest, entry, own):
    """Source: kernel/signal.c pidfd_send_signal (6.9)."""
    layout, seen = SENT[entry.table.name], {}
    codes = {
        (0, 0): SI_USER,
        (0, TO_THREAD): SI_TKILL,
        (0, TO_PROCESS): SI_USER,
        **{(OF_A_THREAD, flag): SI_TKILL for flag in (0, TO_THREAD)},
        (OF_A_THREAD, TO_PROCESS): SI_USER,
    }
    for what, flag in codes:
        fd = guest.call(entry, "pidfd_open", own, what).value
        assert guest.call(entry, "pidfd_send_signal", fd, SIGUSR1, 0, flag).value == 0
        told = take(guest, entry, SIGUSR1, layout)
        assert told["pid"] == own
        seen[what, flag] = told["code"]
    assert seen == codes
    wrong = (TO_THREAD | TO_PROCESS, TO_PROCESS | TO_GROUP, TO_THREAD | TO_GROUP, 7, 8)
    calls = [("pidfd_send_signal", fd, 0, 0, flags) for flags in wrong]
    assert [said.errno for said in guest.series(entry, calls)] == [EINVAL] * len(wrong)


def test_queued_signals_come_by_number_and_then_in_their_order(guest, entry, own):
    layout = QUEUED[entry.table.name]
    for signal, value in ((LAST, 1), (FIRST, 2), (LAST, 3), (FIRST, 4)):
        information = layout.encode(code=SI_QUEUE, value=value).ljust(SIGNAL_BYTES, b"\0")
        assert guest.call(entry, "rt_sigqueueinfo", own, signal, information).value == 0
    zero, seen = entry.table.words(0, 0), []
    for _ in range(4):
        room = Buffer(SIGNAL_BYTES)
        said = guest.call(entry, "rt_sigtimedwait", bits(FIRST, LAST), room, zero, 8)
        seen.append((said.value, layout.decode(said.memory[0])["value"]))
    assert seen == [(FIRST, 2), (FIRST, 4), (LAST, 1), (LAST, 3)]


SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGPOLL, SIGSYS = 4, 5, 7, 8, 11, 29, 31
SI_MESGQ, SI_ASYNCIO, SI_SIGIO = -3, -4, -5
KINDS = {
    **{(signal, 1): FAULT for signal in (SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV)},
    **{(FIRST, code): QUEUED for code in (SI_QUEUE, SI_MESGQ, SI_ASYNCIO)},
    **{(FIRST, code): SENT for code in (SI_USER, SI_TKILL)},
    (FIRST, SI_TIMER): TIMED,
    (FIRST, SI_SIGIO): READY,
    (SIGPOLL, POLL_IN): READY,
    (SIGCHLD, CLD_EXITED): ENDED_AFTER,
    (SIGSYS, 1): REFUSED,
}
"""What a signal brings with it, by its number and code: kernel/signal.c siginfo_layout (6.1)."""


def test_what_one_queues_to_oneself_comes_back_whatever_its_kind(guest, entry, own):
    everything = b"\xff" * 8
    assert guest.call(entry, "rt_sigprocmask", BLOCK, everything, 0, 8).value == 0
    seen, expected = {}, {}
    for (signal, code), layouts in KINDS.items():
        layout = layouts[entry.table.name]
        given = {name: 0x1020_3040 + place for place, name in enumerate(layout.names)}
        expected[signal, code] = given | {"signal": signal, "code": code}
        information = layout.encode(**expected[signal, code]).ljust(SIGNAL_BYTES, b"\0")
        assert guest.call(entry, "rt_sigqueueinfo", own, signal, information).value == 0
        seen[signal, code] = take(guest, entry, signal, layout)
    assert seen == expected


UNKNOWN = -100


def test_an_unknown_kind_of_signal_brings_zeros_beyond_what_is_known(guest, entry, own):
    """Not of 32-bit programs of a 64-bit kernel. Source: kernel/signal.c (6.1)."""
    strict = entry.table is guest.identity.arch.abi
    seen, expected = {}, {}
    for code, at in ((UNKNOWN, 48), (UNKNOWN, 127), (SI_QUEUE, 127), (UNKNOWN, 4)):
        information = bytearray(struct.pack("<iii", 0, 0, code).ljust(SIGNAL_BYTES, b"\0"))
        information[at] = 1
        said = guest.call(entry, "rt_sigqueueinfo", own, FIRST, bytes(information))
        seen[code, at] = said.value
        expected[code, at] = -E2BIG if strict and code == UNKNOWN and at > 4 else 0
    assert seen == expected


SIGFPE, SIGBUS = 8, 7
KNOWN_CODES = {SIGFPE: 15, SIGBUS: 5, SIGCHLD: 6, SIGUSR1: 6}
"""The largest code of a signal; those without codes of their own have as many as SIGPOLL."""


def test_a_code_past_the_last_of_its_signal_is_unknown(guest, entry, own):
    """Source: kernel/signal.c sig_sicodes; include/uapi/asm-generic/siginfo.h (5.10, 7.2)."""
    assert guest.call(entry, "rt_sigprocmask", BLOCK, bits(*KNOWN_CODES), 0, 8).value == 0
    strict = entry.table is guest.identity.arch.abi
    seen, expected = {}, {}
    for signal, most in KNOWN_CODES.items():
        for code in (most, most + 1):
            information = struct.pack("<iii", 0, 0, code).ljust(SIGNAL_BYTES - 1, b"\0") + b"\1"
            said = guest.call(entry, "rt_sigqueueinfo", own, signal, information)
            seen[signal, code] = said.value
            expected[signal, code] = -E2BIG if strict and code > most else 0
    assert seen == expected


HANGUP, IGNORE = 1, 1


def taken(guest, entry, *signals):
    """Take signals until none is left, and return their numbers in the order in which they come."""
    zero, seen = entry.table.words(0, 0), []
    while (said := guest.call(entry, "rt_sigtimedwait", bits(*signals), 0, zero, 8)).value > 0:
        seen.append(said.value)
    assert said.errno == EAGAIN
    return seen


def test_what_a_fault_sends_comes_first(guest, entry, own):
    """Source: kernel/signal.c SYNCHRONOUS_MASK (6.1)."""
    both = bits(HANGUP, SIGSEGV)
    assert guest.call(entry, "rt_sigprocmask", BLOCK, both, 0, 8).value == 0
    guest.series(entry, [("kill", own, HANGUP), ("kill", own, SIGSEGV)])
    assert taken(guest, entry, HANGUP, SIGSEGV) == [SIGSEGV, HANGUP]


def test_a_signal_of_the_old_kind_waits_but_once(guest, entry, own):
    guest.series(entry, [("kill", own, signal) for signal in (SIGUSR1, FIRST, LAST)] * 3)
    assert taken(guest, entry, SIGUSR1, FIRST, LAST) == [SIGUSR1] + [FIRST] * 3 + [LAST] * 3


STOPS, SIGCONT = (20, 21, 22), 18
"""Signals that stop: SIGTSTP, SIGTTIN, SIGTTOU; and the one that they and it take away."""


def test_a_stop_and_a_continuation_do_not_wait_together(guest, entry, own):
    """Source: kernel/signal.c prepare_signal (6.1)."""
    assert guest.call(entry, "rt_sigprocmask", BLOCK, bits(*STOPS, SIGCONT), 0, 8).value == 0
    seen = []
    for signal in (*STOPS, SIGCONT, STOPS[-1]):
        assert guest.call(entry, "kill", own, signal).value == 0
        seen.append(guest.call(entry, "rt_sigpending", Buffer(8), 8).memory[0])
    waiting = [STOPS[:1], STOPS[:2], STOPS, (SIGCONT,), STOPS[-1:]]
    assert seen == [bits(*signals) for signals in waiting]


def test_a_signal_that_is_ignored_from_now_on_is_dropped(guest, entry, own):
    guest.series(entry, [("kill", own, signal) for signal in (SIGUSR1, FIRST, LAST)])
    assert guest.call(entry, "tkill", own, FIRST).value == 0
    ignore = ACTION[entry.table.name].encode(handler=IGNORE)
    assert guest.call(entry, "rt_sigaction", FIRST, ignore, 0, 8).value == 0
    assert taken(guest, entry, SIGUSR1, FIRST, LAST) == [SIGUSR1, LAST]


def test_a_signal_wants_a_number_and_somebody_to_have_it(guest, entry, own):
    nobody = 0x3FFF_FFFF
    cases = {
        **{("kill", own, signal): None for signal in (0, SIGUSR1, LAST)},
        **{("kill", own, signal): EINVAL for signal in (LAST + 1, -1)},
        ("kill", nobody, 0): ESRCH,
        ("kill", -nobody, 0): ESRCH,
        ("kill", -0x8000_0000, 0): ESRCH,
        **{("tkill", thread, 0): EINVAL for thread in (0, -1)},
        ("tkill", own, LAST + 1): EINVAL,
        ("tkill", nobody, 0): ESRCH,
        **{("tgkill", *two, 0): EINVAL for two in ((0, own), (own, 0), (-1, own), (own, -1))},
        **{("tgkill", *two, 0): ESRCH for two in ((1, own), (own, 1), (own, nobody))},
        ("tgkill", own, own, LAST + 1): EINVAL,
        ("tgkill", own, own, 0): None,
    }
    seen = [one.errno for one in guest.series(entry, list(cases))]
    assert dict(zip(cases, seen, strict=True)) == cases


def test_nobody_elses_signal_can_be_forged(guest, entry, own):
    layout = QUEUED[entry.table.name]
    seen = {}
    for code in (SI_USER, SI_TKILL, SI_QUEUE):
        information = layout.encode(code=code, pid=1).ljust(SIGNAL_BYTES, b"\0")
        for pid in (1, own):
            process = guest.call(entry, "pidfd_open", pid, 0).value
            calls = [("rt_sigqueueinfo", pid, 0, information)]
            calls += [("rt_tgsigqueueinfo", pid, pid, 0, information)]
            calls += [("pidfd_send_signal", process, 0, information, 0)]
            seen[code, pid == own] = [one.value for one in guest.series(entry, calls)]
    forged = {(SI_USER, False), (SI_TKILL, False)}
    assert seen == {case: [-EPERM if case in forged else 0] * 3 for case in seen}


def test_waiting_for_a_signal_ends_with_its_time(guest, entry, own):
    """One that waits already keeps a time that makes no sense from lasting for ever."""
    second, usr1 = 1_000_000_000, bits(SIGUSR1)
    wrong = ((0, second, 8), (-1, 0, 8), (0, -1, 8), (0, 0, 4), (0, 0, 16))
    times = {(0, 0, 8): -EAGAIN, (0, 1, 8): -EAGAIN} | dict.fromkeys(wrong, -EINVAL)
    times[1, 0, 8] = SIGUSR1
    rows = []
    for (*time, size), answer in times.items():
        if answer != -EAGAIN:
            rows += [(0, "kill", own, SIGUSR1)]
        rows += [(answer, "rt_sigtimedwait", usr1, 0, entry.table.words(*time), size)]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.usefixtures("own")
def test_a_timer_that_runs_out_brings_its_number_and_value(guest, entry):
    value = VALUE & entry.table.mask
    event = EVENT[entry.table.name].encode(value=value, signal=FIRST)
    made = [guest.call(entry, "timer_create", MONOTONIC, event, Buffer(4)) for _ in range(2)]
    number = int.from_bytes(made[1].memory[0], "little")
    soon = entry.table.words(0, 0, 0, 1)
    assert guest.call(entry, "timer_settime", number, 0, soon, 0).value == 0
    seen = take(guest, entry, FIRST, TIMED[entry.table.name])
    sent = {"signal": FIRST, "errno": 0, "code": SI_TIMER}
    assert seen == {**sent, "timer": number, "overrun": 0, "value": value}


def test_a_timer_brings_its_number_as_value_where_nothing_is_said(guest, entry):
    """As wide as a pointer. Source: kernel/time/posix-timers.c do_timer_create (6.1)."""
    assert guest.call(entry, "rt_sigprocmask", BLOCK, bits(SIGALRM), 0, 8).value == 0
    made = [guest.call(entry, "timer_create", MONOTONIC, 0, Buffer(4)) for _ in range(2)]
    number, soon = int.from_bytes(made[1].memory[0], "little"), entry.table.words(0, 0, 0, 1)
    assert guest.call(entry, "timer_settime", number, 0, soon, 0).value == 0
    seen = take(guest, entry, SIGALRM, TIMED[entry.table.name])
    assert number > 0
    assert (seen["timer"], seen["value"]) == (number, number)


PENDING_LIMIT = 11


def test_no_more_signals_are_queued_than_may_wait(guest, entry, own):
    """But one is sent without its details. Source: kernel/signal.c __send_signal_locked (6.1)."""
    queued = QUEUED[entry.table.name].encode(signal=FIRST, code=SI_QUEUE, pid=own)
    queued = queued.ljust(SIGNAL_BYTES, b"\0")
    rows = [
        (0, "prlimit64", 0, PENDING_LIMIT, struct.pack("<QQ", 2, 2), 0),
        *[(answer, "rt_sigqueueinfo", own, FIRST, queued) for answer in (0, 0, -EAGAIN)],
        *[(0, "kill", own, signal) for signal in (FIRST, SIGUSR1)],
        *[(FIRST, "rt_sigtimedwait", bits(FIRST), 0, entry.table.words(0, 0), 8)] * 2,
        (-EAGAIN, "rt_sigtimedwait", bits(FIRST), 0, entry.table.words(0, 0), 8),
        (SIGUSR1, "rt_sigtimedwait", bits(SIGUSR1), 0, entry.table.words(0, 0), 8),
    ]
    assert find_wrong(guest, entry, rows) == []


REALTIME, ABSOLUTE, MOST = 0, 1, (1 << 31) - 1


@pytest.mark.usefixtures("own")
def test_a_timer_that_ran_out_too_often_says_the_most(guest, entry):
    """Every nanosecond since 1970. Source: posix-timers.c timer_overrun_to_int (6.12)."""
    event = EVENT[entry.table.name].encode(signal=FIRST)
    made = guest.call(entry, "timer_create", REALTIME, event, Buffer(4))
    number = int.from_bytes(made.memory[0], "little")
    times = entry.table.words(0, 1, 0, 1)
    assert guest.call(entry, "timer_settime", number, ABSOLUTE, times, 0).value == 0
    seen = take(guest, entry, FIRST, TIMED[entry.table.name])
    assert (seen["overrun"], guest.call(entry, "timer_getoverrun", number).value) == (MOST, MOST)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("signal", [SIGUSR1, SIGCHLD], ids=["fatal", "ignored"])
def test_a_signal_is_awaited_whatever_it_does_otherwise(guest, entry, signal):
    """It comes when the program waits already. Source: kernel/signal.c real_blocked (6.1)."""
    event = EVENT[entry.table.name].encode(signal=signal)
    made = guest.call(entry, "timer_create", MONOTONIC, event, Buffer(4)).memory[0]
    soon, long = entry.table.words(0, 0, 0, 60_000_000), entry.table.words(5, 0)
    rows = [
        (0, "rt_sigaction", signal, ACTION[entry.table.name].encode(), 0, 8),
        (0, "timer_settime", int.from_bytes(made, "little"), 0, soon, 0),
        (signal, "rt_sigtimedwait", bits(signal), 0, long, 8),
    ]
    assert find_wrong(guest, entry, rows) == []


TO_A_THREAD, NONE = 4, 1


def test_a_timer_tells_a_thread_of_ones_own_only(guest, entry, own):
    """Source: kernel/time/posix-timers.c good_sigevent (6.1)."""
    cases = {(TO_A_THREAD, own): 0, (TO_A_THREAD, 1): -EINVAL, (TO_A_THREAD, 0): -EINVAL}
    cases |= {(NONE, 0): 0, (TO_A_THREAD | NONE, own): -EINVAL, (0x5EED, own): -EINVAL}
    seen = {}
    for how, thread in cases:
        event = EVENT[entry.table.name].encode(value=1, signal=FIRST, how=how, thread=thread)
        said = guest.call(entry, "timer_create", MONOTONIC, event, Buffer(4))
        seen[how, thread] = said.value
    assert seen == cases


def test_a_descriptor_that_can_be_read_names_itself(guest, entry, own):
    reading, writing = struct.unpack("<II", guest.call(entry, "pipe", Buffer(8)).memory[0])
    calls = [
        ("fcntl", reading, F_SETSIG, LAST),
        ("fcntl", reading, F_SETOWN, own),
        ("fcntl", reading, F_SETFL, O_ASYNC),
    ]
    assert [one.value for one in guest.series(entry, calls)] == [0, 0, 0]
    assert guest.call(entry, "write", writing, b"x", 1).value == 1
    seen = take(guest, entry, LAST, READY[entry.table.name])
    sent = {"signal": LAST, "errno": 0, "code": POLL_IN}
    assert seen == {**sent, "band": READABLE, "fd": reading}


THREAD, PROCESS, GROUP = range(3)
F_GETOWN, F_SETOWN_EX, F_GETOWN_EX, NO_PROCESS = 9, 15, 16, 0x3FFF_FFFF


def test_the_owner_of_a_descriptor_is_told_with_its_kind(guest, entry):
    """Source: fs/fcntl.c f_setown_ex, f_getown_ex (6.1)."""
    fd = guest.call(entry, "eventfd2", 0, 0).value
    nobody = guest.call(entry, "fcntl", fd, F_GETOWN_EX, Buffer(8)).memory[0]
    assert nobody == struct.pack("<ii", THREAD, 0)
    own = {kind: guest.call(entry, "getpid").value for kind in (THREAD, PROCESS)}
    own[GROUP] = guest.call(entry, "getpgrp").value
    for kind, number in own.items():
        owner = struct.pack("<ii", kind, number)
        assert guest.call(entry, "fcntl", fd, F_SETOWN_EX, owner).value == 0
        told = guest.call(entry, "fcntl", fd, F_GETOWN_EX, Buffer(16)).memory[0]
        assert told == owner + b"\xa5" * 8
    refused = {(PROCESS, NO_PROCESS): ESRCH, (THREAD, -1): ESRCH, (3, own[PROCESS]): EINVAL}
    calls = [("fcntl", fd, F_SETOWN_EX, struct.pack("<ii", *one)) for one in refused]
    said = [one.errno for one in guest.series(entry, calls)]
    assert dict(zip(refused, said, strict=True)) == refused
    assert guest.call(entry, "fcntl", fd, F_GETOWN).value == -own[GROUP]


@pytest.mark.usefixtures("own")
@pytest.mark.room("it is root")
def test_the_end_of_a_child_is_told_to_its_parent(guest, entry):
    layout = ENDED[entry.table.name]
    first, second = (guest.call(entry, "fork").value for _ in range(2))
    known = guest.call(entry, "wait4", first, Buffer(8), 0, 0)
    said = guest.call(entry, "waitid", P_PID, second, Buffer(layout.size_bytes + 8), WEXITED, 0)
    assert (known.value, said.value) == (first, 0)
    assert known.memory[0] == (CHILDS_STATUS << 8).to_bytes(4, "little") + b"\xa5" * 4
    assert said.memory[0][layout.size_bytes :] == b"\xa5" * 8
    ended = {"signal": SIGCHLD, "errno": 0, "code": CLD_EXITED, "pid": second, "uid": 0}
    assert layout.decode(said.memory[0]) == {**ended, "status": CHILDS_STATUS}


@pytest.mark.usefixtures("own")
@pytest.mark.room("it is root")
def test_the_signal_of_a_childs_end_says_the_same(guest, entry):
    child = guest.call(entry, "fork").value
    seen = take(guest, entry, SIGCHLD, ENDED_AFTER[entry.table.name])
    assert 0 <= seen.pop("user") < 100
    assert 0 <= seen.pop("system") < 100
    ended = {"signal": SIGCHLD, "errno": 0, "code": CLD_EXITED, "pid": child, "uid": 0}
    assert seen == {**ended, "status": CHILDS_STATUS}


def test_a_signal_can_be_read_from_a_descriptor(guest, entry, own):
    """Its structure is the same for every table: include/uapi/linux/signalfd.h (6.1)."""
    value = VALUE & 0x7FFF_FFFF
    fd = guest.call(entry, "signalfd4", -1, bits(FIRST), 8, 0).value
    information = QUEUED[entry.table.name].encode(code=SI_QUEUE, pid=5, uid=6, value=value)
    information = information.ljust(SIGNAL_BYTES, b"\0")
    assert guest.call(entry, "rt_sigqueueinfo", own, FIRST, information).value == 0
    said = guest.call(entry, "read", fd, Buffer(SIGNAL_BYTES), SIGNAL_BYTES)
    assert said.value == SIGNAL_BYTES
    expected = struct.pack("<IiiII24xiQ", FIRST, 0, SI_QUEUE, 5, 6, value, value)
    assert said.memory == (expected.ljust(SIGNAL_BYTES, b"\0"),)


READ_ALIKE = {
    (FIRST, SI_TIMER): ("timer overrun value", (24, 32, 48)),
    (SIGPOLL, POLL_IN): ("band fd", (28, 20)),
    (SIGCHLD, CLD_EXITED): ("pid uid status user system", (12, 16, 40, 56, 64)),
    (SIGSEGV, 1): ("address", (72,)),
    (SIGSYS, 1): ("address call arch", (88, 84, 96)),
}
"""By a signal's number and code: its fields, and where each is read from a descriptor."""


@pytest.mark.usefixtures("own")
def test_whatever_kind_of_signal_is_read_brings_what_it_has(guest, entry):
    """Source: fs/signalfd.c signalfd_copyinfo (6.1)."""
    everything, seen, expected = b"\xff" * 8, {}, {}
    own = guest.call(entry, "getpid").value
    assert guest.call(entry, "rt_sigprocmask", BLOCK, everything, 0, 8).value == 0
    fd = guest.call(entry, "signalfd4", -1, everything, 8, 0).value
    for (signal, code), (names, places) in READ_ALIKE.items():
        layout = KINDS[signal, code][entry.table.name]
        given = {name: 0x1020_3040 + place for place, name in enumerate(names.split())}
        information = layout.encode(signal=signal, code=code, **given).ljust(SIGNAL_BYTES, b"\0")
        assert guest.call(entry, "rt_sigqueueinfo", own, signal, information).value == 0
        read = guest.call(entry, "read", fd, Buffer(SIGNAL_BYTES), SIGNAL_BYTES).memory[0]
        told = [int.from_bytes(read[at : at + 4], "little") for at in places]
        seen[signal, code] = dict(zip(names.split(), told, strict=True))
        expected[signal, code] = given
    assert seen == expected


def test_a_descriptor_of_signals_may_be_of_others_later(guest, entry, own):
    fd = guest.call(entry, "signalfd4", -1, bits(SIGUSR1), 8, O_NONBLOCK).value
    rows = [
        (0, "kill", own, LAST),
        (-EAGAIN, "read", fd, Buffer(SIGNAL_BYTES), SIGNAL_BYTES),
        (fd, "signalfd4", fd, bits(LAST), 8, 0),
        (SIGNAL_BYTES, "read", fd, Buffer(2 * SIGNAL_BYTES), 2 * SIGNAL_BYTES - 1),
        *[(0, "kill", own, SIGUSR1), (fd, "signalfd", fd, bits(SIGUSR1), 8)],
        (SIGNAL_BYTES, "read", fd, Buffer(SIGNAL_BYTES), SIGNAL_BYTES),
    ]
    assert find_wrong(guest, entry, rows) == []
