# SPDX-License-Identifier: Apache-2.0
"""What the dispatcher does with the number it is given.

Source: arch/x86/entry/common.c do_syscall_64, do_int80_syscall_32, do_fast_syscall_32 (6.1).
"""

from errno import ENOSYS

import pytest

COMPAT = ("int80", "kernel_vsyscall", "sysenter", "syscall32", "int80_64")


@pytest.mark.claim(1)
def test_a_number_leads_to_its_call(guest, entry):
    assert guest.call(entry, "getppid").value == 1


@pytest.mark.claim(58)
def test_getpid_names_the_process_that_asked(guest, entry):
    comm = guest.read_file(f"/proc/{guest.call(entry, 'getpid').value}/comm")
    assert comm.decode() == f"executor.{entry.abi}\n"


@pytest.mark.claim(58)
def test_dup2_gives_the_number_asked_for(guest, entry):
    assert guest.call(entry, "dup2", 0, 77).value == 77
    assert guest.call(entry, "dup2", 77, 78).value == 78


@pytest.mark.claim(2)
@pytest.mark.parametrize("past", [0, 1, 7, 64])
def test_a_number_just_past_the_table_is_enosys(guest, entry, past):
    assert guest.call(entry, guest.table(entry).size + past).errno == ENOSYS


@pytest.mark.claim(2)
@pytest.mark.parametrize("number", [0xFFFF, 0x7FFF_FFFF, -1, -4095, -4096, -0x8000_0000])
def test_a_huge_or_negative_number_is_enosys(guest, entry, number):
    assert guest.call(entry, number).errno == ENOSYS


@pytest.mark.claim(3)
def test_an_unimplemented_slot_is_enosys(guest, entry):
    assert guest.call(entry, guest.table(entry).find_unused()).errno == ENOSYS


@pytest.mark.claim(3)
@pytest.mark.entries(*COMPAT)
@pytest.mark.parametrize("name", ["lock", "prof", "mpx", "ulimit", "vserver"])
def test_a_call_that_never_was_is_enosys(guest, entry, name):
    assert guest.call(entry, name).errno == ENOSYS


@pytest.mark.claim(7)
@pytest.mark.parametrize("name", ["epoll_pwait2", "futex_waitv", "cachestat", "statmount"])
def test_a_call_is_there_from_its_release_on(guest, entry, name):
    said = guest.call(entry, name, -1, 0, -1, -1, -1, -1)
    assert (said.errno == ENOSYS) == (name in guest.table(entry).newer)


@pytest.mark.claim(6)
@pytest.mark.entries("int80_64")
def test_int80_from_64_bit_code_takes_32_bit_numbers(guest, entry):
    getpid = 20  # writev in the 64-bit table, which would be EBADF here
    assert guest.call(entry, getpid, -1).value == guest.call(entry, "gettid").value
