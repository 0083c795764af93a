# SPDX-License-Identifier: Apache-2.0
"""System V's queues, semaphores and shared memory: what is told of them, and the calls of `ipc`.

Calls of a 32-bit table come in two kinds: each by its own number, and by the number of `ipc`.

Source: ipc/{msg,sem,shm,util,syscall}.c; include/uapi/asm-generic/{ipcbuf,msgbuf,shmbuf}.h,
arch/x86/include/uapi/asm/sembuf.h, for 32-bit programs of a 64-bit kernel
arch/x86/include/asm/compat.h (6.1).
"""

import struct
from errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EEXIST,
    EFAULT,
    EFBIG,
    EINVAL,
    ENOENT,
    ENOMSG,
    ENOSYS,
    EPERM,
    ERANGE,
)

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import At, Buffer
from harness.agent.maps import read_maps
from harness.agent.puppet import start_puppet
from harness.agent.structures import Layout
from harness.arch import ARCH_X86_64, I386
from harness.landscape import ARENA, EDGE, HOLE

pytestmark = pytest.mark.entries("int80", "syscall")

KEY, MODE, CREATE, AT_ONCE, NO_ERROR, EXCEPT = 0x7472_6170, 0o640, 0o1000, 0o4000, 0o10000, 0o20000
REMOVE, SET, STAT = range(3)
GET_VALUE, GET_ALL, GET_LAST, SET_VALUE, SET_ALL = 12, 13, 11, 16, 17
MSGSND, MSGRCV, MSGCTL, SHMAT, SHMDT, SHMCTL, SEMCTL, NEW_FORM = 11, 12, 14, 21, 22, 24, 3, 0x100
SCRATCH, MAPPED = ARENA.start + 0x8000, 0x2E00_0000
QUEUE_BYTES, PAGE = 16_384, 4096
EXECUTE, UNDO = 0o100000, 0x1000
OPERATE = {"x86_64": "semtimedop", "i386": "semtimedop_time64"}
OWNER = (1001, 2002)

_PERMISSION = {"x86_64": "iIIIII H6x 16x", "i386": "iIIII H2xH2x 8x"}
_NAMES = "key uid gid owner owner_group mode sequence"


def _layouts(wide, narrow, names):
    patterns = {"x86_64": wide, "i386": narrow}
    return {
        table: Layout("<" + (_PERMISSION[table] + rest).replace(" ", ""), (_NAMES + names).split())
        for table, rest in patterns.items()
    }


QUEUE = _layouts(
    "qqq QQQ ii 16x", "QQQ III ii 8x", " sent received changed bytes messages most sender receiver"
)
MEMORY = _layouts(
    "Q qqq ii Q 16x", "I QQQ ii I 8x", " size attached detached changed creator last attachments"
)
SEMAPHORES = _layouts("q8x q8x Q 16x", "Q Q I 8x", " operated changed count")


WHOLE_MODE = {table: MEMORY[table].encode(mode=0o777) for table in MEMORY}


@pytest.fixture
def make(guest, entry):
    """Give what makes a thing of System V's and returns its number; it is removed in the end."""
    things = []

    def make(name, *arguments):
        said = guest.call(entry, name, KEY, *arguments, CREATE | MODE)
        if said.errno == ENOSYS:
            pytest.skip("the kernel is configured without System V IPC")
        assert said.errno is None, said
        place = (0,) if name == "semget" else ()
        things.append((name.replace("get", "ctl"), said.value, *place, REMOVE))
        return said.value

    yield make
    if guest.usable:
        guest.series(entry, things)


def told(guest, entry, layouts, call):
    """Return what a call fills into a structure, and that it is nothing behind it.

    How many there were before is left out: the sequence.
    """
    layout = layouts[entry.table.name]
    said = guest.call(entry, *call, Buffer(layout.size_bytes + 8))
    assert said.errno is None, said
    assert said.memory[0][layout.size_bytes :] == b"\xa5" * 8
    assert not any(layout.gaps(said.memory[0])), "something is between the fields"
    seen = layout.decode(said.memory[0])
    del seen["sequence"]
    return seen


def stat_calls(entry, name, number):
    """Return the calls by which a thing is described: its own, and that of `ipc`."""
    numbers = {"msgctl": MSGCTL, "shmctl": SHMCTL}
    yield (name, number, STAT)
    if entry.table is I386 and name in numbers:
        yield ("ipc", numbers[name], number, STAT | NEW_FORM, 0)


def at_least(values, names, least):
    return [name for name in names if values.pop(name) < least]


def message(entry, kind, text):
    return entry.table.words(kind) + text


def permission(**changed):
    ids = dict.fromkeys(("uid", "gid", "owner", "owner_group"), 0)
    return {"key": KEY, **ids, "mode": MODE} | changed


def test_a_queue_is_described(guest, entry, make):
    number, now = make("msgget"), guest.call(entry, "time", 0).value
    pid = guest.call(entry, "getpid").value
    for text in (b"ab", b"cdefg", b"h"):
        said = guest.call(entry, "msgsnd", number, message(entry, 3, text), len(text), AT_ONCE)
        assert said.value == 0
    assert guest.call(entry, "msgrcv", number, Buffer(16), 8, 0, AT_ONCE).value == 2
    for call in stat_calls(entry, "msgctl", number):
        seen = told(guest, entry, QUEUE, call)
        assert at_least(seen, ("sent", "received", "changed"), now - 1) == [], call
        sizes = {"bytes": 6, "messages": 2, "most": QUEUE_BYTES}
        assert seen == permission() | sizes | {"sender": pid, "receiver": pid}, call


def test_messages_are_taken_by_kind(guest, entry, make):
    number = make("msgget")
    for kind, text in ((5, b"five"), (2, b"two"), (9, b"nine"), (2, b"more")):
        sent = guest.call(entry, "msgsnd", number, message(entry, kind, text), len(text), AT_ONCE)
        assert sent.value == 0
    cases = {(8, 7): ENOMSG, (2, 5): E2BIG, (8, 9): (9, b"nine"), (8, -5): (2, b"two")}
    cases |= {(3, 5, NO_ERROR): (5, b"fiv"), (8, 2, EXCEPT): ENOMSG, (8, 0): (2, b"more")}
    seen = {}
    for size, kind, *flags in cases:
        flag = sum(flags) | AT_ONCE
        said = guest.call(entry, "msgrcv", number, Buffer(24), size, kind, flag)
        kind_bytes = entry.table.word_bytes
        got = said.memory[0][kind_bytes : kind_bytes + max(said.value, 0)]
        first = int.from_bytes(said.memory[0][:kind_bytes], "little")
        seen[(size, kind, *flags)] = said.errno or (first, got)
    assert seen == cases


@pytest.mark.entries("int80")
def test_ipc_sends_and_takes_messages(guest, entry, make):
    """Its older msgrcv takes a block of two words: the message's place and its kind."""
    number, kind = make("msgget"), AT_ONCE | 4
    for text in (b"older", b"newer"):
        guest.write(entry.abi, SCRATCH, message(entry, kind, text))
        assert guest.call(entry, "ipc", MSGSND, number, 5, AT_ONCE, SCRATCH).value == 0
    block = entry.table.words(SCRATCH + 0x100, kind)
    assert guest.call(entry, "ipc", MSGRCV, number, 8, AT_ONCE, block).value == 5
    assert guest.read(entry.abi, SCRATCH + 0x100, 9) == message(entry, kind, b"older")
    newer = 1 << 16 | MSGRCV
    said = guest.call(entry, "ipc", newer, number, 8, AT_ONCE, SCRATCH + 0x100, kind)
    assert said.value == 5
    assert guest.read(entry.abi, SCRATCH + 0x100, 9) == message(entry, kind, b"newer")


def test_who_has_sent_only_has_taken_nothing(guest, entry, make):
    number, pid = make("msgget"), guest.call(entry, "getpid").value
    sent = guest.call(entry, "msgsnd", number, message(entry, 3, b"ab"), 2, AT_ONCE)
    assert sent.value == 0
    seen = told(guest, entry, QUEUE, ("msgctl", number, STAT))
    assert (seen["sender"], seen["receiver"]) == (pid, 0)


@pytest.mark.guest_only("it gives a queue to users that only a guest is sure to have")
def test_owners_mode_and_size_of_a_queue_are_set(guest, entry, make):
    number, layout = make("msgget"), QUEUE[entry.table.name]
    new = layout.encode(uid=OWNER[0], gid=OWNER[1], mode=0o604, most=QUEUE_BYTES - 1)
    assert guest.call(entry, "msgctl", number, SET, new).value == 0
    seen = told(guest, entry, QUEUE, ("msgctl", number, STAT))
    names = ("uid", "gid", "owner", "owner_group", "mode", "most")
    assert [seen[name] for name in names] == [*OWNER, 0, 0, 0o604, QUEUE_BYTES - 1]


@pytest.mark.entries("int80")
def test_the_older_form_of_a_queue_has_16_bits_for_each_number(guest, entry, make):
    number = make("msgget")
    pid = guest.call(entry, "getpid").value
    sent = guest.call(entry, "msgsnd", number, message(entry, 3, b"abc"), 3, AT_ONCE)
    assert sent.value == 0
    (memory,) = guest.call(entry, "ipc", MSGCTL, number, STAT, 0, Buffer(64)).memory
    key, uid, gid, owner, group, mode, _ = struct.unpack_from("<iHHHHHH", memory)
    assert (key, uid, gid, owner, group, mode) == (KEY, 0, 0, 0, 0, MODE)
    assert struct.unpack_from("<HHHHH", memory, 44) == (3, 1, QUEUE_BYTES, pid, 0)
    assert memory[56:] == b"\xa5" * 8


@pytest.mark.entries("int80")
@pytest.mark.needs(arch="i386")
@pytest.mark.room("it is root")
def test_the_older_form_of_a_queue_has_its_size_twice(guest, entry, make):
    """Its wider field counts where the other is 0: ipc/msg.c copy_msqid_from_user (6.1)."""
    number, size = make("msgget"), 70_000
    new = struct.pack("<iHHHHHH", 0, 0, 0, 0, 0, MODE, 0).ljust(40, b"\0")
    new += entry.table.words(size).ljust(16, b"\0")
    assert guest.call(entry, "ipc", MSGCTL, number, SET, 0, new).value == 0
    (memory,) = guest.call(entry, "ipc", MSGCTL, number, STAT, 0, Buffer(56)).memory
    assert struct.unpack_from("<I4xH", memory, 40) == (size, 0xFFFF)


def test_shared_memory_is_described(guest, entry, make):
    now = guest.call(entry, "time", 0).value
    number = make("shmget", 5000)
    pid = guest.call(entry, "getpid").value
    assert guest.call(entry, "shmat", number, MAPPED, 0).value == MAPPED
    for call in stat_calls(entry, "shmctl", number):
        seen = told(guest, entry, MEMORY, call)
        assert at_least(seen, ("attached", "changed"), now - 1) == [], call
        rest = {"size": 5000, "detached": 0, "creator": pid, "last": pid, "attachments": 1}
        assert seen == permission() | rest, call


def test_the_last_to_use_shared_memory_is_not_its_creator(guest, entry, make):
    number = make("shmget", 4096)
    pid = guest.call(entry, "getpid").value
    seen = told(guest, entry, MEMORY, ("shmctl", number, STAT))
    expected = {"creator": pid, "last": 0, "attachments": 0}
    assert {name: seen[name] for name in expected} == expected


@pytest.mark.entries("int80")
def test_ipc_maps_shared_memory_and_says_where(guest, entry, make):
    number = make("shmget", 4096)
    block = Buffer(8)
    said = guest.call(entry, "ipc", SHMAT, number, 0, block, MAPPED)
    assert (said.value, said.memory[0]) == (0, entry.table.words(MAPPED) + b"\xa5" * 4)
    assert guest.call(entry, "shmat", number, MAPPED + 0x1000, 0).value == MAPPED + 0x1000
    guest.write(entry.abi, MAPPED, b"shared")
    assert guest.read(entry.abi, MAPPED + 0x1000, 6) == b"shared"
    assert guest.call(entry, "ipc", SHMDT, 0, 0, 0, MAPPED).value == 0
    assert guest.call(entry, "ipc", SHMDT, 0, 0, 0, MAPPED).errno == EINVAL
    assert guest.call(entry, "ipc", 1 << 16 | SHMAT, number, 0, block, MAPPED).errno == EINVAL
    assert told(guest, entry, MEMORY, ("shmctl", number, STAT))["attachments"] == 1


REMAP = 0o40000


def test_shared_memory_is_mapped_at_a_page(guest, entry, make):
    """And never in place of the first: ipc/shm.c do_shmat (6.12)."""
    number, round_down, read_only = make("shmget", 4096), 0o20000, 0o10000
    cases = {(MAPPED + 1, 0): -EINVAL, (MAPPED + 0xFFF, round_down): MAPPED}
    cases |= {(MAPPED + 0x1000, read_only): MAPPED + 0x1000, (0xFFF, round_down | REMAP): -EINVAL}
    calls = [("shmat", number, *case) for case in cases]
    assert dict(zip(cases, (one.value for one in guest.series(entry, calls)), strict=True)) == cases


def test_shared_memory_can_be_executed_if_so_asked(guest, entry, make):
    number, pid = make("shmget", 4096), guest.call(entry, "getpid").value
    assert guest.call(entry, "shmctl", number, SET, WHOLE_MODE[entry.table.name]).value == 0
    assert guest.call(entry, "shmat", number, MAPPED, EXECUTE).value == MAPPED
    assert [one.rights for one in read_maps(guest, pid) if one.start == MAPPED] == ["rwxs"]


def test_semaphores_are_put_back_at_a_processs_end(guest, entry, make):
    """But not what was set since, or was not done. Source: ipc/sem.c semadj (6.1)."""
    number = make("semget", 3)
    values = struct.pack("<HHH", 5, 5, 0x7FFF)
    assert guest.call(entry, "semctl", number, 0, SET_ALL, values).value == 0
    with start_puppet(guest, entry.abi) as puppet:
        at, seen = puppet.strings.stage + 0x1800, []
        steps = (
            [(0, 3, UNDO)],
            [(1, 2, UNDO), (1, -9, AT_ONCE)],
            [(2, -0x7FFF, UNDO)],
            [(2, 1, 0)],
            [(2, -1, UNDO | AT_ONCE)],
        )
        for step in steps:
            puppet.write(at, b"".join(struct.pack("<Hhh", *one) for one in step))
            said = puppet.call(
                puppet.own_entry, OPERATE[entry.table.name], number, at, len(step), 0
            )
            seen.append(said)
        assert guest.call(entry, "semctl", number, 0, SET_VALUE, 1).value == 0
    after = guest.call(entry, "semctl", number, 0, GET_ALL, Buffer(6)).memory[0]
    expected = [0, -EAGAIN, 0, 0, -ERANGE], (1, 5, 0x7FFF)
    assert (seen, struct.unpack("<HHH", after)) == expected


def test_semaphores_are_described_and_set(guest, entry, make):
    now = guest.call(entry, "time", 0).value
    number = make("semget", 3)
    pid = guest.call(entry, "getpid").value
    values = struct.pack("<HHH", 1, 0x7FFF, 3)
    calls = (
        ("semctl", number, 0, SET_ALL, values),
        ("semctl", number, 2, SET_VALUE, 7),
        ("semctl", number, 2, GET_VALUE, 0),
        ("semctl", number, 1, GET_VALUE, 0),
        ("semctl", number, 1, GET_LAST, 0),
        ("semctl", number, 3, GET_VALUE, 0),
        ("semctl", number, 0, SET_VALUE, -1),
        ("semctl", number, 0, SET_VALUE, 0x8000),
        ("semctl", number, 0, SET_ALL, struct.pack("<HHH", 1, 2, 0x8000)),
    )
    said = [one.value for one in guest.series(entry, calls)]
    assert said == [0, 0, 7, 0x7FFF, pid, -EINVAL, *[-ERANGE] * 3]
    all_of_them = guest.call(entry, "semctl", number, 0, GET_ALL, Buffer(8))
    assert all_of_them.memory[0] == struct.pack("<HHH", 1, 0x7FFF, 7) + b"\xa5" * 2
    seen = told(guest, entry, SEMAPHORES, ("semctl", number, 0, STAT))
    assert seen.pop("changed") >= now - 1
    assert seen == permission() | {"operated": 0, "count": 3}


@pytest.mark.entries("int80")
def test_ipc_reads_semctls_fourth_argument_from_memory(guest, entry, make):
    number = make("semget", 2)
    assert guest.call(entry, "ipc", SEMCTL, number, 1, SET_VALUE, entry.table.words(9)).value == 0
    got = guest.call(entry, "ipc", SEMCTL, number, 1, GET_VALUE, entry.table.words(0))
    assert got.value == 9


BY_PLACE = {"msg": ((), 11, 13), "sem": ((1,), 18, 20), "shm": ((PAGE,), 13, 15)}
"""How a thing of each kind is made, and what describes one by its place, the latter to anybody."""
PLACES, PLACE_BITS = 64, 0x7FFF


@pytest.mark.parametrize("kind", BY_PLACE)
def test_who_describes_a_thing_by_its_place_tells_its_number(guest, entry, make, kind):
    """Once the places were all taken and left it has more bits: ipc/util.c ipc_idr_alloc (6.1)."""
    size, *commands = BY_PLACE[kind]
    in_set = (0,) if kind == "sem" else ()
    first, again = make(f"{kind}get", *size), (f"{kind}get", KEY, *size, CREATE | MODE)
    removals = [(f"{kind}ctl", first + n, *in_set, REMOVE, 0) for n in range(PLACES)]
    guest.series(entry, [call for removal in removals for call in (removal, again)])
    number = make(f"{kind}get", *size)
    assert number > PLACE_BITS
    calls = [(f"{kind}ctl", number & PLACE_BITS, *in_set, one, Buffer(128)) for one in commands]
    assert [said.value for said in guest.series(entry, calls)] == [number, number]


LIMITS, IN_USE, MESSAGES_IN_USE, SEMAPHORES_IN_USE = 3, 14, 12, 19


def test_the_limits_of_all_shared_memory_are_told(guest, entry, make):
    """Source: ipc/shm.c shmctl_ipc_info, copy_compat_shminfo_to_user, which cuts (6.1)."""
    make("shmget", 5000)
    w, size = entry.table.word_bytes, 9 * entry.table.word_bytes
    said = guest.call(entry, "shmctl", 0, LIMITS, Buffer(size + 8))
    names = ("shmmax", None, "shmmni", "shmmni", "shmall")
    known = [int(guest.read_file(f"/proc/sys/kernel/{n}")) if n else 1 for n in names]
    most = 0x7FFF_FFFF if entry.abi is I386 and guest.identity.arch is ARCH_X86_64 else None
    expected = [min(known[0], most or known[0]), *known[1:4], known[4] & entry.table.mask]
    words = [int.from_bytes(said.memory[0][at * w :][:w], "little") for at in range(5)]
    assert words == expected
    assert said.memory[0][size:] == b"\xa5" * 8


@pytest.mark.entries("int80")
def test_the_older_form_of_those_limits_has_31_bits_for_the_size(guest, entry, make):
    make("shmget", 5000)
    (memory,) = guest.call(entry, "ipc", SHMCTL, 0, LIMITS, 0, Buffer(28)).memory
    most = int(guest.read_file("/proc/sys/kernel/shmmax"))
    assert struct.unpack_from("<ii", memory) == (min(most, 0x7FFF_FFFF), 1)
    assert memory[20:] == b"\xa5" * 8


def test_what_there_is_of_each_kind_is_told(guest, entry, make):
    make("shmget", 5000)
    queue = make("msgget")
    make("semget", 3)
    sent = guest.call(entry, "msgsnd", queue, message(entry, 3, b"abc"), 3, AT_ONCE)
    assert sent.value == 0
    w = entry.table.word_bytes
    memory = guest.call(entry, "shmctl", 0, IN_USE, Buffer(6 * w + 8)).memory[0]
    assert memory[:4] + memory[w : 2 * w] == struct.pack("<I", 1) + entry.table.words(2)
    assert memory[6 * w :] == b"\xa5" * 8
    told = guest.call(entry, "msgctl", 0, MESSAGES_IN_USE, Buffer(40)).memory[0]
    assert struct.unpack_from("<ii", told) + struct.unpack_from("<i", told, 24) == (1, 1, 3)
    told = guest.call(entry, "semctl", 0, 0, SEMAPHORES_IN_USE, Buffer(48)).memory[0]
    assert (*struct.unpack_from("<i4xi", told, 28), told[40:]) == (1, 3, b"\xa5" * 8)


@pytest.mark.entries("int80")
@pytest.mark.guest_only("it gives things to users that only a guest is sure to have")
def test_the_older_forms_have_16_bits_for_each_number_and_set_them(guest, entry, make):
    """Source: ipc/compat.c get_compat_ipc_perm; ipc/{msg,sem,shm}.c by version (6.12)."""
    now, pid = guest.call(entry, "time", 0).value, guest.call(entry, "getpid").value
    queue, several, memory = make("msgget"), make("semget", 3), make("shmget", 5000)
    assert guest.call(entry, "shmat", memory, MAPPED, 0).value == MAPPED
    new = struct.pack("<iHHHHHH", 0, *OWNER, 7, 7, 0o604, 0).ljust(48, b"\0")
    new = (new + struct.pack("<H", QUEUE_BYTES - 1)).ljust(64, b"\0")
    guest.write(entry.abi, SCRATCH, new)
    at, cut, room = SCRATCH + 0x100, EDGE.end - 44, {"msg": 56, "sem": 44, "shm": 48}
    calls = {
        "msg": ("ipc", MSGCTL, queue, "how", 0, "where"),
        "sem": ("ipc", SEMCTL, several, 0, "how", "block"),
        "shm": ("ipc", SHMCTL, memory, "how", 0, "where"),
    }

    def ask(kind, how, where):
        holes = {"how": how, "where": where, "block": entry.table.words(where)}
        return guest.call(entry, *(holes.get(part, part) for part in calls[kind])).value

    seen = {}
    for kind, size in room.items():
        guest.write(entry.abi, at, b"\xa5" * 64)
        places = (SET, HOLE), (SET, cut), (STAT, HOLE), (SET, SCRATCH), (STAT, at)
        answers = [ask(kind, *one) for one in places if kind == "msg" or one[1] != cut]
        assert answers == [-EFAULT] * (len(answers) - 2) + [0, 0], kind
        seen[kind] = guest.read(entry.abi, at, 64)
        permission = struct.unpack_from("<iHHHHH", seen[kind])
        assert permission == (KEY, *OWNER, 0, 0, 0o604), kind
        assert seen[kind][size:] == b"\xa5" * (64 - size), kind
    nothing = {"msg": (16, 24), "sem": (24, 40), "shm": (38, 48)}
    left = {kind: seen[kind][slice(*ends)].strip(b"\0") for kind, ends in nothing.items()}
    assert left == dict.fromkeys(nothing, b""), "what is not said is zero"
    assert struct.unpack_from("<HHH", seen["msg"], 44) == (0, 0, QUEUE_BYTES - 1)
    operated, changed, count = struct.unpack_from("<II16xH", seen["sem"], 16)
    assert (operated, changed >= now - 1, count) == (0, True, 3)
    size, attached, detached, changed, *rest = struct.unpack_from("<IIIIHHH", seen["shm"], 16)
    assert (size, attached >= now - 1, detached, changed >= now - 1) == (5000, True, 0, True)
    assert rest == [pid, pid, 1]


EXCLUSIVE, COPY, OTHER_KEY, NO_COMMAND = 0o2000, 0o40000, KEY + 1, 99
LONGEST, NO_PLACE = 8192, 0x7FF0


def test_things_are_made_and_found_as_their_flags_say(guest, entry, make):
    """Source: ipc/util.c ipcget_public, ipc_check_perms; ipc/sem.c newary (6.12)."""
    things = {"msgget": (), "semget": (3,), "shmget": (5000,)}
    rows = []
    for name, size in things.items():
        number = make(name, *size)
        zero = (0,) * len(size)
        rows += [(number, name, KEY, *size, 0), (number, name, KEY, *zero, CREATE)]
        rows += [(-EEXIST, name, KEY, *size, CREATE | EXCLUSIVE | MODE)]
        rows += [(-ENOENT, name, OTHER_KEY, *size, MODE)]
        rows += [(-EINVAL, name, KEY, one + 1, 0) for one in size]
        rows += [(-EINVAL, name, OTHER_KEY, 0, CREATE | MODE) for _ in size]
    rows += [(-EINVAL, "semget", OTHER_KEY, -1, CREATE | MODE)]
    for kind, (_, *commands) in BY_PLACE.items():
        where = (NO_PLACE, 0) if kind == "sem" else (NO_PLACE,)
        rows += [(-EINVAL, f"{kind}ctl", *where, how, Buffer(128)) for how in (*commands, STAT)]
    assert find_wrong(guest, entry, rows) == []


def test_what_a_queue_does_not_do(guest, entry, make):
    """Source: ipc/msg.c do_msgsnd, do_msgrcv, ksys_msgctl (6.12)."""
    number, good, room = make("msgget"), message(entry, 1, bytes(LONGEST + 1)), Buffer(64)
    cut = At(EDGE.end - 64, bytes(64))
    rows = [
        *[(-EINVAL, "msgsnd", number, message(entry, n, b"x"), 1, AT_ONCE) for n in (0, -1)],
        *[(-EINVAL, "msgsnd", number, good, size, AT_ONCE) for size in (LONGEST + 1, -1)],
        (-EINVAL, "msgsnd", -1, good, 1, AT_ONCE),
        (-EINVAL, "msgsnd", number ^ 1, good, 1, AT_ONCE),
        (-EFAULT, "msgsnd", number, HOLE, 1, AT_ONCE),
        *[(0, "msgsnd", number, good, LONGEST, AT_ONCE)] * (QUEUE_BYTES // LONGEST),
        (-EAGAIN, "msgsnd", number, good, 1, AT_ONCE),
        *[(-EINVAL, "msgrcv", *two, 0, AT_ONCE) for two in ((number, room, -1), (-1, room, 8))],
        (-EINVAL, "msgrcv", number ^ 1, room, 8, 0, AT_ONCE),
        *[(-EINVAL, "msgrcv", number, room, 8, 0, COPY | how) for how in (0, AT_ONCE | EXCEPT)],
        *[(-EFAULT, "msgctl", number, SET, where) for where in (HOLE, cut)],
        *[(-EFAULT, "msgctl", 0, command, HOLE) for command in (LIMITS, MESSAGES_IN_USE)],
        *[(-EINVAL, "msgctl", number, command, room) for command in (NO_COMMAND, -1)],
        *[(-EINVAL, "msgctl", one, STAT, Buffer(128)) for one in (-1, number ^ 1)],
    ]
    assert find_wrong(guest, entry, rows) == []


COUNT_WAITING, COUNT_WAITING_FOR_ZERO, MOST_STEPS = 14, 15, 500


def test_what_semaphores_do_not_do(guest, entry, make):
    """Source: ipc/sem.c __do_semtimedop, perform_atomic_semop, ksys_semctl (6.12)."""
    number, operate, words = make("semget", 3), OPERATE[entry.table.name], entry.table.words
    soon = struct.pack("<qq", 0, 1_000_000)

    def steps(*several):
        return b"".join(struct.pack("<Hhh", *one) for one in several)

    def done(answer, *several, count=None, timeout=0):
        return (answer, operate, number, steps(*several), count or len(several), timeout)

    up = (0, 1, 0)
    rows = [
        done(0, up),
        done(-EAGAIN, (0, 0, AT_ONCE)),
        done(-EAGAIN, (0, 1, 0), (0, 0, AT_ONCE)),
        done(-EAGAIN, (0, -2, AT_ONCE)),
        done(-EAGAIN, (0, -2, 0), timeout=soon),
        done(-EAGAIN, (0, 0, 0), timeout=soon),
        done(-EINVAL, (0, -2, 0), timeout=struct.pack("<qq", 0, 10**9)),
        done(-EINVAL, (0, -2, 0), timeout=struct.pack("<qq", -1, 0)),
        done(-ERANGE, (0, 0x7FFF, 0)),
        done(-ERANGE, (0, 1, 0), (0, 0x7FFF, 0)),
        done(-EFBIG, (3, 1, 0)),
        done(-E2BIG, *[up] * (MOST_STEPS + 1)),
        done(0, *[up] * 100),
        (-EINVAL, operate, number, steps(up), 0, 0),
        *[(-EINVAL, operate, one, steps(up), 1, 0) for one in (-1, number ^ 1)],
        (-EFAULT, operate, number, HOLE, 1, 0),
        (101, "semctl", number, 0, GET_VALUE, 0),
        *[(-EINVAL, "semctl", number, place, SET_VALUE, 1) for place in (3, -1)],
        *[(0, "semctl", number, 0, n, 0) for n in (COUNT_WAITING, COUNT_WAITING_FOR_ZERO)],
        *[(-EFAULT, "semctl", number, 0, n, HOLE) for n in (SET, SET_ALL, GET_ALL)],
        *[(-EFAULT, "semctl", 0, 0, n, HOLE) for n in (LIMITS, SEMAPHORES_IN_USE)],
        *[(-EINVAL, "semctl", number, 0, n, words(0)) for n in (NO_COMMAND, -1)],
        (-EINVAL, "semctl", number ^ 1, 0, SET_VALUE, 1),
    ]
    assert find_wrong(guest, entry, rows) == []


MANY = 300


def test_very_many_semaphores_are_set_and_told_at_once(guest, entry, make):
    """More than lie on the kernel's stack: ipc/sem.c semctl_main, SEMMSL_FAST (6.12)."""
    number = make("semget", MANY)
    values = struct.pack(f"<{MANY}H", *range(1, MANY + 1))
    assert guest.call(entry, "semctl", number, 0, SET_ALL, values).value == 0
    said = guest.call(entry, "semctl", number, 0, GET_ALL, Buffer(2 * MANY + 8))
    assert (said.value, said.memory[0]) == (0, values + b"\xa5" * 8)


LOCK, UNLOCK, LOCKED = 11, 12, 0o2000


@pytest.mark.room("it is root")
def test_what_shared_memory_does_not_do(guest, entry, make):
    """Source: ipc/shm.c do_shmat, ksys_shmdt, shmctl_do_lock (6.12)."""
    number = make("shmget", 4096)
    for command, mode in ((LOCK, MODE | LOCKED), (UNLOCK, MODE)):
        assert guest.call(entry, "shmctl", number, command, 0).value == 0
        assert told(guest, entry, MEMORY, ("shmctl", number, STAT))["mode"] == mode
    rows = [
        *[(-EINVAL, "shmctl", one, n, 0) for one in (-1, number ^ 1) for n in (LOCK, STAT, REMOVE)],
        *[(-EINVAL, "shmctl", number, command, 0) for command in (NO_COMMAND, -1)],
        (-EFAULT, "shmctl", number, SET, HOLE),
        (MAPPED, "shmat", number, MAPPED, 0),
        (-EINVAL, "shmat", number, MAPPED, 0),
        (MAPPED, "shmat", number, MAPPED, REMAP),
        (-EINVAL, "shmat", number, 0, REMAP),
        *[(-EINVAL, "shmat", one, 0, 0) for one in (-1, number ^ 1)],
        *[(-EINVAL, "shmdt", at) for at in (MAPPED + 1, MAPPED + PAGE, ARENA.start)],
        (0, "shmdt", MAPPED),
        (-EINVAL, "shmdt", MAPPED),
    ]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.guest_only("it leaves things behind that only root removes")
@pytest.mark.parametrize("group", [0, 1001], ids=["of the group", "others"])
def test_who_may_do_what_with_a_thing(guest, entry, make, group):
    """Its group may read it, others may not: ipc/util.c ipcperms, ipcctl_obtain_check (6.12)."""
    queue, several, memory = make("msgget"), make("semget", 3), make("shmget", 4096)
    read, good = 0 if group == 0 else -EACCES, message(entry, 1, b"x")
    told, step = Buffer(128), OPERATE[entry.table.name]
    rows = [(0, "msgsnd", queue, good, 1, AT_ONCE)]
    rows += [(0, "setgid", group), (0, "setuid", 1001)]
    rows += [(-EACCES, "msgsnd", queue, good, 1, AT_ONCE)]
    rows += [(read or 1, "msgrcv", queue, told, 1, 0, AT_ONCE)]
    rows += [(read or number, name, KEY, 0, 0o040) for name, number in (("semget", several),)]
    rows += [(read or queue, "msgget", KEY, 0o040), (-EACCES, "msgget", KEY, 0o220)]
    rows += [(read, step, several, struct.pack("<Hhh", 0, 0, 0), 1, 0)]
    rows += [(-EACCES, step, several, struct.pack("<Hhh", 0, 1, 0), 1, 0)]
    rows += [(read, "semctl", several, 0, how, told) for how in (GET_VALUE, GET_ALL)]
    rows += [(-EACCES, "semctl", several, 0, SET_VALUE, 1)]
    rows += [(-EACCES, "semctl", several, 0, SET_ALL, bytes(6))]
    rows += [(-EACCES, "shmat", memory, MAPPED, 0)]
    rows += [(read or MAPPED, "shmat", memory, MAPPED, 0o10000)]
    for name, number, *place in (("msgctl", queue), ("semctl", several, 0), ("shmctl", memory)):
        rows += [(read, name, number, *place, STAT, told)]
        rows += [(-EPERM, name, number, *place, how, bytes(128)) for how in (SET, REMOVE)]
    rows += [(-EPERM, "shmctl", memory, LOCK, 0)]
    assert find_wrong(guest, entry, rows) == []
