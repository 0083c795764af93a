# SPDX-License-Identifier: Apache-2.0
"""A traced process on strings: what is decoded without one, and that it dances."""

from __future__ import annotations

import signal

import pytest
from live import native

from harness.agent.filters import ARCH, NR, Action, answer, answer_where, program_of
from harness.agent.guest import Guest
from harness.agent.ptrace import (
    CALL_STOP,
    LAYOUTS,
    TRAP_STOP,
    Request,
    Status,
    decode_registers,
    encode_registers,
    pack,
    plain_name,
    words,
)
from harness.agent.puppet import start_puppet
from harness.arch import ABIS, I386, X86_64, Abi
from harness.errors import GuestError

SIZES = {I386: 68, X86_64: 216}


@pytest.mark.parametrize("abi", ABIS.values(), ids=str)
def test_registers_survive_encoding_and_decoding(abi: Abi) -> None:
    values = {name: place for place, name in enumerate(LAYOUTS[abi])}
    record = encode_registers(values, abi)
    assert len(record) == SIZES[abi]
    assert decode_registers(record, abi) == values


@pytest.mark.parametrize("abi", ABIS.values(), ids=str)
def test_every_general_register_has_its_place_by_its_plain_name(abi: Abi) -> None:
    assert {plain_name(name) for name in abi.registers} <= set(LAYOUTS[abi])


def test_plain_names_are_those_of_pt_regs() -> None:
    assert [plain_name(name) for name in ("eax", "rax", "r8", "r15", "rsp")] == [
        *("ax", "ax", "r8", "r15", "sp")
    ]


def test_words_are_packed_as_wide_as_the_abi_has_them() -> None:
    assert pack([-1, 2], I386) == b"\xff\xff\xff\xff\2\0\0\0"
    assert words(pack([-1, 2], X86_64), X86_64) == (X86_64.mask, 2)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (CALL_STOP, "<stopped by SIGTRAP|0x80, event 0>"),
        (Status.stopped(signal.SIGTRAP, 4), "<stopped by SIGTRAP, event 4>"),
        (Status.exited(3), "<exited 3>"),
        (Status(signal.SIGKILL), "<killed by SIGKILL>"),
        (Status(50), "<killed by signal 50>"),
    ],
)
def test_a_status_shows_itself_in_words(status: Status, shown: str) -> None:
    assert repr(status) == shown


def test_a_call_is_watched_from_its_entry_to_its_exit(booted: Guest) -> None:
    entry = native(booted)
    with start_puppet(booted, entry.abi) as puppet:
        before = puppet.prepare(entry, "getppid")
        assert list(puppet.stops(Request.SYSCALL)) == [CALL_STOP, CALL_STOP, TRAP_STOP]
        after = puppet.after()
        assert (after["ax"], after["bx"]) == (1, before["bx"])
        assert puppet.call(entry, "getpid") == puppet.pid
    assert booted.call(entry, "kill", puppet.pid, 0).errno is not None


def test_memory_is_read_and_written(booted: Guest) -> None:
    with start_puppet(booted, native(booted).abi) as puppet:
        puppet.write(puppet.strings.stage, b"strings")
        assert puppet.read(puppet.strings.stage, 9) == b"strings\0\0"
        with pytest.raises(GuestError, match="memory"):
            puppet.read(0, 1)


def test_a_request_that_fails_is_named(booted: Guest) -> None:
    with start_puppet(booted, native(booted).abi) as puppet:
        puppet.kill()
        with pytest.raises(GuestError, match=r"GETREGS: ptrace.*ESRCH"):
            puppet.registers()


def test_a_filter_is_what_the_kernel_takes() -> None:
    code = answer_where({ARCH: 1, NR: 2}, Action.ERRNO + 3) + answer(Action.ALLOW)
    assert code.hex(" ", 8).split() == [
        *("2000000004000000", "1500000301000000"),
        *("2000000000000000", "1500000102000000"),
        *("0600000003000500", "060000000000ff7f"),
    ]
    assert program_of(0x1000, code, I386) == b"\6\0\0\0\0\x10\0\0"
    assert len(program_of(0x1000, code, X86_64)) == 16
