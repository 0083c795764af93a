# SPDX-License-Identifier: Apache-2.0
"""`trapgate bisect` and `trapgate bisect-step`: since when is an answer another one?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from harness.cli.app import app
from harness.errors import HostError
from harness.matrix.bisection import find_change, row_between
from harness.matrix.building import build, usual_build
from harness.matrix.choice import Matrix
from harness.matrix.verdict import Judgement, Verdict, ask_one

_Select = Annotated[str, typer.Option("-k", metavar="EXPRESSION", help="Which tests, as pytest's.")]
_Scenarios = Annotated[
    list[str] | None,
    typer.Option("--scenarios", metavar="PATH", help="Tests of yours instead of the project's."),
]
_Cpu = Annotated[list[str] | None, typer.Option("--cpu", metavar="MODEL", help="As QEMU has it.")]
_Append = Annotated[
    list[str] | None,
    typer.Option("--append", "--kernel-append", help="A kernel parameter; may be repeated."),
]
_Mirror = Annotated[
    list[str] | None, typer.Option("--mirror", help="A Debian mirror; may be repeated.")
]


class StepCommand(TyperCommand):
    """A command whose wrong options are no verdict: `git bisect run` takes status 2 for bad."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; see typer, whose errors say what they end with."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "exit_code", 0):
                vars(error)["exit_code"] = int(Verdict.UNKNOWN)
            raise


@app.command("bisect-step", cls=StepCommand)
def bisect_step(  # noqa: PLR0913 - one parameter an option
    *,
    select: _Select,
    kernel: Annotated[str, typer.Option("--kernel", help="A source tree, or any kernel.")] = ".",
    how: Annotated[
        str | None, typer.Option("--build", help="How the tree is built; '' for not at all.")
    ] = None,
    scenarios: _Scenarios = None,
    cpu: _Cpu = None,
    append: _Append = None,
) -> None:
    """Judge one kernel for `git bisect run`.

    A source tree is built first, with make olddefconfig bzImage unless --build says how.

    Status 0: good, all that was asked is right. 1: bad, something is wrong. 125: cannot tell; the
    build failed, no test is like that, or none got an answer.
    """
    command = usual_build(kernel) if how is None else how
    wanted = Matrix(
        kernels=(kernel,),
        cpus=tuple(cpu or ()),
        select=select,
        scenarios=tuple(scenarios or ()),
        append=tuple(append or ()),
        workers="1",
    )
    judgement = _build_and_ask(wanted, command)
    typer.echo(str(judgement))
    raise typer.Exit(judgement.verdict)


@app.command()
def bisect(  # noqa: PLR0913 - one parameter an option
    *,
    good: Annotated[str, typer.Option("--good", metavar="SPEC", help="A kernel that is right.")],
    bad: Annotated[str, typer.Option("--bad", metavar="SPEC", help="A kernel that is wrong.")],
    select: _Select,
    scenarios: _Scenarios = None,
    cpu: _Cpu = None,
    append: _Append = None,
    mirror: _Mirror = None,
) -> None:
    """Find the packaged kernel since which an answer is wrong.

    The kernels between the two, of the same build, are asked as few times as can be. Where the bad
    one is the older, it finds since when the answer is right.

    Status 0: found. 2: not, since an end is not what it was said to be, or cannot tell.
    """
    row = row_between(good, bad)
    options = Matrix(
        cpus=tuple(cpu or ()),
        select=select,
        scenarios=tuple(scenarios or ()),
        append=tuple(append or ()),
        mirrors=tuple(mirror or ()),
        workers="1",
    )
    asked: list[str] = []

    def ask(spec: str) -> Judgement:
        judgement = ask_one(options.of(spec))
        asked.append(spec)
        typer.echo(f"{spec} {judgement}")
        return judgement

    change = find_change(row, ask)
    typer.echo(f"{change} ({len(asked)} of {len(row)} kernels asked)")


def _build_and_ask(wanted: Matrix, command: str) -> Judgement:
    (kernel,) = wanted.kernels
    try:
        if command:
            build(Path(kernel), command)
    except HostError as error:
        return Judgement(Verdict.UNKNOWN, str(error))
    return ask_one(wanted)
