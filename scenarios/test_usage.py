# SPDX-License-Identifier: Apache-2.0
"""What a process has used, and where it may run: numbers and sets as wide as each table's words.

Source: kernel/sys.c getrusage, do_sys_times; kernel/compat.c put_compat_rusage,
compat_sys_sched_getaffinity, compat_get_bitmap; kernel/sched/core.c sched_getaffinity (6.1).
"""

import struct
from errno import EFAULT, EINVAL, ESRCH

import pytest

from harness.agent.arguments import Buffer
from harness.agent.structures import Layout
from harness.landscape import HOLE, PAGE, UNTOUCHED

pytestmark = pytest.mark.entries("int80", "syscall")

SELF, CHILDREN, THREAD, NOBODY, ZEROS = 0, -1, 1, 0x3FFF_FFFF, 0
NAMES = (
    *("user", "user_us", "system", "system_us", "most_kib", "shared", "data", "stack"),
    *("minor_faults", "major_faults", "swaps", "read", "written", "sent", "received", "signals"),
    *("waits", "interruptions"),
)
USAGE = {"x86_64": Layout("<18q", NAMES), "i386": Layout("<18i", NAMES)}
NEVER_TOLD = ("shared", "data", "stack", "swaps", "sent", "received", "signals")
TICKS_A_SECOND = 100
WAITS = 4
"""As many short ones, since one that is over before the program waits is none."""
P_PID, EXITED = 1, 4


def usage(guest, entry, whose):
    layout = USAGE[entry.table.name]
    said = guest.call(entry, "getrusage", whose, Buffer(layout.size_bytes + 8))
    assert said.value == 0
    assert said.memory[0][layout.size_bytes :] == b"\xa5" * 8
    return layout.decode(said.memory[0])


def test_a_process_is_told_what_it_has_used(guest, entry):
    before, pages = usage(guest, entry, SELF), UNTOUCHED.size_bytes // PAGE
    calls = (
        ("read", ZEROS, UNTOUCHED.start, UNTOUCHED.size_bytes),
        *[("poll", 0, 0, 1)] * WAITS,
    )
    assert {one.errno for one in guest.series(entry, calls)} == {None}
    after = usage(guest, entry, SELF)
    assert {name: after[name] for name in NEVER_TOLD} == dict.fromkeys(NEVER_TOLD, 0)
    assert pages <= after["minor_faults"] - before["minor_faults"] < 2 * pages
    assert 2 * pages < after["most_kib"] < 65_536
    assert 0 < after["waits"] - before["waits"] < 100
    assert max(after["user_us"], after["system_us"]) < 1_000_000
    assert 0 <= after["user"] + after["system"] < 600
    thread = usage(guest, entry, THREAD)
    same = ("minor_faults", "most_kib", "waits")
    assert [after[name] <= thread[name] for name in same] == [True] * 3, "of its only thread"
    parts = {"user": 1_000_000, "system": 1_000_000, "user_us": 1, "system_us": 1}
    times = [sum(one[name] * us for name, us in parts.items()) for one in (after, thread)]
    assert 0 < times[0] <= times[1]


def test_the_end_of_a_child_tells_what_it_has_used(guest, entry):
    assert usage(guest, entry, CHILDREN)["minor_faults"] == 0
    child = guest.call(entry, "fork").value
    layout = USAGE[entry.table.name]
    said = guest.call(entry, "wait4", child, 0, 0, Buffer(layout.size_bytes + 8))
    assert (said.value, said.memory[0][layout.size_bytes :]) == (child, b"\xa5" * 8)
    seen = layout.decode(said.memory[0])
    assert {name: seen[name] for name in NEVER_TOLD} == dict.fromkeys(NEVER_TOLD, 0)
    assert seen["minor_faults"] > 0
    assert usage(guest, entry, CHILDREN)["minor_faults"] == seen["minor_faults"]


def test_waitid_tells_the_same_in_its_fifth_argument(guest, entry):
    child, layout = guest.call(entry, "fork").value, USAGE[entry.table.name]
    room = Buffer(layout.size_bytes + 8)
    said = guest.call(entry, "waitid", P_PID, child, 0, EXITED, room)
    assert (said.value, said.memory[0][layout.size_bytes :]) == (0, b"\xa5" * 8)
    seen = layout.decode(said.memory[0])
    assert {name: seen[name] for name in NEVER_TOLD} == dict.fromkeys(NEVER_TOLD, 0)
    assert seen["minor_faults"] > 0
    assert usage(guest, entry, CHILDREN)["minor_faults"] == seen["minor_faults"]


def test_nobody_elses_usage_is_told(guest, entry):
    calls = ("getrusage", 2, Buffer(144)), ("getrusage", -3, Buffer(144)), ("getrusage", SELF, HOLE)
    assert [one.errno for one in guest.series(entry, calls)] == [EINVAL, EINVAL, EFAULT]


def test_times_are_told_in_ticks(guest, entry):
    size = entry.table.word_bytes
    said = guest.call(entry, "times", Buffer(5 * size))
    times = struct.unpack_from("<4q" if size == 8 else "<4i", said.memory[0])
    assert said.memory[0][4 * size :] == b"\xa5" * size
    seen = usage(guest, entry, SELF)
    for ticks, name in zip(times, ("user", "system"), strict=False):
        assert 0 <= ticks <= seen[name] * TICKS_A_SECOND + seen[f"{name}_us"] // 10_000 + 1, name


@pytest.mark.guest_only("it asks a machine of one processor")
def test_a_set_of_processors_is_as_wide_as_there_is_room_for(guest, entry):
    word = entry.table.word_bytes
    sizes = {word: word, 4 * word: None, word - 1: EINVAL, word + 1: EINVAL, 0: EINVAL}
    for size, expected in sizes.items():
        said = guest.call(entry, "sched_getaffinity", 0, size, Buffer(size + 8))
        if expected == EINVAL:
            assert said.errno == EINVAL, size
            continue
        assert word <= said.value <= size
        assert said.memory[0][: said.value] == b"\1".ljust(said.value, b"\0")
        assert said.memory[0][said.value :] == b"\xa5" * (size + 8 - said.value)


@pytest.mark.guest_only("it asks a machine of one processor")
def test_a_process_runs_on_a_processor_that_is_there(guest, entry):
    cases = {
        b"\1": None,
        b"\3": None,
        b"\2": EINVAL,
        b"\0\1": EINVAL,
        bytes(8): EINVAL,
        b"": EINVAL,
    }
    calls = [("sched_setaffinity", 0, len(bits), bits) for bits in cases]
    seen = [one.errno for one in guest.series(entry, calls)]
    assert dict(zip(cases, seen, strict=True)) == cases
    calls = ("sched_setaffinity", NOBODY, 8, bytes(8)), ("sched_setaffinity", 0, 8, HOLE)
    assert [one.errno for one in guest.series(entry, calls)] == [ESRCH, EFAULT]
