# SPDX-License-Identifier: Apache-2.0
"""Times that a program hands over, and is told again: seconds and their parts in every width.

Source: kernel/time/time.c get_timespec64, get_old_timex32; kernel/time/itimer.c; posix-timers.c;
fs/timerfd.c; fs/utimes.c; fs/select.c (6.1).
"""

import struct
from errno import EAGAIN, EINVAL
from os import O_CREAT, O_RDWR

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.arch import I386
from harness.landscape import ARENA

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

SECOND_NS = 1_000_000_000
MONOTONIC, OWN_TIME, AT_HERE = 1, 2, -100
ZEROS, READABLE = 0, 1
REAL, VIRTUAL, PROFILE = 0, 1, 2
GARBAGE = 0x5EED_F00D << 32
NOW, OMIT = 0x3FFF_FFFF, 0x3FFF_FFFE
FILE = b"/timed\0"
WIDE = pytest.mark.parametrize("wide", [False, True], ids=["plain", "time64"])


def pairs(entry, *values, wide=False):
    """Lay times out as two words each, or as two of 64 bits."""
    return struct.pack(f"<{len(values)}q", *values) if wide else entry.table.words(*values)


def name_of(entry, name, wide):
    """Return what a call is called whose times have 64 bits."""
    if wide and entry.table is not I386:
        pytest.skip("64-bit calls have no other times")
    return f"{name}64" if name.endswith("time") and wide else f"{name}_time64" if wide else name


@WIDE
def test_a_timeout_wants_less_than_a_second_besides_its_seconds(guest, entry, wide):
    cases = {
        (0, 0): 1,
        (0, SECOND_NS - 1): 1,
        (0, SECOND_NS): -EINVAL,
        (0, -1): -EINVAL,
        (-1, 0): -EINVAL,
        (-1, SECOND_NS - 1): -EINVAL,
    }
    name, ready = name_of(entry, "ppoll", wide), struct.pack("<iHH", ZEROS, READABLE, 0)
    calls = [(name, ready, 1, pairs(entry, *time, wide=wide), 0, 8) for time in cases]
    seen = [said.value for said in guest.series(entry, calls)]
    assert dict(zip(cases, seen, strict=True)) == cases
    name, sets = name_of(entry, "pselect6", wide), (0, 0, 0, 0)
    bad = [time for time, answer in cases.items() if answer < 0]
    rows = [(-EINVAL, name, *sets, pairs(entry, *time, wide=wide), 0) for time in bad]
    assert (
        find_wrong(guest, entry, [*rows, (0, name, *sets, pairs(entry, 0, 0, wide=wide), 0)]) == []
    )


@pytest.mark.entries("int80", "int80_64")
@pytest.mark.guest_only("it changes a file of root's")
def test_what_lies_beside_32_bits_of_nanoseconds_does_not_count(guest, entry):
    """32-bit programs fill 32 of the 64 bits: get_timespec64, its padding."""
    nothing = struct.pack("<qQ", 0, GARBAGE)
    past = struct.pack("<qqqQ", 0, 0, 0, GARBAGE | 1)
    fd = guest.call(entry, "timerfd_create", MONOTONIC, 0).value
    calls = (
        ("timerfd_settime64", fd, 0, past, 0),
        ("ppoll_time64", 0, 0, nothing, 0, 8),
        ("pselect6_time64", 0, 0, 0, 0, nothing, 0),
        ("utimensat_time64", AT_HERE, b"/proc\0", nothing * 2, 0),
    )
    assert [str(said) for said in guest.series(entry, calls) if said.errno] == []


@pytest.mark.entries("int80", "int80_64")
def test_nor_does_it_for_calls_that_wait(guest, entry):
    nothing, wait, no_signal = struct.pack("<qQ", 0, GARBAGE), 0, bytes(8)
    cases = {
        "futex_time64": ((bytes(4), wait, 1, nothing, 0, 0), EAGAIN),
        "rt_sigtimedwait_time64": ((no_signal, 0, nothing, 8), EAGAIN),
    }
    calls = [(name, *arguments) for name, (arguments, _) in cases.items()]
    seen = [said.errno for said in guest.series(entry, calls)]
    assert dict(zip(cases, seen, strict=True)) == {name: one[1] for name, one in cases.items()}


INTERVAL = (123_456, 654_321)


@pytest.mark.parametrize("which", [REAL, VIRTUAL, PROFILE])
def test_an_interval_timer_is_told_as_it_was_set(guest, entry, which):
    setting = entry.table.words(*INTERVAL, 70_000, 999_999)
    assert guest.call(entry, "setitimer", which, setting, Buffer(len(setting))).value == 0
    room = Buffer(len(setting) + 8)
    told = guest.call(entry, "getitimer", which, room).memory[0]
    assert told[len(setting) :] == b"\xa5" * 8
    assert told[: len(setting) // 2] == entry.table.words(*INTERVAL)
    left = struct.unpack(
        f"<{'qq' if entry.table.bits == 64 else 'ii'}", told[len(setting) // 2 : -8]
    )
    assert 69_900 < left[0] <= 70_001
    assert 0 <= left[1] < 1_000_000
    old = guest.call(entry, "setitimer", which, 0, room).memory[0]
    assert old[: len(setting) // 2] == entry.table.words(*INTERVAL)


def test_an_interval_timer_wants_less_than_a_second_besides(guest, entry):
    cases = {
        (0, 1_000_000, 0, 0),
        (0, -1, 0, 0),
        (-1, 0, 0, 0),
        (0, 0, 0, 1_000_000),
        (0, 0, -1, 0),
    }
    calls = [("setitimer", VIRTUAL, entry.table.words(*case), 0) for case in cases]
    calls += [("setitimer", which, entry.table.words(0, 0, 0, 0), 0) for which in (3, -1)]
    assert {said.errno for said in guest.series(entry, calls)} == {EINVAL}
    fine = entry.table.words(0, 999_999, 0, 0)
    assert guest.call(entry, "setitimer", VIRTUAL, fine, 0).value == 0


def test_an_alarm_tells_whole_seconds_and_of_a_part_one(guest, entry):
    """The nearest, but none only if none is left: kernel/time/itimer.c alarm_setitimer (6.1)."""
    cases = {(100, 900_000): 101, (100, 400_000): 100, (0, 400_000): 1, (0, 0): 0}
    rows = []
    for left, answer in cases.items():
        rows += [(0, "setitimer", REAL, entry.table.words(0, 0, *left), 0), (answer, "alarm", 0)]
    assert find_wrong(guest, entry, rows) == []


def test_a_timer_that_is_turned_off_has_no_interval_or_the_new_one(guest, entry):
    """Source: itimer.c do_setitimer, set_cpu_itimer; posix-timers.c; timerfd.c (6.1)."""
    made = guest.call(entry, "timer_create", MONOTONIC, 0, Buffer(4)).memory[0]
    timer = int.from_bytes(made, "little")
    fd = guest.call(entry, "timerfd_create", MONOTONIC, 0).value
    on, off, none = (entry.table.words(*it) for it in ((9, 8, 7000, 0), (5, 8000, 0, 0), (0,) * 4))
    cases = {
        (("setitimer", REAL), ("getitimer", REAL)): none,
        (("setitimer", VIRTUAL), ("getitimer", VIRTUAL)): off,
        (("timer_settime", timer, 0), ("timer_gettime", timer)): none,
        (("timerfd_settime", fd, 0), ("timerfd_gettime", fd)): off,
    }
    seen = {}
    for setting, asking in cases:
        calls = [(*setting, on, 0), (*setting, off, 0), (*asking, Buffer(len(off)))]
        seen[setting, asking] = guest.series(entry, calls)[-1].memory[0]
    assert seen == cases
    made = guest.call(entry, "timer_create", OWN_TIME, 0, Buffer(4)).memory[0]
    timer = int.from_bytes(made, "little")
    settings = ((on, 0), (off, 0), (none, Buffer(len(off))))
    calls = [("timer_settime", timer, 0, *two) for two in settings]
    told = guest.series(entry, calls)[-1].memory[0]
    assert told in (none, off), "the former of own time, which has none since 6.12"


@pytest.mark.parametrize(
    ("kind", "clock"),
    [("timerfd", MONOTONIC), ("timer", MONOTONIC), ("timer", OWN_TIME)],
    ids=["timerfd", "timer", "timer of own time"],
)
@WIDE
def test_a_timer_is_told_as_it_was_set(guest, entry, kind, clock, wide):
    names = [name_of(entry, f"{kind}_{what}time", wide) for what in ("set", "get")]
    made = guest.call(entry, f"{kind}_create", clock, 0, Buffer(4, fill=0))
    timer = made.value if kind == "timerfd" else int.from_bytes(made.memory[0], "little")
    setting = pairs(entry, 77, 999_999_999, 70_000, 5, wide=wide)
    half = len(setting) // 2
    assert guest.call(entry, names[0], timer, 0, setting, 0).value == 0
    told = guest.call(entry, names[1], timer, Buffer(len(setting) + 8)).memory[0]
    assert told[:half] == setting[:half]
    assert told[2 * half :] == b"\xa5" * 8
    seconds = int.from_bytes(told[half : half + half // 2], "little")
    assert 69_900 < seconds <= 70_000
    bad = pairs(entry, 0, 0, 1, SECOND_NS, wide=wide)
    assert guest.call(entry, names[0], timer, 0, bad, 0).errno == EINVAL
    room = Buffer(len(setting) + 8)
    old = guest.call(entry, names[0], timer, 0, bytes(len(setting)), room).memory[0]
    assert old[:half] == setting[:half]
    assert 69_900 < int.from_bytes(old[half : half + half // 2], "little") <= 70_000


def stamps(guest, entry):
    """Return a file's times of access and change: seconds and nanoseconds each."""
    said = guest.call(entry, "statx", AT_HERE, FILE, 0, 0xFFF, Buffer(256))
    assert said.value == 0
    access, change = (struct.unpack_from("<qI", said.memory[0], at) for at in (64, 112))
    return (*access, *change)


@pytest.fixture
def file(guest, entry):
    """Give the descriptor of a file whose times are known."""
    fd = guest.call(entry, "open", FILE, O_RDWR | O_CREAT, 0o600).value
    first = entry.table.words(1, 2, 3, 4)
    assert guest.call(entry, "utimensat", AT_HERE, FILE, first, 0).value == 0
    return fd


def test_each_call_sets_a_files_times_in_its_unit(guest, entry, file):
    calls = {
        ("utime", FILE, entry.table.words(11, 12)): (11, 0, 12, 0),
        ("utimes", FILE, entry.table.words(21, 999_999, 22, 5)): (21, 999_999_000, 22, 5000),
        ("futimesat", AT_HERE, FILE, entry.table.words(31, 1, 32, 2)): (31, 1000, 32, 2000),
        ("utimensat", AT_HERE, FILE, entry.table.words(41, 42, 43, SECOND_NS - 1), 0): (
            *(41, 42, 43, SECOND_NS - 1),
        ),
        ("utimensat", file, 0, entry.table.words(0, OMIT, 53, 54), 0): (41, 42, 53, 54),
    }
    for call, expected in calls.items():
        assert guest.call(entry, *call).value == 0, call
        assert stamps(guest, entry) == expected, call


@pytest.mark.usefixtures("file")
def test_the_time_of_the_call_is_set_where_none_is_given(guest, entry):
    before = guest.call(entry, "time", 0).value
    now = entry.table.words(5, NOW, 53, 54)
    assert guest.call(entry, "utimensat", AT_HERE, FILE, now, 0).value == 0
    access, _, *change = stamps(guest, entry)
    assert before - 1 <= access <= guest.call(entry, "time", 0).value + 1
    assert change == [53, 54]


@pytest.mark.usefixtures("file")
def test_times_of_a_file_that_make_no_sense_are_einval(guest, entry):
    around = -((1 << entry.table.bits) // 1000)
    assert 0 < around * 1000 % (1 << entry.table.bits) < 1000, "as nanoseconds it makes sense"
    calls = (
        ("utimes", FILE, entry.table.words(1, 1_000_000, 1, 0)),
        ("utimes", FILE, entry.table.words(1, 0, 1, -1)),
        *[
            ("futimesat", AT_HERE, FILE, entry.table.words(*times))
            for wrong in (1_000_000, -1, around)
            for times in ((1, wrong, 1, 0), (1, 0, 1, wrong))
        ],
        ("utimensat", AT_HERE, FILE, entry.table.words(1, SECOND_NS, 1, 0), 0),
        ("utimensat", AT_HERE, FILE, entry.table.words(1, 0, 1, -1), 0),
        ("utimensat", AT_HERE, FILE, entry.table.words(1, 0, 1, 0), 1),
    )
    assert [said.errno for said in guest.series(entry, calls)] == [EINVAL] * len(calls)
    assert stamps(guest, entry) == (1, 2, 3, 4)


@pytest.mark.usefixtures("file")
def test_where_no_time_is_to_be_set_no_file_is_looked_for(guest, entry):
    """Source: fs/utimes.c utimensat, utimensat_time32 (6.1)."""
    omitted, missing = entry.table.words(0, OMIT, 0, OMIT), b"/there is no such file\0"
    for path in (FILE, missing):
        assert guest.call(entry, "utimensat", AT_HERE, path, omitted, 0).errno is None, path
    assert stamps(guest, entry) == (1, 2, 3, 4)


@pytest.mark.entries("int80", "int80_64")
@pytest.mark.guest_only("it sets the machine's clock")
def test_the_oldest_call_sets_the_clock_to_a_second(guest, entry):
    """Source: kernel/time/time.c stime32 (6.1)."""
    second = 1_500_000_000
    assert guest.call(entry, "stime", second.to_bytes(4, "little")).value == 0
    assert second <= guest.call(entry, "time", 0).value < second + 600


TICK, SET_TICK, SET_FREQUENCY = 10_000, 0x4000, 0x2
TIMEX = {
    "x86_64": "<I4x qqqq i4x qqq qq qq q i4x qqqq q i 44x",
    "i386": "<I iiii i iii ii ii i i iiii i i 44x",
}
"""struct timex: modes, offset, frequency, two errors, status, constant, precision, tolerance, time,
tick, four of PPS, four counts, the offset of atomic time. Source: include/uapi/linux/timex.h."""
FREQUENCY_AT, TICK_AT, TOLERANCE_AT = 2, 11, 8


def test_the_clocks_rate_is_told_as_it_was_set(guest, entry):
    layout = struct.Struct(TIMEX[entry.table.name])
    fields = [0] * len(layout.unpack(bytes(layout.size)))
    fields[0], fields[FREQUENCY_AT], fields[TICK_AT] = SET_TICK | SET_FREQUENCY, -65_536, TICK + 1
    guest.write(entry.abi, ARENA.start + 0x8000, layout.pack(*fields) + b"\xa5" * 8)
    assert guest.call(entry, "adjtimex", ARENA.start + 0x8000).errno is None
    memory = guest.read(entry.abi, ARENA.start + 0x8000, layout.size + 8)
    assert memory[layout.size :] == b"\xa5" * 8
    seen = layout.unpack_from(memory)
    assert layout.pack(*seen) == memory[: layout.size], "something is between the fields"
    assert (seen[FREQUENCY_AT], seen[TICK_AT], seen[TOLERANCE_AT]) == (
        -65_536,
        TICK + 1,
        32_768_000,
    )
    assert abs(seen[9] - guest.call(entry, "time", 0).value) <= 1


MAXIMUM_ERROR, ERROR, STATUS, CONSTANT, ATOMIC_TIME = 0x4, 0x8, 0x10, 0x20, 0x80
UNSYNCHRONISED, FREQUENCY_HELD = 0x40, 0x80
ADJUSTING = {
    "adjtimex": ((), "own"),
    "clock_adjtime": ((0,), "own"),
    "clock_adjtime64": ((0,), "x86_64"),
}


@pytest.mark.guest_only("it changes the machine's clock")
@pytest.mark.parametrize("name", ADJUSTING)
def test_each_of_a_clocks_adjustments_is_told_as_it_was_set(guest, entry, name):
    """A constant is moved by four: kernel/time/ntp.c process_adjtimex_modes (6.1)."""
    if name.endswith("64") and entry.table is not I386:
        pytest.skip("64-bit calls have no other times")
    before, kind = ADJUSTING[name]
    layout = struct.Struct(TIMEX[entry.table.name if kind == "own" else kind])
    where, count = ARENA.start + 0x8000, len(layout.unpack(bytes(layout.size)))

    def adjust(modes, **fields):
        given = [modes, *(fields.get(f"at_{place}", 0) for place in range(1, count))]
        guest.write(entry.abi, where, layout.pack(*given) + b"\xa5" * 8)
        assert guest.call(entry, name, *before, where).errno is None
        assert guest.read(entry.abi, where + layout.size, 8) == b"\xa5" * 8
        return layout.unpack(guest.read(entry.abi, where, layout.size))

    status = UNSYNCHRONISED | FREQUENCY_HELD
    modes = MAXIMUM_ERROR | ERROR | STATUS | CONSTANT
    seen = adjust(modes, at_3=1234, at_4=4321, at_5=status, at_6=3)
    assert seen[4:8] == (4321, status, 7, 1), "error, status, constant, precision"
    assert 1234 <= seen[3] <= 10_000, "largest error"
    assert adjust(ATOMIC_TIME, at_6=37)[-1] == adjust(0)[-1] == 37, "atomic time"
