# SPDX-License-Identifier: Apache-2.0
"""What a file's first line and its mode make of who executes it: arguments, name, user and group.

Source: fs/binfmt_script.c load_script; fs/exec.c exec_binprm, bprm_fill_uid, check_unsafe_exec;
security/commoncap.c cap_bprm_creds_from_file (6.1); tools/testing/selftests/exec/recursion-depth.c.
"""

from errno import ELOOP
from os import O_RDONLY
from typing import NamedTuple

import pytest

from harness.agent.ptrace import CALL_STOP, Request, words
from harness.agent.puppet import start_puppet
from harness.arch import I386
from harness.entry import native_entry

pytestmark = pytest.mark.room("the root folder is a guest's")

FOLDER, VECTOR_OFFSET = "/exec-files", 0x800
LOOKED_AT, MOST_DEPTH, LONGEST_NAME = 255, 5, 15
"""Of a file's bytes, of scripts, and of the letters of a process's name. Source: fs/exec.c;
include/uapi/linux/binfmts.h BINPRM_BUF_SIZE, include/linux/sched.h TASK_COMM_LEN (6.1)."""
AT_UID, AT_EUID, AT_GID, AT_EGID, AT_SECURE = 11, 12, 13, 14, 23
EMPTY_PATH, NO_NEW_PRIVILEGES = 0x1000, 38
GIVEN = (b"zero", b"one", b"two")


class Begun(NamedTuple):
    """What a new program finds: arguments, its name, and what of `IDS` its vector tells."""

    arguments: list[bytes]
    name: bytes
    ids: tuple[int, ...]


IDS = (AT_UID, AT_GID, AT_EUID, AT_EGID, AT_SECURE)


@pytest.fixture
def put(guest, abi):
    """Give a function that puts a file into a folder of its own, and returns its path."""
    guest.call(native_entry(abi), "mkdir", FOLDER.encode() + b"\0", 0o755)

    def put(name, content):
        guest.write_file(f"{FOLDER}/{name}", content, 0o755)
        return f"{FOLDER}/{name}".encode()

    return put


@pytest.fixture
def interpreter(abi):
    """Give the path of a program that every guest has."""
    return f"/probes/puppet.{abi}".encode()


@pytest.fixture
def execute(guest, abi):
    """Give a function that has a new process execute a file, and returns what came of it.

    It makes some calls before, which find the path at the place that they are made for, and may
    execute what it has opened. Where no program begins, the error is returned.
    """
    entry = native_entry(abi)

    def execute(path, arguments=GIVEN, calls=lambda _: (), *, opened=False):
        with start_puppet(guest, abi) as puppet:
            texts = [text + b"\0" for text in (path, *arguments)]
            start = puppet.strings.stage
            places = [start + sum(map(len, texts[:n])) for n in range(len(texts))]
            vector, nothing = start + VECTOR_OFFSET, places[0] + len(path)
            puppet.write(start, b"".join(texts))
            puppet.write(vector, entry.table.words(*places[1:], 0))
            assert [c for c in calls(start) if puppet.call(entry, *c)] == []
            call = ("execve", start, vector, 0)
            if opened:
                fd = puppet.call(entry, "open", start, O_RDONLY)
                call = ("execveat", fd, nothing, vector, 0, EMPTY_PATH)
            puppet.prepare(entry, *call)
            assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP] * 2
            registers, folder = puppet.registers(), f"/proc/{puppet.pid}"
            if error := abi.signed(registers["ax"] & abi.mask):
                return error
            line, name = (guest.read_file(f"{folder}/{of}") for of in ("cmdline", "comm"))
            told = words(guest.read_file(f"{folder}/auxv"), abi)
            count = int.from_bytes(puppet.read(registers["sp"], 4), "little")
        found = line.split(b"\0")[:-1]
        assert len(found) == count, "as the stack begins"
        auxv = dict(zip(told[::2], told[1::2], strict=True))
        return Begun(found, name.rstrip(b"\n"), tuple(auxv[key] for key in IDS))

    return execute


SCRIPTS = {
    "alone": (b"#!%s\n", ()),
    "blanks": (b"#! \t%s \t\nmore\n", ()),
    "no end of line": (b"#!%s", ()),
    "an argument": (b"#!%s a\n", (b"a",)),
    "one argument": (b"#!%s \ta b\tc \t\nd\n", (b"a b\tc",)),
    "argument, no end": (b"#!%s a", (b"a",)),
    "a zero": (b"#!%s a\0b\n", (b"a",)),
}
"""By name: what is in a script, and what its interpreter is given before it."""


def test_a_script_is_its_interpreters_argument_behind_its_own_one(put, execute, interpreter):
    seen, expected = {}, {}
    for name, (line, own) in SCRIPTS.items():
        path = put(name, line % interpreter)
        seen[name] = execute(path)[:2]
        expected[name] = [interpreter, *own, path, *GIVEN[1:]], name.encode()[:LONGEST_NAME]
    assert seen == expected


def test_a_script_may_be_given_no_arguments(put, execute, interpreter):
    path = put("alone", b"#!%s x\n" % interpreter)
    assert execute(path, ()).arguments == [interpreter, b"x", path]


def test_of_a_scripts_first_line_the_kernel_looks_at_so_much(put, execute, interpreter):
    line = b"#!%s " % interpreter
    path = put("long", line + b"l" * LOOKED_AT)
    cut = b"l" * (LOOKED_AT - len(line))
    assert execute(path).arguments == [interpreter, cut, path, *GIVEN[1:]]


def test_a_scripts_interpreter_may_be_a_script_but_not_for_ever(put, execute, interpreter):
    paths = [interpreter]
    for depth in range(1, MOST_DEPTH + 2):
        paths.append(put(f"{depth}", b"#!%s\n" % paths[-1]))
    assert execute(paths[-2]).arguments == [*paths[:-1], *GIVEN[1:]]
    assert execute(paths[-1]) == -ELOOP


def test_a_script_that_a_descriptor_names_is_called_by_that(guest, abi, put, execute, interpreter):
    guest.call(native_entry(abi), "symlink", b"/proc/self/fd\0", b"/dev/fd\0")
    found = execute(put("opened", b"#!%s\n" % interpreter), opened=True).arguments
    folder, _, number = found.pop(1).rpartition(b"/")
    assert (found, folder, number.isdigit()) == ([interpreter, *GIVEN[1:]], b"/dev/fd", True)


USER, GROUP, OTHER_USER, OTHER_GROUP = 1001, 2001, 1002, 2002
MODES = {
    # mode; effective user and group, and whether the program is told to be careful
    "plain": (0o755, USER, GROUP, 0),
    "setuid": (0o4755, OTHER_USER, GROUP, 1),
    "setgid": (0o2755, USER, OTHER_GROUP, 1),
    "both": (0o6755, OTHER_USER, OTHER_GROUP, 1),
    "setgid without execution": (0o2745, USER, GROUP, 0),
}


@pytest.fixture
def program(guest, interpreter):
    """Give what is in a program."""
    return guest.read_file(interpreter.decode())


@pytest.mark.parametrize("bound", [False, True], ids=["free", "bound"])
def test_a_file_runs_for_its_owner_where_its_mode_says_so(abi, put, execute, program, bound):
    """But not where its process has said that it wants no new privileges."""
    wide, seen = "32" if abi is I386 else "", {}
    for name, (mode, *_) in MODES.items():

        def calls(path, mode=mode):
            yield f"chown{wide}", path, OTHER_USER, OTHER_GROUP
            yield "chmod", path, mode
            yield f"setresgid{wide}", GROUP, GROUP, GROUP
            yield f"setresuid{wide}", USER, USER, USER
            if bound:
                yield "prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0

        seen[name] = execute(put("anothers", program), calls=calls).ids
    own = USER, GROUP, 0
    assert seen == {
        name: (USER, GROUP, *(own if bound else effective))
        for name, (_, *effective) in MODES.items()
    }
