# SPDX-License-Identifier: Apache-2.0
"""Calls of keys, policies, mounts, modules and events: no pointer of theirs goes without a look.

As in test_trusted_by_processes: rows that work, made wrong one pointer at a time.

Source: security/keys/{keyctl,compat}.c, security/landlock/syscalls.c, mm/{mempolicy,madvise}.c,
fs/{namespace,fsopen,filesystems,statfs,fhandle,aio,namei,open}.c, kernel/{module/main,acct}.c,
kernel/{bpf/syscall,events/core}.c, arch/x86/kernel/{ldt,tls}.c (6.1).
"""

import struct
from errno import EBUSY, EEXIST, EINVAL, ENOENT, ESTALE

import pytest

from harness.agent.arguments import Buffer
from harness.agent.sweep import Row, find_trusted, read_first_page
from harness.arch import ARCH_I386, I386
from harness.landscape import PAGE, UNTOUCHED

AT_FDCWD = -100
NOTHING = b"/no/such\0"
PROCESS_KEYRING = -2
DESCRIPTION = b"user;0;0;3f010000;k\0"
COLD = 20
EMPTY_SEGMENT = struct.pack("<IIII", 0, 0, 0, 0x28)
PREFERRED = 1
DUMMY_EVENT = struct.pack("<IIQ", 1, 64, 9) + bytes(48)
ARRAY = struct.pack("<IIII", 2, 4, 4, 1)


@pytest.fixture
def made(guest, entry):
    """Give what calls are about, by name: negative where the kernel was built without it."""
    makers = {
        "key": ("add_key", b"user\0", b"k\0", b"data", 4, PROCESS_KEYRING),
        "ruleset": ("landlock_create_ruleset", struct.pack("<Q", 1), 8, 0),
        "root": ("open", b"/\0", 0o10000000),
        "self": ("pidfd_open", guest.call(entry, "getpid").value, 0),
        "context": ("fsopen", b"tmpfs\0", 0),
    }
    said = guest.series(entry, list(makers.values()))
    return {name: one.value for name, one in zip(makers, said, strict=True)}


def key_rows(made):
    key = made["key"]
    yield Row(("keyctl", 1, b"session\0"), optional=(2,))
    yield Row(("keyctl", 2, key, b"data", 4))
    yield Row(("keyctl", 6, key, Buffer(len(DESCRIPTION)), len(DESCRIPTION)), optional=(3,))
    yield Row(("keyctl", 10, PROCESS_KEYRING, b"user\0", b"k\0", 0))
    yield Row(("keyctl", 11, key, Buffer(4), 4), optional=(3,))
    yield Row(("keyctl", 31, Buffer(2), 2))
    yield Row(("add_key", b"user\0", b"k\0", b"data", 4, PROCESS_KEYRING), null={2: EINVAL})


def memory_rows(guest, entry, made):
    mask, bits = struct.pack("<Q", 1), 64  # read as one long, by 32-bit calls, too, before 5.15
    area = (UNTOUCHED.start, PAGE)
    yield Row(("set_mempolicy", PREFERRED, mask, bits), optional=(2,))
    yield Row(("mbind", *area, PREFERRED, mask, bits, 0), optional=(4,))
    yield Row(("migrate_pages", 0, bits, mask, mask), null={3: None, 4: EINVAL})
    yield Row(("process_madvise", made["self"], entry.table.words(*area), 1, COLD, 0))
    if entry.table is I386:  # 64-bit programs get an error in the lower half of rax
        yield Row(("modify_ldt", 1, EMPTY_SEGMENT, 16))
    slot = 6 if guest.identity.arch is ARCH_I386 else 12
    yield Row(("set_thread_area", struct.pack("<IIII", slot, 0, 0, 0x28)))
    yield Row(("get_thread_area", struct.pack("<I", slot) + bytes(12)))


def mount_rows(guest, entry, made):
    yield Row(("mount", b"none\0", NOTHING, b"tmpfs\0", 0, 0), answers=ENOENT, optional=(1, 3))
    yield Row(("pivot_root", b"/\0", NOTHING), answers=ENOENT)
    yield Row(("fsopen", b"tmpfs\0", 0))
    yield Row(("fsconfig", made["context"], 1, b"size\0", b"1M\0", 0), null={3: EINVAL, 4: EINVAL})
    yield Row(("fspick", AT_FDCWD, NOTHING, 0), answers=ENOENT)
    yield Row(("open_tree", AT_FDCWD, NOTHING, 0), answers=ENOENT)
    yield Row(("move_mount", AT_FDCWD, b"/proc/sys\0", AT_FDCWD, b"/\0", 0), answers=EINVAL)
    no_suid = struct.pack("<QQQQ", 2, 0, 0, 0)
    yield Row(("mount_setattr", AT_FDCWD, NOTHING, 0, no_suid, 32), answers=ENOENT)
    yield Row(("chroot", b"/\0"))
    device = int(guest.read_file("/proc/self/mountinfo").split()[2].partition(b":")[2])
    yield Row(("ustat", device, Buffer(32 if entry.table.word_bytes == 8 else 20)))
    first = guest.read_file("/proc/filesystems").splitlines()[0].split()[-1]
    yield Row(("sysfs", 1, first + b"\0"))
    yield Row(("sysfs", 2, 0, Buffer(len(first) + 1)))
    handle = struct.pack("<Ii", 8, 1) + bytes(8)
    yield Row(("open_by_handle_at", AT_FDCWD, handle, 0), answers=ESTALE)


def name_rows():
    for name in ("unlink", "rmdir", "swapon", "swapoff", "uselib"):
        yield Row((name, NOTHING, 0), answers=ENOENT)
    for name in ("chmod", "truncate", "chown", "lchown", "creat", "mknod", "utimes"):
        yield Row((name, NOTHING, 0, 0), answers=ENOENT)
    for name in ("unlinkat", "mkdirat", "fchmodat", "faccessat", "mknodat"):
        yield Row((name, AT_FDCWD, NOTHING, 0, 0), answers=ENOENT)
    yield Row(("acct", NOTHING), answers=ENOENT, null={1: None})
    yield Row(("fchownat", AT_FDCWD, NOTHING, 0, 0, 0), answers=ENOENT)
    yield Row(("faccessat2", AT_FDCWD, NOTHING, 0, 0), answers=ENOENT)
    yield Row(("readlinkat", AT_FDCWD, b"/proc/self\0", Buffer(1), 1))
    yield Row(("symlinkat", b"x\0", AT_FDCWD, b"/tmp\0"), answers=EEXIST)
    yield Row(("linkat", AT_FDCWD, b"/init\0", AT_FDCWD, b"/tmp\0", 0), answers=EEXIST)
    yield Row(("renameat", AT_FDCWD, b"/tmp\0", AT_FDCWD, b"/\0"), answers=EBUSY)
    yield Row(("renameat2", AT_FDCWD, b"/tmp\0", AT_FDCWD, b"/\0", 0), answers=EBUSY)
    yield Row(("delete_module", b"no_such\0", 0), answers=ENOENT)
    yield Row(("execveat", AT_FDCWD, NOTHING, 0, 0, 0), answers=ENOENT)


def event_rows(made):
    yield Row(("perf_event_open", DUMMY_EVENT, 0, -1, -1, 0))
    yield Row(("bpf", 0, ARRAY, len(ARRAY)))
    yield Row(("landlock_create_ruleset", struct.pack("<Q", 1), 8, 0))
    beneath = struct.pack("<Qi", 1, made["root"])
    yield Row(("landlock_add_rule", made["ruleset"], 1, beneath, 0))


@pytest.mark.claim(39)
@pytest.mark.claim(40)
@pytest.mark.claim(46)
@pytest.mark.entries("int80", "syscall")
@pytest.mark.parametrize("about", ["keys", "memory", "mounts", "names", "events"])
def test_no_pointer_is_trusted(guest, entry, made, about):
    page = read_first_page(guest)
    rows = {
        "keys": lambda: key_rows(made),
        "memory": lambda: memory_rows(guest, entry, made),
        "mounts": lambda: mount_rows(guest, entry, made),
        "names": name_rows,
        "events": lambda: event_rows(made),
    }[about]()
    assert find_trusted(guest, entry, rows) == {}
    assert read_first_page(guest) == page
