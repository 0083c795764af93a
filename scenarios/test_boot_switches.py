# SPDX-License-Identifier: Apache-2.0
"""Switches of the kernel's command line that change what a program sees, or must not.

Source: Documentation/admin-guide/kernel-parameters.txt (6.1, 7.2); arch/x86/entry/vdso/vma.c
vdso_setup, vdso32-setup.c (6.1); arch/x86/entry/common.c ia32_emulation_override_cmdline (6.7);
arch/x86/kernel/cpu/common.c, `nofsgsbase` and `noxsave` (6.1).
"""

from errno import EBADF, EFAULT, ENOSYS
from os import O_RDONLY

import pytest

from harness.agent.about import AT_HWCAP2, AT_SYSINFO, AT_SYSINFO_EHDR
from harness.agent.arguments import Buffer
from harness.agent.code import place_code
from harness.agent.signals import Sending, deliver
from harness.entry import INT80_64, SYSCALL, entry_paths_of, function_path
from harness.errors import DeclarationError
from harness.landscape import HOLE

NO_VDSO = pytest.mark.machine(append="vdso=0 vdso32=0 vsyscall=emulate pti=on", arch="x86_64")
NO_VDSO_I386 = pytest.mark.machine(append="vdso=0", arch="i386")
NO_IA32 = pytest.mark.machine(append="ia32_emulation=off vsyscall=xonly", arch="x86_64")
UNPROTECTED = pytest.mark.machine(append="mitigations=off norandmaps tsc=unstable")
PLAIN_STATE = pytest.mark.machine(
    cpu="EPYC", append="noxsave nofsgsbase nosmap nosmep", arch="x86_64"
)
"""The first and the third are also what scenarios of the vsyscall page ask in, the fourth those of
a vDSO without a source of time."""

GENERAL_PROTECTION, INVALID_OPCODE = 13, 6
GATE_80 = {0x80 << 3 | 2, 0x80 << 4 | 2}
"""The error code that names gate 0x80. The second is QEMU's, which for long counted in bytes of the
64-bit table: target/i386/tcg/seg_helper.c do_interrupt64."""
RDFSBASE = b"\xf3\x48\x0f\xae\xc0\xc3"  # rdfsbase %rax; ret
XGETBV = b"\x31\xc9\x0f\x01\xd0\xc3"  # xor %ecx, %ecx; xgetbv; ret
RETCODE = 724
"""Where in struct sigframe_ia32 the code is."""
SYSENTER = b"\x0f\x34\xc3"
ARCH_SET_FS, ARCH_GET_FS = 0x1002, 0x1003
TIMES = {
    "gettimeofday": (Buffer(16), Buffer(8)),
    "time": (Buffer(8),),
    "clock_gettime": (1, Buffer(16)),
    "clock_getres": (0, Buffer(16)),
}


def without_vdso(test):
    return NO_VDSO(NO_VDSO_I386(test))


@without_vdso
@pytest.mark.claim(48)
def test_without_a_vdso_a_program_is_told_of_none(guest, abi):
    assert not guest.about(abi).auxv.keys() & {AT_SYSINFO, AT_SYSINFO_EHDR}
    pid = guest.call(entry_paths_of(abi)[0], "getpid").value
    assert b"[v" not in guest.read_file(f"/proc/{pid}/maps").replace(b"[vsyscall]", b"")


@without_vdso
@pytest.mark.claim(54)
@pytest.mark.parametrize("name", TIMES)
def test_without_a_vdso_ordinary_calls_tell_the_time(guest, abi, name):
    said = guest.call(entry_paths_of(abi)[0], name, *TIMES[name])
    assert said.signal is None
    assert said.value >= 0
    assert said.memory[0] != b"\xa5" * len(said.memory[0])


@without_vdso
@pytest.mark.entries("int80")
def test_without_a_vdso_a_handler_returns_to_code_in_its_frame(guest, entry):
    """Source: arch/x86/kernel/signal_32.c ia32_setup_frame (6.1)."""
    said = deliver(guest, entry, how=Sending(flags=0)).first
    assert hex(said.frame["restorer"]) == hex(said.at + RETCODE)


@without_vdso
@pytest.mark.entries("sysenter", "syscall32")
def test_without_a_vdso_a_fast_call_has_nowhere_to_come_back_to(guest, entry):
    said = guest.call(entry, "getppid")
    assert said.signal
    assert said.signal.name == "SIGSEGV"
    assert said.signal.address == said.after["ip"] < 0x10000
    assert said.after["eax"] == 1


@NO_IA32
@pytest.mark.needs(since="6.7")
def test_without_ia32_no_32_bit_program_is_started(guest):
    with pytest.raises(DeclarationError, match="Exec format error"):
        guest.execute(["/executor.i386"])


@NO_IA32
@pytest.mark.needs(since="6.7")
def test_without_ia32_int80_is_not_for_programs(guest):
    said = guest.call(INT80_64, "getpid")
    assert said.signal
    assert (said.signal.name, said.signal.trap) == ("SIGSEGV", GENERAL_PROTECTION)
    assert said.signal.error in GATE_80
    assert said.after["ip"] == guest.about(INT80_64.abi).landed["int80_64"] - 2
    assert said.clobbered == set()


@NO_IA32
@pytest.mark.needs(since="6.7")
@pytest.mark.abis("x86_64")
def test_without_ia32_sysenter_is_not_set_up(guest, abi):
    """In long mode only Intel's processors have it at all: AMD APM volume 3, SYSENTER."""
    said = guest.call(function_path(abi), place_code(guest, abi, SYSENTER))
    none = ("SIGILL", INVALID_OPCODE)
    assert said.signal
    seen = (said.signal.name, said.signal.trap)
    assert seen == (("SIGSEGV", GENERAL_PROTECTION) if guest.cpu.is_intel else none)


@NO_IA32
@pytest.mark.needs(since="6.7")
def test_without_ia32_syscall_is_as_ever(guest):
    said = guest.call(SYSCALL, "getppid")
    assert said.value == 1
    assert said.clobbered == SYSCALL.may_clobber


BATTERY = {
    "getppid": (("getppid",), 1, None),
    "close of nothing": (("close", -1), None, EBADF),
    "read to a hole": (("read", 0, HOLE, 16), None, EFAULT),
    "write from a hole": (("write", 1, HOLE, 16), None, EFAULT),
    "zeros": (("read", 0, Buffer(24), 16), 16, None),
    "no such call": ((0x7FFF,), None, ENOSYS),
    "no such call, negative": ((-1,), None, ENOSYS),
    "a file": (("open", b"/proc/version\0", O_RDONLY), 3, None),
    "its bytes": (("read", 3, Buffer(16), 14), 14, None),
}


@UNPROTECTED
@PLAIN_STATE
def test_calls_answer_as_ever(guest, entry):
    wrong = {}
    for name, (call, value, errno) in BATTERY.items():
        said = guest.call(entry, *call)
        right = said.errno == errno if errno else said.value == value
        flags = (said.before["flags"] ^ said.after["flags"]) & ~entry.may_change_flags
        if said.signal or not right or flags or not said.clobbered <= entry.may_clobber:
            wrong[name] = repr(said)
    assert wrong == {}


@UNPROTECTED
def test_calls_fill_memory_as_ever(guest, entry):
    assert guest.call(entry, "read", 0, Buffer(24), 16).memory == (bytes(16) + b"\xa5" * 8,)
    assert guest.call(entry, "open", b"/proc/version\0", O_RDONLY).value == 3
    assert guest.call(entry, "read", 3, Buffer(16), 14).memory == (b"Linux version " + b"\xa5" * 2,)


@UNPROTECTED
@pytest.mark.needs(arch="x86_64")
def test_switched_off_mitigations_are_off(guest):
    said = guest.read_file("/sys/devices/system/cpu/vulnerabilities/meltdown")
    assert said in (b"Vulnerable\n", b"Not affected\n")


@UNPROTECTED
def test_addresses_that_are_not_randomised_are_the_same_every_time(guest, abi):
    seen = guest.probe(abi, "vdso_places", 7)
    assert len({base for name, base in seen.items() if name.startswith("vdso")}) == 1
    assert len({at >> 12 for name, at in seen.items() if name.startswith("stack")}) == 1


@PLAIN_STATE
@pytest.mark.abis("x86_64")
@pytest.mark.parametrize("code", [RDFSBASE, XGETBV], ids=["rdfsbase", "xgetbv"])
def test_what_was_switched_off_is_an_invalid_instruction(guest, abi, code):
    said = guest.call(function_path(abi), place_code(guest, abi, code))
    assert said.signal
    assert (said.signal.name, said.signal.trap) == ("SIGILL", INVALID_OPCODE)
    assert guest.about(abi).auxv[AT_HWCAP2] == 0


@PLAIN_STATE
@pytest.mark.parametrize("base", [0, 0x2010_0000, 0x7FFF_0000_0000])
def test_without_fsgsbase_the_kernel_still_sets_segment_bases(guest, base):
    assert guest.call(SYSCALL, "arch_prctl", ARCH_SET_FS, base).value == 0
    said = guest.call(SYSCALL, "arch_prctl", ARCH_GET_FS, Buffer(16))
    assert said.memory[0] == base.to_bytes(8, "little") + b"\xa5" * 8
