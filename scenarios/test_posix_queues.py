# SPDX-License-Identifier: Apache-2.0
"""Queues of messages that have names: what is told of them, and in which order messages come.

Source: ipc/mqueue.c do_mq_timedsend, do_mq_timedreceive, put_compat_mq_attr (6.1), do_mq_notify,
__do_notify, prepare_open (6.12).
"""

from errno import EAGAIN, EBADF, EBUSY, EEXIST, EFAULT, EINVAL, EMSGSIZE, ENOENT, ENOSYS

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.agent.structures import EVENT, QUEUED
from harness.landscape import HOLE

pytestmark = pytest.mark.entries("int80", "syscall")

NAME, READ_WRITE, CREATE, AT_ONCE = b"told\0", 2, 0o100, 0o4000
MOST, SIZE = 4, 6
PRIORITIES = 32_768


def attributes(entry, flags, messages):
    """Return what is told of the queue: four numbers, and room for four more."""
    return entry.table.words(flags, MOST, SIZE, messages, 0, 0, 0, 0)


@pytest.fixture
def queue(guest, entry):
    """Give an empty queue."""
    guest.call(entry, "mq_unlink", NAME)
    asked = attributes(entry, 0, 0)
    said = guest.call(entry, "mq_open", NAME, CREATE | READ_WRITE | AT_ONCE, 0o600, asked)
    if said.errno == ENOSYS:
        pytest.skip("the kernel is configured without POSIX message queues")
    return said.value


def test_a_queue_is_described(guest, entry, queue):
    size = len(attributes(entry, 0, 0))
    for place in range(3):
        assert guest.call(entry, "mq_timedsend", queue, b"abc", 3, place, 0).value == 0
    told = guest.call(entry, "mq_getsetattr", queue, 0, Buffer(size + 8))
    assert told.memory[0] == attributes(entry, AT_ONCE, 3) + b"\xa5" * 8
    cleared = guest.call(entry, "mq_getsetattr", queue, attributes(entry, 0, 9), Buffer(size))
    assert cleared.memory[0] == attributes(entry, AT_ONCE, 3), "what it was before"
    told = guest.call(entry, "mq_getsetattr", queue, 0, Buffer(size))
    assert told.memory[0] == attributes(entry, 0, 3)


def test_the_most_important_message_comes_first(guest, entry, queue):
    sent = {b"low": 1, b"high.": PRIORITIES - 1, b"same": 1, b"": 0}
    for message, priority in sent.items():
        said = guest.call(entry, "mq_timedsend", queue, message, len(message), priority, 0)
        assert said.value == 0
    for message in (b"high.", b"low", b"same", b""):
        said = guest.call(entry, "mq_timedreceive", queue, Buffer(8), SIZE, Buffer(8), 0)
        content, priority = said.memory
        assert (said.value, content) == (len(message), message.ljust(8, b"\xa5"))
        assert priority == sent[message].to_bytes(4, "little") + b"\xa5" * 4


def test_what_a_queue_does_not_take(guest, entry, queue):
    words, room = entry.table.words, Buffer(16)
    none_fits = words(0, 0, SIZE, 0, 0, 0, 0, 0)
    rows = [
        (-EMSGSIZE, "mq_timedsend", queue, b"seven..", SIZE + 1, 0, 0),
        (-EINVAL, "mq_timedsend", queue, b"a", 1, PRIORITIES, 0),
        (-EINVAL, "mq_timedsend", queue, b"a", 1, 0, words(0, 1_000_000_000)),
        (-EINVAL, "mq_timedsend", queue, b"a", 1, 0, words(-1, 0)),
        (-EMSGSIZE, "mq_timedreceive", queue, room, SIZE - 1, 0, 0),
        (-EAGAIN, "mq_timedreceive", queue, room, SIZE, 0, 0),
        (-EBADF, "mq_timedreceive", 0, room, SIZE, 0, 0),
        (-EINVAL, "mq_getsetattr", queue, words(1, *[0] * 7), room),
        (-EINVAL, "mq_open", b"other\0", CREATE | READ_WRITE, 0o600, none_fits),
        (-ENOENT, "mq_open", b"other\0", READ_WRITE, 0, 0),
        (-ENOENT, "mq_unlink", b"other\0"),
        *[(0, "mq_timedsend", queue, b"a", 1, 0, 0)] * MOST,
        (-EAGAIN, "mq_timedsend", queue, b"a", 1, 0, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


READ_ONLY, WRITE_ONLY, EXCLUSIVE = 0, 1, 0o200


@pytest.mark.usefixtures("queue")
def test_a_queue_is_opened_and_used_as_its_flags_say(guest, entry):
    fds = [guest.call(entry, "mq_open", NAME, how, 0, 0).value for how in (READ_ONLY, WRITE_ONLY)]
    sent, got = (b"a", 1, 0, 0), (Buffer(16), SIZE, 0, 0)
    no_queue = (-1, 0)
    rows = [
        (-EEXIST, "mq_open", NAME, CREATE | EXCLUSIVE | READ_WRITE, 0o600, 0),
        (-EINVAL, "mq_open", NAME, READ_WRITE | WRITE_ONLY, 0, 0),
        *[(-EBADF, "mq_timedsend", fd, *sent) for fd in (*no_queue, fds[0])],
        (0, "mq_timedsend", fds[1], *sent),
        *[(-EBADF, "mq_timedreceive", fd, *got) for fd in (*no_queue, fds[1])],
        (1, "mq_timedreceive", fds[0], *got),
        *[(-EBADF, "mq_getsetattr", fd, 0, Buffer(64)) for fd in no_queue],
        *[(-EBADF, "mq_notify", fd, 0) for fd in no_queue],
    ]
    assert find_wrong(guest, entry, rows) == []


BY_SIGNAL, BY_NOTHING, BY_SOCKET, FIRST, FROM_QUEUE, VALUE = 0, 1, 2, 34, -3, 0x1122_3344


def test_who_asked_is_told_of_a_message_once(guest, entry, queue):
    """Source: ipc/mqueue.c do_mq_notify, __do_notify (6.12)."""
    own, event = guest.call(entry, "getpid").value, EVENT[entry.table.name].encode
    asked = event(value=VALUE, signal=FIRST, how=BY_SIGNAL)
    blocked = (1 << FIRST - 1).to_bytes(8, "little")
    rows = [
        (0, "rt_sigprocmask", 0, blocked, 0, 8),
        (-EINVAL, "mq_notify", queue, event(signal=65)),
        (-EINVAL, "mq_notify", queue, event(how=3)),
        (-EFAULT, "mq_notify", queue, HOLE),
        (-EFAULT, "mq_notify", queue, event(how=BY_SOCKET, value=HOLE)),
        (0, "mq_notify", queue, event(how=BY_NOTHING)),
        (-EBUSY, "mq_notify", queue, asked),
        (0, "mq_notify", queue, 0),
        (0, "mq_notify", queue, asked),
        (-EBUSY, "mq_notify", queue, asked),
        *[(0, "mq_timedsend", queue, b"a", 1, 0, 0)] * 2,
    ]
    assert find_wrong(guest, entry, rows) == []
    taken = ("rt_sigtimedwait", blocked, Buffer(128), entry.table.words(0, 0), 8)
    first, second = guest.series(entry, [taken, taken])
    assert (first.value, second.errno) == (FIRST, EAGAIN)
    layout = QUEUED[entry.table.name]
    told = layout.decode(first.memory[0])
    behind = first.memory[0][layout.size_bytes :]
    assert (layout.gaps(first.memory[0]) + behind).strip(b"\0") == b"", "nothing else is told"
    sender = {"pid": own, "uid": 0, "value": VALUE}
    assert told == {"signal": FIRST, "errno": 0, "code": FROM_QUEUE, **sender}
    rows = [(1, "mq_timedreceive", queue, Buffer(16), SIZE, 0, 0)] * 2
    rows += [(0, "mq_notify", queue, asked), (0, "mq_timedsend", queue, b"a", 1, 0, 0)]
    assert find_wrong(guest, entry, [*rows, (FIRST, *taken)]) == []
