# SPDX-License-Identifier: Apache-2.0
"""The vsyscall page: three calls at a fixed address of every 64-bit program, emulated or gone.

Source: arch/x86/entry/vsyscall/vsyscall_64.c emulate_vsyscall; arch/x86/mm/fault.c (6.1).
"""

import struct
from errno import EFAULT
from signal import SIGSEGV, SIGSYS, SIGTRAP

import pytest

from harness.agent.arguments import At, Buffer
from harness.agent.code import place_code
from harness.agent.filter import forbid_calls
from harness.agent.filters import NR, Action, answer, answer_where
from harness.agent.maps import read_maps
from harness.agent.ptrace import TRAP_STOP, Option, Status
from harness.agent.puppet import INT3, start_puppet
from harness.arch import ARCH_X86_64
from harness.entry import FUNCTION_X86_64, SYSCALL
from harness.landscape import ARENA, HOLE
from harness.pointers import bad_pointers

EMULATED = pytest.mark.machine(append="vdso=0 vdso32=0 vsyscall=emulate pti=on", arch="x86_64")
EXECUTE_ONLY = pytest.mark.machine(append="ia32_emulation=off vsyscall=xonly", arch="x86_64")
NONE = pytest.mark.machine(append="syscall.x32=y vsyscall=none", arch="x86_64")
"""What else these machines have or lack is for other scenarios: fewer machines are kept."""

PAGE = 0xFFFF_FFFF_FF60_0000
GETTIMEOFDAY, TIME, GETCPU = PAGE, PAGE + 0x400, PAGE + 0x800
TASK_SIZE = 0x7FFF_FFFF_F000
MAPERR, FROM_KERNEL = 1, 0x80
"""Codes of SIGSEGV: nothing is mapped there; the kernel sends it, with no address."""
PAGE_FAULT, PRESENT = 14, 1
USER_READ, USER_WRITE, USER_FETCH = 5, 6, 0x15
"""Error codes; at the kernel's addresses a page is always said to be present."""
FORBIDDEN = 77
EVENT_SECCOMP, DUMPED = 7, 0x80

pytestmark = [pytest.mark.needs(arch="x86_64"), pytest.mark.abis("x86_64")]


def emulated(test):
    """Ask in both machines whose kernel answers."""
    return EMULATED(EXECUTE_ONLY(test))


def gone_to(guest, address, *arguments, **registers):
    return guest.call(FUNCTION_X86_64, address, *arguments, **registers)


def time_in(memory):
    seconds, microseconds = struct.unpack_from("<qq", memory)
    assert 0 <= microseconds < 1_000_000
    return seconds * 1_000_000 + microseconds


@emulated
def test_gettimeofday_says_what_the_call_says(guest):
    said = [
        guest.call(SYSCALL, "gettimeofday", Buffer(24), Buffer(16)),
        gone_to(guest, GETTIMEOFDAY, Buffer(24), Buffer(16)),
        guest.call(SYSCALL, "gettimeofday", Buffer(24), Buffer(16)),
    ]
    times = [time_in(outcome.memory[0]) for outcome in said]
    assert said[1].value == 0
    assert times == sorted(times)
    assert said[1].memory[0][16:] == b"\xa5" * 8
    assert said[1].memory[1] == said[0].memory[1]


@emulated
def test_time_says_what_the_call_says(guest):
    before = guest.call(SYSCALL, "time", 0).value
    said = gone_to(guest, TIME, Buffer(16))
    after = guest.call(SYSCALL, "time", 0).value
    assert before <= said.value <= after
    assert said.memory[0] == struct.pack("<q", said.value) + b"\xa5" * 8


@emulated
def test_getcpu_names_processor_and_node(guest):
    said = gone_to(guest, GETCPU, Buffer(8), Buffer(8), HOLE)
    assert (said.value, said.memory) == (0, (bytes(4) + b"\xa5" * 4,) * 2)


@emulated
def test_null_is_not_written_to_and_no_register_changes_but_the_results(guest):
    for function in (GETTIMEOFDAY, TIME, GETCPU):
        said = gone_to(guest, function, 0, 0, HOLE)
        assert said.signal is None
        assert said.value >= 0
        assert said.changed <= {"rax"}


def right_faults(pointer):
    """Return how storing to a bad pointer may end: what `fault_of` is to give.

    A pointer that is refused at once is the fault's address. Up to which one they are refused
    differs; all in the upper half are, and none that a program could have.
    """
    refused = ("SIGSEGV", MAPERR, pointer, PAGE_FAULT, USER_WRITE)
    faulted = ("SIGSEGV", FROM_KERNEL, 0)
    if pointer >> 63:
        return (refused,)
    return (faulted,) if pointer < TASK_SIZE else (refused, faulted)


def fault_of(said):
    """Return the signal, with trap and error code where it is a fault of the processor's."""
    signal = said.signal
    if not signal or signal.code == FROM_KERNEL:
        return (signal.name, signal.code, signal.address) if signal else ()
    return (signal.name, signal.code, signal.address, signal.trap, signal.error)


@emulated
@pytest.mark.parametrize(
    ("function", "place"),
    [(GETTIMEOFDAY, 0), (GETTIMEOFDAY, 1), (TIME, 0), (GETCPU, 0), (GETCPU, 1)],
    ids=["gettimeofday-0", "gettimeofday-1", "time-0", "getcpu-0", "getcpu-1"],
)
def test_a_bad_pointer_is_a_fault_of_the_program(guest, function, place):
    wrong = {}
    for pointer in bad_pointers(SYSCALL, ARCH_X86_64)[1:]:
        arguments = [0, 0, 0]
        arguments[place] = pointer.address
        said = gone_to(guest, function, *arguments)
        right = fault_of(said) in right_faults(pointer.address)
        if not right or said.after["ip"] != function or said.clobbered - {"rax", "rsp"}:
            wrong[pointer.name] = repr(said)
    assert wrong == {}


@emulated
def test_elsewhere_in_the_page_there_is_nothing_to_call(guest):
    wrong = {}
    for offset in (1, 0x10, 0x3FF, 0x401, 0x7FF, 0x801, 0xBFF, 0xC00, 0xC01, 0xFFF):
        said = gone_to(guest, PAGE + offset)
        stayed = (said.after["ip"], said.after["rsp"]) == (PAGE + offset, said.before["rsp"] - 8)
        if fault_of(said) != ("SIGSEGV", FROM_KERNEL, 0) or not stayed:
            wrong[hex(offset)] = repr(said)
    assert wrong == {}


@emulated
def test_beside_the_page_it_is_the_kernels(guest):
    beside = (PAGE - 0x1000, PAGE - 1, PAGE + 0x1000)
    faults = {address: fault_of(gone_to(guest, address)) for address in beside}
    assert faults == {at: ("SIGSEGV", MAPERR, at, PAGE_FAULT, USER_FETCH) for at in beside}


@emulated
def test_a_bad_stack_is_a_fault_of_the_program(guest, abi):
    jump = place_code(guest, abi, b"\x48\x89\xfc\xff\xe6")  # mov %rdi, %rsp; jmp *%rsi
    said = gone_to(guest, jump, HOLE, TIME)
    assert fault_of(said) == ("SIGSEGV", FROM_KERNEL, 0)
    assert (said.after["ip"], said.after["rsp"]) == (TIME, HOLE)


@emulated
@pytest.mark.parametrize("function", [GETTIMEOFDAY, TIME, GETCPU], ids=hex)
def test_a_filter_of_system_calls_has_its_say(guest, abi, function):
    forbid_calls(guest, abi, FORBIDDEN)
    said = gone_to(guest, function, HOLE, HOLE)
    assert (said.signal, said.value) == (None, -FORBIDDEN)
    assert said.changed <= {"rax"}


ASKED = Action.TRACE + 7
CALL_AX_AND_STOP = b"\xff\xd0" + INT3


@emulated
def test_a_tracer_may_skip_a_call_there_and_make_no_other_of_it(guest, abi):
    """Documentation/userspace-api/seccomp_filter.rst, Caveats (6.1)."""
    options = Option.TRACESECCOMP | Option.TRACESYSGOOD
    with start_puppet(guest, abi, options=options) as puppet:
        time, getppid = (puppet.number(SYSCALL, name) for name in ("time", "getppid"))
        code = answer_where({NR: time}, ASKED) + answer(Action.ALLOW)
        assert puppet.install_filter(SYSCALL, code) == 0
        there = {"ax": TIME, "di": 0, "sp": puppet.strings.stage + 0x8000}
        asked = []
        for changed in ({}, {"orig_ax": -1, "ax": 77}):
            puppet.send_to(CALL_AX_AND_STOP, **there)
            assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_SECCOMP)
            asked.append({name: puppet.registers()[name] for name in ("ip", "orig_ax")})
            puppet.set_registers(**changed)
            assert puppet.resume() == TRAP_STOP
        assert asked == [{"ip": TIME, "orig_ax": time}] * 2
        assert puppet.registers()["ax"] == 77
        puppet.send_to(CALL_AX_AND_STOP, **there | {"di": HOLE})
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_SECCOMP)
        assert puppet.resume() == Status.stopped(SIGSEGV)
        assert hex(puppet.registers()["orig_ax"]) == hex(puppet.abi.mask), "it is in a call still"
        puppet.send_to(CALL_AX_AND_STOP, **there)
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_SECCOMP)
        puppet.set_registers(orig_ax=getppid)
        assert puppet.resume() & ~DUMPED == Status(SIGSYS), "it made another call than the page's"


@emulated
def test_nobody_writes_to_the_page(guest, abi):
    store = place_code(guest, abi, b"\x40\x88\x37\xc3")  # mov %sil, (%rdi); ret
    said = gone_to(guest, store, PAGE, 0)
    assert fault_of(said) == ("SIGSEGV", MAPERR, PAGE, PAGE_FAULT, USER_WRITE | PRESENT)


@EMULATED
def test_an_emulated_page_may_be_read(guest, abi):
    calls = {GETTIMEOFDAY: "gettimeofday", TIME: "time", GETCPU: "getcpu"}
    numbers = {at: guest.table(SYSCALL).number(name) for at, name in calls.items()}
    expected = {
        at: b"\x48\xc7\xc0" + number.to_bytes(4, "little") + b"\x0f\x05\xc3\xcc"
        for at, number in numbers.items()
    }  # mov $number, %rax; syscall; ret; int3
    assert {at: guest.read(abi, at, 11) for at in calls} == expected


@EXECUTE_ONLY
def test_a_page_that_is_only_executed_cannot_be_read(guest, abi):
    load = place_code(guest, abi, b"\x8a\x07\xc3")  # mov (%rdi), %al; ret
    said = gone_to(guest, load, TIME)
    assert fault_of(said) == ("SIGSEGV", MAPERR, TIME, PAGE_FAULT, USER_READ)


def read_as_another(guest, address, name="process_vm_readv"):
    """Have some bytes of a process's memory copied as for another process."""
    pid = guest.call(SYSCALL, "getpid").value
    own = At(ARENA.start, struct.pack("<QQQQ", ARENA.start + 64, 11, address, 11))
    return guest.call(SYSCALL, name, pid, own, 1, ARENA.start + 16, 1, 0)


@EMULATED
def test_others_read_an_emulated_page_and_write_nothing_to_it(guest, abi):
    """Source: mm/gup.c get_gate_page (6.1)."""
    assert read_as_another(guest, TIME).value == 11
    assert guest.read(abi, ARENA.start + 64, 11) == guest.read(abi, TIME, 11)
    assert read_as_another(guest, TIME, "process_vm_writev").errno == EFAULT


@EXECUTE_ONLY
def test_others_cannot_read_a_page_that_is_only_executed(guest):
    assert read_as_another(guest, TIME).errno == EFAULT


def page_of(guest):
    """Return what the executor's maps say of the page, nothing when they do not show it."""
    maps = read_maps(guest, guest.call(SYSCALL, "getpid").value)
    return [one[:3] for one in maps if one.name == "[vsyscall]"]


@EMULATED
def test_maps_show_an_emulated_page(guest):
    assert page_of(guest) == [(PAGE, PAGE + 0x1000, "r-xp")]


@EXECUTE_ONLY
def test_maps_show_a_page_that_is_only_executed(guest):
    assert page_of(guest) == [(PAGE, PAGE + 0x1000, "--xp")]


@pytest.mark.claim(52)
@NONE
def test_without_the_page_its_functions_are_faults(guest):
    functions = (GETTIMEOFDAY, TIME, GETCPU)
    faults = {at: fault_of(gone_to(guest, at, 0, 0)) for at in functions}
    assert faults == {at: ("SIGSEGV", MAPERR, at, PAGE_FAULT, USER_FETCH) for at in functions}
    assert page_of(guest) == []


@NONE
def test_without_the_page_there_is_nothing_to_read(guest, abi):
    assert guest.read(abi, PAGE, 16) == b""


@emulated
@pytest.mark.parametrize("call", [("write", 1, PAGE, 16), ("open", PAGE, 0), ("time", PAGE)])
def test_no_call_takes_a_pointer_into_the_page(guest, call):
    assert guest.call(SYSCALL, *call).errno == EFAULT
