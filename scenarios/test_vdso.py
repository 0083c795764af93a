# SPDX-License-Identifier: Apache-2.0
"""The shared object that the kernel maps into every process.

Source: arch/x86/entry/vdso/vdso.lds.S, vdso32/vdso32.lds.S, vma.c (6.1).
"""

import pytest

from harness.agent.about import AT_SYSINFO
from harness.agent.vdso import read_vdso

FUNCTIONS_32 = (
    *("__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"),
    *("__vdso_clock_getres", "__vdso_clock_gettime64"),
)
FUNCTIONS_64 = (*FUNCTIONS_32[:4], "__vdso_getcpu")
LANDINGS_32 = ("__kernel_vsyscall", "__kernel_sigreturn", "__kernel_rt_sigreturn")


@pytest.fixture
def vdso(guest, abi):
    """Give the image as it lies in the executor's memory."""
    return read_vdso(guest, abi)


@pytest.mark.claim(48)
def test_it_is_a_shared_object_for_its_abi(vdso, abi):
    assert vdso.elf["e_type"] == "ET_DYN"
    assert vdso.elf["e_machine"] == abi.elf_machine
    assert vdso.soname == {"i386": "linux-gate.so.1", "x86_64": "linux-vdso.so.1"}[abi.name]


@pytest.mark.claim(49)
@pytest.mark.abis("i386")
def test_at_sysinfo_is_its_entry_point(guest, abi, vdso):
    entry_point = vdso.base + vdso.elf["e_entry"]
    assert guest.about(abi).auxv[AT_SYSINFO] == entry_point
    assert vdso.address("__kernel_vsyscall", "LINUX_2.5") == entry_point
    assert vdso.base < entry_point < vdso.base + vdso.size_bytes


@pytest.mark.claim(50)
@pytest.mark.abis("i386")
def test_it_exports_what_textbooks_list(vdso):
    for name in FUNCTIONS_32:
        assert vdso.address(name, "LINUX_2.6"), name
    for name in LANDINGS_32:
        assert vdso.address(name, "LINUX_2.5"), name


@pytest.mark.claim(50)
@pytest.mark.abis("x86_64")
def test_the_64_bit_one_exports_its_clocks(vdso):
    for name in FUNCTIONS_64:
        assert vdso.address(name, "LINUX_2.6"), name


@pytest.mark.claim(48)
def test_it_may_be_read_and_executed_and_not_written(guest, vdso):
    maps = guest.read_file(f"/proc/{vdso.pid}/maps").decode().splitlines()
    (line,) = (line.split() for line in maps if line.endswith("[vdso]"))
    assert line[:2] == [f"{vdso.base:08x}-{vdso.base + vdso.size_bytes:08x}", "r-xp"]


@pytest.mark.claim(53)
def test_its_gettimeofday_agrees_with_the_call_and_never_goes_back(guest, abi):
    seen = guest.probe(abi, "vdso_gettimeofday")
    assert seen["found"] == 1
    assert (seen["failed"], seen["backwards"]) == (0, 0)
    assert (seen["before_the_call"], seen["after_the_call"]) == (0, 0)
    assert seen["elapsed_us"] > 0
