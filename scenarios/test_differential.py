# SPDX-License-Identifier: Apache-2.0
"""The entry paths are doors to the same room: call for call, the same comes back, whatever goes in.

Each program of random calls is carried out through every entry path of the kernel, of both ABIs,
from the same state. What differs is made as small as it can be before it is shown. Its calls are
such whose arguments both ABIs lay out alike, that none waits in, and that change nothing which
cannot be put back.

Source: arch/x86/entry/common.c, where all of them end in the same dispatch (6.1).
"""

from dataclasses import dataclass
from fcntl import LOCK_NB, LOCK_SH, LOCK_UN
from mmap import PROT_READ, PROT_WRITE
from os import F_OK, O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, R_OK

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from harness.agent.arguments import Buffer
from harness.agent.calls import Call
from harness.agent.program import Program
from harness.entry import ENTRY_PATHS, INT80
from harness.landscape import ARENA, EDGE, HOLE, NO_ACCESS, READ_ONLY

CALLS = {
    "getppid": ("getppid",),
    "getuid": ("getuid",),
    "close of nothing": ("close", -1),
    "open": ("open", b"/proc/version\0", O_RDONLY),
    "open nowhere": ("open", b"/no/such\0", O_RDONLY),
    "read": ("read", 0, Buffer(32), 16),
    "read to a hole": ("read", 0, HOLE, 16),
    "write from a hole": ("write", 1, HOLE, 16),
    "uname": ("uname", Buffer(390)),
    "getcwd": ("getcwd", Buffer(64), 64),
    "getcwd, too small": ("getcwd", Buffer(1), 1),
    "fstat": ("fstat64", 0, Buffer(96)),
    "mmap of nothing": ("mmap2", 0, 0, 3, 0x22, -1, 0),
    "no such call": (0x7FFF,),
    "no such call, negative": (-1,),
}

TEXTS = b"/\0/dev/zero\0/proc/version\0/no/such\0/proc/self/cwd\0/tmp/written\0name\0"
"""What lies at the start of the arena."""
WORK = ARENA.start + 0x400
WORK_BYTES = 0x400
EDGE_BYTES = 64
PR_SET_NAME = 15
FIRST_FREE, LAST_FREE = 3, 900
"""Descriptors that a program may leave behind."""
FLAGS = (0x202, 0x202 | 0x400, 0x202 | 0x4000, 0x202 | 0x40000, 0x202 | 0x200000)


def place(text):
    """Return where a text lies."""
    return ARENA.start + TEXTS.index(text + b"\0")


@dataclass(frozen=True)
class Step:
    """One call, what the registers hold that it does not use, and the flags."""

    name: str
    arguments: tuple[int, ...]
    elsewhere: int
    flags: int

    def call(self, entry, table):
        """Return it as a call through `entry`."""
        used = {entry.number, entry.abi.registers[7], *entry.arguments[: len(self.arguments)]}
        others = {name: self.elsewhere for name in entry.abi.registers if name not in used}
        number = table.number(self.name)
        return Call.of(entry, number, self.arguments, self.name, flags=self.flags, **others)

    def __repr__(self):
        """Return it as C has it, and what else is in the registers."""
        arguments = ", ".join(map(hex, self.arguments))
        return f"{self.name}({arguments}) /* {self.elsewhere:#x}, flags {self.flags:#x} */"

    def _repr_pretty_(self, printer, _):
        """Print it so where hypothesis shows a program that makes a difference."""
        printer.text(repr(self))


texts = st.sampled_from(
    [ARENA.start + at for at, byte in enumerate(b"\0" + TEXTS) if not byte][:-1]
)
bad = st.sampled_from([0, HOLE, NO_ACCESS.start, 0xFFFF_F000])
readable = st.sampled_from([WORK, WORK + 3, READ_ONLY.start]) | bad
writable = st.sampled_from([WORK, WORK + 1, EDGE.end - 4, EDGE.end - 9, READ_ONLY.start]) | bad
paths = texts | texts | bad
descriptors = st.sampled_from([0, 3, 4, 5, 6, 2**31 - 1, -1])
sizes = st.sampled_from([0, 1, 4, 8, 16, 255, 512])
small = st.integers(-2, 9)
whence = st.integers(0, 5)
priorities = st.sampled_from([0, 1, 3, -1])
pages = st.sampled_from([EDGE.start, EDGE.end, READ_ONLY.start, NO_ACCESS.start, HOLE, 1])

ARGUMENTS = {
    "open": (paths, st.sampled_from([O_RDONLY, O_RDWR, O_DIRECTORY, O_CLOEXEC, -1])),
    "memfd_create": (paths, st.integers(0, 4)),
    "close": (descriptors,),
    "dup": (descriptors,),
    "dup2": (descriptors, descriptors.filter(bool)),
    "dup3": (descriptors, descriptors.filter(bool), st.sampled_from([0, O_CLOEXEC, 1])),
    "read": (descriptors, writable, sizes),
    "write": (descriptors, readable, sizes),
    "pread64": (descriptors, writable, sizes, st.integers(0, 600), st.just(0)),
    "pwrite64": (descriptors, readable, sizes, st.integers(0, 600), st.just(0)),
    "lseek": (descriptors, st.integers(-9, 600), whence),
    "ftruncate": (descriptors, st.integers(0, 600)),
    "fcntl": (descriptors, st.integers(0, 2), st.sampled_from([0, 1, 7])),
    "ioctl": (descriptors, st.sampled_from([0x541B, 0x5450, 0x5451, 0]), writable),
    "pipe2": (writable, st.sampled_from([O_NONBLOCK, O_NONBLOCK | O_CLOEXEC, -1])),
    "eventfd2": (small, st.sampled_from([O_NONBLOCK, 1 | O_NONBLOCK, -1])),
    "poll": (readable, st.integers(0, 2), st.just(0)),
    "access": (paths, st.sampled_from([F_OK, R_OK, 8])),
    "readlink": (paths, writable, sizes),
    "getcwd": (writable, sizes),
    "chdir": (paths,),
    "umask": (st.sampled_from([0, 0o22, 0o777, -1]),),
    "uname": (writable,),
    "getrandom": (writable, st.just(0), small),
    "getpriority": (priorities, st.just(0)),
    "setpriority": (priorities, st.just(0), st.integers(-30, 30)),
    "prctl": (st.sampled_from([3, 15, 16, 21, 39, 0]), writable, st.just(0), st.just(0)),
    "mprotect": (pages, sizes, st.sampled_from([1, 3, 8])),
    "madvise": (pages, sizes, st.sampled_from([0, 1, 99])),
    "mincore": (pages, sizes, writable),
    "msync": (pages, sizes, st.integers(0, 8)),
    "munmap": (pages.filter(lambda page: page % 4096 or page == HOLE), sizes),
    "flock": (descriptors, st.sampled_from([0, LOCK_SH | LOCK_NB, LOCK_UN])),
    "fsync": (descriptors,),
    "fchmod": (descriptors, st.sampled_from([0o600, 0o777])),
    "sendfile": (descriptors, descriptors, st.just(0), sizes),
    "sched_get_priority_max": (small,),
    "getpgid": (st.sampled_from([-1, 2**31 - 1]),),
    "personality": (st.just(0xFFFF_FFFF),),
    "timerfd_create": (small, st.sampled_from([O_NONBLOCK, 1])),
    "restart_syscall": (),
    "vserver": (small, small, small, small, small, small),
}
steps = st.sampled_from(sorted(ARGUMENTS)).flatmap(
    lambda name: st.builds(
        Step,
        st.just(name),
        st.tuples(*ARGUMENTS[name]),
        st.integers(0, 2**64 - 1),
        st.sampled_from(FLAGS),
    )
)


def restore(program, entry, table):
    """Put back what the program before may have changed."""

    def call(name, *arguments):
        program.call(Call.of(entry, table.number(name), arguments, name))

    program.write(ARENA.start, TEXTS + b"\xa5" * (WORK + WORK_BYTES - ARENA.start - len(TEXTS)))
    call("close_range", FIRST_FREE, LAST_FREE, 0)
    call("open", place(b"/dev/zero"), O_RDONLY)
    call("dup2", FIRST_FREE, 0)
    call("open", place(b"/tmp/written"), O_RDWR | O_TRUNC)
    call("close_range", FIRST_FREE, LAST_FREE, 0)
    call("chdir", place(b"/"))
    call("umask", 0o22)
    call("setpriority", 0, 0, 0)
    call("mprotect", EDGE.start, EDGE.size_bytes, PROT_READ | PROT_WRITE)
    program.write(EDGE.end - EDGE_BYTES, bytes(EDGE_BYTES))
    for region, protection in ((READ_ONLY, PROT_READ), (NO_ACCESS, 0)):
        call("mprotect", region.start, region.size_bytes, PROT_READ | PROT_WRITE)
        program.fill(region.start, WORK_BYTES, 0)
        call("mprotect", region.start, region.size_bytes, protection)
    call("prctl", PR_SET_NAME, place(b"name"), 0, 0)
    return program.length


def carry_out(guest, entry, sequence):
    """Carry the calls out through one entry path, and return what can be seen of that."""
    table = guest.table(entry)
    program = Program()
    first = restore(program, entry, table)
    for step in sequence:
        program.call(step.call(entry, table))
    program.read(WORK, WORK_BYTES)
    program.read(EDGE.end - EDGE_BYTES, EDGE_BYTES)
    *outcomes, work, edge = guest.run(entry.abi, program)[first:]
    for outcome in outcomes:
        assert outcome.clobbered <= entry.may_clobber, outcome
    return [o.signal or o.value for o in outcomes], work, edge


@pytest.mark.claim(26)
@pytest.mark.entries("kernel_vsyscall", "sysenter", "syscall32")
def test_it_answers_as_int80_does(guest, entry):
    def answers(way):
        said = guest.series(way, list(CALLS.values()))
        return {name: (o.value, o.memory) for name, o in zip(CALLS, said, strict=True)}

    expected = answers(INT80)
    guest.renew()
    assert answers(entry) == expected


@pytest.fixture
def entries(guest):
    """Give every entry path that can be asked."""
    arch = guest.identity.arch
    return [e for e in ENTRY_PATHS.values() if e.exists_on(arch) and not guest.why_not_asked(e)]


@pytest.mark.claim(26)
@pytest.mark.guest_only("it makes random calls")
@pytest.mark.parametrize("number", range(6))
def test_programs_of_random_calls_are_answered_alike_through_every_door(guest, entries, number):
    reference, *others = entries

    @seed(number)
    @settings(max_examples=7, database=None, deadline=None, report_multiple_bugs=False)
    @given(program=st.lists(steps, min_size=1, max_size=10))
    def agree(program):
        expected = carry_out(guest, reference, program)
        for entry in others:
            seen = carry_out(guest, entry, program)
            assert seen == expected, f"{entry} differs from {reference}"

    agree()
