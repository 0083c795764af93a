# SPDX-License-Identifier: Apache-2.0
"""``trapgate kernels``: what the catalogue has, fetching it, and pinning new ones."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.cli.app import app
from harness.cli.progress import shown_progress
from harness.errors import DeclarationError
from harness.kernels import Kernel, Supply, find_source, obtain
from harness.kernels.catalogue import Entry, all_entries, find_entry
from harness.kernels.store import find_cached

kernels = typer.Typer(
    help="The kernels that can be asked, and where they come from.", no_args_is_help=True
)
app.add_typer(kernels, name="kernels")

_WIDTH = 100
Mirrors = Annotated[
    list[str] | None,
    typer.Option("--mirror", help="A Debian mirror's address; may be given several times."),
]
WithModules = Annotated[
    bool,
    typer.Option("--with-modules", help="Fetch a 7.x kernel's modules, too (110 MB more)."),
]


@kernels.command("list")
def list_kernels(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the catalogue, and what of it is in the cache."""
    rows = [_row(entry) for entry in all_entries()]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("spec", "version", "arch", "MB", "cached", box=None, pad_edge=False)
    table.columns[3].justify = "right"
    for row in rows:
        spec = f"{row['spec']} (default)" if row["default"] else str(row["spec"])
        size = f"{int(str(row['size_bytes'])) / 1e6:.0f}"
        table.add_row(spec, str(row["version"]), str(row["arch"]), size, _cached_text(row))
    terminal = Console()
    terminal.width = min(terminal.width, _WIDTH) if terminal.is_terminal else _WIDTH
    terminal.print(table)


@kernels.command("fetch")
def fetch_kernels(
    specs: Annotated[list[str] | None, typer.Argument(metavar="SPEC...")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Fetch the whole catalogue.")] = False,
    mirror: Mirrors = None,
    with_modules: WithModules = False,
) -> None:
    """Put kernels into the cache, so that later runs need no network."""
    wanted = [entry.spec for entry in all_entries()] if everything else specs or []
    if not wanted:
        raise DeclarationError("no kernel is named", hint="give a spec, or --all")
    for source in [find_source(spec) for spec in wanted]:
        with shown_progress() as reporter:
            kernel = obtain(source, Supply(tuple(mirror or ()), with_modules, reporter))
        print(f"{kernel.spec}: {kernel.release} ({kernel.version}) in {kernel.boot_file.parent}")


@kernels.command("path")
def print_path(
    spec: Annotated[str, typer.Argument(metavar="SPEC")],
    *,
    vmlinux: Annotated[bool, typer.Option("--vmlinux", help="The ELF payload instead.")] = False,
    config: Annotated[bool, typer.Option("--config", help="The configuration instead.")] = False,
    mirror: Mirrors = None,
) -> None:
    """Print the path of what QEMU boots, fetching the kernel if need be."""
    with shown_progress() as reporter:
        kernel = obtain(find_source(spec), Supply(tuple(mirror or ()), reporter=reporter))
    path = kernel.vmlinux if vmlinux else kernel.config if config else kernel.boot_file
    if path is None:
        raise DeclarationError(f"kernel {spec} has no {'vmlinux' if vmlinux else 'configuration'}")
    print(path)


@kernels.command("pin")
def pin_kernel(
    spec: Annotated[str, typer.Argument(metavar="SPEC")],
    *,
    mirror: Mirrors = None,
) -> None:
    """Print a catalogue entry for the newest kernel of a series (for maintainers).

    The entry needs its table with the flavour beforehand, in kernels/<series>.toml.
    """
    from harness.kernels.pin import pinned_text  # noqa: PLC0415 - the other commands never need it

    entry = find_entry(spec)
    if entry is None:
        raise DeclarationError(
            f"no kernel is called {spec!r}", hint="write its table with the flavour first"
        )
    with shown_progress() as reporter:
        text = pinned_text(entry, Supply(tuple(mirror or ()), reporter=reporter))
    sys.stdout.write(text)


def _row(entry: Entry) -> dict[str, object]:
    kernel = find_cached(entry)
    return {
        "spec": entry.spec,
        "version": kernel.provenance.version if kernel and kernel.provenance else _version(entry),
        "arch": entry.arch.name,
        "size_bytes": sum(
            package.size for role, package in entry.packages.items() if role != "modules"
        ),
        "default": entry.default,
        "cached": kernel is not None,
        "replaced": _replaced(kernel),
    }


def _version(entry: Entry) -> str:
    return entry.packages["image"].version if entry.packages else ""


def _replaced(kernel: Kernel | None) -> str:
    return kernel.provenance.replaced if kernel and kernel.provenance else ""


def _cached_text(row: dict[str, object]) -> str:
    return "no" if not row["cached"] else "a newer one" if row["replaced"] else "yes"
