# SPDX-License-Identifier: Apache-2.0
"""What a tracer sees of a call, and what it can change, through every entry path.

Source: kernel/entry/common.c syscall_trace_enter, syscall_exit_work; arch/x86/kernel/ptrace.c;
kernel/ptrace.c (6.1); man 2 ptrace.
"""

import struct
from errno import EBADF, EFAULT, EINTR, EINVAL, ENOENT, ENOSYS, ERANGE, ETIMEDOUT
from os import O_RDONLY
from signal import SIGKILL, SIGTRAP

import pytest

from harness.agent.arguments import Buffer
from harness.agent.filters import AUDIT_ARCH
from harness.agent.ptrace import (
    CALL_STOP,
    DEBUG_REGISTERS,
    TRAP_STOP,
    Option,
    Request,
    Status,
    plain_name,
)
from harness.agent.puppet import INSTRUCTIONS, INT3, start_puppet
from harness.agent.signals import SA_RESTORER, SA_SIGINFO
from harness.agent.structures import ACTION
from harness.entry import ENTRY_POINTS, KERNEL_VSYSCALL, SYSCALL
from harness.landscape import HOLE, PAGE

FAST = ("sysenter", "syscall32")
PLAIN = ("int80", "syscall", "int80_64")
OWN = ("int80", "syscall")
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
WHERE = 0x2E00_0000
DIRECTORY = b"/made\0"
RESUME, SI_KERNEL, TRAP_HWBKPT = 0x10000, 0x80, 4


pytestmark = pytest.mark.entries(*ENTRY_POINTS)


@pytest.fixture
def puppet(guest, entry):
    """Give a process that is traced by one of the kernel's own ABI."""
    with start_puppet(guest, entry.abi) as puppet:
        yield puppet


@pytest.mark.claim(56)
@pytest.mark.entries("kernel_vsyscall", *ENTRY_POINTS)
def test_a_call_stops_once_at_its_entry_and_once_at_its_exit(puppet, entry):
    puppet.prepare(entry, "getppid")
    assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, CALL_STOP, TRAP_STOP]


@pytest.mark.claim(35)
@pytest.mark.claim(56)
@pytest.mark.entries(*PLAIN)
def test_the_entry_stop_shows_number_enosys_and_every_register_as_it_was(puppet, entry):
    values = puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16, flags=0xAD7)
    puppet.resume(Request.SYSCALL)
    seen = puppet.registers()
    landed = puppet.strings.landed[entry.name]
    enosys = {"orig_ax": values["ax"], "ax": -ENOSYS & puppet.view.mask}
    after_syscall = {"cx": landed, "r11": 0xAD7} if entry is SYSCALL else {}
    expected = values | after_syscall | enosys | {"ip": landed}
    assert {name: seen[name] for name in expected} == expected


@pytest.mark.entries("syscall", "int80_64")
def test_the_entry_stop_shows_as_much_of_the_number_as_the_table_takes(puppet, entry):
    whole = 0xFACE_0000_0000_0000 | puppet.number(entry, "getppid")
    puppet.prepare(entry, whole)
    puppet.resume(Request.SYSCALL)
    assert hex(puppet.registers()["orig_ax"]) == hex(whole & entry.table.mask)


NESTED, ALIGNMENT = 0x4000, 0x40000


def test_flags_do_no_harm_on_the_slow_way_back(puppet, entry):
    """A traced call returns by IRET, which a nested-task flag of the kernel's would make fail."""
    for flag in (NESTED, ALIGNMENT, NESTED | ALIGNMENT):
        puppet.prepare(entry, "getppid", flags=0x202 | flag)
        assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, CALL_STOP, TRAP_STOP]
        found = puppet.after()
        assert (found["ax"], hex(found["flags"] & flag)) == (1, hex(flag))


@pytest.mark.claim(22)
@pytest.mark.claim(56)
@pytest.mark.entries("kernel_vsyscall", *FAST)
def test_the_entry_stop_of_a_fast_call_is_at_an_int80_with_the_callers_registers(puppet, entry):
    values = puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16)
    puppet.resume(Request.SYSCALL)
    seen = puppet.registers()
    enosys = {"orig_ax": values["ax"], "ax": -ENOSYS & puppet.view.mask}
    expected = {name: values[name] for name in ("bx", "cx", "dx", "si", "di", "bp")} | enosys
    assert {name: seen[name] for name in expected} == expected
    pushed = values["sp"] - seen["sp"]
    assert pushed == 16 or (entry is KERNEL_VSYSCALL and pushed == 4)
    assert puppet.read(seen["ip"] - 2, 2) == b"\xcd\x80"


@pytest.mark.claim(56)
def test_the_exit_stop_shows_the_result_and_nothing_else_has_changed(puppet, entry):
    values = puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16)
    puppet.resume(Request.SYSCALL)
    at_entry = puppet.registers()
    puppet.resume(Request.SYSCALL)
    assert puppet.registers() == at_entry | {"ax": 1}
    puppet.resume()
    found = puppet.after()
    free = {"cx", "r11"} if entry is SYSCALL else {"flags"} if entry.name in FAST else set()
    expected = values | {"ax": 1, "ip": puppet.strings.landed[entry.name]}
    expected |= {name: at_entry[name] for name in SEGMENTS}
    assert {n: found[n] for n in expected} == expected | {n: found[n] for n in free}


def test_a_number_changed_at_the_entry_makes_another_call(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    puppet.set_registers(orig_ax=puppet.number(entry, "getpid"))
    list(puppet.stops(Request.SYSCALL))
    assert puppet.after()["ax"] == puppet.pid


def test_arguments_changed_at_the_entry_are_those_of_the_call(guest, puppet, entry):
    guest.write_file("/numbered", b"".join(bytes([page]) * PAGE for page in range(8)))
    name, unit = ("mmap2", 1) if entry.table.name == "i386" else ("mmap", PAGE)
    puppet.write(puppet.strings.stage, b"/numbered\0")
    wrong, fd = (puppet.call(entry, "open", puppet.strings.stage, O_RDONLY) for _ in range(2))
    puppet.call(entry, "close", wrong)
    puppet.prepare(entry, name, 1, 1, 0, 0, wrong, 3 * unit)
    puppet.resume(Request.SYSCALL)
    changed = (WHERE, 2 * PAGE, 1, 0x12, fd, 5 * unit)
    puppet.set_registers(**dict(zip(map(plain_name, entry.arguments), changed, strict=True)))
    list(puppet.stops(Request.SYSCALL))
    assert puppet.after()["ax"] == WHERE
    assert puppet.read(WHERE, 2 * PAGE) == b"\5" * PAGE + b"\6" * PAGE


@pytest.mark.entries(*FAST)
def test_a_result_changed_at_the_exit_is_what_the_program_gets(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    puppet.resume(Request.SYSCALL)
    puppet.set_registers(ax=0x5EED_C0DE)
    puppet.resume()
    assert puppet.after()["ax"] == 0x5EED_C0DE


@pytest.mark.entries(*PLAIN)
def test_every_register_set_at_the_exit_arrives(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    puppet.resume(Request.SYSCALL)
    general = [plain_name(name) for name in entry.abi.registers]
    chosen = {name: 0x0BAD_0000 + place for place, name in enumerate(general)}
    chosen |= {"sp": puppet.strings.stage + 0x8000, "flags": 0x8D7 | 0x202}
    puppet.set_registers(**chosen)
    puppet.resume()
    found = puppet.after()
    assert {name: found[name] for name in chosen} == chosen


@pytest.mark.entries("kernel_vsyscall", *ENTRY_POINTS)
def test_a_process_sent_elsewhere_from_a_calls_exit_has_there_what_its_tracer_set(puppet, entry):
    """SYSRET and SYSEXIT, which lose registers, lead to a landing pad only."""
    puppet.write(puppet.strings.stage, INT3)
    puppet.prepare(entry, "getppid")
    assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2
    general = [plain_name(name) for name in entry.abi.registers]
    chosen = {name: 0x0BAD_0000 + place for place, name in enumerate(general)}
    chosen |= {"ip": puppet.strings.stage, "flags": 0x8D7 | 0x202}
    puppet.set_registers(**chosen)
    assert puppet.resume() == TRAP_STOP
    seen = puppet.registers()
    assert {name: seen[name] for name in chosen} == chosen | {"ip": puppet.strings.stage + 1}


@pytest.mark.entries("kernel_vsyscall", *ENTRY_POINTS)
def test_a_resume_flag_set_at_the_exit_lets_a_breakpoint_be_passed(puppet, entry):
    """No fast way back takes it along: arch/x86/entry/common.c do_fast_syscall_32 (6.12)."""
    debug, seen = DEBUG_REGISTERS[puppet.view], {}
    for flag, says in ((0, "without"), (RESUME, "with")):
        puppet.prepare(entry, "getpid")
        assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2
        found = puppet.registers()
        for number, value in ((0, found["ip"]), (7, 1)):
            at = debug + number * puppet.view.word_bytes
            assert puppet.ptrace(Request.POKEUSER, at, value).errno is None
        puppet.set_registers(flags=found["flags"] | flag)
        assert puppet.resume() == TRAP_STOP
        seen[says] = puppet.siginfo()[2], puppet.registers()["ip"] == found["ip"]
        if flag == 0:
            assert puppet.ptrace(Request.POKEUSER, debug + 7 * puppet.view.word_bytes, 0).value == 0
            assert puppet.resume() == TRAP_STOP
    assert seen == {"without": (TRAP_HWBKPT, True), "with": (SI_KERNEL, False)}


def test_a_call_skipped_at_its_entry_returns_what_ax_was_left_as(puppet, entry):
    old = puppet.call(entry, "umask", 0o22)
    results = {}
    for left in ({}, {"ax": 77}):
        puppet.prepare(entry, "umask", 0o77)
        puppet.resume(Request.SYSCALL)
        puppet.set_registers(orig_ax=-1, **left)
        assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, TRAP_STOP]
        results[left.get("ax")] = entry.abi.signed(puppet.after()["ax"])
    assert results == {None: -ENOSYS, 77: 77}
    assert puppet.call(entry, "umask", old) == 0o22


def test_a_signal_that_is_given_at_a_calls_stop_comes_behind_the_call(puppet, entry):
    """Source: include/linux/ptrace.h ptrace_report_syscall (6.1)."""
    for at_exit in (False, True):
        puppet.prepare(entry, "getppid")
        given = [SIGUSR1 * (not at_exit), SIGUSR1 * at_exit]
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        assert puppet.resume(Request.SYSCALL, by_signal=given[0]) == CALL_STOP
        assert puppet.registers()["ax"] == 1
        assert puppet.resume(Request.SYSCALL, by_signal=given[1]) == Status.stopped(SIGUSR1)
        assert puppet.siginfo() == (SIGUSR1, 0, SI_KERNEL)
        assert puppet.resume() == TRAP_STOP
        assert puppet.after()["ax"] == 1


def test_a_call_is_not_made_by_who_is_killed_at_its_entry(guest, puppet, entry):
    """Source: include/linux/ptrace.h ptrace_report_syscall, fatal_signal_pending (6.1)."""
    puppet.write(puppet.strings.stage, DIRECTORY)
    puppet.prepare(entry, "mkdir", puppet.strings.stage, 0o700)
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    puppet.signal(SIGKILL)
    assert puppet.wait() == Status(SIGKILL)
    assert guest.call(entry, "access", DIRECTORY, 0).errno == ENOENT, "it was made"


def test_a_number_past_the_table_set_at_the_entry_is_enosys(puppet, entry):
    results = {}
    for number in (puppet.table(entry).size, 0x7FF, 0x7FFF_FFFF, -2, -4096):
        puppet.prepare(entry, "getppid")
        puppet.resume(Request.SYSCALL)
        puppet.set_registers(orig_ax=number)
        assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, TRAP_STOP]
        results[number] = entry.abi.signed(puppet.after()["ax"])
    assert results == dict.fromkeys(results, -ENOSYS)


SIGUSR1 = 10
ERESTARTSYS, ERESTARTNOHAND, ERESTART_RESTARTBLOCK = 512, 514, 516


@pytest.mark.claim(27)
def test_an_interrupted_call_shows_why_and_is_made_again(puppet, entry):
    word = puppet.strings.stage
    for name, code, again, arguments in (
        ("futex", ERESTARTSYS, "futex", (word, 0, 0, 0)),
        ("pause", ERESTARTNOHAND, "pause", ()),
        ("poll", ERESTART_RESTARTBLOCK, "restart_syscall", (0, 0, 5000)),
    ):
        puppet.prepare(entry, name, *arguments)
        first, status = puppet.interrupt(SIGUSR1)
        assert status == CALL_STOP
        assert puppet.registers() == first | {"ax": -code & puppet.view.mask}
        assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGUSR1)
        puppet.set_registers()
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        assert puppet.registers() == first | {"orig_ax": puppet.number(entry, again)}
        puppet.set_registers(orig_ax=-1)
        assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, TRAP_STOP]


def interrupt_in_time(puppet, entry, name, arguments, at):
    """Interrupt a call that a short time ends, of which `at` has the nanoseconds; tell how short.

    Where the time was over before it could be interrupted, it is given more.
    """
    for milliseconds in (40, 300, 2000):
        puppet.write(at, entry.table.words(0, milliseconds * 1_000_000))
        puppet.prepare(entry, name, *(milliseconds if a is TIME else a for a in arguments))
        _, status = puppet.interrupt(SIGUSR1)
        interrupted = puppet.registers()["ax"] == -ERESTART_RESTARTBLOCK & puppet.view.mask
        assert status == CALL_STOP
        assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGUSR1)
        if interrupted:
            return
        assert puppet.resume() == TRAP_STOP
    raise AssertionError(name)


TIME = "milliseconds"


@pytest.mark.claim(27)
@pytest.mark.entries(*OWN)
def test_a_call_that_is_made_again_ends_when_it_would_have_ended(puppet, entry):
    """An alarm wakes what has forgotten its time. Source: fs/select.c do_restart_poll (6.1)."""
    at, word = puppet.strings.stage + 0x1000, puppet.strings.stage + 0x1100
    cases = {"poll": (0, 0, 0, TIME), "futex": (-ETIMEDOUT, word, 0, 0, at)}
    seen = {}
    for name, (_, *arguments) in cases.items():
        puppet.call(entry, "alarm", 6)
        interrupt_in_time(puppet, entry, name, arguments, at)
        assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2, name
        seen[name] = hex(puppet.registers()["ax"])
        if puppet.resume() != TRAP_STOP:
            break
    ends = {name: hex(end & puppet.view.mask) for name, (end, *_) in cases.items()}
    assert seen == ends, f"{-ERESTART_RESTARTBLOCK & puppet.view.mask:#x}: it was the alarm"


MASK_AT = "a mask of signals"
OPENED = {
    "eventfd": ("eventfd2", 0, 0),
    "timer": ("timerfd_create", 1, 0),
    "signals": ("signalfd4", -1, MASK_AT, 8, 0),
    "changes": ("inotify_init",),
    "queue": ("msgget", 0, 0o600),
    "epoll": ("epoll_create1", 0),
}


@pytest.mark.claim(27)
@pytest.mark.entries(*OWN)
def test_each_call_says_by_its_own_code_how_it_is_made_again(puppet, entry):
    """Which does what, man 7 signal has."""
    room = puppet.strings.stage + 0x1000
    calls = {name: [room if a == MASK_AT else a for a in call] for name, call in OPENED.items()}
    fds = {name: puppet.call(entry, *call) for name, call in calls.items()}
    assert [name for name, fd in fds.items() if fd < 0] == []
    cases = {name: (ERESTARTSYS, "read", fd, room, 512) for name, fd in fds.items()}
    cases["queue"] = ERESTARTNOHAND, "msgrcv", fds["queue"], room, 8, 0, 0
    cases["epoll"] = EINTR, "epoll_wait", fds["epoll"], room, 1, -1
    seen = {}
    for name, (_, *call) in cases.items():
        puppet.prepare(entry, *call)
        _, status = puppet.interrupt(SIGUSR1)
        seen[name] = status, hex(puppet.registers()["ax"])
        assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGUSR1), name
        puppet.set_registers(orig_ax=-1)
        assert puppet.resume() == TRAP_STOP, name
    codes = {name: hex(-code & puppet.view.mask) for name, (code, *_) in cases.items()}
    assert seen == {name: (CALL_STOP, code) for name, code in codes.items()}


RETURN_FROM_SIGNAL = {
    "i386": b"\x58\xb8\xad\0\0\0\xcd\x80",  # pop %eax; mov $173, %eax; int $0x80
    "x86_64": b"\x58\xb8\x0f\0\0\0\x0f\x05",  # pop %rax; mov $15, %eax; syscall
}


@pytest.mark.entries(*OWN)
def test_what_a_handler_has_ended_is_not_there_to_restart(puppet, entry):
    """Every return from a handler forgets it: arch/x86/kernel/signal_64.c restore_sigcontext."""
    code, action = puppet.strings.stage + 0x2000, puppet.strings.stage + 0x3000
    puppet.write(code, RETURN_FROM_SIGNAL[puppet.abi.name])
    fields = {"handler": code, "flags": SA_SIGINFO | SA_RESTORER, "restorer": code}
    puppet.write(action, ACTION[puppet.abi.name].encode(**fields))
    assert puppet.call(entry, "rt_sigaction", SIGUSR1, action, 0, 8) == 0
    puppet.prepare(entry, "poll", 0, 0, 1000)
    _, status = puppet.interrupt(SIGUSR1)
    assert status == CALL_STOP
    assert puppet.resume() == Status.stopped(SIGUSR1)
    assert puppet.resume(by_signal=SIGUSR1) == TRAP_STOP
    assert entry.abi.signed(puppet.after()["ax"]) == -EINTR
    assert puppet.call(entry, "restart_syscall") == -EINTR


def test_a_call_under_sysemu_stops_at_its_entry_only_and_is_not_made(puppet, entry):
    old = puppet.call(entry, "umask", 0o22)
    puppet.prepare(entry, "umask", 0o77)
    assert puppet.resume(Request.SYSEMU) == CALL_STOP
    seen = puppet.registers()
    assert (seen["orig_ax"], seen["ax"]) == (
        puppet.number(entry, "umask"),
        -ENOSYS & puppet.view.mask,
    )
    puppet.set_registers(ax=77)
    assert puppet.resume(Request.SYSEMU) == TRAP_STOP
    assert puppet.after()["ax"] == 77
    assert puppet.call(entry, "umask", old) == 0o22


NOP = b"\x90"
TRAP_BRKPT, TRAP_TRACE, SI_KERNEL = 1, 2, 0x80


@pytest.mark.entries(*INSTRUCTIONS)
def test_single_steps_stop_behind_each_instruction_and_behind_the_call(puppet, entry):
    puppet.send_to(NOP + INSTRUCTIONS[entry.name] + NOP + INT3, ax=puppet.number(entry, "getppid"))
    flags, seen = puppet.home["flags"], []
    for _ in range(4):
        assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
        registers = puppet.registers()
        seen.append((registers["ip"] - puppet.strings.stage, puppet.siginfo()[2]))
        assert registers["flags"] == flags
    assert seen == [(1, TRAP_TRACE), (3, TRAP_BRKPT), (4, TRAP_TRACE), (5, SI_KERNEL)]
    assert registers["ax"] == 1


@pytest.mark.entries(*INSTRUCTIONS)
def test_a_step_under_sysemu_stops_at_the_calls_entry_and_does_not_make_it(puppet, entry):
    puppet.send_to(INSTRUCTIONS[entry.name] + NOP + INT3, ax=puppet.number(entry, "getppid"))
    assert puppet.resume(Request.SYSEMU_SINGLESTEP) == CALL_STOP
    puppet.set_registers(ax=77)
    assert puppet.resume(Request.SYSEMU_SINGLESTEP) == TRAP_STOP
    seen = puppet.registers()
    assert (seen["ip"] - puppet.strings.stage, seen["ax"]) == (3, 77)


def test_stepping_over_a_call_ends_with_the_steps(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    landing = puppet.registers()["ip"]
    assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
    assert (puppet.registers()["ip"], puppet.siginfo()[2]) == (landing, TRAP_BRKPT)
    assert puppet.resume() == TRAP_STOP
    assert puppet.after()["ax"] == 1
    assert not puppet.after()["flags"] & 0x100


def test_a_step_from_a_calls_exit_takes_one_instruction(puppet, entry):
    """SYSRET and SYSEXIT with the trap flag set would trap before it, or in the kernel."""
    puppet.prepare(entry, "getppid")
    assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2
    landing = puppet.registers()["ip"]
    assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
    stepped = puppet.registers()["ip"] - landing
    assert stepped in ({1} if entry.name in FAST else range(1, 16)), "bytes behind the call"
    assert puppet.siginfo()[2] == TRAP_TRACE
    assert puppet.resume() == TRAP_STOP
    assert puppet.after()["ax"] == 1


@pytest.mark.entries(*OWN)
def test_without_tracesysgood_a_call_stops_by_a_plain_sigtrap(guest, entry):
    with start_puppet(guest, entry.abi, options=0) as puppet:
        puppet.prepare(entry, "getppid")
        assert puppet.resume(Request.SYSCALL) == TRAP_STOP
        assert puppet.siginfo() == (SIGTRAP, 0, SIGTRAP)
        assert puppet.ptrace(Request.SETOPTIONS, 0, Option.TRACESYSGOOD).value == 0
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        assert puppet.siginfo() == (SIGTRAP, 0, SIGTRAP | 0x80)


NONE, ENTRY, EXIT = range(3)


def syscall_info(puppet, size=88):
    said = puppet.ptrace(Request.GET_SYSCALL_INFO, size, Buffer(88))
    assert said.memory[0][min(said.value, size) :] == b"\xa5" * (88 - min(said.value, size))
    return said.value, said.memory[0]


def test_syscall_info_names_arch_number_and_arguments_at_the_entry(puppet, entry):
    puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16)
    puppet.resume(Request.SYSCALL)
    seen = puppet.registers()
    size, info = syscall_info(puppet)
    assert size == 80
    op, *rest = struct.unpack("<B3xIQQQ6Q", info[:80])
    assert info[1:4] == bytes(3)
    number = puppet.number(entry, "getppid")
    assert op == ENTRY
    assert rest == [
        *(AUDIT_ARCH[entry.table], seen["ip"], seen["sp"], number),
        *range(11, 17),
    ]


def test_syscall_info_tells_result_from_error_at_the_exit(puppet, entry):
    for name, result in {"getppid": (1, 0), "close": (-EBADF, 1)}.items():
        puppet.prepare(entry, name, -1)
        puppet.resume(Request.SYSCALL)
        puppet.resume(Request.SYSCALL)
        seen = puppet.registers()
        size, info = syscall_info(puppet)
        assert size == 33
        op, *rest = struct.unpack("<B3xIQQqB", info[:33])
        assert op == EXIT
        assert rest == [AUDIT_ARCH[entry.table], seen["ip"], seen["sp"], *result]
        puppet.resume()


@pytest.mark.entries(*OWN)
def test_syscall_info_says_none_outside_of_a_call_and_writes_what_was_asked_for(puppet, entry):
    assert syscall_info(puppet)[0] == 24
    assert syscall_info(puppet)[1][0] == NONE
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    assert [syscall_info(puppet, size)[0] for size in (0, 1, 10, 79, 81)] == [80] * 5


@pytest.mark.needs(since="6.16")
def test_syscall_info_makes_another_call_of_it_and_another_result(puppet, entry):
    """Behind the first 24 bytes are number and arguments, or the result and whether it is an error.

    Source: kernel/ptrace.c ptrace_set_syscall_info (6.16).
    """

    def become(*values):
        info = syscall_info(puppet)[1][:24] + struct.pack(f"<{len(values)}Q", *values)
        return puppet.ptrace(Request.SET_SYSCALL_INFO, 88, info.ljust(88, b"\0"))

    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    assert become(puppet.number(entry, "close"), 0x7FFF).value == 0
    assert become(1 << 32, 0).errno == ERANGE
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert entry.abi.signed(puppet.registers()["ax"] & entry.abi.mask) == -EBADF
    assert become(-77 & (1 << 64) - 1, 1).value == 0
    puppet.resume()
    assert entry.abi.signed(puppet.after()["ax"]) == -77


@pytest.mark.needs(since="6.16")
@pytest.mark.entries(*OWN)
def test_syscall_info_that_does_not_fit_its_stop_is_einval(puppet, entry):
    puppet.prepare(entry, "getppid")
    puppet.resume(Request.SYSCALL)
    good = syscall_info(puppet)[1][:80].ljust(88, b"\0")
    cases = {
        "as it is": (88, good, None),
        "an exit's": (88, bytes([EXIT]) + good[1:], EINVAL),
        "with a flag": (88, good[:2] + b"\1" + good[3:], EINVAL),
        "with what is reserved": (88, good[:1] + b"\1" + good[2:], EINVAL),
        "cut short": (16, good, EINVAL),
        "from a hole": (88, HOLE, EFAULT),
    }
    said = {
        s: puppet.ptrace(Request.SET_SYSCALL_INFO, *case[:2]).errno for s, case in cases.items()
    }
    assert said == {says: case[2] for says, case in cases.items()}


@pytest.mark.entries(*OWN)
def test_the_call_that_somebody_is_in_can_be_read_from_a_file(guest, puppet, entry):
    """Source: lib/syscall.c task_current_syscall; fs/proc/base.c proc_pid_syscall (6.1)."""
    values = puppet.prepare(entry, "getppid", *(0x1234_5601 + n for n in range(6)))
    puppet.resume(Request.SYSCALL)
    number, *rest = guest.read_file(f"/proc/{puppet.pid}/syscall").decode().split()
    assert int(number) == puppet.number(entry, "getppid")
    given = [values[plain_name(name)] for name in entry.arguments]
    assert rest == [hex(value) for value in (*given, values["sp"], puppet.registers()["ip"])]
