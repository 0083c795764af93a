# SPDX-License-Identifier: Apache-2.0
"""A process of several threads: its signals, stops and children, its end and its next program.

Source: kernel/signal.c complete_signal, do_signal_stop; kernel/exit.c do_group_exit, do_wait,
find_new_reaper; kernel/fork.c ksys_unshare; fs/exec.c de_thread (6.1); man 2 clone, CLONE_THREAD.
"""

from errno import EBADF, ECHILD, EINVAL, ESRCH
from signal import SIGCHLD, SIGCONT, SIGSTOP, SIGTRAP, SIGUSR1, SIGUSR2

import pytest

from harness.agent import clocks
from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import start_puppet
from harness.agent.structures import ENDED

pytestmark = pytest.mark.entries("int80", "syscall")

CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_THREAD = 0x100, 0x200, 0x400, 0x800, 0x10000
CLONE_NEWUSER, WNOHANG, OWN_CHILDREN, ALL_CHILDREN = 0x1000_0000, 1, 0x2000_0000, 0x4000_0000
EVENT_EXEC, EVENT_STOP, F_GETFD = 4, 128, 1
CLD_STOPPED, OF_CHILDREN = 5, (1 << SIGCHLD - 1).to_bytes(8, "little")
OPTIONS = Option.TRACECLONE | Option.TRACEFORK | Option.TRACEEXEC | Option.TRACESYSGOOD


@pytest.fixture
def threads(guest, entry):
    """Give both threads of a process, the one that has its number first."""
    with start_puppet(guest, entry.abi, options=OPTIONS) as one:
        threads = [one, one.start_thread(entry)]
        yield threads
        for thread in threads[:0:-1]:
            thread.kill()


def begin(thread, entry, name, *arguments):
    """Let a thread begin a call, and do not wait for what comes of it."""
    thread.prepare(entry, name, *arguments)
    assert thread.resume(Request.SYSCALL) == CALL_STOP
    assert thread.ptrace(Request.CONT).value == 0


def test_a_signal_is_for_a_thread_that_wants_it_or_for_the_one_it_names(threads, entry):
    one, other = threads
    blocked = (1 << SIGUSR1 - 1).to_bytes(8, "little")
    assert one.ptrace(Request.SETSIGMASK, 8, blocked).value == 0
    begin(other, entry, "pause")
    one.signal(SIGUSR1)
    assert other.wait() == Status.stopped(SIGUSR1), "the one that does not block it"
    assert other.ptrace(Request.CONT).value == 0
    assert one.call(entry, "tgkill", one.pid, one.pid, SIGUSR1) == 0
    assert one.call(entry, "tgkill", one.pid, other.pid, SIGUSR2) == 0
    assert other.wait() == Status.stopped(SIGUSR2), "the one that is named"
    assert one.ptrace(Request.SETSIGMASK, 8, bytes(8)).value == 0
    assert one.resume() == Status.stopped(SIGUSR1), "the one that is named, and blocked it"


def test_a_threads_number_is_not_its_processes(threads, entry):
    one, other = threads
    cases = {
        ("tgkill", one.pid, other.pid, 0): 0,
        ("tgkill", other.pid, other.pid, 0): -ESRCH,
        ("tgkill", other.pid, one.pid, 0): -ESRCH,
        ("kill", other.pid, 0): 0,
        ("setpgid", other.pid, 0): -EINVAL,
        ("getpgid", other.pid): one.pid,
        ("wait4", other.pid, 0, WNOHANG | ALL_CHILDREN, 0): -ECHILD,
    }
    assert {call: one.call(entry, *call) for call in cases} == cases


def test_a_stop_is_every_threads_and_that_of_who_comes_meanwhile(threads, entry):
    one, other = threads
    stopped, going_on = (Status.stopped(by, EVENT_STOP) for by in (SIGSTOP, SIGTRAP))
    begin(other, entry, "pause")
    one.prepare(entry, "tgkill", one.pid, one.pid, SIGSTOP)
    assert one.resume() == Status.stopped(SIGSTOP)
    assert [one.resume(by_signal=SIGSTOP), other.wait()] == [stopped] * 2
    assert one.resume() == TRAP_STOP, "its tracer lets it go on"
    one.prepare(entry, "clone", THREAD, one.strings.stage + 0xA000, 0, 0, 0)
    one.resume()
    third = one.follow(one.event_message())
    threads.append(third)
    assert third.wait() == stopped
    for each in (other, third):
        assert each.ptrace(Request.LISTEN).value == 0
    one.signal(SIGCONT)
    assert [each.wait() for each in (other, third)] == [going_on] * 2


def let_pause(guest, threads, entry):
    """Let the second thread go and wait for a signal, in a process that goes on."""
    one, other = threads
    begin(other, entry, "pause")
    assert other.ptrace(Request.INTERRUPT).value == 0
    assert other.wait().is_stop
    assert other.ptrace(Request.DETACH).value == 0
    one.prepare(entry, "getppid")
    one.signal(SIGCONT)
    assert [*one.stops(Request.CONT)][-1] == TRAP_STOP, "it has been told"
    assert guest.call(entry, clocks.WAIT, entry.table.words(0, 5_000_000), 0).value == 0
    assert state(guest, one, other) == "S", "it waits"


def state(guest, one, thread):
    """Return the letter by which a thread's state is told."""
    said = guest.read_file(f"/proc/{one.pid}/task/{thread.pid}/stat").decode()
    return said.rpartition(")")[2].split()[0]


def test_a_stop_is_also_of_a_thread_that_nobody_traces(guest, threads, entry):
    one, other = threads
    let_pause(guest, threads, entry)
    one.prepare(entry, "tgkill", one.pid, one.pid, SIGSTOP)
    assert one.resume() == Status.stopped(SIGSTOP)
    assert one.resume(by_signal=SIGSTOP) == Status.stopped(SIGSTOP, EVENT_STOP)
    assert guest.call(entry, clocks.WAIT, entry.table.words(0, 5_000_000), 0).value == 0
    assert state(guest, one, other) == "T", "it is stopped"


def test_of_a_stop_the_parent_is_told_by_the_processes_number(guest, entry):
    """Not by the last thread's: kernel/signal.c do_notify_parent_cldstop (6.1)."""
    layout, words = ENDED[entry.table.name], entry.table.words
    with start_puppet(guest, entry.abi, options=OPTIONS) as parent:
        one = parent.fork(entry)
        assert [one.resume(), parent.resume()] == [TRAP_STOP] * 2
        let_pause(guest, [one, one.start_thread(entry)], entry)
        at, room = (parent.strings.stage + place for place in (0x1800, 0x1900))
        parent.write(at, OF_CHILDREN + words(2, 0))
        assert parent.ptrace(Request.SETSIGMASK, 8, OF_CHILDREN).value == 0
        one.prepare(entry, "tgkill", one.pid, one.pid, SIGSTOP)
        assert one.ptrace(Request.DETACH).value == 0
        said = parent.call(entry, "rt_sigtimedwait", at, room, at + 8, 8)
        told = layout.decode(parent.read(room, layout.size_bytes))
        one.kill()
    seen = said, told["code"], told["pid"], told["status"]
    assert seen == (SIGCHLD, CLD_STOPPED, one.pid, SIGSTOP)


THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD


def test_a_child_is_every_threads_unless_one_waits_for_ones_own(threads, entry):
    """And it is given to another thread when its own ends."""
    one, other = threads
    child, seen = other.fork(entry), []
    assert [child.resume(), other.resume()] == [TRAP_STOP] * 2
    every = [(whom, WNOHANG | how) for whom in (child.pid, -1) for how in (0, OWN_CHILDREN)]
    waits = [("wait4", whom, 0, how, 0) for whom, how in every]
    seen = [[each.call(entry, *wait) for wait in waits] for each in threads]
    other.prepare(entry, "exit", 0)
    assert other.resume() == Status.exited(0)
    seen.append([one.call(entry, *wait) for wait in waits])
    parent = child.call(entry, "getppid")
    child.kill()
    assert seen == [[0, -ECHILD] * 2, [0] * 4, [0] * 4], "another, its own, the heir"
    assert parent == one.pid


def test_a_thread_has_memory_and_signals_in_common_for_ever_but_nothing_else(threads, entry):
    one, other = threads
    for flags in (CLONE_THREAD, CLONE_SIGHAND, CLONE_VM, CLONE_NEWUSER):
        assert other.call(entry, "unshare", flags) == -EINVAL, hex(flags)
    common, seen = {}, {}
    for told in (common, seen):
        fd = other.call(entry, "epoll_create1", 0)
        told["descriptor"] = one.call(entry, "fcntl", fd, F_GETFD)
        other.call(entry, "umask", 0o421)
        told["mask"] = one.call(entry, "umask", 0)
        assert other.call(entry, "unshare", CLONE_FS | CLONE_FILES) == 0
    assert common == {"descriptor": 0, "mask": 0o421}
    assert seen == {"descriptor": -EBADF, "mask": 0}


def test_what_a_process_has_with_others_in_common_it_does_not_undo(guest, entry):
    both, seen = (CLONE_VM, CLONE_SIGHAND), {}
    with start_puppet(guest, entry.abi, options=Option.TRACECLONE) as puppet:
        for flags in (0, CLONE_VM, CLONE_VM | CLONE_SIGHAND):
            puppet.prepare(entry, "clone", flags, puppet.strings.stage + 0x9000, 0, 0, 0)
            puppet.resume()
            child = puppet.follow_child()
            assert [child.resume(), puppet.resume()] == [TRAP_STOP] * 2
            seen[flags] = [child.call(entry, "unshare", one) for one in both]
            child.kill()
        assert puppet.call(entry, "unshare", CLONE_THREAD) == 0, "it has no other thread"
    assert seen == {flags: [-EINVAL if flags & one else 0 for one in both] for flags in seen}


def test_an_exit_of_the_group_is_every_threads(threads, entry):
    one, other = threads
    begin(one, entry, "pause")
    other.prepare(entry, "exit_group", 42)
    assert [other.resume(), one.wait()] == [Status.exited(42)] * 2


def test_a_process_ends_with_its_last_thread_as_its_first_has_ended(guest, threads, entry):
    one, other = threads
    begin(one, entry, "exit", 6)
    assert other.call(entry, "getpid") == one.pid
    waited = ("wait4", one.pid, 0, WNOHANG | ALL_CHILDREN, 0)
    assert guest.call(one.tracer, *waited).value == 0, "there is still a thread"
    other.prepare(entry, "exit", 6)
    assert [other.resume(), one.wait()] == [Status.exited(6)] * 2


@pytest.mark.parametrize("who", [0, 1], ids=["first", "other"])
def test_whichever_thread_runs_a_program_is_its_only_one_and_has_its_number(
    guest, threads, entry, who
):
    one, executing = threads[0], threads[who]
    begin(threads[1 - who], entry, "pause")
    executing.prepare_exec(entry)
    assert executing.ptrace(Request.CONT).value == 0
    if who == 0:
        assert threads[1].wait() == Status.exited(0)
    assert one.wait() == Status.stopped(SIGTRAP, EVENT_EXEC)
    assert one.event_message() == executing.pid, "its number before"
    assert guest.call(one.tracer, "kill", threads[1].pid, 0).errno == ESRCH
    assert one.resume(Request.SYSCALL) == CALL_STOP
    assert [one.execute(entry, name) for name in ("getpid", "gettid")] == [one.pid] * 2
