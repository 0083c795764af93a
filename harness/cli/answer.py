# SPDX-License-Identifier: Apache-2.0
"""How `trapgate call` shows what a call did: under a screenful for people, all of it as JSON."""

from __future__ import annotations

import errno
import os
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from harness.agent.calls import Outcome
from harness.agent.identity import Identity
from harness.arch import Abi

WIDTH = 100
MOST_LINES = 24
_ROW = 16
_IDENTITY_LINES = 3
_SHORT_LINES = 8

FLAG_NAMES = (
    "CF - PF - AF - ZF SF TF IF DF OF - - NT - RF VM AC VIF VIP ID".split()  # noqa: SIM905
)
"""Source: Intel SDM volume 1, 3.4.3 EFLAGS."""

TRAP_NAMES = {
    0: "divide error",
    1: "debug",
    3: "breakpoint",
    4: "overflow",
    5: "bound range",
    6: "invalid opcode",
    7: "no coprocessor",
    8: "double fault",
    11: "segment not present",
    12: "stack fault",
    13: "general protection",
    14: "page fault",
    16: "x87 error",
    17: "alignment check",
    19: "SIMD error",
    21: "control protection",
}
"""Source: Intel SDM volume 3, table 6-1."""


def show_text(outcome: Outcome, identity: Identity) -> str:
    """Return the outcome for people: at most `MOST_LINES` lines of `WIDTH` columns."""
    head = [*show_result(outcome), *_register_rows(outcome)]
    tail = show_identity(identity)
    room = MOST_LINES - len(head) - len(tail)
    lines = [*head, *_memory(outcome, max(room, 1)), *tail]
    return "\n".join(textwrap.shorten(line, WIDTH) if len(line) > WIDTH else line for line in lines)


def show_short(outcome: Outcome) -> list[str]:
    """Return what came of a call in a few lines: its result, its surprises, its memory."""
    spared = {*outcome.call.entry.may_clobber, "flags"}
    names = [name for name in outcome.before if name in outcome.changed - spared]
    cells = [] if outcome.signal else [_change(name, outcome) for name in names]
    return [show_result(outcome)[0], *cells, *_cut(list(_dumped(outcome)), _SHORT_LINES)]


def show_bytes(content: bytes, most_lines: int = _SHORT_LINES) -> list[str]:
    """Return a dump of a few lines."""
    return _cut(list(_hexdump(content)), most_lines)


def show_json(outcome: Outcome, identity: Identity) -> dict[str, Any]:
    """Return the outcome for programs; registers are hexadecimal strings."""
    return {
        "call": outcome.call.label,
        "entry": outcome.call.entry.name,
        "number": outcome.before[outcome.call.entry.number],
        "value": outcome.value,
        "errno": errno.errorcode.get(outcome.errno) if outcome.errno else None,
        "signal": _signal(outcome),
        "changed": sorted(outcome.changed),
        "before": _hexadecimal(outcome.before),
        "after": _hexadecimal(outcome.after),
        "memory": [content.hex() for content in outcome.memory],
        "kernel": {
            "spec": identity.spec,
            "arch": identity.arch.name,
            "version": str(identity.version),
            "release": identity.release,
        },
        "machine": {
            "accelerator": identity.accelerator,
            "reason": identity.reason,
            "cpu": identity.cpu,
            "qemu": ".".join(map(str, identity.qemu)),
            "target": identity.target or "qemu",
        },
    }


def show_result(outcome: Outcome) -> list[str]:
    """Return a call's value or signal, and below it what was asked."""
    number = outcome.before[outcome.call.entry.number]
    asked = f"{outcome.call.label}, number {outcome.call.entry.abi.signed(number)}"
    if not outcome.signal:
        return [_value(outcome), asked]
    said = outcome.signal
    trap = TRAP_NAMES.get(said.trap, "unnamed")
    line = f"{said.name} at {said.address:#x}: code {said.code}, trap {said.trap} ({trap})"
    return [f"{line}, error {said.error:#x}, ip {outcome.after['ip']:#x}", asked]


def _value(outcome: Outcome) -> str:
    if not outcome.errno:
        abi = outcome.call.entry.abi
        return f"{outcome.value} ({outcome.value & abi.mask:#x})"
    name = errno.errorcode.get(outcome.errno, "no error that has a name")
    return f"{outcome.value} {name} ({os.strerror(outcome.errno)})"


def _register_rows(outcome: Outcome) -> list[str]:
    """Two changed registers a line, in a record's order; the flags by their names."""
    names = [name for name in outcome.before if name in outcome.changed and name != "flags"]
    cells = [_change(name, outcome) for name in names]
    width = max(map(len, cells), default=0)
    rows = ["   ".join(f"{c:<{width}}" for c in cells[i : i + 2]) for i in range(0, len(cells), 2)]
    return [*(row.rstrip() for row in rows or ["no register changed"]), _flags(outcome)]


def _change(name: str, outcome: Outcome) -> str:
    digits = _digits(name, outcome.call.entry.abi)
    return f"{name}: {outcome.before[name]:#0{digits}x} -> {outcome.after[name]:#0{digits}x}"


def _digits(name: str, abi: Abi) -> int:
    return 2 + (abi.bits // 4 if name in abi.registers else 4)


def _flags(outcome: Outcome) -> str:
    before, after = outcome.before["flags"], outcome.after["flags"]
    if before == after:
        return f"flags: {before:#x} ({_flag_names(before)}), unchanged"
    return f"flags: {before:#x} ({_flag_names(before)}) -> {after:#x} ({_flag_names(after)})"


def _flag_names(flags: int) -> str:
    named = (name for bit, name in enumerate(FLAG_NAMES) if flags >> bit & 1 and name != "-")
    return " ".join(named) or "none"


def _memory(outcome: Outcome, room: int) -> list[str]:
    return _cut(list(_dumped(outcome)), room, ": see --json")


def _cut(lines: list[str], room: int, where: str = "") -> list[str]:
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], f"... {len(lines) - room + 1} more lines of memory{where}"]


def _dumped(outcome: Outcome) -> Iterator[str]:
    for place, content in enumerate(outcome.memory, start=1):
        yield f"buffer {place}, {len(content)} bytes:"
        yield from _hexdump(content)


def _hexdump(content: bytes) -> Iterator[str]:
    """Sixteen bytes a line; of equal ones the first, and a star for the others."""
    previous, folded = b"", False
    for at in range(0, len(content), _ROW):
        row = content[at : at + _ROW]
        if row != previous:
            shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)  # noqa: PLR2004
            yield f"  {at:04x}  {row.hex(' '):<{3 * _ROW}} {shown}"
        elif not folded:
            yield "  *"
        previous, folded = row, row == previous


def show_identity(identity: Identity) -> list[str]:
    """Return which kernel answered and in what, on three lines at most."""
    if identity.target:
        kernel = f"Linux {identity.release} ({identity.arch}) on {identity.cpu}"
        return [f"kernel: {kernel}", f"target: {identity.target}"]
    reason = f" ({identity.reason})" if identity.reason else ""
    qemu = ".".join(map(str, identity.qemu))
    return [
        f"kernel: {identity}",
        *textwrap.wrap(f"accelerator: {identity.accelerator} of QEMU {qemu}{reason}", WIDTH),
    ][:_IDENTITY_LINES]


def _signal(outcome: Outcome) -> dict[str, Any] | None:
    said = outcome.signal
    if not said:
        return None
    numbers = {"number": said.number, "code": said.code, "trap": said.trap}
    return {"name": said.name, **numbers, "address": hex(said.address), "error": hex(said.error)}


def _hexadecimal(registers: Mapping[str, int]) -> dict[str, str]:
    return {name: hex(value) for name, value in registers.items()}
