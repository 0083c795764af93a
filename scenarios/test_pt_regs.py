# SPDX-License-Identifier: Apache-2.0
"""Where the kernel saves a program's registers: ``struct pt_regs``, as a service routine finds it.

Source: arch/x86/include/asm/ptrace.h struct pt_regs; arch/x86/entry/calling.h PUSH_REGS,
entry_32.S SAVE_ALL; kernel/ptrace.c (5.10, 6.1, 7.2).
"""

import pytest

from harness.agent.ptrace import CALL_STOP, LAYOUTS, Request, plain_name
from harness.agent.puppet import start_puppet
from harness.arch import I386, X86_64
from harness.evidence.entering import argument_names, find_entry_point, find_slot
from harness.evidence.story import ROUTINE, probe_of_routine, recorded, witness_call

ENTRY_POINTS = pytest.mark.entries("int80", "sysenter", "syscall32", "syscall", "int80_64")
I386_ORDER = (
    *("bx", "cx", "dx", "si", "di", "bp", "ax", "ds", "es", "fs", "gs"),
    *("orig_ax", "ip", "cs", "flags", "sp", "ss"),
)
CALL = "getppid"


@pytest.fixture
def probe(inside, entry):
    """Give what records ``struct pt_regs`` as the service routine of CALL gets it."""
    way = inside.text.way_from(find_entry_point(inside, entry))
    number = inside.guest.table(entry).number(CALL)
    return probe_of_routine(inside, find_slot(inside, way, entry.table, number))


@pytest.mark.claim(17)
@ENTRY_POINTS
def test_arguments_and_number_are_saved_where_the_routine_looks(inside, entry, probe):
    seen = witness_call(inside, entry, CALL, probes=[probe])
    saved, said = seen.all(ROUTINE)[0].event, seen.outcome
    given = {plain_name(name): said.before[name] for name in entry.arguments}
    assert {name: saved[name] for name in argument_names(entry.table)} == given
    assert saved["orig_ax"] == inside.guest.table(entry).number(CALL)
    assert (saved["cs"] & 0xFFFF, saved["ss"] & 0xFFFF) == (said.before["cs"], said.before["ss"])
    assert said.clobbered <= entry.may_clobber, "and they are restored"


@pytest.mark.claim(35)
@pytest.mark.needs(arch="i386")
@pytest.mark.entries("int80")
def test_registers_lie_in_the_order_that_the_textbooks_give(inside, entry, probe):
    words = {name: f"+{4 * n}(%ax):x32" for n, name in enumerate(I386_ORDER)}
    seen = witness_call(inside, entry, CALL, probes=[type(probe)(ROUTINE, probe.where, words)])
    saved, said = seen.all(ROUTINE)[0].event, seen.outcome
    general = {plain_name(n): said.before[n] for n in I386.registers if n not in ("eax", "esp")}
    assert {name: saved[name] for name in general} == general
    assert (saved["sp"], saved["ip"]) == (said.before["esp"], said.after["ip"])
    assert saved["flags"] & 0xFFFF == said.before["flags"]


@pytest.mark.needs(arch="x86_64")
def test_the_kernels_own_description_is_the_one_that_tracers_rely_on(inside):
    layout = inside.pt_regs
    if layout is None:
        pytest.skip("the kernel describes no types of its own (CONFIG_DEBUG_INFO_BTF)")
    shared = [name for name in LAYOUTS[X86_64] if name in layout.offsets]
    assert [layout.offsets[name] for name in shared] == [8 * n for n in range(21)]
    assert shared[-1] == "ss"


@ENTRY_POINTS
def test_a_tracer_sees_what_was_saved(inside, entry, probe):
    with start_puppet(inside.guest, entry.abi) as puppet:
        puppet.prepare(entry, CALL)
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        shown = puppet.registers()
        with recorded(inside, puppet.pid, [probe]) as seen:
            assert puppet.resume(Request.SYSCALL) == CALL_STOP
    saved = seen[0].event
    names = [
        name for name in shown if name in probe.fetched and name not in ("ds", "es", "fs", "gs")
    ]
    assert {name: saved[name] for name in names} == {name: shown[name] for name in names}
