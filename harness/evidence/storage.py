# SPDX-License-Identifier: Apache-2.0
"""Symbols that were read once, kept by the build that they belong to.

Reading /proc/kallsyms takes a guest up to two seconds, and what it says of a build differs from
boot to boot by one number.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from harness.agent.guest import Guest
from harness.evidence.kcore import Kcore
from harness.evidence.symbols import Symbols, decode_symbols, parse_kallsyms
from harness.evidence.trouble import BadEvidence, refusal_unshown
from harness.places import cache_dir
from harness.whole import write_whole

_FILE = "/proc/kallsyms"
_BUILD = re.compile(r"[0-9a-f]{8,128}")
_OF_MODULE = re.compile(rb"^[^\n]*\t\[[^\n]*\n", re.MULTILINE)
_ANCHOR = "_stext"


def read_symbols(guest: Guest, kcore: Kcore) -> Symbols:
    """Return the kernel's symbols, without those of modules.

    Args:
        guest: runs the kernel.
        kcore: what its /proc/kcore says of it.

    Raises:
        BadEvidence: /proc/kallsyms makes no sense.
    """
    build, start = kcore.info.get("BUILD-ID", ""), kcore.symbol(_ANCHOR)
    path = cache_dir() / "symbols" / f"{build}.symbols"
    known = _find(path) if _BUILD.fullmatch(build) else None
    if known:
        return known.moved(start - known[_ANCHOR], above=known[_ANCHOR])
    with refusal_unshown():
        text = _OF_MODULE.sub(b"", guest.read_file(_FILE))
    symbols = parse_kallsyms(text)
    if symbols[_ANCHOR] != start:
        raise BadEvidence(f"{_FILE} and /proc/kcore disagree about where {_ANCHOR} is")
    if _BUILD.fullmatch(build):
        _keep(path, symbols.encode())
    return symbols


def _find(path: Path) -> Symbols | None:
    """Return kept symbols; a damaged file is as good as none."""
    try:
        symbols = decode_symbols(path.read_bytes())
    except (OSError, BadEvidence):
        return None
    return symbols if symbols.find(_ANCHOR) is not None else None


def _keep(path: Path, content: bytes) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
