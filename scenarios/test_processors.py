# SPDX-License-Identifier: Apache-2.0
"""What a processor offers, what the kernel makes of it, and what a program is told.

Source: Intel SDM volume 2 and AMD APM volume 3, SYSENTER and SYSCALL; arch/x86/kernel/cpu/common.c
syscall_init, enable_sep_cpu; arch/x86/include/asm/elf.h ARCH_DLINFO; fs/binfmt_elf.c (6.1).
"""

import pytest

from harness.agent.about import AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ, AT_PLATFORM
from harness.agent.code import place_code
from harness.cpu import read_features
from harness.entry import SYSCALL, find_entry_path, function_path

INSTRUCTIONS = ("int80", "sysenter", "syscall32", "syscall", "int80_64")
INVALID_OPCODE = 6
HAS_FSGSBASE = 2  # in AT_HWCAP2
RDFSBASE = b"\xf3\x48\x0f\xae\xc0\xc3"  # rdfsbase %rax; ret
FXSAVE_BYTES = 512
CPUID_0D = bytes.fromhex("b80d000000 31c9 53 0fa2 89d8 5b c3")
"""mov $13, %eax; xor %ecx, %ecx; push %ebx; cpuid; mov %ebx, %eax; pop %ebx; ret: the same in
64-bit code. Gives how much XSAVE stores of what the kernel has enabled."""

pytestmark = [
    pytest.mark.machine(),
    pytest.mark.machine(cpu="EPYC"),
    pytest.mark.machine(cpu="EPYC,vendor=Nobody123456,-sep", arch="x86_64"),
]


@pytest.mark.claim(18)
@pytest.mark.claim(31)
@pytest.mark.machine(cpu="qemu32,-sep", arch="i386")
@pytest.mark.parametrize("name", INSTRUCTIONS)
@pytest.mark.room("its parent is the first process")
def test_an_instruction_enters_where_it_is_offered_and_is_invalid_elsewhere(guest, name):
    entry = find_entry_path(name)
    erratum = guest.find_erratum(entry)
    if erratum or entry.abi not in guest.identity.arch.abis:
        pytest.skip(erratum.says if erratum else guest.why_unavailable(entry))
    said, why = guest.call(entry, "getppid"), guest.why_unavailable(entry)
    if why:
        assert said.signal, f"{name} entered, although {why}"
        assert (said.signal.name, said.signal.trap) == ("SIGILL", INVALID_OPCODE)
    else:
        assert (said.signal, said.value) == (None, 1)
        assert said.clobbered <= entry.may_clobber


@pytest.mark.claim(31)
@pytest.mark.needs(arch="x86_64")
@pytest.mark.abis("x86_64")
@pytest.mark.room("its parent is the first process")
def test_sysenter_is_no_way_in_for_64_bit_code(guest, abi):
    sysenter = place_code(guest, abi, b"\x0f\x34\xc3")
    said = guest.call(function_path(abi), sysenter)
    assert said.signal, "it came back"
    expected = "SIGSEGV" if guest.cpu.is_intel else "SIGILL"  # AMD has none in long mode
    assert said.signal.name == expected
    assert guest.call(SYSCALL, "getppid").value == 1


def test_a_program_is_told_the_processors_features(guest, abi):
    about = guest.about(abi)
    assert about.auxv[AT_HWCAP] == about.features_edx


@pytest.mark.abis("x86_64")
def test_a_program_is_told_whether_it_may_read_its_segment_bases(guest, abi):
    told = bool(guest.about(abi).auxv[AT_HWCAP2] & HAS_FSGSBASE)
    said = guest.call(function_path(abi), place_code(guest, abi, RDFSBASE))
    assert told == (said.signal is None)
    assert said.signal is None or said.signal.name == "SIGILL"
    assert told == ("fsgsbase" in read_features(guest.read_file("/proc/cpuinfo")))


def test_a_program_is_told_its_platform(guest, abi):
    name = guest.read(abi, guest.about(abi).auxv[AT_PLATFORM], 8).partition(b"\0")[0]
    assert name.decode() == {"i386": "i686", "x86_64": "x86_64"}[abi.name]


@pytest.mark.needs(since="5.14")
def test_a_program_is_told_how_large_a_signals_frame_gets(guest, abi):
    state = FXSAVE_BYTES
    if "xsave" in read_features(guest.read_file("/proc/cpuinfo")):
        state = guest.call(function_path(abi), place_code(guest, abi, CPUID_0D)).value
    beside_it = guest.about(abi).auxv[AT_MINSIGSTKSZ] - state
    assert 768 <= beside_it <= 1024
