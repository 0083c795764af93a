# SPDX-License-Identifier: Apache-2.0
"""What may be left out of a statement when somebody types it: entry path and ABI."""

from __future__ import annotations

from collections.abc import Sequence

from harness.arch import ABIS
from harness.entry import EntryPath
from harness.errors import DeclarationError
from harness.script.notation import parse_number
from harness.script.reading import ENTRIES, STATEMENTS
from harness.suggest import nearest
from harness.syscalls import SyscallTable

_OF_AN_ABI = ("peek", "poke", "probe")


def fill_up(words: Sequence[str], entry: EntryPath, table: SyscallTable) -> list[str]:
    """Return a statement's words with what was left out.

    Args:
        words: at least one.
        entry: where calls go that name no way in; its ABI is what memory is looked at in.
        table: the calls that it takes.

    Raises:
        DeclarationError: the first word is no statement's, no entry path's and no call's.
    """
    at = 2 if list(words[1:2]) == ["="] else 0
    before, rest = list(words[:at]), list(words[at:])
    first = rest[0] if rest else ""
    if first in _OF_AN_ABI and rest[1:2] and rest[1] not in ABIS:
        return [*before, first, entry.abi.name, *rest[1:]]
    if first in STATEMENTS or first in ENTRIES:
        return [*words]
    if parse_number(first) is None and first not in {*table.numbers, *table.newer}:
        hint = nearest(first, [*STATEMENTS, *ENTRIES, *table.numbers]) or "try help"
        raise DeclarationError(f"expected a call or a statement, got {first!r}", hint=hint)
    return [*before, entry.name, *rest]


def candidates(before: str, commands: Sequence[str], calls: SyscallTable) -> list[str]:
    """Return what the word that is being typed may become.

    Args:
        before: the line up to there.
        commands: first words that are no statements.
        calls: those that the entry path in use takes.
    """
    words = before.split()
    begun = "" if not before or before[-1].isspace() else words.pop()
    if words[:1] == ["entry"]:
        known = list(ENTRIES)
    elif words[:1] == ["abi"] or words[-1:] in (["peek"], ["poke"], ["probe"]):
        known = list(ABIS)
    elif words and words[-1] in ENTRIES:
        known = list(calls.numbers)
    elif words and words[-1] != "=":
        known = []
    else:
        known = [*commands, *STATEMENTS, *ENTRIES, *calls.numbers]
    return sorted(word for word in known if word.startswith(begun))
