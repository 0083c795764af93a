# SPDX-License-Identifier: Apache-2.0
"""What a parent is told of a child that stops, goes on and ends: by waiting, and by a signal.

Source: kernel/exit.c wait_task_stopped, wait_task_continued; kernel/signal.c do_notify_parent,
do_notify_parent_cldstop (6.1); man 2 wait. The words of both calls: test_process_ends.
"""

from errno import EAGAIN, ECHILD
from signal import SIG_DFL, SIG_IGN, SIGCHLD, SIGCONT, SIGSTOP, SIGUSR1

import pytest

from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request
from harness.agent.puppet import start_puppet
from harness.agent.structures import ACTION, ENDED

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

BLOCKED = (1 << SIGCHLD - 1).to_bytes(8, "little")
AWAITED = (1 << SIGUSR1 - 1 | 1 << SIGCHLD - 1).to_bytes(8, "little")
ONLY_CLONES, ALL_CHILDREN, SUBREAPER = -0x8000_0000, 0x4000_0000, 36
SIG_BLOCK, P_PID, P_PGID = 0, 1, 2
WNOHANG, WSTOPPED, WEXITED, WCONTINUED, WNOWAIT = 1, 2, 4, 8, 0x100_0000
CLD_STOPPED, CLD_CONTINUED = 5, 6
SA_NOCLDSTOP, SA_NOCLDWAIT = 1, 2
ROOM, USAGE_WORDS = 0x1000, 18
"""Where on the stage the parent is told."""


@pytest.mark.parametrize(
    ("handler", "flags", "told"),
    [(SIG_DFL, SA_NOCLDWAIT, SIGCHLD), (SIG_IGN, 0, -EAGAIN)],
    ids=["nocldwait", "ignored"],
)
def test_a_parent_that_does_not_care_has_nobody_to_wait_for(guest, entry, handler, flags, told):
    action = ACTION[entry.table.name].encode(handler=handler, flags=flags)
    assert guest.call(entry, "rt_sigprocmask", SIG_BLOCK, BLOCKED, 0, 8).value == 0
    assert guest.call(entry, "rt_sigaction", SIGCHLD, action, 0, 8).value == 0
    child = guest.call(entry, "fork").value
    assert guest.call(entry, "wait4", child, 0, 0, 0).errno == ECHILD
    said = guest.call(entry, "rt_sigtimedwait", BLOCKED, 0, entry.table.words(0, 0), 8)
    assert said.value == told


@pytest.fixture
def parent(guest, entry):
    """Give a process with SIGCHLD blocked, and a child that nobody traces and that waits."""
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as parent:
        child = parent.fork(entry)
        assert child.resume() == TRAP_STOP
        child.prepare(entry, "pause")
        assert child.resume(Request.SYSCALL) == CALL_STOP
        assert child.ptrace(Request.DETACH).value == 0
        assert parent.resume() == TRAP_STOP
        assert parent.ptrace(Request.SETSIGMASK, 8, BLOCKED).value == 0
        parent.home = parent.registers()
        yield parent, child.pid
        guest.call(parent.tracer, "kill", child.pid, 9)


def told(parent, entry, child, options):
    """Have the parent wait, and return code and status that it is told of its child."""
    layout, at = ENDED[entry.table.name], parent.strings.stage + ROOM
    parent.write(at, b"\xa5" * ROOM)
    assert parent.call(entry, "waitid", P_PID, child, at, options, at + ROOM // 2) == 0
    used = parent.read(at + ROOM // 2, USAGE_WORDS * entry.table.word_bytes + 8)
    said = layout.decode(parent.read(at, layout.size_bytes))
    told = SIGCHLD if said["code"] else 0, child if said["code"] else 0, 0
    assert (said["signal"], said["pid"], said["uid"]) == told
    filled = [used[at : at + 4] != b"\xa5" * 4 for at in (0, len(used) - 12, len(used) - 8)]
    assert filled == [bool(said["code"])] * 2 + [False], "what the child has used"
    return said["code"], said["status"]


def test_a_stop_and_a_continuation_are_told_once_unless_they_are_left(entry, parent):
    parent, child = parent
    cases = {
        (SIGSTOP, WSTOPPED): (CLD_STOPPED, SIGSTOP),
        (SIGCONT, WCONTINUED): (CLD_CONTINUED, SIGCONT),
    }
    assert parent.call(entry, "kill", child, SIGCONT) == 0
    never = told(parent, entry, child, WCONTINUED | WNOHANG)
    assert never == (0, 0), "who never stopped has not continued"
    for (signal, kind), expected in cases.items():
        assert parent.call(entry, "kill", child, signal) == 0
        seen = [told(parent, entry, child, kind | more) for more in (WNOWAIT, WNOHANG, WNOHANG)]
        assert seen == [expected, expected, (0, 0)], "left, taken, and again"


@pytest.fixture
def family(guest, entry):
    """Give a session's leader, its child and the child of that, who have SIGUSR1 blocked."""
    options = Option.TRACEFORK | Option.TRACECLONE | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as leader:
        assert leader.ptrace(Request.SETSIGMASK, 8, AWAITED).value == 0
        people = [leader]
        for _ in range(2):
            people.append(people[-1].fork())
            assert [one.resume() for one in people[-2:]] == [TRAP_STOP] * 2
        yield people
        for one in people[:0:-1]:
            one.kill()


@pytest.mark.needs(since="5.4")
def test_a_parent_waits_for_its_own_group(entry, family):
    """Not for that of the session's leader. Source: kernel/exit.c kernel_waitid, wait4 (6.1)."""
    leader, parent, child = family
    named = (0, leader.pid, parent.pid)
    waits = [("waitid", P_PGID, group, 0, WEXITED | WNOHANG, 0) for group in named]
    waits += [("wait4", -group, 0, WNOHANG, 0) for group in named]
    seen = []
    for moved in (None, (0, 0), (child.pid, parent.pid)):
        assert moved is None or parent.call(entry, "setpgid", *moved) == 0
        seen.append([parent.call(entry, *wait) for wait in waits])
    assert seen == [
        [0, 0, -ECHILD] * 2,
        [-ECHILD, 0, -ECHILD] * 2,
        [0, -ECHILD, 0] * 2,
    ], "that of the leader, then its own, which the child is not in, and then is"


def test_a_signal_for_nobody_by_name_is_for_ones_own_group(entry, family):
    """Source: kernel/signal.c kill_something_info (6.1)."""
    leader, parent, _ = family
    at, seen = leader.strings.stage + ROOM, {}
    for one in family:
        one.write(at, AWAITED + entry.table.words(0, 0))
    for whom, group in ((0, parent), (-leader.pid, leader)):
        assert parent.call(entry, "setpgid", 0, 0) == 0
        assert parent.call(entry, "kill", whom, SIGUSR1) == 0
        answers = [one.call(entry, "rt_sigtimedwait", at, 0, at + 8, 8) for one in family]
        seen[group.pid] = [answer == SIGUSR1 for answer in answers]
    assert seen == {parent.pid: [False, True, False], leader.pid: [True, False, True]}


TO_GROUP = 4


@pytest.mark.needs(since="6.9")
def test_a_signal_sent_by_a_descriptor_may_be_for_its_group(entry, family):
    """Source: kernel/signal.c pidfd_send_signal (6.9)."""
    leader, parent, _ = family
    at = leader.strings.stage + ROOM
    for one in family:
        one.write(at, AWAITED + entry.table.words(0, 0))
    assert parent.call(entry, "setpgid", 0, 0) == 0
    fd = parent.call(entry, "pidfd_open", leader.pid, 0)
    assert parent.call(entry, "pidfd_send_signal", fd, SIGUSR1, 0, TO_GROUP) == 0
    answers = [one.call(entry, "rt_sigtimedwait", at, 0, at + 8, 8) for one in family]
    assert [answer == SIGUSR1 for answer in answers] == [True, False, True]


def test_an_orphan_goes_to_who_wants_it(entry, family):
    """Source: kernel/fork.c copy_process; kernel/exit.c find_new_reaper (6.1)."""
    leader, _, child = family
    assert leader.call(entry, "prctl", SUBREAPER, 1, 0, 0, 0) == 0
    younger, seen = leader.fork(entry), []
    assert younger.resume() == TRAP_STOP
    for parent in (child, younger):
        orphan = parent.fork(entry)
        assert orphan.resume() == TRAP_STOP
        parent.kill()
        seen.append(orphan.call(entry, "getppid"))
        orphan.kill()
    assert seen == [leader.pid] * 2, "of who was there before it was said, and of who was not"


def test_a_clone_is_waited_for_as_one_until_it_executes(guest, entry):
    """One whose end no SIGCHLD tells. Source: kernel/exit.c eligible_child; fs/exec.c (6.1)."""
    options = Option.TRACEFORK | Option.TRACECLONE | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as parent:
        parent.prepare(entry, "clone", 0, 0, 0, 0, 0)
        parent.resume()
        clone = parent.follow_child()
        assert [parent.resume(), clone.resume()] == [TRAP_STOP] * 2
        ways, seen = (0, ONLY_CLONES, ALL_CHILDREN), []
        clone.prepare_exec()
        for _ in range(2):
            waits = (("wait4", clone.pid, 0, WNOHANG | way, 0) for way in ways)
            seen.append([parent.call(entry, *wait) for wait in waits])
            clone.resume(Request.SYSCALL)
            clone.resume(Request.SYSCALL)
        clone.kill()
    assert seen == [[-ECHILD, 0, 0], [0, -ECHILD, 0]]


CLONE_PARENT = 0x8000


def test_a_childs_end_is_told_to_a_common_parent_as_its_brothers(entry, family):
    """Source: kernel/fork.c copy_process, CLONE_PARENT (6.1)."""
    leader, parent, _ = family
    parent.prepare(entry, "clone", CLONE_PARENT, 0, 0, 0, 0)
    parent.resume()
    brother = parent.follow_child()
    assert parent.resume() == TRAP_STOP
    seen = [one.call(entry, "wait4", brother.pid, 0, WNOHANG, 0) for one in (leader, parent)]
    brother.kill()
    assert seen == [0, -ECHILD]


def test_a_parent_has_a_signal_of_each_stop_unless_it_wants_none(entry, parent):
    parent, child = parent
    at, seen = parent.strings.stage + ROOM, {}
    for flags in (0, SA_NOCLDSTOP):
        parent.write(at, ACTION[entry.table.name].encode(flags=flags))
        assert parent.call(entry, "rt_sigaction", SIGCHLD, at, 0, 8) == 0
        for signal, kind in ((SIGSTOP, WSTOPPED), (SIGCONT, WCONTINUED)):
            assert parent.call(entry, "kill", child, signal) == 0
            told(parent, entry, child, kind)
            parent.write(at, BLOCKED + entry.table.words(0, 0))
            said = parent.call(entry, "rt_sigtimedwait", at, 0, at + 8, 8)
            seen[flags, signal] = said
    assert seen == {(flags, signal): -EAGAIN if flags else SIGCHLD for flags, signal in seen}
