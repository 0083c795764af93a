# SPDX-License-Identifier: Apache-2.0
"""What the kernel writes into structures: every field, where that table's programs look for it.

32-bit programs have structures of their own, for which a 64-bit kernel has functions of their own.

Source: fs/stat.c cp_new_stat, cp_new_stat64, cp_compat_stat; arch/x86/kernel/sys_ia32.c
cp_stat64; fs/fcntl.c; fs/locks.c; fs/statfs.c; kernel/sys.c do_sysinfo, setrlimit (6.1).
"""

import struct
from errno import EAGAIN, EFBIG, EINVAL, ENOSYS, EOVERFLOW, EPERM
from os import O_CREAT, O_RDWR

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import Buffer
from harness.agent.structures import (
    FLOCK,
    NARROW_FLOCK,
    NARROW_STAT,
    OLDEST_STAT,
    STAT,
    STATFS,
    SYSINFO,
)
from harness.arch import ARCH_I386, I386
from harness.landscape import ARENA

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

PATH, SECOND, DEVICE_PATH = b"/described\0", b"/described again\0", b"/device\0"
AT_HERE = -100
GET_FLAGS = 3
O_LARGEFILE = 0o100000
HANDLE_BYTES = 128
LARGE = 5 << 32 | 0x8765_4321
NARROW_MOST = 0x7FFF_FFFF
FILE = 0o100000
CHARACTER_DEVICE = 0o020000
DEVICE = 0x2345_61AB
"""Minor 0x234AB around major 0x561. Source: include/linux/kdev_t.h new_encode_dev (6.1)."""
TIMES = {"atime": 1_000_000_007, "atime_ns": 123_456_789, "mtime": 86_401, "mtime_ns": 999_999_999}
UID, GID = 70_001, 70_002
SAYS = {
    "mode": FILE | 0o2751,
    "nlink": 2,
    "uid": UID,
    "gid": GID,
    "rdev": 0,
    "block_bytes": 4096,
    "blocks": 0,
    **TIMES,
}


def stat_calls(entry, fd):
    """Return each way to have a file described: all but the structure's address, and its layout."""
    if entry.table is not I386:
        names, layout = ("fstat", "stat", "lstat", "newfstatat"), STAT["x86_64"]
    else:
        names, layout = ("fstat64", "stat64", "lstat64", "fstatat64"), STAT["i386"]
    calls = [(names[0], fd), (names[1], PATH), (names[2], PATH), (names[3], AT_HERE, PATH)]
    return [(call, layout) for call in calls]


def narrow_stat_calls(fd):
    return [(call, NARROW_STAT) for call in (("fstat", fd), ("stat", PATH), ("lstat", PATH))]


def untrue(guest, entry, calls, truth):
    """Return what calls say of a file that is not so: call, field, what it says and what is so."""
    wrong = []
    for (name, *where), layout in calls:
        said = guest.call(entry, name, *where, Buffer(layout.size_bytes + 8), 0)
        assert said.value == 0, said
        assert said.memory[0][layout.size_bytes :] == b"\xa5" * 8, f"{name} writes past its end"
        seen = layout.decode(said.memory[0])
        wrong += [
            (name, key, seen[key], is_so) for key, is_so in truth.items() if seen[key] != is_so
        ]
    return wrong


def make_file(guest, entry, size):
    """Return a descriptor of a file that has a size, owners, times and two names."""
    guest.series(entry, [("unlink", PATH), ("unlink", SECOND)])
    fd = guest.call(entry, "open", PATH, O_RDWR | O_CREAT | O_LARGEFILE, 0).value
    wide, suffix = ("32", "64") if entry.table is I386 else ("", "")
    halves = (size & 0xFFFF_FFFF, size >> 32) if suffix else (size,)
    calls = (
        (f"fchown{wide}", fd, UID, GID),
        ("fchmod", fd, 0o2751),
        ("link", PATH, SECOND),
        (f"ftruncate{suffix}", fd, *halves),
        ("utimensat", AT_HERE, PATH, entry.table.words(*TIMES.values()), 0),
    )
    assert [str(one) for one in guest.series(entry, calls) if one.value] == []
    return fd


def test_each_call_says_of_a_file_what_is_true(guest, entry):
    calls = stat_calls(entry, make_file(guest, entry, LARGE))
    assert untrue(guest, entry, calls, SAYS | {"size": LARGE}) == []


@pytest.mark.entries("int80", "int80_64")
def test_the_older_calls_say_the_same_with_ids_of_16_bits(guest, entry):
    calls = narrow_stat_calls(make_file(guest, entry, NARROW_MOST))
    narrow = {"size": NARROW_MOST, "uid": 65534, "gid": 65534}
    assert untrue(guest, entry, calls, SAYS | narrow) == []


@pytest.mark.entries("int80", "int80_64")
def test_the_older_calls_do_not_describe_a_file_past_2_gib(guest, entry):
    fd = make_file(guest, entry, NARROW_MOST + 1)
    said = guest.series(entry, [(*call, Buffer(64)) for call, _ in narrow_stat_calls(fd)])
    assert [one.errno for one in said] == [EOVERFLOW] * 3
    assert {one.memory for one in said} == {(b"\xa5" * 64,)}


def test_a_file_grows_past_2_gib_for_those_who_say_that_they_can(guest, entry):
    """64-bit calls need not say so: fs/open.c force_o_largefile; fs/read_write.c (6.1)."""
    make_file(guest, entry, 0)
    large, handle = entry.table is not I386, ARENA.start + 0x8000
    guest.write(entry.abi, handle, struct.pack("<I", HANDLE_BYTES))
    calls = [("open", PATH), ("openat", AT_HERE, PATH)]
    if guest.call(entry, "name_to_handle_at", AT_HERE, PATH, handle, Buffer(4), 0).value == 0:
        calls.append(("open_by_handle_at", AT_HERE, handle))
    for flags, expected in {O_RDWR: large, O_RDWR | O_LARGEFILE: True}.items():
        for call in ((*call, flags) for call in calls):
            fd = guest.call(entry, *call).value
            told = guest.call(entry, "fcntl", fd, GET_FLAGS).value & O_LARGEFILE
            assert bool(told) == expected, call
            writes = [("pwrite64", fd, b"xy", 2, NARROW_MOST - n, 0) for n in (2, 1, 0)]
            seen = [one.value for one in guest.series(entry, writes)]
            assert guest.call(entry, "ftruncate", fd, 0).value == 0
            assert seen == ([2, 2, 2] if expected else [2, 1, -EFBIG]), call


@pytest.mark.entries("int80", "int80_64")
@pytest.mark.needs(since="6.6")
@pytest.mark.room("its root folder is a tmpfs")
def test_who_does_not_say_so_cannot_open_a_file_past_2_gib(guest, entry):
    """Source: fs/open.c generic_file_open, MAX_NON_LFS; mm/shmem.c shmem_file_open (6.6)."""
    fd, seen = make_file(guest, entry, NARROW_MOST), []
    for _ in range(2):
        seen += [guest.call(entry, "open", PATH, flags).errno for flags in (0, O_LARGEFILE)]
        assert guest.call(entry, "ftruncate64", fd, NARROW_MOST + 1, 0).value == 0
    assert seen == [None, None, EOVERFLOW, None], "at 2 GiB less a byte, and at 2 GiB"


@pytest.mark.entries("int80", "int80_64")
def test_an_owner_of_16_bits_and_minus_one_is_no_change(guest, entry):
    fd = make_file(guest, entry, 0)
    steps = {(5, 0xFFFF): (5, GID), (0xFFFF, 6): (5, 6), (0xFFFF, 0xFFFF): (5, 6)}
    layout = STAT["i386"]
    for call, where in (("chown", PATH), ("lchown", PATH), ("fchown", fd)):
        assert guest.call(entry, "fchown32", fd, UID, GID).value == 0
        for owners, expected in steps.items():
            assert guest.call(entry, call, where, *owners).value == 0
            said = guest.call(entry, "fstat64", fd, Buffer(layout.size_bytes)).memory[0]
            seen = layout.decode(said)
            assert (seen["uid"], seen["gid"]) == expected, (call, owners)


def test_every_call_finds_the_same_number_of_a_file(guest, entry):
    fd, numbers = make_file(guest, entry, 0), set()
    narrow = narrow_stat_calls(fd) if entry.table is I386 else []
    for (name, *where), layout in stat_calls(entry, fd) + narrow:
        said = guest.call(entry, name, *where, Buffer(layout.size_bytes), 0)
        seen = layout.decode(said.memory[0])
        numbers.add((seen["ino"], seen["ctime"], seen["ctime_ns"]))
    assert len(numbers) == 1
    assert min(numbers.pop()) > 0


def test_between_the_fields_there_is_nothing_of_the_kernels(guest, entry):
    """Zeros, or what was there before: fs/stat.c INIT_STRUCT_STAT_PADDING (6.1)."""
    fd = make_file(guest, entry, 0)
    calls = stat_calls(entry, fd) + (narrow_stat_calls(fd) if entry.table is I386 else [])
    between = {}
    for (name, *where), layout in calls:
        seen = guest.call(entry, name, *where, Buffer(layout.size_bytes, fill=0), 0).memory[0]
        if layout.encode(**layout.decode(seen)) != seen:
            between[name] = seen.hex()
    assert between == {}


def test_the_number_of_a_device_is_told_whole(guest, entry):
    guest.call(entry, "unlink", DEVICE_PATH)
    made = guest.call(entry, "mknod", DEVICE_PATH, CHARACTER_DEVICE | 0o600, DEVICE)
    assert made.value == 0
    name, layout = ("stat64", STAT["i386"]) if entry.table is I386 else ("stat", STAT["x86_64"])
    said = guest.call(entry, name, DEVICE_PATH, Buffer(layout.size_bytes))
    assert hex(layout.decode(said.memory[0])["rdev"]) == hex(DEVICE)


OLDEST_NAMES = ("oldstat", "oldlstat")
LINK_PATH, LINK = b"/to what is described\0", 0o120777


@pytest.mark.entries("int80", "int80_64")
def test_the_oldest_calls_have_16_bits_for_most_of_it(guest, entry):
    fd, layout = make_file(guest, entry, NARROW_MOST), OLDEST_STAT
    number = NARROW_STAT.decode(guest.call(entry, "fstat", fd, Buffer(64)).memory[0])["ino"]
    dropped = ("atime_ns", "mtime_ns", "block_bytes", "blocks")
    truth = {name: value for name, value in SAYS.items() if name not in dropped}
    truth |= {"size": NARROW_MOST, "uid": 65534, "gid": 65534, "ino": number}
    calls = [(call, layout) for call in (("oldfstat", fd), *((n, PATH) for n in OLDEST_NAMES))]
    assert untrue(guest, entry, calls, truth) == []
    assert guest.call(entry, "ftruncate64", fd, NARROW_MOST + 1, 0).value == 0
    said = guest.series(entry, [(*call, Buffer(layout.size_bytes)) for call, _ in calls])
    expected = EOVERFLOW if guest.identity.arch is ARCH_I386 else None
    assert [one.errno for one in said] == [expected] * 3, "past 2 GiB"


@pytest.mark.entries("int80", "int80_64")
def test_the_oldest_calls_tell_links_and_devices(guest, entry):
    """A device's number is its major above its minor: include/linux/kdev_t.h old_encode_dev."""
    make_file(guest, entry, 0)
    guest.series(entry, [("unlink", DEVICE_PATH), ("unlink", LINK_PATH)])
    made = [
        ("mknod", DEVICE_PATH, CHARACTER_DEVICE | 0o600, DEVICE),
        ("symlink", PATH, LINK_PATH),
    ]
    assert [one.value for one in guest.series(entry, made)] == [0, 0]
    ways = [(name, path) for path in (LINK_PATH, DEVICE_PATH) for name in OLDEST_NAMES]
    said = guest.series(entry, [(*way, Buffer(OLDEST_STAT.size_bytes)) for way in ways])
    seen = [OLDEST_STAT.decode(one.memory[0]) for one in said]
    device = (CHARACTER_DEVICE | 0o600, (0x561 << 8 | 0x234AB) & 0xFFFF)
    expected = [(SAYS["mode"], 0), (LINK, 0), device, device]
    assert [(one["mode"], one["rdev"]) for one in seen] == expected


def test_a_file_system_is_described(guest, entry):
    layout = STATFS[entry.table.name]
    wide = entry.table is I386
    fd = guest.call(entry, "open", b"/proc\0", 0).value
    room = Buffer(layout.size_bytes + 8)
    size = (layout.size_bytes,) if wide else ()
    names = ("statfs64", "fstatfs64") if wide else ("statfs", "fstatfs")
    said = [
        guest.call(entry, names[n], where, *size, room) for n, where in ((0, b"/proc\0"), (1, fd))
    ]
    expected = {"type": 0x9FA0, "block_bytes": 4096, "fragment_bytes": 4096, "name_bytes": 255}
    for one in said:
        found = layout.decode(one.memory[0])
        assert {name: found[name] for name in expected} == expected, one
        assert not any(layout.gaps(one.memory[0])), one
        assert one.memory[0][layout.size_bytes :] == b"\xa5" * 8


@pytest.mark.entries("int80", "int80_64")
def test_statfs64_wants_the_size_of_its_structure(guest, entry):
    size = STATFS["i386"].size_bytes
    calls = [("statfs64", b"/\0", n, Buffer(size + 8)) for n in (size - 1, size, size + 1, 0)]
    assert [one.errno for one in guest.series(entry, calls)] == [EINVAL, None, EINVAL, EINVAL]


SPARE = {
    "statx": ("", "30x 2s 44x 4s 12x 4s 12x 4s 12x 4s 64x 64s"),
    "ustat": ("4x 4s 8x 16s", "8x 12s"),
    "statfs": ("88x 32s", "48x 16s"),
}
"""What nobody fills in, for 64-bit and 32-bit tables.

Source: include/uapi/linux/stat.h, include/linux/types.h ustat, asm-generic/statfs.h (6.12).
"""


def test_nobody_is_told_what_was_where_a_structure_has_nothing(guest, entry):
    """Source: fs/stat.c cp_statx; fs/statfs.c ustat, put_compat_statfs (6.12)."""
    wide, layout = entry.table is not I386, STAT[entry.table.name]
    described = guest.call(entry, "stat" if wide else "stat64", b"/\0", Buffer(layout.size_bytes))
    device, seen = layout.decode(described.memory[0])["dev"], {}
    arguments = {"statx": (AT_HERE, b"/\0", 0, 0xFFF), "ustat": (device,), "statfs": (b"/\0",)}
    for name, patterns in SPARE.items():
        pattern = "<" + patterns[name == "statx" or not wide].replace(" ", "")
        said = guest.call(entry, name, *arguments[name], Buffer(struct.calcsize(pattern)))
        if said.errno != ENOSYS:
            seen[name] = b"".join(struct.unpack(pattern, said.memory[0])).strip(b"\0")
    assert seen == dict.fromkeys(seen, b"")


def test_ustat_tells_what_is_free_like_statfs(guest, entry):
    """Blocks and files. Source: fs/statfs.c vfs_ustat, sys_ustat, compat_sys_ustat (6.12)."""
    wide, statfs = entry.table is not I386, STATFS[entry.table.name]
    layout = STAT[entry.table.name]
    said = guest.call(entry, "stat" if wide else "stat64", b"/\0", Buffer(layout.size_bytes))
    told = guest.call(entry, "ustat", layout.decode(said.memory[0])["dev"], Buffer(32))
    size = (statfs.size_bytes,) if not wide else ()
    name = "statfs" if wide else "statfs64"
    said = guest.call(entry, name, b"/\0", *size, Buffer(statfs.size_bytes))
    known = statfs.decode(said.memory[0])
    seen = struct.unpack_from("<i4xQ" if wide else "<iI", told.memory[0])
    assert seen == (known["free"], known["free_files"])


GET_LOCK, GET_OPEN_FILE, SET_OPEN_FILE, WAIT_OPEN_FILE = 5, 36, 37, 38
SET_LOCK, SET_WIDE_LOCK = 6, 13
WRITE_LOCK, NO_LOCK, FROM_HERE = 1, 2, 1
SCRATCH = ARENA.start + 0x8000


def locked(guest, entry, start, length):
    """Lock part of a file, and return another descriptor of it."""
    first, second = (
        guest.call(entry, "open", PATH, O_RDWR | O_CREAT | O_LARGEFILE, 0).value for _ in range(2)
    )
    lock = FLOCK[entry.table.name].encode(type=WRITE_LOCK, start=start, length=length)
    name = "fcntl64" if entry.table is I386 else "fcntl"
    assert guest.call(entry, name, first, SET_OPEN_FILE, lock).value == 0
    return name, second


def find_lock(guest, entry, fd, way):
    """Ask for what is in the way of a lock of the whole file; return errno and the structure."""
    name, request, layout = way
    guest.write(entry.abi, SCRATCH, layout.encode(type=WRITE_LOCK) + b"\xa5" * 8)
    said = guest.call(entry, name, fd, request, SCRATCH)
    memory = guest.read(entry.abi, SCRATCH, layout.size_bytes + 8)
    assert memory[layout.size_bytes :] == b"\xa5" * 8
    return said.errno, layout.decode(memory)


@pytest.mark.parametrize(("start", "length"), [(LARGE, LARGE + 1), (7, 1), (0, 0)])
def test_a_lock_is_told_as_it_was_taken(guest, entry, start, length):
    name, fd = locked(guest, entry, start, length)
    errno, seen = find_lock(guest, entry, fd, (name, GET_OPEN_FILE, FLOCK[entry.table.name]))
    assert errno is None
    assert seen == {"type": WRITE_LOCK, "whence": 0, "start": start, "length": length, "pid": -1}


@pytest.mark.needs(since="6.6")
def test_any_lock_of_an_open_file_is_found_by_asking_for_none(guest, entry):
    """Source: fs/locks.c fcntl_getlk, fcntl_getlk64 (6.12)."""
    name, fd = locked(guest, entry, 7, 1)
    layout = FLOCK[entry.table.name]
    guest.write(entry.abi, SCRATCH, layout.encode(type=NO_LOCK))
    assert guest.call(entry, name, fd, GET_OPEN_FILE, SCRATCH).errno is None
    seen = layout.decode(guest.read(entry.abi, SCRATCH, layout.size_bytes))
    assert (seen["type"], seen["start"], seen["length"]) == (NO_LOCK, 0, 0)


def test_where_nothing_is_in_the_way_a_lock_is_told_to_be_none(guest, entry):
    """And nothing else of it is changed. Source: fs/locks.c fcntl_getlk, fcntl_getlk64 (6.12)."""
    name, fd = locked(guest, entry, 7, 1)
    layout = FLOCK[entry.table.name]
    asked = {"type": WRITE_LOCK, "whence": FROM_HERE, "start": 5, "length": 2, "pid": 0}
    for start, told in ((5, NO_LOCK), (6, WRITE_LOCK), (8, NO_LOCK)):
        guest.write(entry.abi, SCRATCH, layout.encode(**asked | {"start": start}))
        assert guest.call(entry, name, fd, GET_OPEN_FILE, SCRATCH).errno is None
        seen = layout.decode(guest.read(entry.abi, SCRATCH, layout.size_bytes))
        held = {"type": WRITE_LOCK, "whence": 0, "start": 7, "length": 1, "pid": -1}
        assert seen == (held if told is WRITE_LOCK else asked | {"start": start, "type": NO_LOCK})


def test_a_lock_of_an_open_file_is_its_own_however_it_was_taken(guest, entry):
    """Source: fs/locks.c fcntl_setlk, fcntl_setlk64: the owner is the open file (6.1)."""
    name, fd = locked(guest, entry, 7, 1)
    first, second = (guest.call(entry, "open", PATH, O_RDWR, 0).value for _ in range(2))
    lock = FLOCK[entry.table.name].encode(type=WRITE_LOCK, start=20, length=5)
    by_process = SET_WIDE_LOCK if entry.table is I386 else SET_LOCK
    rows = [
        (0, name, first, WAIT_OPEN_FILE, lock),
        (0, name, first, SET_OPEN_FILE, lock),
        (-EAGAIN, name, second, SET_OPEN_FILE, lock),
        *[(-EAGAIN, name, one, by_process, lock) for one in (first, second, fd)],
        (0, "close", second),
        (-EAGAIN, name, fd, SET_OPEN_FILE, lock),
        (0, "close", first),
        (0, name, fd, SET_OPEN_FILE, lock),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_a_lock_of_an_open_file_is_no_process(guest, entry):
    """Source: fs/locks.c fcntl_setlk, fcntl_setlk64 (6.1)."""
    name, fd = locked(guest, entry, 7, 1)
    lock = FLOCK[entry.table.name].encode(type=WRITE_LOCK, start=9, length=1, pid=1)
    requests = {"get": GET_OPEN_FILE, "set": SET_OPEN_FILE, "wait": WAIT_OPEN_FILE}
    seen = {
        says: guest.call(entry, name, fd, number, lock).errno for says, number in requests.items()
    }
    assert seen == dict.fromkeys(requests, EINVAL), "errors for a lock with a process's number"


@pytest.mark.entries("int80", "int80_64")
@pytest.mark.parametrize("start", [NARROW_MOST - 1, NARROW_MOST, NARROW_MOST + 1])
def test_the_older_fcntl_tells_a_lock_below_2_gib(guest, entry, start):
    _, fd = locked(guest, entry, start, 1)
    errno, seen = find_lock(guest, entry, fd, ("fcntl", GET_LOCK, NARROW_FLOCK))
    if start > NARROW_MOST:
        assert errno == EOVERFLOW
    else:
        expected = {"type": WRITE_LOCK, "whence": 0, "start": start, "length": 1, "pid": -1}
        assert (errno, seen) == (None, expected)


@pytest.mark.entries("int80", "int80_64")
def test_the_older_fcntl_cuts_a_length_that_it_cannot_tell(guest, entry):
    """Source: fs/fcntl.c fixup_compat_flock; an i386 kernel says EOVERFLOW: fs/locks.c (6.1)."""
    for length in (NARROW_MOST, NARROW_MOST + 2, LARGE):
        _, fd = locked(guest, entry, 0, length)
        errno, seen = find_lock(guest, entry, fd, ("fcntl", GET_LOCK, NARROW_FLOCK))
        if length > NARROW_MOST and guest.identity.arch is ARCH_I386:
            assert errno == EOVERFLOW, length
        else:
            assert (errno, seen["start"], seen["length"]) == (None, 0, NARROW_MOST), length
        guest.renew()


def test_the_older_statfs_says_the_same(guest, entry):
    wide, size = STATFS["i386"], STATFS["i386"].size_bytes
    if entry.table is not I386:
        pytest.skip("64-bit calls have one statfs")
    calls = [("statfs64", b"/tmp\0", size, Buffer(size)), ("statfs", b"/tmp\0", Buffer(72))]
    said = [one.memory[0] for one in guest.series(entry, calls)]
    known = wide.decode(said[0])
    assert struct.unpack_from("<7I2i3I", said[1]) == tuple(known[n] for n in wide.names[:12])


RLIM_FILES, RLIM_STACK, LIMITS = 7, 3, 16
INFINITY = (1 << 64) - 1


def limits_by_prlimit(guest, entry, which):
    memory = guest.call(entry, "prlimit64", 0, which, 0, Buffer(16)).memory[0]
    return int.from_bytes(memory[:8], "little"), int.from_bytes(memory[8:], "little")


def test_limits_are_told_as_they_were_set(guest, entry):
    infinity = entry.table.mask
    tell = "ugetrlimit" if entry.table is I386 else "getrlimit"
    values = ((123, 456), (0, infinity - 1), (1000, infinity - 1), (0x7FFF_FFFF, 0x8000_0000))
    for soft, hard in values:
        guest.renew()
        assert guest.call(entry, "setrlimit", RLIM_STACK, entry.table.words(soft, hard)).value == 0
        said = guest.call(entry, tell, RLIM_STACK, Buffer(2 * entry.table.word_bytes))
        assert said.memory == (entry.table.words(soft, hard),)
        assert limits_by_prlimit(guest, entry, RLIM_STACK) == (soft, hard)


def test_no_limit_is_told_as_the_largest_number(guest, entry):
    infinity = entry.table.mask
    tell = "ugetrlimit" if entry.table is I386 else "getrlimit"
    given = entry.table.words(infinity, infinity)
    assert guest.call(entry, "setrlimit", RLIM_STACK, given).value == 0
    assert limits_by_prlimit(guest, entry, RLIM_STACK) == (INFINITY, INFINITY)
    said = guest.call(entry, tell, RLIM_STACK, Buffer(2 * entry.table.word_bytes))
    assert said.memory == (given,)


@pytest.mark.entries("int80", "int80_64")
def test_a_limit_past_32_bits_is_told_as_none(guest, entry):
    for limits in ((5 << 32 | 7, 6 << 32 | 9), (8, 1 << 32), (1 << 32, 1 << 32)):
        guest.renew()
        given = struct.pack("<QQ", *limits)
        assert guest.call(entry, "prlimit64", 0, RLIM_STACK, given, 0).value == 0
        told = [min(limit, entry.table.mask) for limit in limits]
        said = guest.call(entry, "ugetrlimit", RLIM_STACK, Buffer(8))
        assert said.memory == (entry.table.words(*told),)


@pytest.mark.entries("int80", "int80_64")
def test_the_older_getrlimit_tells_no_more_than_31_bits(guest, entry):
    for hard, expected in ((0x7FFF_FFFE, 0x7FFF_FFFE), (0x8000_0000, NARROW_MOST)):
        guest.renew()
        assert guest.call(entry, "setrlimit", RLIM_STACK, entry.table.words(5, hard)).value == 0
        said = guest.call(entry, "getrlimit", RLIM_STACK, Buffer(8))
        assert said.memory == (entry.table.words(5, expected),)


def test_there_are_16_limits_and_none_above_its_own_maximum(guest, entry):
    calls = [("prlimit64", 0, which, 0, Buffer(16)) for which in (LIMITS - 1, LIMITS, -1)]
    calls += [("setrlimit", which, entry.table.words(0, 1)) for which in (LIMITS - 1, LIMITS, -1)]
    asking = ("getrlimit", "ugetrlimit") if entry.table is I386 else ("getrlimit",)
    calls += [(ask, n, Buffer(16)) for ask in asking for n in (LIMITS - 1, LIMITS, -1)]
    calls += [("setrlimit", RLIM_FILES, entry.table.words(*two)) for two in ((5, 5), (6, 5))]
    seen = [one.errno for one in guest.series(entry, calls)]
    assert seen == [None, EINVAL, EINVAL] * (2 + len(asking)) + [None, EINVAL]
    most = int(guest.read_file("/proc/sys/fs/nr_open"))
    given = [entry.table.words(5, hard) for hard in (most, most + 1)]
    seen = [one.errno for one in guest.series(entry, [("setrlimit", RLIM_FILES, g) for g in given])]
    assert seen == [None, EPERM]


def test_the_system_is_described(guest, entry):
    layout = SYSINFO[entry.table.name]
    said = guest.call(entry, "sysinfo", Buffer(layout.size_bytes + 8))
    assert said.memory[0][layout.size_bytes :] == b"\xa5" * 8
    assert not any(layout.gaps(said.memory[0]))
    seen = layout.decode(said.memory[0])
    up = float(guest.read_file("/proc/uptime").split()[0])
    assert 0 <= up + 1 - seen["uptime"] <= 5
    running = guest.read_file("/proc/loadavg").split()[3].split(b"/")[1]
    assert (seen["processes"], seen["total_swap"]) == (int(running), 0)
    lines = (line.split() for line in guest.read_file("/proc/meminfo").decode().splitlines())
    kib = {words[0].rstrip(":"): int(words[1]) for words in lines}
    assert seen["total"] * seen["unit"] == kib["MemTotal"] << 10
    assert 0 < seen["free"] < seen["total"]
    assert (seen["total_swap"], seen["free_swap"]) == (0, 0)
    assert 0 < seen["processes"] < 1000
    assert 0 < seen["uptime"] < 86_400
    assert seen["total_high"] * seen["unit"] == kib.get("HighTotal", 0) << 10
