# SPDX-License-Identifier: Apache-2.0
"""The vDSO's getrandom: as good as the call, and seldom a call.

Source: lib/vdso/getrandom.c __cvdso_getrandom_data; include/uapi/linux/random.h struct
vgetrandom_opaque_params; arch/x86/entry/vdso/vgetrandom-chacha.S (6.12).
"""

from errno import EFAULT, EINVAL

import pytest

from harness.agent.arguments import Buffer
from harness.agent.filter import forbid_calls
from harness.agent.vdso import read_vdso
from harness.entry import FUNCTION_X86_64, SYSCALL
from harness.landscape import HOLE

pytestmark = [pytest.mark.abis("x86_64"), pytest.mark.needs(arch="x86_64", since="6.11")]

DESCRIBE = (1 << 64) - 1
"""As the state's size: store how a state is to be allocated."""
READ_WRITE, ANONYMOUS_DROPPABLE = 3, 0x28
FORBIDDEN = 77
TRIES = 5


def find_getrandom(guest, abi):
    address = read_vdso(guest, abi).function("__vdso_getrandom")
    return lambda *arguments: guest.call(FUNCTION_X86_64, address, *arguments)


def allocate(guest, getrandom):
    """Return a state's address and size, allocated as the function wants it."""
    wanted = getrandom(0, 0, 0, Buffer(64), DESCRIBE).memory[0]
    size, protection, flags = (int.from_bytes(wanted[at : at + 4], "little") for at in (0, 4, 8))
    at = guest.call(SYSCALL, "mmap", 0, 4096, protection, flags, -1, 0)
    assert at.errno is None, at
    return at.value, size


@pytest.fixture
def getrandom(guest, abi):
    """Give what calls the function, with its five arguments."""
    return find_getrandom(guest, abi)


@pytest.fixture
def state(guest, getrandom):
    return allocate(guest, getrandom)


def test_it_says_how_a_state_is_to_be_allocated(getrandom):
    said = getrandom(0, 0, 0, Buffer(80), DESCRIBE)
    numbers = [int.from_bytes(said.memory[0][at : at + 4], "little") for at in range(0, 64, 4)]
    assert said.value == 0
    assert 0 < numbers[0] <= 4096
    assert numbers[1:] == [READ_WRITE, ANONYMOUS_DROPPABLE, *[0] * 13]
    assert said.memory[0][64:] == b"\xa5" * 16


def test_it_fills_just_what_was_asked_for(getrandom, state):
    wrong = {}
    for size in (0, 1, 31, 32, 33, 64, 95, 96, 97, 500):
        first, second = (getrandom(Buffer(size + 16), size, 0, *state) for _ in range(2))
        bytes_given = {said.memory[0][:size] for said in (first, second)}
        beside = {said.memory[0][size:] for said in (first, second)}
        filled = (first.value, second.value) == (size, size) and beside == {b"\xa5" * 16}
        if not filled or (size > 8 and len(bytes_given) == 1):
            wrong[size] = (first, second)
        assert first.clobbered <= FUNCTION_X86_64.may_clobber
    assert wrong == {}


def ask_with_calls_forbidden(guest, abi):
    """Return what twenty calls give a fresh program that has a key and may not enter the kernel."""
    guest.renew()
    getrandom = find_getrandom(guest, abi)
    state = allocate(guest, getrandom)
    assert getrandom(Buffer(32), 32, 0, *state).value == 32
    forbid_calls(guest, abi, FORBIDDEN)
    return [getrandom(Buffer(32), 32, 0, *state) for _ in range(20)]


def test_it_enters_the_kernel_for_its_key_alone(guest, abi):
    """The kernel changes its own key every second at first; seldom just then, never each time."""
    tries = (ask_with_calls_forbidden(guest, abi) for _ in range(TRIES))
    said = next((one for one in tries if {outcome.value for outcome in one} == {32}), ())
    assert len({outcome.memory for outcome in said}) == 20, "no try went without the kernel"


def test_its_state_keeps_nothing_of_what_it_gave(guest, abi, getrandom, state):
    at, size = state
    said = getrandom(Buffer(64), 64, 0, *state)
    kept = guest.read(abi, at, size)
    assert [n for n in range(0, 64, 8) if said.memory[0][n : n + 8] in kept] == []


def test_without_a_state_it_makes_the_call(guest, abi, getrandom):
    said = getrandom(Buffer(48), 32, 0, 0, 0)
    assert said.value == 32
    assert said.memory[0][32:] == b"\xa5" * 16
    forbid_calls(guest, abi, FORBIDDEN)
    assert getrandom(Buffer(32), 32, 0, 0, 0).value == -FORBIDDEN


def test_it_refuses_what_the_call_refuses(guest, getrandom, state):
    flags = 0x80
    assert guest.call(SYSCALL, "getrandom", Buffer(16), 16, flags).errno == EINVAL
    assert getrandom(Buffer(16), 16, flags, *state).errno == EINVAL
    assert getrandom(HOLE, 16, 0, 0, 0).errno == EFAULT


def test_its_state_may_end_with_its_page_and_not_behind_it(getrandom, state):
    at, size = state
    seen = [getrandom(Buffer(32), 32, 0, at + 4096 - size + past, size) for past in (0, 1, size)]
    assert [said.value for said in seen[:2]] == [32, -EFAULT]
    assert seen[1].memory[0] == b"\xa5" * 32
