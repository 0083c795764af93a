# SPDX-License-Identifier: Apache-2.0
"""`trapgate cost`: what each way into the kernel costs, over kernels and processors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from harness.cli.app import app
from harness.cli.progress import shown_progress
from harness.cost.compare import compare
from harness.cost.figures import Figures, Unit, read_figures, to_json
from harness.cost.measure import measure
from harness.cost.picture import draw
from harness.cost.table import Table, show_markdown, tables
from harness.errors import DeclarationError, HostError
from harness.kernels import Kernel, Supply, find_source, obtain
from harness.kernels.catalogue import default_specs
from harness.machine.plan import MachineOptions
from harness.target.host import open_host
from harness.target.spring import start_guest, tell
from harness.target.target import QEMU
from harness.whole import write_output

_WIDTH = 110
"""What a table needs; a narrower terminal breaks its lines."""

_Kernels = Annotated[
    list[str] | None,
    typer.Option("--kernel", metavar="SPEC", help="Who is asked; repeatable. The default pair."),
]
_Cpus = Annotated[
    list[str] | None,
    typer.Option(
        "--cpu", metavar="MODEL", help="On which processor, as QEMU spells it; repeatable."
    ),
]
_Cycles = Annotated[bool, typer.Option("--cycles", help="Cycles of this host's processor, by KVM.")]
_Target = Annotated[
    str,
    typer.Option("--target", metavar="TARGET", help="local or ssh://...: cycles of a real host."),
]
_Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures.")]
_Svg = Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write a picture.")]
_Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown.")]
_Run = Annotated[
    list[Path] | None,
    typer.Option("--run", metavar="FILE", help="Ask nobody: read a file of --json; repeatable."),
]
_Compare = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--compare", metavar="A B", help="Show what differs in two files of --json."),
]
_Append = Annotated[
    list[str] | None,
    typer.Option("--append", metavar="PARAMETER", help="A kernel parameter; may be repeated."),
]
_Mirrors = Annotated[
    list[str] | None,
    typer.Option("--mirror", metavar="URL", help="A Debian mirror; may be repeated."),
]


@app.command()
def cost(  # noqa: PLR0913 - one parameter an option
    *,
    kernel: _Kernels = None,
    cpu: _Cpus = None,
    cycles: _Cycles = False,
    target: _Target = QEMU,
    append: _Append = None,
    mirror: _Mirrors = None,
    json: _Json = None,
    svg: _Svg = None,
    markdown: _Markdown = False,
    run: _Run = None,
    compare: _Compare = None,
) -> None:
    """Show what each way into the kernel costs.

    Each kernel is booted in a machine whose time stamp counter counts instructions. --compare
    takes two files instead, and shows every change, down to one instruction.

    Status 0: done, and with --compare: nothing differs. 1: a kernel failed, or something differs.
    2: anything else.
    """
    if compare:
        _compare(*compare)
        return
    _check_folders(json, svg)
    if run:
        figures = [figures for file in run for figures in read_figures(file)]
    elif target != QEMU:
        if kernel or cpu or append:
            raise DeclarationError(f"{target} has a kernel and a processor already")
        figures = [_measure_host(target)]
    else:
        machines = [_machine(c, append or (), cycles=cycles) for c in cpu or [""]]
        kernels = _obtain(kernel or list(default_specs()), tuple(mirror or ()))
        figures = [_measure(k, options) for k in kernels for options in machines]
    if json:
        write_output(json, to_json(figures))
    if svg:
        write_output(svg, draw(figures))
    _show(figures, markdown=markdown)


def _compare(first: Path, second: Path) -> None:
    changes = compare(read_figures(first), read_figures(second))
    for change in changes:
        typer.echo(change)
    if changes:
        raise typer.Exit(1)
    typer.echo("no cost differs")


def _obtain(specs: Sequence[str], mirrors: tuple[str, ...]) -> list[Kernel]:
    """Return the kernels; all names are looked up before anything is fetched."""
    sources = [find_source(spec) for spec in specs]
    with shown_progress() as reporter:
        return [obtain(source, Supply(mirrors, reporter=reporter)) for source in sources]


def _machine(cpu: str, append: Sequence[str], *, cycles: bool) -> MachineOptions:
    accelerator = "auto" if cycles else "tcg"
    return MachineOptions(cpu, accelerator, append=tuple(append), boot=True, counted=not cycles)


def _measure_host(target: str) -> Figures:
    with open_host(target) as host, host.start() as guest:
        tell(f"measuring {guest.identity}")
        return measure(guest, Unit.CYCLES)


def _measure(kernel: Kernel, options: MachineOptions) -> Figures:
    unit = Unit.INSTRUCTIONS if options.counted else Unit.CYCLES
    with start_guest(kernel, options) as guest:
        said = guest.identity
        if unit is Unit.CYCLES and said.accelerator == "tcg":
            hint = "leave --cycles out: instructions are counted anywhere"
            raise HostError(f"an emulated processor has no cycles: {said.reason}", hint=hint)
        tell(f"measuring {said.spec}: {said}")
        return measure(guest, unit, kernel.sha256)


def _check_folders(*files: Path | None) -> None:
    """See that files can be written before minutes are spent on them.

    Raises:
        DeclarationError: one cannot.
    """
    for file in filter(None, files):
        if file.is_dir() or not os.access(file.parent, os.W_OK):
            raise DeclarationError(
                f"{file} cannot be written", hint="name a file in a folder of yours"
            )


def _show(figures: Sequence[Figures], *, markdown: bool) -> None:
    if markdown:
        typer.echo(show_markdown(figures), nl=False)
        return
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, _WIDTH)
    for table in tables(figures):
        console.print(_in_colour(table))
        for note in table.notes:
            console.print(note, soft_wrap=True)
        console.print()


def _in_colour(table: Table) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left", box=None, pad_edge=False)
    for place, head in enumerate(table.head):
        shown.add_column(head, justify="right" if place else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    return shown
