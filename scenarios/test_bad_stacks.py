# SPDX-License-Identifier: Apache-2.0
"""Fast calls whose stack the kernel cannot read the sixth argument from.

The call answers EFAULT and comes back to the landing pad, which then faults on that very stack.

Source: arch/x86/entry/common.c do_fast_syscall_32; vdso32/system_call.S int80_landing_pad (6.1).
"""

from errno import EFAULT
from signal import SIGSEGV

import pytest

from harness.agent.ptrace import TRAP_STOP, Status
from harness.agent.puppet import INT3, start_puppet
from harness.landscape import EDGE, HOLE, READ_ONLY
from harness.pointers import bad_pointers, user_limit

pytestmark = pytest.mark.machine(append="pti=on")

POP_EBP_POP_EDX_POP_ECX_RET = 0xC3595A5D
INT80 = 0x80CD
OLD_UMASK, NEW_UMASK = 0o22, 0x33333333 & 0o777
PAGE_FAULT, IN_USER_MODE = 14, 4
GIVEN = {
    "ebx": 0x33333333,
    "ecx": 0x11111111,
    "edx": 0x22222222,
    "esi": 0x66666666,
    "edi": 0x77777777,
}
FAST = pytest.mark.entries("sysenter", "syscall32")


def ask(guest, entry, stack):
    return guest.probe(entry.abi, "bad_stack", entry.name == "syscall32", stack)


@FAST
@pytest.mark.claim(22)
@pytest.mark.claim(39)
def test_an_unreadable_stack_is_efault_at_the_landing_pad(guest, entry):
    stacks = [bad.address for bad in bad_pointers(entry, guest.identity.arch) if not bad.readable]
    limit = user_limit(entry, guest.identity.arch)
    for stack in {*stacks, limit, 0, 0xC000_0000, 0xFFFF_F000, 0xFFFF_FFFC}:
        seen = ask(guest, entry, stack)
        assert entry.abi.signed(seen["eax"]) == -EFAULT, f"result with a stack at {stack:#x}"
        assert seen["umask"] == OLD_UMASK, f"{stack:#x}: the call was made all the same"
        assert (seen["in_vdso"], seen["call_there"]) == (1, INT80), hex(stack)
        assert seen["code_there"] == POP_EBP_POP_EDX_POP_ECX_RET, hex(stack)
        assert (seen["signal"], seen["esp"], seen["address"]) == (SIGSEGV, stack, stack)
        assert {name: seen[name] for name in GIVEN} == GIVEN, hex(stack)


@FAST
@pytest.mark.claim(24)
@pytest.mark.claim(45)
@pytest.mark.parametrize("stack", [0, HOLE, 0xC000_0000, 0xFFFF_F000, 0xFFFF_FFFC], ids=hex)
def test_an_argument_that_could_not_be_read_is_zero(guest, entry, stack):
    assert ask(guest, entry, stack)["ebp"] == 0


@FAST
@pytest.mark.claim(22)
@pytest.mark.parametrize("fits", [1, 2, 3])
def test_a_stack_that_ends_within_the_argument_is_efault(guest, entry, fits):
    seen = ask(guest, entry, EDGE.end - fits)
    assert entry.abi.signed(seen["eax"]) == -EFAULT, "result"
    assert seen["code_there"] == POP_EBP_POP_EDX_POP_ECX_RET
    assert (seen["trap"], seen["error"] & ~1) == (PAGE_FAULT, IN_USER_MODE)
    assert (seen["esp"], seen["address"]) == (EDGE.end - fits, EDGE.end)


@FAST
@pytest.mark.claim(22)
@pytest.mark.claim(23)
def test_a_stack_that_ends_with_the_argument_will_do(guest, entry):
    seen = ask(guest, entry, EDGE.end - 4)
    assert (seen["eax"], seen["umask"]) == (OLD_UMASK, NEW_UMASK)
    assert (seen["ebp"], seen["esp"], seen["address"]) == (0, EDGE.end, EDGE.end)


@FAST
@pytest.mark.claim(23)
def test_a_stack_that_can_only_be_read_will_do(guest, entry):
    seen = ask(guest, entry, READ_ONLY.start)
    assert (seen["eax"], seen["umask"]) == (OLD_UMASK, NEW_UMASK)
    assert (seen["ebp"], seen["edx"], seen["ecx"], seen["esp"]) == (0, 0, 0, READ_ONLY.start + 16)
    assert (seen["signal"], seen["address"], seen["in_vdso"]) == (SIGSEGV, 0, 0)


STEP, PLAIN = 0x100, 0x200
FAST_CALL = {"sysenter": b"\x0f\x34", "syscall32": b"\x0f\x05"}


@FAST
@pytest.mark.parametrize("flags", [PLAIN, PLAIN | STEP], ids=["plain", "stepped"])
def test_a_call_that_steps_itself_is_efault_all_the_same(guest, entry, flags):
    """Whether the processor stops it at the kernel's entry first or not.

    Source: arch/x86/entry/entry_64_compat.S sysenter_fix_flags (6.1); tools/testing/selftests/x86/
    syscall_arg_fault.c.
    """
    with start_puppet(guest, entry.abi) as puppet:
        number = puppet.number(entry, "getppid")
        code = FAST_CALL[entry.name] + INT3
        puppet.send_to(code, ax=number, bp=HOLE, sp=HOLE, flags=flags)
        status = puppet.resume()
        if flags & STEP and status == TRAP_STOP:
            status = puppet.resume()
        assert status == Status.stopped(SIGSEGV)
        seen = puppet.registers()
        assert entry.abi.signed(seen["ax"] & entry.abi.mask) == -EFAULT
        assert (seen["sp"], seen["flags"] & STEP) == (HOLE, flags & STEP)
