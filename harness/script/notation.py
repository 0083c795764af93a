# SPDX-License-Identifier: Apache-2.0
r"""How arguments of a call are written: numbers, texts, bytes, buffers, regions, registers.

    12  -1  0x10            numbers
    "text"  str:text        a text and the NUL that ends it; its address is passed
    raw:"text"  raw:text    without the NUL
    hex:00ff  zeros:16  fill:16:0xa5    other bytes
    "text"+zeros:12         several of those behind one another
    buf:16  buf:16:0        memory that the kernel may write to, and what every byte holds first
    @edge  @edge+0xff8      an address in the executor's landscape

Between double quotes a backslash begins one of \" \\ \n \t \r \0 \xHH.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.agent.arguments import Buffer
from harness.arch import Abi
from harness.errors import DeclarationError
from harness.landscape import ARENA, HOLE, REGIONS
from harness.suggest import nearest

Plain = int | bytes | Buffer
"""What can be written as one argument of a call."""

QUOTED = r'"(?:[^"\\]|\\.)*"'
PLACES = {region.name: region.start for region in REGIONS} | {"hole": HOLE}

# Strings, compiled where they are needed: a quick command may need none of them.
_PLACE = r"(\w+)(?:([+-])(\w+))?"
_PIECE = rf"(?:raw:)?{QUOTED}|hex:[0-9a-fA-F]*|zeros:\w+|fill:\w+:\w+"
_PIECES = rf"(?:{_PIECE})(?:\+(?:{_PIECE}))*"
_ESCAPE = r"(?s)\\(x[0-9a-fA-F]{2}|.)"
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", '"': '"', "\\": "\\"}
_RUN = rb"(?s)(.)\1{15,}"
_TEXT = rb"[\x20-\x7e\n\t]+"
_BYTES = ("hex:", "zeros:", "fill:", "raw:", '"')
_MOST_BUFFER = ARENA.size_bytes // 8
_MANY = 4096
_FORMS = 'expected a number, "TEXT", str:TEXT, hex:BYTES, buf:SIZE or @REGION[+OFFSET]'


def parse_number(text: str) -> int | None:
    """Read a decimal or 0x number with or without a sign; None when it is something else."""
    try:
        return int(text, 0)
    except ValueError:
        return None


def parse_call(text: str) -> int | str:
    """Read which call is meant: its number, or its name."""
    number = parse_number(text)
    return text if number is None else number


def parse_argument(text: str, abi: Abi) -> Plain:
    """Read one argument of a call.

    Args:
        text: in one of the forms above.
        abi: the entry path's; numbers have to fit its registers.

    Raises:
        DeclarationError: it is none of these.
    """
    content = _find_bytes(text)
    if content is not None:
        return content
    if text.startswith("buf:"):
        return _buffer(text)
    if text.startswith("@"):
        return parse_place(text)
    return _fitting(text, abi)


def parse_bytes(text: str) -> bytes:
    """Read bytes in one of the forms above.

    Raises:
        DeclarationError: it is none of these.
    """
    content = _find_bytes(text)
    if content is None:
        raise DeclarationError(f'expected bytes as in "TEXT", hex:00ff or zeros:16, got {text!r}')
    return content


def parse_place(text: str) -> int:
    """Read an address: a number, or ``@REGION+OFFSET``.

    Raises:
        DeclarationError: it is none, or there is no such region.
    """
    number = parse_number(text)
    if number is not None:
        return number
    found = re.fullmatch(_PLACE, text.removeprefix("@")) if text.startswith("@") else None
    offset = parse_number(found[3] or "0") if found else None
    if not found or offset is None:
        raise DeclarationError(
            f"no number or place in memory: {text!r}", hint="write @REGION or @REGION+8"
        )
    if found[1] not in PLACES:
        names = [f"@{name}" for name in PLACES]
        raise DeclarationError(f"unknown region {text!r}", hint=nearest(f"@{found[1]}", names))
    return PLACES[found[1]] + (-offset if found[2] == "-" else offset)


def parse_registers(settings: Iterable[str], abi: Abi) -> dict[str, int]:
    """Read ``NAME=VALUE`` settings of registers; what they may be called is the call's business.

    Raises:
        DeclarationError: one is not of that form.
    """
    pairs = (setting.partition("=") for setting in settings)
    return {name: _register_value(name, value, abi) for name, _, value in pairs}


def show_argument(argument: Plain) -> str:
    """Return the text that reads back as that argument."""
    if isinstance(argument, bytes):
        return show_bytes(argument)
    if isinstance(argument, Buffer):
        usual = argument.fill == Buffer(1).fill
        return f"buf:{argument.size_bytes}" + ("" if usual else f":{argument.fill:#x}")
    return show_number(argument)


def show_number(number: int) -> str:
    """Return a number's text: decimal when it is small, a place in memory when it is one."""
    if abs(number) <= _MANY:
        return str(number)
    if number == HOLE:
        return "@hole"
    inside = [r for r in REGIONS if r.start <= number < r.end]
    for region in inside or [r for r in REGIONS if number == r.end]:
        offset = number - region.start
        return f"@{region.name}" + (f"+{offset:#x}" if offset else "")
    return hex(number)


def show_bytes(content: bytes) -> str:
    """Return the text that reads back as those bytes: readable where they are a text."""
    return "+".join(_pieces(content)) or "hex:"


def printable(text: str) -> str:
    """Return somebody else's text so that a terminal only shows it."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(text))


def _find_bytes(text: str) -> bytes | None:
    """Read bytes; None when it looks like something else."""
    if text.startswith("str:"):
        return _encoded(text.removeprefix("str:")) + b"\0"
    if text.startswith("raw:") and not text.startswith('raw:"'):
        return _encoded(text.removeprefix("raw:"))
    if len(text) > 1 and text[0] == text[-1] == "'":
        return _encoded(text[1:-1]) + b"\0"
    if not text.startswith(_BYTES):
        return None
    if not re.fullmatch(_PIECES, text):
        said = f'no bytes: {text!r}, expected "TEXT", hex:00ff, zeros:16 or fill:8:1'
        raise DeclarationError(said)
    return b"".join(_piece(found.group()) for found in re.finditer(_PIECE, text))


def _piece(text: str) -> bytes:
    kind, _, rest = text.partition(":") if text[0] != '"' else ("", "", "")
    if kind == "hex":
        return _from_hex(rest)
    if kind in ("zeros", "fill"):
        size, _, value = rest.partition(":")
        return bytes([_number_below(value or "0", 256, text)]) * _size(size, text)
    if kind == "raw":
        return _unescaped(rest[1:-1])
    return _unescaped(text[1:-1]) + b"\0"


def _from_hex(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise DeclarationError(f"hex:{digits} has half a byte too many") from error


def _unescaped(text: str) -> bytes:
    pieces, end = [], 0
    for found in re.finditer(_ESCAPE, text):
        pieces += [_encoded(text[end : found.start()]), _escape(found[1])]
        end = found.end()
    return b"".join([*pieces, _encoded(text[end:])])


def _escape(said: str) -> bytes:
    if len(said) > 1:
        return bytes.fromhex(said[1:])
    if said not in _ESCAPED:
        raise DeclarationError(
            f"no escape: \\{said}", hint='there are: \\" \\\\ \\n \\t \\r \\0 \\xHH'
        )
    return _ESCAPED[said].encode()


def _pieces(content: bytes) -> Iterator[str]:
    """Cut bytes into long runs of the same one and what is between them."""
    end = 0
    for run in re.finditer(_RUN, content):
        yield from _segment(content[end : run.start()])
        size, value = len(run[0]), run[0][0]
        yield f"fill:{size}:{value:#x}" if value else f"zeros:{size}"
        end = run.end()
    yield from _segment(content[end:])


def _segment(content: bytes) -> Iterator[str]:
    body = content.removesuffix(b"\0")
    if body == content and re.fullmatch(_TEXT, content):
        yield f"raw:{_quoted(content)}"
    elif body != content and (not body or re.fullmatch(_TEXT, body)):
        yield _quoted(body)
    elif content:
        yield f"hex:{content.hex()}"


def _quoted(content: bytes) -> str:
    text = content.decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", "\\n").replace("\t", "\\t") + '"'


def _register_value(name: str, value: str, abi: Abi) -> int:
    argument = parse_argument(value, abi) if value else None
    if isinstance(argument, int):
        return argument
    raise DeclarationError(
        f"register {name}: expected NAME=NUMBER or NAME=@REGION, got {f'{name}={value}'!r}"
    )


def _fitting(text: str, abi: Abi) -> int:
    value = parse_number(text)
    if value is None:
        hint = "options go before the call's name" if text.startswith("--") else _FORMS
        raise DeclarationError(f"no argument of a call: {text!r}", hint=hint)
    if not -(1 << abi.bits - 1) <= value <= abi.mask:
        raise DeclarationError(f"{text} does not fit the {abi.bits} bits of a register of {abi}")
    return value


def _buffer(text: str) -> Buffer:
    size, colon, fill = text.removeprefix("buf:").partition(":")
    if not colon:
        return Buffer(_size(size, text))
    return Buffer(_size(size, text), _number_below(fill, 256, text))


def _size(text: str, whole: str) -> int:
    size = parse_number(text)
    if size is None or not 0 < size <= _MOST_BUFFER:
        raise DeclarationError(f"a buffer has 1 to {_MOST_BUFFER} bytes, got {whole!r}")
    return size


def _number_below(text: str, limit: int, whole: str) -> int:
    number = parse_number(text)
    if number is None or not 0 <= number < limit:
        raise DeclarationError(f"a byte is 0 to {limit - 1}, got {whole!r}")
    return number


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
