# SPDX-License-Identifier: Apache-2.0
"""From an entry point to the service routine, by the code that the running kernel has there.

Source: arch/x86/entry/common.c, entry_64.S, entry_32.S, entry_64_compat.S (5.10, 6.1, 6.12);
syscall_64.c, syscall_32.c (7.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.arch import Abi
from harness.evidence.code import Dispatch, Instruction, disassemble, find_table, follow_switch
from harness.evidence.memory import KernelMemory
from harness.evidence.symbols import Symbols
from harness.evidence.trouble import NotShown

_DISPATCHER = re.compile(
    r"(?:__)?do_(?:syscall_64|int80|fast_syscall_32|SYSENTER_32|syscall_32)\w*|int80_emulation"
)
_SWITCH = re.compile(r"(?:x64|ia32)_sys_call")
_ENTRY_BYTES, _MOST_BYTES = 1024, 64 << 10
_MOST_CALLS = 6


@dataclass(frozen=True)
class Way:
    """How one entry point leads to a dispatch.

    Attributes:
        functions: the names on the way, from the entry point to the dispatcher.
        dispatch: how that finds the service routine.
    """

    functions: tuple[str, ...]
    dispatch: Dispatch


class Text:
    """A kernel's code.

    Args:
        memory: where it is.
        symbols: what is in it.
        abi: the kernel's own.
    """

    def __init__(self, memory: KernelMemory, symbols: Symbols, abi: Abi) -> None:
        self._memory = memory
        self._symbols = symbols
        self._abi = abi
        self._read: dict[tuple[int, int], list[Instruction]] = {}

    def way_from(self, entry: int) -> Way:
        """Follow calls from an entry point to what finds the service routine.

        Raises:
            NotShown: they lead nowhere that is known.
        """
        names, at, size = [self._name(entry)], entry, _ENTRY_BYTES
        for _ in range(_MOST_CALLS):
            code = self._code(at, size)
            dispatch = self._dispatch(code) if size != _ENTRY_BYTES else None
            if dispatch:
                return Way(tuple(names), dispatch)
            following = next(self._calls(code, _DISPATCHER), None)
            if following is None:
                break
            at, size = following, self._size(following)
            names.append(self._name(at))
        raise NotShown(f"the code of {' and '.join(names)} does not say how it dispatches")

    def code_at(self, address: int, size_bytes: int = _ENTRY_BYTES) -> list[Instruction]:
        """Return the instructions from an address on."""
        return self._code(address, size_bytes)

    def routine(self, dispatch: Dispatch, number: int) -> int:
        """Return the address of the service routine of a number.

        Raises:
            NotShown: the code does not say.
        """
        if dispatch.table:
            at = dispatch.table + number * self._abi.word_bytes
            return int.from_bytes(self._memory.read(at, self._abi.word_bytes), "little")
        return follow_switch(self._code(dispatch.switch, self._size(dispatch.switch)), number)

    def routines(self, dispatch: Dispatch, size: int) -> list[int]:
        """Return the addresses of the service routines of all numbers below `size`."""
        if dispatch.table:
            return self.pointers(dispatch.table, size)
        return [self.routine(dispatch, number) for number in range(size)]

    def pointers(self, table: int, size: int) -> list[int]:
        """Return the pointers of a table in the kernel's memory."""
        word = self._abi.word_bytes
        raw = self._memory.read(table, size * word)
        return [int.from_bytes(raw[at : at + word], "little") for at in range(0, len(raw), word)]

    def _dispatch(self, code: list[Instruction]) -> Dispatch | None:
        switch = next(self._calls(code, _SWITCH), None)
        if switch is None:
            return find_table(code, self._abi.word_bytes)
        return Dispatch(switch=switch)

    def _calls(self, code: list[Instruction], wanted: re.Pattern[str]) -> Iterator[int]:
        for instruction in code:
            place = self._symbols.at(instruction.target) if instruction.target else None
            if place and not place.offset and any(map(wanted.fullmatch, place.names)):
                yield place.address

    def _code(self, address: int, size: int) -> list[Instruction]:
        if (address, size) not in self._read:
            content = self._memory.read(address, size)
            self._read[address, size] = disassemble(content, address, self._abi.bits)
        return self._read[address, size]

    def _size(self, address: int) -> int:
        return min(self._symbols.end_of(address) - address, _MOST_BYTES) or _ENTRY_BYTES - 1

    def _name(self, address: int) -> str:
        return str(self._symbols.at(address) or hex(address))
