# SPDX-License-Identifier: Apache-2.0
"""Signals by which a terminal's user stops a job and goes on with it: whom they stop, and who may.

Source: kernel/signal.c get_signal, do_signal_stop, kill_ok_by_cred; kernel/exit.c
will_become_orphaned_pgrp, kill_orphaned_pgrp (6.1).
"""

from errno import EPERM
from signal import (
    SIGCHLD,
    SIGCONT,
    SIGHUP,
    SIGSTOP,
    SIGTERM,
    SIGTRAP,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGUSR1,
)

import pytest

from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import start_puppet
from harness.arch import I386

pytestmark = pytest.mark.entries("int80", "syscall")

EVENT_STOP = 128
OF_CHILDREN = (1 << SIGCHLD - 1).to_bytes(8, "little")
OF_A_TERMINAL = (SIGTSTP, SIGTTIN, SIGTTOU)
SOMEBODY, SUBREAPER = 1000, 36


@pytest.fixture
def family(guest, entry):
    """Give a process that leads its session, in a group of its own, and its child.

    It is not to be told what becomes of the child.
    """
    with start_puppet(guest, entry.abi, options=Option.TRACEFORK | Option.TRACESYSGOOD) as parent:
        child = parent.fork(entry)
        assert [child.resume(), parent.resume()] == [TRAP_STOP] * 2
        assert parent.ptrace(Request.SETSIGMASK, 8, OF_CHILDREN).value == 0
        yield parent, child
        child.kill()


def stop(process, entry, number):
    """Send a signal to a process that makes a call, and return how that stops, or ends the call."""
    process.prepare(entry, "getpid")
    process.signal(number)
    assert process.resume() == Status.stopped(number), "it is delivered"
    return process.resume(by_signal=number)


def look(process):
    """Return how a process is stopped that its tracer has let listen, or that goes on meanwhile."""
    assert process.ptrace(Request.INTERRUPT).value == 0
    return process.wait()


def test_a_group_that_nobody_would_let_go_on_is_stopped_by_sigstop_only(family, entry):
    """No process of its session, but of another group, is the parent of one of its processes."""
    leader, child = family
    orphaned = {number: stop(leader, entry, number) for number in OF_A_TERMINAL}
    assert orphaned == dict.fromkeys(OF_A_TERMINAL, TRAP_STOP), "they do nothing"
    assert stop(leader, entry, SIGSTOP) == Status.stopped(SIGSTOP, EVENT_STOP)
    assert child.call(entry, "setpgid", 0, 0) == 0
    cared_for = {}
    for number in (*OF_A_TERMINAL, SIGSTOP):
        cared_for[number] = stop(child, entry, number)
        child.signal(SIGCONT)
        assert [*child.stops(Request.CONT)][-1] == TRAP_STOP
    assert cared_for == {number: Status.stopped(number, EVENT_STOP) for number in cared_for}


@pytest.mark.parametrize("within", [False, True], ids=["without", "within"])
def test_a_stopped_group_that_is_orphaned_is_hung_up_and_goes_on(family, entry, within):
    """As the parent of one of its processes ends that is not of it, or the one that has such."""
    ending, stopped = family
    assert stopped.call(entry, "setpgid", 0, 0) == 0
    if within:
        ending, stopped = stopped, stopped.fork(entry)
        assert [stopped.resume(), ending.resume()] == [TRAP_STOP] * 2
        assert ending.ptrace(Request.SETSIGMASK, 8, OF_CHILDREN).value == 0
    assert stop(stopped, entry, SIGTSTP) == Status.stopped(SIGTSTP, EVENT_STOP)
    assert stopped.ptrace(Request.LISTEN).value == 0
    ending.prepare(entry, "exit", 0)
    assert ending.resume() == Status.exited(0)
    seen = dict.fromkeys([look(stopped), *stopped.stops(Request.CONT)])
    stopped.kill()
    going_on = Status.stopped(SIGTRAP, EVENT_STOP)
    assert [*seen] == [going_on, Status.stopped(SIGHUP), Status.stopped(SIGCONT), TRAP_STOP]


def test_a_stopped_group_that_goes_to_another_of_its_session_stays_stopped(family, entry):
    leader, child = family
    assert leader.call(entry, "prctl", SUBREAPER, 1, 0, 0, 0) == 0
    younger = child.fork(entry)
    assert [younger.resume(), child.resume()] == [TRAP_STOP] * 2
    assert younger.call(entry, "setpgid", 0, 0) == 0
    assert stop(younger, entry, SIGTSTP) == Status.stopped(SIGTSTP, EVENT_STOP)
    assert younger.ptrace(Request.LISTEN).value == 0
    child.kill()
    younger.signal(SIGUSR1)
    seen = look(younger)
    younger.kill()
    assert seen == Status.stopped(SIGTSTP, EVENT_STOP), "as before"


def test_a_group_that_runs_is_orphaned_without_a_word(family, entry):
    parent, child = family
    assert child.call(entry, "setpgid", 0, 0) == 0
    child.prepare(entry, "getppid")
    assert child.resume(Request.SYSCALL) == CALL_STOP
    parent.prepare(entry, "exit", 0)
    assert parent.resume() == Status.exited(0)
    assert child.resume() == TRAP_STOP


def test_in_ones_session_everybody_may_be_told_to_go_on(family, entry):
    """Whoever they are; nothing else may be sent, and nobody in another session."""
    parent, child = family
    setuid = "setuid32" if entry.table is I386 else "setuid"
    assert child.call(entry, setuid, SOMEBODY) == 0
    sent = ((who, n) for who in (parent.pid, 1) for n in (SIGCONT, SIGTERM, SIGSTOP, 0))
    seen = {call: child.call(entry, "kill", *call) for call in sent}
    assert seen == {call: 0 if call == (parent.pid, SIGCONT) else -EPERM for call in seen}
    assert child.call(entry, "setsid") == child.pid
    assert child.call(entry, "kill", parent.pid, SIGCONT) == -EPERM, "another session now"
