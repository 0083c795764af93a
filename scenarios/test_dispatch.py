# SPDX-License-Identifier: Apache-2.0
"""What the dispatcher does with the number it is given.

Source: arch/x86/entry/common.c do_syscall_64, do_int80_emulation, do_fast_syscall_32; syscall_32.c,
syscall_64.c, syscall_x32.c with a Debian patch; kernel/signal.c restart_syscall (6.1).
"""

from errno import EBADF, EINTR, ENOSYS, errorcode

import pytest

from harness.agent.calls import Call
from harness.agent.x32 import X32, X32_FIRST, X32_NAMES, has_x32
from harness.arch import I386, X86_64
from harness.entry import SYSCALL, entry_names_taking
from harness.landscape import ARENA
from harness.syscalls import read_answers, read_groups

TAKING_I386 = entry_names_taking(I386)
NEVER_COMES_BACK = {
    *("exit", "exit_group", "fork", "vfork"),  # or twice
    *("pause", "sigsuspend", "rt_sigsuspend"),
    *("sigreturn", "rt_sigreturn"),
}
PAST = 600
"""How far past the table is looked; the numbers of x32 lie there."""

UPPER_BITS = range(32, 64)
PRIVATE_ANONYMOUS = 0x22
X32_ON = {"append": "syscall.x32=y vsyscall=none", "arch": "x86_64"}


def say(outcome):
    """Say what came of a call in one word: a signal, an error, or "OK"."""
    if outcome.signal:
        return outcome.signal.name
    return errorcode.get(outcome.errno, outcome.errno) if outcome.errno else "OK"


def ask(guest, entry, numbers):
    """Make the calls of these numbers, each with six arguments of -1; return a word for each."""
    calls = [Call.of(entry, number, (-1,) * 6, f"number {number}") for number in numbers]
    return dict(zip(numbers, map(say, guest.calls(calls)), strict=True))


def sweep(guest, entry):
    """Make every call that comes back, far past the table's end, and name what it answers."""
    table = guest.table(entry)
    taken = {number: name for name, number in table.numbers.items()}
    numbers = [n for n in range(table.size + PAST) if taken.get(n) not in NEVER_COMES_BACK]
    said = ask(guest, entry, numbers)
    return {taken.get(number, number): answer for number, answer in said.items()}


def without_what_is_not_configured(said, arch):
    """Leave calls out that are missing or switched off together; what is alone in it stays."""
    groups = [{*names} & {*said} for names in read_groups(arch).values()]
    nothing = {"ENOSYS"}, {"ENOTSUP"}  # the latter without lsm=landlock
    missing = [group for group in groups if {said[name] for name in group} in nothing]
    return {name: answer for name, answer in said.items() if name not in set().union(*missing)}


@pytest.mark.claim(1)
@pytest.mark.claim(18)
@pytest.mark.room("its parent is the first process")
def test_a_number_leads_to_its_call(guest, entry):
    assert guest.call(entry, "getppid").value == 1


@pytest.mark.claim(1)
@pytest.mark.claim(2)
@pytest.mark.claim(3)
@pytest.mark.claim(6)
@pytest.mark.claim(26)
@pytest.mark.guest_only("it makes every call that there is")
def test_every_number_leads_to_its_own_call_and_others_nowhere(guest, entry):
    said = without_what_is_not_configured(sweep(guest, entry), guest.identity.arch)
    known = read_answers(entry.table)
    expected = {n: "ENOSYS" if isinstance(n, int) else known.get(n) for n in said}
    wrong = {
        name: f"{answer} instead of {expected[name] or 'anything but ENOSYS'}"
        for name, answer in said.items()
        if answer != expected[name] and (expected[name] or answer == "ENOSYS")
    }
    assert wrong == {}


@pytest.mark.claim(58)
def test_getpid_names_the_process_that_asked(guest, entry):
    comm = guest.read_file(f"/proc/{guest.call(entry, 'getpid').value}/comm")
    assert comm.decode() == f"executor.{entry.abi}\n"


@pytest.mark.claim(58)
def test_dup2_gives_the_number_asked_for(guest, entry):
    assert guest.call(entry, "dup2", 0, 77).value == 77
    assert guest.call(entry, "dup2", 77, 78).value == 78
    assert guest.call(entry, "dup2", 78, 78).value == 78
    assert guest.call(entry, "dup2", 79, 78).errno == EBADF


@pytest.mark.claim(2)
def test_a_number_just_past_the_table_is_enosys(guest, entry):
    said = ask(guest, entry, [guest.table(entry).size + past for past in (0, 1, 7, 64)])
    assert said == dict.fromkeys(said, "ENOSYS")


@pytest.mark.claim(2)
def test_a_huge_or_negative_number_is_enosys(guest, entry):
    said = ask(guest, entry, [0xFFFF, 0x7FFF_FFFF, -1, -2, -4095, -4096, -0x8000_0000])
    assert said == dict.fromkeys(said, "ENOSYS")


@pytest.mark.claim(2)
def test_no_bit_of_a_number_is_ignored(guest, entry):
    getppid = guest.table(entry).number("getppid")
    x32 = {X32} if entry.name == "syscall" else set()
    bits = {1 << bit for bit in range(9, 32)} - x32
    said = ask(guest, entry, [getppid | bit for bit in bits])
    assert {hex(number): answer for number, answer in said.items() if answer != "ENOSYS"} == {}


def getppid_with_upper_bits(guest, entry):
    number = guest.table(entry).number("getppid")
    return {bit: guest.call(entry, number | 1 << bit) for bit in UPPER_BITS}


@pytest.mark.claim(1)
@pytest.mark.entries("syscall", "int80_64")
@pytest.mark.needs(since="5.14")
@pytest.mark.room("its parent is the first process")
def test_a_number_is_the_lower_half_of_its_register(guest, entry):
    said = getppid_with_upper_bits(guest, entry)
    assert {bit: outcome.value for bit, outcome in said.items()} == dict.fromkeys(UPPER_BITS, 1)


@pytest.mark.claim(1)
@pytest.mark.entries("int80_64")
@pytest.mark.needs(before="5.14")
def test_to_int80_a_number_was_always_the_lower_half(guest, entry):
    said = getppid_with_upper_bits(guest, entry)
    assert {bit: outcome.value for bit, outcome in said.items()} == dict.fromkeys(UPPER_BITS, 1)


@pytest.mark.claim(2)
@pytest.mark.entries("syscall")
@pytest.mark.needs(before="5.14")
def test_a_number_was_the_whole_register_once(guest, entry):
    said = getppid_with_upper_bits(guest, entry)
    assert {b: outcome.errno for b, outcome in said.items()} == dict.fromkeys(UPPER_BITS, ENOSYS)


@pytest.mark.claim(2)
@pytest.mark.entries("syscall", "int80_64")
def test_a_number_past_the_table_stays_past_it_with_any_upper_half(guest, entry):
    size = guest.table(entry).size
    numbers = [n | upper << 32 for n in (size, 0x7FFF_FFFF, 0xFFFF_FFFF) for upper in (1, 1 << 31)]
    assert set(ask(guest, entry, numbers).values()) == {"ENOSYS"}


@pytest.mark.claim(3)
def test_an_unimplemented_slot_is_enosys(guest, entry):
    assert guest.call(entry, guest.table(entry).find_unused()).errno == ENOSYS


@pytest.mark.claim(3)
@pytest.mark.entries(*TAKING_I386)
def test_a_call_that_never_was_is_enosys(guest, entry):
    names = ("lock", "prof", "mpx", "ulimit", "vserver")
    said = {name: guest.call(entry, name).errno for name in names}
    assert said == dict.fromkeys(names, ENOSYS)


@pytest.mark.claim(7)
@pytest.mark.parametrize("name", ["epoll_pwait2", "futex_waitv", "cachestat", "statmount"])
def test_a_call_is_there_from_its_release_on(guest, entry, name):
    said = guest.call(entry, name, -1, 0, -1, -1, -1, -1)
    assert (said.errno == ENOSYS) == (name in guest.table(entry).newer)


@pytest.mark.claim(6)
@pytest.mark.entries("int80_64")
def test_int80_from_64_bit_code_takes_32_bit_numbers(guest, entry):
    getpid = 20  # writev in the 64-bit table, which would be EBADF here
    assert guest.call(entry, getpid, -1).value == guest.call(entry, "gettid").value


@pytest.mark.entries("int80_64")
def test_a_call_is_a_32_bit_one_only_while_it_lasts(guest, entry):
    for _ in range(3):
        low = guest.call(entry, "mmap2", 0, 4096, 1, PRIVATE_ANONYMOUS, -1, 0).value
        high = guest.call(SYSCALL, "mmap", 0, 4096, 1, PRIVATE_ANONYMOUS, -1, 0).value
        assert 0 < low < 1 << 32 < high


@pytest.mark.claim(6)
@pytest.mark.entries("syscall")
def test_syscall_takes_64_bit_numbers(guest, entry):
    getpid = 39  # mkdir in the 32-bit table, which would be EFAULT here
    assert guest.call(entry, getpid, -1).value == guest.call(entry, "gettid").value


def test_there_is_nothing_to_restart(guest, entry):
    assert guest.call(entry, "restart_syscall").errno == EINTR


@pytest.mark.claim(58)
def test_the_time_is_the_same_by_each_of_its_calls(guest, entry):
    before = guest.call(entry, "time", 0).value
    known = guest.call(entry, "gettimeofday", ARENA.start, 0)
    seconds = int.from_bytes(guest.read(entry.abi, ARENA.start, entry.table.bits // 8), "little")
    after = guest.call(entry, "time", 0).value
    assert known.value == 0
    assert before <= seconds, "time goes by ticks, and never ahead"
    assert before <= after
    assert seconds - 1 <= after


@pytest.mark.claim(2)
@pytest.mark.entries("syscall")
def test_without_x32_its_numbers_are_enosys(guest, entry):
    if has_x32(guest):
        pytest.skip("the kernel runs x32 programs")
    numbers = range(X32, X32 + X32_FIRST + PAST)
    said = ask(guest, entry, numbers)
    assert {hex(number): answer for number, answer in said.items() if answer != "ENOSYS"} == {}


@pytest.fixture
def x32(guest, entry):
    """Give x32's calls by number, where the kernel has x32."""
    if not has_x32(guest):
        pytest.skip("the kernel is configured without x32")
    numbers = guest.table(entry).numbers
    common = {number: name for name, number in numbers.items() if name not in X32_NAMES}
    calls = common | dict(enumerate(X32_NAMES, X32_FIRST))
    return {X32 | n: name for n, name in calls.items() if name not in NEVER_COMES_BACK}


@pytest.mark.claim(6)
@pytest.mark.entries("syscall")
@pytest.mark.machine(**X32_ON)
def test_with_x32_each_number_leads_to_its_own_call(guest, entry, x32):
    answers = ask(guest, entry, x32)
    said = {x32[n]: answer for n, answer in answers.items()}
    said = without_what_is_not_configured(said, guest.identity.arch)
    own = {name: read_answers(I386).get(name) for name in X32_NAMES}
    expected = read_answers(X86_64) | own
    wrong = {
        name: f"{answer} instead of {expected[name]}"
        for name, answer in said.items()
        if answer != (expected.get(name) or answer)
    }
    assert wrong == {}


@pytest.mark.claim(2)
@pytest.mark.entries("syscall")
@pytest.mark.machine(**X32_ON)
def test_with_x32_numbers_of_its_own_need_its_bit(guest, entry):
    own = range(X32_FIRST, X32_FIRST + len(X32_NAMES))
    assert set(ask(guest, entry, own).values()) == {"ENOSYS"}
    past = range(X32 | own.stop, X32 | own.stop + PAST)
    assert set(ask(guest, entry, past).values()) == {"ENOSYS"}


@pytest.mark.claim(2)
@pytest.mark.entries("syscall")
@pytest.mark.machine(**X32_ON)
def test_with_x32_numbers_of_64_bit_programs_only_are_enosys(guest, entry):
    numbers = guest.table(entry).numbers
    said = ask(guest, entry, [numbers[name] | X32 for name in X32_NAMES])
    assert set(said.values()) == {"ENOSYS"}
