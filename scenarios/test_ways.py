# SPDX-License-Identifier: Apache-2.0
"""The way into the kernel and back, by its own code and by what it records of itself.

Source: arch/x86/entry/entry_32.S entry_SYSENTER_32, entry_64.S, entry_64_compat.S; kernel/entry/
common.c (5.10, 6.1, 7.2).
"""

import pytest

from harness.agent.arguments import Buffer
from harness.agent.vdso import read_vdso
from harness.entry import function_path
from harness.evidence.entering import find_entry_point, find_slot
from harness.evidence.msr import Msr
from harness.evidence.story import ROUTINE, probe_of_routine, tell_story, witness_call
from harness.evidence.witness import ENTER, EXIT

ENTRY_POINTS = pytest.mark.entries("int80", "sysenter", "syscall32", "syscall", "int80_64")
CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"


@pytest.mark.claim(24)
@pytest.mark.needs(arch="i386")
def test_sysenter_comes_back_by_sysexit_or_by_iret(inside):
    code = inside.text.code_at(inside.msrs[Msr.SYSENTER_EIP])
    names = [instruction.name for instruction in code]
    before = [i.operands for i in code[: names.index("sysexit")] if i.name == "mov"]
    assert "iretd" in names
    assert any(loaded.startswith("edx, ") for loaded in before), "the address"
    assert any(loaded.startswith("ecx, ") for loaded in before), "the stack"


@pytest.mark.claim(26)
@ENTRY_POINTS
def test_every_way_runs_the_routine_that_its_table_names(inside, entry):
    way = inside.text.way_from(find_entry_point(inside, entry))
    number = inside.guest.table(entry).number("getuid")
    slot = find_slot(inside, way, entry.table, number)
    seen = witness_call(inside, entry, "getuid", probes=[probe_of_routine(inside, slot)])
    (entered,) = seen.all(ENTER)
    on_the_stack = {name for at in entered.stack for name in inside.symbols.at(at).names}
    assert slot.implemented
    assert len(seen.all(ROUTINE)) == 1
    assert on_the_stack & set(way.functions[1:]), "the dispatcher is where its code says"


@ENTRY_POINTS
def test_a_call_enters_once_and_leaves_once_with_its_value(inside, entry):
    seen = witness_call(inside, entry, "getppid")
    number = inside.guest.table(entry).number("getppid")
    assert [moment.event["id"] for moment in seen.all(ENTER)] == [number]
    assert [moment.event["ret"] for moment in seen.all(EXIT)] == [seen.outcome.value]


@pytest.mark.claim(53)
def test_the_time_is_told_without_an_entry(inside, abi):
    if inside.guest.read_file(CLOCK_SOURCE) != b"tsc\n":
        pytest.skip("the kernel has given up the time stamp counter")
    place = read_vdso(inside.guest, abi).function("__vdso_gettimeofday")
    seen = witness_call(inside, function_path(abi), place, [Buffer(16), 0])
    assert seen.outcome.value == 0
    assert seen.outcome.memory[0] != Buffer(16).fill.to_bytes() * 16
    assert seen.all(ENTER) == []


@ENTRY_POINTS
def test_a_story_is_told_of_every_way(inside, entry):
    witness_call(inside, entry, "getpid")  # which skips where nothing can be recorded
    story = tell_story(inside, entry, "getpid")
    assert [step.title for step in story.steps] == [
        *("entry", "dispatcher", "slot", "routine", "faults", "return"),
    ]
    assert not [step for step in story.steps if "not shown" in step.facts]
