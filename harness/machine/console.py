# SPDX-License-Identifier: Apache-2.0
"""What a kernel printed on its console, and what can be read out of it."""

from __future__ import annotations

import re

_SPLAT = re.compile(
    r"^.*(?:\bBUG:|\bWARNING: |Oops:|general protection fault|Unable to handle|unable to handle"
    r"|Internal error|invalid opcode:|double fault|stack segment:|kernel BUG at"
    r"|soft lockup|hung task|rcu.*(?:stall|self-detected)|scheduling while atomic"
    r"|bad: scheduling|kasan|UBSAN:).*$",
    re.MULTILINE,
)
_PANIC = re.compile(r"^.*Kernel panic - not syncing.*$", re.MULTILINE)
_TIMESTAMP = re.compile(r"^\[ *\d+\.\d+\] ?(?:\[[ \w]+\] ?)?", re.MULTILINE)


def find_panic(text: str) -> str | None:
    """Return the line with which a kernel says that it panicked, None when it did not."""
    return _first(_PANIC, text)


def find_splat(text: str) -> str | None:
    """Return the first line that is a warning, bug or oops of the kernel, None when there is none.

    Source: kernel/panic.c __warn, arch/x86/kernel/dumpstack.c, arch/x86/mm/fault.c (6.1).
    """
    return _first(_SPLAT, text)


def read_records(log: str) -> str:
    """Return the messages of records as /dev/kmsg has them, one a line.

    Continuation lines (a blank, then KEY=value) carry no message and are left out.
    Source: Documentation/ABI/testing/dev-kmsg, 6.1.
    """
    lines = (line for line in log.splitlines() if line and not line.startswith(" "))
    return "\n".join(line.partition(";")[2] for line in lines)


def last_lines(text: str, count: int = 25) -> str:
    """Return the last `count` lines that say anything."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-count:])


def read_trouble(text: str, count: int = 40) -> str:
    """Return `count` lines from the first warning, oops or panic on; the last ones without any."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    wrong = (n for n, line in enumerate(lines) if _SPLAT.match(line) or _PANIC.match(line))
    first = next(wrong, max(len(lines) - count, 0))
    return "\n".join(lines[first : first + count])


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return _TIMESTAMP.sub("", found.group(0)).strip() if found else None
