# SPDX-License-Identifier: Apache-2.0
"""What clone gives to the child alone: its stack, its thread-local storage, its end's signal.

Source: arch/x86/kernel/process.c copy_thread, set_new_tls; arch/x86/kernel/tls.c; kernel/fork.c
kernel_clone (6.1).
"""

import contextlib
import struct
from errno import EAGAIN, EEXIST, EFAULT, EINVAL, ENOMEM, ENOSYS, EPERM
from os import O_CLOEXEC

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request, Status, plain_name
from harness.agent.puppet import INSTRUCTIONS, start_puppet
from harness.agent.structures import ACTION, SENT
from harness.arch import ARCH_I386, I386
from harness.landscape import HOLE

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

SIGCHLD, SIGTRAP, EVENT_FORK, EVENT_VFORK = 17, 5, 1, 2
CLONE_VM, CLONE_PIDFD, CLONE_SETTLS, CLONE_PARENT_SETTID = 0x100, 0x1000, 0x8_0000, 0x10_0000
CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 0x20_0000, 0x100_0000
CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_THREAD = 0x200, 0x400, 0x800, 0x1_0000
SI_USER, SI_TKILL, SET_PARENTS_END = 0, -6, 1
CLONE_VFORK = 0x4000
SS_DISABLE = 2
WAIT_ALL = 0x4000_0000
NT_PRFPREG, NT_PRXFPREG = 2, 0x46E6_2B7F
GET_FS = 0x1003
BASE = 0x1234_5000
LIMIT, USABLE_PAGES, EMPTY = 0xFFFFF, 0x51, 0x28


@contextlib.contextmanager
def cloned(puppet, entry, flags, stack=0, wanted=0):
    """Have a process clone itself; give the child, which has not run yet, and end it after.

    What `flags` want besides is `wanted`: thread-local storage, or the place of the child's number.
    """
    fourth = (entry.table is I386) is bool(flags & CLONE_SETTLS)
    tail = (wanted, 0) if fourth else (0, wanted)
    puppet.prepare(entry, "clone", flags | SIGCHLD, stack, 0, *tail)
    event = EVENT_VFORK if flags & CLONE_VFORK else EVENT_FORK
    assert puppet.resume() == Status.stopped(SIGTRAP, event)
    child = puppet.follow_child()
    yield child
    child.kill()


@pytest.fixture
def puppet(guest, entry):
    """Give a process whose children are stopped before they run."""
    options = Option.TRACEFORK | Option.TRACEVFORK | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as puppet:
        yield puppet


def test_a_child_starts_on_the_stack_that_it_is_given(puppet, entry):
    stack = puppet.strings.stage + 0x9000
    with cloned(puppet, entry, 0, stack) as child:
        childs, own = child.registers(), puppet.registers()
        assert hex(childs["sp"]) == hex(stack)
        assert own["sp"] != stack
        assert childs["ax"] == 0
        general = ("bx", "cx", "dx", "si", "di", "bp", "ip", "flags")
        assert {name: childs[name] for name in general} == {name: own[name] for name in general}


def test_a_child_without_a_stack_of_its_own_starts_on_its_parents(puppet, entry):
    with cloned(puppet, entry, 0) as child:
        assert child.registers()["sp"] == puppet.registers()["sp"]


CHILD_ENDS = {
    "x86_64": b"\x85\xc0\x74\x01\xcc\xb8\x3c\0\0\0\xbf\x2a\0\0\0\x0f\x05",
    "i386": b"\x85\xc0\x74\x01\xcc\xb8\x01\0\0\0\xbb\x2a\0\0\0\xcd\x80",
}
"""test %eax, %eax; je over; int3; over: exit(42)."""


def test_a_child_is_not_stepped_because_its_parent_is(guest, entry):
    """Nobody traces it, and a trap would be its end: kernel/fork.c copy_process."""
    with start_puppet(guest, entry.abi) as puppet:
        number, at = puppet.number(entry, "clone"), puppet.strings.stage + 0x1800
        given = dict.fromkeys(map(plain_name, entry.arguments), 0)
        puppet.send_to(INSTRUCTIONS[entry.name] + CHILD_ENDS[entry.abi.name], **given, ax=number)
        assert puppet.resume(Request.SINGLESTEP) == TRAP_STOP
        child = puppet.registers()["ax"]
        assert puppet.resume() == TRAP_STOP
        puppet.go_home()
        assert puppet.call(puppet.own_entry, "wait4", child, at, WAIT_ALL, 0) == child
        assert Status(int.from_bytes(puppet.read(at, 4), "little")) == Status.exited(42)


def test_its_number_is_put_where_it_was_asked_for_and_taken_away_at_its_end(puppet, entry):
    """Whoever joins a thread waits for that."""
    stage = puppet.strings.stage
    at, flags = stage + 0x1800, CLONE_VM | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
    puppet.write(at, b"\xff" * 8)
    with cloned(puppet, entry, flags, stage + 0x9000, at) as child:
        assert child.resume() == TRAP_STOP
        assert child.read(at, 8) == child.pid.to_bytes(4, "little") + b"\xff" * 4
        child.prepare(entry, "exit", 0)
        assert child.resume() == Status.exited(0)
        assert puppet.read(at, 8) == bytes(4) + b"\xff" * 4


@pytest.mark.parametrize("flag", [CLONE_PARENT_SETTID, CLONE_PIDFD], ids=["number", "descriptor"])
def test_the_parent_is_told_the_childs_number_or_a_descriptor_of_it(guest, puppet, entry, flag):
    at = puppet.strings.stage + 0x1800
    puppet.write(at, b"\xff" * 8)
    puppet.prepare(entry, "clone", flag | SIGCHLD, 0, at, 0, 0)
    assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_FORK)
    child = puppet.follow(puppet.event_message())
    told, behind = struct.unpack("<II", puppet.read(at, 8))
    if flag == CLONE_PIDFD:
        of = guest.read_file(f"/proc/{puppet.pid}/fdinfo/{told}").decode().split()
        told = int(of[of.index("Pid:") + 1])
    assert (told, behind) == (child.pid, 0xFFFF_FFFF)
    child.kill()


def test_a_thread_signs_its_signals_as_its_process(puppet, entry):
    """Source: kernel/signal.c do_tkill, prepare_kill_siginfo, before 6.9 in kill itself (6.1)."""
    stage, layout = puppet.strings.stage, SENT[entry.table.name]
    blocked, at = (1 << SIGUSR1 - 1).to_bytes(8, "little"), puppet.strings.stage + 0x1800
    assert puppet.ptrace(Request.SETSIGMASK, 8, blocked).value == 0
    with cloned(puppet, entry, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, stage + 0x9000) as thread:
        assert thread.resume() == TRAP_STOP
        own, seen = (puppet.pid, thread.pid), []
        assert tuple(thread.call(entry, name) for name in ("getpid", "gettid")) == own
        for name, *to in (("kill", own[0]), ("tkill", own[1]), ("tgkill", *own)):
            assert thread.call(entry, name, *to, SIGUSR1) == 0
            puppet.write(at, blocked)
            assert thread.call(entry, "rt_sigtimedwait", at, at + 8, 0, 8) == SIGUSR1
            told = layout.decode(puppet.read(at + 8, layout.size_bytes))
            seen.append((name, told["code"], told["pid"]))
    by_number = [(name, SI_TKILL, own[0]) for name in ("tkill", "tgkill")]
    assert seen == [("kill", SI_USER, own[0]), *by_number]


def test_a_child_is_told_of_its_parents_end_if_it_asks_itself(puppet, entry):
    """Source: kernel/fork.c copy_process, kernel/exit.c reparent_leader, pdeath_signal (6.1)."""
    at = puppet.strings.stage + 0x1800
    assert puppet.call(entry, "prctl", SET_PARENTS_END, SIGUSR2, 0, 0, 0) == 0
    with cloned(puppet, entry, 0) as child:
        assert child.resume() == TRAP_STOP
        child.write(at, b"\xff" * 8)
        assert child.call(entry, "prctl", SET_PARENTS_END + 1, at, 0, 0, 0) == 0
        assert child.read(at, 8) == bytes(4) + b"\xff" * 4
        assert child.call(entry, "prctl", SET_PARENTS_END, SIGUSR1, 0, 0, 0) == 0
        puppet.kill()
        assert child.resume() == Status.stopped(SIGUSR1)


def test_a_child_masks_the_modes_of_its_files_as_its_parent(puppet, entry):
    """Source: fs/fs_struct.c copy_fs_struct (6.1)."""
    puppet.call(entry, "umask", 0o517)
    with cloned(puppet, entry, 0) as child:
        assert child.resume() == TRAP_STOP
        assert oct(child.call(entry, "umask", 0)) == oct(0o517)


SHARED = {1: CLONE_VM, 2: CLONE_FILES, 3: CLONE_FS, 4: CLONE_SIGHAND}
"""By the number that kcmp has for it: the flag by which a child has its parent's."""


def test_a_child_has_in_common_what_it_was_asked_for_and_nothing_else(guest, puppet, entry):
    """Source: kernel/fork.c copy_mm, copy_files, copy_fs, copy_sighand; kernel/kcmp.c (6.1)."""
    stage, own, seen = puppet.strings.stage, puppet.tracer, {}
    if guest.call(own, "kcmp", puppet.pid, puppet.pid, 1, 0, 0).errno == ENOSYS:
        pytest.skip("built without")
    ends = (1 << SIGCHLD - 1).to_bytes(8, "little")
    assert puppet.ptrace(Request.SETSIGMASK, 8, ends).value == 0
    cases = (0, CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_VM | CLONE_SIGHAND)
    for flags in cases:
        with cloned(puppet, entry, flags, stage + 0x9000) as child:
            pids = puppet.pid, child.pid
            answers = [guest.call(own, "kcmp", *pids, kind, 0, 0).value for kind in SHARED]
            seen[flags] = [answer == 0 for answer in answers]
        assert puppet.resume() == TRAP_STOP
    assert seen == {flags: [bool(flags & one) for one in SHARED.values()] for flags in cases}


OWNER_DIED, WAITERS, BEFORE_ENTRY = 0x4000_0000, 0x8000_0000, -8


def test_locks_that_a_process_ends_with_say_so(puppet, entry):
    """Source: kernel/futex/core.c exit_robust_list, compat_exit_robust_list (6.1)."""
    stage, abi = puppet.strings.stage, entry.table
    head, listed, pending, others = (stage + 0x1800 + 0x40 * n for n in range(4))
    with cloned(puppet, entry, CLONE_VM, stack=stage + 0x9000) as child:
        assert child.resume() == TRAP_STOP
        puppet.write(head, abi.words(listed, BEFORE_ENTRY, pending))
        puppet.write(listed, abi.words(others))
        puppet.write(others, abi.words(head))
        owners = {listed: child.pid | WAITERS, pending: child.pid, others: puppet.pid}
        for place, owner in owners.items():
            puppet.write(place + BEFORE_ENTRY, struct.pack("<I", owner))
        assert child.call(entry, "set_robust_list", head, 3 * abi.word_bytes) == 0
        child.prepare(entry, "exit", 0)
        assert child.resume() == Status.exited(0)
        left = [int.from_bytes(puppet.read(at + BEFORE_ENTRY, 4), "little") for at in owners]
    assert [hex(x) for x in left] == [hex(OWNER_DIED | WAITERS), hex(OWNER_DIED), hex(puppet.pid)]


def test_a_lock_that_was_to_be_had_is_passed_by_in_the_list_and_is_the_last(puppet, entry):
    """Even if it can be none where it is. Source: as above, entry != pending (6.1)."""
    stage, abi = puppet.strings.stage, entry.table
    head, listed, no_lock = stage + 0x1800, stage + 0x1840, stage + 0x1882
    with cloned(puppet, entry, CLONE_VM, stack=stage + 0x9000) as child:
        assert child.resume() == TRAP_STOP
        for at, *rest in (
            (head, no_lock, BEFORE_ENTRY, no_lock),
            (no_lock, listed),
            (listed, head),
        ):
            puppet.write(at, abi.words(*rest))
        puppet.write(listed + BEFORE_ENTRY, struct.pack("<I", child.pid))
        assert child.call(entry, "set_robust_list", head, 3 * abi.word_bytes) == 0
        child.prepare(entry, "exit", 0)
        assert child.resume() == Status.exited(0)
        left = int.from_bytes(puppet.read(listed + BEFORE_ENTRY, 4), "little")
    assert hex(left) == hex(OWNER_DIED), "of the lock behind it in the list"


@pytest.mark.parametrize(
    ("flags", "kept"),
    [(0, True), (CLONE_VM, False), (CLONE_VM | CLONE_VFORK, True)],
    ids=["copied", "shared", "lent"],
)
def test_a_child_keeps_the_alternate_stack_unless_memory_is_shared(puppet, entry, flags, kept):
    abi, at = entry.table, puppet.strings.stage + 0x1800
    own = abi.words(at + 0x3000, 0, 0x4000)
    puppet.write(at, own)
    assert puppet.call(entry, "sigaltstack", at, 0) == 0
    with cloned(puppet, entry, flags, puppet.strings.stage + 0x9000) as child:
        assert child.resume() == TRAP_STOP
        assert child.call(entry, "sigaltstack", 0, at) == 0
        expected = own if kept else abi.words(0, SS_DISABLE, 0)
        assert child.read(at, len(own)).hex() == expected.hex()


def entry_of(base, limit, flags):
    return {"base": hex(base), "limit": hex(limit), "flags": hex(flags)}


def thread_local(process, entry, number):
    """Return what a process has in one of its thread-local entries."""
    at = process.strings.stage + 0x1800
    process.write(at, struct.pack("<IIII", number, 0, 0, 0))
    assert process.call(entry, "get_thread_area", at) == 0
    return entry_of(*struct.unpack("<III", process.read(at + 4, 12)))


@pytest.mark.entries("int80", "int80_64")
def test_a_thread_local_entry_is_the_childs_alone(guest, puppet, entry):
    number = 6 if guest.identity.arch is ARCH_I386 else 12
    at = puppet.strings.stage + 0x1000
    puppet.write(at, struct.pack("<IIII", number, BASE, LIMIT, USABLE_PAGES))
    with cloned(puppet, entry, CLONE_SETTLS, wanted=at) as child:
        child.resume()
        puppet.resume()
        assert thread_local(child, entry, number) == entry_of(BASE, LIMIT, USABLE_PAGES), "child"
        assert thread_local(puppet, entry, number) == entry_of(0, 0, EMPTY), "parent"


def test_there_is_no_child_with_a_descriptor_that_makes_no_sense(guest, entry):
    """Or with a base past a program's addresses. Source: process.c set_new_tls (6.1)."""
    first = 6 if guest.identity.arch is ARCH_I386 else 12
    fields = (BASE, LIMIT, USABLE_PAGES)
    cases = {
        "from a hole": (HOLE, EFAULT),
        "whichever is free": (struct.pack("<IIII", 0xFFFF_FFFF, *fields), EINVAL),
        "before the first": (struct.pack("<IIII", first - 1, *fields), EINVAL),
        "past the last": (struct.pack("<IIII", first + 3, *fields), EINVAL),
        "of 16 bits": (struct.pack("<IIII", first, BASE, LIMIT, USABLE_PAGES - 1), EINVAL),
    }
    if entry.table is not I386:
        cases = {"the kernel's": (0x7FFF_FFFF_F000, EPERM), "none": (1 << 63, EPERM)}
    seen = {}
    for says, (tls, _) in cases.items():
        tail = (tls, 0) if entry.table is I386 else (0, tls)
        seen[says] = guest.call(entry, "clone", CLONE_SETTLS | SIGCHLD, 0, 0, *tail).errno
    assert seen == {says: error for says, (_, error) in cases.items()}


@pytest.mark.entries("syscall")
def test_a_base_of_fs_is_the_childs_alone(puppet, entry):
    with cloned(puppet, entry, CLONE_SETTLS, wanted=BASE) as child:
        bases = {"child": child.registers(), "parent": puppet.registers()}
        assert {who: one["fs_base"] for who, one in bases.items()} == {"child": BASE, "parent": 0}
        child.resume()
        at = child.strings.stage + 0x1800
        assert child.call(entry, "arch_prctl", GET_FS, at) == 0
        assert int.from_bytes(child.read(at, 8), "little") == BASE


CLONE_PIDFD, CLONE_PARENT_SETTID, CLEAR_HANDLERS = 0x1000, 0x10_0000, 1 << 32
SIGUSR1, SIGUSR2, SIG_DFL, SIG_IGN, F_GETFD = 10, 12, 0, 1, 1
ASKED, OWN_PIDFD, OWN_TID, NUMBERS, STACK_BYTES = 0x1800, 0x1900, 0x1910, 0x1920, 0x800
CHOSEN = 4242


@contextlib.contextmanager
def cloned3(puppet, entry, flags, numbers=0):
    """Have a process clone itself by the newest call; give the child as `cloned` does."""
    stage = puppet.strings.stage
    asked = (flags, stage + OWN_PIDFD, 0, stage + OWN_TID, SIGCHLD, stage + 0x9000, STACK_BYTES, 0)
    puppet.write(stage + ASKED, struct.pack("<11Q", *asked, numbers, bool(numbers), 0))
    puppet.prepare(entry, "clone3", stage + ASKED, 88)
    assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_FORK)
    child = puppet.follow_child()
    yield child
    child.kill()


@pytest.mark.needs(since="5.7")
def test_the_newest_call_gives_number_descriptor_and_the_whole_stack(puppet, entry):
    """It is told where the stack begins and how long it is: kernel/fork.c kernel_clone (6.1)."""
    at = puppet.strings.stage
    with cloned3(puppet, entry, CLONE_PIDFD | CLONE_PARENT_SETTID) as child:
        assert hex(child.registers()["sp"]) == hex(at + 0x9000 + STACK_BYTES)
        assert puppet.resume() == TRAP_STOP
        assert entry.abi.signed(puppet.after()["ax"]) == child.pid
        held, number = (puppet.read(at + where, 8) for where in (OWN_PIDFD, OWN_TID))
        assert number == child.pid.to_bytes(4, "little") + bytes(4)
        assert held[4:] == bytes(4)
        assert puppet.call(entry, "fcntl", int.from_bytes(held[:4], "little"), F_GETFD) == 1


LOST = (
    "CLONE_CLEAR_SIGHAND is lost: copy_sighand took the flags as a long, which has 32 bits there "
    "(kernel/fork.c before 6.18; mended in the stable series of October 2025)"
)


@pytest.mark.needs(since="5.5")
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(0, BASE, id="kept"),
        pytest.param(
            CLEAR_HANDLERS,
            SIG_DFL,
            id="cleared",
            marks=[
                pytest.mark.known(LOST, arch="i386", before="6.1"),
                pytest.mark.known(LOST, arch="i386", since="6.2", before="6.6"),
            ],
        ),
    ],
)
def test_a_child_may_start_without_its_parents_handlers(puppet, entry, flags, expected):
    """What is ignored stays ignored. Source: kernel/signal.c flush_signal_handlers (6.1)."""
    at, layout = puppet.strings.stage + NUMBERS, ACTION[entry.table.name]
    for signal, handler in ((SIGUSR1, BASE), (SIGUSR2, SIG_IGN)):
        puppet.write(at, layout.encode(handler=handler))
        assert puppet.call(entry, "rt_sigaction", signal, at, 0, 8) == 0
    with cloned3(puppet, entry, flags) as child:
        assert [child.resume(), puppet.resume()] == [TRAP_STOP, TRAP_STOP]
        seen = []
        for signal in (SIGUSR1, SIGUSR2):
            assert child.call(entry, "rt_sigaction", signal, 0, at, 8) == 0
            seen.append(layout.decode(child.read(at, layout.size_bytes))["handler"])
        assert seen == [expected, SIG_IGN]


@pytest.mark.needs(since="5.5")
@pytest.mark.guest_only("it wants privilege")
def test_a_child_may_be_given_its_number(puppet, entry):
    """Source: kernel/pid.c alloc_pid (6.1)."""
    at = puppet.strings.stage + NUMBERS
    puppet.write(at, CHOSEN.to_bytes(4, "little"))
    with cloned3(puppet, entry, 0, at) as child:
        assert puppet.resume() == TRAP_STOP
        assert (child.pid, entry.abi.signed(puppet.after()["ax"])) == (CHOSEN, CHOSEN)
        wrong = {CHOSEN: -EEXIST, 0: -EINVAL, -1: -EINVAL, 1: -EEXIST}
        seen = {}
        for number in wrong:
            puppet.write(at, struct.pack("<i", number))
            seen[number] = puppet.call(entry, "clone3", puppet.strings.stage + ASKED, 88)
        assert seen == wrong


XMM_AND_X87 = slice(32, 288)
"""Of FXSAVE's image: eight registers of each, where padding of x87 registers is zero."""


@pytest.mark.entries("int80", "syscall")
def test_a_child_has_its_parents_x87_and_sse_registers(puppet, entry):
    kind = NT_PRXFPREG if entry.abi is I386 else NT_PRFPREG
    image = bytearray(puppet.regset(Request.GETREGSET, kind, Buffer(512), 512).content)
    image[32:160] = b"".join(bytes(range(n, n + 10)) + bytes(6) for n in range(1, 9))
    image[160:288] = bytes(range(100, 228))
    assert puppet.regset(Request.SETREGSET, kind, bytes(image), 512).errno is None
    with cloned(puppet, entry, 0) as child:
        seen = child.regset(Request.GETREGSET, kind, Buffer(512), 512).content
        assert seen[XMM_AND_X87].hex() == image[XMM_AND_X87].hex()


@pytest.mark.entries("syscall")
def test_the_older_call_takes_nothing_from_its_flags_upper_half(puppet, entry):
    """Source: kernel/fork.c SYSCALL_DEFINE5(clone), lower_32_bits (5.7)."""
    at, layout = puppet.strings.stage + NUMBERS, ACTION[entry.table.name]
    puppet.write(at, layout.encode(handler=BASE))
    assert puppet.call(entry, "rt_sigaction", SIGUSR1, at, 0, 8) == 0
    with cloned(puppet, entry, CLEAR_HANDLERS) as child:
        assert child.resume() == TRAP_STOP
        assert child.call(entry, "rt_sigaction", SIGUSR1, 0, at, 8) == 0
        assert hex(layout.decode(child.read(at, layout.size_bytes))["handler"]) == hex(BASE)


def test_a_child_that_runs_a_program_leaves_its_parent_what_they_had_in_common(puppet, entry):
    """Source: fs/exec.c unshare_sighand; kernel/fork.c unshare_files (6.1)."""
    at, layout = puppet.strings.stage + NUMBERS, ACTION[entry.table.name]
    puppet.write(at, layout.encode(handler=BASE))
    assert puppet.call(entry, "rt_sigaction", SIGUSR1, at, 0, 8) == 0
    fd = puppet.call(entry, "epoll_create1", O_CLOEXEC)
    flags = CLONE_VM | CLONE_SIGHAND | CLONE_FILES
    with cloned(puppet, entry, flags, puppet.strings.stage + 0x9000) as child:
        assert [child.resume(), puppet.resume()] == [TRAP_STOP] * 2
        child.prepare_exec(entry)
        assert [child.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2
        assert puppet.call(entry, "rt_sigaction", SIGUSR1, 0, at, 8) == 0
        assert puppet.call(entry, "fcntl", fd, F_GETFD) == 1, "its descriptor"
    assert hex(layout.decode(puppet.read(at, layout.size_bytes))["handler"]) == hex(BASE)


def test_a_parent_that_runs_another_program_is_told_of_an_end_by_sigchld(guest, entry):
    """Whatever the old one wanted. Source: kernel/signal.c do_notify_parent (6.1)."""
    with start_puppet(guest, entry.abi, options=Option.TRACECLONE | Option.TRACESYSGOOD) as puppet:
        puppet.prepare(entry, "clone", SIGUSR1, 0, 0, 0, 0)
        puppet.resume()
        child = puppet.follow_child()
        assert [child.resume(), puppet.resume()] == [TRAP_STOP] * 2
        puppet.prepare_exec(entry)
        assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2
        child.kill()
        assert puppet.resume() == Status.stopped(SIGCHLD)


DONT_FORK, WIPE_ON_FORK, NORMAL, PAGE_BYTES = 10, 18, 0, 4096


def test_a_child_has_its_parents_memory_but_what_was_kept_from_it(puppet, entry):
    """Source: kernel/fork.c dup_mmap (6.1)."""
    stage, seen = puppet.strings.stage, {}
    for place, advice in enumerate((NORMAL, WIPE_ON_FORK, DONT_FORK)):
        at = stage + 0xA000 + place * PAGE_BYTES
        puppet.write(at, b"kept")
        assert puppet.call(entry, "madvise", at, PAGE_BYTES, advice) == 0
    with cloned(puppet, entry, 0) as child:
        assert child.resume() == TRAP_STOP
        for place, advice in enumerate((NORMAL, WIPE_ON_FORK)):
            seen[advice] = child.read(stage + 0xA000 + place * PAGE_BYTES, 4)
        there = child.call(entry, "madvise", stage + 0xC000, PAGE_BYTES, NORMAL)
    assert seen == {NORMAL: b"kept", WIPE_ON_FORK: bytes(4)}
    assert there == -ENOMEM, "what was not to be forked"


PROCESS_LIMIT, USER = 6, 54_321


def test_a_user_has_no_more_processes_than_the_limit_but_root_has(puppet, entry):
    """Source: kernel/fork.c copy_process, is_ucounts_overlimit (6.1)."""
    at, setuid = puppet.strings.stage + 0x1800, "setuid32" if entry.table is I386 else "setuid"

    def limit(most):
        puppet.write(at, struct.pack("<QQ", most, 2))
        assert puppet.call(entry, "prlimit64", 0, PROCESS_LIMIT, at, 0) == 0

    ends = (1 << SIGCHLD - 1).to_bytes(8, "little")
    assert puppet.ptrace(Request.SETSIGMASK, 8, ends).value == 0
    limit(1)
    with cloned(puppet, entry, 0) as child:
        assert puppet.resume() == TRAP_STOP
    assert puppet.call(entry, "wait4", -1, 0, WAIT_ALL, 0) == child.pid
    assert puppet.call(entry, setuid, USER) == 0
    assert puppet.call(entry, "fork") == -EAGAIN
    limit(2)
    with cloned(puppet, entry, 0) as child:
        assert puppet.resume() == TRAP_STOP
        assert puppet.call(entry, "fork") == -EAGAIN
    assert puppet.call(entry, "fork") == -EAGAIN, "its end has not been waited for"
    assert puppet.call(entry, "wait4", -1, 0, WAIT_ALL, 0) == child.pid
    with cloned(puppet, entry, 0):
        pass
