# SPDX-License-Identifier: Apache-2.0
"""Seccomp's supervisor: what it is told of a call, what it may answer, and what becomes of both.

Source: kernel/seccomp.c seccomp_do_user_notification, seccomp_notify_recv, seccomp_notify_send,
seccomp_notify_addfd, seccomp_notify_poll (6.12); tools/testing/selftests/seccomp/seccomp_bpf.c.
"""

import struct
from errno import E2BIG, EBADF, EBUSY, EFAULT, EINPROGRESS, EINVAL, ENOENT, ENOSYS
from os import O_CLOEXEC
from signal import SIGUSR1

import pytest

from harness.agent.arguments import Buffer
from harness.agent.filters import (
    ARCH,
    AUDIT_ARCH,
    NR,
    Action,
    answer,
    answer_where,
)
from harness.agent.ptrace import TRAP_STOP, Request, Status
from harness.agent.puppet import start_puppet
from harness.arch import I386
from harness.landscape import ARENA, HOLE

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")
OWN = pytest.mark.entries("int80", "syscall")

NEW_LISTENER = 8
RECV, SEND, ID_VALID, ADDFD = 0xC050_2100, 0xC018_2101, 0x4008_2102, 0x4018_2103
CONTINUE, SETFD, SEND_TOO = 1, 1, 2
SIX = range(11, 17)
EMPTY = Buffer(80, fill=0)
POLLIN, POLLOUT, POLLHUP = 1, 4, 0x10
F_GETFD, FREE = 1, 30
POLLED = ARENA.start + 0x9000


def on(puppet, entry, name="getppid"):
    """Return a filter: a supervisor is asked about the call `name`."""
    asks = answer_where(
        {ARCH: AUDIT_ARCH[entry.table], NR: puppet.number(entry, name)}, Action.USER_NOTIF
    )
    return asks + answer(Action.ALLOW)


class Supervisor:
    """The tracer of a process, which has the listener of its filter, too."""

    def __init__(self, guest, puppet, entry, flags=NEW_LISTENER):
        self.guest, self.puppet, self.entry = guest, puppet, entry
        self.listener = puppet.install_filter(entry, on(puppet, entry), flags)
        assert self.listener >= 0
        self.pidfd = self.make("pidfd_open", puppet.pid, 0).value
        self.fd = self.make("pidfd_getfd", self.pidfd, self.listener, 0).value

    def make(self, name, *arguments):
        """Make a call of its own."""
        return self.guest.call(self.puppet.tracer, name, *arguments)

    def ask(self, request, argument):
        """Make a request of the listener."""
        return self.make("ioctl", self.fd, request, argument)

    def begin(self):
        """Let the process make the call that the supervisor is asked about."""
        self.puppet.prepare(self.entry, "getppid", *SIX)
        self.puppet.ptrace(Request.CONT)

    def receive(self):
        """Begin, and return what the supervisor is told: the call's own number first."""
        said = self.ask(RECV, EMPTY)
        assert said.value == 0
        return struct.unpack("<QIIiIQ6Q", said.memory[0])

    def poll(self):
        """Return what may be done with the listener; what comes soon is waited for."""
        abi = self.puppet.tracer.abi
        self.guest.write(abi, POLLED, struct.pack("<ihh", self.fd, POLLIN | POLLOUT, 0))
        self.make("poll", POLLED, 1, 2000)
        return struct.unpack("<ihh", self.guest.read(abi, POLLED, 8))[2]

    def answered(self):
        """Return what the process gets for its call."""
        return self.answered_after(self.puppet.wait())

    def answered_after(self, status):
        """Return the same, the process having stopped so."""
        assert status == TRAP_STOP
        return self.entry.abi.signed(self.puppet.after()["ax"])


def reply(identifier, value=0, error=0, flags=0):
    return struct.pack("<QqiI", identifier, value, error, flags)


@pytest.fixture
def supervisor(guest, entry):
    """Give who is asked about a process's getppid."""
    with start_puppet(guest, entry.abi) as puppet:
        yield Supervisor(guest, puppet, entry)


def test_it_is_told_of_a_call_and_answers_it(supervisor, entry):
    results = []
    for value, error in ((0x5EED, 0), (0, -77)):
        supervisor.begin()
        identifier, pid, flags, number, arch, _, *six = supervisor.receive()
        assert (pid, flags, arch) == (supervisor.puppet.pid, 0, AUDIT_ARCH[entry.table])
        assert (number, six) == (supervisor.puppet.number(entry, "getppid"), [*SIX])
        assert supervisor.ask(SEND, reply(identifier, value, error)).value == 0
        results.append(supervisor.answered())
    assert results == [0x5EED, -77]


def test_it_may_let_a_call_go_on_and_says_nothing_else_then(supervisor):
    supervisor.begin()
    identifier = supervisor.receive()[0]
    wrong = {
        "a value besides": reply(identifier, value=7, flags=CONTINUE),
        "an error besides": reply(identifier, error=-7, flags=CONTINUE),
        "another flag": reply(identifier, flags=2),
    }
    seen = {says: supervisor.ask(SEND, what).errno for says, what in wrong.items()}
    assert seen == dict.fromkeys(wrong, EINVAL)
    assert supervisor.ask(SEND, reply(identifier, flags=CONTINUE)).value == 0
    assert supervisor.answered() == 1


@OWN
def test_a_call_is_known_by_its_number_and_only_while_it_waits(supervisor):
    def known(number):
        return supervisor.ask(ID_VALID, number.to_bytes(8, "little")).errno

    supervisor.begin()
    identifier = supervisor.receive()[0]
    other = identifier ^ 1 << 40
    assert supervisor.ask(SEND, reply(other)).errno == ENOENT
    assert supervisor.ask(SEND, HOLE).errno == supervisor.ask(ID_VALID, HOLE).errno == EFAULT
    assert supervisor.ask(0x4004_2101, HOLE).errno == EINVAL, "a request of another size"
    seen = [known(identifier), known(other)]
    assert supervisor.ask(SEND, reply(identifier)).value == 0
    assert supervisor.answered() == 0
    assert [*seen, known(identifier)] == [None, ENOENT, ENOENT]


@OWN
def test_a_call_that_was_not_asked_for_yet_cannot_be_answered(supervisor):
    supervisor.begin()
    identifier = supervisor.receive()[0]
    assert supervisor.ask(SEND, reply(identifier)).value == 0
    supervisor.answered()
    supervisor.begin()
    assert supervisor.poll() == POLLIN
    following = identifier + 1 & (1 << 64) - 1
    assert supervisor.ask(SEND, reply(following)).errno == EINPROGRESS
    known = supervisor.ask(ID_VALID, following.to_bytes(8, "little")).errno
    assert known == ENOENT, "a number that nobody was told"
    assert supervisor.receive()[0] == following
    assert supervisor.poll() == POLLOUT, "an answer is waited for"
    assert supervisor.ask(SEND, reply(following, 5)).value == 0
    assert supervisor.answered() == 5


@OWN
def test_nothing_is_lost_where_it_cannot_be_told(supervisor):
    """What is said has to be zeros before, and may be a page of them that cannot be written."""
    old = supervisor.puppet.tracer.table is I386
    zeros = supervisor.make("mmap2" if old else "mmap", 0, 4096, 1, 0x22, -1, 0).value
    supervisor.begin()
    cases = {
        "a hole": (HOLE, EFAULT),
        "zeros that stay": (zeros, EFAULT),
        "what is not zero": (Buffer(80, fill=1), EINVAL),
    }
    seen = {says: supervisor.ask(RECV, where).errno for says, (where, _) in cases.items()}
    assert seen == {says: error for says, (_, error) in cases.items()}
    assert supervisor.poll() == POLLIN
    identifier = supervisor.receive()[0]
    assert supervisor.ask(SEND, reply(identifier, 6)).value == 0
    assert supervisor.answered() == 6


@OWN
def test_a_call_that_a_signal_interrupts_is_forgotten_and_made_again(supervisor):
    puppet = supervisor.puppet
    supervisor.begin()
    first = supervisor.receive()[0]
    puppet.signal(SIGUSR1)
    assert puppet.wait() == Status.stopped(SIGUSR1)
    assert supervisor.ask(SEND, reply(first, 7)).errno == ENOENT
    puppet.ptrace(Request.CONT)
    second = supervisor.receive()[0]
    assert second != first
    assert supervisor.ask(SEND, reply(second, 8)).value == 0
    assert supervisor.answered() == 8


@OWN
def test_there_is_one_supervisor_and_without_it_a_call_is_enosys(supervisor, entry):
    puppet = supervisor.puppet
    code = on(puppet, entry, "getpgrp")
    assert puppet.install_filter(entry, code, NEW_LISTENER) == -EBUSY
    assert puppet.call(entry, "fcntl", supervisor.listener, F_GETFD) == 1, "closed by an exec"
    assert puppet.call(entry, "close", supervisor.listener) == 0
    supervisor.begin()
    supervisor.receive()
    assert supervisor.make("close", supervisor.fd).value == 0
    assert supervisor.answered() == -ENOSYS, "that was asked about"
    assert puppet.call(entry, "getppid") == -ENOSYS


SET_FLAGS, WAIT_FOR_THE_END = 0x4008_2104, 0x20


@OWN
@pytest.mark.needs(since="6.6")
def test_it_may_ask_to_be_woken_at_once(supervisor):
    """Source: kernel/seccomp.c seccomp_notify_set_flags (6.6)."""
    seen = [supervisor.ask(SET_FLAGS, flags).errno for flags in (2, 1 << 31, 1, 0, 1)]
    assert seen == [EINVAL, EINVAL, None, None, None]
    supervisor.begin()
    identifier = supervisor.receive()[0]
    assert supervisor.ask(SEND, reply(identifier, 4)).value == 0
    assert supervisor.answered() == 4


@OWN
@pytest.mark.needs(since="6.0")
def test_a_call_that_is_to_end_is_interrupted_by_no_signal_once_it_was_told(guest, entry):
    """But before it is. Source: kernel/seccomp.c wait_killable_recv (6.0)."""
    with start_puppet(guest, entry.abi) as puppet:
        supervisor = Supervisor(guest, puppet, entry, NEW_LISTENER | WAIT_FOR_THE_END)
        supervisor.begin()
        assert supervisor.poll() == POLLIN
        puppet.signal(SIGUSR1)
        assert puppet.wait() == Status.stopped(SIGUSR1), "nobody was told"
        puppet.ptrace(Request.CONT)
        identifier = supervisor.receive()[0]
        puppet.signal(SIGUSR1)
        assert supervisor.ask(ID_VALID, identifier.to_bytes(8, "little")).value == 0
        assert supervisor.ask(SEND, reply(identifier, 3)).value == 0
        assert puppet.wait() == Status.stopped(SIGUSR1)
        assert supervisor.answered_after(puppet.resume()) == 3


@OWN
@pytest.mark.needs(since="5.9")
def test_it_hears_that_nobody_is_left_to_be_asked_about(supervisor):
    puppet = supervisor.puppet
    supervisor.make("kill", puppet.pid, 9)
    assert puppet.wait() == Status(9)
    assert supervisor.poll() == POLLHUP, "what poll says of the listener"


def descriptor(identifier, source=0, wanted=0, flags=0, kept=0):
    """Return what asks for a descriptor of the supervisor's to be given to the process."""
    return struct.pack("<QIIII", identifier, flags, source, wanted, kept)


@OWN
@pytest.mark.needs(since="5.9")
def test_it_gives_a_descriptor_to_the_process(supervisor, entry):
    puppet = supervisor.puppet
    supervisor.begin()
    identifier = supervisor.receive()[0]
    given = {
        "any": (descriptor(identifier, 0, kept=O_CLOEXEC), supervisor.listener + 1),
        "this": (descriptor(identifier, 0, FREE, SETFD), FREE),
        "this again": (descriptor(identifier, 0, FREE, SETFD, O_CLOEXEC), FREE),
    }
    seen = {says: supervisor.ask(ADDFD, asks).value for says, (asks, _) in given.items()}
    assert seen == {says: fd for says, (_, fd) in given.items()}
    assert supervisor.ask(SEND, reply(identifier)).value == 0
    assert supervisor.answered() == 0
    told = [puppet.call(entry, "fcntl", fd, F_GETFD) for fd in (seen["any"], FREE, FREE + 1)]
    assert told == [1, 1, -EBADF]


@OWN
@pytest.mark.needs(since="5.9")
def test_it_gives_none_for_a_call_that_it_was_not_told_of(supervisor):
    supervisor.begin()
    identifier = supervisor.receive()[0]
    assert supervisor.ask(SEND, reply(identifier)).value == 0
    supervisor.answered()
    supervisor.begin()
    assert supervisor.poll() == POLLIN
    following = identifier + 1 & (1 << 64) - 1
    assert supervisor.ask(ADDFD, descriptor(following)).errno == EINPROGRESS


@OWN
@pytest.mark.needs(since="5.14")
def test_a_descriptor_that_it_gives_may_be_the_answer(supervisor, entry):
    supervisor.begin()
    identifier = supervisor.receive()[0]
    asks = descriptor(identifier, 0, FREE, SETFD | SEND_TOO)
    assert supervisor.ask(ADDFD, asks).value == FREE
    assert supervisor.answered() == FREE
    assert supervisor.puppet.call(entry, "fcntl", FREE, F_GETFD) == 0


@OWN
@pytest.mark.needs(since="5.9")
def test_descriptors_that_it_cannot_give(supervisor):
    supervisor.begin()
    identifier = supervisor.receive()[0]
    plain = descriptor(identifier)
    cases = {
        "an unknown flag": (ADDFD, descriptor(identifier, flags=4), EINVAL),
        "a number that is not asked for": (ADDFD, descriptor(identifier, 0, FREE), EINVAL),
        "flags that no descriptor has": (ADDFD, descriptor(identifier, kept=1), EINVAL),
        "none of its own": (ADDFD, descriptor(identifier, 0x7FFF), EBADF),
        "past the limit": (ADDFD, descriptor(identifier, 0, 0x7FFF_FFFF, SETFD), EBADF),
        "of another call": (ADDFD, descriptor(identifier ^ 1 << 40), ENOENT),
        "less than is known": (ADDFD - (1 << 16), plain, EINVAL),
        "more than is known": (ADDFD + (8 << 16), plain + b"\1" + bytes(7), E2BIG),
        "from a hole": (ADDFD, HOLE, EFAULT),
    }
    seen = {says: supervisor.ask(*case[:2]).errno for says, case in cases.items()}
    assert seen == {says: case[2] for says, case in cases.items()}
    assert supervisor.ask(ADDFD + (8 << 16), plain + bytes(8)).value >= 0, "zeros are no more"
    assert supervisor.ask(SEND, reply(identifier, 9)).value == 0
    assert supervisor.answered() == 9
