# SPDX-License-Identifier: Apache-2.0
"""Syscall user dispatch: calls from outside of a range come back as SIGSYS while a byte says so.

Source: kernel/entry/syscall_user_dispatch.c (6.1); Documentation/admin-guide/
syscall-user-dispatch.rst.
"""

import struct
from errno import EFAULT, EINVAL
from signal import SIGSEGV, SIGSYS, SIGUSR1

import pytest

from harness.agent.arguments import Buffer
from harness.agent.filters import AUDIT_ARCH
from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import INT3, start_puppet
from harness.agent.signals import SA_SIGINFO
from harness.agent.structures import ACTION
from harness.entry import ENTRY_POINTS, SYSCALL
from harness.landscape import HOLE

PLAIN = ("int80", "syscall", "int80_64")
OWN = ("int80", "syscall")

pytestmark = [pytest.mark.needs(since="5.11"), pytest.mark.entries(*ENTRY_POINTS)]

PR_SET_SYSCALL_USER_DISPATCH = 59
OFF, ON = 0, 1
ALLOW, BLOCK, NEITHER = b"\0", b"\1", b"\2"
SYS_USER_DISPATCH = 2
RETURN = b"\xc3"


@pytest.fixture
def puppet(guest, entry):
    """Give a process that is traced by one of the kernel's own ABI."""
    with start_puppet(guest, entry.abi) as puppet:
        yield puppet


def selector_of(puppet):
    return puppet.strings.stage + 0x3000


def dispatch(puppet, entry, mode, *rest):
    """Ask for it; the rest is start and size of the range, and the selector's address."""
    three = (*rest, 0, 0, 0)[:3]
    return puppet.call(entry, "prctl", PR_SET_SYSCALL_USER_DISPATCH, mode, *three)


def block(puppet, entry, start=0, size=0):
    """Have calls from outside of a range come back."""
    puppet.write(selector_of(puppet), ALLOW)
    assert dispatch(puppet, entry, ON, start, size, selector_of(puppet)) == 0
    puppet.write(selector_of(puppet), BLOCK)


def test_a_blocked_call_is_sigsys_with_number_and_place(puppet, entry):
    block(puppet, entry)
    puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16)
    assert puppet.resume() == Status.stopped(SIGSYS)
    assert puppet.siginfo() == (SIGSYS, 0, SYS_USER_DISPATCH)
    seen = puppet.registers()
    number = puppet.number(entry, "getppid")
    assert puppet.refused_call() == (seen["ip"], number, AUDIT_ARCH[entry.table])


def test_a_blocked_call_leaves_its_registers_as_they_were(puppet, entry):
    old = puppet.call(entry, "umask", 0o22)
    block(puppet, entry)
    values = puppet.prepare(entry, "umask", 0o77)
    assert puppet.resume() == Status.stopped(SIGSYS)
    assert puppet.resume() == TRAP_STOP
    found = puppet.after()
    kept = values.keys() - {"flags"} - ({"cx", "r11"} if entry is SYSCALL else set())
    assert {name: found[name] for name in kept} == {name: values[name] for name in kept}
    puppet.write(selector_of(puppet), ALLOW)
    assert puppet.call(entry, "umask", old) == 0o22


def test_the_selector_is_looked_at_for_each_call(puppet, entry):
    block(puppet, entry)
    seen = []
    for selector in (BLOCK, ALLOW, BLOCK, ALLOW):
        puppet.write(selector_of(puppet), selector)
        puppet.prepare(entry, "getppid")
        status = puppet.resume()
        seen.append(status)
        if status != TRAP_STOP:
            puppet.resume()
    assert seen == [Status.stopped(SIGSYS), TRAP_STOP] * 2


def test_calls_from_the_range_pass_and_only_those(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    place = puppet.registers()["ip"]
    list(puppet.stops(Request.SYSCALL))
    seen = {}
    for start, size in ((0, 1), (-1, 1), (-1, 2), (1, 9), (-9, 99)):
        block(puppet, entry, place + start, size)
        puppet.prepare(entry, "getppid")
        status = puppet.resume()
        seen[start, size] = status == TRAP_STOP
        if status != TRAP_STOP:
            puppet.resume()
        puppet.write(selector_of(puppet), ALLOW)
    passes = {(0, 1): True, (-1, 1): False, (-1, 2): True, (1, 9): False, (-9, 99): True}
    assert seen == passes


@pytest.mark.entries(*OWN)
def test_without_a_selector_every_call_from_elsewhere_is_blocked(puppet, entry):
    assert dispatch(puppet, entry, ON) == 0
    puppet.prepare(entry, "getppid")
    assert puppet.resume() == Status.stopped(SIGSYS)


@pytest.mark.parametrize("kind", ["neither", "hole"])
@pytest.mark.entries(*OWN)
def test_a_selector_that_makes_no_sense_ends_the_process(puppet, entry, kind):
    if kind == "neither":
        block(puppet, entry)
        puppet.write(selector_of(puppet), NEITHER)
    else:
        assert dispatch(puppet, entry, ON, 0, 0, HOLE) == 0
    puppet.prepare(entry, "getppid")
    assert puppet.resume() & ~0x80 == Status({"neither": SIGSYS, "hole": SIGSEGV}[kind])


@pytest.mark.entries("int80")
@pytest.mark.parametrize("flags", [0, SA_SIGINFO], ids=["sigreturn", "rt_sigreturn"])
def test_a_handler_returns_by_the_vdso_whatever_is_blocked(puppet, entry, flags):
    """Source: arch/x86/entry/vdso/vma.c arch_syscall_is_vdso_sigreturn (6.1)."""
    handler, action = puppet.strings.stage + 0x100, puppet.strings.stage + 0x180
    puppet.write(handler, RETURN)
    puppet.write(action, ACTION[entry.abi.name].encode(handler=handler, flags=flags))
    assert puppet.call(entry, "rt_sigaction", SIGUSR1, action, 0, 8) == 0
    block(puppet, entry)
    puppet.send_to(INT3)
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    assert puppet.resume(by_signal=SIGUSR1) == TRAP_STOP
    assert puppet.registers()["ip"] == puppet.strings.stage + 1


@pytest.mark.entries(*OWN)
def test_it_can_be_turned_off(puppet, entry):
    block(puppet, entry)
    puppet.write(selector_of(puppet), ALLOW)
    assert dispatch(puppet, entry, OFF) == 0
    puppet.write(selector_of(puppet), BLOCK)
    assert puppet.call(entry, "getppid") == 1


@pytest.mark.entries(*OWN)
def test_requests_that_make_no_sense(puppet, entry):
    last = entry.table.mask
    cases = {
        "an unknown mode": (9, 0, 0, 0, EINVAL),
        "off, with a start": (OFF, 1, 0, 0, EINVAL),
        "off, with a size": (OFF, 0, 1, 0, EINVAL),
        "off, with a selector": (OFF, 0, 0, selector_of(puppet), EINVAL),
        "a range without a size": (ON, 1, 0, 0, EINVAL),
    }
    if entry is SYSCALL:
        cases["a range that wraps"] = (ON, last, 2, 0, EINVAL)
        cases["a selector of the kernel's"] = (ON, 0, 0, last - 0xFFF, EFAULT)
    seen = {says: dispatch(puppet, entry, *case[:4]) for says, case in cases.items()}
    assert seen == {says: -case[4] for says, case in cases.items()}


def test_a_blocked_call_is_not_seen_by_a_tracer(puppet, entry):
    block(puppet, entry)
    puppet.prepare(entry, "getppid")
    assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGSYS)
    assert puppet.resume(Request.SYSCALL) == TRAP_STOP


def test_a_call_behind_a_blocked_one_is_seen_at_its_entry_and_its_exit(puppet, entry):
    """Source: kernel/entry/common.c syscall_exit_work, on_dispatch (6.1)."""
    block(puppet, entry)
    puppet.prepare(entry, "getppid")
    assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGSYS)
    assert puppet.resume(Request.SYSCALL) == TRAP_STOP
    puppet.write(selector_of(puppet), ALLOW)
    puppet.prepare(entry, "getppid")
    assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, CALL_STOP, TRAP_STOP]


@pytest.mark.needs(since="6.4")
@pytest.mark.entries(*OWN)
def test_a_tracer_is_told_of_it_and_sets_it(puppet, entry):
    selector = selector_of(puppet)
    puppet.write(selector, ALLOW)
    assert dispatch(puppet, entry, ON, 0x1000, 0x234, selector) == 0
    get, put = Request.GET_SYSCALL_USER_DISPATCH_CONFIG, Request.SET_SYSCALL_USER_DISPATCH_CONFIG
    said = puppet.ptrace(get, 32, Buffer(40))
    expected = struct.pack("<QQQQ", ON, selector, 0x1000, 0x234) + b"\xa5" * 8
    assert (said.value, said.memory[0].hex()) == (0, expected.hex())
    puppet.write(selector, BLOCK)
    assert puppet.ptrace(put, 32, struct.pack("<QQQQ", OFF, 0, 0, 0)).value == 0
    assert puppet.call(entry, "getppid") == 1
    assert puppet.ptrace(put, 32, struct.pack("<QQQQ", ON, selector, 0, 0)).value == 0
    puppet.prepare(entry, "getppid")
    assert puppet.resume() == Status.stopped(SIGSYS)
    assert [puppet.ptrace(one, 24, Buffer(40)).errno for one in (get, put)] == [EINVAL] * 2
    assert [puppet.ptrace(one, 32, HOLE).errno for one in (get, put)] == [EFAULT] * 2
    assert puppet.ptrace(put, 32, struct.pack("<QQQQ", OFF, 0, 0, 0)).value == 0
    assert puppet.ptrace(get, 32, Buffer(32)).memory[0] == bytes(32)
    assert puppet.ptrace(put, 32, struct.pack("<QQQQ", OFF, selector, 0, 0)).errno == EINVAL


@pytest.mark.entries(*PLAIN)
def test_a_child_does_not_inherit_it(guest, entry):
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as puppet:
        block(puppet, entry)
        puppet.write(selector_of(puppet), ALLOW)
        child = puppet.fork(entry)
        assert child.resume() == TRAP_STOP
        child.write(selector_of(child), BLOCK)
        assert child.call(entry, "getppid") == puppet.pid
        child.kill()


@pytest.mark.entries(*PLAIN)
def test_a_new_program_does_not_inherit_it(puppet, entry):
    assert dispatch(puppet, entry, ON, puppet.strings.landed[entry.name], 1, 0) == 0
    puppet.prepare_exec(entry)
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.execute(entry, "getppid") == 1
