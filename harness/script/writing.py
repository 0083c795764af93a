# SPDX-License-Identifier: Apache-2.0
"""From statements to a script's text, and from a single call to a command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from functools import singledispatch

from harness.script.notation import show_argument, show_bytes, show_number
from harness.script.reading import ARROW
from harness.script.statements import (
    AnyStatement,
    CallStatement,
    GetFile,
    Header,
    Load,
    Number,
    Peek,
    Place,
    Poke,
    PutFile,
    Reference,
    Renew,
    Reserve,
    RunProbe,
    RunProgram,
    Script,
    Statement,
    Value,
)

_USUAL_MODE = 0o644
_BITS = 256


def write_script(script: Script, comments: Iterable[str] = ()) -> str:
    """Return a script's text, which reads back as the same.

    Args:
        script: what to write.
        comments: lines that come before it, without their "# ".
    """
    head = [*(f"# {line}".rstrip() for line in comments), *_header(script.header)]
    body = [annotated(statement) for statement in script.statements]
    return "\n".join([*head, "", *body, ""] if head else [*body, ""])


def show_statement(statement: AnyStatement) -> str:
    """Return a statement's line without its note."""
    return " ".join(_show(statement))


def annotated(statement: AnyStatement) -> str:
    """Return a statement's line, and its note behind it."""
    line = show_statement(statement)
    return f"{line}  # {statement.note}" if statement.note else line


def write_command(header: Header, call: CallStatement) -> str | None:
    """Return the `trapgate call` that makes a call, for a shell.

    None when it takes what only scripts have: a place in memory to read, an earlier result.
    """
    if any(isinstance(value, Reference | Load) for value in _values(call)):
        return None
    options = [word for name, value in _machine(header) for word in (f"--{name}", value)]
    options += ["--entry", call.entry.name]
    for name, number in call.registers:
        options += ["--register", f"{name}={_show_register(number)}"]
    if call.timeout_s is not None:
        options += ["--timeout", f"{call.timeout_s:g}"]
    arguments = [_for_shell(value) for value in call.arguments]
    return shlex.join(["trapgate", "call", *options, _show_number_of(call), *arguments])


def _values(call: CallStatement) -> list[Value]:
    return [*call.arguments, *(number for _, number in call.registers)]


def _for_shell(value: Value) -> str:
    """Return an argument that needs as few quotes in a shell as can be."""
    text = _show_value(value)
    plain = text.startswith('"') and text.count('"') == 2 and "\\" not in text  # noqa: PLR2004
    return f"str:{text[1:-1]}" if plain and "+" not in text else text


def _machine(header: Header) -> Iterator[tuple[str, str]]:
    """Yield the options of the machine that are not the usual ones."""
    given = {"kernel": header.kernel, "cpu": header.cpu, "accel": header.accel}
    yield from ((name, value) for name, value in given.items() if value)
    if header.memory_mib:
        yield "memory", str(header.memory_mib)
    yield from (("kernel-append", value) for value in header.append)


def _header(header: Header) -> list[str]:
    return [f"{name.removeprefix('kernel-')} {value}" for name, value in _machine(header)]


@singledispatch
def _show(statement: Statement) -> Iterator[str]:
    raise NotImplementedError(type(statement))


@_show.register
def _(call: CallStatement) -> Iterator[str]:
    if call.result:
        yield from (call.result, "=")
    yield from (call.entry.name, _show_number_of(call))
    yield from map(_show_value, call.arguments)
    yield from (f"{name}={_show_register(number)}" for name, number in call.registers)
    if call.timeout_s is not None:
        yield f"timeout={call.timeout_s!r}"
    if call.expected is not None:
        yield from (ARROW, _show_expected(call.expected))


@_show.register
def _(reserve: Reserve) -> Iterator[str]:
    yield from ("buffer", reserve.name, str(reserve.size_bytes))


@_show.register
def _(poke: Poke) -> Iterator[str]:
    yield from ("poke", poke.abi.name, _show_place(poke.place), show_bytes(poke.content))


@_show.register
def _(peek: Peek) -> Iterator[str]:
    yield from ("peek", peek.abi.name, _show_place(peek.place), str(peek.size_bytes))
    yield from _bytes_expected(peek.expected)


@_show.register
def _(put: PutFile) -> Iterator[str]:
    yield from ("file", _text(put.path))
    if put.mode != _USUAL_MODE:
        yield f"{put.mode:04o}"
    yield show_bytes(put.content)


@_show.register
def _(get: GetFile) -> Iterator[str]:
    yield from ("cat", _text(get.path))
    yield from _bytes_expected(get.expected)


@_show.register
def _(probe: RunProbe) -> Iterator[str]:
    yield from ("probe", probe.abi.name, probe.name, *map(show_number, probe.numbers))
    if probe.expected:
        yield ARROW
        yield from (f"{name}={value}" for name, value in probe.expected)


@_show.register
def _(program: RunProgram) -> Iterator[str]:
    yield from ("exec", *map(_text, program.argv))
    if program.expected is not None:
        yield from (ARROW, str(program.expected))


@_show.register
def _(renew: Renew) -> Iterator[str]:
    del renew
    yield "renew"


def _bytes_expected(expected: bytes | None) -> Iterator[str]:
    if expected is not None:
        yield from (ARROW, show_bytes(expected))


def _show_number_of(call: CallStatement) -> str:
    return call.number if isinstance(call.number, str) else show_call_number(call.number)


def show_call_number(number: int) -> str:
    """Return a call's number as text, which never is a place in memory."""
    return str(number) if abs(number) < 0x1_0000 else hex(number)  # noqa: PLR2004


def _show_expected(expected: int | str) -> str:
    return expected if isinstance(expected, str) else show_call_number(expected)


def _show_value(value: Value) -> str:
    if isinstance(value, Load):
        return f"u{8 * value.size_bytes}:{_show_place(value.place)}"
    return _show_place(value) if isinstance(value, Reference) else show_argument(value)


def _show_register(value: Number) -> str:
    """Return a register's value: bits rather than a quantity."""
    shown = _show_value(value)
    is_bits = isinstance(value, int) and abs(value) >= _BITS and not shown.startswith("@")
    return f"{value:#x}" if is_bits else shown


def _show_place(place: Place) -> str:
    if isinstance(place, int):
        return show_number(place)
    return f"${place.name}" + (f"{place.offset:+#x}" if place.offset else "")


def _text(text: str) -> str:
    """Return a path or an argument in quotes."""
    content = text.encode(errors="surrogateescape")
    shown = show_bytes(content + b"\0")
    return shown if shown.startswith('"') and "+" not in shown else _escaped(content)


def _escaped(content: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in content) + '"'
