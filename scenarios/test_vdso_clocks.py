# SPDX-License-Identifier: Apache-2.0
"""The vDSO's clocks: each says what the system call of its name says.

Source: lib/vdso/gettimeofday.c; arch/x86/entry/vdso/vclock_gettime.c, vgetcpu.c (6.1);
kernel/time/vsyscall.c update_vsyscall, update_vsyscall_tz (6.1).
"""

import struct
from errno import EFAULT
from functools import partial

import pytest

from harness.agent.arguments import Buffer
from harness.agent.clocks import SECOND, Clocks
from harness.agent.maps import find_mapping
from harness.entry import STATUS_FLAGS, function_path
from harness.landscape import ARENA, PAGE

REALTIME, MONOTONIC, RAW, REALTIME_COARSE, MONOTONIC_COARSE, BOOTTIME, TAI = 0, 1, 4, 5, 6, 7, 11
KEPT = (REALTIME, MONOTONIC, RAW, REALTIME_COARSE, MONOTONIC_COARSE, BOOTTIME, TAI)
HANDED_ON = (2, 3, 8, 9, -2, -6)
AUXILIARY = tuple(range(16, 24))
IDS = (*range(-10, 26), 31, 32, 33, 63, 64, 0x7FFF_FFFF, -0x8000_0000)
GROUPS = (
    pytest.param(tuple(set(IDS) - set(AUXILIARY)), id="all but auxiliary"),
    pytest.param(
        AUXILIARY,
        id="auxiliary",
        marks=pytest.mark.known(
            "the vDSO gives a resolution of auxiliary clocks although the kernel was built without "
            "them and its call says EINVAL (lib/vdso/gettimeofday.c __cvdso_clock_getres_common)",
            since="6.17",
        ),
    ),
)
CLONE_NEWTIME = 0x80
WORD = {"i386": "<i", "x86_64": "<q"}
SET = {"a day in 2033": 2_000_000_000, "past 2038": (1 << 31) + 1000, "long ago": 86_400}


@pytest.fixture
def clocks(guest, abi):
    return Clocks(guest, abi)


def disagreement(clocks, pair, clock):
    """Return what is wrong between a function and its call, empty when nothing is."""
    call = clocks.caller(clock, pair)
    answers = clocks.ask(call, clocks.reader(clock, pair), call)
    before, said, after = answers
    if not before.value == said.value == after.value:
        return f"{pair.function}({clock}) gives {said.value}, its call {after.value}"
    if said.value:
        return "" if said.untouched else f"{pair.function}({clock}) fails and stores {said.memory}"
    times = [answer.time(pair.layout) for answer in answers]
    if not said.holds(pair.layout) or times != sorted(times):
        return f"{pair.function}({clock}): call, function, call say {times}; {said.memory.hex()}"
    return ""


def test_each_clock_says_what_its_call_says(clocks):
    wrong = [disagreement(clocks, pair, clock) for pair in clocks.times for clock in IDS]
    assert [said for said in wrong if said] == []


@pytest.mark.parametrize("ids", GROUPS)
def test_each_resolution_is_what_its_call_says(clocks, ids):
    wrong = {}
    for pair in clocks.resolutions:
        for clock in ids:
            expected, said = clocks.ask(clocks.caller(clock, pair), clocks.reader(clock, pair))
            if said != expected or not (said.holds(pair.layout) or said.untouched):
                wrong[pair.function, clock] = (said, expected)
    assert wrong == {}


@pytest.mark.parametrize("ids", GROUPS)
def test_a_resolution_need_not_be_stored(guest, clocks, ids):
    for pair in clocks.resolutions:
        expected = guest.calls([clocks.call(pair.call, clock, 0) for clock in ids])
        said = guest.calls([clocks.function(pair.function, clock, 0) for clock in ids])
        values = [[outcome.value for outcome in outcomes] for outcomes in (said, expected)]
        assert dict(zip(ids, values[0], strict=True)) == dict(zip(ids, values[1], strict=True))


@pytest.mark.abis("x86_64")
def test_the_upper_half_of_a_clock_number_does_not_count(clocks):
    upper, asked = 0x5EED_0000 << 32, (*KEPT, *HANDED_ON)
    expected = [answer.value for answer in clocks.ask(*map(clocks.reader, asked))]
    questions = [clocks.reader(upper | clock & 0xFFFF_FFFF) for clock in asked]
    assert [answer.value for answer in clocks.ask(*questions)] == expected
    assert expected[: len(KEPT)] == [0] * len(KEPT)


def test_no_clock_goes_back_between_function_and_call(clocks):
    wrong = []
    for pair in clocks.times:
        for clock in KEPT:
            questions = (clocks.reader(clock, pair), clocks.caller(clock, pair)) * 40
            times = [answer.time(pair.layout) for answer in clocks.ask(*questions)]
            wrong += [(pair.function, clock, times)] if times != sorted(times) else []
    assert wrong == []


@pytest.mark.pristine
def test_clocks_of_real_time_agree(clocks):
    asked = (REALTIME, REALTIME_COARSE, TAI, BOOTTIME, REALTIME)
    said = clocks.ask(*map(clocks.reader, asked))
    first, coarse, tai, boot, last = (a.time(clocks.times[-1].layout) for a in said)
    assert first - SECOND < coarse <= last
    assert first <= tai <= last
    assert boot < first


def test_boot_time_contains_monotonic_time(clocks):
    said = clocks.ask(*map(clocks.reader, (MONOTONIC, MONOTONIC_COARSE, BOOTTIME)))
    fine, coarse, boot = (answer.time(clocks.times[-1].layout) for answer in said)
    assert fine - SECOND < coarse <= boot
    assert fine <= boot


@pytest.mark.claim(53)
def test_gettimeofday_is_the_real_time_in_microseconds(clocks):
    before, day, after = clocks.ask(
        clocks.caller(REALTIME),
        lambda slot: clocks.function("__vdso_gettimeofday", slot, 0),
        clocks.caller(REALTIME),
    )
    layout = clocks.times[-1].layout
    assert day.value == 0
    assert day.holds(clocks.timeval)
    microsecond = before.time(layout) // 1000 * 1000
    assert microsecond <= day.time(clocks.timeval, 1000) <= after.time(layout)


def test_time_is_the_real_time_in_seconds(clocks, abi):
    before, said, after = clocks.ask(
        clocks.caller(REALTIME_COARSE),
        partial(clocks.function, "__vdso_time"),
        clocks.caller(REALTIME),
    )
    first, last = (a.time(clocks.times[-1].layout) // SECOND for a in (before, after))
    assert first <= said.value <= last
    word = struct.pack(WORD[abi.name], said.value)
    assert said.memory == word + b"\xa5" * (32 - len(word))


def test_gettimeofday_and_time_take_null(guest, clocks):
    nothing = [
        clocks.function("__vdso_gettimeofday", 0, 0),
        clocks.function("__vdso_time", 0),
        clocks.call("time", 0),
    ]
    day, said, expected = (outcome.value for outcome in guest.calls(nothing))
    assert day == 0
    assert expected - 1 <= said <= expected


@pytest.mark.pristine
def test_gettimeofday_knows_the_time_zone(guest, abi, clocks):
    zone = struct.pack("<ii", -90, 3)
    assert guest.call(clocks.entry, "settimeofday", 0, zone).value == 0
    gettimeofday = clocks.vdso.function("__vdso_gettimeofday")
    said = guest.call(function_path(abi), gettimeofday, 0, Buffer(16))
    assert (said.value, said.memory[0]) == (0, zone + b"\xa5" * 8)


def test_a_function_leaves_the_registers_of_its_caller_alone(guest, abi, clocks):
    calls = [
        clocks.function(pair.function, clock, ARENA.start)
        for pair in (*clocks.times, *clocks.resolutions)
        for clock in (*KEPT, *HANDED_ON, 99)
    ]
    calls += [clocks.function("__vdso_gettimeofday", ARENA.start, 0)]
    calls += [clocks.function("__vdso_time", ARENA.start)]
    said = guest.calls(calls)
    assert [o for o in said if not o.clobbered <= function_path(abi).may_clobber] == []
    assert [o for o in said if (o.before["flags"] ^ o.after["flags"]) & ~STATUS_FLAGS] == []


@pytest.mark.pristine
def test_a_time_that_was_set_is_seen_at_once(guest, abi, clocks):
    settime = "clock_settime64" if abi.bits == 32 else "clock_settime"
    seen = {}
    for when, start in SET.items():
        assert guest.call(clocks.entry, settime, REALTIME, struct.pack("<qq", start, 5)).value == 0
        questions = map(clocks.reader, (REALTIME, REALTIME_COARSE, TAI))
        *said, time = clocks.ask(*questions, partial(clocks.function, "__vdso_time"))
        seconds = [*(answer.time("<qq") // SECOND for answer in said), time.value & 0xFFFF_FFFF]
        seen[when] = [second - start for second in seconds]
    assert {when: late for when, late in seen.items() if not set(late) <= {0, 1}} == {}


@pytest.mark.pristine
def test_past_2038_the_short_functions_wrap_as_their_calls_do(guest, clocks, abi):
    settime = "clock_settime64" if abi.bits == 32 else "clock_settime"
    start = struct.pack("<qq", SET["past 2038"], 5)
    assert guest.call(clocks.entry, settime, REALTIME, start).value == 0
    said = clocks.ask(
        clocks.caller(REALTIME, clocks.times[0]),
        clocks.reader(REALTIME, clocks.times[0]),
        lambda slot: clocks.function("__vdso_gettimeofday", slot, 0),
        lambda slot: clocks.call("gettimeofday", slot, 0),
    )
    seconds = [answer.time(clocks.timeval, 0) // SECOND for answer in said]
    assert seconds == sorted(seconds)
    assert seconds[-1] - seconds[0] <= 1
    assert (seconds[0] - SET["past 2038"]) & 0xFFFF_FFFF in (0, 1)


@pytest.mark.pristine
def test_setting_the_time_leaves_monotonic_time_alone(guest, clocks):
    layout = clocks.times[-1].layout
    (before,) = clocks.ask(clocks.reader(MONOTONIC))
    day = struct.pack(clocks.timeval, 1_900_000_000, 0)
    assert guest.call(clocks.entry, "settimeofday", day, 0).value == 0
    (after,) = clocks.ask(clocks.reader(MONOTONIC))
    assert 0 <= after.time(layout) - before.time(layout) < 30 * SECOND


ADJ_TICK, ADJ_TAI = 0x4000, 0x80


def adjust(guest, clocks, mode, word, value):
    """Have the kernel adjust time: by that word of struct timex."""
    width = clocks.entry.abi.bits // 8
    timex = bytearray(26 * width)
    timex[:4] = mode.to_bytes(4, "little")
    timex[word * width : word * width + 4] = value.to_bytes(4, "little")
    assert guest.call(clocks.entry, "adjtimex", bytes(timex)).errno is None


@pytest.mark.pristine
def test_clocks_agree_where_seconds_are_made_shorter_or_longer(guest, clocks):
    """The raw clock knows nothing of it: kernel/time/vsyscall.c update_vdso_data (6.1)."""
    pair, wrong = clocks.times[-1], []
    for tick_us in (11_000, 9_000):
        adjust(guest, clocks, ADJ_TICK, 11, tick_us)
        for clock in (REALTIME, MONOTONIC, RAW, BOOTTIME, TAI):
            questions = (clocks.reader(clock, pair), clocks.caller(clock, pair)) * 150
            times = [answer.time(pair.layout) for answer in clocks.ask(*questions)]
            wrong += [(tick_us, clock)] if times != sorted(times) else []
    assert wrong == [], "a clock that goes back between function and call"


@pytest.mark.pristine
def test_an_offset_of_atomic_time_is_seen_at_once(guest, clocks):
    adjust(guest, clocks, ADJ_TAI, 6, 37)
    said = clocks.ask(*map(clocks.reader, (REALTIME, TAI, REALTIME)))
    first, tai, last = (answer.time("<qq") for answer in said)
    assert first <= tai - 37 * SECOND <= last


@pytest.fixture
def shifted(guest, clocks):
    """Put the executor into a time namespace whose monotonic clocks are ahead; give by how much."""
    call = partial(guest.call, clocks.entry)
    assert call("unshare", CLONE_NEWTIME).value == 0
    offsets = call("open", b"/proc/self/timens_offsets\0", 1).value
    text = b"monotonic 1000 999999999\nboottime 5000 1\n"
    assert call("write", offsets, text, len(text)).value == len(text)
    namespace = call("open", b"/proc/self/ns/time_for_children\0", 0).value
    assert call("setns", namespace, CLONE_NEWTIME).value == 0
    monotonic = 1001 * SECOND - 1
    return {MONOTONIC: monotonic, RAW: monotonic, MONOTONIC_COARSE: monotonic} | {
        BOOTTIME: 5000 * SECOND + 1
    }


def test_in_a_time_namespace_each_clock_says_what_its_call_says(clocks, shifted):
    wrong = [
        disagreement(clocks, p, c) for p in clocks.times for c in (*shifted, *KEPT, *HANDED_ON)
    ]
    assert [said for said in wrong if said] == []


def test_a_time_namespace_shifts_the_clocks_that_it_is_about(clocks, request):
    layout = clocks.times[-1].layout
    before = {clock: clocks.ask(clocks.reader(clock))[0].time(layout) for clock in KEPT}
    shifts = request.getfixturevalue("shifted")
    after = {clock: clocks.ask(clocks.reader(clock))[0].time(layout) for clock in KEPT}
    rest = {clock: after[clock] - before[clock] - shifts.get(clock, 0) for clock in KEPT}
    assert {clock: ns for clock, ns in rest.items() if not 0 <= ns < 30 * SECOND} == {}


def test_in_a_time_namespace_the_real_time_is_everybodys(guest, clocks, shifted):
    before, day, time, after = clocks.ask(
        clocks.caller(REALTIME_COARSE),
        lambda slot: clocks.function("__vdso_gettimeofday", slot, slot + 16),
        partial(clocks.function, "__vdso_time"),
        clocks.caller(REALTIME),
    )
    first, last = (answer.time(clocks.times[-1].layout) // SECOND for answer in (before, after))
    assert shifted
    assert first <= day.time(clocks.timeval) // SECOND <= last
    assert first <= time.value <= last
    assert day.memory[16:24] == guest.call(clocks.entry, "gettimeofday", 0, Buffer(8)).memory[0]


def readable(guest, clocks, name="[vvar]"):
    """Return which pages of the vDSO's data a call can read, the last first."""
    pid = guest.call(clocks.entry, "getpid").value
    data = find_mapping(guest, pid, name)
    file = guest.call(clocks.entry, "memfd_create", b"data\0", 0).value
    pages = range(data.end - PAGE, data.start - PAGE, -PAGE)
    said = guest.series(clocks.entry, [("write", file, page, 4) for page in pages])
    assert {one.value for one in said} <= {4, -EFAULT}
    return [page - data.start for page, one in zip(pages, said, strict=True) if one.value == 4]


@pytest.mark.needs(before="6.14")
def test_the_page_of_a_time_namespace_is_there_in_one_alone(guest, clocks, request):
    """Source: arch/x86/entry/vdso/vma.c vvar_fault (6.12)."""
    outside = readable(guest, clocks)
    request.getfixturevalue("shifted")
    inside = readable(guest, clocks)
    assert (len(inside), inside[-len(outside) :]) == (len(outside) + 1, outside), (outside, inside)
