# SPDX-License-Identifier: Apache-2.0
"""The shared object that the kernel maps into every process.

Source: arch/x86/entry/vdso/vdso.lds.S, vdso32/vdso32.lds.S, vdso32/sigreturn.S, vma.c (6.1);
vdso64.lds.S (7.2).
"""

from errno import EACCES, EEXIST, EIO
from functools import partial, reduce
from operator import or_

import pytest

from harness.agent.about import AT_SYSINFO, AT_SYSINFO_EHDR
from harness.agent.arguments import Buffer
from harness.agent.calls import Call
from harness.agent.clocks import Clocks
from harness.agent.maps import read_maps
from harness.agent.program import Program
from harness.agent.vdso import read_vdso
from harness.entry import SYSCALL, entry_paths_of, function_path

FUNCTIONS_32 = {
    *("__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"),
    *("__vdso_clock_getres", "__vdso_clock_gettime64"),
}
FUNCTIONS_64 = FUNCTIONS_32 - {"__vdso_clock_gettime64"} | {"__vdso_getcpu"}
ALIASES_64 = {name.removeprefix("__vdso_") for name in FUNCTIONS_64}
LANDINGS_32 = {"__kernel_vsyscall", "__kernel_sigreturn", "__kernel_rt_sigreturn"}
LATER = {
    *("__vdso_sgx_enter_enclave", "__vdso_getrandom", "getrandom", "__vdso_clock_getres_time64"),
    *("__vdso_futex_robust_list32_try_unlock", "__vdso_futex_robust_list64_try_unlock"),
}
"""Of 5.11, 6.11, 7.0 and 7.2, as far as the configuration has them."""
TRAMPOLINES = {
    "__kernel_sigreturn": "58 b8 77 00 00 00 cd 80",  # pop %eax; mov $119, %eax; int $0x80
    "__kernel_rt_sigreturn": "b8 ad 00 00 00 cd 80",  # mov $173, %eax; int $0x80
}
"""Unwinders know them by their bytes. Source: vdso32/sigreturn.S, its WARNING (7.2)."""

READ, WRITE, EXECUTE = 1, 2, 4
MOVE = 3  # MREMAP_MAYMOVE | MREMAP_FIXED
ELSEWHERE = 0x2E00_0000
ARCH_MAP_VDSO_64 = 0x2003
PLACES = 40
"""How often a program is started to see where its vDSO is."""


@pytest.fixture
def vdso(guest, abi):
    """Give the image as it lies in the executor's memory."""
    return read_vdso(guest, abi)


@pytest.fixture
def entry_point(abi):
    """Give the ABI's plainest way into the kernel."""
    return entry_paths_of(abi)[0]


def mappings(guest, vdso):
    """Return start, end and rights of what the kernel has mapped for the executor, by name."""
    maps = read_maps(guest, vdso.pid)
    return {one.name: one[:3] for one in maps if one.name.startswith(("[vdso", "[vvar"))}


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
    assert vdso.exports["LINUX_2.6"] >= FUNCTIONS_32
    assert vdso.exports["LINUX_2.5"] == LANDINGS_32


@pytest.mark.claim(50)
@pytest.mark.abis("x86_64")
def test_the_64_bit_one_exports_its_clocks_and_getcpu(vdso):
    assert vdso.exports["LINUX_2.6"] >= FUNCTIONS_64 | ALIASES_64


def test_it_exports_nothing_else_but_what_came_later(vdso, abi):
    known = {"i386": FUNCTIONS_32 | {"__vdso_getcpu"}, "x86_64": FUNCTIONS_64 | ALIASES_64}
    assert vdso.exports["LINUX_2.6"] - known[abi.name] <= LATER


@pytest.mark.abis("x86_64")
def test_a_short_name_is_the_same_function(vdso):
    named = {name: vdso.function(name) for name in FUNCTIONS_64}
    assert named == {name: vdso.function(name.removeprefix("__vdso_")) for name in FUNCTIONS_64}


@pytest.mark.abis("i386")
@pytest.mark.parametrize("name", TRAMPOLINES)
def test_a_signal_returns_through_well_known_bytes(vdso, name):
    expected = bytes.fromhex(TRAMPOLINES[name])
    assert vdso.code(name, "LINUX_2.5")[: len(expected)] == expected


@pytest.mark.claim(48)
def test_it_may_be_read_and_executed_and_not_written(guest, abi, vdso):
    assert mappings(guest, vdso)["[vdso]"] == (vdso.base, vdso.base + vdso.size_bytes, "r-xp")
    program = Program()
    program.write(vdso.base, b"\0")
    assert guest.run(abi, program) == [1], "a program wrote to it"


def test_its_data_lie_before_it_and_may_only_be_read(guest, vdso):
    seen = mappings(guest, vdso)
    *data, code = sorted(seen.values())
    assert code == seen["[vdso]"]
    assert {protection for _, _, protection in data} == {"r--p"}
    assert [end for _, end, _ in data] == [start for start, _, _ in (*data[1:], code)]


@pytest.mark.parametrize("protection", [WRITE, EXECUTE, WRITE | EXECUTE])
def test_its_data_cannot_be_made_writable_or_code(guest, entry_point, vdso, protection):
    start, end, _ = mappings(guest, vdso)["[vvar]"]
    said = guest.call(entry_point, "mprotect", start, end - start, READ | protection)
    assert said.errno == EACCES


@pytest.fixture
def own_memory(guest, entry_point):
    """Give a descriptor of the executor's memory."""
    return guest.call(entry_point, "open", b"/proc/self/mem\0", 0).value


def at(abi, address):
    """Return the arguments that an offset in a file takes."""
    return (address,) if abi.bits == 64 else (address & 0xFFFF_FFFF, 0)


def test_a_debugger_reads_what_the_program_reads(guest, abi, entry_point, vdso, own_memory):
    size = vdso.size_bytes
    said = guest.call(entry_point, "pread64", own_memory, Buffer(size), size, *at(abi, vdso.base))
    assert said.value == size
    assert said.memory[0] == guest.read(abi, vdso.base, size)


def test_what_a_process_writes_to_its_own_is_seen_by_no_other(guest, abi, entry_point, vdso):
    original = guest.read(abi, vdso.base, 16)
    protect = partial(guest.call, entry_point, "mprotect", vdso.base, vdso.size_bytes)
    assert protect(READ | WRITE | EXECUTE).value == 0
    guest.write(abi, vdso.base + 7, b"\xcc")
    assert guest.read(abi, vdso.base, 16) == original[:7] + b"\xcc" + original[8:]
    guest.renew()
    assert guest.read(abi, read_vdso(guest, abi).base, 16) == original


def test_its_data_are_not_for_debuggers(guest, abi, entry_point, vdso, own_memory):
    start, _, _ = mappings(guest, vdso)["[vvar]"]
    said = guest.call(entry_point, "pread64", own_memory, Buffer(16), 16, *at(abi, start))
    assert said.errno == EIO


def test_its_functions_work_where_it_and_its_data_are_moved_to(guest, abi, entry_point, vdso):
    clocks, seen = Clocks(guest, abi), mappings(guest, vdso)
    move = ELSEWHERE - min(start for start, _, _ in seen.values())
    for start, end, _ in seen.values():
        size = end - start
        said = guest.call(entry_point, "mremap", start, size, size, MOVE, start + move)
        assert said.after[entry_point.number] == start + move
    pair = clocks.times[-1]
    moved = vdso.function(pair.function) + move
    said = clocks.ask(
        clocks.caller(1),
        lambda slot: Call.of(function_path(abi), moved, (1, slot), "moved clock_gettime"),
        clocks.caller(1),
    )
    times = [answer.time(pair.layout) for answer in said]
    assert said[1].value == 0
    assert times == sorted(times)


@pytest.mark.abis("x86_64")
@pytest.mark.parametrize("last", ["[vdso]", "[vvar]"])
def test_there_is_one_at_a_time(guest, abi, vdso, last):
    if guest.call(SYSCALL, "access", b"/proc/self/timers\0", 0).errno:
        pytest.skip("the kernel is configured without CONFIG_CHECKPOINT_RESTORE")
    remap = partial(guest.call, SYSCALL, "arch_prctl", ARCH_MAP_VDSO_64, ELSEWHERE)
    assert remap().errno == EEXIST
    parts = mappings(guest, vdso)
    for start, end, _ in (*(parts[name] for name in parts if name != last), parts[last]):
        assert remap().errno == EEXIST, f"although {last} of the first is there"
        assert guest.call(SYSCALL, "munmap", start, end - start).value == 0
    assert remap().value == vdso.size_bytes
    seen = mappings(guest, vdso)
    assert min(start for start, _, _ in seen.values()) == ELSEWHERE
    gettime = vdso.function("__vdso_clock_gettime") - vdso.base + seen["[vdso]"][0]
    said = guest.call(function_path(abi), gettime, 1, Buffer(16))
    assert (said.signal, said.value) == (None, 0)


@pytest.mark.abis("i386")
@pytest.mark.parametrize("moved", [0, 1], ids=["in place", "moved"])
@pytest.mark.parametrize("siginfo", [0, 1], ids=["plain", "siginfo"])
def test_a_handler_without_restorer_returns_to_a_trampoline(guest, abi, vdso, siginfo, moved):
    seen = guest.probe(abi, "vdso_sigreturn", siginfo, moved and vdso.size_bytes)
    name = ("__kernel_sigreturn", "__kernel_rt_sigreturn")[siginfo]
    offset = vdso.address(name, "LINUX_2.5") - vdso.base
    assert seen["base"] == (0x3000_0000 if moved else seen["ehdr"])
    assert seen["returns_to"] - seen["base"] == offset
    assert (seen["handled"], seen["result"]) == (1, 0)


@pytest.fixture
def places(guest, abi):
    """Give where the vDSO and the stack of a program are, each time that it is started."""
    seen = guest.probe(abi, "vdso_places", PLACES - 1)
    return [(seen[f"vdso_{n:02x}"], seen[f"stack_{n:02x}"]) for n in range(PLACES)]


@pytest.mark.claim(52)
def test_its_address_changes_from_process_to_process(places, abi):
    bases = [base for base, _ in places]
    varied = reduce(or_, (base ^ bases[0] for base in bases))
    assert varied & 0xFFF == 0
    assert varied.bit_count() >= {"i386": 8, "x86_64": 12}[abi.name], hex(varied)
    assert len(set(bases)) > PLACES * 3 // 4


@pytest.mark.abis("x86_64")
def test_the_stacks_address_does_not_give_its_away(places):
    distances = {(base >> 12) - (stack >> 12) for base, stack in places}
    assert len(distances) > PLACES // 2, "always near the same place (CVE-2014-9585)"


@pytest.mark.pristine
def test_its_address_is_fixed_where_addresses_are_not_randomised(guest, abi):
    guest.write_file("/proc/sys/kernel/randomize_va_space", b"0")
    seen = guest.probe(abi, "vdso_places", 7)
    assert len({base for name, base in seen.items() if name.startswith("vdso")}) == 1


@pytest.mark.needs(arch="x86_64")
@pytest.mark.abis("i386")
@pytest.mark.pristine
def test_the_32_bit_one_can_be_switched_off_at_run_time(guest, abi):
    guest.write_file("/proc/sys/abi/vsyscall32", b"0")
    guest.renew()
    assert not guest.about(abi).auxv.keys() & {AT_SYSINFO, AT_SYSINFO_EHDR}
    guest.write_file("/proc/sys/abi/vsyscall32", b"1")
    guest.renew()
    assert guest.about(abi).auxv.keys() >= {AT_SYSINFO, AT_SYSINFO_EHDR}


@pytest.mark.claim(53)
def test_its_gettimeofday_agrees_with_the_call_and_never_goes_back(guest, abi):
    seen = guest.probe(abi, "vdso_gettimeofday")
    assert seen["found"] == 1
    assert (seen["failed"], seen["backwards"]) == (0, 0)
    assert (seen["before_the_call"], seen["after_the_call"]) == (0, 0)
    assert seen["elapsed_us"] > 0
