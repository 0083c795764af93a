# SPDX-License-Identifier: Apache-2.0
"""Where the vDSO leaves off: at the kernel's door, and at pointers that it cannot follow.

A function that stores its result itself faults as the program would; one that hands the question
on to the kernel gives EFAULT as the call does.

Source: lib/vdso/gettimeofday.c, its fallbacks; arch/x86/include/asm/vdso/gettimeofday.h
__arch_get_hw_counter (6.1).
"""

import struct
from errno import EFAULT
from functools import partial

import pytest

from harness.agent.arguments import Buffer
from harness.agent.clocks import Clocks
from harness.agent.code import place_code
from harness.agent.filter import forbid_calls
from harness.entry import function_path
from harness.landscape import ARENA, EDGE, HOLE
from harness.pointers import bad_pointers

KEPT_EXACT, KEPT_COARSE = (0, 1, 4, 7, 11), (5, 6)
KEPT = KEPT_EXACT + KEPT_COARSE
HANDED_ON = (2, 3, 8, 9, -2, -6)
"""Clocks of a process, of a thread and of alarms."""
SOURCES = "/sys/devices/system/clocksource/clocksource0"
FORBIDDEN = 77
PLAIN = pytest.mark.machine()
UNSTABLE = pytest.mark.machine(append="mitigations=off norandmaps tsc=unstable")
"""The second is also a machine of scenarios of boot switches."""
SIGSEGV, PROTECTION, PAGE_FAULT = 11, 13, 14


@pytest.fixture
def clocks(guest, abi):
    return Clocks(guest, abi)


@pytest.fixture
def exact_clocks(guest, clocks):
    """Give the clocks of a kernel whose source of time programs can read."""
    source = guest.read_file(f"{SOURCES}/current_clocksource").decode().strip()
    if source != "tsc":
        pytest.skip(f"this kernel's source of time is {source}, which no program reads")
    return clocks


def there(clocks, ids):
    """Return the clocks that this kernel has at all."""
    said = clocks.ask(*(clocks.caller(clock) for clock in ids))
    return tuple(clock for clock, answer in zip(ids, said, strict=True) if answer.value == 0)


def without_tsc(test):
    """Take the source of time away at run time, where there is another, and at boot."""
    return PLAIN(UNSTABLE(test))


@pytest.fixture
def unreadable_source(guest):
    """Give the kernel a source of time that no program can read; its name."""
    current = guest.read_file(f"{SOURCES}/current_clocksource").decode().strip()
    if not current.startswith("tsc"):
        yield current
        return
    available = guest.read_file(f"{SOURCES}/available_clocksource").decode().split()
    source = next((name for name in available if name not in ("tsc", "tsc-early")), None)
    if not source:
        pytest.skip("this kernel has no other source of time")
    guest.write_file(f"{SOURCES}/current_clocksource", source.encode())
    assert guest.read_file(f"{SOURCES}/current_clocksource").decode() == f"{source}\n"
    yield source
    guest.write_file(f"{SOURCES}/current_clocksource", b"tsc")


def entering(guest, abi, clocks):
    """Return the functions that enter the kernel, with their clock; calls are forbidden after."""
    pairs = (*clocks.times, *clocks.resolutions)
    asked = {(p.function, c): clocks.reader(c, p) for p in pairs for c in KEPT + HANDED_ON}
    asked["__vdso_gettimeofday", 0] = lambda slot: clocks.function("__vdso_gettimeofday", slot, 0)
    asked["__vdso_time", 0] = partial(clocks.function, "__vdso_time")
    forbid_calls(guest, abi, FORBIDDEN)
    said = clocks.ask(*asked.values())
    return {key for key, answer in zip(asked, said, strict=True) if answer.value == -FORBIDDEN}


def functions(pairs, ids):
    return {(pair.function, clock) for pair in pairs for clock in ids}


@pytest.mark.claim(53)
def test_only_clocks_that_the_vdso_does_not_keep_enter_the_kernel(guest, abi, exact_clocks):
    pairs = (*exact_clocks.times, *exact_clocks.resolutions)
    assert entering(guest, abi, exact_clocks) == functions(pairs, HANDED_ON)


@without_tsc
@pytest.mark.pristine
def test_without_a_source_that_it_can_read_exact_clocks_enter_the_kernel(
    guest, abi, unreadable_source, clocks
):
    expected = functions((*clocks.times, *clocks.resolutions), HANDED_ON)
    expected |= functions(clocks.times, KEPT_EXACT) | {("__vdso_gettimeofday", 0)}
    assert entering(guest, abi, clocks) == expected, unreadable_source


@without_tsc
@pytest.mark.pristine
def test_without_a_source_that_it_can_read_clocks_still_agree(unreadable_source, clocks):
    for pair in clocks.times:
        for clock in KEPT + there(clocks, HANDED_ON):
            call = clocks.caller(clock, pair)
            said = clocks.ask(call, clocks.reader(clock, pair), call)
            times = [answer.time(pair.layout) for answer in said]
            assert [answer.value for answer in said] == [0, 0, 0], (unreadable_source, clock)
            assert times == sorted(times), (unreadable_source, pair.function, clock)


@without_tsc
@pytest.mark.pristine
def test_without_a_source_that_it_can_read_gettimeofday_still_agrees(
    guest, unreadable_source, clocks
):
    call, function = "gettimeofday", "__vdso_gettimeofday"
    zone = struct.pack("<ii", -90, 3)
    assert guest.call(clocks.entry, "settimeofday", 0, zone).value == 0
    before, said, after = clocks.ask(
        lambda slot: clocks.call(call, slot, 0),
        lambda slot: clocks.function(function, slot, slot + 16),
        lambda slot: clocks.call(call, slot, 0),
    )
    times = [answer.time(clocks.timeval, 1000) for answer in (before, said, after)]
    assert said.value == 0, unreadable_source
    assert times == sorted(times)
    assert said.memory[16:] == zone + b"\xa5" * 8, "the time zone, which the call tells"


def fault_of(said, pointer, size_bytes):
    """Return what is wrong about the fault of storing to `pointer`, empty when nothing is."""
    signal = said.signal
    if not signal or signal.number != SIGSEGV:
        return str(said)
    if 0x8000_0000_0000 <= pointer < 0xFFFF_8000_0000_0000:  # not an address at all
        return "" if (signal.trap, signal.address) == (PROTECTION, 0) else str(said)
    within = (signal.address - pointer) & said.call.entry.abi.mask
    return "" if signal.trap == PAGE_FAULT and within < size_bytes else str(said)


def test_a_clock_for_a_bad_pointer_is_a_fault_of_the_program(guest, exact_clocks):
    clocks, vdso, wrong = exact_clocks, exact_clocks.vdso, []
    bad = bad_pointers(clocks.entry, guest.identity.arch)
    for pair in clocks.times:
        for clock in KEPT:
            calls = [clocks.function(pair.function, clock, pointer.address) for pointer in bad]
            for pointer, said in zip(bad, guest.calls(calls), strict=True):
                fault = fault_of(said, pointer.address, pair.size_bytes)
                inside = vdso.base < said.after["ip"] < vdso.base + vdso.size_bytes
                wrong += [] if inside and not fault else [(pointer.name, clock, str(said))]
    assert wrong == []


def test_a_clock_that_it_hands_on_gives_efault(guest, clocks):
    bad = bad_pointers(clocks.entry, guest.identity.arch)
    calls = [
        clocks.function(pair.function, clock, pointer.address)
        for pair in clocks.times
        for clock in there(clocks, HANDED_ON)
        for pointer in bad
    ]
    assert calls
    assert [said for said in guest.calls(calls) if said.errno != EFAULT] == []


@without_tsc
@pytest.mark.pristine
def test_without_a_source_that_it_can_read_a_bad_pointer_gives_efault(
    guest, unreadable_source, clocks
):
    bad = bad_pointers(clocks.entry, guest.identity.arch)
    calls = [clocks.function(clocks.times[0].function, 1, pointer.address) for pointer in bad]
    said = guest.calls(calls)
    assert [outcome for outcome in said if outcome.errno != EFAULT] == [], unreadable_source


def test_a_time_that_does_not_fit_before_the_end_of_memory_faults_there(guest, exact_clocks):
    clocks = exact_clocks
    for pair in clocks.times:
        whole = clocks.function(pair.function, 1, EDGE.end - pair.size_bytes)
        half = clocks.function(pair.function, 1, EDGE.end - pair.size_bytes // 2)
        fits, reaches_over = guest.calls([whole, half])
        assert fits.value == 0
        assert reaches_over.signal
        assert 0 <= reaches_over.signal.address - EDGE.end < pair.size_bytes // 2


@pytest.mark.parametrize("name", ["__vdso_time", "__vdso_gettimeofday"])
def test_seconds_for_a_hole_are_a_fault_of_the_program(guest, exact_clocks, name):
    (said,) = guest.calls([exact_clocks.function(name, HOLE, 0)])
    assert said.signal
    assert (said.signal.number, said.signal.trap) == (SIGSEGV, PAGE_FAULT)
    assert HOLE <= said.signal.address < HOLE + 16


@pytest.fixture
def getcpu(clocks):
    """Give the function's address; only newer kernels have it for 32-bit programs."""
    if "__vdso_getcpu" not in clocks.vdso.exports["LINUX_2.6"]:
        pytest.skip("this vDSO has no __vdso_getcpu")
    return clocks.vdso.function("__vdso_getcpu")


@pytest.mark.guest_only("a host has more processors than one")
def test_getcpu_names_processor_and_node(guest, abi, getcpu):
    said = guest.call(function_path(abi), getcpu, Buffer(8), Buffer(8), 0)
    assert said.value == 0
    assert said.memory == (bytes(4) + b"\xa5" * 4,) * 2


def test_getcpu_takes_null_and_never_enters_the_kernel(guest, abi, getcpu):
    forbid_calls(guest, abi, FORBIDDEN)
    pointers = ((0, 0, HOLE), (ARENA.start, 0, 0), (0, ARENA.start, 0))
    said = [guest.call(function_path(abi), getcpu, *three) for three in pointers]
    assert [outcome.value for outcome in said] == [0, 0, 0]


@pytest.mark.needs(arch="x86_64")
@pytest.mark.guest_only("a host has more processors than one")
def test_a_segment_limit_holds_processor_and_node(guest, abi):
    load_limit = b"\xb8\x7b\x00\x00\x00\x0f\x03\xc0\xc3"  # mov $__CPUNODE_SEG, %eax; lsl; ret
    said = guest.call(function_path(abi), place_code(guest, abi, load_limit))
    assert said.value == 0
    assert said.after["flags"] & 0x40, "lsl refused the selector"
