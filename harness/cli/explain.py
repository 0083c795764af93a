# SPDX-License-Identifier: Apache-2.0
"""`trapgate explain`: the way that one call takes through one kernel."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from harness.agent.arguments import Argument as CallArgument
from harness.agent.calls import Call
from harness.agent.guest import Guest
from harness.agent.vdso import read_vdso
from harness.arch import I386, Arch
from harness.cli.answer import WIDTH, show_identity, show_json, show_result
from harness.cli.call import check_log, check_possible, default_spec
from harness.cli.machine import MachineChoice, takes_machine
from harness.cli.parameter import Argument, Option
from harness.entry import FUNCTIONS, EntryPath, find_entry_path, function_path, native_entry
from harness.errors import DeclarationError
from harness.evidence.inside import Inside
from harness.evidence.step import Step
from harness.evidence.story import Story, tell_story
from harness.kernels import Kernel
from harness.script.notation import parse_argument, parse_call, parse_registers
from harness.suggest import nearest
from harness.syscalls import read_table
from harness.target.spring import start_guest

_PREFIX, _VERSION = "__vdso_", "LINUX_2.6"
VDSO, VDSO32 = "vdso", "vdso32"
_TITLE = 12

_Number = Annotated[str, Argument(metavar="CALL", help="A call's name or number.")]
_Arguments = Annotated[
    list[str] | None,
    Argument(metavar="[ARGUMENT]...", help="As `trapgate call` takes them."),
]
_Entry = Annotated[
    str,
    Option(
        "--entry",
        metavar="PATH",
        help="The way into the kernel, or vdso, vdso32 for a function of the vDSO.",
    ),
]
_Registers = Annotated[
    list[str] | None,
    Option("--register", metavar="NAME=VALUE", help="A register's value; may be repeated."),
]
_Json = Annotated[bool, Option("--json", help="Print JSON.")]


@takes_machine
def explain(  # noqa: PLR0913 - one parameter an option
    number: _Number,
    arguments: _Arguments = None,
    *,
    machine: MachineChoice,
    entry: _Entry = "",
    register: _Registers = None,
    as_json: _Json = False,
) -> None:
    """Tell the way of one call through the kernel, from evidence.

    That is the descriptor or register by which it enters, the dispatcher, the slot of its number,
    the service routine with what it was given, page faults with the row of the exception table
    that catches them, and the return. What a kernel does not show is said to be not shown.

    Status 0: it was told, whatever the call returned. 1: the kernel warned, panicked or hung.
    2: the call could not be made.
    """
    path = find_entry_path(entry) if entry not in ("", VDSO, VDSO32) else None
    kernel = machine.obtain(default_spec(path))
    path = path or _function_or_native(entry, kernel.arch)
    code = parse_call(number)
    values = [parse_argument(text, path.abi) for text in arguments or ()]
    registers = parse_registers(register or (), path.abi)
    _check_names(path, kernel, code, registers, in_vdso=bool(entry in (VDSO, VDSO32)))
    with start_guest(kernel, machine.options) as guest:
        story = _tell(guest, kernel, path, code, values, registers)
        print(_shown(story, guest, as_json=as_json), flush=True)
        check_log(guest)


def _function_or_native(entry: str, arch: Arch) -> EntryPath:
    if entry == VDSO:
        return function_path(arch.abi)
    return function_path(I386) if entry == VDSO32 else native_entry(arch.abi)


def _check_names(
    path: EntryPath, kernel: Kernel, code: int | str, registers: dict[str, int], *, in_vdso: bool
) -> None:
    """Find out before a boot what would be found out after it."""
    if in_vdso and isinstance(code, int):
        raise DeclarationError(f"no function of the vDSO: {code}", hint="name it: clock_gettime")
    if isinstance(code, str):
        read_table(path.table, kernel.version).number(code)
    Call.of(path, 0, (), "", **registers)


def _tell(  # noqa: PLR0913, PLR0917 - what makes a call
    guest: Guest,
    kernel: Kernel,
    path: EntryPath,
    code: int | str,
    values: list[Any],
    registers: dict[str, int],
) -> Story:
    check_possible(guest, path)
    inside, arguments = Inside(guest, kernel), list[CallArgument](values)
    if path not in FUNCTIONS:
        return tell_story(inside, path, code, arguments, **registers)
    name, place = _find_function(guest, path, str(code))
    story = tell_story(inside, path, place, arguments, **registers)
    call = story.outcome.call
    named = replace(call, label=f"{name}({call.label.partition('(')[2]}")
    return replace(story, outcome=replace(story.outcome, call=named))


def _find_function(guest: Guest, path: EntryPath, name: str) -> tuple[str, int]:
    """Return the symbol and the address of a function of the vDSO.

    Raises:
        DeclarationError: there is no such function.
    """
    vdso = read_vdso(guest, path.abi)
    symbol = f"{_PREFIX}{name}"
    address = vdso.address(symbol, _VERSION)
    if address is None:
        known = [each.removeprefix(_PREFIX) for each in vdso.exports.get(_VERSION, ())]
        raise DeclarationError(f"the vDSO has no function {name}", hint=nearest(name, known))
    return symbol, address


def _shown(story: Story, guest: Guest, *, as_json: bool) -> str:
    if as_json:
        steps = [
            {"step": step.title, "says": list(step.lines), **step.facts} for step in story.steps
        ]
        return json.dumps({**show_json(story.outcome, guest.identity), "way": steps}, indent=2)
    lines = [*show_result(story.outcome), *_rows(story.steps), *show_identity(guest.identity)]
    return "\n".join(lines)


def _rows(steps: tuple[Step, ...]) -> Iterator[str]:
    """Yield a step's title beside its lines; long ones go on below, indented."""
    for step in steps:
        title = f"{step.title:<{_TITLE}}"
        for line in step.lines:
            indent = len(line) - len(line.lstrip())
            wrapped = textwrap.wrap(
                line, WIDTH - _TITLE, subsequent_indent=" " * (indent + 2), break_on_hyphens=False
            )
            for piece in wrapped:
                yield f"{title}{piece}"
                title = " " * _TITLE
