# SPDX-License-Identifier: Apache-2.0
"""`trapgate matrix`: many kernels asked the same, shown as it goes, and recorded."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.app import app
from harness.cli.progress import shown_progress
from harness.errors import OutcomeKind
from harness.kernels import Supply, find_source, obtain
from harness.matrix.asking import ask_here
from harness.matrix.choice import Matrix
from harness.matrix.cluster import ask_cluster
from harness.matrix.file import MatrixFile, read_matrix
from harness.matrix.following import Watcher
from harness.matrix.github import append_summary, is_there, show_annotations
from harness.matrix.lines import Lines
from harness.matrix.live import live_table
from harness.matrix.progress import Progress, show_counts
from harness.record import new_run_folder, read_run
from harness.record.closing import has_results
from harness.record.writer import check_folder
from harness.wording import numbered

_File = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="A matrix.toml; options override it.")
]
_Kernel = Annotated[
    list[str] | None,
    typer.Option("--kernel", metavar="SPEC", help="A kernel, or a pattern: '5.*/i386*'."),
]
_Cpu = Annotated[
    list[str] | None,
    typer.Option("--cpu", metavar="MODELS", help="Processors: Nehalem,EPYC,qemu32-nosep."),
]
_Select = Annotated[str, typer.Option("-k", metavar="EXPRESSION", help="Which tests, as pytest's.")]
_Scenarios = Annotated[
    list[str] | None,
    typer.Option("--scenarios", metavar="PATH", help="Tests of yours instead of the project's."),
]
_RunDir = Annotated[
    str, typer.Option("--run-dir", metavar="DIR", help="Where the record goes. A dated folder.")
]
_Workers = Annotated[
    str, typer.Option("--workers", "-n", help="How many ask at a time. One a processor.")
]
_Scheduler = Annotated[
    str, typer.Option("--scheduler", metavar="tcp://...", help="A Dask cluster that does it.")
]
_Accel = Annotated[str, typer.Option("--accel", help="auto, tcg or kvm.")]
_Memory = Annotated[int, typer.Option("--memory", metavar="MIB", help="The guests' memory.")]
_Append = Annotated[
    list[str] | None,
    typer.Option("--append", "--kernel-append", help="A kernel parameter; may be repeated."),
]
_Mirror = Annotated[
    list[str] | None, typer.Option("--mirror", help="A Debian mirror; may be repeated.")
]
_Boot = Annotated[bool, typer.Option("--boot", help="Boot, do not clone kept states.")]


@app.command()
def matrix(  # noqa: PLR0913 - one parameter an option
    file: _File = None,
    *,
    kernel: _Kernel = None,
    cpu: _Cpu = None,
    select: _Select = "",
    scenarios: _Scenarios = None,
    run_dir: _RunDir = "",
    workers: _Workers = "",
    scheduler: _Scheduler = "",
    accel: _Accel = "",
    memory: _Memory = 0,
    append: _Append = None,
    mirror: _Mirror = None,
    boot: _Boot = False,
) -> None:
    """Ask many kernels the same, and keep a record of it.

    Without --kernel it is one of each series and ABI, on the accelerator's usual processor.

    Status 0: nothing went wrong. 1: a kernel did not do as it should. 2: what went wrong is no
    kernel's fault. 130: interrupted; the record has what was asked until then.
    """
    said = read_matrix(file) if file else MatrixFile({})
    given: dict[str, Any] = {
        "kernels": tuple(kernel or ()),
        "cpus": tuple(cpu or ()),
        "select": select,
        "scenarios": tuple(scenarios or ()),
        "workers": workers,
        "accel": accel,
        "memory": memory,
        "append": tuple(append or ()),
        "mirrors": tuple(mirror or ()),
        "boot": boot,
    }
    chosen = {name: value for name, value in given.items() if value}
    wanted = Matrix(**{**said.choice, **chosen}).checked()
    folder = Path(run_dir or said.run_dir or new_run_folder())
    check_folder(folder)
    raise typer.Exit(_run(wanted, folder, scheduler or said.scheduler))


def _run(wanted: Matrix, folder: Path, scheduler: str) -> int:
    """Ask, show how it goes, and return the exit status."""
    progress = Progress(wanted.names())
    interrupted = True
    try:
        if not scheduler:
            _fetch(wanted)
        with _shown(progress) as watcher:
            if scheduler:
                ask_cluster(wanted, scheduler, folder, watcher, sys.argv)
            else:
                ask_here(wanted, folder, watcher)
        interrupted = False
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        _conclude(progress, folder, interrupted=interrupted)
    return _status(progress)


def _fetch(wanted: Matrix) -> None:
    with shown_progress() as reporter:
        for spec in wanted.kernels:
            obtain(find_source(spec), Supply(wanted.mirrors, reporter=reporter))


@contextlib.contextmanager
def _shown(progress: Progress) -> Iterator[Watcher]:
    """Give what shows a run: a table on a terminal, lines elsewhere."""
    if sys.stderr.isatty():
        with live_table(progress) as table:
            yield table
    else:
        yield Lines(progress)


def _conclude(progress: Progress, folder: Path, *, interrupted: bool) -> None:
    """Say what came of it, to people and to GitHub, and where the record is."""
    if not has_results(folder):
        return
    results = read_run(folder).results
    append_summary(progress.rows, results)
    for line in show_annotations(results) if is_there() else ():
        print(line)
    total = progress.total
    asked = f"interrupted, {total.done} of " if interrupted else ""
    tests = numbered(total.tests if interrupted else total.done, "test")
    print(f"{asked}{tests}: {', '.join(show_counts(total))}")
    print(f"record: {folder}")


def _status(progress: Progress) -> int:
    total = progress.total
    if total.wrong:
        return OutcomeKind.FAIL.value.exit_status
    return OutcomeKind.LOST.value.exit_status if total.unanswered else 0
