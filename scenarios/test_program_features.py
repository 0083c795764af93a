# SPDX-License-Identifier: Apache-2.0
"""What a program may ask for itself: its time-stamp counter, low addresses, restartable sequences.

Source: arch/x86/kernel/process.c set_tsc_mode; arch/x86/kernel/sys_x86_64.c find_start_end;
kernel/rseq.c (6.1).
"""

import struct
from errno import EBUSY, EFAULT, EINVAL, ENODEV, ENOMEM, ENOSYS, EOPNOTSUPP, EPERM

import pytest

from harness.agent.arguments import Buffer
from harness.agent.code import place_code
from harness.agent.ptrace import Status
from harness.agent.puppet import start_puppet
from harness.arch import I386, X86_64
from harness.entry import entry_paths_of, function_path
from harness.landscape import ARENA, HOLE

SIGSEGV, SI_KERNEL, GENERAL_PROTECTION = 11, 0x80, 13
GET_TSC, SET_TSC, ENABLE, REFUSE = 25, 26, 1, 2
RDTSC_AND_RETURN = b"\x0f\x31\xc3"


def test_the_time_stamp_counter_can_be_refused(guest, abi):
    entry = entry_paths_of(abi)[0]
    code = place_code(guest, abi, RDTSC_AND_RETURN)
    expected = {ENABLE: None, REFUSE: (SIGSEGV, SI_KERNEL, GENERAL_PROTECTION, code)}
    for mode in (ENABLE, REFUSE, ENABLE):
        assert guest.call(entry, "prctl", SET_TSC, mode, 0, 0, 0).value == 0
        told = guest.call(entry, "prctl", GET_TSC, Buffer(4), 0, 0, 0)
        assert told.memory == (struct.pack("<I", mode),)
        said = guest.call(function_path(abi), code).signal
        seen = said and (said.number, said.code, said.trap)
        assert seen == (expected[mode] and expected[mode][:3])


def test_a_time_stamp_counter_is_refused_to_one_process_alone(guest, abi):
    code = place_code(guest, abi, RDTSC_AND_RETURN)
    with start_puppet(guest, abi) as puppet:
        assert puppet.call(puppet.own_entry, "prctl", SET_TSC, REFUSE, 0, 0, 0) == 0
        assert guest.call(function_path(abi), code).signal is None
        puppet.send_to(RDTSC_AND_RETURN)
        assert puppet.resume() == Status.stopped(SIGSEGV)
        assert guest.call(function_path(abi), code).signal is None


@pytest.mark.parametrize("mode", [0, 3, -1])
def test_no_other_mode_of_the_time_stamp_counter_is_known(guest, abi, mode):
    said = guest.call(entry_paths_of(abi)[0], "prctl", SET_TSC, mode, 0, 0, 0)
    assert said.errno == EINVAL


GET_CPUID, SET_CPUID = 0x1011, 0x1012


@pytest.mark.entries("int80", "syscall", "int80_64")
@pytest.mark.guest_only("a host's processor may let CPUID be refused")
def test_cpuid_is_for_everybody_where_it_cannot_be_refused(guest, entry):
    """Source: arch/x86/kernel/process.c do_arch_prctl_common (6.1)."""
    cases = {(GET_CPUID, 0): 1, (SET_CPUID, 0): -ENODEV, (SET_CPUID, 1): -ENODEV}
    seen = [one.value for one in guest.series(entry, [("arch_prctl", *two) for two in cases])]
    assert dict(zip(cases, seen, strict=True)) == cases


SUPPORTED, PERMITTED, REQUEST, FOR_GUESTS = 0x1021, 0x1022, 0x1023, 0x1024
X87_AND_SSE = 3


@pytest.mark.entries("int80", "syscall", "int80_64")
@pytest.mark.needs(since="5.17")
@pytest.mark.machine(cpu="EPYC")
@pytest.mark.guest_only("a host's processor may have state that has to be asked for")
def test_state_that_has_to_be_asked_for_is_none_that_is_there(guest, entry):
    """Source: arch/x86/kernel/fpu/xstate.c fpu_xstate_prctl, xstate_request_perm (6.1)."""
    calls = [("arch_prctl", one, Buffer(16)) for one in (SUPPORTED, PERMITTED)]
    supported, permitted = (one.memory[0] for one in guest.series(entry, calls))
    assert permitted.hex() == supported.hex()
    assert supported[0] & X87_AND_SSE == X87_AND_SSE
    assert supported[8:] == b"\xa5" * 8
    wide = guest.identity.arch.name == "x86_64"
    nobody = EINVAL if wide else EOPNOTSUPP
    cases = {0: EOPNOTSUPP, 18: EOPNOTSUPP, 63: nobody, 64: nobody, -1: nobody}
    assert {n: guest.call(entry, "arch_prctl", REQUEST, n).errno for n in cases} == cases
    for request in (SUPPORTED, PERMITTED, FOR_GUESTS):
        assert guest.call(entry, "arch_prctl", request, HOLE).errno == EFAULT


MAP_PRIVATE_ANONYMOUS, MAP_32BIT = 0x22, 0x40
LOW, HALF = 0x5000_0000, 0x2E00_0000
"""Addresses where nothing is: from 1 GiB on, and before."""


@pytest.mark.entries("syscall")
def test_low_memory_is_given_between_1_and_2_gib(guest, entry):
    for size in (4096, 1 << 20):
        said = guest.call(entry, "mmap", 0, size, 3, MAP_PRIVATE_ANONYMOUS | MAP_32BIT, -1, 0)
        assert 1 << 30 <= said.value <= (1 << 31) - size
    free = LOW + 5 * 4096
    hints = {free: free, free + 5: None, free + 4101: free + 4096, 1 << 31: None, HALF: HALF}
    for hint, expected in hints.items():
        said = guest.call(entry, "mmap", hint, 4096, 3, MAP_PRIVATE_ANONYMOUS | MAP_32BIT, -1, 0)
        right = 1 << 30 <= said.value < 1 << 31 if expected is None else said.value == expected
        assert right, f"{said.value:#x} for {hint:#x}"
    said = guest.call(entry, "mmap", 0, 1 << 30, 3, MAP_PRIVATE_ANONYMOUS | MAP_32BIT, -1, 0)
    assert said.errno == ENOMEM
    said = guest.call(entry, "mmap", 0, 4096, 3, MAP_PRIVATE_ANONYMOUS, -1, 0)
    assert said.value > 1 << 32


RSEQ_BYTES, UNREGISTER, SIGNATURE = 32, 1, 0x5305_3053
AREA = ARENA.start + 0x8000
NOWHERE = 0xFFFF_FFFF
KERNELS = {I386: 0xC000_0000, X86_64: 1 << 63}


def registered(guest, entry):
    """Register a restartable sequence's area, or skip where there is none."""
    guest.write(entry.abi, AREA, struct.pack("<IIQI", 0, NOWHERE, 0, 0).ljust(RSEQ_BYTES, b"\0"))
    said = guest.call(entry, "rseq", AREA, RSEQ_BYTES, 0, SIGNATURE)
    if said.errno == ENOSYS:
        pytest.skip("built without restartable sequences")
    assert said.value == 0


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_a_registered_area_names_the_processor_until_it_is_unregistered(guest, entry):
    registered(guest, entry)
    assert guest.read(entry.abi, AREA, 8) == struct.pack("<II", 0, 0)
    assert guest.call(entry, "rseq", AREA, RSEQ_BYTES, UNREGISTER, SIGNATURE).value == 0
    assert guest.read(entry.abi, AREA, 8) == struct.pack("<II", 0, NOWHERE)


@pytest.mark.entries("int80", "syscall", "int80_64")
def test_a_registration_that_makes_no_sense_is_refused(guest, entry):
    registered(guest, entry)
    cases = {
        (AREA, RSEQ_BYTES, 0, SIGNATURE): EBUSY,
        (AREA, RSEQ_BYTES, 0, SIGNATURE ^ 1): EPERM,
        (AREA, RSEQ_BYTES, UNREGISTER, SIGNATURE ^ 1): EPERM,
        (AREA + 64, RSEQ_BYTES, UNREGISTER, SIGNATURE): EINVAL,
        (AREA + 64, RSEQ_BYTES, 0, SIGNATURE): EINVAL,
        (AREA, 2 * RSEQ_BYTES, 0, SIGNATURE): EINVAL,
        (AREA, 2 * RSEQ_BYTES, UNREGISTER, SIGNATURE): EINVAL,
        (AREA, RSEQ_BYTES, UNREGISTER | 2, SIGNATURE): EINVAL,
        (AREA, RSEQ_BYTES, 0x80, SIGNATURE): EINVAL,
        (AREA, RSEQ_BYTES, UNREGISTER, SIGNATURE): None,
        (0, RSEQ_BYTES, UNREGISTER, 0): EINVAL,
        (0, 0, UNREGISTER, 0): EINVAL,
        (AREA + 4, RSEQ_BYTES, 0, SIGNATURE): EINVAL,
        (AREA, RSEQ_BYTES - 1, 0, SIGNATURE): EINVAL,
    }
    if entry.table.bits == guest.identity.arch.abi.bits:
        cases[KERNELS[entry.table], RSEQ_BYTES, 0, SIGNATURE] = EFAULT
    seen = [said.errno for said in guest.series(entry, [("rseq", *four) for four in cases])]
    assert dict(zip(cases, seen, strict=True)) == cases
