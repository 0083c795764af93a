# SPDX-License-Identifier: Apache-2.0
"""What a kernel's machine code says of dispatch: a table that it indexes, or a switch.

From 6.9 on, and in stable updates before it, a function of comparisons and jumps
(arch/x86/entry/syscall_64.c x64_sys_call) takes the place of the pointer table; its code is all
that says where a number leads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import capstone

from harness.evidence.trouble import NotShown

_NUMBER = re.compile(r"-?(?:0x[0-9a-f]+|\d+)")
_INDEXED = re.compile(r"\[(?:\w+)\*(?P<scale>[48]) (?P<sign>[+-]) (?P<place>0x[0-9a-f]+)\]")
_COMPARISON = re.compile(r"(?P<register>\w+), (?P<value>0x[0-9a-f]+|\d+)")
_JUMPS: dict[str, Callable[[int, int], bool]] = {
    "je": lambda a, b: a == b,
    "jne": lambda a, b: a != b,
    "ja": lambda a, b: a > b,
    "jae": lambda a, b: a >= b,
    "jb": lambda a, b: a < b,
    "jbe": lambda a, b: a <= b,
    "jg": lambda a, b: a > b,
    "jge": lambda a, b: a >= b,
    "jl": lambda a, b: a < b,
    "jle": lambda a, b: a <= b,
}
_MOST_STEPS = 400
_MASK = 0xFFFF_FFFF


@dataclass(frozen=True)
class Instruction:
    """One machine instruction.

    Attributes:
        address: where it is.
        name: its mnemonic.
        operands: as an assembler would show them.
        end: where the next one begins.
    """

    address: int
    name: str
    operands: str
    end: int

    @property
    def target(self) -> int | None:
        """Where a direct jump or call leads, None for anything else."""
        direct = self.name == "call" or self.name.startswith("j")
        return int(self.operands, 0) if direct and _NUMBER.fullmatch(self.operands) else None


@dataclass(frozen=True)
class Dispatch:
    """How a dispatcher finds the service routine.

    Attributes:
        table: the address of the table of pointers that it indexes, 0 for a switch.
        switch: the address of the function that is the switch, 0 for a table.
        bound: the largest number that it does not refuse itself, None where it does not say.
    """

    table: int = 0
    switch: int = 0
    bound: int | None = None


def disassemble(content: bytes, address: int, bits: int) -> list[Instruction]:
    """Read machine code up to its end, or to what is none."""
    mode = capstone.CS_MODE_64 if bits == 64 else capstone.CS_MODE_32  # noqa: PLR2004
    lines = capstone.Cs(capstone.CS_ARCH_X86, mode).disasm_lite(content, address)
    return [Instruction(at, name, operands, at + size) for at, size, name, operands in lines]


def find_table(code: Sequence[Instruction], word: int) -> Dispatch | None:
    """Return the table of pointers that some code indexes, None where it indexes none.

    Args:
        code: a function's.
        word: how many bytes a pointer has.
    """
    bound: int | None = None
    for instruction in code:
        compared = _COMPARISON.fullmatch(instruction.operands)
        if instruction.name == "cmp" and compared and bound is None:
            bound = int(compared["value"], 0)
        found = _INDEXED.search(instruction.operands)
        if found and int(found["scale"]) == word:
            place = int(found["sign"] + found["place"], 16) & ((1 << 8 * word) - 1)
            return Dispatch(table=place, bound=bound)
    return None


def follow_switch(code: Sequence[Instruction], number: int) -> int:
    """Return the address of the function that a switch calls, or jumps to, for a number.

    Args:
        code: the function that is the switch.
        number: 32 bits, without a sign.

    Raises:
        NotShown: it does something that is not read here, such as to jump through a table.
    """
    places = {instruction.address: n for n, instruction in enumerate(code)}
    at, left, right, rest = 0, number, 0, number
    for _ in range(_MOST_STEPS):
        if not 0 <= at < len(code):
            break
        instruction = code[at]
        name, target = instruction.name, instruction.target
        if name in ("jmp", "call") and (target is None or target not in places):
            if target is None:
                break
            return target
        if name == "jmp" or (name in _JUMPS and _JUMPS[name](left, right)):
            at = places.get(target or 0, -1)
            continue
        left, right, rest = _flags_after(instruction, left, right, rest)
        at += 1
    place = f"the switch at {code[0].address:#x}" if code else "a switch without code"
    raise NotShown(f"{place} does not say where number {number} leads")


def _flags_after(
    instruction: Instruction, left: int, right: int, number: int
) -> tuple[int, int, int]:
    """Return what was compared last, and what is left of the number."""
    found = _COMPARISON.fullmatch(instruction.operands)
    value = int(found["value"], 0) if found else 0
    if instruction.name == "cmp" and found:
        return number, value, number
    if instruction.name == "sub" and found:
        return number, value, (number - value) & _MASK
    return (number, 0, number) if instruction.name == "test" else (left, right, number)
