# SPDX-License-Identifier: Apache-2.0
"""Structures that programs and the kernel hand one another, field by field, for each table.

Source: arch/x86/include/uapi/asm/stat.h, include/uapi/asm-generic/{fcntl,siginfo,statfs}.h,
include/uapi/linux/{sysinfo,timex}.h; for 32-bit programs of a 64-bit kernel include/linux/compat.h,
time32.h and arch/x86/include/asm/compat.h, which say what i386 says (6.1).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

IOCB = struct.Struct("<QIIHhIQQqQII")
"""A transfer, the same for every ABI. Source: include/uapi/linux/aio_abi.h struct iocb (6.1)."""


@dataclass(frozen=True)
class Layout:
    """Where the fields of a structure are.

    Attributes:
        pattern: widths and gaps of the fields in their order, as the module `struct` spells them.
        names: what the fields are called.
    """

    pattern: str
    names: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """How long the structure is."""
        return struct.calcsize(self.pattern)

    def decode(self, memory: bytes) -> dict[str, int]:
        """Return every field's value, from memory that begins with the structure."""
        return dict(zip(self.names, struct.unpack_from(self.pattern, memory), strict=True))

    def gaps(self, memory: bytes) -> bytes:
        """Return what is between the fields, in their order: zeros where nobody left anything."""
        ones = struct.unpack(self.pattern, b"\xff" * self.size_bytes)
        fields = struct.pack(self.pattern, *ones)
        return bytes(byte for byte, taken in zip(memory, fields, strict=False) if not taken)

    def encode(self, **values: int) -> bytes:
        """Return the structure with these values, and zeros where none is given."""
        return struct.pack(self.pattern, *(values.get(name, 0) for name in self.names))


def _layout(pattern: str, names: str) -> Layout:
    return Layout("<" + pattern.replace(" ", ""), tuple(names.split()))


def _siginfo(wide: str, narrow: str, names: str) -> dict[str, Layout]:
    """Lay a siginfo_t out, given what stands behind the three numbers that each begins with."""
    names = f"signal errno code {names}"
    return {"x86_64": _layout(f"iii4x {wide}", names), "i386": _layout(f"iii {narrow}", names)}


_TIMES = "atime atime_ns mtime mtime_ns ctime ctime_ns"

STAT = {
    "x86_64": _layout(
        "QQQ III4x Qqqq 6Q 24x",
        f"dev ino nlink mode uid gid rdev size block_bytes blocks {_TIMES}",
    ),
    "i386": _layout(
        "Q4xI IIII Q4x qIQ 6I Q",
        f"dev low_ino mode nlink uid gid rdev size block_bytes blocks {_TIMES} ino",
    ),
}
"""What fstat fills in, and fstat64 of the i386 table."""

NARROW_STAT = _layout(
    "II HHHH I II I 6I 8x", f"dev ino mode nlink uid gid rdev size block_bytes blocks {_TIMES}"
)
"""What fstat of the i386 table fills in."""

OLDEST_STAT = _layout("HHHHHHH2x IIII", "dev ino mode nlink uid gid rdev size atime mtime ctime")
"""What oldfstat of the i386 table fills in."""

FLOCK = {
    "x86_64": _layout("hh4x qq i4x", "type whence start length pid"),
    "i386": _layout("hh qq i", "type whence start length pid"),
}
"""What fcntl takes, and fcntl64 of the i386 table."""

NARROW_FLOCK = _layout("hh ii i", "type whence start length pid")
"""What fcntl of the i386 table takes."""

STATFS = {
    "x86_64": _layout(
        "qq QQQQQ ii qqq 32x",
        "type block_bytes blocks free available files free_files id id_high name_bytes "
        "fragment_bytes flags",
    ),
    "i386": _layout(
        "II QQQQQ ii III 16x",
        "type block_bytes blocks free available files free_files id id_high name_bytes "
        "fragment_bytes flags",
    ),
}
"""What fstatfs fills in, and fstatfs64 of the i386 table."""

SYSINFO = {
    "x86_64": _layout(
        "q 3Q QQQQ QQ H6x QQ I4x",
        "uptime load_1 load_5 load_15 total free shared buffers total_swap free_swap processes "
        "total_high free_high unit",
    ),
    "i386": _layout(
        "i 3I IIII II H2x II I 8x",
        "uptime load_1 load_5 load_15 total free shared buffers total_swap free_swap processes "
        "total_high free_high unit",
    ),
}

ALTERNATE_STACK = {
    "x86_64": _layout("Q i4x Q", "start flags size"),
    "i386": _layout("I i I", "start flags size"),
}
"""What sigaltstack takes and tells."""

ACTION = {
    "x86_64": _layout("Q Q Q Q", "handler flags restorer mask"),
    "i386": _layout("I I I Q", "handler flags restorer mask"),
}
"""What rt_sigaction takes and tells."""

OLD_ACTION = _layout("I I I I", "handler mask flags restorer")
"""What sigaction of the i386 table takes and tells."""

EVENT = {
    "x86_64": _layout("Q iii 44x", "value signal how thread"),
    "i386": _layout("I iii 48x", "value signal how thread"),
}
"""What timer_create takes."""

SIGNAL_BYTES = 128
SENT = _siginfo("ii", "ii", "pid uid")
"""siginfo_t of a signal that was sent."""

QUEUED = _siginfo("ii Q", "ii I", "pid uid value")
"""siginfo_t of a signal that was queued with a value."""

TIMED = _siginfo("ii Q", "ii I", "timer overrun value")
"""siginfo_t of a timer that ran out."""

ENDED = _siginfo("ii i", "ii i", "pid uid status")
"""siginfo_t of a child that ended, without the times that it took."""

ENDED_AFTER = _siginfo("ii i4x qq", "ii i II", "pid uid status user system")
"""The same with the times: user and system."""

FAULT = _siginfo("Q", "I", "address")
"""siginfo_t of a fault."""

REFUSED = _siginfo("Q iI", "I iI", "address call arch")
"""siginfo_t of a call that a filter or a dispatcher has refused."""

READY = _siginfo("q i", "i i", "band fd")
"""siginfo_t of a descriptor that can be read."""
