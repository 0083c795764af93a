# SPDX-License-Identifier: Apache-2.0
"""A user's own program: what it is built for, and whether a guest can run it."""

from __future__ import annotations

import struct
from pathlib import Path

from harness.arch import I386, X86_64, Abi, Arch
from harness.errors import DeclarationError

_HEAD_BYTES = 4096
_PLAIN = {
    b"\x7fELF\x01\x01\x01": (3, I386, struct.Struct("<2H8xI10x2H"), 32),
    b"\x7fELF\x02\x01\x01": (62, X86_64, struct.Struct("<2H12xQ14x2H"), 56),
}
"""By class, data and version of an ELF file: e_machine, whose that is, e_type to e_phnum from byte
16 on, and the size of a program header. Source: System V gABI 4.1, chapters 4 and 5."""
_EXECUTABLES = (2, 3)
_INTERPRETER = 3
_SHARE = 4
"""The archive and what is unpacked from it are in memory at the same time for a while."""


def read_program_abi(path: Path) -> Abi:
    """Return the interface that a program was built for.

    Args:
        path: the program.

    Raises:
        DeclarationError: it cannot be read, or is no program that a guest could start.
    """
    try:
        with path.open("rb") as file:
            plain = _plain_abi(file.read(_HEAD_BYTES))
    except OSError as error:
        raise DeclarationError(f"program {path} cannot be read: {error.strerror}") from error
    if plain:
        return plain
    # What is wrong takes pyelftools to say, which costs as much as a clone.
    from harness.build.examination import examine  # noqa: PLC0415

    return examine(path)


def check_fits(path: Path, abi: Abi, arch: Arch, memory_mib: int) -> None:
    """Check that a guest can run a program.

    Args:
        path: the program.
        abi: its interface.
        arch: the guest's.
        memory_mib: the guest's memory, 0 for as much as it takes.

    Raises:
        DeclarationError: the kernel has no such programs, or the program is too large.
    """
    if abi not in arch.abis:
        raise DeclarationError(
            f"program {path} is built for {abi}, and an {arch} kernel runs none of these",
            hint="choose another kernel with --kernel, or compile it with -m32",
        )
    size_mib = path.stat().st_size >> 20
    if memory_mib and size_mib > memory_mib // _SHARE:
        raise DeclarationError(
            f"program {path} has {size_mib} MiB, too many for a guest of {memory_mib} MiB",
            hint=f"give it --memory {(size_mib + 32) * _SHARE}",
        )


def _plain_abi(head: bytes) -> Abi | None:
    """Return whose a static program with this beginning is, None unless that is plain."""
    known = _PLAIN.get(head[:7])
    if not known or len(head) < 64:  # noqa: PLR2004 - the larger of both headers
        return None
    machine, abi, header, size = known
    kind, of, first, entry, count = header.unpack_from(head, 16)
    places = range(first, first + count * size, size)
    if (of, entry) != (machine, size) or kind not in _EXECUTABLES or places.stop > len(head):
        return None
    types = [struct.unpack_from("<I", head, place)[0] for place in places]
    return None if _INTERPRETER in types else abi
