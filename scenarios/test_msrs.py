# SPDX-License-Identifier: Apache-2.0
"""The registers that the fast entry paths are set up in.

Source: arch/x86/kernel/cpu/common.c enable_sep_cpu, syscall_init (5.10, 6.1, 7.2);
arch/x86/include/asm/segment.h; Intel SDM volume 2, SYSENTER, SYSEXIT, SYSCALL.
"""

import pytest

from harness.arch import I386
from harness.evidence.msr import Msr

KERNEL_CS = {"i386": 0x60, "x86_64": 0x10}
USER32_CS = 0x23
SYSENTER_ENTRIES = {"i386": "entry_SYSENTER_32", "x86_64": "entry_SYSENTER_compat"}
SYSCALL32_ENTRIES = {"entry_SYSCALL_compat", "ignore_sysret", "entry_SYSCALL32_ignore"}
TRAP, INTERRUPT, DIRECTION, NESTED = 1 << 8, 1 << 9, 1 << 10, 1 << 14


def symbol(inside, register):
    place = inside.symbols.at(inside.msrs[register])
    return str(place)


@pytest.mark.claim(20)
def test_sysenter_has_segment_entry_and_stack(inside):
    assert inside.msrs[Msr.SYSENTER_CS] == KERNEL_CS[inside.abi.name]
    assert symbol(inside, Msr.SYSENTER_EIP) == SYSENTER_ENTRIES[inside.abi.name]
    assert inside.msrs[Msr.SYSENTER_ESP] % 16 == 0
    assert inside.msrs[Msr.SYSENTER_ESP] >= inside.memory.kcore.symbol("_stext") >> 32


@pytest.mark.machine(cpu="qemu32,-sep", arch="i386")
def test_without_sep_sysenter_is_not_set_up(inside):
    registers = (Msr.SYSENTER_CS, Msr.SYSENTER_EIP, Msr.SYSENTER_ESP)
    assert [inside.msrs[register] for register in registers] == [0, 0, 0]


@pytest.mark.claim(21)
@pytest.mark.entries("sysenter")
def test_a_program_comes_back_with_segments_counted_from_sysenter_cs(inside, entry):
    said = inside.guest.call(entry, "getpid").after
    kernel = inside.msrs[Msr.SYSENTER_CS]
    assert (said["cs"], said["ss"]) == (kernel + 16 | 3, kernel + 24 | 3)


@pytest.mark.claim(28)
@pytest.mark.needs(arch="x86_64")
def test_star_holds_the_segments_and_lstar_the_entry_of_syscall(inside):
    assert inside.msrs[Msr.STAR] >> 48 == USER32_CS
    assert inside.msrs[Msr.STAR] >> 32 & 0xFFFF == KERNEL_CS["x86_64"]
    assert symbol(inside, Msr.LSTAR) == "entry_SYSCALL_64"


@pytest.mark.needs(arch="x86_64")
@pytest.mark.machine(cpu="EPYC", arch="x86_64")
def test_amd_processors_have_an_entry_for_32_bit_syscall(inside):
    assert symbol(inside, Msr.CSTAR) in SYSCALL32_ENTRIES


@pytest.mark.needs(arch="x86_64")
def test_syscall_masks_interrupts_traps_and_the_direction(inside):
    wanted = {"TF": TRAP, "IF": INTERRUPT, "DF": DIRECTION, "NT": NESTED}
    seen = inside.msrs[Msr.SFMASK]
    assert [name for name, flag in wanted.items() if not seen & flag] == [], "left as they were"


@pytest.mark.needs(arch="i386")
def test_i386_kernels_do_not_set_syscall_up(inside):
    assert inside.abi is I386
    assert [inside.msrs[register] for register in (Msr.STAR, Msr.LSTAR, Msr.CSTAR)] == [0, 0, 0]
