# SPDX-License-Identifier: Apache-2.0
"""`trapgate claims`: what textbooks say of the boundary, and which kernels agree."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from harness.claims.catalogue import read_claims
from harness.claims.table import show_markdown, show_text
from harness.claims.verdicts import Result, read_results
from harness.cli.app import app
from harness.errors import DeclarationError, HostError
from harness.kernels import find_source
from harness.kernels.catalogue import all_entries, default_specs
from harness.places import data_dir
from harness.scratch import scratch_folder

_ASKED = (0, 1)
"""pytest's exit status when it could ask: all passed, or some failed."""

_Kernel = Annotated[
    list[str] | None,
    typer.Option("--kernel", metavar="SPEC", help="Who is asked; repeatable. The default pair."),
]
_Run = Annotated[
    list[Path] | None,
    typer.Option("--run", metavar="FILE", help="Ask nobody: read a `pytest --junitxml` report."),
]
_Markdown = Annotated[bool, typer.Option("--markdown", help="Print the page docs/claims.md.")]
_Workers = Annotated[int, typer.Option("--workers", "-n", min=0, help="pytest-xdist's, 0: none.")]


@app.command()
def claims(
    *, kernel: _Kernel = None, run: _Run = None, markdown: _Markdown = False, workers: _Workers = 0
) -> None:
    """Show which claims of the textbooks hold on which kernels.

    Every scenario that decides a claim is put to the kernels, unless --run gives the results of an
    earlier session; of those all kernels are shown that --kernel does not leave out.

    Status 0: the table was shown, whatever it says. 2: it could not be.
    """
    known = read_claims()
    kernels = list(kernel or ())
    for spec in kernels:
        find_source(spec)
    if run:
        results = [result for path in run for result in read_results(path)]
        kernels = kernels or _in_order({result.kernel for result in results})
    else:
        kernels = kernels or list(default_specs())
        results = _ask(kernels, workers)
    if not kernels:
        raise DeclarationError("no claim was asked there", hint="give a report of scenarios/")
    if markdown:
        typer.echo(show_markdown(known, results, kernels), nl=False)
        return
    typer.echo("\n".join(show_text(known, results, kernels)))


def _in_order(kernels: Iterable[str]) -> list[str]:
    """Return kernels as the catalogue has them, those of users last."""
    known = [entry.spec for entry in all_entries()]
    return sorted(kernels, key=lambda k: (known.index(k) if k in known else len(known), k))


def _ask(kernels: Iterable[str], workers: int) -> list[Result]:
    """Put every scenario about a claim to the kernels; pytest's lines go to standard error.

    Raises:
        HostError: it could not.
    """
    specs = [word for spec in kernels for word in ("--kernel", spec)]
    shared = ["-n", str(workers)] if workers else []
    with scratch_folder("claims") as folder:
        report = folder / "junit.xml"
        command = [sys.executable, "-m", "pytest", str(data_dir("scenarios")), "-m", "claim"]
        command += ["-q", "-rfE", "-p", "no:cacheprovider", "--junitxml", str(report)]
        done = subprocess.run([*command, *specs, *shared], stdout=sys.stderr, check=False)
        if done.returncode not in _ASKED:
            raise HostError(f"the scenarios could not be asked: pytest's status {done.returncode}")
        return read_results(report)
