# SPDX-License-Identifier: Apache-2.0
"""Errors that kernels once had at this boundary, one scenario each, by the name they are known by.

Source: the CVE records; the code that each scenario names is that of 6.1.
"""

import struct
from errno import EFAULT, EINVAL, ENODEV, ENOENT, ENOSYS
from functools import partial
from signal import SIGSEGV

import pytest

from harness.agent.arguments import Buffer
from harness.agent.filters import (
    ARCH,
    AUDIT_ARCH,
    NR,
    Action,
    answer,
    answer_where,
    install_filter,
)
from harness.agent.ptrace import CALL_STOP, DEBUG_REGISTERS, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import INSTRUCTIONS, INT3, start_puppet
from harness.agent.x32 import has_x32, x32_number
from harness.arch import I386, X86_64
from harness.entry import INT80_64, SYSCALL
from harness.landscape import EDGE, STACK_TOP
from harness.pointers import bad_pointers

HIGH_HALF = 0xFFFF_FFFF_0000_0000
FAST = ("sysenter", "syscall32")
COMPAT = ("int80", "int80_64", *FAST)
ALLOW = answer(Action.ALLOW)

pytestmark = pytest.mark.guest_only("it provokes what has brought kernels down")


@pytest.fixture
def puppet(guest, entry):
    """Give a process that is traced by one of the kernel's own ABI."""
    with start_puppet(guest, entry.abi) as puppet:
        yield puppet


@pytest.mark.needs(arch="x86_64")
@pytest.mark.entries(*COMPAT)
def test_cve_2007_4573_high_bits_of_rax_set_at_the_entry_do_not_reach_the_table(puppet, entry):
    """A 32-bit call's number is 32 bits: entry_64_compat.S."""
    number, seen = puppet.number(entry, "getppid"), {}
    for high in (1 << 32, 1 << 63, HIGH_HALF):
        puppet.prepare(entry, "getppid")
        puppet.resume(Request.SYSCALL)
        puppet.set_registers(orig_ax=high | number, ax=high | number)
        assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, TRAP_STOP]
        seen[high] = puppet.after()["ax"]
    assert seen == dict.fromkeys(seen, 1)


@pytest.mark.entries("int80_64")
def test_cve_2010_3301_high_bits_of_rax_at_int80_do_not_reach_the_table(guest, entry):
    """The number is eax, whatever lies above it: entry_64_compat.S."""
    number = guest.table(entry).number("getppid")
    seen = {
        high: guest.call(entry, number | high).value
        for high in (1 << 32, 1 << 35, 1 << 63, HIGH_HALF)
    }
    assert seen == dict.fromkeys(seen, 1)
    assert guest.call(entry, guest.table(entry).size | HIGH_HALF).errno == ENOSYS


@pytest.mark.entries("int80_64")
def test_cve_2009_2910_int80_from_64_bit_code_leaks_no_register_of_the_kernels(guest, entry):
    """r8 to r15 come back as they were, or as 0."""
    said = guest.call(entry, "getppid")
    names = [f"r{number}" for number in range(8, 16)]
    assert {n: said.after[n] for n in names if said.after[n] not in (0, said.before[n])} == {}


@pytest.mark.needs(arch="x86_64")
@pytest.mark.entries("int80", "int80_64")
def test_cve_2010_3081_a_stack_at_the_top_of_memory_lends_the_kernel_none(guest, entry):
    """compat_alloc_user_space took memory below esp, once unchecked; it went with 5.15."""
    stack_pointer, seen = entry.abi.registers[7], []
    for stack in (STACK_TOP, 0xFFFF_FFF0, 0xFFFF_E000, 0x10, 0):
        registers = {stack_pointer: stack}
        said = guest.call(entry, "get_mempolicy", 0, Buffer(136), 1025, 0, 0, **registers)
        if said.value == 0:
            assert said.memory[0] == bytes(128) + b"\xa5" * 8
        seen.append(said.errno)
    if set(seen) == {ENOSYS}:
        pytest.skip("this kernel is configured without memory policies")
    assert seen[0] is None
    assert set(seen) <= {None, EFAULT}


def test_cve_2017_5123_waitid_writes_to_no_address_of_the_kernels(guest, entry):
    """kernel/exit.c waitid: user_write_access_begin."""
    everybody, exited = 0, 4
    arch, seen = guest.identity.arch, {}
    for pointer in bad_pointers(entry, arch):
        if pointer.address:
            assert guest.call(entry, "fork").value > 0
            said = guest.call(entry, "waitid", everybody, 0, pointer.address, exited, 0)
            seen[pointer.name] = said.errno
    assert seen == dict.fromkeys(seen, EFAULT)


@pytest.mark.entries(*FAST)
def test_cve_2014_4508_a_number_out_of_range_on_the_slow_way_is_enosys(guest, puppet, entry):
    """entry_32.S went to the wrong label when somebody watched."""
    seen = {}
    numbers = (guest.table(entry).size, 1000, 0x7FFF_FFFF, -2)
    for number in numbers:
        puppet.prepare(entry, number)
        assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, CALL_STOP, TRAP_STOP]
        seen["traced", number] = entry.abi.signed(puppet.after()["ax"])
    assert install_filter(guest, entry, ALLOW).value == 0
    for number in numbers:
        seen["filtered", number] = guest.call(entry, number).value
    assert seen == dict.fromkeys(seen, -ENOSYS)


@pytest.mark.needs(arch="x86_64")
@pytest.mark.entries("syscall", "int80_64")
@pytest.mark.parametrize("address", [1 << 47, 1 << 63, 0xFFFF_7FFF_FFFF_FFFF])
def test_cve_2014_4699_a_return_to_no_address_is_a_signal(guest, puppet, entry, address):
    """Also CVE-2012-0217: entry_64.S takes IRET where SYSRET would fault in the kernel."""
    if guest.identity.accelerator == "tcg":
        pytest.skip("TCG does not fault a return to an address that is none; a processor does")
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    puppet.resume(Request.SYSCALL)
    puppet.set_registers(ip=address)
    assert puppet.resume() == Status.stopped(SIGSEGV)


ALIGNMENT, NESTED, IDENTIFICATION, DIRECTION = 0x40000, 0x4000, 0x200000, 0x400
INTERRUPTS, ALWAYS_ONE = 0x200, 0x2


@pytest.mark.entries(*("int80", "sysenter", "syscall32", "syscall"))
def test_cve_2006_5755_flags_of_one_program_are_not_anothers(guest, puppet, entry):
    """Also CVE-2006-5173. Source: switch_to_asm, __switch_to."""
    for flag in (ALIGNMENT, NESTED, IDENTIFICATION, DIRECTION):
        puppet.prepare(entry, "sched_yield", flags=0x202 | flag)
        assert puppet.resume() == TRAP_STOP
        assert puppet.after()["flags"] & flag
        said = guest.call(entry, "sched_yield")
        leaked = (said.after["flags"] ^ said.before["flags"]) & ~entry.may_change_flags
        assert hex(leaked) == "0x0"


@pytest.mark.entries("int80", "syscall")
def test_cve_2006_5755_a_new_program_starts_with_clean_flags(puppet, entry):
    flags = 0x202 | ALIGNMENT | NESTED | DIRECTION | 0x8D5
    puppet.prepare_exec(entry, flags=flags)
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.registers()["flags"] & ~ALWAYS_ONE == INTERRUPTS


@pytest.mark.entries("int80_64")
def test_cve_2009_0835_a_filter_of_64_bit_calls_does_not_take_int80_for_one(puppet, entry):
    """syscall_get_arch: TS_COMPAT."""
    errors = {INT80_64: 71, SYSCALL: 72}
    code = b"".join(
        answer_where(
            {ARCH: AUDIT_ARCH[path.table], NR: puppet.number(path, "getppid")}, Action.ERRNO + error
        )
        for path, error in errors.items()
    )
    assert puppet.install_filter(entry, code + ALLOW) == 0
    seen = {path.name: puppet.call(path, "getppid") for path in errors}
    assert seen == {path.name: -error for path, error in errors.items()}


@pytest.mark.entries("int80_64")
def test_cve_2015_2830_a_child_made_by_int80_makes_64_bit_calls(guest, entry):
    """TS_COMPAT once stayed set in the child of a fork by int80: entry_64.S ret_from_fork."""
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as puppet:
        code = answer_where({ARCH: AUDIT_ARCH[I386]}, Action.ERRNO + 71) + ALLOW
        child = puppet.fork(entry)
        assert child.resume() == TRAP_STOP
        assert child.install_filter(SYSCALL, code) == 0
        assert child.call(SYSCALL, "getppid") == puppet.pid
        assert child.call(entry, "getppid") == -71
        child.kill()


MOV_SS = {"i386": b"\x8e\x15", "x86_64": b"\x8e\x14\x25"}
READ_OR_WRITE_1 = 0x30001


@pytest.mark.entries(*INSTRUCTIONS)
def test_cve_2018_8897_a_trap_held_back_by_mov_ss_is_no_more_than_a_trap(puppet, entry):
    """The #DB then comes at the kernel's first instruction: entry_64.S, idt.c def_idts."""
    word, stage = puppet.view.bits // 8, puppet.strings.stage
    watched = stage + 0x100
    puppet.write(watched, struct.pack("<H", puppet.home["ss"]))
    for number, value in ((0, watched), (7, READ_OR_WRITE_1)):
        at = DEBUG_REGISTERS[puppet.view] + number * word
        assert puppet.ptrace(Request.POKEUSER, at, value).value == 0
    code = MOV_SS[puppet.abi.name] + watched.to_bytes(4, "little") + INSTRUCTIONS[entry.name]
    puppet.send_to(code + INT3, ax=puppet.number(entry, "getppid"))
    end = stage + len(code) + 1
    for _ in range(3):
        assert puppet.resume() == TRAP_STOP
        if puppet.registers()["ip"] == end:
            break
    seen = puppet.registers()
    assert (seen["ip"], seen["ax"], seen["ss"]) == (end, 1, puppet.home["ss"])


@pytest.fixture
def x32(guest):
    """Give numbers of x32 by the names of its calls, where the kernel has it."""
    if not has_x32(guest):
        pytest.skip("the kernel is configured without x32")
    return partial(x32_number, guest)


@pytest.mark.entries("syscall")
@pytest.mark.machine(append="syscall.x32=y vsyscall=none", arch="x86_64")
def test_cve_2014_0038_recvmmsg_of_x32_takes_no_timeout_of_the_kernels(guest, entry, x32):
    """net/socket.c __sys_recvmmsg: the timeout is copied, not followed."""
    fds = guest.call(entry, "socketpair", 1, 2, 0, Buffer(8))
    first, second = struct.unpack("<II", fds.memory[0])
    assert guest.call(entry, "write", first, b"x", 1).value == 1
    seen = {}
    for address in (0xFFFF_8880_0010_0000, 0xFFFF_FFFF_8100_0000, 0x8000_0000_0000):
        said = guest.call(entry, x32("recvmmsg"), second, bytes(64), 1, 0x40, address)
        seen[hex(address)] = said.errno
    assert seen == dict.fromkeys(seen, EFAULT)


@pytest.mark.entries("syscall")
@pytest.mark.machine(append="syscall.x32=y vsyscall=none", arch="x86_64")
def test_cve_2009_0835_a_filter_is_told_the_bit_of_x32(guest, entry, x32):
    """An x32 call has the 64-bit architecture, and its bit in the number."""
    assert guest.call(entry, x32("getppid")).value == 1
    right = {ARCH: AUDIT_ARCH[X86_64], NR: x32("getppid")}
    code = answer_where(right, Action.ERRNO + 77) + ALLOW
    assert install_filter(guest, entry, code).value == 0
    assert guest.call(entry, x32("getppid")).errno == 77
    assert guest.call(entry, "getppid").value == 1


def test_cve_2008_2729_nothing_is_taken_from_behind_a_fault(guest, entry):
    """Also CVE-2016-9178: what a copy did not get is neither old data nor more than there was."""
    pipe = guest.call(entry, "pipe", Buffer(8)).memory[0]
    reader, writer = struct.unpack("<II", pipe)
    seen = {}
    for fits in (8, 16, 24, 64, 72):
        text = bytes(range(0x30, 0x30 + fits))
        guest.write(entry.abi, EDGE.end - fits, text)
        wrote = guest.call(entry, "write", writer, EDGE.end - fits, 128)
        taken = 0
        if wrote.value > 0:
            got = guest.call(entry, "read", reader, Buffer(160), wrote.value)
            taken = got.memory[0][: wrote.value]
            assert taken == text[: wrote.value]
            assert got.memory[0][wrote.value :] == b"\xa5" * (160 - wrote.value)
        seen[fits] = wrote.errno in (None, EFAULT) and wrote.value <= fits
    assert seen == dict.fromkeys(seen, True)


def elf_of(abi, interpreter):
    """Return a program of `abi` that wants an interpreter, and has nothing else."""
    wide = abi is not I386
    sizes = (64, 56) if wide else (52, 32)
    machine, word = (62, "Q") if wide else (3, "I")
    identity = b"\x7fELF" + bytes([1 + wide, 1, 1]) + bytes(9)
    header = identity + struct.pack(
        f"<HHI{word}{word}{word}IHHHHHH",
        *(2, machine, 1, 0x400000, sizes[0], 0, 0, *sizes, 1, 0, 0, 0),
    )
    at, length = sum(sizes), len(interpreter)
    fields = (at, 0x400000 + at, 0, length, length)
    segment = (
        struct.pack("<IIQQQQQQ", 3, 4, *fields, 1)
        if wide
        else struct.pack("<IIIIIIII", 3, *fields, 4, 1)
    )
    return header + segment + interpreter


@pytest.mark.needs(arch="x86_64")
@pytest.mark.entries("int80", "syscall")
def test_cve_2010_0307_a_failed_exec_of_the_other_width_changes_nothing(guest, entry):
    """fs/binfmt_elf.c: the interpreter is looked for before the point of no return."""
    (other,) = (abi for abi in guest.identity.arch.abis if abi is not entry.abi)
    guest.write_file("/no-interpreter", elf_of(other, b"/no/such/interpreter\0"), mode=0o755)
    get_personality = 0xFFFF_FFFF
    before = guest.call(entry, "personality", get_personality).value
    assert guest.call(entry, "execve", b"/no-interpreter\0", 0, 0).errno == ENOENT
    assert guest.call(entry, "personality", get_personality).value == before
    assert guest.call(entry, "getppid").value == 1
    name, high = ("mmap2", 0xF000_0000) if entry.abi is I386 else ("mmap", 0x7000_0000_0000)
    at = guest.call(entry, name, high, 4096, 3, 0x22, -1, 0)
    assert at.after[entry.number] == high
    past = {"mmap2": 0xFFFF_F000, "mmap": 0x7FFF_FFFF_F000}[name]
    refused = guest.call(entry, name, past, 4096, 3, 0x32, -1, 0)
    assert refused.errno == 12


NT_X86_SHSTK = 0x204


@pytest.mark.entries("int80", "syscall")
def test_cve_2025_21632_the_shadow_stack_of_a_task_without_one_is_not_there(puppet):
    """arch/x86/kernel/fpu/regset.c ssp_get, ssp_active (6.13); there is no such set before 6.6."""
    said = puppet.regset(Request.GETREGSET, NT_X86_SHSTK, Buffer(8), 8)
    assert said.errno in (ENODEV, EINVAL)
    assert said.content == b"\xa5" * 8
