# SPDX-License-Identifier: Apache-2.0
"""What a process has mapped, as its kernel tells it.

Source: Documentation/filesystems/proc.rst, "/proc/PID/maps" (6.1).
"""

from __future__ import annotations

from typing import NamedTuple

from harness.agent.guest import Guest


class Mapping(NamedTuple):
    """A part of a process's memory.

    Attributes:
        start: its first address.
        end: the address past its last.
        rights: what may be done with it, and whether others see that: "r-xp", "rw-s".
        offset: where in a file it begins, in bytes.
        name: the file's, or the kernel's name for it ("[stack]"); may be empty.
    """

    start: int
    end: int
    rights: str
    offset: int
    name: str


def read_maps(guest: Guest, pid: int) -> list[Mapping]:
    """Return all that a process has mapped, in the order of addresses."""
    return [_decode(line) for line in guest.read_file(f"/proc/{pid}/maps").decode().splitlines()]


def find_mapping(guest: Guest, pid: int, name: str) -> Mapping:
    """Return the mapping whose name ends with `name`.

    Raises:
        ValueError: there is none, or more than one.
    """
    (found,) = (mapping for mapping in read_maps(guest, pid) if mapping.name.endswith(name))
    return found


def _decode(line: str) -> Mapping:
    where, rights, offset, _, _, *name = line.split(maxsplit=5)
    start, _, end = where.partition("-")
    return Mapping(int(start, 16), int(end, 16), rights, int(offset, 16), "".join(name))
