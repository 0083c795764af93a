# SPDX-License-Identifier: Apache-2.0
"""Seccomp filters as data: rules in, the classic BPF program that the kernel takes out.

Source: include/uapi/linux/{seccomp,filter,bpf_common}.h; Documentation/userspace-api/
seccomp_filter.rst (6.1).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum

from harness.agent.calls import Outcome
from harness.agent.guest import Guest
from harness.arch import I386, X86_64, Abi
from harness.entry import EntryPath
from harness.landscape import ARENA


class Action(IntEnum):
    """What a filter answers; the lower sixteen bits are data."""

    KILL_PROCESS = 0x8000_0000
    KILL_THREAD = 0
    TRAP = 0x0003_0000
    ERRNO = 0x0005_0000
    USER_NOTIF = 0x7FC0_0000
    TRACE = 0x7FF0_0000
    LOG = 0x7FFC_0000
    ALLOW = 0x7FFF_0000


SET_MODE_STRICT, SET_MODE_FILTER = 0, 1
"""Operations of seccomp(2)."""
AUDIT_ARCH: Mapping[Abi, int] = {I386: 0x4000_0003, X86_64: 0xC000_003E}
"""How a filter is told whose table the number is from. Source: include/uapi/linux/audit.h."""

NR, ARCH, IP, ARGUMENTS = 0, 4, 8, 16
"""Where in ``struct seccomp_data`` things are; arguments are 8 bytes each."""

_FILTER_AT = ARENA.start + 0x8000
_PIECE_BYTES = 8192
_INSTRUCTION = struct.Struct("<HBBI")
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06


def instruction(code: int, k: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    """Return one ``struct sock_filter``."""
    return _INSTRUCTION.pack(code, jump_true, jump_false, k & 0xFFFF_FFFF)


def load(offset: int) -> bytes:
    """Return: put the word at `offset` of the data into the accumulator."""
    return instruction(_LOAD, offset)


def answer(value: int) -> bytes:
    """Return: end with `value`."""
    return instruction(_RETURN, value)


def answer_where(equal: Mapping[int, int], value: int) -> bytes:
    """Return: end with `value` where every word is as `equal` says by offset, go on elsewhere."""
    checks = len(equal)
    code = b""
    for place, (offset, word) in enumerate(equal.items()):
        past_the_answer = 2 * (checks - place) - 1
        code += load(offset) + instruction(_JUMP_EQUAL, word, 0, past_the_answer)
    return code + answer(value)


def answer_unless(offset: int, word: int, value: int) -> bytes:
    """Return: end with `value` where the word at `offset` is another, go on elsewhere."""
    return load(offset) + instruction(_JUMP_EQUAL, word, 1, 0) + answer(value)


def program_of(filter_at: int, code: bytes, abi: Abi) -> bytes:
    """Return the ``struct sock_fprog`` of `abi` for a filter that lies at `filter_at`."""
    length = len(code) // _INSTRUCTION.size
    return struct.pack("<HxxI" if abi is I386 else "<HxxxxxxQ", length, filter_at)


def install_filter(guest: Guest, entry: EntryPath, code: bytes, flags: int = 0) -> Outcome:
    """Give the executor that `entry` is of a filter, and return what came of it."""
    for at in range(0, len(code), _PIECE_BYTES):
        guest.write(entry.abi, _FILTER_AT + at, code[at : at + _PIECE_BYTES])
    program = program_of(_FILTER_AT, code, entry.table)
    return guest.call(entry, "seccomp", SET_MODE_FILTER, flags, program)
