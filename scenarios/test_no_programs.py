# SPDX-License-Identifier: Apache-2.0
"""What is no program, and why: what execve and execveat say of it.

Source: fs/exec.c do_open_execat, bprm_execve; fs/binfmt_script.c load_script; fs/binfmt_elf.c
load_elf_binary (6.1); tools/testing/selftests/exec/{execveat,non-regular,recursion-depth}.c.
"""

import struct
from errno import (
    E2BIG,
    EACCES,
    EBADF,
    EFAULT,
    EINVAL,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOEXEC,
    ENOTDIR,
)
from os import O_CLOEXEC, O_RDONLY

import pytest

from harness.agent.answers import find_wrong
from harness.landscape import HOLE

pytestmark = pytest.mark.entries("int80", "syscall", "int80_64")

HERE, BAD = -100, 99
NO_FOLLOW, EMPTY_PATH = 0x100, 0x1000
LONGEST = 256
"""How much of a file's beginning the kernel looks at. Source: include/uapi/linux/binfmts.h."""
INTERPRETED = {
    "none": (b"#!/none\n", ENOENT),
    "blank": (b"#! \t\n", ENOEXEC),
    "itself": (b"#!/no-programs/itself\n", ELOOP),
    "folder": (b"#!/proc\n", EACCES),
    "cut": (b"#!/" + b"n" * LONGEST, ENOEXEC),
    "fits": (b"#!/" + b"n" * (LONGEST - 4) + b"\n", ENOENT),
    "empty": (b"", ENOEXEC),
    "text": (b"text\n", ENOEXEC),
    "head": (b"\x7fELF", ENOEXEC),
    "zeros": (b"\x7fELF" + bytes(LONGEST), ENOEXEC),
}
"""By name: what is in a file that may be executed, and what comes of it."""


@pytest.fixture
def folder(guest, entry):
    """Give the folder of what is no program, where names of descriptors lead somewhere.

    TOMOYO looks programs up by them: security/tomoyo/domain.c tomoyo_find_next_domain (5.10).
    """
    guest.call(entry, "mkdir", b"/no-programs\0", 0o700)
    for name, (content, _) in INTERPRETED.items():
        guest.write_file(f"/no-programs/{name}", content, 0o755)
    guest.write_file("/no-programs/plain", b"#!/none\n", 0o644)
    guest.call(entry, "symlink", b"text\0", b"/no-programs/link\0")
    guest.call(entry, "mknod", b"/no-programs/pipe\0", 0o10755, 0)
    guest.call(entry, "symlink", b"/proc/self/fd\0", b"/dev/fd\0")
    return b"/no-programs/"


def test_a_file_that_is_no_program_is_not_executed(guest, entry, folder):
    rows = [
        (-error, "execve", folder + name.encode() + b"\0", 0, 0)
        for name, (_, error) in INTERPRETED.items()
    ]
    assert find_wrong(guest, entry, rows) == []


def test_what_may_not_be_executed(guest, entry, folder):
    rows = [
        *[(-EACCES, "execve", path, 0, 0) for path in (b"/\0", b"/proc\0", b"/dev/null\0")],
        *[(-EACCES, "execve", folder + name, 0, 0) for name in (b"plain\0", b"pipe\0")],
        (-ENOTDIR, "execve", folder + b"text/x\0", 0, 0),
        (-ENOENT, "execve", folder + b"nothing\0", 0, 0),
        (-ENAMETOOLONG, "execve", folder + b"n" * 256 + b"\0", 0, 0),
        (-ENOEXEC, "execve", folder + b"link\0", 0, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


LONG, STACK_LIMIT = 32 * 4096, 3
"""The longest argument, which is also the room that all have however small the stack may be."""


ARGUMENT, POINTERS, PIECE, ANYWHERE = 0x2A00_0000, 0x2A04_0000, 0x8000, 0x32


@pytest.fixture
def arguments(guest, entry):
    """Put a string there that is longer than may be, and pointers to what is left after it."""
    where = (ARGUMENT, 0x8_0000, 3, ANYWHERE, -1, 0)
    assert guest.call(entry, entry.table.mmap, *where).value == ARGUMENT
    pointer = (ARGUMENT + LONG).to_bytes(entry.table.word_bytes, "little")
    for at in range(0, LONG, PIECE):
        guest.write(entry.abi, ARGUMENT + at, b"l" * PIECE)
        guest.write(entry.abi, POINTERS + at, pointer * (PIECE // len(pointer)))


@pytest.mark.usefixtures("arguments")
@pytest.mark.entries("int80", "syscall")
def test_arguments_have_a_limit_each_and_together(guest, entry, folder):
    """What fits is refused for what the file is. Source: fs/exec.c bprm_stack_limits (6.1)."""
    text, small = folder + b"text\0", struct.pack("<QQ", 2 * LONG, 2 * LONG)
    longer, fits, half, more = (
        entry.table.words(ARGUMENT + at, 0) for at in (0, 1, LONG // 2, LONG // 2 - 1)
    )
    rest = entry.table.words(ARGUMENT + LONG // 2 + 1000, 0)
    rows = [
        *[(-E2BIG, "execve", text, *two) for two in ((longer, 0), (0, longer))],
        *[(-EFAULT, "execve", text, bad, 0) for bad in (HOLE, entry.table.words(HOLE, 0))],
        (-ENOEXEC, "execve", text, fits, fits),
        (0, "prlimit64", 0, STACK_LIMIT, small, 0),
        (-E2BIG, "execve", text, fits, 0),
        (-ENOEXEC, "execve", text, half, rest),
        (-E2BIG, "execve", text, half, more),
        (-ENOEXEC, "execve", text, POINTERS + LONG * 3 // 4, 0),
        (-E2BIG, "execve", text, POINTERS, 0),
    ]
    assert find_wrong(guest, entry, rows) == []


def test_a_file_is_found_from_a_descriptor_on(guest, entry, folder):
    here = guest.call(entry, "open", folder + b"\0", O_RDONLY).value
    text = guest.call(entry, "open", folder + b"text\0", O_RDONLY | O_CLOEXEC).value
    kept = guest.call(entry, "open", folder + b"itself\0", O_RDONLY).value
    script = guest.call(entry, "open", folder + b"itself\0", O_RDONLY | O_CLOEXEC).value
    rows = [
        (-ENOEXEC, "execveat", here, b"text\0", 0, 0, 0),
        (-ENOEXEC, "execveat", BAD, folder + b"text\0", 0, 0, 0),
        (-ENOEXEC, "execveat", text, b"\0", 0, 0, EMPTY_PATH),
        (-ENOEXEC, "execveat", here, b"link\0", 0, 0, 0),
        (-ELOOP, "execveat", here, b"link\0", 0, 0, NO_FOLLOW),
        (-ENOENT, "execveat", text, b"\0", 0, 0, 0),
        (-EACCES, "execveat", here, b"\0", 0, 0, EMPTY_PATH),
        (-EACCES, "execveat", HERE, b"\0", 0, 0, EMPTY_PATH),
        (-EBADF, "execveat", BAD, b"text\0", 0, 0, 0),
        (-ENOTDIR, "execveat", text, b"x\0", 0, 0, 0),
        *[(-EINVAL, "execveat", here, b"text\0", 0, 0, flags) for flags in (1, 0x200, 1 << 30)],
        (-ELOOP, "execveat", kept, b"\0", 0, 0, EMPTY_PATH),
        (-ENOENT, "execveat", script, b"\0", 0, 0, EMPTY_PATH),
    ]
    assert find_wrong(guest, entry, rows) == []
