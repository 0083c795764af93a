# SPDX-License-Identifier: Apache-2.0
"""What stands between a program and the call: wrappers, a C library's errno, or nothing at all.

Source: include/asm-i386/unistd.h (2.6.18); tools/include/nolibc/sys.h (6.1).
"""

from errno import EBADF, ECHILD, EINVAL
from struct import pack

import pytest

from harness.agent.client import Exit
from harness.arch import I386

LEVELS = ("raw", "old", "my_syscall", "sys_", "name")
WITH_ERRNO = ("old", "name")
EMPTY = 77
REFUSED = {
    "one, refused": EBADF,
    "two, refused": EINVAL,
    "three, refused": EINVAL,
    "four, refused": ECHILD,
    "five, refused": EINVAL,
    "six, refused": EBADF,
}
DONE = {"none": 0, "two": 0, "three": 4095, "five": 0x2400_0000, "six": 0x2400_0000}
WORD = (1 << 64) - 1

TEXT = b"hello\n"
BASE = 0x1000_0000


@pytest.fixture
def said(guest, abi):
    """Give value and errno of every call by every wrapper."""
    return guest.probe(abi, "wrappers")


def by_level(said, call):
    """Return value and errno of one call by every wrapper."""
    return {
        level: (said[f"{call}.{level}.value"], said[f"{call}.{level}.errno"]) for level in LEVELS
    }


@pytest.mark.claim(12)
@pytest.mark.claim(36)
@pytest.mark.claim(37)
@pytest.mark.room("the root folder is a guest's")
def test_every_wrapper_gives_the_same_result_and_leaves_errno_alone(said):
    expected = DONE | {"none": said["none.raw.value"]}
    assert {call: by_level(said, call) for call in DONE} == {
        call: dict.fromkeys(LEVELS, (value, EMPTY)) for call, value in expected.items()
    }
    assert expected["none"] > 0


@pytest.mark.claim(10)
@pytest.mark.claim(12)
@pytest.mark.claim(36)
@pytest.mark.claim(37)
@pytest.mark.room("the root folder is a guest's")
def test_only_a_wrapper_turns_an_error_into_errno(said):
    assert {call: by_level(said, call) for call in REFUSED} == {
        call: {
            level: (-1 & WORD, error) if level in WITH_ERRNO else (-error & WORD, EMPTY)
            for level in LEVELS
        }
        for call, error in REFUSED.items()
    }


def elf_of(abi, code):
    """Return the smallest program: both headers, and the code with the text behind it."""
    narrow = abi is I386
    size = (52 + 32 if narrow else 64 + 56) + len(code) + len(TEXT)
    entry = BASE + (52 + 32 if narrow else 64 + 56)
    identity = b"\x7fELF" + bytes([1 if narrow else 2, 1, 1]) + bytes(9)
    machine = 3 if narrow else 62
    if narrow:
        header = pack("<HHIIIIIHHHHHH", 2, machine, 1, entry, 52, 0, 0, 52, 32, 1, 0, 0, 0)
        segment = pack("<8I", 1, 0, BASE, BASE, size, size, 5, 4096)
    else:
        header = pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        segment = pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 4096)
    return identity + header + segment + code + TEXT


def hello_32(start):
    """Return: mov of number, descriptor, address and length; int $0x80; the same for exit(0)."""
    text = start + 34
    write = b"\xb8" + pack("<I", 4) + b"\xbb" + pack("<I", 1)
    write += b"\xb9" + pack("<I", text) + b"\xba" + pack("<I", len(TEXT)) + b"\xcd\x80"
    leave = b"\xb8" + pack("<I", 1) + b"\xbb" + pack("<I", 0) + b"\xcd\x80"
    return write + leave


def hello_64(start):
    text = start + 34
    write = b"\xb8" + pack("<I", 1) + b"\xbf" + pack("<I", 1)
    write += b"\xbe" + pack("<I", text) + b"\xba" + pack("<I", len(TEXT)) + b"\x0f\x05"
    leave = b"\xb8" + pack("<I", 60) + b"\xbf" + pack("<I", 0) + b"\x0f\x05"
    return write + leave


PROGRAMS = {"int80": (hello_32, 84), "syscall": (hello_64, 120), "int80_64": (hello_32, 120)}


@pytest.mark.claim(38)
@pytest.mark.entries(*PROGRAMS)
def test_eight_instructions_write_hello_and_exit(guest, entry):
    make, headers = PROGRAMS[entry.name]
    program = elf_of(entry.abi, make(BASE + headers))
    guest.write_file("/hello", program, mode=0o755)
    assert guest.execute(["/hello"]) == (Exit(0, timed_out=False), TEXT, b"")
