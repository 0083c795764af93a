# SPDX-License-Identifier: Apache-2.0
"""Timers that run out: of the machine's time and of one's own, and what becomes of their signals.

Source: kernel/time/posix-timers.c posix_timer_fn, common_timer_get; kernel/time/posix-cpu-timers.c
posix_cpu_timer_set, check_process_timers; kernel/signal.c flush_itimer_signals (6.1).
"""

import struct
from signal import SIG_DFL, SIG_IGN, SIGPROF, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU

import pytest

from harness.agent import clocks
from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.agent.ptrace import CALL_STOP, Request, Status
from harness.agent.puppet import start_puppet
from harness.agent.structures import ACTION, EVENT, SIGNAL_BYTES, TIMED

pytestmark = pytest.mark.entries("int80", "syscall")

MONOTONIC, PROCESS_TIME, THREAD_TIME, ABSOLUTE = 1, 2, 3, 1
VIRTUAL, PROFILE = 1, 2
BLOCK, SI_TIMER, SI_KERNEL = 0, -2, 0x80
RT_TIME, FIFO, UNLIMITED = 15, 1, (1 << 64) - 1
BLOCKED = (1 << SIGUSR1 - 1).to_bytes(8, "little")
LONG_S, PART_US, PART_NS = 1000, 15_000, 15_000_000
FOR_EVER = b"\xeb\xfe"
"""jmp to itself."""


def timer(guest, entry, clock):
    event = EVENT[entry.table.name].encode(signal=SIGUSR1)
    made = guest.call(entry, "timer_create", clock, event, Buffer(4))
    return int.from_bytes(made.memory[0], "little")


@pytest.mark.parametrize(
    "clock",
    [
        MONOTONIC,
        *[
            pytest.param(clock, marks=pytest.mark.needs(since="6.11"))
            for clock in (PROCESS_TIME, THREAD_TIME)
        ],
    ],
)
def test_a_timer_whose_time_is_past_runs_out_at_once_and_tells_its_next(guest, entry, clock):
    """It does so also while its signal waits: it is then taken as rearmed."""
    number, words = timer(guest, entry, clock), entry.table.words
    wait = ("rt_sigtimedwait", BLOCKED, Buffer(SIGNAL_BYTES), words(1, 0), 8)
    assert guest.call(entry, "rt_sigprocmask", BLOCK, BLOCKED, 0, 8).value == 0
    past = words(LONG_S, 0, 0, 1)
    ask = ("timer_gettime", number, Buffer(len(past)))
    calls = [("timer_settime", number, ABSOLUTE, past, 0), (clocks.WAIT, words(0, 1), 0)]
    *_, waiting, taken, rearmed = guest.series(entry, [*calls, ask, wait, ask])
    told = TIMED[entry.table.name].decode(taken.memory[0])
    assert (taken.value, told["code"], told["timer"]) == (SIGUSR1, SI_TIMER, number)
    for said in (waiting, rearmed):
        half = len(past) // 2
        assert said.memory[0][:half] == words(LONG_S, 0)
        left = int.from_bytes(said.memory[0][half : half + half // 2], "little")
        assert LONG_S - 100 < left <= LONG_S, "seconds until it runs out again"


def test_a_timer_goes_on_while_its_signal_is_ignored(guest, entry):
    number, words, layout = timer(guest, entry, MONOTONIC), entry.table.words, entry.table.name
    actions = [ACTION[layout].encode(handler=handler) for handler in (SIG_IGN, SIG_DFL)]
    rows = [
        (0, "rt_sigaction", SIGUSR1, actions[0], 0, 8),
        (0, "timer_settime", number, 0, words(0, 3_000_000, 0, 1), 0),
        (0, clocks.WAIT, words(0, 10_000_000), 0),
        (0, "rt_sigprocmask", BLOCK, BLOCKED, 0, 8),
        (0, "rt_sigaction", SIGUSR1, actions[1], 0, 8),
        (SIGUSR1, "rt_sigtimedwait", BLOCKED, 0, words(2, 0), 8),
    ]
    assert find_wrong(guest, entry, rows) == []


@pytest.fixture
def puppet(guest, entry):
    """Give a process that may be sent where it computes for ever."""
    with start_puppet(guest, entry.abi) as puppet:
        yield puppet


@pytest.mark.parametrize(("which", "by"), [(VIRTUAL, SIGVTALRM), (PROFILE, SIGPROF)])
def test_who_only_computes_is_stopped_when_its_time_is_over(puppet, entry, which, by):
    at, seen = puppet.strings.stage + 0x1800, {}
    for interval, times in ((0, 1), (PART_US, 2)):
        setting = entry.table.words(0, interval, 0, PART_US)
        puppet.write(at, setting)
        assert puppet.call(entry, "setitimer", which, at, 0) == 0
        puppet.send_to(FOR_EVER)
        assert [puppet.resume() for _ in range(times)] == [Status.stopped(by)] * times
        assert puppet.siginfo() == (by, 0, SI_KERNEL)
        puppet.go_home()
        puppet.write(at, b"\xa5" * len(setting))
        assert puppet.call(entry, "getitimer", which, at) == 0
        seen[interval] = puppet.read(at, len(setting))
    assert seen[0] == entry.table.words(0, 0, 0, 0), "it was to run out once"
    assert seen[PART_US][: len(setting) // 2] == entry.table.words(0, PART_US)


@pytest.mark.parametrize("clock", [PROCESS_TIME, THREAD_TIME])
def test_who_only_computes_is_told_by_a_timer_of_its_own_time(puppet, entry, clock):
    at, words = puppet.strings.stage + 0x1800, entry.table.words
    puppet.write(at, EVENT[entry.table.name].encode(signal=SIGUSR1))
    assert puppet.call(entry, "timer_create", clock, at, at) == 0
    number = int.from_bytes(puppet.read(at, 4), "little")
    puppet.write(at, words(0, PART_NS, 0, PART_NS))
    assert puppet.call(entry, "timer_settime", number, 0, at, 0) == 0
    puppet.send_to(FOR_EVER)
    for _ in range(2):
        assert puppet.resume() == Status.stopped(SIGUSR1)
        told = TIMED[puppet.view.name].decode(puppet.siginfo_bytes())
        assert (told["code"], told["timer"]) == (SI_TIMER, number)


@pytest.mark.guest_only("it wants privilege")
def test_who_comes_before_all_others_is_told_when_it_computes_too_long(puppet, entry):
    """And has a second more then. Source: posix-cpu-timers.c check_thread_timers (6.1)."""
    at = puppet.strings.stage + 0x1800
    puppet.write(at, struct.pack("<QQI", PART_US, UNLIMITED, 1))
    assert puppet.call(entry, "prlimit64", 0, RT_TIME, at, 0) == 0
    assert puppet.call(entry, "sched_setscheduler", 0, FIFO, at + 16) == 0
    puppet.send_to(FOR_EVER)
    assert puppet.resume() == Status.stopped(SIGXCPU)
    puppet.go_home()
    assert puppet.call(entry, "prlimit64", 0, RT_TIME, 0, at) == 0
    assert struct.unpack("<QQ", puppet.read(at, 16)) == (PART_US + 1_000_000, UNLIMITED)


def waiting(guest, puppet):
    """Return the numbers of the signals that wait for a process, by list and by mask."""
    room = Buffer(9 * SIGNAL_BYTES)
    said = puppet.ptrace(Request.PEEKSIGINFO, struct.pack("<QIi", 0, 1, 9), room)
    lines = [line.split() for line in guest.read_file(f"/proc/{puppet.pid}/status").splitlines()]
    mask = int(dict(line[:2] for line in lines if len(line) == 2)[b"ShdPnd:"], 16)
    numbers = [number for number in range(1, 65) if mask >> number - 1 & 1]
    return [said.memory[0][place * SIGNAL_BYTES] for place in range(said.value)], numbers


def test_a_new_program_is_sent_nothing_by_the_old_ones_timers(guest, puppet, entry):
    """What was sent otherwise waits for it."""
    at, words = puppet.strings.stage + 0x1800, entry.table.words
    mask = 1 << SIGUSR1 - 1 | 1 << SIGUSR2 - 1
    assert puppet.ptrace(Request.SETSIGMASK, 8, mask.to_bytes(8, "little")).value == 0
    puppet.write(at, EVENT[entry.table.name].encode(signal=SIGUSR1))
    assert puppet.call(entry, "timer_create", MONOTONIC, at, at) == 0
    number = int.from_bytes(puppet.read(at, 4), "little")
    puppet.write(at, words(0, 0, 0, 1))
    assert puppet.call(entry, "timer_settime", number, ABSOLUTE, at, 0) == 0
    puppet.signal(SIGUSR2)
    before = waiting(guest, puppet)
    puppet.prepare_exec(entry)
    assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2
    both = [SIGUSR1, SIGUSR2]
    assert (before, waiting(guest, puppet)) == ((both, both), ([SIGUSR2], [SIGUSR2]))
