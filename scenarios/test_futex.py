# SPDX-License-Identifier: Apache-2.0
"""What a futex call does to the words that it is given: the kernel changes them where they are.

Source: arch/x86/include/asm/futex.h arch_futex_atomic_op_inuser, futex_atomic_cmpxchg_inatomic;
kernel/futex/waitwake.c futex_atomic_op_inuser; kernel/futex/pi.c (6.1); man 2 futex.
"""

from errno import EAGAIN, EDEADLK, EFAULT, EINVAL, ENOSYS, EPERM

import pytest

from harness.agent.arguments import Buffer
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
