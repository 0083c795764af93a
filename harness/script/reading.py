# SPDX-License-Identifier: Apache-2.0
"""From a script's text to its statements; every complaint says where and what was expected."""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.agent.calls import Call
from harness.arch import ABIS, Abi
from harness.entry import EntryPath, entry_paths_of
from harness.errors import DeclarationError
from harness.script.notation import (
    QUOTED,
    parse_argument,
    parse_bytes,
    parse_call,
    parse_number,
    parse_place,
)
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
    Value,
)
from harness.suggest import nearest

ENTRIES = {path.name: path for abi in ABIS.values() for path in entry_paths_of(abi)}
ERRORS = frozenset(errno.errorcode.values())
SIGNALS = frozenset(member.name for member in signal.Signals)
ARROW = "->"

_TOKEN = re.compile(rf"""(?:{QUOTED}|'[^']*'|[^\s"'])+""")
_NAME = re.compile(r"[A-Za-z_]\w*")
_SETTING = re.compile(r"([A-Za-z]\w*)=(.*)", re.DOTALL)
_REPORTED = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_REFERENCE = re.compile(r"\$([A-Za-z_]\w*)(?:([+-])(\w+))?")
_LOAD = re.compile(r"u(8|16|32|64):(.+)", re.DOTALL)
_MOST_ARGUMENTS = 6
_ANY = 1 << 20


@dataclass(frozen=True)
class _Words:
    """A statement's words behind its first, and what it has to answer.

    Attributes:
        words: in their order.
        expected: the words behind the arrow, None without one.
        names: what may stand behind a ``$`` there.
    """

    words: tuple[str, ...]
    expected: tuple[str, ...] | None
    names: frozenset[str]

    def take(self, least: int, most: int, form: str) -> tuple[str, ...]:
        """Return the words, which have to be as many as the form says."""
        if not least <= len(self.words) <= most:
            raise DeclarationError(f"expected {form}, got {len(self.words)} words behind the first")
        return self.words

    def answer(self, form: str) -> str | None:
        """Return the one word behind the arrow; None without an arrow."""
        if self.expected is not None and len(self.expected) != 1:
            raise DeclarationError(
                f"expected {form} behind {ARROW}, got {len(self.expected)} words"
            )
        return self.expected[0] if self.expected else None

    def no_answer(self) -> None:
        """Complain of an arrow."""
        if self.expected is not None:
            raise DeclarationError(f"nothing can be expected of this statement, got {ARROW}")


def read_script(path: Path) -> Script:
    """Read a script's file.

    Raises:
        DeclarationError: it cannot be read, or is no script.
    """
    try:
        return parse_script(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(f"cannot read the script {path}: {error}") from error


def parse_script(text: str, name: str = "script") -> Script:
    """Read a script.

    Args:
        text: its lines.
        name: how messages call it.

    Raises:
        DeclarationError: a line is none of a script's; the message begins with its place.
    """
    header, names = Header(), frozenset[str]()
    statements: list[AnyStatement] = []
    for line, said in enumerate(text.splitlines(), start=1):
        try:
            words = split(said)
            if words and words[0] in _HEADER:
                header = _with_header(header, words, begun=bool(statements))
            elif words:
                statement = parse_statement(words, names)
                statements.append(replace(statement, line=line))
                names |= named_by(statement)
        except DeclarationError as error:
            raise DeclarationError(f"{name}:{line}: {error.message}", hint=error.hint) from error
    return Script(header, tuple(statements))


def split(line: str) -> list[str]:
    """Cut a line into words; quotes keep spaces together, and a comment is left out.

    Raises:
        DeclarationError: a quote does not end.
    """
    words, at = [], 0
    while rest := line[at:].lstrip():
        at = len(line) - len(rest)
        if rest.startswith("#"):
            break
        found = _TOKEN.match(line, at)
        if not found or line[found.end() : found.end() + 1] in ('"', "'"):
            raise DeclarationError(f"a quote that does not end: {rest}")
        words.append(found.group())
        at = found.end()
    return words


def parse_statement(words: Iterable[str], names: frozenset[str] = frozenset()) -> AnyStatement:
    """Read one statement.

    Args:
        words: of its line, at least one.
        names: what may stand behind a ``$``.

    Raises:
        DeclarationError: it is none.
    """
    said, expected = _before_arrow(list(words))
    result = ""
    if said[1:2] == ["="]:
        result, said = _name(said[0]), said[2:]
    first = said[0] if said else ""
    rest = _Words(tuple(said[1:]), expected, names)
    if first in ENTRIES:
        return _call(ENTRIES[first], rest, result)
    if first not in STATEMENTS:
        known = [*ENTRIES, *STATEMENTS, *_HEADER]
        hint = nearest(first, known) or f"there are: {', '.join(known)}"
        raise DeclarationError(f"expected a statement, got {first!r}", hint=hint)
    if result:
        raise DeclarationError(f"only calls have a result, {first} has none for {result!r}")
    return STATEMENTS[first](rest)


def _before_arrow(words: list[str]) -> tuple[list[str], tuple[str, ...] | None]:
    if ARROW not in words:
        return words, None
    at = words.index(ARROW)
    if at + 1 == len(words):
        raise DeclarationError(f"expected what is to be answered behind {ARROW}, got nothing")
    return words[:at], tuple(words[at + 1 :])


def _with_header(header: Header, words: list[str], *, begun: bool) -> Header:
    key, *values = words
    if begun:
        raise DeclarationError(f"the header ends with the first statement: {key} comes too late")
    if not values:
        raise DeclarationError(f"expected {key} and a value, got no value")
    value = " ".join(values)
    return _HEADER[key](header, value)


def named_by(statement: AnyStatement) -> frozenset[str]:
    """Return the names that later statements may use because of this one; may be empty."""
    name = ""
    if isinstance(statement, CallStatement):
        name = statement.result
    elif isinstance(statement, Reserve):
        name = statement.name
    return frozenset(filter(None, [name]))


def _call(entry: EntryPath, rest: _Words, result: str) -> CallStatement:
    if not rest.words:
        raise DeclarationError(f"expected {entry} and a call's name or number, got nothing more")
    settings = [found for word in rest.words[1:] if (found := _SETTING.fullmatch(word))]
    others = [word for word in rest.words[1:] if not _SETTING.fullmatch(word)]
    if len(others) > _MOST_ARGUMENTS:
        raise DeclarationError(f"a call takes six arguments at most, got {len(others)}")
    values = {found[1]: found[2] for found in settings}
    timeout = values.pop("timeout", None)
    registers = {name: _number(text, entry.abi, rest.names) for name, text in values.items()}
    Call.of(entry, 0, (), "", **dict.fromkeys(registers, 0))
    return CallStatement(
        entry,
        parse_call(rest.words[0]),
        tuple(_value(word, entry.abi, rest.names) for word in others),
        tuple(registers.items()),
        result,
        _seconds(timeout) if timeout else None,
        _expected(rest.answer("a number, an error's or a signal's name")),
    )


def _expected(word: str | None) -> int | str | None:
    number = parse_number(word) if word else None
    if word is None or number is not None:
        return number
    if word not in ERRORS | SIGNALS:
        raise DeclarationError(
            f"expected a number, an error's or a signal's name behind {ARROW}, got {word!r}",
            hint=nearest(word, ERRORS | SIGNALS),
        )
    return word


def _value(word: str, abi: Abi, names: frozenset[str]) -> Value:
    loaded = _LOAD.fullmatch(word)
    if loaded:
        return Load(int(loaded[1]) // 8, _place(loaded[2], names))
    return _reference(word, names) if word.startswith("$") else parse_argument(word, abi)


def _number(word: str, abi: Abi, names: frozenset[str]) -> Number:
    value = _value(word, abi, names) if word else None
    if isinstance(value, int | Reference | Load):
        return value
    raise DeclarationError(f"expected a register's value as a number or a place, got {word!r}")


def _place(word: str, names: frozenset[str]) -> Place:
    return _reference(word, names) if word.startswith("$") else parse_place(word)


def _reference(word: str, names: frozenset[str]) -> Reference:
    found = _REFERENCE.fullmatch(word)
    offset = parse_number(found[3] or "0") if found else None
    if not found or offset is None:
        raise DeclarationError(f"expected $NAME or $NAME+OFFSET, got {word!r}")
    if found[1] not in names:
        raise DeclarationError(f"nothing is called {found[1]!r} yet", hint=nearest(found[1], names))
    return Reference(found[1], -offset if found[2] == "-" else offset)


def _reserve(rest: _Words) -> Reserve:
    rest.no_answer()
    name, size = rest.take(2, 2, "buffer NAME SIZE")
    return Reserve(_name(name), _whole(size, "a size in bytes"))


def _poke(rest: _Words) -> Poke:
    rest.no_answer()
    abi, place, content = rest.take(3, 3, "poke ABI PLACE BYTES")
    return Poke(_abi(abi), _place(place, rest.names), parse_bytes(content))


def _peek(rest: _Words) -> Peek:
    abi, place, size = rest.take(3, 3, "peek ABI PLACE SIZE")
    expected = rest.answer("bytes")
    return Peek(
        _abi(abi),
        _place(place, rest.names),
        _whole(size, "a size in bytes"),
        None if expected is None else parse_bytes(expected),
    )


def _put_file(rest: _Words) -> PutFile:
    rest.no_answer()
    words = rest.take(2, 3, "file PATH [MODE] BYTES")
    path, content = _text(words[0]), parse_bytes(words[-1])
    return PutFile(path, content, _mode(words[1])) if words[2:] else PutFile(path, content)


def _get_file(rest: _Words) -> GetFile:
    (path,) = rest.take(1, 1, "cat PATH")
    expected = rest.answer("bytes")
    return GetFile(_text(path), None if expected is None else parse_bytes(expected))


def _probe(rest: _Words) -> RunProbe:
    abi, name, *numbers = rest.take(2, _ANY, "probe ABI NAME [NUMBER]...")
    pairs = [_REPORTED.fullmatch(word) for word in rest.expected or ()]
    expected = [(p[1], _whole(p[2], "a number", signed=True)) for p in pairs if p]
    if len(expected) != len(pairs):
        raise DeclarationError(f"expected NAME=NUMBER... behind {ARROW} of a probe")
    return RunProbe(_abi(abi), name, tuple(map(parse_place, numbers)), tuple(expected))


def _program(rest: _Words) -> RunProgram:
    argv = rest.take(1, _ANY, "exec PATH [ARGUMENT]...")
    status = rest.answer("an exit status")
    return RunProgram(
        tuple(map(_text, argv)), None if status is None else _whole(status, "an exit status")
    )


def _renew(rest: _Words) -> Renew:
    rest.no_answer()
    rest.take(0, 0, "renew alone")
    return Renew()


_HEADER: Mapping[str, Callable[[Header, str], Header]] = {
    "kernel": lambda header, value: replace(header, kernel=value),
    "cpu": lambda header, value: replace(header, cpu=value),
    "append": lambda header, value: replace(header, append=(*header.append, value)),
    "accel": lambda header, value: replace(header, accel=value),
    "memory": lambda header, value: replace(header, memory_mib=_whole(value, "a number of MiB")),
}

STATEMENTS: Mapping[str, Callable[[_Words], AnyStatement]] = {
    "buffer": _reserve,
    "poke": _poke,
    "peek": _peek,
    "file": _put_file,
    "cat": _get_file,
    "probe": _probe,
    "exec": _program,
    "renew": _renew,
}


def _name(word: str) -> str:
    if not _NAME.fullmatch(word):
        raise DeclarationError(f"expected a name of letters and digits, got {word!r}")
    return word


def _abi(word: str) -> Abi:
    if word not in ABIS:
        raise DeclarationError(f"expected an ABI, got {word!r}", hint=nearest(word, ABIS))
    return ABIS[word]


def _text(word: str) -> str:
    """Read a path or a program's argument: quoted, or the word as it stands."""
    if word[0] not in "\"'":
        return word
    return parse_bytes(word).removesuffix(b"\0").decode(errors="surrogateescape")


def _whole(word: str, what: str, *, signed: bool = False) -> int:
    number = parse_number(word)
    if number is None or (number < 0 and not signed):
        raise DeclarationError(f"expected {what}, got {word!r}")
    return number


def _mode(word: str) -> int:
    try:
        return int(word, 8)
    except ValueError as error:
        raise DeclarationError(f"expected a mode in octal, as 0644, got {word!r}") from error


def _seconds(word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise DeclarationError(f"expected timeout=SECONDS, got {word!r}") from error
