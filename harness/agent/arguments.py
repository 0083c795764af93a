# SPDX-License-Identifier: Apache-2.0
"""Arguments of a call: numbers, and memory that it brings along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.agent.program import Program
from harness.errors import DeclarationError
from harness.landscape import ARENA

_ALIGNMENT = 64
_MOST_ARGUMENTS = 6
_MANY = 4096


@dataclass(frozen=True)
class Buffer:
    """Memory that a call brings along for the kernel to write to.

    Attributes:
        size_bytes: how much.
        fill: what every byte holds before the call.
        offset: where in it the call's pointer points.
    """

    size_bytes: int
    fill: int = 0xA5
    offset: int = 0


@dataclass(frozen=True)
class At:
    """Memory that a call brings along, at an address of the scenario's choice.

    Attributes:
        address: where; must be writable for the executor.
        content: what is put there, or how much of it comes back.
    """

    address: int
    content: bytes | Buffer


Argument = int | bytes | Buffer | At


@dataclass(frozen=True)
class Layout:
    """Where a call's arguments are.

    Attributes:
        values: what goes into the registers: numbers, and addresses of memory.
        buffers: addresses of the buffers, in the arguments' order.
    """

    values: tuple[int, ...]
    buffers: tuple[tuple[int, Buffer], ...]


def lay_out(program: Program, arguments: Sequence[Argument]) -> Layout:
    """Give each argument that is memory a place in the arena, and have the program fill it.

    Raises:
        DeclarationError: there are more arguments than a call takes, or more memory than there is.
    """
    if len(arguments) > _MOST_ARGUMENTS:
        raise DeclarationError(f"a call takes six arguments at most, got {len(arguments)}")
    values: list[int] = []
    buffers: list[tuple[int, Buffer]] = []
    free = ARENA.start
    for argument in arguments:
        if isinstance(argument, int):
            values.append(argument)
            continue
        place = argument if isinstance(argument, At) else At(free, argument)
        values.append(place.address)
        if isinstance(place.content, Buffer):
            values[-1] += place.content.offset
            program.fill(place.address, place.content.size_bytes, place.content.fill)
            buffers.append((place.address, place.content))
        else:
            program.write(place.address, place.content)
        free += _taken(argument)
    if free > ARENA.end:
        raise DeclarationError(f"a call brings {ARENA.size_bytes} bytes along at most")
    return Layout(tuple(values), tuple(buffers))


def _taken(argument: Argument) -> int:
    """How much of the arena an argument takes, so that neighbours do not touch."""
    if isinstance(argument, int | At):
        return 0
    size = argument.size_bytes if isinstance(argument, Buffer) else len(argument)
    return (size + _ALIGNMENT) // _ALIGNMENT * _ALIGNMENT


def show(argument: Argument) -> str:
    """Return an argument as messages show it."""
    if isinstance(argument, bytes):
        return repr(argument)[1:]
    if isinstance(argument, Buffer):
        return f"buffer of {argument.size_bytes}"
    if isinstance(argument, At):
        return f"{show(argument.content)} at {argument.address:#x}"
    return hex(argument) if abs(argument) > _MANY else str(argument)
