# SPDX-License-Identifier: Apache-2.0
"""Protection keys: what a key denies, how the denial is told, and whose the register is.

Source: arch/x86/mm/fault.c bad_area_access_error; kernel/signal.c force_sig_pkuerr, copy_siginfo;
arch/x86/kernel/fpu/signal.c copy_fpstate_to_sigframe, core.c fpu__clear_user_states;
arch/x86/mm/pkeys.c init_pkru_value (6.1); man 7 pkeys.
"""

import struct
from errno import EFAULT, EINVAL
from signal import SIGSEGV, SIGUSR1

import pytest

from harness.agent.ptrace import TRAP_STOP, Status
from harness.agent.puppet import INT3, start_puppet
from harness.agent.signals import SA_RESTORER, SA_SIGINFO
from harness.arch import I386

pytestmark = pytest.mark.machine(cpu="EPYC,+pku,+umip", arch="x86_64")

DENY_ACCESS, DENY_WRITE = 1, 2
READ_WRITE = 3
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


@pytest.fixture
def puppet(guest, abi):
    """Give a process of `abi` that is traced by one of the kernel's own, or skip."""
    if b" ospke" not in guest.read_file("/proc/cpuinfo"):
        pytest.skip("no protection keys on this processor, or not for this kernel")
    with start_puppet(guest, abi) as puppet:
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
    places[action] = puppet.abi.words(handler, SA_RESTORER | SA_SIGINFO, restorer, 0, 0)
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
