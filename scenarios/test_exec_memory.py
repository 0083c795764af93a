# SPDX-License-Identifier: Apache-2.0
"""Where a new program's memory lies and what of it may be executed: its file and its personality.

Source: arch/x86/include/asm/elf.h elf_read_implies_exec; arch/x86/kernel/process_64.c
set_personality_64bit, set_personality_ia32; arch/x86/mm/mmap.c mmap_base; fs/exec.c
setup_arg_pages (5.10, 6.1).
"""

import struct
from errno import EINVAL, ENOSYS
from functools import partial
from signal import SIGUSR1

import pytest

from harness.agent.arguments import Buffer
from harness.agent.filters import AUDIT_ARCH
from harness.agent.maps import find_mapping, read_maps
from harness.agent.ptrace import (
    CALL_STOP,
    Request,
    pack,
    plain_name,
    words,
)
from harness.agent.puppet import INSTRUCTIONS, start_puppet
from harness.agent.signals import SA_RESTORER
from harness.agent.structures import ACTION, EVENT
from harness.arch import ABIS, I386
from harness.entry import native_entry

pytestmark = pytest.mark.room("the root folder is a guest's")

READ_IMPLIES_EXEC, FIXED, BOTTOM_UP, LIMIT_3GB = 0x400000, 0x40000, 0x200000, 0x8000000
LOAD, INTERPRETER, GNU_STACK = 1, 3, 0x6474E551
FIXED_PLACE, ANY_PLACE = 2, 3
READ_EXECUTE, READ_WRITE, ALL = 5, 6, 7
START, ENTRY, PATH, BYTES = 0x40_0000, 0x100, 0x200, 0x1000
NEAR_BYTES = 1 << 20
"""How far from where its room begins the first mapping may be: the kernel's own are there."""


def least_program(abi, stack, at=START, interpreter=b""):
    """Return an ELF file: two calls, and what it says of its stack; nothing when that is None.

    Where it lies is its own choice unless `at` is 0, and another begins where one interprets it.
    """
    wide = abi is not I386
    word, head, segment = ("Q", 64, 56) if wide else ("I", 52, 32)
    content = b"\x7fELF" + bytes([1 + wide, 1, 1]) + bytes(9)
    content += struct.pack("<HHI", FIXED_PLACE if at else ANY_PLACE, 62 if wide else 3, 1)
    content += struct.pack(f"<3{word}", at + ENTRY, head, 0)
    content += struct.pack("<I6H", 0, head, segment, 3, 0, 0, 0)
    for kind, flags, offset, size in (
        (INTERPRETER if interpreter else 0, 4, PATH, len(interpreter)),
        (LOAD, READ_EXECUTE, 0, BYTES),
        (0 if stack is None else GNU_STACK, stack or 0, 0, 0),
    ):
        first, last = ((flags,), ()) if wide else ((), (flags,))
        content += struct.pack(f"<{1 + len(first)}I", kind, *first)
        content += struct.pack(f"<5{word}", offset, at + offset, at + offset, size, size)
        content += struct.pack(f"<{len(last)}I{word}", *last, 0x1000)
    calls = 2 * INSTRUCTIONS["syscall" if wide else "int80"]
    return ((content.ljust(ENTRY, b"\0") + calls).ljust(PATH, b"\0") + interpreter).ljust(
        BYTES, b"\xcc"
    )


def path_of(stack):
    return f"/least.{stack}"


@pytest.fixture
def puppet(guest, abi):
    """Give a traced process of `abi` that stands before two calls, and what it may become."""
    for stack in (None, READ_WRITE, ALL):
        guest.write_file(path_of(stack), least_program(abi, stack), 0o755)
    with start_puppet(guest, abi) as puppet:
        puppet.send_to(2 * INSTRUCTIONS[puppet.own_entry.name])
        yield puppet


def make_call(puppet, name, *arguments):
    """Have it make the call before which it stands, and return the result."""
    order = map(plain_name, puppet.own_entry.arguments)
    given = dict(zip(order, (*arguments, *bytes(6 - len(arguments))), strict=True))
    puppet.set_registers(ax=puppet.number(puppet.own_entry, name), **given)
    assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP, CALL_STOP]
    return puppet.registers()["ax"]


def become(guest, puppet, stack=READ_WRITE):
    """Have it become the least program; return its stack's end and rights, and personality."""
    at = puppet.registers()["sp"] - 0x100
    puppet.write(at, path_of(stack).encode() + b"\0")
    assert make_call(puppet, "execve", at) == 0
    _, end, rights, *_ = find_mapping(guest, puppet.pid, "[stack]")
    return end, rights, int(guest.read_file(f"/proc/{puppet.pid}/personality"), 16)


def test_a_stack_is_executable_where_the_file_says_so_or_an_old_one_nothing(guest, puppet):
    """And where a 32-bit one says nothing, whatever can be read from then on."""
    old = READ_IMPLIES_EXEC if puppet.abi is I386 else 0
    expected = {
        "without": (READ_WRITE, "rw-p", 0),
        "with": (ALL, "rwxp", 0),
        "no word": (None, "rwxp" if old else "rw-p", old),
    }
    seen = {
        says: (stack, *become(guest, puppet, stack)[1:]) for says, (stack, *_) in expected.items()
    }
    assert seen == expected


MONOTONIC, NO_SIGNAL, DISABLED = 1, 1, 2


def test_a_new_program_has_no_timers_of_the_former(guest, puppet):
    """Source: fs/exec.c begin_new_exec; kernel/time/posix-timers.c exit_itimers (6.1)."""
    at, abi = puppet.registers()["sp"] - 0x200, puppet.abi
    puppet.write(at, EVENT[abi.name].encode(how=NO_SIGNAL))
    assert make_call(puppet, "timer_create", MONOTONIC, at, at + 0x100) == 0
    timer = int.from_bytes(puppet.read(at + 0x100, 4), "little")
    become(guest, puppet)
    assert abi.signed(make_call(puppet, "timer_gettime", timer, 0) & abi.mask) == -EINVAL


@pytest.mark.parametrize("name", ["alternate stack", "robust list"])
def test_a_new_program_has_none_that_lay_in_the_formers_memory(guest, puppet, name):
    """Source: fs/exec.c begin_new_exec; kernel/futex/core.c futex_exec_release (6.1)."""
    at, abi, width = puppet.registers()["sp"] - 0x200, puppet.abi, puppet.abi.bits // 8
    setting, given, asking, told = {
        "alternate stack": (
            *(("sigaltstack", at, 0), (at, 0, 0x4000)),
            *(("sigaltstack", 0, 0), (0, DISABLED, 0)),
        ),
        "robust list": (
            *(("set_robust_list", at, 3 * width), (at, 0, 0)),
            *(("get_robust_list", 0, 0, 2 * width), (0, 0xA5, 3 * width)),
        ),
    }[name]
    puppet.write(at, pack(given, abi))
    assert make_call(puppet, *setting) == 0
    become(guest, puppet)
    at = puppet.registers()["sp"] - 0x200
    puppet.write(at, pack((0xA5,) * 3, abi))
    assert make_call(puppet, asking[0], asking[1], *(at + more for more in asking[2:])) == 0
    assert words(puppet.read(at, 3 * width), abi) == told


LAST = {("i386", "i386"): 0xC000_0000, ("x86_64", "i386"): 0xFFFF_E000}
"""By the kernel's architecture and the program's ABI: where its addresses end."""


def test_memory_lies_where_the_personality_says(guest, puppet):
    """At 3 GiB for 32-bit programs; 64-bit ones forget that to read is to execute."""
    end = LAST.get((guest.identity.arch.name, puppet.abi.name), 0x7FFF_FFFF_F000)
    short, kept = (0xC000_0000, READ_IMPLIES_EXEC) if puppet.abi is I386 else (end, 0)
    name = puppet.abi.mmap
    below = short - (128 << 20) - NEAR_BYTES
    for personality, last, told, first in (
        (FIXED | LIMIT_3GB | READ_IMPLIES_EXEC, short, FIXED | LIMIT_3GB | kept, below),
        (FIXED | BOTTOM_UP, end, FIXED | BOTTOM_UP, (end // 3 + 0xFFF) & ~0xFFF),
    ):
        make_call(puppet, "personality", personality)
        stack = become(guest, puppet)
        assert (hex(stack[0]), hex(stack[2])) == (hex(last), hex(told))
        at = make_call(puppet, name, 0, 4096, 3, 0x22, 0xFFFF_FFFF, 0)
        assert first <= at < first + NEAR_BYTES, f"{hex(at)} is not near {hex(first)}"
        puppet.set_registers(ip=START + ENTRY)


PAGE_ZERO = 0x10_0000
TAKEN_AWAY = READ_IMPLIES_EXEC | FIXED | BOTTOM_UP | PAGE_ZERO


@pytest.mark.parametrize(
    ("mode", "kept"),
    [(0o755, TAKEN_AWAY), (0o4755, 0), (0o2755, 0), (0o2745, TAKEN_AWAY)],
    ids=["plain", "setuid", "setgid", "setgid in vain"],
)
def test_a_program_that_runs_for_another_has_its_memory_where_it_is_safe(guest, puppet, mode, kept):
    """Source: fs/exec.c bprm_fill_uid; include/uapi/linux/personality.h (6.1)."""
    anothers = f"anothers.{mode:o}"
    guest.write_file(path_of(anothers), least_program(puppet.abi, READ_WRITE), mode)
    kept &= ~0 if puppet.abi is I386 else ~READ_IMPLIES_EXEC
    make_call(puppet, "personality", TAKEN_AWAY | LIMIT_3GB)
    *_, told = become(guest, puppet, anothers)
    assert hex(told) == hex(kept | LIMIT_3GB)
    first, *_ = read_maps(guest, puppet.pid)
    assert (first[:3] == (0, 0x1000, "r-xp")) == bool(kept & PAGE_ZERO), first


def test_a_stack_begins_at_the_same_address_where_the_personality_says_so(guest, puppet):
    seen = []
    for _ in range(3):
        make_call(puppet, "personality", FIXED)
        become(guest, puppet)
        seen.append(hex(puppet.registers()["sp"]))
        puppet.set_registers(ip=START + ENTRY)
    assert len(set(seen)) == 1, seen


AT_PHDR, AT_PHNUM, AT_BASE, AT_ENTRY = 3, 5, 7, 9


def test_a_program_begins_in_its_interpreter_which_is_told_where_both_are(guest, puppet):
    """Source: fs/binfmt_elf.c load_elf_binary, create_elf_tables (6.1)."""
    abi, interpreter = puppet.abi, b"/least.interpreter"
    guest.write_file(interpreter.decode(), least_program(abi, None, at=0), 0o755)
    program = least_program(abi, READ_WRITE, interpreter=interpreter + b"\0")
    guest.write_file(path_of("interpreted"), program, 0o755)
    become(guest, puppet, "interpreted")
    base = find_mapping(guest, puppet.pid, "least.interpreter").start
    told = words(guest.read_file(f"/proc/{puppet.pid}/auxv"), abi)
    auxv = dict(zip(told[::2], told[1::2], strict=True))
    keys = {"base": AT_BASE, "entry": AT_ENTRY, "headers": AT_PHDR, "number": AT_PHNUM}
    seen = {name: hex(auxv[key]) for name, key in keys.items()}
    head = START + (52 if abi is I386 else 64)
    expected = {"base": base, "entry": START + ENTRY, "headers": head, "number": 3}
    assert seen == {name: hex(value) for name, value in expected.items()}
    assert hex(puppet.registers()["ip"]) == hex(base + ENTRY)


def test_a_program_that_is_given_no_arguments_has_an_empty_one(guest, puppet):
    """Source: fs/exec.c do_execveat_common (5.18, and backported)."""
    become(guest, puppet)
    at, size = puppet.registers()["sp"], puppet.abi.bits // 8
    count, first, end, environment = words(puppet.read(at, 4 * size), puppet.abi)
    assert (count, end, environment) == (1, 0, 0)
    assert puppet.read(first, 2) == b"\0/", "and behind it the program's own path"


AT_END, MANY = 0x300, 64 << 20
USUAL, UNLIMITED = 8 << 20, (1 << 64) - 1
SET_DEATH, GET_DEATH, STACK_LIMIT = 1, 2, 3
AS_ANOTHER, AS_ONESELF = (1001, 1002, 1002), (1002, 1002, 1002)


def test_a_new_program_is_told_nothing_of_the_old_ones_handlers(guest, puppet):
    """Not even what they returned to. Source: kernel/signal.c flush_signal_handlers (6.12)."""
    layout = ACTION[puppet.abi.name]
    given = layout.encode(handler=START, flags=SA_RESTORER, restorer=START)
    at = puppet.registers()["sp"] - AT_END
    puppet.write(at, given)
    assert make_call(puppet, "rt_sigaction", SIGUSR1, at, 0, 8) == 0
    become(guest, puppet)
    at = puppet.registers()["sp"] - AT_END
    puppet.write(at, b"\xa5" * len(given))
    assert make_call(puppet, "rt_sigaction", SIGUSR1, 0, at, 8) == 0
    assert layout.decode(puppet.read(at, len(given))) == layout.decode(bytes(len(given)))


@pytest.mark.parametrize(
    ("ids", "signal", "limit"),
    [(AS_ANOTHER, 0, USUAL), (AS_ONESELF, SIGUSR1, MANY)],
    ids=["for another", "for oneself"],
)
def test_who_runs_for_another_has_a_usual_stack_and_outlives_its_parent(
    guest, puppet, ids, signal, limit
):
    """Source: fs/exec.c begin_new_exec, secureexec (6.12)."""
    puppet.go_home()
    call, at = partial(puppet.call, puppet.own_entry), puppet.strings.stage + 0x1800
    puppet.write(at, struct.pack("<QQ", MANY, UNLIMITED))
    assert call("prlimit64", 0, STACK_LIMIT, at, 0) == 0
    assert call("setresuid32" if puppet.abi is I386 else "setresuid", *ids) == 0
    assert call("prctl", SET_DEATH, SIGUSR1) == 0
    puppet.send_to(2 * INSTRUCTIONS[puppet.own_entry.name])
    become(guest, puppet)
    at = puppet.registers()["sp"] - AT_END
    assert make_call(puppet, "prctl", GET_DEATH, at) == 0
    assert make_call(puppet, "prlimit64", 0, STACK_LIMIT, 0, at + 8) == 0
    told, _, stack, most = struct.unpack("<iiQQ", puppet.read(at, 24))
    seen = {"signal at its parent's end": told, "stack": stack, "at most": most}
    assert seen == {"signal at its parent's end": signal, "stack": limit, "at most": UNLIMITED}


SEQUENCE_BYTES, SIGNATURE, NOWHERE = 32, 0x5305_3053, (1 << 32) - 1


def test_a_new_program_registers_a_restartable_sequences_area_of_its_own(guest, puppet):
    """Source: include/linux/rseq.h rseq_execve (6.12)."""
    area = struct.pack("<IIQQQ", 0, NOWHERE, 0, 0, 0)
    puppet.go_home()
    at = puppet.strings.stage + 0x1800
    puppet.write(at, area)
    if puppet.call(puppet.own_entry, "rseq", at, SEQUENCE_BYTES, 0, SIGNATURE) == -ENOSYS:
        pytest.skip("built without restartable sequences")
    puppet.send_to(2 * INSTRUCTIONS[puppet.own_entry.name])
    become(guest, puppet)
    at = (puppet.registers()["sp"] - AT_END) & ~63
    puppet.write(at, area)
    assert make_call(puppet, "rseq", at, SEQUENCE_BYTES, 0, SIGNATURE) == 0


AT_EXIT = 2


@pytest.mark.parametrize("after", ABIS)
def test_an_exec_ends_as_a_call_of_the_new_programs(guest, puppet, after):
    """Source: arch/x86/kernel/process_64.c set_personality_64bit, set_personality_ia32 (6.12)."""
    if ABIS[after] not in guest.identity.arch.abis:
        pytest.skip(f"the kernel runs no {after} programs")
    guest.write_file(path_of(after), least_program(ABIS[after], READ_WRITE), 0o755)
    become(guest, puppet, after)
    number = guest.table(native_entry(ABIS[after])).number("execve")
    said = puppet.ptrace(Request.GET_SYSCALL_INFO, 88, Buffer(88))
    operation, arch = struct.unpack_from("<B3xI", said.memory[0])
    assert puppet.registers()["orig_ax"] == number
    assert (operation, hex(arch)) == (AT_EXIT, hex(AUDIT_ARCH[ABIS[after]]))
