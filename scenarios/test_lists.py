# SPDX-License-Identifier: Apache-2.0
"""Lists that the kernel reads and writes entry by entry: names of files, descriptors, words.

Source: fs/readdir.c; fs/select.c do_sys_poll, compat_get_bitmap of lib/compat.c; fs/eventpoll.c;
fs/read_write.c do_sendfile; kernel/sys.c newuname, olduname (6.1).
"""

import struct
from errno import EBADF, EEXIST, EFAULT, EINVAL, ELOOP, ENOENT, ENOTDIR, EPERM
from os import O_RDWR

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import At, Buffer
from harness.agent.puppet import start_puppet
from harness.arch import I386
from harness.landscape import ARENA, HOLE

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

FOLDER = b"/listed\0"
NAMES = (b"a", b"four", b"a name of twenty-one.")
FIFO, REGULAR = 1, 8
SCRATCH = ARENA.start + 0x8000


def entries_of(memory, wide):
    """Read directory entries by name: inode, type, length and where the next one is.

    Where the type is depends on the call.
    """
    found, at = {}, 0
    while at < len(memory):
        head = "<QQHB" if wide == "64" else "<QQH" if wide == "long" else "<IIH"
        number, then, length, *kind = struct.unpack_from(head, memory, at)
        entry = memory[at : at + length]
        name = entry[struct.calcsize(head) :].split(b"\0")[0]
        found[name] = (number, kind[0] if kind else entry[-1], length, then)
        at += length
    return found


@pytest.fixture
def folder(guest, entry):
    """Give a descriptor of a folder with a few files in it."""
    paths = [FOLDER[:-1] + b"/" + name + b"\0" for name in NAMES]
    guest.series(entry, [*(("unlink", path) for path in paths), ("rmdir", FOLDER)])
    calls = [("mkdir", FOLDER, 0o700), *(("mknod", path, 0o100600, 0) for path in paths)]
    assert {said.value for said in guest.series(entry, calls)} == {0}
    return guest.call(entry, "open", FOLDER, 0).value


@pytest.mark.parametrize("name", ["getdents", "getdents64"])
def test_a_folders_entries_are_told_with_number_and_type(guest, entry, folder, name):
    wide = "64" if name == "getdents64" else "int" if entry.table is I386 else "long"
    said = guest.call(entry, name, folder, Buffer(512), 504)
    assert said.memory[0][said.value :] == b"\xa5" * (512 - said.value)
    found = entries_of(said.memory[0][: said.value], wide)
    width = 4 if wide == "int" else 8
    assert {*found} == {b".", b"..", *NAMES}
    assert {length % width for _, _, length, _ in found.values()} == {0}
    assert {found[one][1] for one in NAMES} == {REGULAR}
    assert len({number for number, *_ in found.values()} - {0}) >= len(NAMES) + 1
    assert guest.call(entry, name, folder, Buffer(512), 504).value == 0
    names = [*found]
    for place, (_, _, _, then) in enumerate(found.values()):
        assert guest.call(entry, "lseek", folder, then, 0).value == then
        said = guest.call(entry, name, folder, Buffer(512), 504)
        rest = [*entries_of(said.memory[0][: said.value], wide)]
        assert rest == names[place + 1 :], "what comes behind an entry's offset"
    assert guest.call(entry, "lseek", folder, 0, 0).value == 0
    assert guest.call(entry, name, folder, Buffer(512), 8).errno == EINVAL
    assert guest.call(entry, name, folder, HOLE, 504).errno == EFAULT
    assert guest.call(entry, name, 0, Buffer(512), 504).errno == ENOTDIR
    gone = FOLDER[:-1] + b"/gone\0"
    assert guest.call(entry, "mkdir", gone, 0o700).value == 0
    fd = guest.call(entry, "open", gone, 0).value
    assert guest.call(entry, "rmdir", gone).value == 0
    assert guest.call(entry, name, fd, Buffer(512), 504).errno == ENOENT


@pytest.mark.entries("int80", "int80_64")
def test_the_oldest_call_tells_one_entry_at_a_time(guest, entry, folder):
    seen, places = set(), set()
    assert guest.call(entry, "readdir", folder, HOLE, 1).errno == EFAULT
    for _ in range(len(NAMES) + 2):
        said = guest.call(entry, "readdir", folder, Buffer(300), 1)
        assert said.value == 1
        number, place, length = struct.unpack_from("<IIH", said.memory[0])
        assert number > 0
        places.add(place)
        seen.add(said.memory[0][10 : 10 + length])
        assert said.memory[0][10 + length :].startswith(b"\0\xa5")
    assert seen == {b".", b"..", *NAMES}
    assert len(places) == len(seen), "each has its own offset"
    assert guest.call(entry, "readdir", folder, Buffer(300), 1).value == 0


@pytest.fixture
def pipe(guest, entry):
    """Give the two ends of a pipe that holds a byte."""
    ends = struct.unpack("<II", guest.call(entry, "pipe", Buffer(8)).memory[0])
    assert guest.call(entry, "write", ends[1], b"x", 1).value == 1
    return ends


READABLE, WRITABLE, INVALID = 1, 4, 0x20


def test_poll_answers_for_each_descriptor(guest, entry, pipe):
    asked = ((pipe[0], 5), (pipe[1], 5), (-1, 5), (999, 5), (pipe[0], WRITABLE))
    given = b"".join(struct.pack("<ihH", fd, events, 0xA5A5) for fd, events in asked)
    answers = (READABLE, WRITABLE, 0, INVALID, 0)
    expected = b"".join(
        struct.pack("<ihH", *one, answer) for one, answer in zip(asked, answers, strict=True)
    )
    guest.write(entry.abi, SCRATCH, given)
    assert guest.call(entry, "poll", SCRATCH, len(asked), 0).value == 3
    assert guest.read(entry.abi, SCRATCH, len(given)) == expected
    assert guest.call(entry, "poll", SCRATCH, 2, 0).value == 2


ON_THE_STACK, IN_A_PAGE = 30, 510
"""How many descriptors poll takes at a time: first, and then. Source: fs/select.c N_STACK_PPS,
POLLFD_PER_PAGE (6.1); a 32-bit kernel has room for one more each time."""


def test_poll_answers_for_each_of_very_many_descriptors(guest, entry, pipe):
    last = ON_THE_STACK + IN_A_PAGE
    asked = [-1] * (last + 9)
    for place in (0, ON_THE_STACK - 1, ON_THE_STACK, ON_THE_STACK + 5, last - 1, last, last + 8):
        asked[place] = pipe[1]
    guest.write(entry.abi, SCRATCH, b"".join(struct.pack("<ihH", fd, 5, 0xA5A5) for fd in asked))
    assert guest.call(entry, "poll", SCRATCH, len(asked), 0).value == 7
    seen = struct.iter_unpack("<ihH", guest.read(entry.abi, SCRATCH, 8 * len(asked)))
    answered = {place: answer for place, (_, _, answer) in enumerate(seen) if answer}
    assert answered == {place: WRITABLE for place, fd in enumerate(asked) if fd >= 0}


PLACES, MOST = (31, 32, 63, 64, 70, 700), 0x7FFF_FFFF
"""Where descriptors are; 352 bits are the most that lie on the kernel's stack, and a number past
the table counts as the table's end: fs/select.c core_sys_select (6.12)."""


@pytest.mark.parametrize("name", ["_newselect", "select", "pselect6"])
def test_select_finds_a_descriptors_bit_wherever_it_is(guest, entry, pipe, name):
    if name == "_newselect" and entry.table is not I386:
        pytest.skip("64-bit calls have no other select")
    if name == "select" and entry.table is I386:
        name = "_newselect"
    for place in PLACES:
        assert guest.call(entry, "dup2", pipe[0], place).value == place
    assert guest.call(entry, "dup2", pipe[1], 40).value == 40
    size, at_once = 0x100, entry.table.words(0, 0)
    both = sum(1 << place for place in (*PLACES, 40)).to_bytes(size, "little")
    reading, writing, none = (SCRATCH + size * n for n in range(3))
    for count in (PLACES[-1] + 1, MOST):
        for where in (reading, writing, none):
            guest.write(entry.abi, where, both)
        told = At(SCRATCH + 0x800, at_once)
        said = guest.call(entry, name, count, reading, writing, none, told, 0)
        assert said.value == len(PLACES) + 1, count
        seen = [
            int.from_bytes(guest.read(entry.abi, at, size), "little") for at in (reading, writing)
        ]
        assert seen == [sum(1 << place for place in PLACES), 1 << 40], count
        assert guest.read(entry.abi, none, size) == bytes(size), count
    guest.write(entry.abi, reading, (1 << 41).to_bytes(size, "little"))
    rows = [(-EBADF, name, count, reading, 0, 0, at_once, 0) for count in (42, 701)]
    rows += [(-EINVAL, name, -1, reading, 0, 0, at_once, 0)]
    rows += [(-EINVAL, name, 0, 0, 0, 0, entry.table.words(-1, 0), 0)]
    assert find_wrong(guest, entry, rows) == []


URGENT, ERROR = 2, 8


@pytest.mark.guest_only("it gives the machine another name, and wants privilege")
def test_what_is_exceptional_is_told_apart_from_what_can_be_read(guest, entry):
    """Such as a name that was changed: fs/proc/proc_sysctl.c proc_sys_poll (6.12)."""
    fd = guest.call(entry, "open", b"/proc/sys/kernel/hostname\0", 0).value
    name, at = "_newselect" if entry.table is I386 else "select", SCRATCH + 0x200
    changed = ("sethostname", b"(none)", 6)
    seen, expected = [], []
    for places, said in (((0, 0, 1), 1), ((0, 0, 1), 0), ((1, 1, 1), 3)):
        asked = [place << fd for place in places]
        for place, bits in enumerate(asked):
            guest.write(entry.abi, at + 8 * place, bits.to_bytes(8, "little"))
        if said:
            assert guest.call(entry, *changed).value == 0
        sets = (at, at + 8, at + 16, entry.table.words(0, 0))
        told = guest.call(entry, name, fd + 1, *sets, 0).value
        memory = guest.read(entry.abi, at, 24)
        seen.append((told, memory))
        bits = asked if said else [0, 0, 0]
        expected.append((said, b"".join(one.to_bytes(8, "little") for one in bits)))
    assert seen == expected
    assert guest.call(entry, *changed).value == 0
    guest.write(entry.abi, at, struct.pack("<ihH", fd, URGENT, 0))
    assert guest.call(entry, "poll", at, 1, 0).value == 1
    assert guest.read(entry.abi, at, 8) == struct.pack("<ihH", fd, URGENT, URGENT | ERROR)


def test_very_many_descriptors_are_waited_for_until_the_last_is_ready(guest, entry, pipe):
    """Source: fs/select.c poll_get_entry, poll_freewait; fs/timerfd.c timerfd_poll (6.12)."""
    timer = guest.call(entry, "timerfd_create", 1, 0).value
    soon, many = entry.table.words(0, 0, 0, 20_000_000), 700
    polled = [struct.pack("<ihH", pipe[1], READABLE, 0)] * many
    guest.write(entry.abi, SCRATCH, b"".join(polled) + struct.pack("<ihH", timer, READABLE, 0))
    for _ in range(2):
        assert guest.call(entry, "timerfd_settime", timer, 0, soon, 0).value == 0
        assert guest.call(entry, "poll", SCRATCH, many + 1, 5000).value == 1
        seen = guest.read(entry.abi, SCRATCH, 8 * many + 8)
        assert seen[6::8].hex() == "00" * many + f"{READABLE:02x}"
        assert guest.call(entry, "read", timer, Buffer(8), 8).value == 8


OWN_MASK, MASK_FOR_A_TIME = (1 << 33).to_bytes(8, "little"), (1 << 9).to_bytes(8, "little")


def test_a_mask_for_the_time_of_a_wait_is_gone_after_it(guest, entry, pipe):
    """Whatever came of it. Source: kernel/signal.c restore_saved_sigmask_unless, callers (6.12)."""
    words, none = entry.table.words, entry.table.words(0, 0)
    fd = guest.call(entry, "epoll_create1", 0).value
    guest.write(entry.abi, SCRATCH, MASK_FOR_A_TIME)
    polled, block = struct.pack("<ihH", pipe[0], READABLE, 0), words(SCRATCH, 8)
    bits, closed = ((1 << n).to_bytes(8, "little") for n in (pipe[0], 60))
    calls = {
        ("ppoll", polled, 1, none, SCRATCH, 8): 1,
        ("ppoll", 0, 0, none, SCRATCH, 8): 0,
        ("ppoll", HOLE, 1, none, SCRATCH, 8): -EFAULT,
        ("pselect6", pipe[0] + 1, bits, 0, 0, none, block): 1,
        ("pselect6", 0, 0, 0, 0, none, block): 0,
        ("pselect6", 61, closed, 0, 0, none, block): -EBADF,
        ("epoll_pwait", fd, Buffer(12), 1, 0, SCRATCH, 8): 0,
        ("epoll_pwait", pipe[0], Buffer(12), 1, 0, SCRATCH, 8): -EINVAL,
    }
    assert guest.call(entry, "rt_sigprocmask", SET_MASK, OWN_MASK, 0, 8).value == 0
    seen = {}
    for call in calls:
        said = guest.call(entry, *call).value
        seen[call] = said, guest.call(entry, "rt_sigprocmask", 0, 0, Buffer(8), 8).memory[0]
    assert seen == {call: (answer, OWN_MASK) for call, answer in calls.items()}


SET_MASK, STICKY_TIMEOUTS = 2, 0x400_0000
NANOSECONDS = 1_000_000_000
PARTS_OF_A_SECOND = {"select": 1_000_000, "pselect6": NANOSECONDS, "ppoll": NANOSECONDS}


@pytest.mark.parametrize("name", PARTS_OF_A_SECOND)
def test_what_remains_of_the_time_is_told(guest, entry, pipe, name):
    """Source: fs/select.c poll_select_finish (6.1), which leaves a time of zero alone."""
    parts, given, polled = PARTS_OF_A_SECOND[name], SCRATCH, SCRATCH + 0x100
    size = 2 * entry.table.word_bytes
    if name == "ppoll":
        guest.write(entry.abi, polled, struct.pack("<ihH", pipe[0], READABLE, 0))
        call = (name, polled, 1, given, 0, 0)
    else:
        guest.write(entry.abi, polled, (1 << pipe[0]).to_bytes(8, "little"))
        name = "_newselect" if name == "select" and entry.table is I386 else name
        call = (name, pipe[0] + 1, polled, 0, 0, given, 0)
    more = 0 if parts == NANOSECONDS else 5  # select takes microseconds of several seconds
    time = entry.table.words(1000 - more, (more + 1) * parts - 1)
    guest.write(entry.abi, given, time + b"\xa5" * 8)
    assert guest.call(entry, *call).value == 1
    seen = guest.read(entry.abi, given, size + 8)
    seconds, rest = struct.unpack("<II" if size == 8 else "<QQ", seen[:size])
    assert (996 < seconds <= 1000, rest < parts) == (True, True), (seconds, rest)
    assert seen[size:] == b"\xa5" * 8
    nothing = (name, 0, 0, given, 0, 0) if name == "ppoll" else (name, 0, 0, 0, 0, given, 0)
    guest.write(entry.abi, given, entry.table.words(0, 1000))
    assert guest.call(entry, *nothing).value == 0
    assert guest.read(entry.abi, given, size) == bytes(size), "nothing is left of it in the end"
    assert guest.call(entry, "personality", STICKY_TIMEOUTS).value == 0
    guest.write(entry.abi, given, entry.table.words(0, 1000))
    assert guest.call(entry, *nothing).value == 0
    sticky = guest.read(entry.abi, given, size)
    assert sticky == entry.table.words(0, 1000), "it is to stay with this personality"


INTERRUPTED, BEGUN_ANEW = -4, -514
"""What is left of a wait for the way out: EINTR, ERESTARTNOHAND. Source: linux/errno.h (6.12)."""
USR1, PLACE = 10, 0x1800


@pytest.mark.entries("int80", "syscall")
@pytest.mark.parametrize("name", ["pselect6", "ppoll"])
def test_a_wait_whose_time_cannot_be_told_is_not_begun_anew(guest, entry, name):
    """It would take its whole time again: fs/select.c poll_select_finish (6.12)."""
    seen = {}
    with start_puppet(guest, entry.abi) as puppet:
        at = puppet.strings.stage + PLACE
        arguments = (0, 0, at, 0, 8) if name == "ppoll" else (0, 0, 0, 0, at, 0)
        for kind in (0, STICKY_TIMEOUTS):
            assert puppet.call(entry, "personality", kind) >= 0
            puppet.write(at, entry.table.words(1000, 0))
            puppet.prepare(entry, name, *arguments)
            puppet.interrupt(USR1)
            seen[kind] = puppet.view.signed(puppet.registers()["ax"])
            puppet.resume()
            puppet.go_home()
    assert seen == {0: BEGUN_ANEW, STICKY_TIMEOUTS: INTERRUPTED}


ADD, DELETE, MODIFY = 1, 2, 3
DATA = 0x1122_3344_5566_7788


def test_epoll_gives_back_what_it_was_given(guest, entry, pipe):
    """Its structure has no gap, for either kind of program: include/uapi/linux/eventpoll.h."""
    fd = guest.call(entry, "epoll_create1", 0).value
    for place, end in enumerate(pipe):
        event = struct.pack("<IQ", 5, DATA + place)
        assert guest.call(entry, "epoll_ctl", fd, ADD, end, event).value == 0
    said = guest.call(entry, "epoll_wait", fd, Buffer(32), 2, 0)
    assert said.value == 2
    assert said.memory[0][24:] == b"\xa5" * 8
    seen = {struct.unpack_from("<IQ", said.memory[0], at) for at in (0, 12)}
    assert seen == {(READABLE, DATA), (WRITABLE, DATA + 1)}
    assert guest.call(entry, "epoll_wait", fd, Buffer(32), 1, 0).value == 1
    assert guest.call(entry, "epoll_wait", fd, Buffer(32), 0, 0).errno == EINVAL


ALONE, ONCE, ON_CHANGE = 1 << 28, 1 << 30, 1 << 31


def test_epoll_tells_once_or_at_a_change_where_it_is_asked_to(guest, entry, pipe):
    """Source: fs/eventpoll.c ep_send_events (6.1)."""
    fd = guest.call(entry, "epoll_create1", 0).value
    once, change = (struct.pack("<IQ", READABLE | how, DATA) for how in (ONCE, ON_CHANGE))
    rows = [
        (0, "epoll_ctl", fd, ADD, pipe[0], once),
        (1, "epoll_wait", fd, Buffer(32), 2, 0),
        (1, "write", pipe[1], b"x", 1),
        (0, "epoll_wait", fd, Buffer(32), 2, 0),
        (0, "epoll_ctl", fd, MODIFY, pipe[0], change),
        (1, "epoll_wait", fd, Buffer(32), 2, 0),
        (0, "epoll_wait", fd, Buffer(32), 2, 0),
        (1, "write", pipe[1], b"x", 1),
        (1, "epoll_wait", fd, Buffer(32), 2, 0),
        (-EEXIST, "epoll_ctl", fd, ADD, pipe[0], once),
        (-EINVAL, "epoll_ctl", fd, ADD, fd, once),
        (-EINVAL, "epoll_ctl", fd, 4, pipe[0], once),
        (0, "epoll_ctl", fd, DELETE, pipe[0], 0),
        (-ENOENT, "epoll_ctl", fd, DELETE, pipe[0], 0),
        (-ENOENT, "epoll_ctl", fd, MODIFY, pipe[0], once),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_epoll_waits_for_what_can_be_waited_for_as_long_as_it_is_told(guest, entry, pipe):
    """Source: fs/eventpoll.c do_epoll_ctl, ep_loop_check, ep_timeout_to_timespec (6.12)."""
    fd, outer = (guest.call(entry, "epoll_create1", 0).value for _ in range(2))
    timer = guest.call(entry, "timerfd_create", 1, 0).value
    guest.write_file("/letters", LETTERS)
    file = guest.call(entry, "open", b"/letters\0", O_RDWR).value
    event, soon = struct.pack("<IQ", READABLE, DATA), entry.table.words(0, 0, 0, 20_000_000)
    rows = [
        (-EBADF, "epoll_ctl", -1, ADD, timer, event),
        (-EBADF, "epoll_ctl", fd, ADD, -1, event),
        (-EPERM, "epoll_ctl", fd, ADD, file, event),
        (-EINVAL, "epoll_ctl", timer, ADD, pipe[0], event),
        (-EBADF, "epoll_wait", -1, Buffer(32), 2, 0),
        (-EINVAL, "epoll_wait", timer, Buffer(32), 2, 0),
        (0, "epoll_ctl", fd, ADD, timer, event),
        (0, "epoll_ctl", outer, ADD, fd, event),
        (-ELOOP, "epoll_ctl", fd, ADD, outer, event),
        (0, "epoll_wait", outer, Buffer(32), 2, 3),
        (0, "timerfd_settime", timer, 0, soon, 0),
        (1, "epoll_wait", outer, Buffer(32), 2, 5000),
        (1, "epoll_wait", fd, Buffer(32), 2, -1),
        (8, "read", timer, Buffer(8), 8),
        (0, "epoll_wait", outer, Buffer(32), 2, 1),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_who_alone_is_told_is_said_at_first_and_stays(guest, entry, pipe):
    """Source: fs/eventpoll.c do_epoll_ctl, EPOLLEXCLUSIVE_OK_BITS (6.1)."""
    fd, other = (guest.call(entry, "epoll_create1", 0).value for _ in range(2))
    plain, alone, change, once, urgent = (
        struct.pack("<IQ", READABLE | how, DATA)
        for how in (0, ALONE, ALONE | ON_CHANGE, ALONE | ONCE, ALONE | 2)
    )
    rows = [
        *[(-EINVAL, "epoll_ctl", fd, ADD, pipe[0], bad) for bad in (once, urgent)],
        (-EINVAL, "epoll_ctl", fd, ADD, other, alone),
        (0, "epoll_ctl", fd, ADD, pipe[0], plain),
        (-EINVAL, "epoll_ctl", fd, MODIFY, pipe[0], alone),
        (0, "epoll_ctl", fd, DELETE, pipe[0], 0),
        (0, "epoll_ctl", fd, ADD, pipe[0], change),
        *[(-EINVAL, "epoll_ctl", fd, MODIFY, pipe[0], event) for event in (plain, change)],
        (1, "epoll_wait", fd, Buffer(32), 2, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


LETTERS = b"abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("name", ["sendfile", "sendfile64"])
def test_a_position_is_taken_and_given_back(guest, entry, pipe, name):
    if name == "sendfile64" and entry.table is not I386:
        pytest.skip("64-bit calls have one sendfile")
    size = entry.table.word_bytes if name == "sendfile" else 8
    guest.write_file("/letters", LETTERS)
    fd = guest.call(entry, "open", b"/letters\0", O_RDWR).value
    guest.write(entry.abi, SCRATCH, (3).to_bytes(size, "little") + b"\xa5" * 8)
    assert guest.call(entry, name, pipe[1], fd, SCRATCH, 5).value == 5
    seen = guest.read(entry.abi, SCRATCH, size + 8)
    assert seen == (8).to_bytes(size, "little") + b"\xa5" * 8
    assert guest.call(entry, "lseek", fd, 0, 1).value == 0
    assert guest.call(entry, "read", pipe[0], Buffer(16), 16).memory[0][:6] == b"xdefgh"


FIELDS = ("ostype", "hostname", "osrelease", "version", None, "domainname")


def names_of_the_system(guest):
    """Return what the kernel calls itself, and None for its machine."""
    paths = [f"/proc/sys/kernel/{name}" if name else None for name in FIELDS]
    return [guest.read_file(path).rstrip(b"\n") if path else None for path in paths]


@pytest.mark.parametrize(("name", "width", "count"), [("uname", 65, 6), ("olduname", 65, 5)])
def test_the_system_says_its_names_each_in_its_field(guest, entry, name, width, count):
    if name not in guest.table(entry).numbers:
        pytest.skip("64-bit calls have one uname")
    said = guest.call(entry, name, Buffer(count * width + 8))
    (memory,) = said.memory
    assert memory[count * width :] == b"\xa5" * 8
    known = names_of_the_system(guest)[:count]
    seen = [memory[at * width : (at + 1) * width].split(b"\0")[0] for at in range(count)]
    machine = seen.pop(FIELDS.index(None))
    known.pop(FIELDS.index(None))
    assert seen == known
    assert machine in (b"i686", b"x86_64", b"i586")


@pytest.mark.entries("int80", "int80_64")
def test_the_oldest_uname_has_fields_of_nine_bytes(guest, entry):
    (memory,) = guest.call(entry, "oldolduname", Buffer(5 * 9 + 8)).memory
    assert memory[45:] == b"\xa5" * 8
    seen = [memory[at * 9 : (at + 1) * 9].split(b"\0")[0] for at in range(4)]
    assert seen == [known[:8] for known in names_of_the_system(guest)[:4]]
