# SPDX-License-Identifier: Apache-2.0
"""The interrupt descriptor table: which vectors a program may raise, and where they lead.

Source: arch/x86/kernel/idt.c (5.10, 6.1, 7.2): SYSG and G; Intel SDM volume 3, 6.11, 6.12.1.2.
"""

from signal import SIGSEGV

import pytest

from harness.agent.code import place_code
from harness.arch import I386
from harness.entry import function_path
from harness.evidence.gates import BREAKPOINT, DOUBLE_FAULT, INT80, OVERFLOW

GENERAL_PROTECTION = 13
IN_IDT = 2
KERNEL_CODE = {"i386": 0x60, "x86_64": 0x10}
INT80_ENTRIES = {"entry_INT80_32", "entry_INT80_compat", "asm_int80_emulation"}


@pytest.mark.claim(14)
def test_only_int80_and_two_exceptions_may_be_raised_by_programs(inside):
    allowed = {gate.vector for gate in inside.gates if gate.present and gate.dpl == 3}
    assert allowed == {BREAKPOINT, OVERFLOW, INT80}


@pytest.mark.claim(14)
@pytest.mark.parametrize("vector", [0, 8, 14, 0x20, 0x7F, 0x81, 0xFF])
def test_raising_another_vector_is_a_general_protection_fault(shared_guest, abi, vector):
    place = place_code(shared_guest, abi, bytes([0xCD, vector, 0xC3]))
    said = shared_guest.call(function_path(abi), place).signal
    assert (said.number, said.trap) == (SIGSEGV, GENERAL_PROTECTION)
    assert said.error & 7 == IN_IDT  # TCG 7.2 counts a 64-bit vector's index twice


@pytest.mark.claim(15, refuted=True)
def test_int80_is_an_interrupt_gate(inside):
    assert inside.gates[INT80].kind == "interrupt gate"


@pytest.mark.claim(16)
def test_int80_leads_to_its_entry_in_the_kernels_code_segment(inside):
    gate = inside.gates[INT80]
    entry = inside.symbols.at(gate.handler)
    assert gate.selector == KERNEL_CODE[inside.abi.name]
    assert INT80_ENTRIES & set(entry.names)
    assert not entry.offset


@pytest.mark.claim(19)
@pytest.mark.needs(arch="i386")
def test_a_double_fault_switches_tasks(inside):
    assert inside.gates[DOUBLE_FAULT].kind == "task gate"


@pytest.mark.needs(arch="x86_64")
def test_a_double_fault_has_a_stack_of_its_own(inside):
    gate = inside.gates[DOUBLE_FAULT]
    assert (gate.kind, gate.stack) == ("interrupt gate", 1)


def test_no_gate_leads_out_of_the_kernel(inside):
    start = 0xC000_0000 if inside.abi is I386 else 0xFFFF_8000_0000_0000
    led = [gate for gate in inside.gates if gate.present and gate.kind != "task gate"]
    assert all(gate.handler >= start for gate in led)
    assert {gate.selector for gate in led} == {KERNEL_CODE[inside.abi.name]}
