# SPDX-License-Identifier: Apache-2.0
"""Seccomp: what a filter is told of a call by each entry path, and what its answers do.

Source: kernel/seccomp.c; include/linux/seccomp.h; arch/x86/include/asm/syscall.h (6.1);
Documentation/userspace-api/seccomp_filter.rst.
"""

import struct
from errno import EACCES, EBADF, EFAULT, EINVAL, ENOENT, ENOMEM, ENOSYS, EOPNOTSUPP, EPERM, ESRCH
from signal import SIG_IGN, SIGKILL, SIGSTOP, SIGSYS, SIGTRAP, SIGUSR1

import pytest

from harness.agent.arguments import Buffer
from harness.agent.filters import (
    ARCH,
    ARGUMENTS,
    AUDIT_ARCH,
    IP,
    NR,
    SET_MODE_FILTER,
    SET_MODE_STRICT,
    Action,
    answer,
    answer_unless,
    answer_where,
    install_filter,
    instruction,
    load,
    program_of,
)
from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import start_puppet
from harness.agent.structures import ACTION
from harness.entry import ENTRY_POINTS, native_entry
from harness.landscape import ARENA, HOLE, READ_ONLY

GET_ACTION_AVAIL, GET_NOTIF_SIZES = 2, 3
PR_GET_SECCOMP, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 21, 22, 38, 39
NEW_LISTENER = 8
SYS_SECCOMP = 1
DUMPED = 0x80
EVENT_SECCOMP = 7
DIRECTORY = b"/made\0"
ALLOW = answer(Action.ALLOW)
PLAIN = ("int80", "syscall", "int80_64")
OWN = ("int80", "syscall")


pytestmark = pytest.mark.entries(*ENTRY_POINTS)


def on(guest, entry, name, action):
    """Return a filter: `action` for the call `name` through `entry`, everything else is allowed."""
    number = guest.table(entry).number(name)
    return answer_where({ARCH: AUDIT_ARCH[entry.table], NR: number}, action) + ALLOW


@pytest.fixture
def puppet(guest, entry):
    """Give a process that is traced by one of the kernel's own ABI."""
    with start_puppet(guest, entry.abi) as puppet:
        yield puppet


def test_a_filter_is_told_number_and_architecture(guest, entry):
    assert install_filter(guest, entry, on(guest, entry, "getppid", Action.ERRNO + 77)).value == 0
    assert guest.call(entry, "getppid").errno == 77
    assert guest.call(entry, "close", -1).errno == EBADF


def test_a_filter_is_told_all_six_arguments_whole(guest, entry):
    """By int80 from 64-bit code that is the whole register too, of which the call takes half."""
    given = [0x1234_5601_0000_A001 * (place + 1) for place in range(6)]
    mask = entry.abi.mask
    code = answer_unless(NR, guest.table(entry).number("getppid"), Action.ALLOW)
    for place, value in enumerate(given):
        low, high = ARGUMENTS + 8 * place, ARGUMENTS + 8 * place + 4
        code += answer_unless(low, value & 0xFFFF_FFFF, Action.ERRNO + 10 * place + 101)
        code += answer_unless(high, (value & mask) >> 32, Action.ERRNO + 10 * place + 102)
    assert install_filter(guest, entry, code + answer(Action.ERRNO + 99)).value == 0
    said = guest.call(entry, "getppid", *given)
    assert said.errno == 99, "101 + 10 * n: argument n is wrong in its low half; 102: high"


@pytest.mark.entries(*PLAIN)
def test_a_filter_is_told_where_the_call_comes_from(guest, entry):
    landed = guest.about(entry.abi).landed[entry.name]
    number = guest.table(entry).number("getppid")
    right = {NR: number, IP: landed & 0xFFFF_FFFF, IP + 4: landed >> 32}
    code = answer_where(right, Action.ERRNO + 77)
    assert install_filter(guest, entry, code + ALLOW).value == 0
    assert guest.call(entry, "getppid").errno == 77


def test_a_filter_is_told_numbers_past_the_table_and_negative_ones(guest, entry):
    numbers = {0x7FFF: 71, 0x7FFF_FFFF: 72, -2: 73, -0x8000_0000: 74}
    code = b"".join(answer_where({NR: n}, Action.ERRNO + e) for n, e in numbers.items())
    assert install_filter(guest, entry, code + ALLOW).value == 0
    assert {n: guest.call(entry, n).errno for n in numbers} == numbers


@pytest.mark.entries(*OWN)
def test_errno_gives_the_error_and_no_more_than_4095(guest, entry):
    names = {"getppid": 1, "getuid": 4094, "getgid": 4095, "geteuid": 4096, "getegid": 0xFFFF}
    number = guest.table(entry).number
    code = b"".join(answer_where({NR: number(n)}, Action.ERRNO + e) for n, e in names.items())
    code += answer_where({NR: number("close")}, Action.ERRNO)
    assert install_filter(guest, entry, code + ALLOW).value == 0
    seen = {name: guest.call(entry, name).value for name in names}
    assert seen == {name: -min(error, 4095) for name, error in names.items()}
    assert guest.call(entry, "close", -1).value == 0


LOAD_LENGTH, LOAD_LENGTH_INDEX = instruction(0x80, 0), instruction(0x81, 0) + instruction(0x87, 0)
"""BPF_LD | BPF_LEN; BPF_LDX | BPF_LEN and BPF_TXA."""


@pytest.mark.entries(*OWN)
def test_a_filter_is_told_how_much_it_is_told(guest, entry):
    seen, equals = {}, instruction(0x15, 64, 0, 1)  # BPF_JMP | BPF_JEQ: struct seccomp_data
    told = equals + answer(Action.ERRNO + 77) + answer(Action.ERRNO + 78)
    for name, asked in {"getuid": LOAD_LENGTH, "getgid": LOAD_LENGTH_INDEX}.items():
        others = answer_unless(NR, guest.table(entry).number(name), Action.ALLOW)
        assert install_filter(guest, entry, others + asked + told).value == 0
        seen[name] = guest.call(entry, name).errno
    assert seen == {"getuid": 77, "getgid": 77}, "78: another length than 64"


def test_a_denied_call_is_not_made_and_changes_no_register(guest, entry):
    old = guest.call(entry, "umask", 0o22).value
    assert install_filter(guest, entry, on(guest, entry, "umask", Action.ERRNO + 77)).value == 0
    said = guest.call(entry, "umask", 0o77)
    assert (said.errno, said.clobbered <= entry.may_clobber) == (77, True)
    masks = guest.read_file(f"/proc/{guest.call(entry, 'getpid').value}/status").decode()
    assert "Umask:\t0022" in masks, old


def test_trap_sends_sigsys_from_the_call_with_its_number_in_ax(guest, entry):
    assert install_filter(guest, entry, on(guest, entry, "getppid", Action.TRAP + 7)).value == 0
    said = guest.call(entry, "getppid")
    assert said.signal
    assert (said.signal.name, said.signal.code) == ("SIGSYS", SYS_SECCOMP)
    assert said.signal.address == said.after["ip"]
    assert said.after[entry.number] == guest.table(entry).number("getppid")
    if entry.name in PLAIN:
        assert said.after["ip"] == guest.about(entry.abi).landed[entry.name]


def test_traps_siginfo_names_call_and_architecture(guest, entry):
    """The tracer is of the same ABI, and so sees siginfo_t as the process would."""
    with start_puppet(guest, entry.abi, native_entry(entry.abi)) as puppet:
        assert puppet.install_filter(entry, on(guest, entry, "getppid", Action.TRAP + 0x1234)) == 0
        puppet.prepare(entry, "getppid")
        assert puppet.resume() == Status.stopped(SIGSYS)
        assert puppet.siginfo() == (SIGSYS, 0x1234, SYS_SECCOMP)
        seen, number = puppet.registers(), puppet.number(entry, "getppid")
        assert puppet.refused_call() == (seen["ip"], number, AUDIT_ARCH[entry.table])
        assert seen["ax"] == number


def test_kill_ends_the_process_by_sigsys(guest, puppet, entry):
    assert puppet.install_filter(entry, on(guest, entry, "getppid", Action.KILL_PROCESS)) == 0
    assert puppet.call(entry, "getuid") == 0
    puppet.prepare(entry, "getppid")
    assert puppet.resume() & ~DUMPED == Status(SIGSYS)


@pytest.mark.entries(*OWN)
@pytest.mark.parametrize("action", [Action.KILL_THREAD, 0x0004_0000, 0x7FFD_0000], ids=hex)
def test_killing_the_only_thread_and_unknown_answers_end_the_process_too(
    guest, puppet, entry, action
):
    assert puppet.install_filter(entry, on(guest, entry, "getppid", action)) == 0
    puppet.prepare(entry, "getppid")
    assert puppet.resume() & ~DUMPED == Status(SIGSYS)


@pytest.mark.entries(*OWN)
@pytest.mark.parametrize("how", ["handled", "ignored", "blocked"])
def test_nothing_saves_a_process_that_is_to_be_killed(puppet, entry, how):
    """And where a filter's trap is ignored or blocked, it is no trap: kernel/signal.c (6.1)."""
    at = puppet.strings.stage + 0x180
    if how == "blocked":
        puppet.write(at, entry.table.words(1 << SIGSYS - 1, 0))
        assert puppet.call(entry, "rt_sigprocmask", 0, at, 0, 8) == 0
    else:
        handler = {"handled": puppet.strings.stage, "ignored": SIG_IGN}[how]
        puppet.write(at, ACTION[entry.table.name].encode(handler=handler, flags=0))
        assert puppet.call(entry, "rt_sigaction", SIGSYS, at, 0, 8) == 0
    action = Action.KILL_PROCESS if how == "handled" else Action.TRAP
    assert puppet.install_filter(entry, on(puppet, entry, "getppid", action)) == 0
    puppet.prepare(entry, "getppid")
    status = puppet.resume()
    if how != "handled":
        assert status == Status.stopped(SIGSYS)
        status = puppet.resume(by_signal=SIGSYS)
    assert status & ~DUMPED == Status(SIGSYS)


@pytest.mark.entries(*OWN)
def test_log_allows(guest, entry):
    assert install_filter(guest, entry, on(guest, entry, "getppid", Action.LOG)).value == 0
    assert guest.call(entry, "getppid").value == 1


def test_trace_without_a_tracer_is_enosys(guest, entry):
    assert install_filter(guest, entry, on(guest, entry, "getppid", Action.TRACE + 7)).value == 0
    assert guest.call(entry, "getppid").errno == ENOSYS


@pytest.fixture
def asked(guest, entry):
    """Give a traced process whose getppid its tracer is asked about."""
    options = Option.TRACESECCOMP | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as puppet:
        assert puppet.install_filter(entry, on(guest, entry, "getppid", Action.TRACE + 0x1234)) == 0
        puppet.prepare(entry, "getppid", 11, 12, 13, 14, 15, 16)
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_SECCOMP)
        yield puppet


@pytest.mark.entries(*PLAIN)
def test_trace_asks_the_tracer_who_may_let_it_pass(asked, entry):
    assert asked.event_message() == 0x1234
    seen = asked.registers()
    assert seen["orig_ax"] == asked.number(entry, "getppid")
    assert seen["ax"] == -ENOSYS & asked.view.mask
    assert asked.resume() == TRAP_STOP
    assert asked.after()["ax"] == 1


def test_trace_asks_the_tracer_who_may_skip_or_change_it(asked, entry):
    asked.set_registers(orig_ax=-1, ax=77)
    assert asked.resume() == TRAP_STOP
    assert asked.after()["ax"] == 77
    asked.prepare(entry, "getppid")
    assert asked.resume() == Status.stopped(SIGTRAP, EVENT_SECCOMP)
    asked.set_registers(orig_ax=asked.number(entry, "getpid"))
    assert asked.resume() == TRAP_STOP
    assert asked.after()["ax"] == asked.pid


def test_any_negative_number_that_the_tracer_gives_skips_the_call(asked, entry):
    """And what the tracer has in ax stays. Source: kernel/seccomp.c __seccomp_filter (6.1)."""
    seen = {}
    for number in (-1, -2, -0x8000_0000):
        asked.set_registers(orig_ax=number, ax=77)
        assert asked.resume() == TRAP_STOP
        seen[number] = entry.abi.signed(asked.after()["ax"])
        asked.prepare(entry, "getppid")
        assert asked.resume() == Status.stopped(SIGTRAP, EVENT_SECCOMP)
    assert seen == dict.fromkeys(seen, 77)


def test_a_call_is_not_made_by_who_is_killed_while_the_tracer_is_asked(guest, entry):
    options = Option.TRACESECCOMP | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as puppet:
        assert puppet.install_filter(entry, on(guest, entry, "mkdir", Action.TRACE)) == 0
        puppet.write(puppet.strings.stage, DIRECTORY)
        puppet.prepare(entry, "mkdir", puppet.strings.stage, 0o700)
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_SECCOMP)
        puppet.signal(SIGKILL)
        assert puppet.wait() == Status(SIGKILL)
    assert guest.call(entry, "access", DIRECTORY, 0).errno == ENOENT, "it was made"


@pytest.mark.entries(*PLAIN)
def test_syscall_info_tells_of_a_call_that_a_filter_asks_about(asked, entry):
    said = asked.ptrace(Request.GET_SYSCALL_INFO, 96, Buffer(96))
    assert said.value in (84, 88)
    op, *rest = struct.unpack_from("<B3xIQQQ6QI", said.memory[0])
    seen = asked.registers()
    assert op == 3
    assert rest == [
        *(AUDIT_ARCH[entry.table], seen["ip"], seen["sp"], asked.number(entry, "getppid")),
        *(*range(11, 17), 0x1234),
    ]


@pytest.mark.entries(*PLAIN)
def test_a_call_that_the_tracer_makes_of_it_is_asked_about_again(guest, asked, entry):
    code = on(guest, entry, "geteuid", Action.ERRNO + 78)
    assert asked.resume() == TRAP_STOP
    assert asked.install_filter(entry, code) == 0
    asked.prepare(entry, "getppid")
    assert asked.resume() == Status.stopped(SIGTRAP, EVENT_SECCOMP)
    asked.set_registers(orig_ax=asked.number(entry, "geteuid"))
    assert asked.resume() == TRAP_STOP
    assert entry.abi.signed(asked.after()["ax"]) == -78, "the call that it became is denied"


def test_a_tracer_comes_before_the_filter(guest, puppet, entry):
    assert puppet.install_filter(entry, on(guest, entry, "getppid", Action.ERRNO + 77)) == 0
    seen = {}
    for name, instead in (("getppid", "getpid"), ("getpid", "getppid")):
        puppet.prepare(entry, name)
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        puppet.set_registers(orig_ax=puppet.number(entry, instead))
        list(puppet.stops(Request.SYSCALL))
        seen[name] = entry.abi.signed(puppet.after()["ax"])
    assert seen == {"getppid": puppet.pid, "getpid": -77}


@pytest.mark.entries(*PLAIN)
def test_a_filter_is_told_that_a_call_is_taken_up_again(puppet, entry):
    """Source: arch/x86/kernel/signal.c get_nr_restart_syscall (6.1)."""
    code = on(puppet, entry, "restart_syscall", Action.ERRNO + 77)
    assert puppet.install_filter(entry, code) == 0
    puppet.prepare(entry, "poll", 0, 0, 5000)
    _, status = puppet.interrupt(SIGUSR1)
    assert status == CALL_STOP
    assert puppet.resume() == Status.stopped(SIGUSR1)
    assert puppet.resume() == TRAP_STOP
    assert entry.abi.signed(puppet.after()["ax"]) == -77


def suspend_filters(puppet):
    """Return what comes of asking for it, or skip where it cannot be asked for.

    Source: kernel/ptrace.c check_ptrace_options (6.1).
    """
    said = puppet.ptrace(Request.SETOPTIONS, 0, Option.SUSPEND_SECCOMP)
    if said.errno == EINVAL:
        pytest.skip("the kernel is configured without checkpoints")
    return said


@pytest.mark.guest_only("it wants privilege")
def test_a_privileged_tracer_suspends_the_filter_as_long_as_it_likes(guest, puppet, entry):
    assert puppet.install_filter(entry, on(guest, entry, "getuid", Action.ERRNO + 77)) == 0
    seen = [puppet.call(entry, "getuid")]
    assert suspend_filters(puppet).value == 0
    seen.append(puppet.call(entry, "getuid"))
    assert puppet.ptrace(Request.SETOPTIONS, 0, 0).value == 0
    seen.append(puppet.call(entry, "getuid"))
    assert seen == [-77, 0, -77]


ALL_BUT_SYS_ADMIN = (0xFFDF_FFFF, 0xFFDF_FFFF, 0, 0, 0, 0)


@pytest.mark.guest_only("it wants privilege")
@pytest.mark.entries(*OWN)
def test_a_tracer_without_privilege_suspends_none_from_its_first_request_on(guest, puppet, entry):
    """CVE-2022-30594. Source: kernel/ptrace.c ptrace_attach (6.12)."""
    at, few = puppet.strings.stage + 0x1800, struct.pack("<6I", *ALL_BUT_SYS_ADMIN)
    header = struct.pack("<Ii", 0x2008_0522, 0)
    puppet.write(at, header + few)
    assert puppet.call(entry, "capset", at, at + len(header)) == 0
    assert puppet.ptrace(Request.DETACH, 0, SIGSTOP).value == 0
    assert guest.call(puppet.tracer, "capset", header, few).value == 0
    said = puppet.ptrace(Request.SEIZE, 0, Option.SUSPEND_SECCOMP)
    if said.errno == EINVAL:
        pytest.skip("the kernel is configured without checkpoints")
    assert said.errno == EPERM
    assert puppet.ptrace(Request.SEIZE).value == 0


@pytest.mark.guest_only("it wants privilege")
@pytest.mark.entries(*OWN)
def test_a_tracer_under_a_filter_suspends_none(guest, puppet):
    assert install_filter(guest, puppet.tracer, ALLOW).value == 0
    assert suspend_filters(puppet).errno == EPERM


@pytest.mark.entries(*OWN)
def test_the_strictest_of_several_filters_decides_and_of_equals_the_newest(guest, entry):
    names = ("getppid", "getuid", "getgid", "geteuid", "getegid")
    number = dict(zip(names, map(guest.table(entry).number, names), strict=True))

    def give(actions):
        code = b"".join(answer_where({NR: number[n]}, a) for n, a in actions.items())
        assert install_filter(guest, entry, code + ALLOW).value == 0

    errno = Action.ERRNO
    give({"getppid": errno + 1, "getuid": Action.ALLOW, "getgid": Action.TRACE})
    give({"getppid": errno + 2, "getuid": errno + 3, "getgid": errno + 4, "geteuid": Action.LOG})
    give({"getppid": Action.LOG, "getuid": Action.TRACE, "getgid": Action.LOG, "getegid": errno})
    seen = {name: guest.call(entry, name).value for name in names}
    assert seen == {"getppid": -2, "getuid": -3, "getgid": -4, "geteuid": 0, "getegid": 0}


STRICTER = {
    "kill_process": (Action.KILL_PROCESS, Action.TRAP, Status(SIGSYS)),
    "kill_thread": (Action.KILL_THREAD, Action.TRAP, Status(SIGSYS)),
    "trap": (Action.TRAP, Action.ERRNO + 7, Status.stopped(SIGSYS)),
}
"""Two actions, and what becomes of a call that filters answer with each."""


@pytest.mark.entries(*OWN)
@pytest.mark.parametrize("order", [1, -1], ids=["stricter first", "stricter last"])
@pytest.mark.parametrize("action", STRICTER)
def test_killing_comes_before_a_trap_and_a_trap_before_an_error(puppet, entry, action, order):
    *two, expected = STRICTER[action]
    for answered in [*two, Action.LOG][::order]:
        assert puppet.install_filter(entry, on(puppet, entry, "getppid", answered)) == 0
    puppet.prepare(entry, "getppid")
    assert puppet.resume() & ~DUMPED == expected


def test_strict_mode_allows_reading_and_writing_and_nothing_else(puppet, entry):
    assert puppet.call(entry, "prctl", PR_SET_SECCOMP, 1) == 0
    assert puppet.call(entry, "read", -1, 0, 0) == -EBADF
    assert puppet.call(entry, "write", -1, 0, 0) == -EBADF
    puppet.prepare(entry, "getppid")
    assert puppet.resume() == Status(SIGKILL)


@pytest.mark.entries(*OWN)
def test_strict_mode_lets_a_program_exit(puppet, entry):
    assert puppet.call(entry, "seccomp", SET_MODE_STRICT, 0, 0) == 0
    puppet.prepare(entry, "exit", 5)
    assert puppet.resume() == Status.exited(5)


@pytest.mark.entries("syscall", "int80_64")
def test_strict_mode_knows_numbers_by_their_abi(puppet, entry):
    """By int80, 0 is restart_syscall and 3 is read; by syscall, 0 is read and 3 is close."""
    allowed, forbidden = {"syscall": (0, 3), "int80_64": (3, 0)}[entry.name]
    assert puppet.call(entry, "prctl", PR_SET_SECCOMP, 1) == 0
    assert puppet.call(entry, allowed, -1, 0, 0) == -EBADF
    puppet.prepare(entry, forbidden, -1, 0, 0)
    assert puppet.resume() == Status(SIGKILL)


@pytest.mark.entries(*OWN)
def test_a_filter_needs_privilege_or_a_promise_to_gain_none(guest, entry):
    assert guest.call(entry, "setuid", 1000).value == 0
    code = on(guest, entry, "getppid", Action.ERRNO + 77)
    assert install_filter(guest, entry, code).errno == EACCES
    assert guest.call(entry, "getppid").value == 1
    assert guest.call(entry, "prctl", PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0).value == 0
    assert guest.call(entry, "prctl", PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0).errno == EINVAL
    assert guest.call(entry, "prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 1).errno == EINVAL
    assert guest.call(entry, "prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).value == 0
    assert guest.call(entry, "prctl", PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0).value == 1
    assert install_filter(guest, entry, code).value == 0
    assert guest.call(entry, "getppid").errno == 77


EQUAL, MORE, AT_LEAST, ANY_BIT, JUMP, MASK = 0x15, 0x25, 0x35, 0x45, 0x05, 0x54


def decisions(number):
    """Return by kind the beginnings of filters that go on for one number alone, and allow others.

    Source: include/uapi/linux/bpf_common.h.
    """
    return {
        "at least": instruction(AT_LEAST, number, 0, 2) + instruction(AT_LEAST, number + 1, 1, 0),
        "more": instruction(MORE, number - 1, 0, 2) + instruction(MORE, number, 1, 0),
        "any bit": instruction(EQUAL, number, 0, 2) + instruction(ANY_BIT, ~number, 1, 0),
        "masked": instruction(MASK, 0xFFFF) + instruction(EQUAL, number, 0, 1),
        "jump": instruction(EQUAL, number, 1, 0) + ALLOW + instruction(JUMP, 1) + ALLOW,
    }


@pytest.mark.entries(*OWN)
def test_a_filter_decides_by_whatever_it_compares(guest, entry):
    """The kernel knows what it always allows: seccomp.c seccomp_is_const_allow (5.11)."""
    calls, seen = ("getppid", "getuid", "getgid", "geteuid", "getegid"), {}
    expected = {kind: (0, -70 - at) for at, kind in enumerate(decisions(0))}
    for name, (kind, (_, error)) in zip(calls, expected.items(), strict=True):
        chosen = decisions(guest.table(entry).number(name))[kind]
        code = load(NR) + chosen + answer(Action.ERRNO - error) + ALLOW
        said = install_filter(guest, entry, code).value, guest.call(entry, name).value
        seen[kind] = said
    assert seen == expected
    assert guest.call(entry, "getpid").value > 1


INVALID = {
    "nothing": b"",
    "more than 4096 instructions": ALLOW * 4097,
    "no answer at its end": ALLOW + load(0),
    "a jump past its end": instruction(0x15, 0, 9, 0) + ALLOW,
    "a word past the data": load(64) + ALLOW,
    "a word across the data's end": load(62) + ALLOW,
    "a word at an odd place": load(2) + ALLOW,
    "half a word": instruction(0x28, 0) + ALLOW,
    "an unknown instruction": instruction(0xFF, 0) + ALLOW,
    "a division by zero": instruction(0x34, 0) + ALLOW,
}


@pytest.mark.entries(*PLAIN)
def test_a_filter_that_makes_no_sense_is_einval(guest, entry):
    seen = {says: install_filter(guest, entry, code).errno for says, code in INVALID.items()}
    assert seen == dict.fromkeys(INVALID, EINVAL)
    assert install_filter(guest, entry, load(60) + ALLOW).value == 0


@pytest.mark.entries(*PLAIN)
def test_a_request_that_makes_no_sense(guest, entry):
    program = program_of(HOLE, ALLOW, entry.table)
    cases = {
        "a program in a hole": (SET_MODE_FILTER, 0, HOLE, EFAULT),
        "a filter in a hole": (SET_MODE_FILTER, 0, program, EFAULT),
        "an unknown flag": (SET_MODE_FILTER, 0x40, program, EINVAL),
        "a great flag": (SET_MODE_FILTER, 1 << 31, program, EINVAL),
        "a listener and an error's thread": (SET_MODE_FILTER, 1 | NEW_LISTENER, program, EINVAL),
        **{f"flag {1 << at}": (SET_MODE_FILTER, 1 << at, HOLE, EFAULT) for at in range(4)},
        "an unknown operation": (9, 0, program, EINVAL),
        "strict, with a flag": (SET_MODE_STRICT, 1, 0, EINVAL),
        "strict, with an argument": (SET_MODE_STRICT, 0, program, EINVAL),
        "an action, with a flag": (GET_ACTION_AVAIL, 1, program, EINVAL),
        "an action from a hole": (GET_ACTION_AVAIL, 0, HOLE, EFAULT),
        "an action that is none": (GET_ACTION_AVAIL, 0, b"\0\0\4\0", EOPNOTSUPP),
        "an action that is there": (GET_ACTION_AVAIL, 0, b"\0\0\5\0", None),
        "sizes, with a flag": (GET_NOTIF_SIZES, 1, Buffer(8), EINVAL),
        "sizes to a hole": (GET_NOTIF_SIZES, 0, HOLE, EFAULT),
        "sizes to a read-only page": (GET_NOTIF_SIZES, 0, READ_ONLY.start, EFAULT),
    }
    seen = {says: guest.call(entry, "seccomp", *case[:3]).errno for says, case in cases.items()}
    assert seen == {says: case[3] for says, case in cases.items()}
    modes = [guest.call(entry, "prctl", PR_SET_SECCOMP, mode, program).errno for mode in (0, 3)]
    assert modes == [EINVAL, EINVAL]


@pytest.mark.entries(*PLAIN)
@pytest.mark.needs(since="6.0")
def test_to_wait_for_the_end_of_a_call_alone_wants_somebody_who_waits(guest, entry):
    wait = 0x20
    cases = {wait: EINVAL, wait | 1: EINVAL, wait | NEW_LISTENER: EFAULT, 0x11: EFAULT}
    seen = {how: guest.call(entry, "seccomp", SET_MODE_FILTER, how, HOLE).errno for how in cases}
    assert seen == cases


@pytest.mark.entries(*OWN)
def test_filters_have_no_more_than_32768_instructions_together(guest, entry):
    """The kernel's own instructions, two for each answer: seccomp.c seccomp_attach_filter (6.1)."""
    seen = [install_filter(guest, entry, ALLOW * 4096).value for _ in range(4)]
    assert seen == [0, 0, 0, -ENOMEM]
    assert install_filter(guest, entry, ALLOW).value == 0


@pytest.fixture
def checkpoints(guest, entry):
    """Skip where the kernel is configured without: kernel/pid_namespace.c (6.1)."""
    if guest.call(entry, "access", b"/proc/sys/kernel/ns_last_pid\0", 0).errno == ENOENT:
        pytest.skip("the kernel is configured without checkpoints")


@pytest.mark.usefixtures("checkpoints")
@pytest.mark.guest_only("it wants privilege")
@pytest.mark.entries(*OWN)
def test_a_privileged_tracer_is_told_of_filters_from_the_oldest_on(puppet, entry):
    assert puppet.ptrace(Request.SECCOMP_GET_FILTER, 0, 0).errno == EINVAL
    filters = [on(puppet, entry, "getppid", Action.ERRNO + 77), ALLOW]
    assert [puppet.install_filter(entry, code) for code in filters] == [0, 0]
    for at, code in enumerate(filters):
        assert puppet.ptrace(Request.SECCOMP_GET_FILTER, at, 0).value == len(code) // 8
        told = puppet.ptrace(Request.SECCOMP_GET_FILTER, at, Buffer(len(code) + 8))
        assert told.memory[0].hex() == (code + b"\xa5" * 8).hex()
    assert puppet.ptrace(Request.SECCOMP_GET_FILTER, 2, 0).errno == ENOENT


LOG_FLAG, METADATA = 2, ARENA.start + 0x9000


@pytest.mark.usefixtures("checkpoints")
@pytest.mark.guest_only("it wants privilege")
@pytest.mark.entries(*OWN)
def test_a_privileged_tracer_is_told_which_filter_writes_to_the_log(guest, puppet, entry):
    abi = puppet.tracer.abi
    seen = []
    for at, flags in enumerate((LOG_FLAG, 0)):
        assert puppet.install_filter(entry, ALLOW, flags) == 0
        guest.write(abi, METADATA, struct.pack("<QQQ", at, 7, 7))
        said = puppet.ptrace(Request.SECCOMP_GET_METADATA, 24, METADATA).value
        seen.append((said, struct.unpack("<QQQ", guest.read(abi, METADATA, 24))))
    assert seen == [(16, (0, LOG_FLAG, 7)), (16, (1, 0, 7))]
    assert puppet.ptrace(Request.SECCOMP_GET_METADATA, 7, METADATA).errno == EINVAL
    assert puppet.ptrace(Request.SECCOMP_GET_METADATA, 16, HOLE).errno == EFAULT


@pytest.mark.entries(*PLAIN)
def test_every_action_is_said_to_be_there(guest, entry):
    seen = {
        action.name: guest.call(
            entry, "seccomp", GET_ACTION_AVAIL, 0, action.to_bytes(4, "little")
        ).value
        for action in Action
    }
    assert seen == dict.fromkeys(seen, 0)


@pytest.mark.entries(*PLAIN)
def test_the_mode_is_told_and_does_not_go_back(guest, entry):
    def mode():
        return guest.call(entry, "prctl", PR_GET_SECCOMP, 0, 0, 0, 0).value

    assert mode() == 0
    assert install_filter(guest, entry, ALLOW).value == 0
    assert mode() == 2
    assert guest.call(entry, "seccomp", SET_MODE_STRICT, 0, 0).errno == EINVAL
    assert mode() == 2


@pytest.mark.entries(*PLAIN)
def test_a_filter_stays_over_fork(guest, entry):
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as puppet:
        assert puppet.install_filter(entry, on(guest, entry, "getppid", Action.ERRNO + 77)) == 0
        child = puppet.fork(entry)
        assert child.resume() == TRAP_STOP
        assert child.call(entry, "getppid") == -77
        assert child.call(entry, "getuid") == 0
        child.kill()


@pytest.mark.entries(*PLAIN)
def test_a_filter_stays_over_exec(guest, puppet, entry):
    assert puppet.install_filter(entry, on(guest, entry, "getppid", Action.ERRNO + 77)) == 0
    puppet.prepare_exec(entry)
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.execute(entry, "getppid") == -77


TSYNC, TSYNC_ESRCH = 1, 0x10


@pytest.fixture
def threads(guest, entry):
    """Give both threads of a traced process."""
    options = Option.TRACECLONE | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as one:
        other = one.start_thread(entry)
        yield one, other
        other.kill()


@pytest.mark.entries("int80")
def test_killing_a_thread_leaves_the_others_alive(guest, threads, entry):
    one, other = threads
    code = on(guest, entry, "getppid", Action.KILL_THREAD)
    assert other.install_filter(entry, code) == 0
    other.prepare(entry, "getppid")
    assert other.resume() == Status(SIGSYS)
    assert one.call(entry, "getppid") > 0


@pytest.mark.entries("int80")
def test_a_filter_is_given_to_every_thread_at_once_or_to_none(guest, threads, entry):
    one, other = threads
    code = on(guest, entry, "getppid", Action.ERRNO + 77)
    assert one.install_filter(entry, code, TSYNC) == 0
    assert other.call(entry, "getppid") == -77
    assert other.install_filter(entry, code) == 0
    code = on(guest, entry, "getgid", Action.ERRNO + 79)
    told = [one.install_filter(entry, code, flags) for flags in (TSYNC, TSYNC | TSYNC_ESRCH)]
    assert told == [other.pid, -ESRCH], "who has a filter of its own, and that somebody has"
    assert other.call(entry, "getgid") == 0
