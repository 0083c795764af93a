# SPDX-License-Identifier: Apache-2.0
"""How a call is written on the command line: numbers, texts, buffers, regions, registers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.agent.arguments import Argument, Buffer
from harness.arch import Abi
from harness.errors import DeclarationError
from harness.landscape import ARENA, HOLE, REGIONS
from harness.suggest import nearest

_PLACE = re.compile(r"(\w+)(?:([+-])(\w+))?")
_MOST_BUFFER = ARENA.size_bytes // 8
_PLACES = {region.name: region.start for region in REGIONS} | {"hole": HOLE}
_FORMS = 'expected a number, str:TEXT, "TEXT", buf:BYTES or @REGION[+OFFSET]'


def parse_number(text: str) -> int | None:
    """Read a decimal or 0x number with or without a sign; None when it is something else."""
    try:
        return int(text, 0)
    except ValueError:
        return None


def parse_call(text: str) -> int | str:
    """Read which call is meant: its number, or its name."""
    number = parse_number(text)
    return text if number is None else number


def parse_argument(text: str, abi: Abi) -> Argument:
    """Read one argument of a call.

    Args:
        text: a number; ``str:TEXT`` or a text in quotes; ``buf:BYTES``; ``@REGION+OFFSET``.
        abi: the entry path's; numbers have to fit its registers.

    Raises:
        DeclarationError: it is none of these.
    """
    if text.startswith("str:"):
        return _as_c(text.removeprefix("str:"))
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return _as_c(text[1:-1])
    if text.startswith("buf:"):
        return Buffer(_buffer_size(text))
    if text.startswith("@"):
        return _place(text)
    return _fitting(text, abi)


def parse_registers(settings: Iterable[str], abi: Abi) -> dict[str, int]:
    """Read ``NAME=VALUE`` settings of registers; what they may be called is the call's business.

    Raises:
        DeclarationError: one is not of that form.
    """
    pairs = (setting.partition("=") for setting in settings)
    return {name: _register_value(name, value, abi) for name, _, value in pairs}


def _register_value(name: str, value: str, abi: Abi) -> int:
    argument = parse_argument(value, abi) if value else None
    if isinstance(argument, int):
        return argument
    raise DeclarationError(
        f"register {name}: expected NAME=NUMBER or NAME=@REGION, got {f'{name}={value}'!r}"
    )


def _fitting(text: str, abi: Abi) -> int:
    value = parse_number(text)
    if value is None:
        hint = "options go before the call's name" if text.startswith("--") else _FORMS
        raise DeclarationError(f"no argument of a call: {text!r}", hint=hint)
    if not -(1 << abi.bits - 1) <= value <= abi.mask:
        raise DeclarationError(f"{text} does not fit the {abi.bits} bits of a register of {abi}")
    return value


def _place(text: str) -> int:
    found = _PLACE.fullmatch(text[1:])
    offset = parse_number(found[3] or "0") if found else None
    if not found or offset is None:
        raise DeclarationError(f"no place in memory: {text!r}", hint="write @REGION or @REGION+8")
    if found[1] not in _PLACES:
        names = [f"@{name}" for name in _PLACES]
        raise DeclarationError(f"unknown region {text!r}", hint=nearest(f"@{found[1]}", names))
    return _PLACES[found[1]] + (-offset if found[2] == "-" else offset)


def _buffer_size(text: str) -> int:
    size = parse_number(text.removeprefix("buf:"))
    if size is None or not 0 < size <= _MOST_BUFFER:
        raise DeclarationError(f"a buffer has 1 to {_MOST_BUFFER} bytes, got {text!r}")
    return size


def _as_c(text: str) -> bytes:
    return text.encode(errors="surrogateescape") + b"\0"
