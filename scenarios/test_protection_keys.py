# SPDX-License-Identifier: Apache-2.0
"""Protection keys: what a key denies, how the denial is told, and whose the register is.

Source: arch/x86/mm/fault.c bad_area_access_error; kernel/signal.c force_sig_pkuerr, copy_siginfo;
arch/x86/kernel/fpu/signal.c copy_fpstate_to_sigframe, core.c fpu__clear_user_states;
arch/x86/mm/pkeys.c init_pkru_value (6.1); man 7 pkeys.
"""

import struct
from errno import EFAULT, EINVAL, ENOSPC
from functools import partial
from signal import SIGSEGV, SIGUSR1

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import INSTRUCTIONS, INT3, start_puppet
from harness.agent.signals import SA_NODEFER, SA_ONSTACK, SA_RESTORER, SA_SIGINFO
from harness.agent.structures import ACTION
from harness.arch import I386
from harness.cpu import read_features

pytestmark = pytest.mark.machine(cpu="EPYC,+pku,+umip", arch="x86_64")

DENY_ACCESS, DENY_WRITE = 1, 2
READ_WRITE, EXECUTE, ALL = 3, 4, 7
SEGV_PKUERR = 4
AT_START = 0x5555_5554
"""What a program and each of its handlers start with: no key but the first gives access."""
OWN = 0x24
PAGE = 0x2000
ADDRESS, TOLD_KEY = 16, 32
"""Where a 64-bit tracer finds them in siginfo."""
READ, WRITE = bytes.fromhex("8a03"), bytes.fromhex("8803")  # mov (%ebx), %al; mov %al, (%ebx)
RDPKRU = bytes.fromhex("31c9 0f01ee")  # xor %ecx, %ecx; rdpkru
WRPKRU, RETURN = bytes.fromhex("0f01ef"), b"\xc3"


@pytest.fixture(autouse=True)
def _keys(guest):
    """Skip where there are no keys."""
    if "ospke" not in read_features(guest.read_file("/proc/cpuinfo")):
        pytest.skip("no protection keys on this processor, or not for this kernel")


@pytest.fixture
def puppet(guest, abi):
    """Give a process of `abi` that is traced by one of the kernel's own."""
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, abi, options=options) as puppet:
        yield puppet


def protect(puppet, rights):
    """Give a page a key with these rights denied, and return the page and the key."""
    page = puppet.strings.stage + PAGE
    key = puppet.call(puppet.own_entry, "pkey_alloc", 0, rights)
    assert key > 0
    said = puppet.call(puppet.own_entry, "pkey_mprotect", page, 4096, READ_WRITE, key)
    assert said == 0
    return page, key


def test_a_denied_access_is_told_with_its_key(puppet):
    denied = {DENY_ACCESS: READ, DENY_WRITE: WRITE}
    for number, (rights, code) in enumerate(denied.items(), start=1):
        page, key = protect(puppet, rights)
        assert key == number
        puppet.send_to(code + INT3, bx=page + 5)
        assert puppet.resume() == Status.stopped(SIGSEGV)
        info = puppet.siginfo_bytes()
        (address,) = struct.unpack_from("<Q", info, ADDRESS)
        (told,) = struct.unpack_from("<I", info, TOLD_KEY)
        assert (puppet.siginfo(), hex(address)) == ((SIGSEGV, 0, SEGV_PKUERR), hex(page + 5))
        assert told == key, "the key that siginfo tells"
        puppet.go_home()


def test_what_a_key_leaves_is_allowed(puppet):
    page, _ = protect(puppet, DENY_WRITE)
    puppet.send_to(READ + INT3, bx=page)
    assert puppet.resume() == TRAP_STOP
    puppet.go_home()
    assert puppet.call(puppet.own_entry, "pkey_alloc", 0, 4) == -EINVAL, "no such right"
    assert puppet.call(puppet.own_entry, "pkey_alloc", 1, 0) == -EINVAL, "no such flag"
    assert puppet.call(puppet.own_entry, "pkey_free", 2) == -EINVAL, "never given out"


def test_a_key_denies_the_kernels_own_access_too(puppet):
    page, _ = protect(puppet, DENY_ACCESS)
    assert puppet.call(puppet.own_entry, "uname", page) == -EFAULT
    assert puppet.call(puppet.own_entry, "chdir", page) == -EFAULT


def test_a_handler_has_the_register_of_a_new_program_and_gives_back_the_old(puppet):
    stage = puppet.strings.stage
    handler, restorer, action = stage + 0x100, stage + 0x140, stage + 0x180
    call = "b8ad000000 cd80" if puppet.abi is I386 else "b80f000000 0f05"  # rt_sigreturn
    places = {handler: RDPKRU + INT3 + RETURN, restorer: bytes.fromhex(call)}
    fields = {"handler": handler, "restorer": restorer}
    places[action] = ACTION[puppet.abi.name].encode(**fields, flags=SA_RESTORER | SA_SIGINFO)
    for place, content in places.items():
        puppet.write(place, content)
    assert puppet.call(puppet.own_entry, "rt_sigaction", SIGUSR1, action, 0, 8) == 0
    puppet.send_to(RDPKRU + INT3 + WRPKRU + INT3 + RDPKRU + INT3, dx=0)
    assert puppet.resume() == TRAP_STOP
    seen = {"at its start": puppet.registers()["ax"]}
    puppet.set_registers(ax=OWN, cx=0, dx=0)
    assert puppet.resume() == TRAP_STOP
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    for when, by_signal in (("in the handler", SIGUSR1), ("afterwards", 0)):
        assert puppet.resume(by_signal=by_signal) == TRAP_STOP
        seen[when] = puppet.registers()["ax"]
    assert seen == {"at its start": AT_START, "in the handler": AT_START, "afterwards": OWN}


def have_own_rights(puppet):
    """Have it set its register, and go home."""
    puppet.send_to(WRPKRU + INT3, ax=OWN, cx=0, dx=0)
    assert puppet.resume() == TRAP_STOP
    puppet.go_home()


def test_a_child_has_its_parents_register(puppet):
    """Source: arch/x86/kernel/process.c copy_thread (6.1)."""
    entry = puppet.own_entry
    load = b"\xb8" + puppet.number(entry, "fork").to_bytes(4, "little")  # mov $number, %eax
    both = WRPKRU + load + INSTRUCTIONS[entry.name] + RDPKRU + INT3
    puppet.send_to(both, ax=OWN, cx=0, dx=0)
    puppet.resume()
    child = puppet.follow_child()
    assert child.resume() == TRAP_STOP
    seen = child.registers()["ax"]
    child.kill()
    assert hex(seen) == hex(OWN)


def test_a_new_program_has_nothing_of_the_old_ones_register(puppet):
    """Source: arch/x86/kernel/process.c pkru_flush_thread (6.1)."""
    have_own_rights(puppet)
    puppet.prepare_exec()
    assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP, CALL_STOP]
    code = int.from_bytes((RDPKRU + INT3).ljust(8, INT3), "little")
    assert puppet.ptrace(Request.POKETEXT, puppet.registers()["ip"], code).value == 0
    assert puppet.resume() == TRAP_STOP
    assert hex(puppet.registers()["ax"]) == hex(AT_START)


MOST_KEYS, DEFAULT = 16, -1
"""How many there are, of which the first is everybody's; and what is no key and yet allowed."""


def test_fifteen_keys_are_given_out_and_taken_back(puppet):
    """Source: arch/x86/include/asm/pkeys.h mm_pkey_alloc, mm_pkey_is_allocated (6.1)."""
    call, page = partial(puppet.call, puppet.own_entry), puppet.strings.stage + PAGE
    given = [call("pkey_alloc", 0, 0) for _ in range(MOST_KEYS)]
    assert given == [*range(1, MOST_KEYS), -ENOSPC]
    assert [call("pkey_free", 7), call("pkey_free", 7)] == [0, -EINVAL]
    protections = {7: -EINVAL, MOST_KEYS: -EINVAL, -2: -EINVAL, DEFAULT: 0, 0: 0, 15: 0}
    seen = {key: call("pkey_mprotect", page, 4096, READ_WRITE, key) for key in protections}
    assert seen == protections
    assert [call("pkey_free", key) for key in (MOST_KEYS, -1)] == [-EINVAL] * 2
    assert [call("pkey_alloc", 0, 0), call("pkey_alloc", 0, 0)] == [7, -ENOSPC]


def test_no_key_denies_execution(puppet):
    puppet.write(puppet.strings.stage + PAGE, INT3)
    page, key = protect(puppet, DENY_ACCESS | DENY_WRITE)
    assert puppet.call(puppet.own_entry, "pkey_mprotect", page, 4096, ALL, key) == 0
    puppet.send_to(INT3, ip=page)
    assert puppet.resume() == TRAP_STOP
    assert hex(puppet.registers()["ip"]) == hex(page + 1)


def test_memory_for_execution_alone_has_a_key_that_is_nobodys(puppet):
    """Source: arch/x86/mm/pkeys.c __execute_only_pkey, __arch_override_mprotect_pkey (6.1)."""
    call, page = partial(puppet.call, puppet.own_entry), puppet.strings.stage + PAGE
    puppet.write(page, INT3)
    assert call("mprotect", page, 4096, EXECUTE) == 0
    puppet.send_to(INT3, ip=page)
    assert puppet.resume() == TRAP_STOP
    puppet.send_to(READ + INT3, bx=page)
    assert puppet.resume() == Status.stopped(SIGSEGV)
    assert puppet.siginfo() == (SIGSEGV, 0, SEGV_PKUERR)
    puppet.go_home()
    seen = {"taken back": call("pkey_free", 1), "given out": call("pkey_alloc", 0, 0)}
    assert seen == {"taken back": -EINVAL, "given out": 2}
    assert call("pkey_mprotect", page, 4096, READ_WRITE, 1) == -EINVAL
    assert call("mprotect", page, 4096, READ_WRITE) == 0
    puppet.send_to(READ + INT3, bx=page)
    assert puppet.resume() == TRAP_STOP, "no key is left where all may be done"


def test_a_tracer_reads_and_writes_what_a_key_denies(puppet):
    """Source: arch/x86/include/asm/mmu_context.h arch_vma_access_permitted (6.1)."""
    page, _ = protect(puppet, DENY_ACCESS)
    word = int.from_bytes(b"word" * 2, "little") & puppet.view.mask
    assert puppet.ptrace(Request.POKEDATA, page, word).value == 0
    assert puppet.ptrace(Request.PEEKDATA, page, Buffer(8)).memory[0][:4] == b"word"
    puppet.write(page, b"other")
    assert puppet.read(page, 5) == b"other"


WAKE_OP, PIPE = 5, 0x1800


def test_a_key_denies_what_the_kernel_looks_up_by_itself(puppet):
    """Pages that it takes hold of, and words that it changes where they are."""
    entry, stage = puppet.own_entry, puppet.strings.stage
    assert puppet.call(entry, "pipe", stage + PIPE) == 0
    end = int.from_bytes(puppet.read(stage + PIPE + 4, 4), "little")
    puppet.write(stage + PIPE, puppet.abi.words(stage + PAGE, 4))
    assert puppet.call(entry, "vmsplice", end, stage + PIPE, 1, 0) == 4
    wake = ("futex", stage, WAKE_OP, 1, 1, stage + PAGE, 0)
    assert puppet.call(entry, *wake) == 0
    protect(puppet, DENY_WRITE)
    assert puppet.call(entry, "vmsplice", end, stage + PIPE, 1, 0) == 4
    assert puppet.call(entry, *wake) == -EFAULT
    protect(puppet, DENY_ACCESS)
    assert puppet.call(entry, "vmsplice", end, stage + PIPE, 1, 0) == -EFAULT


NT_X86_XSTATE, XSTATE_BV, HAS_KEYS = 0x202, 512, 2
PLACE_OF_KEYS = bytes.fromhex("b80d000000 b909000000 0fa2")  # cpuid, leaf 13, part 9


def test_a_tracer_is_shown_and_sets_the_register(puppet):
    """Or has it be as at the beginning. Source: arch/x86/kernel/fpu/xstate.c (6.2)."""
    puppet.send_to(PLACE_OF_KEYS + INT3)
    assert puppet.resume() == TRAP_STOP
    at = puppet.registers()["bx"] & 0xFFFF_FFFF
    puppet.go_home()
    have_own_rights(puppet)
    said = puppet.regset(Request.GETREGSET, NT_X86_XSTATE, Buffer(4096), 4096)
    image = bytearray(said.content[: said.size_bytes])
    assert (image[at : at + 4].hex(), image[XSTATE_BV + 1] & HAS_KEYS) == ("24000000", HAS_KEYS)
    seen = []
    for marked in (HAS_KEYS, 0):
        image[at], image[XSTATE_BV + 1] = 0x28, marked
        put = puppet.regset(Request.SETREGSET, NT_X86_XSTATE, bytes(image), len(image))
        assert put.errno is None
        puppet.send_to(RDPKRU + INT3)
        assert puppet.resume() == TRAP_STOP
        seen.append(hex(puppet.registers()["ax"]))
        puppet.go_home()
    assert seen == ["0x28", "0x0"], "as it was set, and where it is marked as not in use"


LEAST_STACK_BYTES = 2048
"""MINSIGSTKSZ, which is less than a frame with the state of a processor that has keys."""


@pytest.mark.needs(since="6.2")
def test_an_alternate_stack_that_is_less_than_a_frame_ends_the_process(puppet):
    """Though there is memory below it. Source: arch/x86/kernel/signal.c get_sigframe (6.2)."""
    stage, entry = puppet.strings.stage, puppet.own_entry
    puppet.write(stage + 0x100, INT3)
    flags = SA_RESTORER | SA_SIGINFO | SA_ONSTACK | SA_NODEFER
    fields = {"handler": stage + 0x100, "restorer": stage + 0x100}
    puppet.write(stage + 0x180, ACTION[puppet.abi.name].encode(**fields, flags=flags))
    seen = {}
    for size in (2 * LEAST_STACK_BYTES, LEAST_STACK_BYTES):
        puppet.write(stage + 0x200, puppet.abi.words(stage + 0x8000, 0, size))
        assert puppet.call(entry, "sigaltstack", stage + 0x200, 0) == 0
        assert puppet.call(entry, "rt_sigaction", SIGUSR1, stage + 0x180, 0, 8) == 0
        puppet.signal(SIGUSR1)
        assert puppet.resume() == Status.stopped(SIGUSR1)
        seen[size] = puppet.resume(by_signal=SIGUSR1)
        puppet.go_home()
    assert seen == {4096: TRAP_STOP, LEAST_STACK_BYTES: Status.stopped(SIGSEGV)}
