# SPDX-License-Identifier: Apache-2.0
"""Calls that x32 has for itself, from 512 on: what they point to is as a 32-bit program has it.

Only times have 64 bits, and a file's position is in one register.

Source: arch/x86/entry/syscalls/syscall_64.tbl, abi x32; include/linux/compat.h struct
compat_sigevent, compat_msghdr, compat_robust_list_head; fs/read_write.c, fs/aio.c (6.1).
"""

import struct
from errno import EAGAIN, EINVAL, ENOSYS, EOPNOTSUPP
from signal import SIGCHLD, SIGTRAP, SIGUSR1

import pytest

from harness.agent.arguments import At, Buffer
from harness.agent.ptrace import Option, Request, Status
from harness.agent.puppet import start_puppet
from harness.agent.structures import IOCB
from harness.agent.x32 import call_x32, has_x32, x32_number
from harness.arch import I386, X86_64
from harness.entry import SYSCALL
from harness.landscape import ARENA

pytestmark = [
    pytest.mark.machine(append="syscall.x32=y vsyscall=none", arch="x86_64"),
    pytest.mark.abis("x86_64"),
]

DATA, LISTS, OTHER = (ARENA.start + 0x8000 + 0x400 * n for n in range(3))
ABOVE = 1 << 32
"""What no address of 32 bits has."""
FILL = b"\xa5" * 8
LETTERS = b"abcdefgh"


@pytest.fixture
def ask(guest, abi):
    """Give what makes a call of x32, where the kernel has it."""
    if not has_x32(guest):
        pytest.skip("the kernel is configured without x32")
    guest.write(abi, DATA, LETTERS)
    return lambda name, *arguments: call_x32(guest, name, *arguments)


def narrow(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


def test_an_alternate_stack_and_a_list_of_locks_are_told_in_words_of_32_bits(ask):
    stack = narrow(DATA, 0, 0x3000)
    assert ask("sigaltstack", stack + FILL, 0).value == 0
    assert ask("sigaltstack", 0, Buffer(20)).memory[0] == stack + FILL
    assert ask("set_robust_list", DATA, 24).errno == EINVAL
    assert ask("set_robust_list", DATA, 12).value == 0
    told = ask("get_robust_list", 0, Buffer(12), Buffer(12)).memory
    assert list(told) == [narrow(DATA) + FILL, narrow(12) + FILL]


CREATE, TELL_NOBODY = 0o102, 1


def test_an_event_is_asked_for_in_words_of_32_bits(ask):
    event = narrow(0x5EED, SIGUSR1, TELL_NOBODY) + 52 * b"\xff"
    assert ask("timer_create", 1, event, Buffer(4)).value == 0
    queue = ask("mq_open", b"x32\0", CREATE, 0o600, 0)
    if queue.errno == ENOSYS:
        pytest.skip("built without POSIX queues")
    assert ask("mq_notify", queue.value, event).value == 0


def test_a_signal_is_queued_and_taken_in_words_of_32_bits(ask):
    own, mask = ask("getpid").value, struct.pack("<Q", 1 << SIGUSR1 - 1)
    assert ask("rt_sigprocmask", 0, mask, 0, 8).value == 0
    sent = struct.pack("<6iI", SIGUSR1, 0, -1, 77, 78, 0x1234_5678, 0).ljust(128, b"\0")
    for name, whom in (("rt_sigqueueinfo", (own,)), ("rt_tgsigqueueinfo", (own, own))):
        assert ask(name, *whom, SIGUSR1, sent).value == 0, name
        assert ask("rt_sigpending", Buffer(16), 8).memory[0] == mask + FILL
        said = ask("rt_sigtimedwait", mask, Buffer(136), bytes(16), 8)
        assert (said.value, said.memory[0]) == (SIGUSR1, sent + FILL), name
    assert ask("rt_sigtimedwait", mask, 0, struct.pack("<2Q", 0, 1), 8).errno == EAGAIN


def test_a_stopped_childs_status_is_told_in_words_of_32_bits(guest, abi, ask):
    """Its resource usage is not. Source: kernel/exit.c compat_sys_waitid (6.1)."""
    by_pid, stopped, trapped = 1, 2, 4
    with start_puppet(guest, abi) as puppet:
        assert puppet.ptrace(Request.CONT).value == 0
        said = ask("waitid", by_pid, puppet.pid, Buffer(136), stopped | 0x4000_0000, Buffer(152))
        assert said.value == 0
        told = struct.pack("<6i", SIGCHLD, 0, trapped, puppet.pid, 0, SIGTRAP)
        assert said.memory[0][:24] == told
        assert (said.memory[1][136:144] != FILL, said.memory[1][144:]) == (True, FILL)


def test_a_list_of_memory_is_read_in_words_of_32_bits(guest, abi, ask):
    file = ask("memfd_create", b"x32\0", 0).value
    guest.write(abi, LISTS, narrow(DATA, 3, DATA + 5, 2))
    assert ask("writev", file, LISTS, 2).value == 5
    assert ask("lseek", file, 0, 0).value == 0
    guest.write(abi, LISTS, narrow(OTHER, 2, OTHER + 4, 3))
    assert ask("readv", file, LISTS, 2).value == 5
    assert guest.read(abi, OTHER, 7)[:2] + guest.read(abi, OTHER + 4, 3) == b"abcfg"


def test_a_position_is_in_one_register(guest, abi, ask):
    """Source: fs/read_write.c compat_sys_preadv64v2 (6.1)."""
    far, file = 0x1_0000_0005, ask("memfd_create", b"x32\0", 0).value
    guest.write(abi, LISTS, narrow(DATA, 3))
    flags_5th = {"pwritev": (), "pwritev2": (0,), "preadv": (), "preadv2": (0,)}
    for name, flags in flags_5th.items():
        if name.startswith("pwrite"):
            assert ask("ftruncate", file, 0).value == 0
            assert ask(name, file, LISTS, 1, far, *flags).value == 3, name
            assert ask("lseek", file, 0, 2).value == far + 3, name
        else:
            guest.write(abi, LISTS, narrow(OTHER, 3))
            guest.write(abi, OTHER, bytes(3))
            assert ask(name, file, LISTS, 1, far, *flags).value == 3, name
            assert guest.read(abi, OTHER, 3) == LETTERS[:3], name
    for name in ("preadv2", "pwritev2"):
        assert ask(name, file, LISTS, 1, 0, 1 << 30).errno == EOPNOTSUPP, name


AF_UNIX, DATAGRAM, FIONBIO = 1, 2, 0x5421


@pytest.fixture
def pair(ask):
    """Give two connected sockets."""
    return struct.unpack("<2i", ask("socketpair", AF_UNIX, DATAGRAM, 0, Buffer(8)).memory[0])


def test_a_message_goes_by_headers_of_words_of_32_bits(guest, abi, ask, pair):
    """And so do many, with a time of 64 bits. Source: net/compat.c (6.1)."""
    header, many = narrow(0, 0, LISTS, 1, 0, 0, 0), 64
    zeros = struct.pack("<2q", 0, 0)
    for send, receive, size, told in (
        (("sendmsg", 0), ("recvmsg", 0), 0, 3),
        (("sendmmsg", 1, 0), ("recvmmsg", 1, many, zeros), 4, 1),
    ):
        guest.write(abi, LISTS, narrow(DATA, 3))
        there = At(OTHER, header + size * b"\xee")
        assert ask(send[0], pair[0], there, *send[1:]).value == told, send
        guest.write(abi, LISTS, narrow(OTHER + 0x100, 8))
        assert ask(receive[0], pair[1], there, *receive[1:]).value == told, receive
        assert guest.read(abi, OTHER + 0x100, 3) == LETTERS[:3]
        assert guest.read(abi, OTHER + 28, size) == (3).to_bytes(4, "little")[:size], receive


def test_an_address_that_ioctl_is_given_has_32_bits(ask, pair):
    """Source: fs/ioctl.c compat_sys_ioctl (6.1)."""
    assert ask("ioctl", pair[0], FIONBIO, DATA | ABOVE).value == 0
    assert ask("fcntl", pair[0], 3, 0).value & 0o4000


WRITE = 1


def test_a_list_of_transfers_has_addresses_of_32_bits(guest, abi, ask):
    made = ask("io_setup", 1, At(OTHER, bytes(4) + FILL))
    if made.errno == ENOSYS:
        pytest.skip("built without asynchronous I/O")
    assert made.value == 0
    context = guest.read(abi, OTHER, 12)
    assert (context[:4] != bytes(4), context[4:]) == (True, FILL)
    file = ask("memfd_create", b"x32\0", 0).value
    block = IOCB.pack(0, 0, 0, WRITE, 0, file, DATA, 3, 0, 0, 0, 0)
    guest.write(abi, LISTS, narrow(OTHER + 0x100, OTHER + 0x100))
    guest.write(abi, OTHER + 0x100, block)
    number = int.from_bytes(context[:4], "little")
    assert ask("io_submit", number, 1, LISTS).value == 1
    assert ask("lseek", file, 0, 2).value == 3


EVENT_EXEC = 4


@pytest.mark.parametrize("name", ["execve", "execveat"])
def test_a_new_programs_arguments_are_listed_in_words_of_32_bits(guest, ask, name):
    """Source: fs/exec.c get_user_arg_ptr (6.1)."""
    assert ask("getpid").value
    with start_puppet(guest, X86_64, options=Option.TRACEEXEC) as puppet:
        path = puppet.prepare_exec()["di"]
        puppet.write(path + 0x100, narrow(path, path, 0, path, path, 0))
        lists = path + 0x100, path + 0x10C
        given = (path, *lists) if name == "execve" else (-100, path, *lists, 0)
        puppet.prepare(SYSCALL, x32_number(guest, name), *given)
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_EXEC)
        sp = puppet.registers()["sp"]
        head = struct.unpack("<6Q", puppet.read(sp, 48))
        assert (head[0], head[3], head[4] != 0, head[5] != 0) == (2, 0, True, True)


AT_VDSO, ELF_32 = 33, b"\x7fELF\x01"


@pytest.mark.room("the root folder is a guest's")
def test_a_program_of_x32_has_a_vdso_and_segments_of_its_own(guest, ask):
    """Source: arch/x86/entry/vdso/vma.c; process_64.c compat_start_thread (5.10, 6.1)."""
    assert ask("getpid").value
    with start_puppet(guest, X86_64, options=Option.TRACEEXEC) as puppet:
        path = puppet.read(puppet.prepare_exec(abi=I386)["di"], 64).split(b"\0")[0]
        program = guest.read_file(path.decode())
        guest.write_file("/of x32", program[:18] + struct.pack("<H", 62) + program[20:], 0o755)
        puppet.write(puppet.strings.stage, b"/of x32\0")
        assert puppet.resume() == Status.stopped(SIGTRAP, EVENT_EXEC)
        told = struct.iter_unpack("<2I", guest.read_file(f"/proc/{puppet.pid}/auxv"))
        vdso = puppet.read(dict(told)[AT_VDSO], 20)
        assert (vdso[:5], vdso[18:]) == (ELF_32, struct.pack("<H", 62)), "x32's, not another's"
        seen = puppet.registers()
    expected = {"cs": 0x33, "ss": 0x2B, "ds": 0x2B, "es": 0x2B}
    assert {name: seen[name] for name in expected} == expected
