# SPDX-License-Identifier: Apache-2.0
"""How a call says what came of it.

Source: include/linux/err.h IS_ERR_VALUE, MAX_ERRNO; man 2 syscall.
"""

from errno import EBADF, ECHILD, EEXIST, EINTR, EINVAL, ENOENT, ENOTDIR, ESPIPE, ESRCH

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer

F_SETOWN, F_GETOWN = 8, 9

FAILING = [
    (-EBADF, "close", -1),
    (-EBADF, "dup2", -1, 5),
    (-EINVAL, "dup3", 0, 0, 0),
    (-ENOENT, "open", b"/no/such/file\0", 0),
    (-EEXIST, "mkdir", b"/tmp\0", 0o755),
    (-ENOTDIR, "chdir", b"/init\0"),
    (-ESRCH, "kill", 0x3FFF_FFFF, 0),
    (-ECHILD, "wait4", -1, 0, 0, 0),
    (-EINVAL, "setpriority", 3, 0, 0),
]


@pytest.mark.claim(10)
def test_an_error_comes_back_negated(guest, entry):
    assert find_wrong(guest, entry, FAILING) == []


@pytest.mark.claim(10)
@pytest.mark.room("the root folder is a guest's")
def test_success_is_zero_or_positive(guest, entry):
    assert guest.call(entry, "getuid").value == 0
    assert guest.call(entry, "dup2", 0, 50).value == 50


@pytest.mark.claim(10)
def test_seeking_in_a_pipe_is_espipe(guest, entry):
    said = guest.call(entry, "pipe", Buffer(8))
    reading = int.from_bytes(said.memory[0][:4], "little")
    assert said.value == 0
    assert guest.call(entry, "lseek", reading, 0, 0).errno == ESPIPE


@pytest.mark.claim(11)
@pytest.mark.entries("syscall")
@pytest.mark.parametrize("result", [-4096, -0x1000_0000, -0x7FFF_FFFF_FFFF_F000])
def test_a_result_below_the_range_is_no_error(guest, entry, result):
    memory = guest.call(entry, "open", b"/proc/self/mem\0", 0).value
    said = guest.call(entry, "lseek", memory, result, 0)
    assert said.value == result
    assert said.errno is None


@pytest.mark.claim(11)
@pytest.mark.entries("int80", "kernel_vsyscall", "sysenter", "syscall32")
def test_an_address_in_the_upper_half_is_no_error(guest, entry):
    upper = 0xBE00_0000 if guest.identity.arch.name == "i386" else 0xFE00_0000
    said = guest.call(entry, "mmap2", upper, 4096, 1, 0x32, -1, 0)
    assert said.value == upper - (1 << 32)
    assert said.errno is None


@pytest.mark.claim(11)
@pytest.mark.entries("syscall")
@pytest.mark.parametrize("result", [-1, -2, -EINTR, -4094, -4095])
def test_a_result_inside_the_range_looks_like_an_error(guest, entry, result):
    memory = guest.call(entry, "open", b"/proc/self/mem\0", 0).value
    said = guest.call(entry, "lseek", memory, result, 0)
    assert (said.value, said.errno) == (result, -result)


@pytest.mark.claim(11)
def test_a_process_group_as_owner_looks_like_an_error(guest, entry):
    group = guest.call(entry, "getpgrp").value
    assert guest.call(entry, "fcntl", 0, F_SETOWN, -group).value == 0
    assert guest.call(entry, "fcntl", 0, F_GETOWN).value == -group


@pytest.mark.claim(11)
def test_a_priority_is_moved_up_so_that_none_looks_like_an_error(guest, entry):
    for nice, shown in ((-20, 40), (0, 20), (19, 1)):
        assert guest.call(entry, "setpriority", 0, 0, nice).value == 0
        assert guest.call(entry, "getpriority", 0, 0).value == shown


@pytest.mark.claim(11)
@pytest.mark.claim(13)
@pytest.mark.entries("int80_64")
def test_a_32_bit_address_is_not_extended_like_an_error(guest, entry):
    said = guest.call(entry, "mmap2", 0xFE00_0000, 4096, 1, 0x32, -1, 0)
    assert (said.after["rax"], said.errno) == (0xFE00_0000, None)


@pytest.mark.claim(12)
def test_nobody_but_the_result_register_hears_of_an_error(guest, entry):
    said = guest.call(entry, "close", -1)
    assert said.errno == EBADF
    assert said.clobbered <= entry.may_clobber


@pytest.mark.claim(13)
@pytest.mark.entries("int80_64")
def test_a_32_bit_error_is_extended_to_the_whole_register(guest, entry):
    assert guest.call(entry, "close", -1).after["rax"] == (1 << 64) - EBADF
