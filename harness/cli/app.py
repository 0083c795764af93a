# SPDX-License-Identifier: Apache-2.0
"""The root of the command line, to which each command's module adds itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import typer

from harness.cli.parameter import Argument, Option
from harness.release import own_version


class Application(typer.Typer):
    """Commands of which some declare what they take as `harness.cli.parameter` has it."""

    def command(self, *given: Any, **settings: Any) -> Callable[..., Any]:
        """Register a command; see typer."""
        register = super().command(*given, **settings)

        def take(function: Callable[..., Any]) -> Callable[..., Any]:
            register(in_typers_words(function))
            return function

        return take


app = Application(
    name="trapgate",
    help="Put questions to the system-call boundary of real x86 Linux kernels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"trapgate {own_version()}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Put questions to the system-call boundary of real x86 Linux kernels."""


def in_typers_words(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function with every `Option` and `Argument` declared as typer's."""

    @functools.wraps(function)
    def worded(*given: Any, **named: Any) -> Any:
        return function(*given, **named)

    own = inspect.signature(function, eval_str=True)
    parameters = [p.replace(annotation=_worded(p.annotation)) for p in own.parameters.values()]
    worded.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    worded.__annotations__ = {p.name: p.annotation for p in parameters}
    return worded


def _worded(annotation: Any) -> Any:
    kind, *declared = get_args(annotation) if get_origin(annotation) is Annotated else (None,)
    match declared:
        case [Option(names=names, metavar=metavar, help=said)]:
            return Annotated[kind, typer.Option(*names, metavar=metavar, help=said)]
        case [Argument(metavar=metavar, help=said)]:
            return Annotated[kind, typer.Argument(metavar=metavar, help=said or None)]
    return annotation
