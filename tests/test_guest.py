# SPDX-License-Identifier: Apache-2.0
"""What a guest does for its scenarios, on both default kernels."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest
from live import I386, TCG, X86_64, native, on, own_guest, write_to

from harness.agent.arguments import At, Buffer
from harness.agent.calls import Call
from harness.agent.guest import AnyCall, Guest
from harness.entry import (
    DEFAULT_FLAGS,
    ENTRY_PATHS,
    INT80,
    INT80_64,
    SYSCALL,
    SYSCALL32,
    SYSENTER,
    EntryPath,
)
from harness.errors import DeclarationError, GuestError, GuestTimeout, HostError
from harness.landscape import ARENA, EDGE, HOLE, NO_ACCESS, READ_ONLY, STACK_TOP


def test_the_guest_is_the_kernel_that_was_asked_for(booted: Guest) -> None:
    release = booted.read_file("/proc/sys/kernel/osrelease").decode().strip()
    assert release == booted.identity.release
    assert booted.identity.qemu >= (5, 0)
    assert booted.identity.reason == "asked for"


def test_booting_is_no_splat(booted: Guest) -> None:
    booted.drain_log()
    assert "Linux version" in booted.log
    assert booted.find_splat() is None


@pytest.mark.parametrize("path", ENTRY_PATHS.values(), ids=str)
def test_every_entry_path_gives_the_same_answer(booted: Guest, path: EntryPath) -> None:
    why = booted.why_not_asked(path)
    if why:
        pytest.skip(why)
    said = booted.call(path, "read", 0, HOLE, 16)
    assert said.errno == errno.EFAULT
    assert said.clobbered <= path.may_clobber
    assert said.after["ip"] == booted.about(path.abi).landed[path.name]


def test_numbers_bytes_and_buffers_are_passed(booted: Guest) -> None:
    entry = native(booted)
    descriptor = booted.call(entry, "open", b"/proc/sys/kernel/ostype\0", os.O_RDONLY).value
    said = booted.call(entry, "read", descriptor, Buffer(16), 16)
    assert (said.value, said.memory) == (6, (b"Linux\n" + b"\xa5" * 10,))
    assert booted.call(entry, "close", descriptor).value == 0


def test_two_buffers_come_back_in_their_order(booted: Guest) -> None:
    said = booted.call(native(booted), "getpid", Buffer(8, fill=1), Buffer(8, fill=2))
    assert said.memory == (b"\1" * 8, b"\2" * 8)


def test_registers_can_be_set_and_are_kept(booted: Guest) -> None:
    entry = native(booted)
    stack, other = entry.abi.registers[7], entry.abi.registers[6]
    said = booted.call(entry, "getpid", flags=0x203, **{stack: 0x1234, other: 0x77})
    assert (said.after[stack], said.after[other]) == (0x1234, 0x77)
    assert said.after["flags"] & 1
    assert booted.call(entry, "getpid").before[stack] == STACK_TOP


def test_an_unknown_register_is_named(booted: Guest) -> None:
    with pytest.raises(DeclarationError, match="has no register 'exx'"):
        booted.call(native(booted), "getpid", exx=1)


def test_an_unknown_call_is_named_with_its_neighbours(booted: Guest) -> None:
    with pytest.raises(
        DeclarationError, match=r"unknown system call 'getpdi'.*\ndid you mean getp"
    ):
        booted.call(native(booted), "getpdi")


def test_seven_arguments_are_too_many(booted: Guest) -> None:
    with pytest.raises(DeclarationError, match="six arguments at most, got 7"):
        booted.call(native(booted), 0, *range(7))


def test_memory_is_written_and_read(booted: Guest) -> None:
    abi, content = native(booted).abi, bytes(range(256)) * 32
    booted.write(abi, EDGE.start, content)
    assert booted.read(abi, EDGE.start, len(content)) == content
    assert booted.read(abi, EDGE.end - 8, 100) == content[-8:], "up to the first that faults"


@pytest.mark.parametrize("address", [READ_ONLY.start, NO_ACCESS.start, HOLE, EDGE.end - 1])
def test_memory_that_is_not_writable_is_an_error(booted: Guest, address: int) -> None:
    with pytest.raises(DeclarationError, match="not all writable"):
        booted.write(native(booted).abi, address, b"ab")


def test_files_of_any_size_come_back_as_they_went(booted: Guest) -> None:
    content = os.urandom(100_000)
    booted.write_file("/any", content, 0o600)
    assert booted.read_file("/any") == content
    booted.write_file("/any", b"")
    assert booted.read_file("/any") == b""


def test_a_file_that_is_not_there_is_an_error(booted: Guest) -> None:
    with pytest.raises(HostError, match="cannot read /nowhere: No such file"):
        booted.read_file("/nowhere")
    with pytest.raises(HostError, match="cannot write /no/where: No such file"):
        booted.write_file("/no/where", b"")


def test_the_log_is_told_once(booted: Guest) -> None:
    booted.drain_log()
    write_to(booted, "/dev/kmsg", b"trapgate was here\n")
    assert booted.drain_log().splitlines() == ["trapgate was here"]
    assert booted.drain_log() == ""
    assert "trapgate was here" in booted.log


def test_a_warning_in_the_log_is_found(booted: Guest) -> None:
    booted.drain_log()
    line = "WARNING: CPU: 0 PID: 1 at kernel/exit.c:1 do_exit+0x1/0x2"
    write_to(booted, "/dev/kmsg", line.encode() + b"\n")
    assert booted.find_splat() == line
    assert booted.find_splat() is None


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("exit", (3,), "exited with status 3"),
        ("exit_group", (4,), "exited with status 4"),
        ("kill", (0, 9), "killed by signal 9"),
        ("munmap", (0x1000_0000, 0x10_0000), "killed by signal 11"),
        ("close", (1001,), "exited with status 0"),
    ],
)
def test_a_dead_executor_is_reported_and_replaced(
    booted: Guest, name: str, arguments: tuple[int, ...], said: str
) -> None:
    entry = native(booted)
    with pytest.raises(GuestError, match=f"the {entry.abi} executor died: {said}"):
        booted.call(entry, name, *arguments)
    assert booted.usable
    assert booted.call(entry, "getppid").value == 1


@pytest.mark.parametrize("name", ["pause", "rt_sigsuspend"])
def test_a_call_that_blocks_is_a_timeout_and_nothing_more(booted: Guest, name: str) -> None:
    entry = native(booted)
    with pytest.raises(GuestTimeout, match=r"did not return within 0\.5 s"):
        booted.call(entry, name, bytes(8), 8, timeout_s=0.5)
    assert booted.usable
    assert booted.call(entry, "getppid").value == 1


@pytest.mark.parametrize(
    ("name", "flags"), [("fork", 0), ("vfork", 0), ("clone", 17), ("clone", 0x4111)]
)
def test_a_child_is_not_heard_of(booted: Guest, name: str, flags: int) -> None:
    entry = native(booted)
    calls = [
        Call.of(entry, booted.table(entry).number(call), (flags,) * bool(flags), call)
        for call in (name, "getpid", "getppid")
    ]
    child, own, parent = booted.calls(calls)
    assert child.value > own.value > 1
    assert (parent.value, parent.clobbered) == (1, parent.call.entry.may_clobber)
    assert booted.call(entry, "wait4", child.value, Buffer(4), 0, 0).memory == (b"\0\5\0\0",)


def test_a_fault_ends_the_call_and_is_its_answer(booted: Guest) -> None:
    entry = native(booted)
    said = booted.call(entry, "getpid", flags=DEFAULT_FLAGS | 0x100)
    assert said.signal
    assert (said.signal.name, said.signal.trap) == ("SIGTRAP", 1)
    assert said.errno is None


def test_many_calls_are_dealt_out_to_several_requests(booted: Guest) -> None:
    entry = native(booted)
    number = booted.table(entry).number("getpgid")
    calls = [Call.of(entry, number, (n,), "getpgid") for n in range(100_000, 103_000)]
    said = booted.calls(calls)
    assert [outcome.errno for outcome in said] == [errno.ESRCH] * 3000


def test_a_series_brings_memory_and_takes_it_back(booted: Guest) -> None:
    entry = native(booted)
    placed = At(EDGE.end - 5, b"/init")
    calls: list[AnyCall] = [
        ("read", 0, Buffer(4, fill=7), 2),
        ("access", placed, 0),
        ("read", 0, At(EDGE.end - 8, Buffer(8, offset=3)), 2),
        ("getppid",),
    ]
    said = booted.series(entry, calls)
    assert [one.value for one in said] == [2, -errno.EFAULT, 2, 1]
    kept = b"\0\0\7\7", b"\xa5\xa5\xa5\0\0\xa5\xa5\xa5"
    assert [one.memory for one in said] == [(kept[0],), (), (kept[1],), ()]


def test_a_series_is_dealt_out_so_that_requests_and_answers_fit(booted: Guest) -> None:
    calls: list[AnyCall] = [("read", 0, Buffer(5000), 5000)] * 40 + [("access", bytes(6000), 0)] * 9
    said = booted.series(native(booted), calls)
    assert [one.value for one in said[:40]] == [5000] * 40
    assert len(said) == len(calls)


def test_a_series_tells_of_memory_that_it_cannot_bring(booted: Guest) -> None:
    with pytest.raises(DeclarationError, match=r"4 bytes that .* brings are not writable"):
        booted.series(native(booted), [("getppid",), ("access", At(HOLE, b"four"), 0)])


def test_fresh_executors_have_forgotten(booted: Guest) -> None:
    entry = native(booted)
    booted.write(entry.abi, ARENA.start, b"here")
    booted.renew()
    assert booted.read(entry.abi, ARENA.start, 4) == bytes(4)


@on(X86_64)
def test_both_interfaces_have_an_executor(booted: Guest) -> None:
    both = [booted.call(path, "getpid").value for path in (SYSCALL, INT80, INT80_64)]
    assert both[0] == both[2] != both[1]
    assert struct.unpack("<Q", booted.read(SYSCALL.abi, ARENA.start, 8)) == (0,)


@on(I386)
def test_what_the_kernel_does_not_run_is_said(booted: Guest) -> None:
    assert booted.why_not_asked(SYSCALL) == "an i386 kernel runs no x86_64 programs"
    assert "do not set syscall32 up" in booted.why_not_asked(SYSCALL32)
    assert booted.why_not_asked(INT80) == ""
    with pytest.raises(DeclarationError, match="runs no x86_64 programs"):
        booted.call(SYSCALL, "getpid")


def test_an_error_of_the_emulator_is_said(machine_of_amd: Guest) -> None:
    assert "no SYSENTER in compatibility mode" in machine_of_amd.why_not_asked(SYSENTER)
    assert machine_of_amd.why_not_asked(SYSCALL32) == ""
    assert machine_of_amd.call(SYSCALL32, "read", 0, HOLE, 1).errno == errno.EFAULT


@pytest.fixture
def machine_of_amd() -> Iterator[Guest]:
    with own_guest(X86_64, replace(TCG, cpu="Opteron_G3")) as guest:
        yield guest
