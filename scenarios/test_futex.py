# SPDX-License-Identifier: Apache-2.0
"""What a futex call does to the words that it is given: the kernel changes them where they are.

Source: arch/x86/include/asm/futex.h arch_futex_atomic_op_inuser, futex_atomic_cmpxchg_inatomic;
kernel/futex/waitwake.c futex_atomic_op_inuser; kernel/futex/pi.c (6.1); man 2 futex.
"""

import struct
from errno import EAGAIN, EDEADLK, EFAULT, EINVAL, ENOSYS, EPERM
from mmap import MAP_SHARED
from os import O_CREAT, O_RDWR

import pytest

from harness.agent import clocks
from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request
from harness.agent.puppet import start_puppet
from harness.landscape import ARENA, READ_ONLY
from harness.pointers import bad_pointers

pytestmark = pytest.mark.entries("int80", "syscall")

WAIT, WAKE, CMP_REQUEUE, WAKE_OP, LOCK_PI, UNLOCK_PI, TRYLOCK_PI = 0, 1, 4, 5, 6, 7, 8
FIRST, SECOND = ARENA.start + 0x8000, ARENA.start + 0x9000
OLD = 0xF0F0_1234
OPERAND = 0x0FF
SHIFTED = 8
"""With it the operand is the number of a bit."""
OPERATIONS = {
    "set": (0, OPERAND),
    "add": (1, OLD + OPERAND & 0xFFFF_FFFF),
    "or": (2, OLD | OPERAND),
    "andn": (3, OLD & ~OPERAND),
    "xor": (4, OLD ^ OPERAND),
    "set a bit": (SHIFTED, 1 << (OPERAND & 31)),
    "xor a bit": (SHIFTED | 4, OLD ^ 1 << (OPERAND & 31)),
}


def word(value):
    return value.to_bytes(4, "little")


def operation(code, operand=OPERAND):
    return code << 28 | operand << 12


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_changes_the_second_word_as_it_says(guest, entry, name):
    code, expected = OPERATIONS[name]
    guest.write(entry.abi, FIRST, word(OLD) * 2)
    guest.write(entry.abi, SECOND, word(OLD) * 2)
    said = guest.call(entry, "futex", FIRST, WAKE_OP, 1, 1, SECOND, operation(code))
    assert said.value == 0
    seen = [guest.read(entry.abi, where, 8) for where in (FIRST, SECOND)]
    assert seen == [word(OLD) * 2, word(expected) + word(OLD)]


SHARED, PATH, READ_WRITE, MAP_FIXED = 0x2E00_0000, b"/futex\0", 3, 0x10
MOST = 0xFFFF_FFFF
EQUAL, UNEQUAL, LESS, AT_MOST, MORE, AT_LEAST = range(6)


@pytest.fixture
def waiter(guest, entry):
    """Give a process that waits for a word to be other than -5, which the executor has too."""
    fd = guest.call(entry, "open", PATH, O_CREAT | O_RDWR, 0o600).value
    assert guest.call(entry, "pwrite64", fd, word(-5 & MOST), 4, 0, 0).value == 4
    mmap = entry.table.mmap
    where = (SHARED, 4096, READ_WRITE, MAP_SHARED | MAP_FIXED)
    assert guest.call(entry, mmap, *where, fd, 0).value == SHARED
    with start_puppet(guest, entry.abi) as puppet:
        puppet.write(puppet.strings.stage, PATH)
        held = puppet.call(entry, "open", puppet.strings.stage, O_RDWR)
        assert puppet.call(entry, mmap, *where, held, 0) == SHARED
        puppet.prepare(entry, "futex", SHARED, WAIT, -5 & MOST, 0)
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        assert puppet.ptrace(Request.SYSCALL).value == 0
        yield puppet


COMPARED = (
    *((-5, UNEQUAL, -5, 0), (-3, LESS, -5, 0), (-5, AT_LEAST, -3, 0), (7, AT_MOST, 6, 0)),
    *((7, MORE, 7, 0), (-7, MORE, 7, 0), (7, EQUAL, 8, 0), (-1, EQUAL, -1, 1)),
)
"""What is there, how it is compared and with what, and how many wake."""


def test_who_waits_for_the_second_word_wakes_if_it_was_as_compared(guest, entry, waiter):
    """Both numbers have a sign: kernel/futex/waitwake.c futex_atomic_op_inuser (6.1)."""
    rows = [(0, clocks.WAIT, entry.table.words(0, 20_000_000), 0)]
    following = [there for there, *_ in COMPARED[1:]]
    for (_, compare, than, woken), new in zip(COMPARED, [*following, -2], strict=True):
        code = operation(0, new & 0xFFF) | compare << 24 | than & 0xFFF
        rows.append((woken, "futex", FIRST, WAKE_OP, 1, 1, SHARED, code))
    assert find_wrong(guest, entry, rows) == []
    assert waiter.wait() == CALL_STOP
    assert waiter.read(SHARED, 4) == word(-2 & MOST)


def test_an_operation_that_is_none_changes_nothing(guest, entry):
    guest.write(entry.abi, SECOND, word(OLD))
    for code in (5, 6, 7):
        said = guest.call(entry, "futex", FIRST, WAKE_OP, 1, 1, SECOND, operation(code))
        assert said.errno == ENOSYS, code
    assert guest.read(entry.abi, SECOND, 4) == word(OLD)


def test_no_word_is_changed_at_a_bad_pointer(guest, entry):
    for bad in bad_pointers(entry, guest.identity.arch):
        said = guest.call(entry, "futex", FIRST, WAKE_OP, 1, 1, bad.address, operation(1))
        assert said.errno in (EFAULT, EINVAL), bad.name
    said = guest.call(entry, "futex", FIRST, WAKE_OP, 1, 1, READ_ONLY.start, operation(1))
    assert said.errno == EFAULT


def test_a_word_that_has_changed_is_not_waited_for(guest, entry):
    guest.write(entry.abi, FIRST, word(OLD))
    soon = entry.table.words(0, 1)
    cases = {
        ("futex", FIRST, WAIT, OLD ^ 1, soon): -EAGAIN,
        ("futex", FIRST, WAIT, OLD ^ 1 << 31, soon): -EAGAIN,
        ("futex", FIRST, CMP_REQUEUE, 1, 1, SECOND, OLD ^ 1): -EAGAIN,
        ("futex", FIRST, CMP_REQUEUE, 1, 1, SECOND, OLD): 0,
        ("futex", FIRST, WAKE, 1): 0,
        ("futex", FIRST + 1, WAKE, 1): -EINVAL,
    }
    calls = {call[:7]: value for call, value in cases.items()}
    seen = [said.value for said in guest.series(entry, list(calls))]
    assert dict(zip(calls, seen, strict=True)) == calls


def test_a_lock_holds_its_owners_number_and_is_zero_when_let_go(guest, entry):
    own = guest.call(entry, "gettid").value
    steps = ((LOCK_PI, 0, own), (LOCK_PI, -EDEADLK, own), (UNLOCK_PI, 0, 0), (TRYLOCK_PI, 0, own))
    guest.write(entry.abi, FIRST, word(0))
    for code, value, left in steps:
        said = guest.call(entry, "futex", FIRST, code, 0, 0)
        if said.errno == ENOSYS:
            pytest.skip("built without priority inheritance")
        assert said.value == value, code
        assert guest.read(entry.abi, FIRST, 4) == word(left), code
    guest.write(entry.abi, FIRST, word(own + 1))
    assert guest.call(entry, "futex", FIRST, UNLOCK_PI, 0, 0).errno == EPERM


def test_a_robust_list_is_told_as_it_was_set(guest, entry):
    size = 3 * entry.table.word_bytes
    assert guest.call(entry, "set_robust_list", FIRST, size).value == 0
    width = entry.table.word_bytes
    said = guest.call(entry, "get_robust_list", 0, Buffer(width + 8), Buffer(width + 8))
    expected = [entry.table.words(value) + b"\xa5" * 8 for value in (FIRST, size)]
    assert list(said.memory) == expected


PRIVATE, WORD_OFFSET, WAITERS, OWNER = 0x80, 0x1800, 0x8000_0000, 0x3FFF_FFFF
WAIT_BITS, WAKE_BITS, NARROW = 9, 10, 2


@pytest.fixture
def threads(guest, entry):
    """Give both threads of a process, of which the second waits for what the first does."""
    with start_puppet(guest, entry.abi, options=Option.TRACECLONE | Option.TRACESYSGOOD) as one:
        other = one.start_thread(entry)
        yield one, other
        other.kill()


@pytest.fixture
def ask(threads, entry):
    """Give a function that has the first thread call futex, and returns what came of it.

    There is one record for both, so that what came of a call is read in registers.
    """

    def ask(*call, thread=threads[0]):
        thread.prepare(entry, "futex", *call)
        assert thread.resume(Request.SYSCALL) == CALL_STOP
        assert thread.ptrace(Request.SYSCALL).value == 0
        said = thread.end_call()
        assert thread.resume() == TRAP_STOP
        return said

    return ask


def test_a_lock_that_is_let_go_is_the_waiters(threads, entry, ask):
    """And not that of who comes meanwhile. Source: kernel/futex/pi.c wake_futex_pi (6.1)."""
    one, other = threads
    at = one.strings.stage + WORD_OFFSET
    one.write(at, word(0))
    if ask(at, LOCK_PI, 0, 0) == -ENOSYS:
        pytest.skip("built without priority inheritance")
    other.begin_call(entry, "futex", at, LOCK_PI, 0, 0)
    held = one.read(at, 4)
    assert ask(at, WAKE, 1) == -EINVAL, "it does not wait like others"
    assert ask(at, UNLOCK_PI, 0, 0) == 0
    answer, passed = other.end_call(), int.from_bytes(one.read(at, 4), "little")
    refused = ask(at, TRYLOCK_PI, 0, 0)
    assert other.resume() == TRAP_STOP
    assert ask(at, UNLOCK_PI, 0, 0, thread=other) == 0
    assert held == word(one.pid | WAITERS)
    assert (answer, passed & OWNER, refused) == (0, other.pid, -EAGAIN)
    assert one.read(at, 4) == word(0)


@pytest.mark.parametrize("private", [0, PRIVATE], ids=["shared", "private"])
def test_a_waiter_is_woken_at_its_word_and_by_its_bits(threads, entry, ask, private):
    """Source: kernel/futex/waitwake.c futex_wake (6.1)."""
    one, other = threads
    at, wake = one.strings.stage + WORD_OFFSET, WAKE_BITS | private
    one.write(at, word(OLD) * 2)
    other.begin_call(entry, "futex", at, WAIT_BITS | private, OLD, 0, 0, 6)
    cases = ((at + 4, wake, -1), (at, wake, 9), (at, wake ^ PRIVATE, -1), (at, wake, 4))
    seen = [ask(where, how, 9, 0, 0, bits) for where, how, bits in cases]
    assert seen == [0, 0, 0, 1]
    assert other.end_call() == 0


def test_who_waits_elsewhere_from_now_on_is_woken_there(threads, entry, ask):
    """Source: kernel/futex/requeue.c futex_requeue (6.1)."""
    one, other = threads
    at = one.strings.stage + WORD_OFFSET
    one.write(at, word(OLD) * 2)
    other.begin_call(entry, "futex", at, WAIT, OLD, 0)
    moved = ask(at, CMP_REQUEUE, 0, 9, at + 4, OLD)
    woken = [ask(where, WAKE, 9) for where in (at, at + 4)]
    assert (moved, woken) == (1, [0, 1])
    assert other.end_call() == 0


@pytest.mark.needs(since="5.16")
def test_who_waits_at_several_words_is_told_which_it_was(threads, entry, ask):
    """Source: kernel/futex/waitwake.c futex_unqueue_multiple (6.1)."""
    one, other = threads
    at, waiters = (one.strings.stage + WORD_OFFSET + more for more in (0, 0x40))
    one.write(at, word(OLD) * 3)
    rows = (struct.pack("<QQII", OLD, at + 4 * n, NARROW, 0) for n in range(3))
    one.write(waiters, b"".join(rows))
    other.begin_call(entry, "futex_waitv", waiters, 3, 0, 0, 0)
    assert ask(at + 4, WAKE, 9) == 1
    assert other.end_call() == 1
    assert ask(at, WAKE, 9) == 0, "it waits no more"
