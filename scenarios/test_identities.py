# SPDX-License-Identifier: Apache-2.0
"""Who a process is: each of its numbers is told by its own call, and changed by its own.

Source: kernel/sys.c __sys_setreuid, __sys_setresuid, __sys_setfsuid; kernel/uid16.c;
kernel/groups.c; kernel/capability.c (6.1).
"""

import struct
from errno import EACCES, EFAULT, EINVAL, EPERM, ESRCH
from os import O_RDWR

import pytest

from harness.agent.answers import find_wrong
from harness.agent.arguments import At, Buffer
from harness.agent.ptrace import TRAP_STOP, Option, Request
from harness.agent.puppet import start_puppet
from harness.arch import I386
from harness.landscape import ARENA, EDGE, HOLE, READ_ONLY

pytestmark = pytest.mark.entries("int80", "syscall")

REAL, EFFECTIVE, SAVED = 1001, 1002, 1003
FILE_SYSTEM = 1004
KINDS = ("uid", "gid")
LARGE, NOBODY = 70_000, 65_534
"""An id that 16 bits do not hold, and what is told in its place."""


@pytest.fixture(params=["wide", "narrow"])
def suffix(request, entry):
    """Give what the names of calls about ids of 32 and of 16 bits end with."""
    if request.param == "wide":
        return "32" if entry.table is I386 else ""
    if entry.table is not I386:
        pytest.skip("64-bit calls know no ids of 16 bits")
    return ""


def id_bytes(entry, suffix):
    return 2 if entry.table is I386 and not suffix else 4


def told(guest, entry, kind, suffix):
    """Return the real, effective and saved id of a process."""
    size = id_bytes(entry, suffix)
    said = guest.call(entry, f"getres{kind}{suffix}", *[Buffer(size)] * 3)
    assert said.value == 0
    return tuple(int.from_bytes(memory, "little") for memory in said.memory)


@pytest.mark.claim(58)
def test_each_id_is_told_by_its_own_call(guest, entry, suffix):
    ids = {"gid": (2001, 2002, 2003), "uid": (REAL, EFFECTIVE, SAVED)}
    for kind, three in ids.items():
        assert guest.call(entry, f"setres{kind}{suffix}", *three).value == 0
    assert {kind: told(guest, entry, kind, suffix) for kind in ids} == ids
    names = [f"get{which}{kind}" for kind in KINDS for which in ("", "e")]
    said = {name: guest.call(entry, name + suffix).value for name in names}
    assert said == {"getuid": REAL, "geteuid": EFFECTIVE, "getgid": 2001, "getegid": 2002}


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_changes_the_ids_that_it_is_about(guest, entry, suffix, kind):
    steps = {
        (f"setres{kind}", -1, -1, 7): (0, 0, 7),
        (f"setre{kind}", -1, 4): (0, 4, 4),
        (f"setre{kind}", -1, 0): (0, 0, 4),
        (f"setres{kind}", 6, -1, -1): (6, 0, 4),
        (f"setre{kind}", 5, -1): (5, 0, 0),
        (f"set{kind}", 9): (9, 9, 9),
    }
    seen = {}
    for name, *ids in steps:
        assert guest.call(entry, name + suffix, *ids).value == 0, name
        seen[name, *ids] = told(guest, entry, kind, suffix)
        for_files = guest.call(entry, f"setfs{kind}{suffix}", -1).value
        assert for_files == seen[name, *ids][1], "the one for files is the effective one"
    assert seen == steps


@pytest.mark.parametrize("kind", KINDS)
def test_without_privilege_ids_are_taken_from_those_one_has(guest, entry, suffix, kind):
    assert guest.call(entry, f"setres{kind}{suffix}", REAL, EFFECTIVE, SAVED).value == 0
    assert guest.call(entry, f"setresuid{suffix}", REAL, EFFECTIVE, SAVED).value == 0
    calls = {
        (f"set{kind}", FILE_SYSTEM): -EPERM,
        (f"setre{kind}", SAVED, -1): -EPERM,
        (f"setres{kind}", FILE_SYSTEM, -1, -1): -EPERM,
        (f"setres{kind}", -1, SAVED, REAL): 0,
        (f"set{kind}", REAL): 0,
        ("setgroups", 0, 0): -EPERM,
    }
    seen = [guest.call(entry, name + suffix, *rest).value for name, *rest in calls]
    assert dict(zip(calls, seen, strict=True)) == calls
    assert told(guest, entry, kind, suffix) == (REAL, REAL, REAL)
    for_files = [(f"setfs{kind}{suffix}", one) for one in (FILE_SYSTEM, -1)]
    assert [one.value for one in guest.series(entry, for_files)] == [REAL, REAL]


@pytest.mark.parametrize("kind", KINDS)
def test_the_id_for_files_is_changed_alone_and_the_old_one_told(guest, entry, suffix, kind):
    said = [guest.call(entry, f"setfs{kind}{suffix}", one).value for one in (FILE_SYSTEM, -1, 0)]
    assert said == [0, FILE_SYSTEM, FILE_SYSTEM]
    assert told(guest, entry, kind, suffix) == (0, 0, 0)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_groups_are_told_as_they_were_set(guest, entry, suffix, count):
    size, groups = id_bytes(entry, suffix), (5, 6, 7)[:count]
    given = b"".join(one.to_bytes(size, "little") for one in groups)
    assert guest.call(entry, f"setgroups{suffix}", count, given).value == 0
    assert guest.call(entry, f"getgroups{suffix}", 0, 0).value == count
    said = guest.call(entry, f"getgroups{suffix}", 3, Buffer(4 * size))
    assert said.value == count
    assert said.memory == (given + b"\xa5" * (4 * size - len(given)),)


def test_groups_that_do_not_fit_are_not_told(guest, entry, suffix):
    calls = (
        (f"setgroups{suffix}", 3, bytes(12)),
        (f"getgroups{suffix}", 2, Buffer(12)),
        (f"getgroups{suffix}", -1, Buffer(12)),
        (f"setgroups{suffix}", 65537, bytes(12)),
    )
    said = guest.series(entry, calls)
    assert [one.value for one in said] == [0, -EINVAL, -EINVAL, -EINVAL]
    assert {one.memory for one in said} == {(), (b"\xa5" * 12,)}


@pytest.mark.entries("int80")
def test_a_group_too_large_for_16_bits_is_shown_as_nobodys(guest, entry):
    assert guest.call(entry, "setgroups32", 1, LARGE.to_bytes(4, "little")).value == 0
    said = guest.call(entry, "getgroups", 1, Buffer(4))
    assert said.memory == (NOBODY.to_bytes(2, "little") + b"\xa5" * 2,)


def test_the_leader_of_a_session_has_its_number_and_its_groups(guest, entry):
    own = guest.call(entry, "getpid").value
    names = ("gettid", "getpgrp", "getpgid", "getsid", "getppid", "setsid", "setpgid")
    expected = [own, own, own, own, 1, -EPERM, -EPERM]
    said = guest.series(entry, [(name, 0, 0) for name in names])
    assert dict(zip(names, (one.value for one in said), strict=True)) == dict(
        zip(names, expected, strict=True)
    )


WHOLE_SETS = {0x1998_0330: 1, 0x2007_1026: 2, 0x2008_0522: 2}
"""How many times three words of capabilities each version of the calls takes."""
NEWEST, OWN = 0x2008_0522, 0
ASKED = (0b0011_0000, 0b0111_0000, 0b0101_0000, 0b001, 0b011, 0b010)
"""Effective, permitted and inheritable capabilities: the first 32 of each, and then the others."""


@pytest.mark.room("it is root")
def test_capabilities_are_told_as_they_were_set_and_no_more_of_them(guest, entry):
    header, three = struct.pack("<Ii", NEWEST, OWN), struct.pack("<6I", *ASKED)
    assert guest.call(entry, "capset", header, three).value == 0
    for version, count in WHOLE_SETS.items():
        said = guest.call(entry, "capget", struct.pack("<Ii", version, OWN), Buffer(32))
        assert said.value == 0
        assert said.memory[0] == three[: 12 * count].ljust(32, b"\xa5"), hex(version)


def test_an_unknown_version_of_capabilities_is_told_the_newest(guest, entry):
    at = ARENA.start + 0x800
    for room, answer in ((ARENA.start, -EINVAL), (0, 0)):
        guest.write(entry.abi, at, bytes(8))
        assert guest.call(entry, "capget", at, room).value == answer
        assert guest.read(entry.abi, at, 8) == struct.pack("<Ii", NEWEST, OWN)


@pytest.mark.room("it is root")
def test_capabilities_that_cannot_be_told_or_had(guest, entry):
    few, more = struct.pack("<6I", 0, 1, 0, 0, 0, 0), struct.pack("<6I", 3, 3, 0, 0, 0, 0)
    whose = {pid: struct.pack("<Ii", NEWEST, pid) for pid in (OWN, -1, 1, 0x3FFF_FFFF)}
    cases = [
        (-EINVAL, "capget", whose[-1], Buffer(24)),
        (-ESRCH, "capget", whose[0x3FFF_FFFF], Buffer(24)),
        (-EPERM, "capset", whose[0x3FFF_FFFF], few),
        (0, "capset", whose[OWN], few),
        (-EPERM, "capset", whose[OWN], more),
        (-EPERM, "capset", whose[OWN], struct.pack("<6I", 3, 1, 0, 0, 0, 0)),
        (-EPERM, "capset", whose[1], few),
        (-EFAULT, "capset", whose[OWN], HOLE),
        *[(-EFAULT, name, READ_ONLY.start, Buffer(24)) for name in ("capget", "capset")],
        *[(-EFAULT, name, At(EDGE.end - 4, whose[OWN][:4]), few) for name in ("capget", "capset")],
    ]
    assert find_wrong(guest, entry, cases) == []
    told = guest.call(entry, "capget", whose[1], Buffer(24)).memory[0]
    lines = [line.split() for line in guest.read_file("/proc/1/status").splitlines()]
    known = {line[0]: int(line[1], 16) for line in lines if line[0].startswith(b"Cap")}
    sets = [known[name] for name in (b"CapEff:", b"CapPrm:", b"CapInh:")]
    assert told == struct.pack(
        "<6I", *(one >> part & 0xFFFF_FFFF for part in (0, 32) for one in sets)
    )


HERE, READABLE, AS_EFFECTIVE, SECRET = -100, 4, 0x200, b"/secret\0"


@pytest.mark.room("it is root")
def test_access_asks_about_the_real_ids(guest, entry):
    """Unless it is told otherwise. Source: fs/open.c access_override_creds (6.12)."""
    guest.write_file("/secret", b"", mode=0o600)
    setresuid = "setresuid32" if entry.table is I386 else "setresuid"
    real = [("access", SECRET, READABLE), ("faccessat", HERE, SECRET, READABLE)]
    effective = [("faccessat2", HERE, SECRET, READABLE, AS_EFFECTIVE), ("chown", SECRET, -1, -1)]
    real += [("faccessat2", HERE, SECRET, READABLE, 0)]
    rows = [(0, setresuid, REAL, 0, 0)]
    rows += [(-EACCES, *call) for call in real] + [(0, *call) for call in effective]
    rows += [(0, setresuid, 0, REAL, 0)]
    rows += [(0, *call) for call in real]
    rows += [(-EACCES, *effective[0]), (-EPERM, "chmod", SECRET, 0o600)]
    assert find_wrong(guest, entry, rows) == []


@pytest.mark.room("it is root")
def test_a_group_among_several_is_found(guest, entry, suffix):
    """Source: kernel/groups.c groups_search (6.12)."""
    size = id_bytes(entry, suffix)
    guest.write_file("/secret", b"", mode=0o040)
    given = b"".join(one.to_bytes(size, "little") for one in (9, 5, 7))
    assert guest.call(entry, f"setgroups{suffix}", 3, given).value == 0
    seen = {}
    for group in (4, 5, 6, 7, 8, 9, 10):
        calls = ("chown" + suffix, SECRET, 0, group), (f"setfsuid{suffix}", REAL)
        calls += ("open", SECRET, 0), (f"setfsuid{suffix}", 0)
        seen[group] = guest.series(entry, calls)[2].errno
    assert seen == {group: None if group in (5, 7, 9) else EACCES for group in seen}


PRIVILEGED, PLAIN, MODE_AT = 0o6777, 0o777, 28
"""A file's mode before and after, and where statx tells it."""


@pytest.mark.room("it is root")
def test_a_file_that_is_changed_no_longer_lends_its_owners_ids(guest, entry, suffix):
    """Source: fs/open.c do_truncate, chown_common; fs/inode.c file_remove_privs (6.12)."""
    guest.write_file("/secret", b"abc", mode=0o777)
    fd = guest.call(entry, "open", SECRET, O_RDWR).value
    seen = {}
    for name, *rest in (
        ("write", fd, b"x", 1),
        ("ftruncate", fd, 2),
        ("truncate", SECRET, 1),
        (f"chown{suffix}", SECRET, 0, 0),
        (f"fchown{suffix}", fd, 0, 0),
        ("getpid",),
    ):
        by = 0 if "chown" in name else REAL
        calls = ("chmod", SECRET, PRIVILEGED), (f"setfsuid{suffix}", by), (name, *rest)
        calls += (f"setfsuid{suffix}", 0), ("statx", HERE, SECRET, 0, 0x7FF, Buffer(256))
        said = guest.series(entry, calls)
        told = int.from_bytes(said[-1].memory[0][MODE_AT : MODE_AT + 2], "little") & 0o7777
        seen[name] = said[2].errno, told
    expected = dict.fromkeys(seen, (None, PLAIN)) | {"getpid": (None, PRIVILEGED)}
    assert seen == expected


STACK_LIMIT, SOMEBODY, OTHER = 3, 1001, 1002


@pytest.mark.room("it is root")
@pytest.mark.entries("int80", "syscall")
@pytest.mark.parametrize("place", [None, *range(6)])
def test_limits_are_told_to_who_has_all_the_ids_of_a_process(guest, entry, place):
    """Source: kernel/sys.c check_prlimit_permission (6.1)."""
    ids = [OTHER if one == place else SOMEBODY for one in range(6)]
    suffix = "32" if entry.table is I386 else ""
    with start_puppet(guest, entry.abi) as puppet:
        own = puppet.own_entry
        own_suffix = "32" if own.table is I386 else ""
        assert puppet.call(own, f"setresgid{own_suffix}", *ids[3:]) == 0
        assert puppet.call(own, f"setresuid{own_suffix}", *ids[:3]) == 0
        rows = [
            (0, "prlimit64", puppet.pid, STACK_LIMIT, 0, Buffer(16)),
            (0, f"setresgid{suffix}", *[SOMEBODY] * 3),
            (0, f"setresuid{suffix}", *[SOMEBODY] * 3),
            (0 if place is None else -EPERM, "prlimit64", puppet.pid, STACK_LIMIT, 0, Buffer(16)),
        ]
        assert find_wrong(guest, entry, rows) == []


@pytest.mark.room("it is root")
def test_groups_are_told_in_their_order_of_size(guest, entry, suffix):
    """Since a search wants them so. Source: kernel/groups.c groups_sort (6.1)."""
    size = id_bytes(entry, suffix)
    given, sorted_ = (
        b"".join(one.to_bytes(size, "little") for one in three) for three in ((7, 5, 6), (5, 6, 7))
    )
    assert guest.call(entry, f"setgroups{suffix}", 3, given).value == 0
    assert guest.call(entry, f"getgroups{suffix}", 3, Buffer(3 * size)).memory == (sorted_,)


def test_a_child_is_put_into_a_group_of_its_session_until_it_executes(guest, entry):
    """Source: kernel/sys.c setpgid, PF_FORKNOEXEC (6.1)."""
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as puppet:
        own = puppet.own_entry
        child = puppet.fork()
        try:
            assert puppet.resume() == TRAP_STOP
            seen = [puppet.call(own, "setpgid", child.pid, 0)]
            assert child.resume() == TRAP_STOP
            child.prepare_exec()
            child.ptrace(Request.SETOPTIONS, 0, Option.TRACEEXEC | Option.EXITKILL)
            assert child.resume().is_stop
            seen.append(puppet.call(own, "setpgid", child.pid, puppet.pid))
        finally:
            child.kill()
    assert seen == [0, -EACCES]


def test_no_process_is_put_into_a_group_of_another_session(guest, entry):
    options = Option.TRACEFORK | Option.TRACESYSGOOD
    with start_puppet(guest, entry.abi, options=options) as puppet:
        children = []
        try:
            for _ in range(2):
                children.append(puppet.fork())
                assert puppet.resume() == TRAP_STOP
                assert children[-1].resume() == TRAP_STOP
            first, second = children
            seen = [
                first.call(first.own_entry, "setsid") == first.pid,
                second.call(second.own_entry, "setpgid", 0, first.pid),
                second.call(second.own_entry, "setpgid", 0, 0),
            ]
        finally:
            for child in children:
                child.kill()
    assert seen == [True, -EPERM, 0]
