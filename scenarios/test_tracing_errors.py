# SPDX-License-Identifier: Apache-2.0
"""What ptrace refuses, its requests about memory and signals, and the events that it reports.

An `entry` is here the one by which the tracer calls ptrace.

Source: kernel/ptrace.c ptrace_attach, ptrace_check_attach, ptrace_request, ptrace_resume;
arch/x86/kernel/ptrace.c arch_ptrace; fs/exec.c (6.1); man 2 ptrace.
"""

import struct
from errno import EFAULT, EINVAL, EIO, EPERM, ESRCH
from functools import partial
from signal import (
    SIGCHLD,
    SIGCONT,
    SIGKILL,
    SIGPOLL,
    SIGSEGV,
    SIGSTOP,
    SIGSYS,
    SIGTRAP,
    SIGUSR1,
    SIGUSR2,
)

import pytest

from harness.agent.arguments import Buffer
from harness.agent.maps import find_mapping
from harness.agent.ptrace import CALL_STOP, TRAP_STOP, Option, Request, Status
from harness.agent.puppet import start_puppet
from harness.agent.structures import (
    ENDED,
    ENDED_AFTER,
    FAULT,
    QUEUED,
    READY,
    REFUSED,
    SENT,
    SIGNAL_BYTES,
    TIMED,
)
from harness.arch import I386
from harness.entry import native_entry
from harness.landscape import ARENA, EDGE, HOLE, READ_ONLY

pytestmark = pytest.mark.entries("syscall", "int80")

KERNEL_THREAD = 2
EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_VFORK_DONE, EVENT_EXIT = range(1, 7)
EVENT_STOP = 128
SIG_BLOCK, P_PID, WSTOPPED, CLD_TRAPPED = 0, 1, 2, 4
VFORK_OPTIONS = 1 << EVENT_VFORK | 1 << EVENT_VFORK_DONE
SIGRTMIN, SI_USER, SI_QUEUE = 34, 0, -1


@pytest.fixture
def puppet(guest, entry):
    """Give a process of the tracer's own ABI."""
    with start_puppet(guest, entry.abi, entry) as puppet:
        yield puppet


def errors(puppet, cases):
    """Make a ptrace call about the puppet for each case; what is expected is the case's last."""
    return {name: puppet.ptrace(*call).errno for name, (*call, _) in cases.items()}


def expected(cases):
    return {name: case[-1] for name, case in cases.items()}


@pytest.mark.guest_only("a room has no kernel threads")
def test_whom_one_may_not_trace(guest, entry, puppet):
    own = guest.call(entry, "getpid").value
    cases = {
        "nobody": (Request.ATTACH, 0x3FFF_FFFF, ESRCH),
        "nobody, asked for its registers": (Request.GETREGS, 0x3FFF_FFFF, ESRCH),
        "oneself": (Request.ATTACH, own, EPERM),
        "a kernel thread": (Request.ATTACH, KERNEL_THREAD, EPERM),
        "the traced": (Request.ATTACH, puppet.pid, EPERM),
        "the traced, by seizing": (Request.SEIZE, puppet.pid, EPERM),
        "one that is not traced": (Request.GETREGS, 1, ESRCH),
        "one that is not traced, to go on": (Request.CONT, 1, ESRCH),
    }
    seen = {
        name: guest.call(entry, "ptrace", request, pid, 0, 0).errno
        for name, (request, pid, _) in cases.items()
    }
    assert seen == expected(cases)


def test_seizing_wants_known_options_and_no_address(guest, entry):
    cases = {"an address": (0x10, 0, EIO), "an unknown option": (0, 0x4000_0000, EIO)}
    seen = {
        name: guest.call(entry, "ptrace", Request.SEIZE, 1, address, data).errno
        for name, (address, data, _) in cases.items()
    }
    assert seen == expected(cases)


def test_a_running_process_cannot_be_asked(puppet):
    puppet.prepare(puppet.own_entry, "pause")
    puppet.ptrace(Request.CONT)
    cases = {
        "its registers": (Request.GETREGS, 0, Buffer(216), ESRCH),
        "a word of it": (Request.PEEKUSER, 0, Buffer(8), ESRCH),
        "to go on": (Request.CONT, 0, 0, ESRCH),
        "to detach": (Request.DETACH, 0, 0, ESRCH),
    }
    assert errors(puppet, cases) == expected(cases)
    assert puppet.ptrace(Request.INTERRUPT).errno is None
    still_in_its_first_stop = Status.stopped(SIGSTOP, EVENT_STOP)
    assert puppet.wait() == still_in_its_first_stop


def test_requests_that_make_no_sense(puppet):
    cases = {
        "an unknown request": (0x4444, 0, 0, EIO),
        "an unknown option": (Request.SETOPTIONS, 0, 0x4000_0000, EINVAL),
        "a signal that is none": (Request.CONT, 0, 65, EIO),
        "a signal that is none, to leave with": (Request.DETACH, 0, 65, EIO),
        "a signal that is none, negative": (Request.SYSCALL, 0, -1, EIO),
        "a mask of another size": (Request.GETSIGMASK, 4, Buffer(8), EINVAL),
        "a mask of another size to set": (Request.SETSIGMASK, 4, bytes(8), EINVAL),
        "an event's message to nowhere": (Request.GETEVENTMSG, 0, HOLE, EFAULT),
        "signals from a negative place": (Request.PEEKSIGINFO, HOLE, 0, EFAULT),
    }
    assert errors(puppet, cases) == expected(cases)


def test_pointers_that_cannot_be_followed(puppet):
    requests = ("GETREGS", "SETREGS", "GETFPREGS", "SETFPREGS", "GETSIGINFO", "SETSIGINFO")
    requests += ("GETREGSET", "SETREGSET", "GETSIGMASK", "SETSIGMASK")
    address = {"GETREGSET": 1, "SETREGSET": 1, "GETSIGMASK": 8, "SETSIGMASK": 8}
    pointers = {"a hole": HOLE, "the end of memory": EDGE.end - 4}
    seen = {
        (name, says): puppet.ptrace(Request[name], address.get(name, 0), pointer).errno
        for name in requests
        for says, pointer in pointers.items()
    }
    no_better = {"GETREGS", "SETREGS", "GETFPREGS", "SETFPREGS"}
    wrong = {
        (name, says): errno
        for (name, says), errno in seen.items()
        if errno != EFAULT and not (errno == EIO and name in no_better)
    }
    assert wrong == {}


def test_registers_are_not_given_to_a_read_only_page(guest, entry, puppet):
    for name in ("GETREGS", "GETFPREGS", "GETSIGINFO"):
        said = puppet.ptrace(Request[name], 0, READ_ONLY.start)
        assert said.errno in (EFAULT, EIO), name
    assert guest.read(entry.abi, READ_ONLY.start, 256) == bytes(256)


def test_a_word_of_memory_is_given_and_set(puppet):
    size = puppet.view.bits // 8
    at = puppet.strings.stage + 0x100
    puppet.write(at - size, bytes(range(1, 3 * size + 1)))
    for request in (Request.PEEKDATA, Request.PEEKTEXT):
        said = puppet.ptrace(request, at, Buffer(size + 8))
        assert said.memory[0] == bytes(range(size + 1, 2 * size + 1)) + b"\xa5" * 8, request.name
    value = int.from_bytes(b"\xf0" * size, "little")
    assert puppet.ptrace(Request.POKEDATA, at, value).value == 0
    whole = [*range(1, size + 1), *[0xF0] * size, *range(2 * size + 1, 3 * size + 1)]
    assert puppet.read(at - size, 3 * size) == bytes(whole)


def test_words_of_memory_that_is_not_there_are_refused(puppet):
    kernel = 0xFFFF_F000 if puppet.view is I386 else 0xFFFF_FFFF_8100_0000
    cases = {
        "peeked at in a hole": (Request.PEEKDATA, HOLE, Buffer(8), EIO),
        "poked into a hole": (Request.POKEDATA, HOLE, 1, EIO),
        "peeked at in the kernel": (Request.PEEKDATA, kernel, Buffer(8), EIO),
        "poked into the kernel": (Request.POKEDATA, kernel, 1, EIO),
        "peeked at, to a hole": (Request.PEEKDATA, puppet.strings.stage, HOLE, EFAULT),
    }
    assert errors(puppet, cases) == expected(cases)


def test_a_tracer_may_write_where_the_program_may_not(puppet):
    at = puppet.home["ip"] & ~7
    old = puppet.ptrace(Request.PEEKTEXT, at, Buffer(8)).memory[0]
    changed = int.from_bytes(old, "little") ^ 0xFF & puppet.view.mask
    assert puppet.ptrace(Request.POKETEXT, at, changed & puppet.view.mask).value == 0
    assert puppet.read(at, 1)[0] == old[0] ^ 0xFF


def test_a_tracer_may_change_the_vdso_of_one_process_alone(guest, puppet):
    """For a breakpoint. Source: arch/x86/entry/vdso/vma.c map_vdso, VM_MAYWRITE (6.1)."""
    at = find_mapping(guest, puppet.pid, "[vdso]").start
    assert puppet.ptrace(Request.POKETEXT, at, 0x5EED).errno is None
    assert puppet.read(at, 2) == b"\xed\x5e"
    with start_puppet(guest, puppet.abi) as other:
        assert other.read(find_mapping(guest, other.pid, "[vdso]").start, 4) == b"\x7fELF"


def test_the_traced_process_cannot_ask_to_be_traced(puppet):
    entry = puppet.own_entry
    assert puppet.call(entry, "ptrace", Request.TRACEME) == -EPERM


def test_a_signal_stops_the_traced_process_and_may_be_replaced_or_dropped(puppet):
    entry = puppet.own_entry
    puppet.prepare(entry, "getppid")
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    assert puppet.siginfo()[0] == SIGUSR1
    assert puppet.resume() == TRAP_STOP
    assert puppet.after()["ax"] == 1
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    assert puppet.resume(by_signal=SIGUSR2) == Status(SIGUSR2)


def queued(entry, number, value):
    """Return what is told of a signal that brings a value."""
    given = {"signal": number, "code": SI_QUEUE, "pid": 5, "uid": 6, "value": value}
    return QUEUED[entry.table.name].encode(**given).ljust(SIGNAL_BYTES, b"\0")


def queue(guest, entry, puppet, number, value):
    """Queue a signal with a value by `entry`."""
    information = queued(entry, number, value)
    assert guest.call(entry, "rt_sigqueueinfo", puppet.pid, number, information).value == 0


def test_a_signal_that_replaces_another_comes_from_the_tracer(guest, entry, puppet):
    """The other brought a value of its own, from a sender of its own."""
    mask = (1 << SIGUSR2 - 1).to_bytes(8, "little")
    assert puppet.ptrace(Request.SETSIGMASK, 8, mask).value == 0
    wanted, none, info = (puppet.strings.stage + 0x1000 + 0x100 * n for n in range(3))
    puppet.write(wanted, mask)
    puppet.write(none, bytes(16))
    puppet.prepare(puppet.own_entry, "rt_sigtimedwait", wanted, info, none, 8)
    queue(guest, entry, puppet, SIGUSR1, 0x1234)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    assert puppet.resume(by_signal=SIGUSR2) == TRAP_STOP
    assert puppet.after()["ax"] == SIGUSR2
    tracer = guest.call(entry, "getpid").value
    sent = SENT[puppet.abi.name].encode(signal=SIGUSR2, code=SI_USER, pid=tracer)
    told = puppet.read(info, SIGNAL_BYTES)
    assert told.hex() == sent.ljust(SIGNAL_BYTES, b"\0").hex(), "who has sent it"


def test_what_a_tracer_says_of_a_signal_is_what_is_told_of_it(puppet):
    """Source: kernel/signal.c post_copy_siginfo_from_user32, copy_siginfo_to_external32 (6.1)."""
    kinds = {(SIGSEGV, 1): FAULT, (SIGRTMIN, -1): QUEUED, (SIGRTMIN, -2): TIMED}
    kinds |= {(SIGPOLL, 1): READY, (SIGCHLD, 1): ENDED_AFTER, (SIGSYS, 1): REFUSED}
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    for (number, code), layouts in kinds.items():
        layout = layouts[puppet.view.name]
        given = {name: 0x1020_3040 + place for place, name in enumerate(layout.names)}
        given |= {"signal": number, "code": code}
        information = layout.encode(**given).ljust(SIGNAL_BYTES, b"\0")
        assert puppet.ptrace(Request.SETSIGINFO, 0, information).value == 0
        told = puppet.siginfo_bytes()
        assert layout.decode(told) == given, (number, code)
        assert told.hex() == information.hex(), (number, code)


def test_signals_that_wait_are_shown_from_any_place_on(guest, entry, puppet):
    waiting, room = (0x1111, 0x2222, 0x3333), 4 * SIGNAL_BYTES
    mask = (1 << SIGRTMIN - 1).to_bytes(8, "little")
    assert puppet.ptrace(Request.SETSIGMASK, 8, mask).value == 0
    for value in waiting:
        queue(guest, entry, puppet, SIGRTMIN, value)
    for first, count, shared in (
        *((0, 9, 1), (1, 9, 1), (0, 2, 1), (3, 1, 1), (0, 9, 0)),
        *((1 << 32, 9, 1), (1 << 63, 9, 1)),
    ):
        asked = struct.pack("<QIi", first, shared, count)
        said = puppet.ptrace(Request.PEEKSIGINFO, asked, Buffer(room))
        values = waiting[first:][:count] if shared else ()
        assert said.value == len(values)
        expected = b"".join(queued(entry, SIGRTMIN, value) for value in values)
        assert said.memory[0].hex() == expected.ljust(room, b"\xa5").hex(), (first, count)
    all_of_them = struct.pack("<QIi", 0, 1, 9)
    for fitting, answer in ((2, 2), (0, -EFAULT)):
        at = EDGE.end - fitting * SIGNAL_BYTES
        assert puppet.ptrace(Request.PEEKSIGINFO, all_of_them, at).value == answer, fitting


def test_places_of_waiting_signals_that_make_no_sense(puppet):
    cases = {"an unknown flag": (0, 2, 1), "a negative count": (0, 1, -1)}
    seen = {
        says: puppet.ptrace(Request.PEEKSIGINFO, struct.pack("<QIi", *asked), Buffer(128)).errno
        for says, asked in cases.items()
    }
    assert seen == dict.fromkeys(cases, EINVAL)


def test_a_signal_is_given_along_when_a_tracer_leaves(puppet):
    """It is blocked meanwhile, and so waits. Source: kernel/signal.c ptrace_signal (6.1)."""
    puppet.prepare(puppet.own_entry, "pause")
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    mask = (1 << SIGUSR2 - 1).to_bytes(8, "little")
    assert puppet.ptrace(Request.SETSIGMASK, 8, mask).value == 0
    assert puppet.ptrace(Request.DETACH, 0, SIGUSR2).value == 0
    assert puppet.ptrace(Request.SEIZE).value == 0
    assert puppet.ptrace(Request.INTERRUPT).value == 0
    assert puppet.wait().is_stop
    waiting = []
    for shared in (0, 1):  # 5.10 lets it wait for the thread
        asked = struct.pack("<QIi", 0, shared, 1)
        said = puppet.ptrace(Request.PEEKSIGINFO, asked, Buffer(SIGNAL_BYTES))
        waiting += [int.from_bytes(said.memory[0][:4], "little")] * said.value
    assert waiting == [SIGUSR2]


def test_a_signal_that_is_blocked_when_a_tracer_gives_it_waits(puppet):
    """Source: kernel/signal.c ptrace_signal (6.1)."""
    puppet.prepare(puppet.own_entry, "getppid")
    puppet.signal(SIGUSR1)
    assert puppet.resume() == Status.stopped(SIGUSR1)
    for mask, by_signal, then in (1 << SIGUSR1 - 1, SIGUSR1, TRAP_STOP), (0, 0, SIGUSR1):
        assert puppet.ptrace(Request.SETSIGMASK, 8, mask.to_bytes(8, "little")).value == 0
        status = puppet.resume(by_signal=by_signal)
        assert status == (then if then == TRAP_STOP else Status.stopped(then))


def test_a_stop_is_told_by_a_signal_and_to_whoever_waits(guest, entry, puppet):
    """The latter is told which kind. Source: kernel/signal.c do_notify_parent_cldstop (6.1)."""
    blocked, room = (1 << SIGCHLD - 1).to_bytes(8, "little"), Buffer(SIGNAL_BYTES, fill=0)
    assert guest.call(entry, "rt_sigprocmask", SIG_BLOCK, blocked, 0, 8).value == 0
    puppet.prepare(puppet.own_entry, "getppid")
    assert puppet.ptrace(Request.SYSCALL).value == 0
    waited = guest.call(entry, "waitid", P_PID, puppet.pid, room, WSTOPPED, 0)
    taken = guest.call(entry, "rt_sigtimedwait", blocked, room, entry.table.words(1, 0), 8)
    assert (waited.value, taken.value) == (0, SIGCHLD)
    seen = [ENDED[entry.table.name].decode(said.memory[0]) for said in (waited, taken)]
    told = {"signal": SIGCHLD, "errno": 0, "code": CLD_TRAPPED, "pid": puppet.pid, "uid": 0}
    assert seen == [told | {"status": SIGTRAP | 0x80}, told | {"status": SIGTRAP}]


@pytest.mark.parametrize("listening", [True, False], ids=["in time", "too late"])
def test_a_stop_of_the_whole_group_and_its_continuation(puppet, listening):
    """Who listens too late is told at once. Source: kernel/ptrace.c JOBCTL_TRAP_NOTIFY (6.1)."""
    puppet.prepare(puppet.own_entry, "getppid")
    puppet.signal(SIGSTOP)
    assert puppet.resume() == Status.stopped(SIGSTOP)
    assert puppet.resume(by_signal=SIGSTOP) == Status.stopped(SIGSTOP, EVENT_STOP)
    then = [partial(puppet.ptrace, Request.LISTEN), partial(puppet.signal, SIGCONT)]
    for each in then if listening else then[::-1]:
        each()
    assert puppet.wait() == Status.stopped(SIGTRAP, EVENT_STOP)
    assert puppet.resume() == Status.stopped(SIGCONT)
    assert puppet.resume() == TRAP_STOP


def test_a_killed_process_does_not_stop_once_more(puppet):
    puppet.prepare(puppet.own_entry, "pause")
    puppet.resume(Request.SYSCALL)
    puppet.signal(SIGKILL)
    assert puppet.wait() == Status(SIGKILL)


def test_a_tracer_kills_by_a_request_of_its_own(puppet):
    puppet.prepare(puppet.own_entry, "pause")
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.resume(Request.KILL) == Status(SIGKILL)


def test_a_blocked_signals_mask_is_given_and_set(puppet):
    mask = 1 << (SIGUSR1 - 1)
    assert puppet.ptrace(Request.SETSIGMASK, 8, mask.to_bytes(8, "little")).value == 0
    assert puppet.ptrace(Request.GETSIGMASK, 8, Buffer(8)).memory[0] == mask.to_bytes(8, "little")
    puppet.prepare(puppet.own_entry, "getppid")
    puppet.signal(SIGUSR1)
    assert puppet.resume() == TRAP_STOP


def test_no_tracer_blocks_kill_or_stop(puppet):
    everything, never = (1 << 64) - 1, 1 << SIGKILL - 1 | 1 << SIGSTOP - 1
    assert puppet.ptrace(Request.SETSIGMASK, 8, everything.to_bytes(8, "little")).value == 0
    said = puppet.ptrace(Request.GETSIGMASK, 8, Buffer(8))
    assert hex(int.from_bytes(said.memory[0], "little")) == hex(everything & ~never)


def test_an_exit_stops_the_process_with_its_status(guest, entry):
    with start_puppet(guest, entry.abi, entry, Option.TRACEEXIT) as puppet:
        puppet.prepare(puppet.own_entry, "exit", 0x2A)
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_EXIT)
        said = puppet.ptrace(Request.GETEVENTMSG, 0, Buffer(16))
        assert puppet.resume() == Status.exited(0x2A)
        assert said.memory[0] == entry.table.words(0x2A00).ljust(16, b"\xa5")


def test_a_fork_stops_parent_and_child(guest, entry):
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, entry, options) as puppet:
        puppet.prepare(puppet.own_entry, "fork")
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGTRAP, EVENT_FORK)
        child = puppet.follow(puppet.event_message())
        own_stop = Status.stopped(SIGTRAP, EVENT_STOP)
        assert child.wait() == own_stop, "its parent's calls are what stops are asked for"
        assert child.registers()["ax"] == 0
        assert puppet.resume() == TRAP_STOP
        assert puppet.after()["ax"] == child.pid
        assert child.resume() == TRAP_STOP
        assert child.call(child.own_entry, "getppid") == puppet.pid
        child.kill()


CHILDREN = {
    "fork": (("fork",), EVENT_FORK, [SIGCHLD]),
    "clone, as a fork": (("clone", SIGCHLD), EVENT_FORK, [SIGCHLD]),
    "clone, with another signal": (("clone", SIGUSR1), EVENT_CLONE, [SIGUSR1]),
    "clone, without a signal": (("clone", 0), EVENT_CLONE, []),
    "vfork": (("vfork",), EVENT_VFORK, [SIGTRAP | EVENT_VFORK_DONE << 8, SIGCHLD]),
}
"""How a child is made, which event that is, and how the parent stops when the child is killed."""


def test_each_way_to_make_a_child_is_an_event_and_its_end_a_signal(guest, entry):
    """Source: kernel/fork.c kernel_clone; kernel/exit.c exit_notify (6.1)."""
    options = Option.TRACESYSGOOD | Option.TRACEFORK | Option.TRACECLONE | VFORK_OPTIONS
    seen = {}
    with start_puppet(guest, entry.abi, entry, options) as puppet:
        for kind, (call, *_) in CHILDREN.items():
            puppet.prepare(puppet.own_entry, *call)
            event = puppet.resume()
            child = puppet.follow(puppet.event_message())
            assert child.wait().is_stop, kind
            child.kill()
            seen[kind] = [event, *puppet.stops(Request.CONT)]
    stops = {
        kind: [Status.stopped(SIGTRAP, event), *(Status(by << 8 | 0x7F) for by in then), TRAP_STOP]
        for kind, (_, event, then) in CHILDREN.items()
    }
    assert seen == stops


def attach(puppet):
    """Let it go, and take it again in the older way."""
    puppet.prepare(puppet.own_entry, "pause")
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    puppet.signal(SIGCONT)
    assert puppet.ptrace(Request.DETACH).value == 0
    assert puppet.ptrace(Request.ATTACH).value == 0
    assert puppet.wait() == Status.stopped(SIGSTOP)
    assert puppet.ptrace(Request.SETOPTIONS, 0, Option.TRACESYSGOOD).value == 0
    puppet.go_home()


def test_who_was_not_seized_is_neither_interrupted_nor_left_listening(puppet):
    attach(puppet)
    cases = {"to listen": (Request.LISTEN, EIO), "to stop": (Request.INTERRUPT, EIO)}
    assert errors(puppet, cases) == expected(cases)


def test_the_groups_stop_of_who_was_not_seized_is_by_no_signal(puppet):
    """Source: kernel/signal.c do_jobctl_trap; kernel/ptrace.c ptrace_getsiginfo (6.1)."""
    attach(puppet)
    puppet.prepare(puppet.own_entry, "getppid")
    puppet.signal(SIGSTOP)
    assert puppet.resume() == Status.stopped(SIGSTOP)
    assert puppet.siginfo()[0] == SIGSTOP
    assert puppet.resume(by_signal=SIGSTOP) == Status.stopped(SIGSTOP)
    cases = {
        "to tell of it": (Request.GETSIGINFO, 0, Buffer(SIGNAL_BYTES), EINVAL),
        "to be told of it": (Request.SETSIGINFO, 0, bytes(SIGNAL_BYTES), EINVAL),
    }
    assert errors(puppet, cases) == expected(cases)


def test_only_a_stop_of_its_group_is_one_to_listen_in(puppet):
    """Source: kernel/ptrace.c ptrace_request, PTRACE_LISTEN (6.1)."""
    assert puppet.ptrace(Request.LISTEN).errno == EIO, "at a trap"
    puppet.prepare(puppet.own_entry, "getppid")
    assert puppet.resume(Request.SYSCALL) == CALL_STOP
    assert puppet.ptrace(Request.LISTEN).errno == EIO, "at a call"
    puppet.signal(SIGSTOP)
    assert puppet.resume() == Status.stopped(SIGSTOP)
    assert puppet.ptrace(Request.LISTEN).errno == EIO, "at a signal"
    assert puppet.resume(by_signal=SIGSTOP) == Status.stopped(SIGSTOP, EVENT_STOP)
    assert puppet.ptrace(Request.LISTEN).errno is None, "at its group's stop"
    assert puppet.ptrace(Request.GETREGS, 0, Buffer(216)).errno == ESRCH, "it listens"
    assert puppet.ptrace(Request.INTERRUPT).errno is None
    assert puppet.wait() == Status.stopped(SIGSTOP, EVENT_STOP)


IDENTITIES = [(call, place) for call in ("setresuid", "setresgid") for place in range(3)]
"""Real, effective and saved one of the user and of the group."""
OTHER, DUMPABLE = 1000, 4


@pytest.mark.guest_only("it wants privilege")
def test_without_privilege_one_looks_into_whom_every_identity_is_ones_own(guest, entry, puppet):
    """Source: kernel/ptrace.c __ptrace_may_access (6.1)."""
    own, seen = puppet.own_entry, {}
    pieces = [entry.table.words(at, 4) for at in (ARENA.start + 0x8000, puppet.strings.stage)]
    look = "process_vm_readv", puppet.pid, pieces[0], 1, pieces[1], 1, 0
    for changed in [*IDENTITIES, None, "not dumpable"]:
        for call in ("setresuid", "setresgid"):
            assert puppet.call(own, call, 0, 0, 0) == 0
        if changed in IDENTITIES:
            ids = [OTHER if place == changed[1] else 0 for place in range(3)]
            assert puppet.call(own, changed[0], *ids) == 0
        assert puppet.call(own, "prctl", DUMPABLE, changed != "not dumpable") == 0
        assert guest.call(entry, "setresuid", -1, OTHER, -1).value == 0
        seen[changed] = guest.call(entry, *look).value
        assert guest.call(entry, "setresuid", -1, 0, -1).value == 0
    assert seen == dict.fromkeys([*IDENTITIES, "not dumpable"], -EPERM) | {None: 4}


@pytest.mark.parametrize("how", ["seized", "attached"])
def test_an_exec_that_is_no_event_is_a_sigtrap_unless_it_was_seized(puppet, how):
    """Source: include/linux/ptrace.h ptrace_event (6.1)."""
    if how == "attached":
        attach(puppet)
    puppet.prepare_exec()
    stops = [puppet.resume(Request.SYSCALL) for _ in range(3)]
    assert stops == [CALL_STOP, CALL_STOP, {"seized": CALL_STOP, "attached": TRAP_STOP}[how]]


def entry_point(program, abi):
    """Return ``e_entry`` of an ELF file, see elf(5)."""
    return int.from_bytes(program[24 : 24 + abi.bits // 8], "little")


def test_an_exec_stops_at_the_new_programs_first_instruction(guest, entry, abi):
    options = Option.TRACESYSGOOD | Option.TRACEEXEC
    guest.probe(abi, "puppet")
    with start_puppet(guest, entry.abi, entry, options) as puppet:
        puppet.prepare_exec(abi=abi)
        puppet.resume(Request.SYSCALL)
        assert puppet.resume(Request.SYSCALL) == Status.stopped(SIGTRAP, EVENT_EXEC)
        assert puppet.event_message() == puppet.pid
        assert puppet.resume(Request.SYSCALL) == CALL_STOP
        seen = puppet.registers()
        cleared = ("ax", "bx", "cx", "dx", "si", "di", "bp")
        assert {name: seen[name] for name in cleared} == dict.fromkeys(cleared, 0)
        assert seen["cs"] == guest.about(abi).registers["cs"]
        assert seen["orig_ax"] == guest.table(native_entry(abi)).number("execve")
        assert seen["ip"] == entry_point(guest.read_file(guest.place(f"/probes/puppet.{abi}")), abi)
