# SPDX-License-Identifier: Apache-2.0
"""`trapgate call`: one call to one kernel, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from harness.agent.calls import Call, Outcome
from harness.agent.guest import Guest
from harness.arch import Arch
from harness.cli.answer import show_json, show_text
from harness.cli.machine import MachineChoice, takes_machine
from harness.cli.parameter import Argument, Option
from harness.cpu import Cpu, why_unavailable
from harness.entry import EntryPath, find_entry_path, native_entry
from harness.errors import DeclarationError, KernelSplat
from harness.kernels.catalogue import default_specs, find_entry
from harness.machine.console import read_trouble
from harness.script.notation import parse_argument, parse_call, parse_registers
from harness.script.statements import CallStatement, Script
from harness.syscalls import read_table
from harness.target.target import Target

_CAPABLE = Cpu("AuthenticAMD", sep=True, long_mode=True)

_Number = Annotated[str, Argument(metavar="CALL", help="A call's name or number.")]
_Arguments = Annotated[
    list[str] | None,
    Argument(
        metavar="[ARGUMENT]...",
        help='Numbers, str:TEXT or "TEXT", buf:BYTES, @REGION or @REGION+OFFSET.',
    ),
]
_Entry = Annotated[str, Option("--entry", metavar="PATH", help="The way into the kernel.")]
_Registers = Annotated[
    list[str] | None,
    Option("--register", metavar="NAME=VALUE", help="A register's value; may be repeated."),
]
_Timeout = Annotated[
    float | None, Option("--timeout", metavar="S", help="How long the call may take.")
]
_Save = Annotated[
    Path | None,
    Option("--save", metavar="FILE", help="Keep the call as a script, for replay, bundle and gdb."),
]
_Json = Annotated[bool, Option("--json", help="Print JSON.")]


@takes_machine
def call(  # noqa: PLR0913 - one parameter an option
    number: _Number,
    arguments: _Arguments = None,
    *,
    machine: MachineChoice,
    entry: _Entry = "",
    register: _Registers = None,
    timeout: _Timeout = None,
    save: _Save = None,
    as_json: _Json = False,
) -> None:
    """Make one call in a guest or on a host, and show what it did.

    That is its value, the registers and buffers that it changed, and the signal that struck.
    Options go before CALL, so that negative numbers may follow it.

    Status 0: the call was made, whatever it returned. 1: the kernel warned, panicked or hung, or
    the call ended the process that made it. 2: it could not be made.
    """
    path = find_entry_path(entry) if entry else None
    with machine.open_target(default_spec(path)) as target:
        path = path or native_entry(target.arch.abi)
        code = parse_call(number)
        values = [parse_argument(text, path.abi) for text in arguments or ()]
        registers = parse_registers(register or (), path.abi)
        _check_names(path, target, code, registers)
        if save:
            given = tuple(values), tuple(registers.items())
            asked = CallStatement(path, code, *given, timeout_s=timeout)
            _save_script(save, machine, target, asked)
        with target.start() as guest:
            check_possible(guest, path)
            outcome = guest.call(path, code, *values, timeout_s=timeout, **registers)
            print(_shown(outcome, guest, as_json=as_json), flush=True)
            check_log(guest)


def _save_script(file: Path, machine: MachineChoice, target: Target, call: CallStatement) -> None:
    from harness.script.header import header_of  # noqa: PLC0415 - few have use for it
    from harness.script.writing import write_script  # noqa: PLC0415
    from harness.whole import write_output  # noqa: PLC0415

    header = header_of(target.spec if machine.boots else "", machine.options)
    write_output(file, write_script(Script(header, (call,))), "script")


def check_log(guest: Guest) -> None:
    """Look into the guest's kernel log.

    Raises:
        KernelSplat: the kernel warned or worse.
    """
    splat = guest.find_splat()
    if splat:
        raise KernelSplat(f"the kernel complained: {splat}", evidence=read_trouble(guest.log))


def default_spec(path: EntryPath | None) -> str:
    """Return the first default kernel on which some processor can use `path`."""
    archs = {spec: entry.arch for spec in default_specs() if (entry := find_entry(spec))}
    fitting = [s for s, arch in archs.items() if not path or not _why_never(path, arch)]
    return (fitting or list(archs))[0]


def _why_never(path: EntryPath, arch: Arch) -> str:
    return "other programs" if path.abi not in arch.abis else why_unavailable(path, arch, _CAPABLE)


def _check_names(
    path: EntryPath, target: Target, code: int | str, registers: dict[str, int]
) -> None:
    """Find out before a boot what would be found out after it."""
    if isinstance(code, str):
        read_table(path.table, target.version).number(code)
    Call.of(path, 0, (), "", **registers)


def check_possible(guest: Guest, path: EntryPath) -> None:
    """Make sure that a guest answers by `path`, and not its emulator.

    Raises:
        DeclarationError: it does not.
    """
    why = guest.why_not_asked(path)
    if why:
        raise DeclarationError(f"{path} cannot be asked on {guest.identity}: {why}")


def _shown(outcome: Outcome, guest: Guest, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(show_json(outcome, guest.identity), indent=2)
    return show_text(outcome, guest.identity)
