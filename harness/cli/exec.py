# SPDX-License-Identifier: Apache-2.0
"""`trapgate exec`: a user's own static program in a guest, as if it ran here."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from harness.agent.client import Exit
from harness.agent.guest import Guest
from harness.arch import ARCHES, Abi
from harness.build.user import check_fits, read_program_abi
from harness.cli.machine import MachineChoice, takes_machine
from harness.cli.parameter import Argument, Option
from harness.errors import DeclarationError
from harness.kernels.catalogue import all_entries

TIMED_OUT = 124
"""As timeout(1) has it."""

_Program = Annotated[
    Path, Argument(metavar="PROGRAM", help="A statically linked program of this host.")
]
_Arguments = Annotated[list[str] | None, Argument(metavar="[ARGUMENT]...")]
_Timeout = Annotated[float, Option("--timeout", metavar="S", help="How long the program may run.")]
_Environment = Annotated[
    list[str] | None,
    Option("--env", metavar="NAME=VALUE", help="The program's environment; repeatable."),
]


@takes_machine
def execute(
    path: _Program,
    arguments: _Arguments = None,
    *,
    machine: MachineChoice,
    timeout: _Timeout = 60.0,
    env: _Environment = None,
) -> None:
    """Run a program of this host in a guest or on a real host.

    Its input and output are ours, and so is its exit status. It runs as root, is /bin/NAME there,
    and has the environment that --env gives. It finds /proc, /sys, /dev and /tmp mounted.
    On a real host it is an ordinary user's.

    Status: the program's; 128 plus the signal that killed it; 124 when it took too long. Where
    it says 0 and the kernel's log shows a warning or an oops, 1. On standard error, lines that
    begin with "trapgate:" are ours; behind them 1 says that the kernel failed, 2 that we did.
    """
    abi = read_program_abi(path)
    environment = _read_environment(env or ())
    with machine.open_target(_default_spec(abi)) as target:
        check_fits(path, abi, target.arch, target.memory_mib)
        with target.start() as guest:
            argv = [guest.place(f"/bin/{path.name}"), *(arguments or ())]
            guest.write_file(argv[0], path.read_bytes(), 0o755)
            end = guest.execute_streaming(argv, _pass_on, timeout, environment, _find_input())
            status = _judge(end, guest, path.name, timeout)
    sys.exit(status)


def _judge(end: Exit, guest: Guest, name: str, timeout_s: float) -> int:
    """Return our exit status, and say on standard error what the program's does not."""
    if end.timed_out:
        print(f"trapgate: {name} did not end within {timeout_s:g} s: killed", file=sys.stderr)
    splat = guest.find_splat()
    if splat:
        print(f"trapgate: the kernel complained: {splat}", file=sys.stderr)
    return TIMED_OUT if end.timed_out else end.status or int(bool(splat))


def _find_input() -> int | None:
    """Return the descriptor of our standard input, None where it was closed."""
    return sys.stdin.fileno() if sys.stdin else None


def _pass_on(which: int, piece: bytes) -> None:
    stream = sys.stdout.buffer if which == 1 else sys.stderr.buffer
    stream.write(piece)
    stream.flush()


def _default_spec(abi: Abi) -> str:
    """The default kernel whose own programs are like this one."""
    arch = next(arch for arch in ARCHES.values() if arch.abi is abi)
    return next(entry.spec for entry in all_entries() if entry.default and entry.arch is arch)


def _read_environment(settings: Iterable[str]) -> dict[str, str]:
    pairs = [setting.partition("=") for setting in settings]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise DeclarationError(f"environment: expected NAME=VALUE, got {name!r}")
    return {name: value for name, _, value in pairs}
