# SPDX-License-Identifier: Apache-2.0
"""The root of the command line, to which each command's module adds itself."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="trapgate",
    help="Put questions to the system-call boundary of real x86 Linux kernels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root() -> None:
    """Put questions to the system-call boundary of real x86 Linux kernels."""
